//! Where collections that others hand out are looked for.

use std::path::{Path, PathBuf};

use super::PublicDataset;
use dinoscope_base::files;

/// The environment variable that names a folder of collections, each in a folder of its word.
pub const DATASETS_VARIABLE: &str = "DINOSCOPE_DATASETS";

/// scikit-learn's digits below a folder of Python packages.
const DIGITS: &str = "sklearn/datasets/data/digits.csv.gz";

/// The places that are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetLookup {
    /// What [`DATASETS_VARIABLE`] names: looked at first.
    pub own: Option<PathBuf>,
    /// Folders of shared files, `/usr/share`.
    pub shares: Vec<PathBuf>,
    /// Folders that a Python is installed in: those of `lib/python3…` below.
    pub pythons: Vec<PathBuf>,
}

impl DatasetLookup {
    /// Those of this computer: the variable; `/usr/share` and `/usr/local/share`; the Pythons of `VIRTUAL_ENV`,
    /// `CONDA_PREFIX`, `~/.local`, `/usr/local` and `/usr`.
    pub fn of_computer() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let mut pythons: Vec<PathBuf> = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(set).collect();
        pythons.extend(set("HOME").map(|home| home.join(".local")));
        pythons.extend(["/usr/local", "/usr"].map(PathBuf::from));
        Self {
            own: set(DATASETS_VARIABLE),
            shares: ["/usr/share", "/usr/local/share"].map(PathBuf::from).to_vec(),
            pythons,
        }
    }

    /// Where a collection may be, the first place first.
    pub(super) fn candidates(&self, set: PublicDataset) -> Vec<PathBuf> {
        let own = self.own.iter().map(|own| own.join(set.word()));
        let shared = |below: &'static str| self.shares.iter().map(move |share| share.join(below));
        match set {
            PublicDataset::FashionMnist => own.chain(shared("datasets/fashion-mnist")).collect(),
            PublicDataset::Stamps => own.chain(shared("tuxpaint/stamps")).collect(),
            PublicDataset::Digits => {
                let own = own.map(|own| own.join("digits.csv.gz"));
                own.chain(self.pythons.iter().flat_map(|python| packages(python))).collect()
            }
        }
    }

    /// The same for a person: of Pythons the folders that they are in.
    pub(super) fn words(&self, set: PublicDataset) -> String {
        let shown = |path: &PathBuf| path.display().to_string();
        let words: Vec<String> = match set {
            PublicDataset::Digits => {
                let own = self.own.iter().map(|own| own.join(set.word()).display().to_string());
                own.chain(self.pythons.iter().map(|python| format!("the Python in {}", shown(python))))
                    .collect()
            }
            _ => self.candidates(set).iter().map(shown).collect(),
        };
        words.join(", ")
    }
}

/// Where packages of a Python may have the digits: `lib/python3.11/site-packages`, `lib/python3/dist-packages` (Debian),
/// `Lib/site-packages` (Windows); the newest Python first.
fn packages(python: &Path) -> Vec<PathBuf> {
    let mut below: Vec<PathBuf> = ["lib", "lib64"]
        .iter()
        .filter_map(|lib| files::read_dir(python.join(lib)).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python3")))
        .collect();
    let version = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.strip_prefix("python3.").and_then(|minor| minor.parse::<u32>().ok())
    };
    below.sort_by_key(|path| std::cmp::Reverse(version(path)));
    below.push(python.join("Lib"));
    let folders =
        below.iter().flat_map(|path| ["site-packages", "dist-packages"].map(|name| path.join(name)));
    folders.map(|folder| folder.join(DIGITS)).collect()
}

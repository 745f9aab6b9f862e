//! Comparing with the reference implementation, case by case.

mod step;
mod tensors;
mod weights;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use dinoscope_core::burn::tensor::Device;
use dinoscope_core::data::augment::check_oracle;

/// A reference case on disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// Whole training steps: `step/*.safetensors`.
    Step(PathBuf),
    /// A file of weights with its expected features: `weights/*.pth` and `*.safetensors`.
    WeightsFile(PathBuf),
    /// A Hugging Face folder with its expected features: `weights/*/config.json`.
    HuggingFace(PathBuf),
    /// Single augmentations: `augment.safetensors`.
    Augment(PathBuf),
}

/// One comparison of a case: how far off the worst value was, and how far it may be.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was compared, with the place of the worst value.
    pub what: String,
    /// The worst error.
    pub error: f64,
    /// The stated agreement.
    pub tolerance: f64,
}

impl Check {
    fn passed(&self) -> bool {
        self.error <= self.tolerance // NaN is not.
    }
}

/// What came of a case.
#[derive(Debug)]
pub struct Outcome {
    /// Name of the case.
    pub name: String,
    /// Its comparisons, or why they could not be made.
    pub checks: Result<Vec<Check>, String>,
}

impl Outcome {
    /// Whether every comparison is within its tolerance, and there was at least one.
    pub fn passed(&self) -> bool {
        self.checks.as_ref().is_ok_and(|checks| !checks.is_empty() && checks.iter().all(Check::passed))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:", if self.passed() { "ok  " } else { "FAIL" }, self.name)?;
        match &self.checks {
            Err(reason) => write!(f, " {reason}"),
            Ok(checks) => checks.iter().try_for_each(|c| {
                let mark = if c.passed() { "" } else { " (!)" };
                write!(f, "  {} {:.1e}/{:.0e}{mark}", c.what, c.error, c.tolerance)
            }),
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    found.sort();
    found
}

/// All cases in a folder.
pub fn find(dir: &Path) -> Vec<Case> {
    let has = |path: &Path, extension: &str| path.extension().is_some_and(|e| e == extension);
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(files(&dir.join("step")).into_iter().filter(|p| has(p, "safetensors")).map(Case::Step));
    for path in files(&dir.join("weights")) {
        let stands_beside = path.with_extension("expected.safetensors").is_file();
        if has(&path, "pth") || has(&path, "safetensors") && stands_beside {
            cases.push(Case::WeightsFile(path));
        } else if path.join("config.json").is_file() {
            cases.push(Case::HuggingFace(path));
        }
    }
    let augment = dir.join("augment.safetensors");
    if augment.is_file() {
        cases.push(Case::Augment(augment));
    }
    cases
}

/// Compares one case.
pub fn check(case: &Case, device: &Device) -> Outcome {
    let (path, checks) = match case {
        Case::Step(path) => (path, step::check(path, device)),
        Case::WeightsFile(path) => (path, weights::check_file(path, device)),
        Case::HuggingFace(path) => (path, weights::check_hugging_face(path, device)),
        Case::Augment(path) => (path, check_augment(path)),
    };
    let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    Outcome { name, checks }
}

/// Augmentations agree within 1.5/255 mean and 6/255 maximum (hue 3/255 mean); errors are shown as shares of those.
fn check_augment(path: &Path) -> Result<Vec<Check>, String> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let rows = check_oracle(&bytes)?;
    let worst = |pick: fn(&(String, f64, f64, bool)) -> f64, what: &str, tolerance: fn(&str) -> f64| {
        rows.iter()
            .map(|row| Check {
                what: format!("{what} ({})", row.0),
                error: pick(row) / tolerance(&row.0),
                tolerance: 1.0,
            })
            .max_by(|a, b| a.error.total_cmp(&b.error))
    };
    let mean = worst(|r| r.1, "mean", |name| if name.contains("hue") { 3.0 } else { 1.5 });
    let most = worst(|r| r.2, "max", |name| if name.contains("hue") { 255.0 } else { 6.0 });
    Ok(mean.into_iter().chain(most).collect())
}

//! Which pictures are meant, and under which names their results go.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use dinoscope_core::data::archive::is_archive;
use dinoscope_core::data::source::listed::{self, is_there};
use dinoscope_core::data::source::listing::{SkippedFileCounts, is_picture, list};
use dinoscope_core::data::source::pattern::{self, base_of, is_pattern};

use crate::cli::UsageError;
use crate::cli::status::FailedInputs;

/// A picture, and where its results go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureInput {
    /// The file.
    pub path: PathBuf,
    /// Below the folder of results, without an ending.
    pub stem: PathBuf,
}

/// What a person named, taken apart.
#[derive(Default)]
pub struct FeatureInputScanner {
    found: Vec<ScannedFile>,
    /// Names of folders, patterns and lists.
    roots: Vec<String>,
    seen: HashSet<PathBuf>,
    /// Files in folders that are no pictures.
    pub left_out: SkippedFileCounts,
}

struct ScannedFile {
    path: PathBuf,
    /// The root that it was found under, and its path below that.
    below: Option<(usize, PathBuf)>,
}

impl FeatureInputScanner {
    /// Adds a file, a folder with all its subfolders, an archive, or a pattern that the shell has left as it was.
    pub fn add(&mut self, named: &Path, failed: &mut FailedInputs) {
        match named.to_str().filter(|text| is_pattern(text)) {
            _ if listed::is_parquet_list(named) => {
                if let Err(error) = self.add_list(named, failed) {
                    failed.add(&named.display().to_string(), &error.to_string());
                }
            }
            _ if named.is_dir() || (is_archive(named) && named.is_file()) => {
                self.add_folder(named, None, failed);
            }
            Some(pattern) if !named.exists() => self.add_pattern(pattern, failed),
            _ => self.found.push(ScannedFile { path: named.to_owned(), below: None }),
        }
    }

    /// Adds what a list names, files, folders or patterns: a path a line, or a table (`.csv`) with a column of paths; `-` is
    /// standard input. Relative paths count from the current folder, or from the list's where they are not there.
    pub fn add_list(&mut self, file: &Path, failed: &mut FailedInputs) -> Result<()> {
        let from_input = file == Path::new("-");
        let list = if from_input {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut bytes);
            read.map_err(|e| UsageError(format!("can't read the list {}: {e}", file.display())))?;
            listed::parse(&bytes, false).map_err(UsageError)?
        } else {
            listed::read(file).map_err(|e| UsageError(e.to_string()))?
        };
        let root = self.root(file.file_stem().map(|name| name.to_string_lossy().into_owned()));
        for entry in list.entries {
            let (line, beside) = (PathBuf::from(&entry.path), listed::place(file, &entry.path));
            let is_pattern = is_pattern(&entry.path) && !is_there(&line) && !is_there(&beside);
            let is_here = || match is_pattern {
                true => {
                    pattern::matches(&entry.path).is_ok()
                        || pattern::matches(&beside.to_string_lossy()).is_err()
                }
                false => is_there(&line) || !is_there(&beside),
            };
            let path = if from_input || is_here() { line.clone() } else { beside };
            if path.is_dir() || is_archive(&path) || is_pattern {
                self.add(&path, failed);
            } else {
                self.push(path, root, normal(&line));
            }
        }
        Ok(())
    }

    fn root(&mut self, name: Option<String>) -> usize {
        self.roots.push(name.unwrap_or_else(|| "pictures".to_owned()));
        self.roots.len() - 1
    }

    /// Adds a picture found under a root, unless it is there already.
    fn push(&mut self, path: PathBuf, root: usize, below: PathBuf) {
        if self.seen.insert(path.clone()) {
            self.found.push(ScannedFile { path, below: Some((root, below)) });
        }
    }

    /// `under` is the root and the path below it of a folder that a pattern has found.
    fn add_folder(&mut self, folder: &Path, under: Option<(usize, &Path)>, failed: &mut FailedInputs) {
        match list(folder) {
            Ok((files, left_out)) => {
                let (root, above) = match under {
                    Some((root, above)) => (root, above.to_owned()),
                    None => (self.root(name_of(folder)), PathBuf::new()),
                };
                self.left_out.merge(&left_out);
                for file in files {
                    let below = above.join(file.strip_prefix(folder).unwrap_or(&file));
                    self.push(file, root, below);
                }
            }
            Err(error) => failed.add(&folder.display().to_string(), &error.to_string()),
        }
    }

    fn add_pattern(&mut self, pattern: &str, failed: &mut FailedInputs) {
        let found = match pattern::matches(pattern) {
            Ok(found) => found,
            Err(reason) => return failed.add(pattern, &reason),
        };
        let base = base_of(pattern);
        let root = self.root(name_of(&base));
        for path in found {
            let below = path.strip_prefix(&base).map_or_else(|_| normal(&path), Path::to_owned);
            if path.is_dir() || is_archive(&path) {
                self.add_folder(&path, Some((root, &below)), failed);
            } else if is_picture(&path) {
                self.push(path, root, below);
            } else {
                self.left_out.add(&path);
            }
        }
    }

    /// The pictures, each with a name of its own.
    ///
    /// A file that was named itself is called by its name, `-2` and so on behind it where that is taken. Others keep
    /// their path below the folder, the pattern or the list's folder, with the root's name before it where there are
    /// several, and with their extension where only that tells two apart: names that do not depend on any order.
    pub fn named(self) -> Vec<FeatureInput> {
        let roots = self.found.iter().filter_map(|found| Some(found.below.as_ref()?.0));
        let several = roots.collect::<HashSet<usize>>().len() > 1;
        let place = |(root, below): &(usize, PathBuf)| match several {
            true => Path::new(&self.roots[*root]).join(below),
            false => below.clone(),
        };
        let mut alike: HashMap<PathBuf, usize> = HashMap::new();
        for below in self.found.iter().filter_map(|found| found.below.as_ref()) {
            *alike.entry(place(below).with_extension("")).or_default() += 1;
        }
        let mut taken = HashSet::new();
        let mut unused = |stem: PathBuf| {
            let numbered = |i: usize| {
                let mut name = stem.clone().into_os_string();
                name.push(format!("-{i}"));
                PathBuf::from(name)
            };
            let mut candidates = std::iter::once(stem.clone()).chain((2..).map(numbered));
            candidates.find(|stem| taken.insert(key(stem))).unwrap_or_default()
        };
        // Names that must not depend on what else was named go first.
        let mut stems: Vec<Option<PathBuf>> = self
            .found
            .iter()
            .map(|found| {
                let place = place(found.below.as_ref()?);
                let bare = place.with_extension("");
                Some(unused(if alike.get(&bare).is_some_and(|n| *n > 1) { place } else { bare }))
            })
            .collect();
        for (stem, found) in stems.iter_mut().zip(&self.found).filter(|(stem, _)| stem.is_none()) {
            let name = found.path.file_stem().map(PathBuf::from);
            *stem = Some(unused(name.unwrap_or_else(|| "picture".into())));
        }
        let stems = stems.into_iter().flatten();
        self.found
            .into_iter()
            .zip(stems)
            .map(|(found, stem)| FeatureInput { path: found.path, stem })
            .collect()
    }
}

/// What tells two names of files apart on this system.
fn key(stem: &Path) -> PathBuf {
    match cfg!(any(windows, target_os = "macos")) {
        true => stem.to_string_lossy().to_lowercase().into(),
        false => stem.to_owned(),
    }
}

/// The last name of a folder, also of `.` and `..`.
fn name_of(folder: &Path) -> Option<String> {
    let whole = std::fs::canonicalize(folder).ok()?;
    Some(whole.file_name()?.to_string_lossy().into_owned())
}

/// A path without what leads upwards or to the root.
fn normal(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "a picture").unwrap();
        }
        folder
    }

    /// Paths below `root` and stems, with how many failed.
    fn named(root: &Path, names: &[&str]) -> (Vec<(String, String)>, usize) {
        let (mut inputs, mut failed) = (FeatureInputScanner::default(), FailedInputs::new(false));
        names.iter().for_each(|name| inputs.add(&root.join(name), &mut failed));
        let text = |path: &Path| path.display().to_string().replace('\\', "/");
        let shown = |input: FeatureInput| (text(input.path.strip_prefix(root).unwrap()), text(&input.stem));
        (inputs.named().into_iter().map(shown).collect(), failed.count())
    }

    fn stems(root: &Path, names: &[&str]) -> Vec<String> {
        named(root, names).0.into_iter().map(|(_, stem)| stem).collect()
    }

    /// An archive is a folder, also where a pattern or a list finds it.
    #[test]
    fn archives_are_taken_apart() {
        let f = folder(&["a/1.jpg", "list.txt"]);
        let packed = std::fs::File::create(f.path().join("a/set.zip")).unwrap();
        let mut zip = zip::ZipWriter::new(packed);
        for name in ["owl/2.png", "owl/3.png", "notes.doc"] {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut zip, b"a picture").unwrap();
        }
        zip.finish().unwrap();
        assert_eq!(stems(f.path(), &["a/set.zip"]), ["owl/2", "owl/3"]);
        assert_eq!(stems(f.path(), &["a/*"]), ["1", "set.zip/owl/2", "set.zip/owl/3"]);
        assert_eq!(stems(f.path(), &["a"]), ["1"], "beside pictures it is what those came from");
        assert_eq!(stems(f.path(), &["a/set.zip/owl/3.png"]), ["3"]);
        assert_eq!(
            super::super::work::stamp(&f.path().join("a/set.zip/owl/3.png")),
            super::super::work::stamp(&f.path().join("a/set.zip"))
        );
    }

    #[test]
    fn files_keep_their_names_and_folders_their_paths() {
        let f = folder(&["a/1.jpg", "a/deep/1.jpg", "a/2.jpg", "a/2.png", "a/notes.txt", "b/1.jpg"]);
        assert_eq!(stems(f.path(), &["a/1.jpg", "b/1.jpg", "missing.jpg"]), ["1", "1-2", "missing"]);
        // Two that only their extension tells apart keep it.
        assert_eq!(stems(f.path(), &["a"]), ["1", "2.jpg", "2.png", "deep/1"]);
        assert_eq!(stems(f.path(), &["a", "b"]), ["a/1", "a/2.jpg", "a/2.png", "a/deep/1", "b/1"]);
        // A file beside a folder never takes a name away from what is in it, nor does the order.
        assert_eq!(stems(f.path(), &["b/1.jpg", "a"]), ["1-2", "1", "2.jpg", "2.png", "deep/1"]);
        assert_eq!(stems(f.path(), &["a", "a/deep"]).len(), 4, "nothing twice");
    }

    #[test]
    fn patterns_find_files_and_folders() {
        let f = folder(&["p/x.jpg", "p/y.png", "p/n.txt", "p/sub/z.jpg", "p/.hidden.jpg", "p/odd[1].jpg"]);
        assert_eq!(stems(f.path(), &["p/[xy].*"]), ["x", "y"]);
        assert_eq!(stems(f.path(), &["p/*.{jpg,png}"]), ["odd[1]", "x", "y"]);
        assert_eq!(stems(f.path(), &["p/**/*.jpg"]), ["odd[1]", "sub/z", "x"]);
        assert_eq!(stems(f.path(), &["p/s*"]), ["sub/z"]);
        // A file of this very name is no pattern.
        assert_eq!(stems(f.path(), &["p/odd[1].jpg"]), ["odd[1]"]);
        assert_eq!(named(f.path(), &["p/*.gif", "q*"]), (Vec::new(), 2));
    }

    #[test]
    fn lists_keep_the_paths_that_they_name() {
        let f = folder(&["a/1.jpg", "b/1.jpg"]);
        let list = f.path().join("list.txt");
        let line = |name: &str| f.path().join(name).display().to_string();
        std::fs::write(
            &list,
            format!("\u{feff}{}\r\n\n{}\n{}\n", line("a/1.jpg"), line("b/1.jpg"), line("a/1.jpg")),
        )
        .unwrap();
        let (mut inputs, mut failed) = (FeatureInputScanner::default(), FailedInputs::new(false));
        inputs.add_list(&list, &mut failed).unwrap();
        let found = inputs.named();
        assert_eq!(
            found.iter().map(|input| input.path.clone()).collect::<Vec<_>>(),
            [f.path().join("a/1.jpg"), f.path().join("b/1.jpg")]
        );
        assert!(
            found[0].stem.ends_with("a/1")
                && found[1].stem.ends_with("b/1")
                && !dinoscope_core::files::is_absolute(&found[0].stem)
        );
        assert!(FeatureInputScanner::default().add_list(&f.path().join("none.txt"), &mut failed).is_err());
        // What is not in the current folder is looked for beside the list, which may be a table.
        let table = f.path().join("table.csv");
        std::fs::write(&table, "label,path\nx,a/1.jpg\n,b/*.jpg\n").unwrap();
        let mut inputs = FeatureInputScanner::default();
        inputs.add_list(&table, &mut failed).unwrap();
        let paths: Vec<PathBuf> = inputs.named().into_iter().map(|input| input.path).collect();
        assert_eq!(paths, [f.path().join("a/1.jpg"), f.path().join("b/1.jpg")]);
        assert_eq!(normal(Path::new("../x/./y.jpg")), Path::new("x/y.jpg"));
    }
}

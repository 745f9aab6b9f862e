//! What was made from a file with much patience, kept under the file's hash: a build in which nothing changed is quick.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::hash::digest;

/// A folder of results.
pub struct Store {
    folder: PathBuf,
    used: HashSet<PathBuf>,
}

impl Store {
    /// Opens `folder`, which is made if need be.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self { folder, used: HashSet::new() })
    }

    /// Where the result of doing `what` to `content` belongs, and whether it lies there.
    pub fn place(&mut self, content: &[u8], what: &str) -> (PathBuf, bool) {
        let place = self.folder.join(format!("{}.{what}", digest(content)));
        self.used.insert(place.clone());
        let made = place.is_file();
        (place, made)
    }

    /// Removes what nobody asked for since this store was opened, of the kinds that were asked for: a build that spends
    /// minutes finds its results again after one that does not.
    ///
    /// # Errors
    /// When the folder cannot be read, or a file not be removed.
    pub fn tidy(&self) -> Result<()> {
        let kinds: HashSet<_> = self.used.iter().map(|file| file.extension()).collect();
        for entry in fs::read_dir(&self.folder)? {
            let file = entry?.path();
            if !self.used.contains(&file) && kinds.contains(&file.extension()) {
                remove(&file)?;
            }
        }
        Ok(())
    }
}

fn remove(file: &Path) -> Result<()> {
    fs::remove_file(file).with_context(|| format!("removing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_found_again_until_nobody_wants_them() {
        let folder = std::env::temp_dir().join(format!("xtask-store-{}", std::process::id()));
        let mut store = Store::open(folder.clone()).unwrap();
        let (place, made) = store.place(b"a", "br");
        assert!(!made);
        fs::write(&place, "small").unwrap();
        assert!(store.place(b"a", "br").1 && !store.place(b"b", "br").1 && !store.place(b"a", "wasm").1);
        store.tidy().unwrap();
        assert!(place.is_file());
        let later = |content: &[u8], what: &str| {
            let mut store = Store::open(folder.clone()).unwrap();
            store.place(content, what);
            store.tidy().unwrap();
            place.exists()
        };
        assert!(later(b"b", "wasm") && !later(b"b", "br"));
        fs::remove_dir_all(folder).unwrap();
    }
}

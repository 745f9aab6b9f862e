//! What is kept from one start to the next: layout, theme, scale, device, last folders. One small JSON file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dinoscope_core::files;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Changed when old files make no sense any more; they are then forgotten.
const VERSION: u32 = 1;

#[derive(Default, Serialize, Deserialize)]
struct SettingsFile {
    version: u32,
    #[serde(default)]
    values: BTreeMap<String, serde_json::Value>,
}

/// Values by name. What can't be read is as if it had never been said.
#[derive(Default)]
pub struct SettingsStore {
    file: SettingsFile,
    path: Option<PathBuf>,
    /// What lies on disk, as far as is known.
    written: Vec<u8>,
}

impl SettingsStore {
    /// What the file holds; nothing, and nothing will be written, without one.
    pub fn open(path: Option<PathBuf>) -> Self {
        let read = path.as_ref().and_then(|path| files::read(path).ok());
        let file: Option<SettingsFile> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let file = file.filter(|file| file.version == VERSION).unwrap_or_default();
        Self { file: SettingsFile { version: VERSION, ..file }, path, written: Vec::new() }
    }

    /// The value called `name`.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.file.values.get(name)?.clone()).ok()
    }

    /// Changes the value called `name`.
    pub fn set<T: Serialize>(&mut self, name: &str, value: &T) {
        if let Ok(value) = serde_json::to_value(value) {
            self.file.values.insert(name.to_owned(), value);
        }
    }

    /// Whether anything is kept on disk.
    pub fn is_kept(&self) -> bool {
        self.path.is_some()
    }

    /// Writes the file if anything has changed, whole or not at all. A disk that refuses costs a layout, not the
    /// program.
    pub fn save(&mut self) {
        let Some(path) = &self.path else { return };
        let Ok(text) = serde_json::to_vec_pretty(&self.file) else { return };
        if text == self.written {
            return;
        }
        let made = path.parent().map_or(Ok(()), files::create_dir_all);
        let written = made.and_then(|()| files::write_and_rename(path, &text));
        if let Err(error) = written {
            ::log::warn!("the layout could not be kept in {}: {error}", path.display());
        }
        // Also when it was refused: it is not tried again before there is something new.
        self.written = text;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_and_rubbish_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/studio.json");
        let mut first = SettingsStore::open(Some(path.clone()));
        first.set("scale", &1.5f32);
        first.save();
        let second = SettingsStore::open(Some(path.clone()));
        assert_eq!(second.get::<f32>("scale"), Some(1.5));
        assert_eq!(second.get::<String>("scale"), None);
        std::fs::write(&path, "{ half a fi").unwrap();
        assert_eq!(SettingsStore::open(Some(path.clone())).get::<f32>("scale"), None);
        std::fs::write(&path, r#"{"version":0,"values":{"scale":2.0}}"#).unwrap();
        assert_eq!(SettingsStore::open(Some(path)).get::<f32>("scale"), None);
        assert_eq!(SettingsStore::open(None).get::<f32>("scale"), None);
    }
}

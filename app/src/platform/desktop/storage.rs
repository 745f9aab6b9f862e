//! Where settings and runs are kept: in the user's folders.

use std::path::{Path, PathBuf};

use crate::platform::typed;

/// Whether what is remembered is written by the studio itself soon after it has changed: a program may be killed.
pub const WRITTEN_BY_STUDIO: bool = true;

/// Whether features of evaluations are kept for the next time.
pub const KEEPS_FEATURES: bool = true;

/// Where the settings are kept: `$XDG_CONFIG_HOME/dinoscope/studio.json`, on Windows below `%APPDATA%`.
pub fn settings_file() -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).filter(|path| dinoscope_core::files::is_absolute(path))
    };
    let base = if cfg!(windows) {
        set("APPDATA")
    } else if cfg!(target_os = "macos") {
        set("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))
    };
    base.map(|base| base.join("dinoscope").join("studio.json"))
}

/// What is said about where the settings are kept.
pub fn settings_place() -> Option<String> {
    settings_file().map(|path| path.display().to_string())
}

/// Where runs are kept when nobody has said: `Dinoscope` in the user's documents, wherever the program was started; without
/// a home, `runs` of the current folder.
pub fn runs_folder() -> PathBuf {
    match documents() {
        Some(documents) => documents.join("Dinoscope"),
        None => std::env::current_dir().unwrap_or_default().join("runs"),
    }
}

/// A path that doesn't depend on where the program was started.
///
/// # Errors
/// There is no current folder.
pub fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}

/// Folder in the user's documents where runs are kept, unless somebody has said otherwise.
fn documents() -> Option<PathBuf> {
    let home = typed::home()?;
    let usual = home.join("Documents");
    if cfg!(windows) && !usual.is_dir() {
        // OneDrive takes the folder over.
        let cloud = std::env::var_os("OneDrive").map(|cloud| PathBuf::from(cloud).join("Documents"));
        return Some(cloud.filter(|cloud| cloud.is_dir()).unwrap_or(usual));
    }
    if cfg!(any(windows, target_os = "macos")) {
        return Some(usual);
    }
    let config = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| dinoscope_core::files::is_absolute(path));
    let dirs = config.unwrap_or_else(|| home.join(".config")).join("user-dirs.dirs");
    let named = std::fs::read_to_string(dirs).ok().and_then(|text| user_dir(&text, "DOCUMENTS", &home));
    Some(named.unwrap_or(usual))
}

/// A folder that `user-dirs.dirs` names: a line `XDG_NAME_DIR="$HOME/Name"` or with a whole path.
fn user_dir(text: &str, name: &str, home: &Path) -> Option<PathBuf> {
    let value = text.lines().rev().find_map(|line| {
        let (key, value) = line.trim().split_once('=')?;
        (key.trim() == format!("XDG_{name}_DIR")).then(|| value.trim().trim_matches('"'))
    })?;
    match value.strip_prefix("$HOME") {
        Some(below) => Some(home.join(below.trim_start_matches('/'))),
        None => Some(PathBuf::from(value)).filter(|path| dinoscope_core::files::is_absolute(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_where_the_desktop_says() {
        let home = Path::new("/home/x");
        let text =
            "# a comment\nXDG_DESKTOP_DIR=\"$HOME/Schreibtisch\"\nXDG_DOCUMENTS_DIR=\"$HOME/Dokumente\"\n";
        assert_eq!(user_dir(text, "DOCUMENTS", home), Some(home.join("Dokumente")));
        if cfg!(unix) {
            let whole = user_dir("XDG_DOCUMENTS_DIR=\"/data/papers\"", "DOCUMENTS", home);
            assert_eq!(whole, Some(PathBuf::from("/data/papers")));
        }
        // No folder for documents: then it is the home folder.
        assert_eq!(user_dir("XDG_DOCUMENTS_DIR=\"$HOME/\"", "DOCUMENTS", home), Some(home.join("")));
        assert_eq!(user_dir("XDG_MUSIC_DIR=\"$HOME/M\"", "DOCUMENTS", home), None);
        assert_eq!(user_dir("XDG_DOCUMENTS_DIR=\"papers\"", "DOCUMENTS", home), None);
    }
}

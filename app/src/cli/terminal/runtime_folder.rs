//! A runtime folder for sessions that have none: Vulkan drivers complain on the terminal, several times, without one.

/// Sets `XDG_RUNTIME_DIR`, where it is missing, to a folder that belongs to the user alone, as the specification asks.
///
/// # Safety
/// No other thread reads the environment meanwhile.
#[cfg(target_os = "linux")]
pub unsafe fn have_runtime_folder() {
    const NAME: &str = "XDG_RUNTIME_DIR";
    if std::env::var_os(NAME).is_some() {
        return;
    }
    if let Some(folder) = private_folder(&std::env::temp_dir()) {
        // SAFETY: the caller's promise.
        unsafe { std::env::set_var(NAME, folder) };
    }
}

/// Other systems have other ways.
///
/// # Safety
/// Always.
#[cfg(not(target_os = "linux"))]
pub unsafe fn have_runtime_folder() {}

/// The user's folder below `within`, made where it is not there. What others could have put in its place is not taken:
/// then it is one with another name, or none.
#[cfg(target_os = "linux")]
fn private_folder(within: &std::path::Path) -> Option<std::path::PathBuf> {
    use std::fs::DirBuilder;
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};

    // What the kernel says of this process belongs to who runs it.
    let user = std::fs::metadata("/proc/self").ok()?.uid();
    let process = std::process::id();
    let names = (0..8).map(|attempt| match attempt {
        0 => format!("dinoscope-{user}"),
        _ => format!("dinoscope-{user}-{process}-{attempt}"),
    });
    names.map(|name| within.join(name)).find(|folder| {
        // One that is there already may be ours from the last time.
        let _ = DirBuilder::new().mode(0o700).create(folder);
        let found = std::fs::symlink_metadata(folder);
        found.is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o777 == 0o700)
    })
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn the_folder_is_the_users_alone() {
        let within = tempfile::tempdir().unwrap();
        let first = private_folder(within.path()).unwrap();
        let found = std::fs::metadata(&first).unwrap();
        assert_eq!(found.mode() & 0o777, 0o700);
        assert_eq!(private_folder(within.path()), Some(first.clone()), "the same the next time");

        // Open to others, or a link to elsewhere: not taken.
        std::fs::set_permissions(&first, std::fs::Permissions::from_mode(0o755)).unwrap();
        let second = private_folder(within.path()).unwrap();
        assert_ne!(second, first);
        std::fs::remove_dir(&first).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), &first).unwrap();
        assert_ne!(private_folder(within.path()).unwrap(), first);
        assert_eq!(private_folder(&within.path().join("nowhere")), None);
    }
}

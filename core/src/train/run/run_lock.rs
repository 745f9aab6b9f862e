//! Who trains a run: a lock in its folder, so that no two processes write one run.
//!
//! The system holds it for as long as the process lives, so a crash leaves none behind. `run.lock` says whose it is, for
//! whoever comes second; it stays in the folder, empty while nobody trains. On drives that keep no locks (some network
//! ones) what the file says has to do: then a holder counts as alive while its process is there, or, on another
//! computer, until the file is deleted. A page's files are its own: there nothing is locked.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file in the run's folder.
pub const FILE: &str = "run.lock";

/// A process that trains a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// Its number.
    pub process: u32,
    /// The computer that it runs on.
    pub host: String,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.as_str() {
            "" => write!(f, "pid {}", self.process),
            host => write!(f, "pid {} on {host}", self.process),
        }
    }
}

/// Whether somebody trains a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RunLockStatus {
    /// It can't be told: the run was never trained by a program that locks.
    #[default]
    Unknown,
    /// Nobody does.
    Nobody,
    /// Somebody does; who, where the file could be read.
    By(Option<LockHolder>),
}

impl RunLockStatus {
    /// Whether somebody is known to train it.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::By(_))
    }
}

/// Why a run can't be locked.
#[cfg_attr(target_family = "wasm", allow(dead_code, reason = "a page locks nothing"))]
#[derive(Debug)]
pub(in crate::train) enum RunLockError {
    /// Somebody trains it.
    Taken {
        /// Who, where that could be read.
        by: Option<LockHolder>,
        /// Whether that is known from the system, and not only from what the file says.
        sure: bool,
    },
    /// The file can't be made.
    Io(std::io::Error),
}

pub use imp::{RunLock, held};

#[cfg(not(target_family = "wasm"))]
mod imp {
    use std::fs::TryLockError;
    use std::io::{Seek, Write};
    use std::time::Duration;

    use super::{FILE, LockHolder, Path, RunLockError, RunLockStatus};
    use crate::files::{self, File, OpenOptions};

    /// Who only looks whether a run is locked holds it for an instant: that is waited for.
    const TRIES: usize = 6;
    const BETWEEN: Duration = Duration::from_millis(25);

    /// The right to write a run; given back when it is dropped.
    #[derive(Debug)]
    pub struct RunLock {
        file: File,
        by_system: bool,
    }

    impl RunLock {
        /// Takes the lock of a folder.
        pub(in crate::train) fn take(folder: &Path) -> Result<Self, RunLockError> {
            let path = folder.join(FILE);
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = file.map_err(RunLockError::Io)?;
            let mut tries = 1;
            let by_system = loop {
                match file.try_lock() {
                    Ok(()) => break true,
                    Err(TryLockError::WouldBlock) if tries < TRIES => {
                        tries += 1;
                        std::thread::sleep(BETWEEN);
                    }
                    Err(TryLockError::WouldBlock) => {
                        return Err(RunLockError::Taken { by: said(&path), sure: true });
                    }
                    Err(TryLockError::Error(_)) => break false,
                }
            };
            if !by_system {
                ensure_unlocked(&path)?;
            }
            let own = LockHolder { process: files::process(), host: host() };
            let text = serde_json::to_string(&own).unwrap_or_default() + "\n";
            let written = file.set_len(0).and_then(|()| file.rewind());
            written.and_then(|()| file.write_all(text.as_bytes())).map_err(RunLockError::Io)?;
            Ok(Self { file, by_system })
        }

        /// Whether the system holds it. Else it is a promise among those who read the file.
        pub fn by_system(&self) -> bool {
            self.by_system
        }
    }

    impl Drop for RunLock {
        fn drop(&mut self) {
            // Nobody has it any more. Closing the file gives the lock back.
            let _ = self.file.set_len(0);
        }
    }

    /// Fails when the file names somebody who may be alive.
    pub(super) fn ensure_unlocked(path: &Path) -> Result<(), RunLockError> {
        match said(path) {
            Some(holder) if may_live(&holder) => Err(RunLockError::Taken { by: Some(holder), sure: false }),
            _ => Ok(()),
        }
    }

    /// Whether somebody trains the run in a folder.
    pub fn held(folder: &Path) -> RunLockStatus {
        let path = folder.join(FILE);
        let Ok(file) = File::open(&path) else { return RunLockStatus::Unknown };
        match file.try_lock_shared() {
            Ok(()) => {
                let _ = file.unlock();
                RunLockStatus::Nobody
            }
            Err(TryLockError::WouldBlock) => RunLockStatus::By(said(&path)),
            Err(TryLockError::Error(_)) => match ensure_unlocked(&path) {
                Err(RunLockError::Taken { by, .. }) => RunLockStatus::By(by),
                _ => RunLockStatus::Nobody,
            },
        }
    }

    /// Whom the file names.
    fn said(path: &Path) -> Option<LockHolder> {
        serde_json::from_slice(&files::read(path).ok()?).ok()
    }

    /// Whether a holder may be alive: for certain not when it ran here and its process is gone.
    fn may_live(holder: &LockHolder) -> bool {
        if holder.host != host() {
            return true;
        }
        let processes = Path::new("/proc");
        !files::exists(processes.join("self")) || files::exists(processes.join(holder.process.to_string()))
    }

    /// The computer's name; empty where it has none.
    pub(super) fn host() -> String {
        let named = files::read_to_string("/proc/sys/kernel/hostname").ok();
        let environment = || ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok());
        named.or_else(environment).unwrap_or_default().trim().to_owned()
    }
}

#[cfg(target_family = "wasm")]
mod imp {
    use super::{Path, RunLockError, RunLockStatus};

    /// Nothing: a page's files are its own.
    #[derive(Debug)]
    pub struct RunLock;

    impl RunLock {
        pub(in crate::train) fn take(_: &Path) -> Result<Self, RunLockError> {
            Ok(Self)
        }

        /// Always: nobody else is there.
        pub fn by_system(&self) -> bool {
            true
        }
    }

    /// What lies in a page and is not its own run is nobody's: no other program reaches it.
    pub fn held(_: &Path) -> RunLockStatus {
        RunLockStatus::Nobody
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::files;

    #[test]
    fn one_has_it_and_the_next_is_told_who() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(held(dir.path()), RunLockStatus::Unknown);
        let lock = RunLock::take(dir.path()).unwrap();
        assert!(lock.by_system());
        let own = LockHolder { process: files::process(), host: imp::host() };
        assert_eq!(held(dir.path()), RunLockStatus::By(Some(own.clone())));
        match RunLock::take(dir.path()) {
            Err(RunLockError::Taken { by, sure: true }) => assert_eq!(by, Some(own)),
            other => panic!("{other:?}"),
        }
        drop(lock);
        assert_eq!(held(dir.path()), RunLockStatus::Nobody);
        // Whoever looks does not stand in the way.
        let stop = AtomicBool::new(false);
        let taken = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    held(dir.path());
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            });
            let taken = (0..20).filter(|_| RunLock::take(dir.path()).is_ok()).count();
            stop.store(true, Ordering::Relaxed);
            taken
        });
        assert_eq!(taken, 20);
    }

    #[test]
    fn what_a_crash_leaves_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let left = LockHolder { process: 1, host: imp::host() };
        files::write(dir.path().join(FILE), serde_json::to_string(&left).unwrap()).unwrap();
        assert_eq!(held(dir.path()), RunLockStatus::Nobody);
        drop(RunLock::take(dir.path()).unwrap());
        assert_eq!(files::read(dir.path().join(FILE)).unwrap(), b"", "nobody is named any more");
    }

    #[test]
    fn without_locks_of_the_system_the_file_s_word_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let says = |process: u32, host: &str| {
            let holder = LockHolder { process, host: host.to_owned() };
            files::write(&path, serde_json::to_string(&holder).unwrap()).unwrap();
            imp::ensure_unlocked(&path).is_ok()
        };
        assert!(imp::ensure_unlocked(&path).is_ok(), "no file");
        assert!(!says(files::process(), &imp::host()), "a process that lives");
        assert!(!says(1, "elsewhere"), "nobody here can tell");
        if files::exists("/proc/self") {
            assert!(says(u32::MAX - 1, &imp::host()), "a process that is gone");
        }
        files::write(&path, "").unwrap();
        assert!(imp::ensure_unlocked(&path).is_ok());
    }
}

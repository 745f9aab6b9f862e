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
    /// When it took the lock, in seconds since 1970; older versions did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.process)?;
        if !self.host.is_empty() {
            write!(f, " on {}", self.host)?;
        }
        self.since.map_or(Ok(()), |since| write!(f, " since {}", utc(since)))
    }
}

/// A moment in seconds since 1970 as a person reads it: `2026-11-30 03:08 UTC`.
fn utc(seconds: u64) -> String {
    const DAY: u64 = 86_400;
    let is_leap =
        |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let (mut days, within) = (seconds / DAY, seconds % DAY);
    let mut year = 1970;
    // What a file claims may be any number: no further than four digits.
    while year < 9999 && days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute) = (within / 3600, within / 60 % 60);
    format!("{year}-{month:02}-{:02} {hour:02}:{minute:02} UTC", days.min(30) + 1)
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
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, SystemTime};

    use super::{FILE, LockHolder, Path, RunLockError, RunLockStatus};
    use crate::files::{self, File, OpenOptions};

    /// Who only looks whether a run is locked holds it for an instant: that is waited for.
    const TRIES: usize = 6;
    const BETWEEN: Duration = Duration::from_millis(25);

    /// The right to write a run; given back when it is dropped.
    #[derive(Debug)]
    pub struct RunLock {
        held: Mutex<HeldLockFile>,
    }

    /// The file, which stays open as long as the lock is held.
    #[derive(Debug)]
    struct HeldLockFile {
        file: File,
        by_system: bool,
        /// What was written into it, which nobody else writes.
        text: String,
    }

    /// Counts the locks of this process.
    static TAKEN: AtomicU64 = AtomicU64::new(0);

    /// What the file holds.
    #[derive(serde::Serialize)]
    struct LockRecord {
        #[serde(flatten)]
        holder: LockHolder,
        /// Tells locks of one process apart.
        number: u64,
    }

    impl HeldLockFile {
        fn take(folder: &Path) -> Result<Self, RunLockError> {
            let path = folder.join(FILE);
            let mut tries = 1;
            loop {
                let held = Self::take_once(&path)?;
                // Somebody may have deleted it between opening and locking: then it keeps nobody off.
                if files::is_at(&held.file, &path) || tries == TRIES {
                    return Ok(held);
                }
                tries += 1;
            }
        }

        fn take_once(path: &Path) -> Result<Self, RunLockError> {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).open(path);
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
                        return Err(RunLockError::Taken { by: said(path), sure: true });
                    }
                    Err(TryLockError::Error(_)) => break false,
                }
            };
            if !by_system {
                ensure_unlocked(path)?;
            }
            let since =
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok().map(|time| time.as_secs());
            let holder = LockHolder { process: files::process(), host: host(), since };
            let record = LockRecord { holder, number: TAKEN.fetch_add(1, Ordering::Relaxed) };
            let text = serde_json::to_string(&record).unwrap_or_default() + "\n";
            let written = file.set_len(0).and_then(|()| file.rewind());
            written.and_then(|()| file.write_all(text.as_bytes())).map_err(RunLockError::Io)?;
            Ok(Self { file, by_system, text })
        }
    }

    impl Drop for HeldLockFile {
        fn drop(&mut self) {
            // Nobody has it any more. Closing the file gives the lock back.
            let _ = self.file.set_len(0);
        }
    }

    impl RunLock {
        /// Takes the lock of a folder.
        pub(in crate::train) fn take(folder: &Path) -> Result<Self, RunLockError> {
            Ok(Self { held: Mutex::new(HeldLockFile::take(folder)?) })
        }

        /// Whether the system holds it. Else it is a promise among those who read the file.
        pub fn by_system(&self) -> bool {
            self.held.lock().unwrap_or_else(PoisonError::into_inner).by_system
        }

        /// Takes it again where its file was deleted or replaced.
        ///
        /// # Errors
        /// When somebody else was faster.
        pub(in crate::train) fn ensure(&self, folder: &Path) -> Result<(), RunLockError> {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let path = folder.join(FILE);
            // Drives that number files anew still have what was written.
            let is_own = || files::read(&path).is_ok_and(|text| text == held.text.as_bytes());
            if !files::is_at(&held.file, &path) && !is_own() {
                *held = HeldLockFile::take(folder)?;
            }
            Ok(())
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

        pub(in crate::train) fn ensure(&self, _: &Path) -> Result<(), RunLockError> {
            Ok(())
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
#[path = "run_lock_tests.rs"]
mod tests;

//! One writer a run; the next is told who.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::files;

#[test]
fn one_has_it_and_the_next_is_told_who() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(held(dir.path()), RunLockStatus::Unknown);
    let lock = RunLock::take(dir.path()).unwrap();
    assert!(lock.by_system());
    let RunLockStatus::By(Some(own)) = held(dir.path()) else { panic!("{:?}", held(dir.path())) };
    assert_eq!((own.process, own.host.clone()), (files::process(), imp::host()));
    let since = std::time::UNIX_EPOCH + std::time::Duration::from_secs(own.since.unwrap());
    assert!(since.elapsed().is_ok_and(|ago| ago.as_secs() < 86_400), "{own}");
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
#[cfg(unix)]
fn a_lock_whose_file_was_deleted_is_taken_again_or_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let first = RunLock::take(dir.path()).unwrap();
    first.ensure(dir.path()).unwrap();
    files::remove_file(&path).unwrap();
    first.ensure(dir.path()).unwrap();
    assert!(RunLock::take(dir.path()).is_err(), "it is held again");
    files::remove_file(&path).unwrap();
    let second = RunLock::take(dir.path()).unwrap();
    assert!(matches!(first.ensure(dir.path()), Err(RunLockError::Taken { by: Some(_), .. })));
    drop(second);
    first.ensure(dir.path()).unwrap();
    assert!(held(dir.path()).is_held());
}

#[test]
fn moments_are_told_as_dates() {
    for (seconds, said) in [
        (0, "1970-01-01 00:00 UTC"),
        (951_782_399, "2000-02-28 23:59 UTC"),
        (951_782_400, "2000-02-29 00:00 UTC"),
        (1_709_251_199, "2024-02-29 23:59 UTC"),
        (1_796_007_480, "2026-11-30 02:58 UTC"),
        (1_798_761_599, "2026-12-31 23:59 UTC"),
    ] {
        assert_eq!(utc(seconds), said);
    }
    assert!(utc(u64::MAX).starts_with("9999-"), "whatever a file claims");
    let holder = LockHolder { process: 7, host: "desk".to_owned(), since: Some(0) };
    assert_eq!(holder.to_string(), "pid 7 on desk since 1970-01-01 00:00 UTC");
}

#[test]
fn what_a_crash_leaves_is_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let left = LockHolder { process: 1, host: imp::host(), since: None };
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
        let holder = LockHolder { process, host: host.to_owned(), since: Some(0) };
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

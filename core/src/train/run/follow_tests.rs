//! Following a run: lines as they come, half lines, runs that go on, and folders that vanish.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use super::*;
use crate::train::metrics::of_pairs as values;
use crate::train::run::MetricsLog;

/// A run that nobody trains any more.
fn new_run(dir: &Path) -> RunFolder {
    let made = RunFolder::create(&dir.join("run"), &Recipe::preset("nano").unwrap()).unwrap();
    RunFolder::open(made.path()).unwrap()
}

fn write(log: &mut MetricsLog, iterations: std::ops::Range<u64>, speed: f64) {
    for i in iterations {
        log.append(&MetricsLine::new(i, &values(&[("loss", i as f64), ("steps_per_second", speed)])))
            .unwrap();
    }
}

fn iterations(changes: &RunFolderChanges) -> Vec<u64> {
    changes.lines.iter().map(|line| line.iteration).collect()
}

/// A complete checkpoint, as far as its name and its last file say.
fn checkpoint_at(folder: &RunFolder, iteration: u64) {
    let at = folder.checkpoints().join(format!("{iteration:06}"));
    files::create_dir_all(&at).unwrap();
    files::write(at.join("state.json"), "{}").unwrap();
}

#[test]
fn lines_come_once_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_run(dir.path());
    let mut follower = RunFolderReader::open(folder.path()).unwrap();
    let first = follower.poll().unwrap();
    assert_eq!(first.recipe.as_ref(), Some(&Recipe::preset("nano").unwrap()));
    assert_eq!((first.lines.len(), first.restarted, first.finished), (0, false, false));
    assert!(follower.poll().unwrap().is_empty());

    let mut log = folder.metrics_from(0).unwrap();
    write(&mut log, 0..3, 1.0);
    let more = follower.poll().unwrap();
    assert_eq!((iterations(&more), more.restarted, more.recipe), (vec![0, 1, 2], false, None));
    assert_eq!(more.lines, folder.lines());
    assert!(follower.poll().unwrap().is_empty());

    // Half a line, then the other half with another line.
    let mut file = files::OpenOptions::new().append(true).open(folder.metrics_file()).unwrap();
    file.write_all(b"{\"iteration\":3,\"lo").unwrap();
    assert!(follower.poll().unwrap().is_empty());
    file.write_all(b"ss\":0.5}\nno json\n{\"iteration\":4}\n").unwrap();
    let more = follower.poll().unwrap();
    assert_eq!((iterations(&more), more.lines[0].values["loss"]), (vec![3, 4], Some(0.5)));
}

#[test]
fn only_what_was_added_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_run(dir.path());
    write(&mut folder.metrics_from(0).unwrap(), 0..100, 1.0);
    let mut follower = RunFolderReader::open(folder.path()).unwrap();
    assert_eq!(follower.poll().unwrap().lines.len(), 100);
    // Old lines are spoilt in place: nobody who reads only what is new can tell.
    let mut text = files::read(folder.metrics_file()).unwrap();
    text[..1000].fill(b'x');
    files::write(folder.metrics_file(), &text).unwrap();
    let mut log = files::OpenOptions::new().append(true).open(folder.metrics_file()).unwrap();
    log.write_all(b"{\"iteration\":100}\n").unwrap();
    let more = follower.poll().unwrap();
    assert_eq!((iterations(&more), more.restarted), (vec![100], false));
}

#[test]
fn a_run_that_goes_on_from_before_is_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_run(dir.path());
    write(&mut folder.metrics_from(0).unwrap(), 0..9, 1.0);
    checkpoint_at(&folder, 5);
    let mut follower = RunFolderReader::open(folder.path()).unwrap();
    let first = follower.poll().unwrap();
    assert_eq!((first.lines.len(), first.checkpoints), (9, vec![5]));

    // Shorter than before.
    let mut log = folder.metrics_from(5).unwrap();
    let again = follower.poll().unwrap();
    assert_eq!((iterations(&again), again.restarted), ((0..5).collect(), true));
    assert_eq!((again.checkpoints, again.recipe.is_some()), (vec![5], true));
    // Longer again, with nothing repeated.
    write(&mut log, 5..12, 2.0);
    let more = follower.poll().unwrap();
    assert_eq!((iterations(&more), more.restarted), ((5..12).collect(), false));

    // Cut and grown beyond the old length between two looks.
    write(&mut folder.metrics_from(5).unwrap(), 5..40, 3.0);
    let again = follower.poll().unwrap();
    assert_eq!((iterations(&again), again.restarted), ((0..40).collect(), true));

    // Going on where it stood is no restart.
    write(&mut folder.metrics_from(40).unwrap(), 40..42, 3.0);
    let more = follower.poll().unwrap();
    assert_eq!((iterations(&more), more.restarted), (vec![40, 41], false));
    // Nor are figures without a file, but what was given is gone.
    files::remove_file(folder.metrics_file()).unwrap();
    assert!(follower.poll().unwrap().restarted);
    assert!(!follower.poll().unwrap().restarted);
}

#[test]
fn pictures_checkpoints_and_recipes_are_told_when_they_are_new() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_run(dir.path());
    let mut follower = RunFolderReader::open(folder.path()).unwrap();
    follower.poll().unwrap();
    let picture =
        |iteration, kind| files::write(film::file(&folder, iteration, kind), iteration.to_string()).unwrap();
    picture(0, WatchFrameKind::View);
    picture(0, WatchFrameKind::Pca);
    assert!(follower.poll().unwrap().is_empty(), "not all pictures of the moment are there");
    picture(0, WatchFrameKind::Attention);
    picture(100, WatchFrameKind::Attention);
    checkpoint_at(&folder, 50);
    let changes = follower.poll().unwrap();
    assert_eq!((changes.pictures, changes.checkpoints), (vec![0, 100], vec![50]));
    assert!(follower.poll().unwrap().is_empty());
    picture(200, WatchFrameKind::Attention);
    // A checkpoint that was removed is no news, one that comes is.
    files::remove_dir_all(folder.checkpoints().join("000050")).unwrap();
    checkpoint_at(&folder, 100);
    let changes = follower.poll().unwrap();
    assert_eq!((changes.pictures, changes.checkpoints, changes.recipe), (vec![200], vec![100], None));

    let changed = folder.recipe().unwrap().with_overrides(&["train.report_every=12345".into()]).unwrap();
    folder.write_recipe(&changed).unwrap();
    assert_eq!(follower.poll().unwrap().recipe, Some(changed));
    assert!(follower.poll().unwrap().is_empty());
    files::write(folder.recipe_file(), "preset = ").unwrap();
    assert!(follower.poll().unwrap_err().to_string().contains("recipe.toml"));
    assert!(follower.poll().unwrap().is_empty(), "said once");
}

#[cfg(unix)]
#[test]
fn a_folder_is_looked_into_when_its_time_may_hide_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_run(dir.path());
    let mut follower = RunFolderReader::open(folder.path()).unwrap();
    let mut add = |iteration, time| {
        files::write(film::file(&folder, iteration, WatchFrameKind::Attention), "").unwrap();
        File::open(folder.pictures()).unwrap().set_modified(time).unwrap();
        follower.poll().unwrap().pictures
    };
    // Two pictures within what a file system takes for one moment.
    let now = SystemTime::now();
    assert_eq!(add(1, now), [1]);
    assert_eq!(add(2, now), [2]);
    // A folder that has long been the same is not looked into.
    let long_ago = now - Duration::from_secs(3600);
    assert_eq!(add(3, long_ago), [3]);
    assert!(add(4, long_ago).is_empty());
    assert_eq!(add(5, now), [4, 5]);
}

#[test]
fn a_run_is_finished_with_its_report_or_its_last_checkpoint_when_nobody_trains_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_run(dir.path());
    write(&mut folder.metrics_from(0).unwrap(), 0..3, 1.0);
    let mut follower = RunFolderReader::open(folder.path()).unwrap();
    let mut state = || follower.poll().map(|changes| (changes.finished, changes.held)).unwrap();
    assert_eq!(state(), (false, RunLockStatus::Nobody));
    files::write(folder.report_file(), "<html>").unwrap();
    assert_eq!((state(), state()), ((true, RunLockStatus::Nobody), (true, RunLockStatus::Nobody)));

    // It goes on, and the clock was put back: the report is of tomorrow.
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    File::options().append(true).open(folder.report_file()).unwrap().set_modified(tomorrow).unwrap();
    let recipe = folder.recipe().unwrap();
    let trained = RunFolder::reopen(folder.path(), &recipe).unwrap();
    let (finished, held) = state();
    assert!(!finished && matches!(held, RunLockStatus::By(Some(_))), "{held:?}");
    let total = recipe.train.iterations;
    checkpoint_at(&folder, total - 1);
    checkpoint_at(&folder, total);
    assert!(!state().0, "its report is being written");
    drop(trained);
    files::remove_file(folder.report_file()).unwrap();
    assert_eq!(state(), (true, RunLockStatus::Nobody));
}

#[test]
fn of_runs_without_a_lock_times_must_tell() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_run(dir.path());
    files::remove_file(folder.path().join(run_lock::FILE)).unwrap();
    write(&mut folder.metrics_from(0).unwrap(), 0..3, 1.0);
    let mut follower = RunFolderReader::open(folder.path()).unwrap();
    let mut finished = || {
        let changes = follower.poll().unwrap();
        assert_eq!(changes.held, RunLockStatus::Unknown);
        changes.finished
    };
    assert!(!finished());
    files::write(folder.report_file(), "<html>").unwrap();
    assert!(finished());
    // The run goes on: its report is of yesterday.
    let later = SystemTime::now() + Duration::from_secs(5);
    write(&mut folder.metrics_from(3).unwrap(), 3..4, 1.0);
    File::options().append(true).open(folder.metrics_file()).unwrap().set_modified(later).unwrap();
    assert!(!finished());
}

#[test]
fn a_long_run_is_given_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_run(dir.path());
    let filler = "x".repeat(200);
    let line = |i: u64| format!("{{\"iteration\":{i},\"loss\":1.5,\"{filler}\":1}}\n");
    let count = 3 * AT_ONCE / line(10_000).len() as u64;
    files::write(folder.metrics_file(), (0..count).map(line).collect::<String>()).unwrap();
    let mut follower = RunFolderReader::open(folder.path()).unwrap();
    let (mut seen, mut parts) = (Vec::new(), 0);
    let mut take = |changes: RunFolderChanges| {
        assert!(!changes.restarted);
        seen.extend(iterations(&changes));
        parts += 1;
    };
    follower.poll_all(&mut take).unwrap();
    follower.poll_all(&mut take).unwrap();
    assert!((4..6).contains(&parts), "{parts}");
    assert_eq!(seen, (0..count).collect::<Vec<u64>>());
    // What has no end is no line, and is not waited for.
    files::write(folder.metrics_file(), vec![b'x'; 2 * AT_ONCE as usize + 5]).unwrap();
    let mut log = files::OpenOptions::new().append(true).open(folder.metrics_file()).unwrap();
    log.write_all(b"\n{\"iteration\":7}\n").unwrap();
    let mut seen = Vec::new();
    follower.poll_all(|changes| seen.extend(iterations(&changes))).unwrap();
    assert_eq!(seen, [7]);
}

#[test]
fn a_folder_that_is_gone_or_holds_no_run_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(RunFolderReader::open(dir.path()).unwrap_err().to_string().contains("holds no run"));
    let folder = new_run(dir.path());
    let mut follower = RunFolderReader::open(folder.path()).unwrap();
    follower.poll().unwrap();
    files::remove_dir_all(folder.path()).unwrap();
    let message = follower.poll().unwrap_err().to_string();
    assert!(message.contains("is gone") && message.contains("run"), "{message}");
}

#[test]
fn runs_are_listed_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let nano = Recipe::preset("nano").unwrap();
    let day = |days: u64| SystemTime::now() - Duration::from_secs(days * 86_400);
    for (name, recipe_age, metrics_age) in [("a", 3, None), ("b", 9, Some(1)), ("c", 2, None)] {
        let folder = RunFolder::create(&dir.path().join(name), &nano).unwrap();
        File::options()
            .append(true)
            .open(folder.recipe_file())
            .unwrap()
            .set_modified(day(recipe_age))
            .unwrap();
        if let Some(age) = metrics_age {
            folder.metrics_from(0).unwrap();
            File::options().append(true).open(folder.metrics_file()).unwrap().set_modified(day(age)).unwrap();
        }
    }
    files::create_dir(dir.path().join("no run")).unwrap();
    files::write(dir.path().join("recipe.toml"), "").unwrap();
    let names: Vec<PathBuf> = ["b", "c", "a"].iter().map(|name| dir.path().join(name)).collect();
    assert_eq!(runs_in(dir.path()), names);
    assert!(runs_in(&dir.path().join("nothing")).is_empty());
}

//! A run's folder over its life: two processes that want it, pictures that move, a run that becomes longer, files that
//! are damaged, a folder that is not empty.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Output, Stdio};

use dinoscope_core::analysis::image_out::write_png;
use dinoscope_core::data::source::scenes;
use dinoscope_core::train::archive;
use dinoscope_core::train::run::RunFolder;
use dinoscope_tests::program::{TINY, command, losses, ok, run};

/// A new run of so many steps, a checkpoint every four.
fn train<'a>(out: &'a str, iterations: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["train", "nano", "--device", "cpu", "--out", out];
    all.extend(TINY);
    all.extend(["--set", iterations, "--set", "optim.warmup=2", "--set", "train.checkpoint_every=4"]);
    all.extend(["--set", "train.picture_every=0", "--set", "train.evaluate_every=0"]);
    all.extend(more);
    all
}

/// Goes on with a run.
fn resume<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "--resume", "--device", "cpu", "--out", out], more].concat()
}

fn pictures(folder: &Path, count: usize) {
    fs::create_dir_all(folder).unwrap();
    for i in 0..count {
        write_png(&folder.join(format!("{i}.png")), &scenes::draw(11, i, 40).picture).unwrap();
    }
}

/// Starts the program, and waits until a checkpoint is there.
fn under_way(dir: &Path, arguments: &[&str]) -> Child {
    let mut all = arguments.to_vec();
    all.push("--json");
    let mut child = command(dir, &all).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains("\"checkpoint\"")), "it has ended");
    // Somebody has to go on reading.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn killed(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What the program says on its way out, which must be with this status.
#[track_caller]
fn ends(dir: &Path, arguments: &[&str], status: i32) -> String {
    let output = run(dir, arguments);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    text
}

fn steps(run: &Path) -> Vec<u64> {
    losses(run).into_iter().map(|(step, _)| step).collect()
}

#[test]
fn one_process_trains_a_run_and_the_next_is_told_which() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let child = under_way(dir.path(), &train("run", "train.iterations=1000000", &[]));
    let named = format!("another process, pid {}", child.id());
    let since = " since 20";
    for more in [&[][..], &["--json"], &["--set", "train.iterations=2000000"]] {
        let told = ends(dir.path(), &resume("run", more), 2);
        assert!(told.contains(&named) && told.contains("goes on with this run"), "{told}");
        assert!(told.contains(since), "{told}");
    }
    let told = ends(dir.path(), &train("run", "train.iterations=9", &[]), 2);
    assert!(told.contains("already holds a run"), "{told}");
    assert_eq!(RunFolder::open(&path).unwrap().recipe().unwrap().train.iterations, 1_000_000);
    killed(child);
    // A crash leaves no lock.
    let (done, _) = RunFolder::open(&path).unwrap().latest_checkpoint().unwrap();
    let length = format!("train.iterations={}", done + 3);
    ends(dir.path(), &resume("run", &["--set", &length]), 0);
    assert_eq!(steps(&path), (0..done + 3).collect::<Vec<_>>());
}

/// How often several processes want a run; more by `DINOSCOPE_WRITERS=25`.
fn rounds() -> usize {
    std::env::var("DINOSCOPE_WRITERS").ok().and_then(|n| n.parse().ok()).unwrap_or(4)
}

#[test]
fn of_many_that_go_on_at_once_one_does_and_no_figure_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..rounds() {
        let out = format!("run-{round}");
        killed(under_way(dir.path(), &train(&out, "train.iterations=1000000", &[])));
        let path = dir.path().join(&out);
        let (done, _) = RunFolder::open(&path).unwrap().latest_checkpoint().unwrap();
        let length = format!("train.iterations={}", done + 30);
        let arguments = resume(&out, &["--set", &length]);
        let start = || command(dir.path(), &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let all: Vec<Child> = (0..3).map(|_| start().unwrap()).collect();
        let ended: Vec<Output> = all.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        for output in &ended {
            let text = said(output);
            let refused = output.status.code() == Some(2) && text.contains("another process, pid");
            // Who came when all was over is told so.
            assert!(output.status.success() || refused, "{}: {text}", output.status);
        }
        let trained = ended.iter().filter(|output| said(output).contains("loss ")).count();
        assert_eq!(trained, 1, "round {round}");
        assert_eq!(steps(&path), (0..done + 30).collect::<Vec<_>>());
    }
}

#[test]
fn pictures_that_moved_are_found_again_from_a_folder_and_from_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home/ada");
    pictures(&home.join("old"), 8);
    let data = home.join("old");
    let data = data.to_str().unwrap();
    killed(under_way(dir.path(), &train("run", "train.iterations=1000000", &["--data", data])));
    let path = dir.path().join("run");
    let (done, _) = RunFolder::open(&path).unwrap().latest_checkpoint().unwrap();
    let packed = archive::pack(&path).unwrap();
    fs::rename(home.join("old"), home.join("new")).unwrap();
    let length = format!("train.iterations={}", done + 2);

    // The first message names the way, and nothing is lost on it.
    let told = ends(dir.path(), &resume("run", &[]), 2);
    assert!(told.contains("can't read") && told.contains("train --resume --out run --data NEW"), "{told}");
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    pictures(&elsewhere.join("fewer"), 7);
    let fewer = elsewhere.join("fewer");
    let told = ends(dir.path(), &resume("run", &["--data", fewer.to_str().unwrap()]), 2);
    assert!(told.contains("there were 8, there are 7"), "{told}");
    assert_eq!(RunFolder::open(&path).unwrap().recipe().unwrap().data.path, data);

    let new = home.join("new");
    let new = new.to_str().unwrap();
    let told = ends(dir.path(), &resume("run", &["--data", new, "--set", &length]), 0);
    assert!(told.contains("8 pictures of the same names"), "{told}");
    assert_eq!(RunFolder::open(&path).unwrap().recipe().unwrap().data.path, new);
    assert_eq!(steps(&path), (0..done + 2).collect::<Vec<_>>());
    // Paths are kept absolute, however they were named.
    let relative = ["--set", "data.path=home/ada/new"];
    ok(dir.path(), &train("relative", "train.iterations=2", &relative));
    assert_eq!(RunFolder::open(&dir.path().join("relative")).unwrap().recipe().unwrap().data.path, new);
    let relative = dir.path().join("relative");
    let longer = ["--set", "train.iterations=3"];
    ends(&elsewhere, &resume(relative.to_str().unwrap(), &longer), 0);

    // On another computer: only the run in one file, and the pictures somewhere.
    fs::write(elsewhere.join("mine.zip"), &packed).unwrap();
    let zipped = ["train", "--resume", "mine.zip", "--device", "cpu"];
    let told = ends(&elsewhere, &zipped, 2);
    assert!(told.contains("--resume --out mine --data NEW") && !told.contains("home"), "{told}");
    let told = ends(&elsewhere, &resume("mine", &["--data", new, "--set", &length]), 0);
    assert!(told.contains("8 pictures of the same names"), "{told}");
    fs::rename(elsewhere.join("mine.zip"), elsewhere.join("again.zip")).unwrap();
    let at_once = ["train", "--resume", "again.zip", "--device", "cpu", "--data", new, "--set", &length];
    ends(&elsewhere, &at_once, 0);
    assert_eq!(losses(&elsewhere.join("again")), losses(&elsewhere.join("mine")));
    assert_eq!(losses(&elsewhere.join("again")), losses(&path));
}

#[test]
fn a_teacher_that_moved_is_named_anew() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &train("teacher", "train.iterations=4", &[]));
    let mut distill = vec!["distill", "--teacher", "teacher", "--student", "nano", "--method", "regression"];
    distill.extend(&train("student", "train.iterations=1000000", &[])[2..]);
    killed(under_way(dir.path(), &distill));
    fs::rename(dir.path().join("teacher"), dir.path().join("moved")).unwrap();
    let path = dir.path().join("student");
    let (done, _) = RunFolder::open(&path).unwrap().latest_checkpoint().unwrap();
    let length = format!("train.iterations={}", done + 2);
    let on = ["distill", "--resume", "--out", "student", "--device", "cpu"];
    let told = ends(dir.path(), &on, 2);
    assert!(told.contains("distill --resume --out student --teacher NEW"), "{told}");
    let told = ends(dir.path(), &[&on[..], &["--teacher", "moved", "--set", &length]].concat(), 0);
    assert!(told.contains("the same weights"), "{told}");
    // The same by its field, with the other word.
    let longer = format!("train.iterations={}", done + 4);
    fs::rename(dir.path().join("moved"), dir.path().join("back")).unwrap();
    ends(dir.path(), &resume("student", &["--set", "distill.teacher=back", "--set", &longer]), 0);
    let teacher = RunFolder::open(&path).unwrap().recipe().unwrap().distill.teacher;
    assert!(dinoscope_core::files::is_absolute(&teacher) && teacher.ends_with("back"), "{teacher}");
    assert_eq!(steps(&path), (0..done + 4).collect::<Vec<_>>());
}

/// Every file of a run with its bytes.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(contents(&path)),
            false => all.push((path.display().to_string(), fs::read(&path).unwrap())),
        }
    }
    all.sort();
    all
}

#[test]
fn a_finished_run_says_so_and_becomes_longer_when_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    ok(dir.path(), &train("run", "train.iterations=6", &[]));
    let before = contents(&path);
    let told = ends(dir.path(), &resume("run", &[]), 0);
    assert!(told.contains("finished at step 6") && told.contains("--set train.iterations=N"), "{told}");
    let json: serde_json::Value = serde_json::from_str(&ok(dir.path(), &resume("run", &["--json"]))).unwrap();
    assert_eq!((json["event"].as_str(), json["iteration"].as_u64()), (Some("finished"), Some(6)));
    // A preset's own length asks for nothing.
    let mut same = vec!["train", "nano", "--device", "cpu", "--out", "run", "--resume"];
    same.extend(TINY);
    same.extend(["--set", "optim.warmup=2", "--set", "train.checkpoint_every=4"]);
    same.extend(["--set", "train.picture_every=0", "--set", "train.evaluate_every=0"]);
    ends(dir.path(), &same, 0);
    assert!(contents(&path) == before, "nothing was written");

    let told = ends(dir.path(), &resume("run", &["--set", "train.iterations=5"]), 2);
    assert!(told.contains("6 steps are done"), "{told}");
    let told = ends(dir.path(), &resume("run", &["--set", "train.iterations=12"]), 0);
    assert!(told.contains("from step 6 on all schedules are those of a run of 12"), "{told}");
    assert_eq!(steps(&path), (0..12).collect::<Vec<_>>());
    assert_eq!(RunFolder::open(&path).unwrap().recipe().unwrap().train.iterations, 12);

    // One that was stopped may become longer, or shorter, as long as its steps are kept.
    killed(under_way(dir.path(), &train("cut", "train.iterations=1000000", &[])));
    let path = dir.path().join("cut");
    let (done, _) = RunFolder::open(&path).unwrap().latest_checkpoint().unwrap();
    let length = format!("train.iterations={}", done + 1);
    ends(dir.path(), &resume("cut", &["--set", &length]), 0);
    assert_eq!(steps(&path).len() as u64, done + 1);
}

#[test]
fn damage_in_the_figures_costs_a_line_and_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    ok(dir.path(), &train("run", "train.iterations=6", &[]));
    let metrics = path.join("metrics.jsonl");
    let whole = fs::read(&metrics).unwrap();
    // As long as nothing is wrong not a byte changes, however often the run goes on.
    for length in ["train.iterations=7", "train.iterations=8"] {
        ends(dir.path(), &resume("run", &["--set", length]), 0);
    }
    assert!(fs::read(&metrics).unwrap().starts_with(&whole));

    let mut bytes = fs::read(&metrics).unwrap();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 20;
    bytes[second] |= 0x80;
    fs::write(&metrics, &bytes).unwrap();
    let told = ends(dir.path(), &resume("run", &["--set", "train.iterations=9"]), 0);
    assert!(
        told.contains("1 line of metrics.jsonl is damaged") && told.contains("metrics.jsonl.bak"),
        "{told}"
    );
    assert_eq!(steps(&path), [0, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(fs::read(path.join("metrics.jsonl.bak")).unwrap(), bytes);
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    ok(dir.path(), &train("run", "train.iterations=6", &[]));
    let want = losses(&path);
    let student = path.join("checkpoints/000006/student.safetensors");
    let mut bytes = fs::read(&student).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&student, bytes).unwrap();
    let told = ends(dir.path(), &resume("run", &[]), 0);
    assert!(told.contains("student.safetensors") && told.contains("goes on from step 4"), "{told}");
    assert_eq!(losses(&path), want);
    assert!(path.join("checkpoints/000006.damaged/student.safetensors").is_file());
}

#[test]
fn files_that_are_no_run_s_are_not_overwritten_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let short = "train.iterations=2";
    let mut demo = vec!["demo", "--device", "cpu", "--out", "mine"];
    demo.extend(&train("mine", short, &[])[6..]);
    for arguments in [train("mine", short, &[]), demo] {
        let _ = fs::remove_dir_all(dir.path().join("mine"));
        fs::create_dir(dir.path().join("mine")).unwrap();
        let report = dir.path().join("mine/report.html");
        fs::write(&report, "precious").unwrap();
        let told = ends(dir.path(), &arguments, 2);
        assert!(told.contains("report.html") && told.contains("--force"), "{told}");
        assert_eq!(fs::read_to_string(&report).unwrap(), "precious");
        ends(dir.path(), &[&arguments[..], &["--force"]].concat(), 0);
        assert!(fs::read_to_string(&report).unwrap().contains("<html"));
        // A run is never overwritten.
        let told = ends(dir.path(), &[&arguments[..], &["--force"]].concat(), 2);
        assert!(told.contains("already holds a run"), "{told}");
    }
}

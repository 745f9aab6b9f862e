//! Training as a person meets it in the terminal: pipes that close, runs that stop and go on, pictures that go away.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use dinoscope_core::analysis::image_out::write_png;
use dinoscope_core::data::source::scenes;
use dinoscope_core::train::checkpoint;
use dinoscope_tests::program::{TINY, command, losses, ok, path, run};

fn arguments<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["train", "nano", "--device", "cpu", "--out", out];
    all.extend(TINY);
    all.extend(["--set", "train.picture_every=0"]);
    all.extend(more);
    all
}

fn newest(run: &Path) -> u64 {
    checkpoint::list(&run.join("checkpoints")).last().unwrap().0
}

/// Both streams together.
fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).join("\n")
}

/// Runs until its first progress, then Ctrl-C; what it said at the end.
fn interrupted(dir: &Path, arguments: &[&str], sign: &str) -> Output {
    let mut child = command(dir, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains(sign)));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    lines.for_each(drop);
    child.wait_with_output().unwrap()
}

#[test]
fn training_goes_on_when_nobody_reads_it_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let program = path().display().to_string();
    for (out, more, way) in [
        ("head", "--json", "| head -2 >/dev/null"),
        ("head-err", "", "2>&1 | head -1 >/dev/null"),
        ("full", "--json", ">/dev/full"),
        ("full-err", "", "2>/dev/full"),
        ("closed-err", "", "2>&-"),
        ("closed", "--json", ">&- 2>&-"),
    ] {
        let all =
            arguments(out, &["--set", "train.iterations=30", "--set", "train.evaluate_every=0"]).join(" ");
        let output = Command::new("sh")
            .args(["-c", &format!("'{program}' {all} {more} {way}")])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let said = said(&output);
        assert!(!said.contains("panicked"), "{out}: {said}");
        assert_eq!(newest(&dir.path().join(out)), 30, "{out}: {said}");
        assert!(dir.path().join(out).join("report.html").is_file(), "{out}");
    }
}

#[test]
fn figures_at_the_end_name_their_steps() {
    let dir = tempfile::tempdir().unwrap();
    let long = ["--set", "train.iterations=600", "--set", "train.evaluate_every=600"];
    let output = interrupted(dir.path(), &arguments("run", &long), "loss");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    let stopped = newest(&dir.path().join("run"));
    assert!((1..600).contains(&stopped), "{stopped}");
    assert!(text.contains("k-NN accuracy untrained") && text.contains("not measured since"), "{text}");
    let first = losses(&dir.path().join("run"))[0].1;
    let begins = format!("loss {first:.3} in step 1 → ");
    assert!(text.contains(&begins) && text.contains(&format!(" in step {stopped}\n")), "{text}");

    // The part after it is told together with what came before.
    let text = ok(dir.path(), &["train", "--out", "run", "--resume", "--device", "cpu"]);
    assert!(text.contains("k-NN accuracy after 600 steps") && text.contains(", untrained "), "{text}");
    assert!(text.contains(&begins) && text.contains(" in step 600\n"), "{text}");
}

#[test]
fn a_short_run_gets_a_short_warm_up_and_slips_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let short = ["--set", "train.iterations=10", "--set", "train.evaluate_every=0"];
    let output = run(dir.path(), &arguments("short", &short));
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("warm-up is 1 of 10 steps"), "{text}");
    let recipe = fs::read_to_string(dir.path().join("short/recipe.toml")).unwrap();
    assert!(recipe.contains("warmup = 1\n"), "{recipe}");

    fs::write(dir.path().join("slip.toml"), "[train]\nbtch = 3\n").unwrap();
    for wrong in
        [&["train", "--set", "train.btch=3"][..], &["train", "slip.toml"], &["demo", "--set", "btch=3"]]
    {
        let output = run(dir.path(), wrong);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("did you mean train.batch?"), "{text}");
    }
    let output = run(dir.path(), &["train", "--set", "train.iterations=10", "--set", "optim.warmup=11"]);
    assert!(
        output.status.code() == Some(2) && said(&output).contains("optim.warmup = 11"),
        "{}",
        said(&output)
    );
}

#[test]
fn what_can_not_go_well_is_said_before_it_starts() {
    let dir = tempfile::tempdir().unwrap();
    write_png(&dir.path().join("one.png"), &scenes::draw(3, 0, 40).picture).unwrap();
    let one = ["--data", "one.png", "--set", "train.iterations=4", "--set", "train.evaluate_every=0"];
    let text = said(&run(dir.path(), &arguments("one", &one)));
    assert!(
        text.contains("1 picture from")
            && text.contains("there is only 1 picture, and from one alone a model can't learn"),
        "{text}"
    );
    assert!(text.contains("of memory; about "), "{text}");
}

#[test]
fn numbers_that_are_none_end_a_run_that_keeps_its_last_good_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = vec!["train", "nano", "--device", "cpu", "--out", "run", "--json"];
    all.extend(TINY);
    for set in [
        "train.iterations=400",
        "train.evaluate_every=0",
        "train.picture_every=0",
        "train.checkpoint_every=1",
        "train.keep_checkpoints=1",
        "optim.warmup=1",
        "optim.base_lr=10",
        "optim.weight_decay=10",
        "optim.weight_decay_end=10",
        "optim.clip=0",
    ] {
        all.extend(["--set", set]);
    }
    let output = run(dir.path(), &all);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let kept = checkpoint::list(&dir.path().join("run/checkpoints"));
    let (_, good) = kept.last().unwrap();
    assert!(
        kept.len() == 1
            && text.contains("not finite")
            && text.contains(&good.file_name().unwrap().to_string_lossy().into_owned()),
        "{text}"
    );
    for file in ["student.safetensors", "teacher.safetensors", "optimizer.safetensors"] {
        let bytes = fs::read(good.join(file)).unwrap();
        for (name, tensor) in safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let finite = tensor.data().as_chunks::<4>().0.iter().all(|b| f32::from_le_bytes(*b).is_finite());
            assert!(finite, "{file} {name}");
        }
    }
}

#[test]
fn pictures_that_go_away_stop_a_run_that_goes_on_when_they_are_back() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    fs::create_dir(&photos).unwrap();
    for i in 0..800 {
        write_png(&photos.join(format!("{i:03}.png")), &scenes::draw(3, i % 5, 12).picture).unwrap();
    }
    let more =
        ["--data", "photos", "--set", "train.iterations=190", "--set", "train.evaluate_every=0", "--json"];
    let mut child = command(dir.path(), &arguments("run", &more))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains("\"step\"")));
    fs::rename(&photos, dir.path().join("away")).unwrap();
    lines.for_each(drop);
    let output = child.wait_with_output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("are gone; bring them back") && text.contains("--resume"), "{text}");
    let kept = newest(&dir.path().join("run"));
    assert!((1..190).contains(&kept), "{kept}");

    fs::rename(dir.path().join("away"), &photos).unwrap();
    ok(dir.path(), &["train", "--out", "run", "--resume", "--device", "cpu"]);
    assert_eq!(newest(&dir.path().join("run")), 190);
}

#[test]
fn trained_weights_go_on_learning_on_pictures_of_ones_own() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    fs::create_dir(&photos).unwrap();
    for index in 0..12 {
        write_png(&photos.join(format!("{index}.png")), &scenes::draw(5, index, 48).picture).unwrap();
    }
    let short =
        ["train.iterations=4", "train.batch=4", "optim.warmup=1", "crops.locals=1", "train.evaluate_every=4"];
    let mut all = vec!["train", "own", "--data", "photos", "--device", "cpu", "--out", "run"];
    short.iter().for_each(|pair| all.extend(["--set", pair]));
    let output = run(dir.path(), &all);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("the backbone goes on from starter; for "), "{text}");
    for line in
        ["crops that find the other one of their picture, 12 pictures", "  after 4 steps  ", "  as it began "]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("\nThese pictures ") && text.contains("after 4 steps"), "{text}");
    let recipe = fs::read_to_string(dir.path().join("run/recipe.toml")).unwrap();
    assert!(recipe.contains("preset = \"own\"") && recipe.contains("weights = \"starter\""), "{recipe}");
    let report = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(report.contains("Before and after") && report.contains("as it began"));

    // From a model of one's own, of other sizes.
    let mut small = arguments("small", &["--set", "train.iterations=2", "--set", "train.evaluate_every=0"]);
    small.extend(["--set", "optim.warmup=1"]);
    ok(dir.path(), &small);
    let mut further =
        vec!["train", "own", "--start", "small", "--data", "photos", "--device", "cpu", "--json"];
    further.extend(["--out", "further"]);
    short.iter().for_each(|pair| further.extend(["--set", pair]));
    let json = ok(dir.path(), &further);
    let events: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let crops: Vec<&serde_json::Value> = events.iter().filter(|event| event["event"] == "crops").collect();
    assert_eq!(crops.iter().map(|event| event["iteration"].as_u64()).collect::<Vec<_>>(), [Some(0), Some(4)]);
    assert_eq!((&crops[0]["accuracy"]["total"], &crops[0]["raw_pixels"]["total"]), (&12.into(), &12.into()));
    let recipe = fs::read_to_string(dir.path().join("further/recipe.toml")).unwrap();
    assert!(recipe.contains("dim = 48") && recipe.contains("global_size = 32"), "{recipe}");

    let output = run(dir.path(), &["train", "own"]);
    let text = said(&output);
    assert!(output.status.code() == Some(2) && text.contains("--data FOLDER"), "{text}");
}

//! The program at the terminal: how it ends, what it says where nobody listens, and what was settled for all of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dinoscope_core::analysis::image_out::write_png;
use dinoscope_core::data::source::scenes;
use dinoscope_core::train::Recipe;
use dinoscope_core::train::run::RunFolder;
use dinoscope_tests::program::{self, TINY};

/// The program in a home folder of its own, where nothing is settled and nothing shows windows.
fn at(home: &Path, arguments: &[&str]) -> Command {
    let mut command = program::command(home, arguments);
    for name in ["DEVICE", "RUNS", "CACHE", "THEME", "CONFIG"] {
        command.env_remove(format!("DINOSCOPE_{name}"));
    }
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("XDG_CONFIG_HOME", home.join("config"));
    command.env("XDG_CACHE_HOME", home.join("cache"));
    command
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    at(home, arguments).output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Insists on a status; returns what was said on standard error.
fn ends(output: &Output, status: i32, what: &str) -> String {
    let said = errors(output);
    assert_eq!(output.status.code(), Some(status), "{what}: {said}");
    assert!(!said.contains("panicked"), "{what}: {said}");
    said
}

/// Standard output whose reader has gone.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Standard output on a full disk, where there is something like it.
fn full() -> Option<Stdio> {
    Some(File::options().write(true).open("/dev/full").ok()?.into())
}

/// The starter weights as a file.
fn weights(home: &Path) -> PathBuf {
    let file = home.join("weights.safetensors");
    ends(
        &run(home, &["weights", "convert", "starter", "weights.safetensors", "--to", "official"]),
        0,
        "convert",
    );
    file
}

#[test]
fn queries_end_quietly_without_a_reader_and_with_an_error_on_a_full_disk() {
    let home = tempfile::tempdir().unwrap();
    weights(home.path());
    const FEW: [&str; 6] = ["--data", "scenes", "--limit", "24", "--device", "cpu"];
    let judged = |word, more: &[&'static str]| {
        let model = ["eval", word, "--weights", "weights.safetensors", "--no-cache", "--alone"];
        [&model[..], &FEW, more].concat()
    };
    let bench = ["bench", "--only", "attention", "--tokens", "16", "--repeat", "1", "--device", "cpu"];
    let queries: Vec<Vec<&str>> = vec![
        vec!["--help"],
        vec!["--version"],
        vec!["help", "train"],
        vec!["devices"],
        vec!["devices", "--json"],
        vec!["config"],
        vec!["config", "--json"],
        vec!["completions", "bash"],
        vec!["man"],
        vec!["man", "weights", "convert"],
        vec!["weights", "inspect", "weights.safetensors"],
        vec!["weights", "inspect", "weights.safetensors", "--tensors"],
        vec!["weights", "inspect", "weights.safetensors", "--json"],
        judged("knn", &["--limit-test", "12"]),
        judged("knn", &["--limit-test", "12", "--json"]),
        judged("spread", &[]),
        judged("map", &["--pca", "--json"]),
        bench.to_vec(),
        [&bench[..], &["--json"]].concat(),
    ];
    for query in &queries {
        let output = at(home.path(), query).stdout(closed()).output().unwrap();
        let said = ends(&output, 0, &format!("{query:?} without a reader"));
        assert!(!said.contains("standard output"), "{query:?}: {said}");
        let Some(full) = full() else { continue };
        let output = at(home.path(), query).stdout(full).output().unwrap();
        let said = ends(&output, 1, &format!("{query:?} on a full disk"));
        assert!(said.contains("can't write to standard output"), "{query:?}: {said}");
    }
}

#[test]
fn work_outlives_its_output() {
    let home = tempfile::tempdir().unwrap();
    let file = weights(home.path());
    write_png(&home.path().join("photo.png"), &scenes::draw(9, 1, 64).picture).unwrap();
    let sets = ["--set", "train.iterations=6", "--set", "optim.warmup=1", "--set", "train.evaluate_every=0"];
    let file = file.to_str().unwrap();
    for (name, stdout, status) in [("closed", Some(closed()), 0), ("full", full(), 3)] {
        let Some(stdout) = stdout else { continue };
        let train = [&["train", "--json", "--device", "cpu", "--out", name][..], &TINY, &sets].concat();
        let said = ends(&at(home.path(), &train).stdout(stdout).output().unwrap(), status, name);
        assert!(said.contains("going on without it"), "{said}");
        let checkpoint = home.path().join(name).join("checkpoints/000006/teacher.safetensors");
        assert!(checkpoint.is_file() && home.path().join(name).join("report.html").is_file(), "{name}");
    }
    for (name, stdout, status) in [("gone", Some(closed()), 0), ("lost", full(), 3)] {
        let Some(stdout) = stdout else { continue };
        let features = ["features", "photo.png", "--weights", file, "--npy", "--device", "cpu", "--json"];
        let features = [&features[..], &["--resolution", "32", "--out", name]].concat();
        ends(&at(home.path(), &features).stdout(stdout).output().unwrap(), status, name);
        assert!(home.path().join(name).join("photo.npy").is_file(), "{name}");
    }
}

/// `dinoscope config --json` with variables.
fn config(home: &Path, variables: &[(&str, &str)]) -> serde_json::Value {
    let output = at(home, &["config", "--json"]).envs(variables.iter().copied()).output().unwrap();
    ends(&output, 0, "config");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_was_settled_holds_everywhere_and_a_flag_comes_first() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config/dinoscope/config.toml");
    let nothing = config(home.path(), &[]);
    assert_eq!((&nothing["found"], &nothing["device"]["value"]), (&false.into(), &"auto".into()));
    if cfg!(target_os = "linux") {
        assert_eq!(nothing["file"], file.to_str().unwrap());
        assert_eq!(nothing["cache"]["value"], home.path().join("cache/dinoscope").to_str().unwrap());
    }
    assert_eq!(nothing["runs"]["from"], "default");

    // By name, so that it is found on every system.
    let mine = home.path().join("mine.toml");
    std::fs::write(&mine, "device = \"gpu:99\"\nruns = \"~/kept\"\ncache = \"~/again\"\ntheme = \"light\"\n")
        .unwrap();
    let named = ("DINOSCOPE_CONFIG", mine.to_str().unwrap());
    let settled = config(home.path(), &[named, ("DINOSCOPE_THEME", "dark")]);
    assert_eq!(settled["device"], serde_json::json!({ "value": "gpu:99", "from": "configuration file" }));
    assert_eq!(settled["theme"], serde_json::json!({ "value": "dark", "from": "DINOSCOPE_THEME" }));

    // The device of the file is obeyed, then that of a variable, then that of the flag; runs and features go where
    // they are told to.
    let demo = [&["demo", "--set", "train.iterations=4", "--set", "optim.warmup=1"][..], &TINY].concat();
    let with = |arguments: &[&str], variables: &[(&str, &str)]| {
        at(home.path(), arguments).envs([named]).envs(variables.iter().copied()).output().unwrap()
    };
    assert!(ends(&with(&demo, &[]), 2, "the file's device").contains("gpu:99"));
    let other = ("DINOSCOPE_DEVICE", "gpu:98");
    assert!(ends(&with(&demo, &[other]), 2, "the variable's device").contains("gpu:98"));
    ends(&with(&[&demo[..], &["--device", "cpu"]].concat(), &[other]), 0, "the flag's device");
    assert!(home.path().join("kept/demo-001/recipe.toml").is_file());
    ends(&with(&demo, &[("DINOSCOPE_DEVICE", "cpu"), ("DINOSCOPE_RUNS", "there")]), 0, "the variables");
    assert!(home.path().join("there/demo-001/recipe.toml").is_file());
    let spread =
        ["eval", "spread", "--weights", "kept/demo-001", "--data", "scenes", "--limit", "16", "--alone"];
    ends(&with(&[&spread[..], &["--size", "16", "--device", "cpu"]].concat(), &[]), 0, "an evaluation");
    assert!(std::fs::read_dir(home.path().join("again/features")).unwrap().count() > 0);
    assert!(!home.path().join("runs").exists());

    std::fs::write(&mine, "device = \"cpu\"\ndevise = \"cpu\"\n").unwrap();
    let said = ends(&with(&["devices"], &[]), 2, "a field that there is not");
    assert!(
        said.contains("mine.toml, line 2") && said.contains("`device`, `runs`, `cache`, `theme`"),
        "{said}"
    );
    ends(&with(&["completions", "fish"], &[]), 0, "completions need no configuration");
}

#[test]
fn the_device_is_explained_once_and_never_before_a_mistake() {
    let home = tempfile::tempdir().unwrap();
    weights(home.path());
    let told = |output: &Output| errors(output).contains("No GPU was found");
    let wrong = run(home.path(), &["features", "absent.png", "--weights", "absent.pth", "--out", "o"]);
    assert!(!ends(&wrong, 2, "a wrong path").contains("No GPU"));
    let spread = ["eval", "spread", "--weights", "weights.safetensors", "--data", "scenes", "--limit", "16"];
    let spread = [&spread[..], &["--alone", "--no-cache"]].concat();
    let with = |flags: &[&str]| {
        let output = run(home.path(), &[&spread[..], flags].concat());
        ends(&output, 0, "an evaluation");
        output
    };
    assert!(!told(&with(&["-q"])), "quiet says nothing, and counts for nothing");
    // Where there is a GPU there is nothing to explain.
    let first = told(&with(&[]));
    assert!(!told(&with(&[])), "not a second time");
    assert_eq!(told(&with(&["--verbose"])), first, "but to whoever asks");
    let listed = run(home.path(), &["devices"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).contains("No GPU was found"), first);
}

#[test]
fn a_screenshot_ends_and_says_what_it_could_not_show() {
    let home = tempfile::tempdir().unwrap();
    let here = home.path();
    std::fs::write(here.join("broken.jpg"), "no picture").unwrap();
    std::fs::write(here.join("text.pth"), "no weights").unwrap();
    write_png(&here.join("good.png"), &scenes::draw(9, 1, 64).picture).unwrap();
    RunFolder::create(&here.join("begun"), &Recipe::preset("nano").unwrap()).unwrap();
    std::fs::create_dir(here.join("empty")).unwrap();
    let shot = |arguments: &[&str]| {
        let all = [&["explore", "--device", "cpu", "--screenshot", "x.png"][..], arguments].concat();
        let _ = std::fs::remove_file(here.join("x.png"));
        let output = run(here, &all);
        (output, here.join("x.png").is_file())
    };
    let cases: [(&[&str], i32, bool, &str); 9] = [
        (&["good.png"], 0, true, ""),
        (&["broken.jpg"], 2, true, "broken.jpg"),
        (&["good.png", "broken.jpg"], 3, true, "broken.jpg"),
        (&["absent.jpg"], 2, false, "absent.jpg"),
        (&["--weights", "text.pth"], 2, true, "text.pth"),
        (&["--run", "absent"], 2, false, "absent: no such folder"),
        (&["--run", "empty"], 2, false, "empty holds no run"),
        // Nobody knows how long it takes: its bar moves for ever.
        (&["--run", "begun"], 0, true, ""),
        (&["--evaluate", "knn", "--weights", "text.pth"], 2, true, "no weights to evaluate"),
    ];
    for (arguments, status, written, named) in cases {
        let (output, there) = shot(arguments);
        let said = ends(&output, status, &format!("{arguments:?}"));
        assert!(said.contains(named) && there == written, "{arguments:?}: {said}");
        assert_eq!(said.contains("left out: "), status != 0 && written, "{arguments:?}: {said}");
    }
    let left = std::fs::read_dir(here)
        .unwrap()
        .flatten()
        .any(|file| file.path().extension().is_some_and(|e| e == "tmp"));
    assert!(!left, "it is written beside and renamed");
}

#[test]
fn mistakes_about_a_screenshot_are_named_before_any_work() {
    let home = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 8] = [
        (&["explore", "--screenshot", "x.jpg"], "ends in .png"),
        (&["explore", "--screenshot", "nowhere/x.png"], "no folder nowhere"),
        (&["explore", "--screenshot", "x.png", "--scale", "0"], "0.25 to 4"),
        (&["explore", "--screenshot", "x.png", "--scale", "NaN"], "0.25 to 4"),
        (&["train", "nano", "--screenshot-at", "2", "x.jpg"], "ends in .png"),
        (&["train", "nano", "--screenshot-at", "2", "nowhere/x.png"], "no folder nowhere"),
        (&["train", "nano", "--screenshot-at", "two", "x.png"], "number of steps"),
        (&["explore", "--run", "absent"], "absent: no such folder"),
    ];
    for (arguments, wanted) in cases {
        let said = ends(&run(home.path(), arguments), 2, &format!("{arguments:?}"));
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
    assert!(!home.path().join("runs").exists());
    if cfg!(target_os = "linux") {
        let said = ends(&run(home.path(), &[]), 2, "the studio without a display");
        assert!(said.contains("no display") && said.contains("--screenshot"), "{said}");
        let output = at(home.path(), &["explore"]).env("DISPLAY", ":4711").output().unwrap();
        let said = ends(&output, 2, "the studio with a display that is not there");
        assert!(said.contains("no display") && !said.contains(".rs:"), "{said}");
    }
}

#[test]
fn statuses_completions_and_manual_pages_are_there() {
    let home = tempfile::tempdir().unwrap();
    let help = program::ok(home.path(), &["--help"]);
    assert!(
        ["Exit status", "130 interrupted", "dinoscope config"].iter().all(|text| help.contains(text)),
        "{help}"
    );
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let text = program::ok(home.path(), &["completions", shell]);
        assert!(text.contains("features") && text.contains("screenshot"), "{shell}");
    }
    assert!(program::ok(home.path(), &["man"]).contains("dinoscope"));
    let page = program::ok(home.path(), &["man", "weights", "convert"]);
    assert!(page.contains("dinoscope weights convert") && page.contains("safetensors"), "{page}");
    ends(&run(home.path(), &["man", "nonsense"]), 2, "no such word");
    program::ok(home.path(), &["man", "--out", "pages"]);
    for name in ["dinoscope", "dinoscope-train", "dinoscope-eval-knn"] {
        assert!(home.path().join("pages").join(format!("{name}.1")).is_file(), "{name}");
    }
    // A session without a runtime folder gets one, and that does not end the program.
    let output = at(home.path(), &["devices"]).env_remove("XDG_RUNTIME_DIR").output().unwrap();
    ends(&output, 0, "without a runtime folder");
}

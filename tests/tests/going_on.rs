//! What one sees of a run in the terminal before its first step, and of its pictures after it went on.

use std::path::Path;

use dinoscope_core::data::Picture;
use dinoscope_core::data::decode::decode_file;
use dinoscope_tests::program::{TINY, ok, run};

fn arguments<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["train", "nano", "--device", "cpu", "--out", out];
    all.extend(TINY);
    all.extend(["--set", "train.iterations=24", "--set", "optim.warmup=2", "--set", "train.picture_every=4"]);
    all.extend(["--set", "train.checkpoint_every=10"]);
    all.extend(more);
    all
}

fn colours(run: &Path, step: u64) -> Picture {
    decode_file(&run.join(format!("pictures/{step:06}-pca.png"))).unwrap()
}

#[test]
fn what_is_done_before_the_first_step_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let judged = ["--set", "train.evaluate_every=24"];
    let output = run(dir.path(), &arguments("lines", &judged));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("{text} is missing:\n{said}"));
    assert!(at("Judging the untrained model: 0 of 1800 pictures") < at("k-NN after 0 steps"), "{said}");

    let json = ok(dir.path(), &arguments("json", &["--set", "train.evaluate_every=24", "--json"]));
    let events: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let place = |wanted: &dyn Fn(&serde_json::Value) -> bool| events.iter().position(wanted).unwrap();
    let judging =
        place(&|event| event["event"] == "aside" && event["what"] == "knn" && event["iteration"] == 0);
    let step = place(&|event| event["event"] == "step");
    assert!(judging < step && events[judging]["total"] == 1800, "{}", events[judging]);
}

#[test]
fn pictures_keep_their_colours_when_a_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let plain = ["--set", "train.evaluate_every=0", "--set", "train.keep_checkpoints=9"];
    ok(dir.path(), &arguments("run", &plain));
    let path = dir.path().join("run");
    let wanted: Vec<Picture> = [12, 16, 24].map(|step| colours(&path, step)).to_vec();
    for later in ["000020", "000024"] {
        std::fs::remove_dir_all(path.join("checkpoints").join(later)).unwrap();
    }
    ok(dir.path(), &["train", "--device", "cpu", "--out", "run", "--resume"]);
    for (wanted, step) in wanted.iter().zip([12, 16, 24]) {
        let found = colours(&path, step);
        let apart = wanted.rgb.iter().zip(&found.rgb).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart <= Some(2), "after {step} steps a value differs by {apart:?}");
    }
}

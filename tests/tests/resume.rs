//! An interrupted run equals one that was never interrupted, however it was interrupted.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use dinoscope_tests::program::{TINY, command, losses, ok};

fn arguments<'a>(out: &'a str, iterations: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["train", "nano", "--device", "cpu", "--data", "scenes", "--out", out, "--json"];
    all.extend(TINY);
    all.extend(["--set", iterations, "--set", "optim.warmup=5", "--set", "train.checkpoint_every=4"]);
    all.extend([
        "--set",
        "train.picture_every=0",
        "--set",
        "train.evaluate_every=0",
        "--set",
        "model.drop_path=0.3",
    ]);
    all.extend(more);
    all
}

fn whole(checkpoints: &Path) {
    for entry in std::fs::read_dir(checkpoints).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with('.') {
            continue; // a part that a killed process left; the next checkpoint clears it
        }
        for file in ["student.safetensors", "teacher.safetensors", "optimizer.safetensors", "state.json"] {
            let path = entry.path().join(file);
            let bytes = std::fs::read(&path).unwrap();
            if file.ends_with("safetensors") {
                safetensors::SafeTensors::deserialize(&bytes)
                    .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            } else {
                serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
            }
        }
    }
}

/// How often the run is killed; more by `DINOSCOPE_KILLS=20`.
fn kills() -> usize {
    std::env::var("DINOSCOPE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(6)
}

#[test]
fn a_killed_run_ends_with_the_same_losses() {
    let dir = tempfile::tempdir().unwrap();
    let total = 100 * kills();
    let iterations = &format!("train.iterations={total}");
    ok(dir.path(), &arguments("straight", iterations, &[]));
    let want = losses(&dir.path().join("straight"));
    assert_eq!(want.len(), total);

    // Moments at random, counted in steps seen plus a moment within a step or a checkpoint.
    let mut rng = dinoscope_core::rng::stream(2026, "kill", 0, 0);
    let mut started = false;
    let mut hit = 0;
    for _ in 0..kills() {
        let more: &[&str] = if started { &["--resume"] } else { &[] };
        let mut child = command(dir.path(), &arguments("killed", iterations, more))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let steps = dinoscope_core::rng::RngExt::random_range(&mut rng, 0..40);
        let within = dinoscope_core::rng::RngExt::random_range(&mut rng, 0..30);
        let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        lines.map(Result::unwrap).filter(|line| line.contains("\"step\"")).take(steps).for_each(drop);
        std::thread::sleep(Duration::from_millis(within));
        // A run that had ended by itself was not hit.
        hit += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        started = dir.path().join("killed/recipe.toml").is_file();
        whole(&dir.path().join("killed/checkpoints"));
    }
    let more: &[&str] = if started { &["--resume"] } else { &[] };
    ok(dir.path(), &arguments("killed", iterations, more));
    assert_eq!(losses(&dir.path().join("killed")), want, "bit for bit");
    assert_eq!(hit, kills(), "every kill found the run on its way");
}

#[test]
fn an_interrupted_run_saves_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let iterations = "train.iterations=4000";
    let mut child =
        command(dir.path(), &arguments("run", iterations, &[])).stdout(Stdio::piped()).spawn().unwrap();
    // After the first figures, Ctrl-C.
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    assert!(lines.by_ref().any(|line| line.unwrap().contains("\"step\"")));
    let interrupt =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "stopped is not done");
    let last: serde_json::Value = serde_json::from_str(rest.last().unwrap()).unwrap();
    assert_eq!((last["event"].as_str(), last["stopped"].as_bool()), (Some("finished"), Some(true)));
    let checkpoint = dir.path().join(last["checkpoint"].as_str().unwrap());
    assert!(checkpoint.join("state.json").is_file(), "{}", checkpoint.display());
    assert!(last["iteration"].as_u64().unwrap() < 4000);
}

#[test]
fn accumulated_gradients_are_the_batch_s() {
    let dir = tempfile::tempdir().unwrap();
    let run = |out: &str, accumulate: &str| {
        let more = ["--set", accumulate, "--set", "model.drop_path=0"];
        ok(dir.path(), &arguments(out, "train.iterations=6", &more));
        losses(&dir.path().join(out))
    };
    let (one, two) = (run("one", "train.accumulate=1"), run("two", "train.accumulate=2"));
    for ((i, a), (_, b)) in one.iter().zip(&two) {
        assert!((a - b).abs() < 1e-4 * a.abs(), "step {i}: {a} and {b}");
    }
    assert_eq!(one.len(), 6);
}

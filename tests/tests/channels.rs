//! Pictures of other channels than three: trained on, gone on with, looked at, converted.

use std::path::Path;

use image::{Luma, Rgba};
use serde_json::Value;

use dinoscope_core::analysis::npy;
use dinoscope_tests::program::{TINY, ok, run};

/// Five channels of 40 by 40 pixels, which have something to do with each other.
fn five_channels(path: &Path, seed: usize) {
    let value = |channel: usize, x: usize, y: usize| {
        let wave = ((x * (seed + 2) + y * 3) as f32 / 17.0 + channel as f32).sin();
        (0.1 * channel as f32 + 0.25 * (1.0 + wave)).min(1.0)
    };
    let values: Vec<f32> = (0..5 * 40 * 40).map(|i| value(i / (40 * 40), i % 40, i / 40 % 40)).collect();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, npy::encode(&[5, 40, 40], &values).unwrap()).unwrap();
}

fn train<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["train", "nano", "--device", "cpu", "--out", out, "--data", "p"];
    all.extend(TINY);
    all.extend(["--set", "train.iterations=6", "--set", "optim.warmup=1", "--set", "train.report_every=1"]);
    all.extend(["--set", "train.checkpoint_every=3", "--set", "train.evaluate_every=0"]);
    all.extend(more);
    all
}

fn losses(run: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line["loss"].as_f64()).collect()
}

fn numbers(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[10 + header..].as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn features(dir: &Path, picture: &str, weights: &str, out: &str) -> Vec<f32> {
    ok(
        dir,
        &[
            "features",
            picture,
            "--weights",
            weights,
            "--device",
            "cpu",
            "--resolution",
            "32",
            "--npy",
            "--out",
            out,
        ],
    );
    let folder = dir.join(out);
    let cls = std::fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path());
    let mut cls: Vec<_> = cls.filter(|path| path.to_string_lossy().ends_with(".npy")).collect();
    cls.sort();
    cls.iter().flat_map(|path| numbers(path)).collect()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(!a.is_empty());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_model_of_five_channels_learns_goes_on_and_looks() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    (0..12).for_each(|i| five_channels(&dir.join(format!("p/{i}.npy")), i));
    let said = run(dir, &train("run", &["--set", "data.channels=5"]));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("normalised by what was measured on 12 of them"), "{said}");
    let pixels: Value = serde_json::from_slice(&std::fs::read(dir.join("run/pixels.json")).unwrap()).unwrap();
    let mean: Vec<f64> = pixels["mean"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert!(mean.len() == 5 && mean.is_sorted() && (mean[4] - mean[0] - 0.4).abs() < 0.1, "{mean:?}");

    // Gone on from its middle, it has the same losses; the statistics are those that were measured first.
    let whole = losses(&dir.join("run"));
    assert_eq!(whole.len(), 6);
    std::fs::remove_dir_all(dir.join("run/checkpoints/000006")).unwrap();
    let again = run(dir, &train("run", &["--set", "data.channels=5", "--resume"]));
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert!(!String::from_utf8_lossy(&again.stderr).contains("measured"));
    assert_eq!(losses(&dir.join("run")), whole);

    assert!(ok(dir, &["weights", "inspect", "run"]).contains("of 5 channels"));
    let seen = features(dir, "p/3.npy", "run", "seen");
    ok(dir, &["weights", "convert", "run", "hf", "--to", "hugging-face"]);
    let json = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(dir.join("hf").join(name)).unwrap()).unwrap()
    };
    assert_eq!(json("config.json")["num_channels"], 5);
    let written = &json("preprocessor_config.json")["image_mean"];
    assert_eq!(written.as_array().unwrap().len(), 5);
    assert!(worst(&seen, &features(dir, "p/3.npy", "hf", "again")) < 1e-5);

    // A picture of colours has not what it looks at.
    image::RgbImage::new(40, 40).save(dir.join("colours.png")).unwrap();
    let refused =
        run(dir, &["features", "colours.png", "--weights", "run", "--device", "cpu", "--npy", "--out", "no"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("colours.png") && said.contains("5 channels"),
        "{said}"
    );
    let drawn = run(
        dir,
        &["eval", "knn", "--weights", "run", "--data", "scenes", "--device", "cpu", "--limit", "20"],
    );
    assert!(String::from_utf8_lossy(&drawn.stderr).contains("5 channels"));
    for command in [
        &["curate", "embed", "p", "--out", "set", "--weights", "run"][..],
        &["follow", "colours.png", "--at", "9,9", "--weights", "run", "--out", "track"],
        &["compare", "colours.png", "--weights", "run", "--against", "starter"],
    ] {
        let refused = run(dir, command);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("5 channels"), "{command:?}: {said}");
    }
}

#[test]
fn a_run_on_other_channels_begins_with_weights_of_colours() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    (0..6).for_each(|i| five_channels(&dir.join(format!("p/{i}.npy")), i));
    let colours = ["--set", "train.iterations=1", "--set", "optim.warmup=0"];
    // Arrays of five channels are no pictures of colours: without a word about channels the run is refused.
    let refused = run(dir, &train("no", &colours));
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("5 channels"));
    let first = ["--data", "scenes", "--set", "data.scenes=16", "--set", "data.scene_size=40"];
    let mut scenes = train("first", &[]);
    let data = scenes.iter().position(|word| *word == "p").unwrap();
    scenes[data] = "scenes";
    scenes.extend(&first[2..]);
    ok(dir, &scenes);
    for (name, channels) in [("five", "data.channels=5"), ("grey", "data.channels=1")] {
        let mut arguments = train(name, &["--set", "data.channels=5", "--start", "first"]);
        let at = arguments.iter().position(|word| *word == "data.channels=5").unwrap();
        arguments[at] = channels;
        if name == "grey" {
            arguments[data] = "scenes";
            arguments.extend(&first[2..]);
        }
        ok(dir, &arguments);
        assert_eq!(losses(&dir.join(name)).len(), 6);
    }
    assert!(ok(dir, &["weights", "inspect", "grey"]).contains("of grey pictures"));
}

#[test]
fn a_model_of_colours_becomes_one_of_grey_with_the_same_features() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let level = |x: u32, y: u32| ((x * 7 + y * 13) % 256) as u8;
    image::GrayImage::from_fn(48, 40, |x, y| Luma([level(x, y)])).save(dir.join("grey.png")).unwrap();
    let starter = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../assets/weights/starter.safetensors")
        .display()
        .to_string();
    let of = |channels: &str| format!("{starter}#channels={channels}");
    ok(dir, &["weights", "convert", &of("1"), "grey.safetensors", "--to", "timm"]);
    assert!(ok(dir, &["weights", "inspect", "grey.safetensors"]).contains("of grey pictures"));
    let wanted = features(dir, "grey.png", "starter", "wanted");
    for (weights, out) in [("grey.safetensors", "found"), (&of("1")[..], "direct")] {
        assert!(worst(&wanted, &features(dir, "grey.png", weights, out)) < 1e-3, "{weights}");
    }
    assert!(ok(dir, &["weights", "inspect", &of("1")]).contains("of grey pictures"));
    let none = of("0");
    let refused = run(dir, &["features", "grey.png", "--weights", &none, "--npy", "--out", "none"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no number of channels"));
    let back =
        run(dir, &["weights", "convert", "grey.safetensors#channels=3", "x.safetensors", "--to", "official"]);
    assert!(String::from_utf8_lossy(&back.stderr).contains("only a model of three colours"));

    // With opacity a model of four sees what lies beneath.
    ok(dir, &["weights", "convert", &of("4"), "four.safetensors", "--to", "official"]);
    image::RgbaImage::from_fn(48, 40, |x, y| Rgba([level(x, y), level(y, x), 90, level(y, y)]))
        .save(dir.join("seen.png"))
        .unwrap();
    image::RgbImage::from_fn(48, 40, |x, y| image::Rgb([level(x, y), level(y, x), 90]))
        .save(dir.join("opaque.png"))
        .unwrap();
    let [seen, opaque] = ["seen.png", "opaque.png"]
        .map(|picture| features(dir, picture, "four.safetensors", picture.trim_end_matches(".png")));
    assert!(worst(&seen, &opaque) > 1e-2, "opacity counts");
}

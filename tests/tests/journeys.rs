//! What people do, from the first command to files that other programs open.

use std::path::Path;

use dinoscope_core::analysis::image_out::write_png;
use dinoscope_core::data::source::scenes;
use dinoscope_tests::program::{TINY, losses, ok, run};

fn demo(dir: &Path, out: &str) -> String {
    let mut arguments = vec!["demo", "--device", "cpu", "--out", out];
    arguments.extend(TINY);
    arguments.extend([
        "--set",
        "train.iterations=20",
        "--set",
        "optim.warmup=5",
        "--set",
        "train.picture_every=10",
    ]);
    ok(dir, &arguments)
}

#[test]
fn a_demo_leaves_a_run_and_its_weights_are_used_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let said = demo(dir.path(), "demo");
    assert!(said.contains("untrained") && said.contains("report.html"), "{said}");
    let run_dir = dir.path().join("demo");
    assert_eq!(losses(&run_dir).len(), 20);
    for file in ["recipe.toml", "metrics.jsonl", "report.html", "pictures/000000.png", "pictures/000020.png"]
    {
        assert!(run_dir.join(file).is_file(), "{file}");
    }
    assert!(std::fs::read_dir(run_dir.join("tensorboard")).unwrap().count() == 1);

    // The run's weights, under every name.
    let inspected = ok(dir.path(), &["weights", "inspect", "demo", "--json"]);
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["config"]["dim"], 48);
    ok(dir.path(), &["weights", "convert", "demo", "hf", "--to", "hugging-face"]);
    ok(dir.path(), &["weights", "convert", "hf", "back.safetensors", "--to", "official"]);
    ok(dir.path(), &["weights", "convert", "demo", "timm.safetensors", "--to", "timm"]);
    ok(dir.path(), &["weights", "convert", "demo", "hf/onnx/model.onnx", "--to", "onnx"]);
    let written = std::fs::metadata(dir.path().join("hf/onnx/model.onnx")).unwrap().len();
    let numbers = 4 * inspected["parameters"].as_u64().unwrap();
    assert!((numbers..2 * numbers).contains(&written), "{written} bytes for {numbers} of numbers");

    write_png(&dir.path().join("photo.png"), &scenes::draw(9, 1, 90).picture).unwrap();
    let mut features = Vec::new();
    for (weights, out) in [("demo", "a"), ("back.safetensors", "b"), ("timm.safetensors", "c")] {
        let all = [
            "features",
            "photo.png",
            "--weights",
            weights,
            "--out",
            out,
            "--device",
            "cpu",
            "--resolution",
            "32",
        ];
        ok(dir.path(), &all);
        for ending in ["pca.png", "attention.png", "attention-0.png", "attention.npy", "npy", "cls.npy"] {
            assert!(dir.path().join(out).join(format!("photo.{ending}")).is_file(), "{out}: {ending}");
        }
        let picture = image::open(dir.path().join(out).join("photo.pca.png")).unwrap();
        assert_eq!((picture.width(), picture.height()), (90, 90), "the picture's own size");
        features.push(std::fs::read(dir.path().join(out).join("photo.npy")).unwrap());
    }
    assert_eq!(features[0], features[1], "a trip through other names changes no bit");

    let knn = ok(
        dir.path(),
        &[
            "eval",
            "knn",
            "--weights",
            "demo",
            "--data",
            "scenes",
            "--limit",
            "48",
            "--limit-test",
            "24",
            "--device",
            "cpu",
        ],
    );
    assert!(knn.contains("weights") && knn.contains("untrained") && knn.contains("raw pixels"), "{knn}");
}

#[test]
fn devices_lists_the_cpu() {
    let said = ok(Path::new("."), &["devices"]);
    assert!(said.contains("cpu") && said.contains("auto"), "{said}");
}

#[test]
fn mistakes_end_with_status_2_and_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.toml"), "[train]\nbach = 3\n").unwrap();
    std::fs::write(dir.path().join("text.pth"), "no weights").unwrap();
    std::fs::write(dir.path().join("photo.png"), "no picture").unwrap();
    std::fs::write(dir.path().join("text.zip"), "no run").unwrap();
    let cases: [(&[&str], &str); 12] = [
        (&["train", "--resume", "text.zip"], "no run in one file"),
        (&["train", "huge"], "presets are demo"),
        (&["train", "bad.toml"], "did you mean train.batch?"),
        (&["train", "nano", "--set", "train.batch=0"], "allowed is 1 to"),
        (&["train", "nano", "--device", "gpu:99"], "dinoscope devices"),
        (&["train", "nano", "--device", "tpu"], "gpu:N"),
        (&["train", "--out", "nowhere", "--resume"], "without --resume"),
        (&["weights", "inspect", "text.pth"], "text.pth"),
        (&["weights", "inspect", "absent.pth"], "does not exist"),
        (&["weights", "convert", "text.pth", "a.onnx", "--to", "onnx", "--size", "wide"], "224x448"),
        (&["weights", "convert", "text.pth", "a", "--to", "timm", "--size", "224"], "--to onnx"),
        (&["features", "photo.png", "--weights", "dinov2_vits14", "--out", "o"], "weights pull"),
    ];
    for (arguments, wanted) in cases {
        let output = run(dir.path(), arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(wanted), "{arguments:?}: {message}");
    }
}

//! Judging on the pictures that people bring: folders in halves, masks, depth in other units, files that are torn.

use std::path::Path;
use std::process::Output;

use dinoscope_tests::program::{TINY, run};
use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage};

/// Of classes that differ by colour.
const COLOURS: [(&str, [u8; 3]); 3] =
    [("apple", [200, 40, 40]), ("leaf", [40, 200, 40]), ("sea", [40, 40, 200])];

/// Pictures of one class, with noise.
fn fill(folder: &Path, colour: [u8; 3], count: usize) {
    std::fs::create_dir_all(folder).unwrap();
    for i in 0..count {
        let noise = |x: u32, y: u32| ((x * 7 + y * 13 + i as u32 * 29) % 40) as u8;
        let pixel = |x, y| Rgb(colour.map(|v| v + noise(x, y)));
        RgbImage::from_fn(48, 48, pixel).save(folder.join(format!("{i}.png"))).unwrap();
    }
}

/// A folder in halves, the classes of `second` being among those to test.
fn halves(root: &Path, (first, second): (&str, &str), judged: &[&str]) {
    for (class, colour) in COLOURS {
        fill(&root.join(first).join(class), colour, 6);
        if judged.contains(&class) {
            fill(&root.join(second).join(class), colour, 3);
        }
    }
}

fn eval(dir: &Path, arguments: &[&str]) -> Output {
    let rest = ["--weights", "starter", "--alone", "--no-cache", "--device", "cpu"];
    run(dir, &[&["eval"][..], arguments, &rest].concat())
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn json(dir: &Path, arguments: &[&str]) -> (Option<i32>, serde_json::Value, String) {
    let (code, out, err) = said(&eval(dir, &[arguments, &["--json"]].concat()));
    (code, serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}\n{err}")), err)
}

/// Cuts a file in two, and throws the second part away.
fn tear(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

#[test]
fn one_half_is_learned_from_and_the_other_judged() {
    let dir = tempfile::tempdir().unwrap();
    halves(&dir.path().join("root"), ("train", "val"), &["apple", "leaf", "sea"]);
    for word in ["knn", "linear", "logistic"] {
        let (code, out, err) = said(&eval(dir.path(), &[word, "--data", "root"]));
        assert_eq!(code, Some(0), "{err}");
        let want =
            "18 pictures to learn from, 9 to test, 3 classes; learns from root/train, tests on root/val";
        assert!(out.contains(want) && out.contains("top-1 100.0 %"), "{out}");
        assert!(!out.contains("top-5"), "three classes: {out}");
    }
    // As if both were named.
    let (_, named, _) = json(dir.path(), &["knn", "--data", "root/train", "--test", "root/val"]);
    let (_, found, _) = json(dir.path(), &["knn", "--data", "root"]);
    assert_eq!(named["rows"], found["rows"]);
    for (word, want) in [
        (
            "retrieve",
            "27 pictures, each a query for the others of its class, 3 classes; from root/train and root/val",
        ),
        ("map", "27 pictures, 3 classes, "),
        ("spread", "root/train and root/val together"),
    ] {
        let (code, found, err) = json(dir.path(), &[word, "--data", "root"]);
        let data = found["data"].as_str().unwrap();
        assert!(
            code == Some(0) && data.contains(want) && data.contains("root/val together"),
            "{data}\n{err}"
        );
    }
}

#[test]
fn training_keeps_the_half_that_judges() {
    let dir = tempfile::tempdir().unwrap();
    halves(&dir.path().join("root"), ("Training", "Validation"), &["apple", "leaf", "sea"]);
    let train = |out: &str, labels: &[&str]| {
        let steps =
            ["--set", "train.iterations=2", "--set", "optim.warmup=0", "--set", "train.evaluate_every=2"];
        let first = ["train", "nano", "--data", "root", "--out", out, "--device", "cpu"];
        said(&run(dir.path(), &[&first[..], &TINY, &steps, labels].concat()))
    };
    let (code, out, err) = train("with", &["--labels"]);
    assert_eq!(code, Some(0), "{err}");
    let want = "18 pictures from root/Training; k-NN predicts 9 pictures from root/Validation";
    assert!(format!("{out}{err}").contains(want), "{out}\n{err}");
    let (code, out, err) = train("without", &[]);
    assert_eq!(code, Some(0), "{err}");
    let want = "18 pictures from root/Training; root/Validation is kept from training";
    assert!(format!("{out}{err}").contains(want), "{out}\n{err}");
}

#[test]
fn a_test_folder_may_lack_classes_but_not_have_others() {
    let dir = tempfile::tempdir().unwrap();
    halves(dir.path(), ("learn", "judge"), &["leaf", "sea"]);
    let (code, found, err) = json(dir.path(), &["knn", "--data", "learn", "--test", "judge"]);
    assert_eq!(code, Some(0), "{err}");
    let notes = found["notes"].to_string();
    assert!(notes.contains("1 of 3 classes have no picture to test: apple"), "{notes}");
    assert_eq!(found["rows"][0]["figures"][0]["value"], 1.0);
    fill(&dir.path().join("judge/zebra"), [90, 90, 90], 2);
    let (code, _, err) = said(&eval(dir.path(), &["knn", "--data", "learn", "--test", "judge"]));
    assert!(
        code == Some(2) && err.contains("not among those to learn from (apple, leaf, sea): zebra"),
        "{err}"
    );
    let (code, _, err) = said(&eval(dir.path(), &["knn", "--data", "judge/sea"]));
    assert!(code == Some(2) && err.contains("put the pictures of each class into a subfolder"), "{err}");
}

#[test]
fn pictures_that_are_torn_are_named_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    halves(&dir.path().join("root"), ("train", "val"), &["apple", "leaf", "sea"]);
    tear(&dir.path().join("root/train/leaf/2.png"));
    for word in ["knn", "linear", "logistic", "retrieve", "spread", "map"] {
        let (code, found, err) = json(dir.path(), &[word, "--data", "root"]);
        assert_eq!(code, Some(3), "{word}: {err}");
        assert_eq!(found["left_out"].as_array().unwrap().len(), 1, "{word}: {found}");
        assert!(found["left_out"][0]["input"].as_str().unwrap().ends_with("2.png"), "{word}");
        assert!(!found["left_out"][0]["reason"].as_str().unwrap().is_empty());
        assert_eq!(err.lines().filter(|line| line.starts_with("left out: ")).count(), 1, "{word}: {err}");
    }
    let (code, out, _) = said(&eval(dir.path(), &["retrieve", "--data", "root", "--whole"]));
    assert!(code == Some(3) && out.contains("1 picture is left out"), "{out}");
}

/// Pictures of a bright square on dark ground with `value` as its label.
fn masks(root: &Path, value: u8) {
    for part in ["images", "labels"] {
        std::fs::create_dir_all(root.join(part)).unwrap();
    }
    for i in 0..10u32 {
        let (left, top) = (4 + i % 5 * 5, 4 + i % 3 * 8);
        let inside = |x: u32, y: u32| (left..left + 20).contains(&x) && (top..top + 20).contains(&y);
        let colour = |x, y| Rgb(if inside(x, y) { [200, 40, 40] } else { [60; 3] });
        let label = |x, y| Luma([if inside(x, y) { value } else { 0 }]);
        let name = format!("{i}.png");
        RgbImage::from_fn(56, 56, colour).save(root.join("images").join(&name)).unwrap();
        GrayImage::from_fn(56, 56, label).save(root.join("labels").join(&name)).unwrap();
    }
}

const QUICK: [&str; 4] = ["--window", "56", "--iterations", "30"];

#[test]
fn a_torn_mask_is_left_out_as_a_torn_picture_is() {
    for (part, named) in [("images", "images/3.png"), ("labels", "labels/3.png")] {
        let dir = tempfile::tempdir().unwrap();
        masks(&dir.path().join("d"), 1);
        tear(&dir.path().join("d").join(part).join("3.png"));
        let (code, found, err) = json(dir.path(), &[&["segment", "--data", "d"][..], &QUICK].concat());
        assert_eq!(code, Some(3), "{err}");
        assert_eq!(found["left_out"].as_array().unwrap().len(), 1, "{found}");
        assert_eq!(found["left_out"][0]["input"], named);
        assert!(err.contains(&format!("left out: {named}")), "{err}");
    }
    // None can be used: that is no result.
    let dir = tempfile::tempdir().unwrap();
    masks(&dir.path().join("d"), 1);
    (0..10).for_each(|i| tear(&dir.path().join(format!("d/labels/{i}.png"))));
    let (code, _, err) = said(&eval(dir.path(), &["segment", "--data", "d"]));
    assert!(code == Some(2) && err.contains(".png"), "{err}");
}

#[test]
fn masks_of_0_and_255_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    masks(&dir.path().join("d"), 255);
    masks(&dir.path().join("one"), 1);
    for names in [false, true] {
        if names {
            std::fs::write(dir.path().join("d/classes.txt"), "ground\nsquare\n").unwrap();
        }
        let (code, out, err) = said(&eval(dir.path(), &["segment", "--data", "d"]));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
        assert!(err.contains("0 and 255 alone") || err.contains("ground and 255 alone"), "{err}");
        assert!(err.contains("“not counted”") && err.contains("--binary"), "{err}");
        let binary = [&["segment", "--data", "d", "--binary"][..], &QUICK].concat();
        let (code, found, err) = json(dir.path(), &binary);
        assert_eq!(code, Some(0), "{err}");
        let (_, plain, _) = json(dir.path(), &[&["segment", "--data", "one"][..], &QUICK].concat());
        assert_eq!(found["rows"][0], plain["rows"][0], "the same masks with 1 in place of 255");

        // Without any training, too.
        let found =
            |more: &[&str]| json(dir.path(), &[&["masks", "--window", "56", "--data"][..], more].concat());
        let (code, binary, err) = found(&["d", "--binary"]);
        assert_eq!(code, Some(0), "{err}");
        assert_eq!(binary["rows"], found(&["one"]).1["rows"]);
        let (code, _, err) = said(&eval(dir.path(), &["masks", "--data", "d"]));
        assert!(code == Some(2) && err.contains("--binary"), "{err}");
    }
}

/// A wall that comes nearer, as metres in `.npy` or as a PNG of so many steps a metre.
fn depths(root: &Path, steps: Option<f32>) {
    for part in ["images", "depth"] {
        std::fs::create_dir_all(root.join(part)).unwrap();
    }
    for i in 0..12u32 {
        let metres = |y: u32| 50.0 - 0.5 * y as f32 - i as f32;
        let name = format!("{i}.png");
        let colour = |_, y| Rgb([(4.0 * metres(y)) as u8, 255 - (4.0 * metres(y)) as u8, 90]);
        RgbImage::from_fn(56, 56, colour).save(root.join("images").join(&name)).unwrap();
        let at = root.join("depth").join(&name);
        match steps {
            Some(steps) => ImageBuffer::from_fn(56, 56, |_, y| Luma([(steps * metres(y)).round() as u16]))
                .save(at)
                .unwrap(),
            None => {
                let values: Vec<f32> = (0..56 * 56).map(|k| metres(k / 56)).collect();
                dinoscope_core::analysis::npy::write(&at.with_extension("npy"), &[56, 56], &values).unwrap();
            }
        }
    }
}

#[test]
fn depth_is_in_the_unit_of_its_benchmark_or_the_one_that_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    depths(&at("npy"), None);
    depths(&at("kitti"), Some(256.0));
    depths(&at("mm"), Some(1000.0));
    let depth = |rest: &[&str]| json(dir.path(), &[&["depth"][..], rest, &QUICK].concat());
    let rmse = |found: &serde_json::Value| found["rows"][0]["figures"][0]["value"].as_f64().unwrap();
    let (_, plain, _) = depth(&["--data", "npy", "--range", "kitti"]);
    assert!(!plain["data"].as_str().unwrap().contains("PNG"));
    let (code, found, err) = depth(&["--data", "kitti", "--range", "kitti"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(found["data"].as_str().unwrap().contains("16-bit PNG at 1/256 m"), "{found}");
    assert!((rmse(&found) / rmse(&plain) - 1.0).abs() < 0.02, "{} and {}", rmse(&found), rmse(&plain));
    // Millimetres under the same range, when that is said.
    let (_, found, _) = depth(&["--data", "mm", "--range", "kitti", "--unit", "mm"]);
    assert!(found["data"].as_str().unwrap().contains("16-bit PNG at 1 mm"), "{found}");
    assert!((rmse(&found) / rmse(&plain) - 1.0).abs() < 0.02);
    // In a unit in which nothing lies in the range, that is said instead of figures.
    let (code, out, err) =
        said(&eval(dir.path(), &["depth", "--data", "kitti", "--range", "nyu", "--unit", "cm"]));
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert!(
        err.contains("0.0 % of the known depths") && err.contains("1 cm") && err.contains("--unit"),
        "{err}"
    );
    tear(&at("kitti").join("depth/2.png"));
    let (code, found, _) = depth(&["--data", "kitti", "--range", "kitti"]);
    assert_eq!((code, &found["left_out"][0]["input"]), (Some(3), &serde_json::json!("depth/2.png")));
}

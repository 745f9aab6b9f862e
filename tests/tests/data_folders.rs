//! Pictures in several folders, in lists and in tables: trained on, gone on with, judged, looked at.

use std::fs;
use std::path::Path;
use std::process::Output;

use dinoscope_core::train::archive;
use dinoscope_core::train::run::RunFolder;
use dinoscope_tests::program::{self, TINY, run};
use image::{Rgb, RgbImage};
use serde_json::Value;

const APPLE: [u8; 3] = [200, 40, 40];
const LEAF: [u8; 3] = [40, 200, 40];

/// Pictures of one colour, with noise.
fn fill(folder: &Path, colour: [u8; 3], count: usize) {
    fs::create_dir_all(folder).unwrap();
    for i in 0..count {
        let noise = |x: u32, y: u32| ((x * 7 + y * 13 + i as u32 * 29) % 40) as u8;
        let picture = RgbImage::from_fn(48, 48, |x, y| Rgb(colour.map(|v| v + noise(x, y))));
        picture.save(folder.join(format!("{i}.png"))).unwrap();
    }
}

/// Two folders with the classes apple and leaf, of which the second has leaf only.
fn two_folders(root: &Path) {
    fill(&root.join("one/apple"), APPLE, 6);
    fill(&root.join("one/leaf"), LEAF, 6);
    fill(&root.join("two/leaf"), LEAF, 4);
}

fn train<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let usual = ["--set", "train.iterations=2", "--set", "train.evaluate_every=2", "--device", "cpu"];
    [&["train", "nano", "--out", out][..], &TINY, &usual, more].concat()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn ends(dir: &Path, arguments: &[&str], status: i32) -> String {
    let output = run(dir, arguments);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    text
}

#[test]
fn several_folders_are_trained_on_and_found_again_where_they_have_moved() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    two_folders(root);
    let both = ["--data", "one", "--data", "two", "--labels"];
    let text = ends(root, &train("run", &both), 0);
    assert!(text.contains("16 pictures from ") && text.contains("k-NN after 2 steps"), "{text}");
    let of = |run: &Path| RunFolder::open(run).unwrap().recipe().unwrap();
    let path = root.join("run");
    assert_eq!(of(&path).data.path.paths(), [root.join("one"), root.join("two")]);
    let written = fs::read_to_string(path.join("recipe.toml")).unwrap();
    assert!(written.contains("path = ["), "{written}");

    // It goes on as it is, where the folders have moved, and from one file.
    let more = |steps: &'static str| ["train", "--resume", "--out", "run", "--device", "cpu", "--set", steps];
    ends(root, &more("train.iterations=3"), 0);
    fs::create_dir(root.join("new")).unwrap();
    fs::rename(root.join("one"), root.join("new/first")).unwrap();
    fs::rename(root.join("two"), root.join("new/second")).unwrap();
    let told = ends(root, &more("train.iterations=4"), 2);
    assert!(told.contains("can't read") && told.contains("--data NEW"), "{told}");
    let moved = ["--data", "new/first", "--data", "new/second"];
    let told = ends(root, &[&more("train.iterations=4")[..], &moved].concat(), 0);
    assert!(told.contains("16 pictures of the same names"), "{told}");
    assert_eq!(of(&path).data.path.paths(), [root.join("new/first"), root.join("new/second")]);
    let fewer = ends(root, &[&more("train.iterations=5")[..], &moved[..2]].concat(), 2);
    assert!(fewer.contains("there were 16, there are 12"), "{fewer}");
    fs::write(root.join("mine.zip"), archive::pack(&path).unwrap()).unwrap();
    let zipped = ["train", "--resume", "mine.zip", "--device", "cpu", "--set", "train.iterations=5"];
    let told = ends(root, &[&zipped[..], &moved].concat(), 0);
    assert!(told.contains("16 pictures of the same names"), "{told}");

    let mixed = ends(root, &train("mixed", &["--data", "procedural*0.5", "--data", "new/first*0.5"]), 0);
    assert!(mixed.contains("48 pictures from procedural*0.5, "), "{mixed}");
    let shares = ends(root, &train("shares", &["--data", "scenes*0.5", "--data", "new/first"]), 2);
    assert!(shares.contains("has a share and") && shares.contains("has none"), "{shares}");
    let wrong = ends(root, &train("wrong", &["--data", "scenes:hard"]), 2);
    assert!(wrong.contains("no hard scenes: they are easy or varied"), "{wrong}");
}

#[test]
fn a_run_of_an_earlier_version_goes_on_by_its_preset_and_by_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    two_folders(root);
    let before = ["--set", "data.reduce=false", "--set", "data.scene_kind=varied", "--data", "one"];
    ends(root, &train("run", &before), 0);
    let recipe = fs::read_to_string(root.join("run/recipe.toml")).unwrap();
    let without: String = recipe
        .lines()
        .filter(|line| !line.starts_with("reduce"))
        .fold(String::new(), |all, line| all + line + "\n");
    assert_ne!(recipe, without);
    fs::write(root.join("run/recipe.toml"), &without).unwrap();
    let by_preset = ["--data", "one", "--resume", "--set", "train.iterations=3"];
    ends(
        root,
        &[
            &["train", "nano", "--out", "run", "--device", "cpu"][..],
            &TINY,
            &["--set", "train.evaluate_every=2"],
            &by_preset,
        ]
        .concat(),
        0,
    );
    let file = without.replace("iterations = 2", "iterations = 4").replace("scene_kind = \"varied\"\n", "");
    fs::write(root.join("again.toml"), file).unwrap();
    ends(root, &["train", "again.toml", "--out", "run", "--resume", "--device", "cpu"], 0);
    let data = RunFolder::open(&root.join("run")).unwrap().recipe().unwrap().data;
    assert_eq!((data.reduce, data.scene_kind.to_string().as_str()), (false, "varied"));
}

#[test]
fn lists_tables_and_patterns_are_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    two_folders(root);
    fs::create_dir(root.join("lists")).unwrap();
    let lines: String = (0..6).map(|i| format!("../one/apple/{i}.png\n")).collect();
    fs::write(root.join("lists/some.txt"), format!("{lines}../two\n")).unwrap();
    let text = ends(root, &train("listed", &["--data", "lists/some.txt"]), 0);
    assert!(text.contains("10 pictures from "), "{text}");

    let row = |i: usize| format!("../one/apple/{i}.png,red\n../one/leaf/{i}.png,green\n");
    let rows: String = (0..6).map(row).collect();
    fs::write(root.join("lists/labels.csv"), format!("path,label\n{rows}")).unwrap();
    let text = ends(root, &train("table", &["--data", "lists/labels.csv", "--labels"]), 0);
    assert!(text.contains("12 pictures from ") && text.contains("k-NN after 2 steps"), "{text}");
    let silent = ends(root, &train("silent", &["--data", "lists/labels.csv"]), 0);
    assert!(silent.contains("data.labels = true takes them"), "{silent}");

    let text = ends(root, &train("pattern", &["--data", "one/*/[0-2].png"]), 0);
    assert!(text.contains("6 pictures from "), "{text}");

    fs::write(root.join("lists/some.txt"), "../one/apple/0.png\n../gone.png\n").unwrap();
    let told = ends(root, &train("gone", &["--data", "lists/some.txt"]), 2);
    assert!(told.contains("line 2 names") && told.contains("gone.png"), "{told}");
}

#[test]
fn what_is_judged_may_lie_in_several_places_and_tables() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    two_folders(root);
    let evaluate = |more: &[&str]| -> Value {
        let usual = ["--weights", "starter", "--alone", "--no-cache", "--device", "cpu", "--json"];
        let output = run(root, &[&["eval", "knn"][..], &usual, more].concat());
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let rows: String = (0..4).map(|i| format!("one/apple/{i}.png;apple\ntwo/leaf/{i}.png;leaf\n")).collect();
    fs::write(root.join("judged.csv"), format!("file;class\n{rows}")).unwrap();
    // All in one piece, of which a fifth is judged; then what a table names.
    let together = evaluate(&["--data", "one", "--data", "two"]).to_string();
    let named = evaluate(&["--data", "one", "--test", "judged.csv"]).to_string();
    assert_ne!(together, named);
    let flat = run(root, &["eval", "knn", "--weights", "starter", "--data", "two/leaf", "--device", "cpu"]);
    assert!(said(&flat).contains("columns path and label"), "{}", said(&flat));
    let mixed = run(
        root,
        &["eval", "knn", "--weights", "starter", "--data", "scenes", "--data", "one", "--device", "cpu"],
    );
    assert!(mixed.status.code() == Some(2) && said(&mixed).contains("stands alone"), "{}", said(&mixed));
}

/// A pair of IDX files of `count` pictures, 28 pixels a side, whose classes come in turn.
fn idx(folder: &Path, half: &str, count: usize) {
    let header = |kind: u8, sizes: &[usize]| -> Vec<u8> {
        let sizes = sizes.iter().flat_map(|size| (*size as u32).to_be_bytes());
        [0, 0, 8, kind].into_iter().chain(sizes).collect()
    };
    let pixels = (0..count * 784).map(|at| ((at / 784 * 53) + at % 784 * (at / 784 % 10 + 1)) as u8);
    let images: Vec<u8> = header(3, &[count, 28, 28]).into_iter().chain(pixels).collect();
    let labels: Vec<u8> = header(1, &[count]).into_iter().chain((0..count).map(|i| (i % 10) as u8)).collect();
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(format!("{half}-images-idx3-ubyte")), images).unwrap();
    fs::write(folder.join(format!("{half}-labels-idx1-ubyte")), labels).unwrap();
}

#[test]
fn collections_are_known_by_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fill(&root.join("sets/stamps/apple"), APPLE, 6);
    fill(&root.join("sets/stamps/leaf/green"), LEAF, 6);
    fs::copy(root.join("sets/stamps/apple/0.png"), root.join("sets/stamps/apple/1_mirror.png")).unwrap();
    idx(&root.join("sets/fashion-mnist"), "train", 60);
    idx(&root.join("sets/fashion-mnist"), "t10k", 40);
    let told = |arguments: &[&str], status: i32| -> String {
        let output =
            program::command(root, arguments).env("DINOSCOPE_DATASETS", root.join("sets")).output().unwrap();
        let text = said(&output);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
        text
    };

    // A run keeps the word, goes on with it, and knows the classes.
    let text = told(&train("run", &["--data", "stamps", "--labels"]), 0);
    assert!(text.contains("12 pictures from stamps") && text.contains("k-NN after 2 steps"), "{text}");
    assert_eq!(RunFolder::open(&root.join("run")).unwrap().recipe().unwrap().data.path, "stamps");
    told(&["train", "--resume", "--out", "run", "--device", "cpu", "--set", "train.iterations=3"], 0);

    // The half to learn from and the half to test, some of each, as many of one class as of another.
    let usual = ["eval", "knn", "--weights", "starter", "--alone", "--no-cache", "--device", "cpu"];
    let evaluate = |more: &[&str], status| told(&[&usual[..], more].concat(), status);
    let fashion = evaluate(&["--data", "fashion-mnist"], 0);
    assert!(fashion.contains("60 pictures to learn from, 40 to test, 10 classes"), "{fashion}");
    let few = ["--data", "fashion-mnist", "--limit", "20", "--limit-test", "10", "--balanced"];
    let dump = [&few[..], &["--dump", "dumped"]].concat();
    assert!(evaluate(&dump, 0).contains("20 pictures to learn from, 10 to test"));
    let labels = fs::read(root.join("dumped/test_labels.npy")).unwrap().split_off(128);
    let number = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes) as u8;
    let mut labels: Vec<u8> = labels.as_chunks().0.iter().map(number).collect();
    labels.sort_unstable();
    assert_eq!(labels, (0..10).collect::<Vec<u8>>(), "one of each class");
    assert!(
        evaluate(&few[..2], 0) == fashion
            && evaluate(&[&few[..2], &["--balanced"]].concat(), 2).contains("--limit")
    );
    assert_eq!(evaluate(&["--data", "fashion-mnist", "--test", "fashion-mnist"], 0), fashion);
    let pixels = ["eval", "segment", "--weights", "starter", "--device", "cpu", "--data", "stamps"];
    assert!(told(&pixels, 2).contains("nothing is known of its pixels"));

    // A folder of that name is meant where there is one.
    fill(&root.join("stamps/apple"), APPLE, 3);
    fill(&root.join("stamps/leaf"), LEAF, 3);
    assert!(evaluate(&["--data", "stamps"], 0).contains("5 pictures to learn from, 1 to test"));
}

#[test]
fn time_and_memory_are_told_before_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    let text = ends(dir.path(), &train("run", &[]), 0);
    let line = text.lines().find(|line| line.contains(" of memory")).unwrap_or_default();
    assert!(line.starts_with("about ") && line.ends_with("on this device"), "{text}");
}

#[test]
fn the_side_of_the_foreground_is_told_and_can_be_turned_round() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let inside = |x: u32, y: u32| x.abs_diff(64) < 30 && y.abs_diff(64) < 30;
    let noise = |x: u32, y: u32| ((x * 7 + y * 13) % 30) as u8;
    let pixel = |x, y| Rgb((if inside(x, y) { APPLE } else { LEAF }).map(|v: u8| v + noise(x, y)));
    RgbImage::from_fn(128, 128, pixel).save(root.join("one.png")).unwrap();
    let split = |out: &str, more: &[&str]| -> (Value, Vec<bool>) {
        let usual =
            ["features", "one.png", "--weights", "starter", "--pca", "--foreground", "--blocks", "--json"];
        let output = run(root, &[&usual[..], &["--device", "cpu", "--out", out], more].concat());
        assert!(output.status.success(), "{}", said(&output));
        let lines = String::from_utf8(output.stdout).unwrap();
        let mut objects = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found = objects.find(|object| object["event"] == "foreground").unwrap();
        let drawn = image::open(root.join(out).join("one.pca.png")).unwrap().to_rgb8();
        (found, drawn.pixels().map(|pixel| pixel.0 != [0; 3]).collect())
    };
    let (found, kept) = split("a", &[]);
    let (turned, others) = split("b", &["--invert"]);
    let share = |found: &Value| found["share"].as_f64().unwrap();
    assert!(["attention", "first component"].contains(&found["reason"].as_str().unwrap()), "{found}");
    assert_eq!(turned["reason"], "inverted by hand");
    assert!((share(&found) + share(&turned) - 1.0).abs() < 1e-6, "{found} {turned}");
    // Of a channel that does not vary, an object may be black too.
    let differ = kept.iter().zip(&others).filter(|(a, b)| a != b).count();
    assert!(differ * 10 > kept.len() * 8, "{differ} of {}", kept.len());
    // The other side is asked for of what is there already, too.
    let (again, _) = split("a", &["--invert"]);
    assert_eq!(again["reason"], "inverted by hand");
    assert_eq!(
        run(root, &["features", "one.png", "--weights", "starter", "--out", "c", "--invert"]).status.code(),
        Some(2)
    );
}

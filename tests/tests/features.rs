//! Features of folders, lists and patterns: what is written, left, gone on with, and named when it can't be used.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use image::{ImageBuffer, Luma, Rgb, RgbImage};
use serde_json::Value;

use dinoscope_tests::program::{TINY, command, ok, run};

/// A picture of its own for each seed.
fn picture(path: &Path, seed: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let level = |x: u32, y: u32, c: u32| ((x * (seed + 3) + y * 7 + c * 90) % 256) as u8;
    RgbImage::from_fn(48, 36, |x, y| Rgb([level(x, y, 0), level(y, x, 1), level(x, x + y, 2)]))
        .save(path)
        .unwrap();
}

/// A folder with pictures in subfolders that share names, one that is broken, and files of other kinds.
fn pictures(dir: &Path) {
    for (i, name) in ["p/a/1.png", "p/a/2.jpg", "p/b/1.png", "p/top.png"].into_iter().enumerate() {
        picture(&dir.join(name), i as u32);
    }
    std::fs::write(dir.join("p/IMG_1.HEIC"), "phone").unwrap();
    std::fs::write(dir.join("p/a/notes.txt"), "notes").unwrap();
}

fn features<'a>(of: &[&'a str]) -> Vec<&'a str> {
    [&["features", "--weights", "starter", "--device", "cpu", "--resolution", "32"][..], of].concat()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn files(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => {
                    found.insert(path.strip_prefix(dir).unwrap().display().to_string().replace('\\', "/"));
                }
            }
        }
    }
    found
}

fn objects(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_folder_keeps_its_paths_and_names_what_it_left_out() {
    let dir = tempfile::tempdir().unwrap();
    pictures(dir.path());
    let output = run(dir.path(), &features(&["p", "--out", "o", "--npy"]));
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stderr);
    assert!(said.contains("2 files of other kinds were left out: 1 .heic, 1 .txt"), "{said}");
    assert!(said.contains("heif-convert") && said.matches("left out").count() == 1, "{said}");
    assert!(text(&output.stdout).contains("4 pictures, results in o"));
    let stems = ["a/1", "a/2", "b/1", "top"];
    let mut wanted: BTreeSet<String> =
        stems.iter().flat_map(|stem| [format!("{stem}.npy"), format!("{stem}.cls.npy")]).collect();
    wanted.insert("features.jsonl".to_owned());
    assert_eq!(files(&dir.path().join("o")), wanted);

    // A single file, a pattern that no shell has seen, and a list give the same numbers.
    let of = |path: &str| std::fs::read(dir.path().join(path)).unwrap();
    ok(dir.path(), &features(&["p/b/1.png", "--out", "single", "--npy"]));
    assert_eq!(of("single/1.npy"), of("o/b/1.npy"));
    ok(dir.path(), &features(&["p/**/1.png", "--out", "pattern", "--npy"]));
    assert_eq!(of("pattern/b/1.npy"), of("o/b/1.npy"));
    std::fs::write(dir.path().join("list.txt"), "p/b/1.png\n\np/top.png\n").unwrap();
    ok(dir.path(), &features(&["--list", "list.txt", "--out", "list", "--npy"]));
    assert_eq!(of("list/p/b/1.cls.npy"), of("o/b/1.cls.npy"));
}

#[test]
fn what_is_there_is_left_and_what_changed_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    pictures(dir.path());
    let all = features(&["p", "--out", "o", "--npy", "--attention", "--pca", "--json"]);
    let first = run(dir.path(), &all);
    assert_eq!((first.status.code(), objects(&first).len()), (Some(0), 4));
    let out = dir.path().join("o");
    let about = |name: &str| {
        let path = out.join(name);
        (std::fs::metadata(&path).unwrap().modified().unwrap(), std::fs::read(&path).unwrap())
    };
    let names = files(&out);
    let before: Vec<_> =
        names.iter().filter(|name| *name != "features.jsonl").map(|name| (name, about(name))).collect();

    let again = objects(&run(dir.path(), &all));
    assert!(
        again.iter().all(|object| object["skipped"] == true && object["dim"] == objects(&first)[0]["dim"])
    );
    assert!(before.iter().all(|(name, before)| about(name) == *before), "nothing was written");

    // One result is lost, one picture is new, one is another: three are made, and all colours.
    std::fs::remove_file(out.join("a/1.attention.png")).unwrap();
    picture(&dir.path().join("p/new.png"), 9);
    picture(&dir.path().join("p/top.png"), 11);
    let third = objects(&run(dir.path(), &all));
    let skipped: Vec<bool> = third.iter().map(|object| object["skipped"] == true).collect();
    assert_eq!(skipped, [false, true, true, false, false]);
    assert_eq!(about("a/2.npy"), before.iter().find(|(name, _)| *name == "a/2.npy").unwrap().1);
    assert_ne!(about("a/2.pca.png").0, before.iter().find(|(name, _)| *name == "a/2.pca.png").unwrap().1.0);

    // Another resolution is another result; and who wants all again gets it.
    let mut other = all.clone();
    other[6] = "48";
    assert!(objects(&run(dir.path(), &other)).iter().all(|object| object.get("skipped").is_none()));
    other.push("--again");
    assert!(objects(&run(dir.path(), &other)).iter().all(|object| object.get("skipped").is_none()));
    let in_one_go = features(&["p", "--out", "once", "--npy", "--attention", "--pca", "--resolution", "48"]);
    ok(dir.path(), &in_one_go[..5].iter().chain(&in_one_go[7..]).copied().collect::<Vec<_>>());
    for name in ["a/1.pca.png", "new.attention-0.png", "top.npy"] {
        assert_eq!(std::fs::read(dir.path().join("once").join(name)).unwrap(), about(name).1, "{name}");
    }
}

#[test]
fn pictures_that_can_not_be_used_are_named_and_the_rest_is_done() {
    let dir = tempfile::tempdir().unwrap();
    pictures(dir.path());
    std::fs::write(dir.path().join("p/broken.jpg"), "").unwrap();
    std::fs::write(dir.path().join("p/cut.png"), &std::fs::read(dir.path().join("p/top.png")).unwrap()[..60])
        .unwrap();
    let arguments = features(&["p", "gone.png", "q/*.jpg", "--out", "o", "--npy", "--pca", "--json"]);
    for round in 0..2 {
        let output = run(dir.path(), &arguments);
        assert_eq!(output.status.code(), Some(3));
        let (failed, done): (Vec<Value>, Vec<Value>) =
            objects(&output).into_iter().partition(|object| object["event"] == "failed");
        let inputs: BTreeSet<&str> = failed.iter().map(|object| object["input"].as_str().unwrap()).collect();
        let slashes: BTreeSet<String> = inputs.iter().map(|input| input.replace('\\', "/")).collect();
        assert!(
            ["p/broken.jpg", "p/cut.png", "gone.png", "q/*.jpg"].iter().all(|name| slashes.contains(*name))
        );
        assert_eq!((failed.len(), done.len()), (4, 4));
        assert!(done.iter().all(|object| (object["skipped"] == true) == (round == 1)), "{done:?}");
        assert_eq!(text(&output.stderr).lines().filter(|line| line.starts_with("left out: ")).count(), 4);
        assert!(dir.path().join("o/top.pca.png").is_file());
    }
    let none = run(dir.path(), &features(&["p/broken.jpg", "--out", "o2", "--npy"]));
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("no picture could be used"), "{}", text(&none.stderr));
}

#[test]
fn a_table_holds_names_cls_and_mean_patch() {
    let dir = tempfile::tempdir().unwrap();
    pictures(dir.path());
    ok(dir.path(), &features(&["p", "--out", "o", "--npy"]));
    for name in ["t.csv", "t.npy", "t.parquet"] {
        let said = ok(dir.path(), &features(&["p", "--table", name]));
        assert!(said.contains(&format!("4 pictures, table in {name}")), "{said}");
    }
    let wanted = ["list.txt", "o", "p", "t.csv", "t.names.json", "t.npy", "t.parquet"];
    let there = std::fs::read_dir(dir.path()).unwrap().flatten();
    let there: BTreeSet<String> = there.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    assert!(there.iter().all(|name| wanted.contains(&name.as_str())), "nothing else is written: {there:?}");

    let numbers = |path: &str| -> Vec<f32> {
        let bytes = std::fs::read(dir.path().join(path)).unwrap();
        let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        bytes[start..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let csv = std::fs::read_to_string(dir.path().join("t.csv")).unwrap();
    let mut lines = csv.lines();
    let dim = numbers("o/top.cls.npy").len();
    let header = lines.next().unwrap();
    assert!(header.starts_with("image,cls_0,") && header.ends_with(&format!(",patch_{}", dim - 1)));
    let matrix = numbers("t.npy");
    let names: Vec<String> =
        serde_json::from_slice(&std::fs::read(dir.path().join("t.names.json")).unwrap()).unwrap();
    let order = ["p/a/1.png", "p/a/2.jpg", "p/b/1.png", "p/top.png"];
    assert_eq!(names.iter().map(|name| name.replace('\\', "/")).collect::<Vec<_>>(), order);
    for ((line, row), stem) in lines.zip(matrix.chunks_exact(2 * dim)).zip(["a/1", "a/2", "b/1", "top"]) {
        let (cls, mean) = row.split_at(dim);
        assert_eq!(cls, numbers(&format!("o/{stem}.cls.npy")));
        let patches = numbers(&format!("o/{stem}.npy"));
        for (d, mean) in mean.iter().enumerate() {
            let of: f32 = patches.iter().skip(d).step_by(dim).sum::<f32>() / (patches.len() / dim) as f32;
            assert!((of - mean).abs() < 1e-4, "{stem}: {of} {mean}");
        }
        let parsed: Vec<f32> = line.split(',').skip(1).map(|v| v.parse().unwrap()).collect();
        assert_eq!(parsed, row, "every digit that matters");
    }

    // Beside files of each picture, also when those were there before.
    let said = ok(dir.path(), &features(&["p", "--out", "o", "--npy", "--table", "t2.npy"]));
    assert!(said.contains("results in o, table in t2.npy"), "{said}");
    assert_eq!(numbers("t2.npy"), matrix);
    let said = ok(dir.path(), &features(&["p", "--out", "o", "--npy", "--table", "t3.npy"]));
    assert!(said.contains("4 pictures (4 already there)") && numbers("t3.npy") == matrix, "{said}");
    let wrong = run(dir.path(), &features(&["p", "--table", "t.xlsx"]));
    assert!(wrong.status.code() == Some(2) && text(&wrong.stderr).contains(".parquet"));
}

#[test]
fn similarity_is_to_the_first_picture_and_places_outside_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    pictures(dir.path());
    let mut arguments = features(&["p", "--out", "o", "--similarity", "1,2"]);
    ok(dir.path(), &arguments);
    ok(dir.path(), &features(&["p/a/1.png", "p/b/1.png", "--out", "two", "--similarity", "1,2"]));
    let of = |path: &str| std::fs::read(dir.path().join(path)).unwrap();
    assert_eq!(of("o/b/1.similarity.png"), of("two/1-2.similarity.png"));
    let last = arguments.len() - 1;
    arguments[last] = "900,2";
    let output = run(dir.path(), &arguments);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let output = run(dir.path(), &features(&["p", "--out", "o", "--attention", "--block", "99"]));
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("the model has blocks 0 to"));
}

/// Grey of so many levels, and the same in all of 16 bits.
fn deep(dir: &Path, name: &str, levels: u32) {
    // The highest and the lowest number are there, so that stretching by the file is the same.
    let level = |x: u32, y: u32| match (x, y) {
        (0, 0) => levels as u16,
        (1, 0) => 0,
        _ => ((x * 40 + y * 25) % 4096 * levels / 4095) as u16,
    };
    ImageBuffer::from_fn(48, 48, |x, y| Luma([level(x, y)])).save(dir.join(name)).unwrap();
}

#[test]
fn deep_grey_is_said_and_stretched_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    deep(dir.path(), "sixteen.png", 65_535);
    deep(dir.path(), "twelve.png", 4095);
    let quiet = run(dir.path(), &features(&["sixteen.png", "--out", "o", "--npy"]));
    assert!(!text(&quiet.stderr).contains("depth"), "{}", text(&quiet.stderr));
    let dark = run(dir.path(), &features(&["twelve.png", "--out", "o", "--npy"]));
    let said = text(&dark.stderr);
    assert!(
        dark.status.success() && said.contains("4095") && said.contains("--depth-range 0..4095"),
        "{said}"
    );
    let cls = |out: &str| -> Vec<f32> {
        let bytes = std::fs::read(dir.path().join(out)).unwrap();
        bytes[128..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let cosine = |a: &[f32], b: &[f32]| -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let sixteen = cls("o/sixteen.cls.npy");
    assert!(cosine(&cls("o/twelve.cls.npy"), &sixteen) < 0.99);
    for (out, range) in [("file", "file"), ("between", "0..4095")] {
        let read = run(dir.path(), &features(&["twelve.png", "--out", out, "--npy", "--depth-range", range]));
        assert!(read.status.success() && !text(&read.stderr).contains("depth"));
        assert!(cosine(&cls(&format!("{out}/twelve.cls.npy")), &sixteen) > 0.9999, "{range}");
    }

    // Training and judging say so as well, once.
    std::fs::create_dir_all(dir.path().join("d/x")).unwrap();
    for i in 0..4 {
        deep(dir.path(), &format!("d/x/{i}.png"), 4095);
    }
    std::fs::write(dir.path().join("d/x/film.mov"), "film").unwrap();
    let mut train = vec!["train", "--device", "cpu", "--data", "d", "--out", "run"];
    train.extend(TINY);
    train.extend([
        "--set",
        "train.iterations=2",
        "--set",
        "optim.warmup=1",
        "--set",
        "train.evaluate_every=0",
    ]);
    let output = run(dir.path(), &train);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!((said.matches("data.depth_range").count(), said.matches("1 .mov").count()), (1, 1), "{said}");
    train[6] = "run2";
    train.extend(["--set", "data.depth_range=0..4095", "--json"]);
    let output = run(dir.path(), &train);
    let notes: Vec<Value> = objects(&output).into_iter().filter(|object| object["event"] == "note").collect();
    let says = |object: &Value, what: &str| object["note"].as_str().unwrap().contains(what);
    assert!(notes.iter().any(|object| says(object, "1 .mov")), "{notes:?}");
    assert!(notes.iter().all(|object| !says(object, "depth")), "{notes:?}");
    let wrong = train.iter().map(|word| match *word {
        "data.depth_range=0..4095" => "data.depth_range=deep",
        other => other,
    });
    let output = run(dir.path(), &wrong.collect::<Vec<_>>());
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("no depth range"));
    let spread = ["eval", "spread", "--weights", "starter", "--device", "cpu", "--data", "d", "--no-cache"];
    let said = text(&run(dir.path(), &spread).stderr);
    assert_eq!(said.matches("data.depth_range").count(), 1, "{said}");
}

/// Where the processor has such products features change a little; they are made again, and f32 is f32 as it was.
#[test]
fn products_in_bf16_are_asked_for_and_kept_apart() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    picture(&dir.join("a.png"), 1);
    let cls = |precision: &str| -> Vec<f32> {
        ok(dir, &features(&["a.png", "--out", "o", "--npy", "--matmul-precision", precision]));
        let bytes = std::fs::read(dir.join("o/a.cls.npy")).unwrap();
        bytes[bytes.len() - 128 * 4..].as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    let (full, rounded, again) = (cls("f32"), cls("bf16"), cls("f32"));
    assert_eq!(full, again);
    let off = full.iter().zip(&rounded).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    let has = dinoscope_core::fused::MatmulPrecision::Bf16.is_available();
    assert!(if has { (1e-5..0.1).contains(&off) } else { off == 0.0 }, "off by {off}, has it: {has}");
    let output = run(dir, &features(&["a.png", "--out", "o", "--matmul-precision", "f8"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("f32 or bf16"));
}

#[test]
fn the_limit_of_a_picture_is_a_setting() {
    let dir = tempfile::tempdir().unwrap();
    RgbImage::new(700, 600).save(dir.path().join("large.png")).unwrap();
    let arguments = features(&["large.png", "--out", "o", "--npy"]);
    let output = command(dir.path(), &arguments).env("DINOSCOPE_MAX_PICTURE_MIB", "1").output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("700 × 600") && said.contains("DINOSCOPE_MAX_PICTURE_MIB"), "{said}");
    assert!(
        command(dir.path(), &arguments)
            .env("DINOSCOPE_MAX_PICTURE_MIB", "2")
            .output()
            .unwrap()
            .status
            .success()
    );
}

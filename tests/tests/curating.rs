//! From a heap of pictures to a data set, as a person would: copies whose truth is known, and what is trained from the table.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use dinoscope_core::data::Picture;
use dinoscope_core::data::augment::{CropBox, flip_horizontal, gaussian_blur, resize_to, resized_crop};
use dinoscope_core::data::source::PictureSource;
use dinoscope_core::data::source::procedural::ProceduralSource;
use dinoscope_core::data::source::scenes::{SceneKind, ScenesSource};
use dinoscope_curate::{CuratedPicture, CurationTable};
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use serde_json::Value;

use dinoscope_tests::program::{TINY, command, ok, run};

/// Pictures with a copy each; more by `DINOSCOPE_CURATE_PAIRS=2000`, which prints a table of thresholds.
fn pairs() -> usize {
    std::env::var("DINOSCOPE_CURATE_PAIRS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

/// How copies differ from what they are copies of.
const KINDS: [&str; 6] = ["jpeg", "crop", "mirror", "blur", "half", "bright"];

fn changed(picture: &Picture, kind: &str) -> Picture {
    let mut out = picture.clone();
    let (width, height) = (picture.width, picture.height);
    match kind {
        "crop" => {
            let crop = CropBox {
                left: width / 20,
                top: height / 20,
                width: width * 9 / 10,
                height: height * 9 / 10,
            };
            return resized_crop(picture, crop, width * 9 / 10, height * 9 / 10);
        }
        "mirror" => flip_horizontal(&mut out),
        "blur" => gaussian_blur(&mut out, 1.5),
        "half" => return resize_to(picture, width / 2, height / 2),
        "bright" => out.rgb.iter_mut().for_each(|v| *v = (f32::from(*v) * 1.15).min(255.0) as u8),
        _ => {}
    }
    out
}

fn save(picture: &Picture, path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let image = RgbImage::from_raw(picture.width as u32, picture.height as u32, picture.rgb.clone()).unwrap();
    match path.extension().is_some_and(|kind| kind == "jpg") {
        true => image
            .write_with_encoder(JpegEncoder::new_with_quality(std::fs::File::create(path).unwrap(), 60))
            .unwrap(),
        false => image.save(path).unwrap(),
    }
}

/// `heap/plain/N.png` and `heap/KIND/N.*`, a copy of it.
fn heap(root: &Path, pairs: usize) {
    let (scenes, drawn) =
        (ScenesSource::of_kind(SceneKind::Varied, 11, pairs, 128), ProceduralSource::new(12, pairs, 128));
    for i in 0..pairs {
        let picture = if i % 2 == 0 { scenes.load(i) } else { drawn.load(i) }.unwrap();
        save(&picture, &root.join(format!("heap/plain/{i:05}.png")));
        let kind = KINDS[i % KINDS.len()];
        let ending = if kind == "jpeg" { "jpg" } else { "png" };
        save(&changed(&picture, kind), &root.join(format!("heap/{kind}/{i:05}.{ending}")));
    }
}

fn table(root: &Path, name: &str) -> Vec<CuratedPicture> {
    CurationTable::read(&root.join("set").join(name)).unwrap().rows
}

/// Of pairs of pictures in one component the share that are copies, and of copies by their kind the share that is found.
fn judged(rows: &[CuratedPicture]) -> (f64, f64, BTreeMap<&'static str, f64>) {
    let number = |row: &CuratedPicture| -> usize {
        Path::new(&row.key).file_stem().unwrap().to_str().unwrap().parse().unwrap()
    };
    let mut components: HashMap<i64, Vec<&CuratedPicture>> = HashMap::new();
    rows.iter().for_each(|row| components.entry(row.component.unwrap()).or_default().push(row));
    let (mut told, mut right) = (0, 0);
    for rows in components.values() {
        for (i, a) in rows.iter().enumerate() {
            told += rows.len() - i - 1;
            right += rows[i + 1..].iter().filter(|b| number(a) == number(b)).count();
        }
    }
    let mut of_number: HashMap<usize, Vec<&CuratedPicture>> = HashMap::new();
    rows.iter().for_each(|row| of_number.entry(number(row)).or_default().push(row));
    let recall = KINDS.map(|kind| {
        let mut of_kind = of_number.values().filter(|rows| rows.iter().any(|row| row.key.contains(kind)));
        let all = of_kind.clone().count();
        let found =
            of_kind.by_ref().filter(|rows| rows.iter().all(|row| row.component == rows[0].component)).count();
        (kind, found as f64 / all.max(1) as f64)
    });
    (right as f64 / told.max(1) as f64, right as f64 / (rows.len() / 2) as f64, recall.into_iter().collect())
}

const EMBED: [&str; 8] = ["curate", "embed", "heap", "--out", "set", "--device", "cpu", "--json"];

#[test]
fn copies_of_known_pictures_are_found_and_the_rest_is_trained_from() {
    let (dir, pairs) = (tempfile::tempdir().unwrap(), pairs());
    let root = dir.path();
    heap(root, pairs);
    let line = ok(root, &EMBED);
    let said: Value = serde_json::from_str(line.trim()).unwrap();
    assert_eq!(
        (said["pictures"].as_u64(), said["embedded"].as_u64()),
        (Some(2 * pairs as u64), Some(2 * pairs as u64))
    );
    let copies = |more: &[&str]| ok(root, &[&["curate", "copies", "set", "--json"][..], more].concat());
    if std::env::var("DINOSCOPE_CURATE_PAIRS").is_ok() {
        for hashes in ["off", "0", "2", "3", "4", "6"] {
            for threshold in
                ["1", "0.995", "0.99", "0.985", "0.98", "0.97", "0.96", "0.95", "0.93", "0.9", "0.85", "0.8"]
            {
                copies(&["--threshold", threshold, "--hash-distance", hashes]);
                let (precision, recall, kinds) = judged(&table(root, "copies.parquet"));
                println!(
                    "hash {hashes} threshold {threshold}: precision {precision:.4} recall {recall:.4} {kinds:.3?}"
                );
            }
        }
    }
    copies(&[]);
    let rows = table(root, "copies.parquet");
    let (precision, recall, kinds) = judged(&rows);
    println!("precision {precision:.4} recall {recall:.4} {kinds:.3?}");
    assert!(precision > 0.9 && recall > 0.6, "precision {precision} recall {recall} {kinds:?}");
    // Smaller copies never stay where the picture itself is known.
    let stays = |row: &&CuratedPicture| row.kept == Some(true);
    let kept: Vec<&CuratedPicture> = rows.iter().filter(stays).collect();
    assert!(kept.iter().all(|row| row.width >= Some(64)) && kept.len() < 2 * pairs);
    // As many as are wanted of those, and those that resemble what one has.
    let counted = |words: &[&str], table: &str| {
        let said: Value = serde_json::from_str(ok(root, words).lines().last().unwrap()).unwrap();
        (said, dinoscope_curate::CurationTable::read(&root.join("set").join(table)).unwrap().kept())
    };
    let (said, drawn) = counted(
        &["curate", "balance", "set", "--target", "20", "--clusters", "12,3", "--json"],
        "balance.parquet",
    );
    assert_eq!((said["drawn"].as_u64(), drawn), (Some(20), 20), "{said}");
    let query = ["curate", "retrieve", "set", "--query", "heap/blur", "--device", "cpu", "--json"];
    let (said, found) = counted(&query, "retrieve.parquet");
    assert_eq!(said["found"].as_u64(), Some(found as u64), "{said}");
    assert_eq!(said["queries"].as_u64().unwrap() * 4, said["collisions"].as_u64().unwrap() + found as u64);
    let by_cluster = [&query[..], &["--clusters", "6", "--least", "1", "--each", "5"]].concat();
    let (said, found) = counted(&by_cluster, "retrieve.parquet");
    assert!(found > 0 && found <= 30 && said["clusters"].as_u64() > Some(0), "{said}");
    // What is left is a collection like any other.
    let trained = [
        &["train", "nano", "--data", "set/copies.parquet", "--out", "run", "--device", "cpu"][..],
        &TINY,
        &["--set", "train.iterations=2", "--set", "train.evaluate_every=0"],
    ]
    .concat();
    let output = run(root, &trained);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = ok(
        root,
        &[
            "features",
            "set/copies.parquet",
            "--weights",
            "starter",
            "--device",
            "cpu",
            "--resolution",
            "32",
            "--table",
            "t.csv",
            "--json",
        ],
    );
    let done: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(done["pictures"].as_u64(), Some(kept.len() as u64), "{text}");
}

#[test]
fn a_test_set_a_stop_and_a_mistake_on_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    heap(root, 12);
    // Killed in the middle, it goes on with what was saved.
    let few = [&EMBED[..], &["--save-every", "4", "--batch", "4"]].concat();
    let mut child = command(root, &few)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let part = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.path().extension().is_some_and(|kind| kind == "safetensors"))
    };
    while !std::fs::read_dir(root.join("set/features")).is_ok_and(|mut parts| parts.any(part)) {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let said: Value = serde_json::from_str(ok(root, &few).trim()).unwrap();
    assert!(said["embedded"].as_u64() < Some(24) && said["pictures"].as_u64() == Some(24), "{said}");
    // Pictures that are in the test set, and their copies, go.
    std::fs::create_dir(root.join("test")).unwrap();
    for i in [3, 4] {
        std::fs::copy(root.join(format!("heap/plain/{i:05}.png")), root.join(format!("test/{i}.png")))
            .unwrap();
    }
    std::fs::write(root.join("test/broken.png"), "no picture").unwrap();
    let output = run(root, &["curate", "copies", "set", "--against", "test", "--device", "cpu", "--json"]);
    assert_eq!(output.status.code(), Some(3), "a picture of the test set can't be read");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("\"failed\"") && text.contains("broken.png"), "{text}");
    let rows = table(root, "copies.parquet");
    let of = |name: &str| rows.iter().find(|row| row.key.ends_with(name)).unwrap();
    for name in ["plain/00003.png", "plain/00004.png"] {
        assert!(
            of(name).kept == Some(false) && of(name).why.as_ref().unwrap().contains("test set"),
            "{name}"
        );
    }
    assert!(rows.iter().any(|row| row.kept == Some(true)));
    for (words, said) in [
        (&["curate", "copies", "nowhere"][..], "curate embed"),
        (&["curate", "copies", "set", "--threshold", "2"], "--threshold 2"),
        (&["curate", "copies", "set", "--memory", "1MB"], "is the least"),
        (&["curate", "embed", "nowhere", "--out", "set2"], "nowhere"),
        (&["curate", "embed", "scenes", "--out", "set2"], "scenes"),
    ] {
        let output = run(root, words);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && text.contains(said), "{words:?}: {text}");
    }
}

//! From a heap of pictures to a data set, as a person would: copies whose truth is known, and what is trained from the table.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use dinoscope_curate::{CuratedPicture, CurationTable};
use serde_json::Value;

use dinoscope_tests::copied::{CopyKind, lay_down};
use dinoscope_tests::program::{TINY, command, ok, run};

/// Pictures with a copy each; more by `DINOSCOPE_CURATE_PAIRS=2000`, which prints a table of bounds.
fn pairs() -> usize {
    std::env::var("DINOSCOPE_CURATE_PAIRS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

fn heap(root: &Path, pairs: usize) {
    lay_down(&root.join("heap"), pairs, &CopyKind::JUDGED).unwrap();
}

fn table(root: &Path, name: &str) -> Vec<CuratedPicture> {
    CurationTable::read(&root.join("set").join(name)).unwrap().rows
}

fn number(row: &CuratedPicture) -> usize {
    Path::new(&row.key).file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

/// How well copies were found.
struct CopiesJudgement {
    /// Of pairs of pictures in one component the share that are copies.
    precision: f64,
    /// Of copies the share that is found.
    recall: f64,
    /// The same by their kind.
    kinds: BTreeMap<&'static str, f64>,
}

impl std::fmt::Display for CopiesJudgement {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "precision {:.4} recall {:.4} {:.3?}", self.precision, self.recall, self.kinds)
    }
}

/// Judges the pairs of one half: bounds are chosen by the first, what they are worth is told by the second.
fn judged(rows: &[CuratedPicture], half: usize) -> CopiesJudgement {
    // All kinds and both sources take turns among twelve.
    let rows: Vec<&CuratedPicture> = rows.iter().filter(|row| number(row) / 12 % 2 == half).collect();
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
    let kinds = CopyKind::JUDGED.map(|kind| {
        let folder = format!("/{}/", kind.name());
        let of_kind = of_number.values().filter(|rows| rows.iter().any(|row| row.key.contains(&folder)));
        let found = of_kind.clone().filter(|rows| rows.iter().all(|row| row.component == rows[0].component));
        (kind.name(), found.count() as f64 / of_kind.count().max(1) as f64)
    });
    CopiesJudgement {
        precision: right as f64 / told.max(1) as f64,
        recall: right as f64 / (rows.len() / 2).max(1) as f64,
        kinds: kinds.into_iter().collect(),
    }
}

/// The bounds of a table in docs/curation.md: words of the command line, by what tells copies.
fn bounds() -> Vec<(&'static str, Vec<Vec<String>>)> {
    let words = |text: String| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let cosines = ["0.99", "0.97", "0.95", "0.94", "0.93", "0.92", "0.91", "0.9", "0.88"];
    let features = |hash: &str| {
        let of =
            |cosine: &&str| words(format!("--threshold {cosine} --hash-distance {hash} --agreement off"));
        cosines.iter().map(of).collect()
    };
    let agreements = ["0.55", "0.6", "0.65", "0.7", "0.75", "0.8"];
    let edges = |hash: &str| {
        let of = |share: &&str| words(format!("--threshold 0.97 --hash-distance {hash} --agreement {share}"));
        agreements.iter().map(of).collect()
    };
    vec![
        ("features alone", features("off")),
        ("features and hashes", features("4")),
        ("features and edges", edges("off")),
        ("features, hashes and edges", edges("4")),
    ]
}

const EMBED: [&str; 8] = ["curate", "embed", "heap", "--out", "set", "--device", "cpu", "--json"];

#[test]
fn copies_of_known_pictures_are_found_and_the_rest_is_trained_from() {
    let (dir, pairs) = (tempfile::tempdir().unwrap(), pairs());
    let root = dir.path();
    heap(root, pairs);
    let mirrored: &[&str] =
        if std::env::var("DINOSCOPE_CURATE_MIRRORED").is_ok() { &["--mirrored"] } else { &[] };
    let line = ok(root, &[&EMBED[..], mirrored].concat());
    let said: Value = serde_json::from_str(line.trim()).unwrap();
    assert_eq!(
        (said["pictures"].as_u64(), said["embedded"].as_u64()),
        (Some(2 * pairs as u64), Some(2 * pairs as u64))
    );
    let copies = |more: &[&str]| ok(root, &[&["curate", "copies", "set", "--json"][..], more].concat());
    if std::env::var("DINOSCOPE_CURATE_PAIRS").is_ok() {
        for (what, all) in bounds() {
            let mut best: Option<(f64, Vec<String>, CopiesJudgement)> = None;
            for bound in all {
                copies(&bound.iter().map(String::as_str).collect::<Vec<_>>());
                let rows = table(root, "copies.parquet");
                let (chosen, told) = (judged(&rows, 0), judged(&rows, 1));
                println!("{what}: {}: {chosen}; held out: {told}", bound.join(" "));
                let is_better = best.as_ref().is_none_or(|(recall, _, _)| chosen.recall > *recall);
                if chosen.precision >= 0.95 && is_better {
                    best = Some((chosen.recall, bound, told));
                }
            }
            let (_, bound, told) = best.expect("a bound of that precision");
            println!("{what}: chosen {}: held out: {told}", bound.join(" "));
        }
    }
    copies(&[]);
    let rows = table(root, "copies.parquet");
    let judgement = judged(&rows, 1);
    println!("as it comes, held out: {judgement}");
    assert!(judgement.precision > 0.9 && judgement.recall > 0.85, "{judgement}");
    // A crop never stays where the picture itself is known.
    let stays = |row: &&CuratedPicture| row.kept == Some(true);
    let kept: Vec<&CuratedPicture> = rows.iter().filter(stays).collect();
    let whole: HashMap<usize, Option<i64>> = rows
        .iter()
        .filter(|row| row.key.contains("/plain/"))
        .map(|row| (number(row), row.component))
        .collect();
    let is_spare =
        |row: &&&CuratedPicture| row.key.contains("/crop/") && whole[&number(row)] == row.component;
    assert!(kept.iter().find(is_spare).is_none() && kept.len() < 3 * pairs / 2, "{} of {pairs}", kept.len());
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

#[test]
fn filters_and_a_report_on_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    heap(root, 12);
    let night = image::RgbImage::from_pixel(200, 200, image::Rgb([4, 4, 6]));
    night.save(root.join("heap/night.png")).unwrap();
    image::open(root.join("heap/plain/00000.png"))
        .unwrap()
        .thumbnail(40, 40)
        .save(root.join("heap/tiny.png"))
        .unwrap();
    ok(root, &EMBED);
    let said: Value = serde_json::from_str(ok(root, &["curate", "quality", "set", "--json"]).trim()).unwrap();
    // The night has nothing on it, and one of the blurred copies is as bad.
    let counts = ["dark", "small", "blurred", "kept"].map(|name| said[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 2, 23], "{said}");
    let words = ok(
        root,
        &["curate", "quality", "set", "--min-blur", "off", "--max-darkness", "0.9", "--max-aspect", "off"],
    );
    assert!(words.contains("24 of 26 pictures stay") && words.contains("1 are dark"), "{words}");
    ok(root, &["curate", "copies", "set"]);
    ok(root, &["curate", "balance", "set", "--target", "8", "--clusters", "6,2"]);
    let said: Value = serde_json::from_str(ok(root, &["curate", "report", "set", "--json"]).trim()).unwrap();
    assert_eq!((said["pictures"].as_u64(), said["kept"].as_u64()), (Some(26), Some(8)), "{said}");
    let page = std::fs::read_to_string(root.join("set/report.html")).unwrap();
    assert!(page.contains("data:image/jpeg") && page.contains("Left out because"), "{}", page.len());
    for (words, said) in [
        (&["curate", "quality", "set", "--max-aspect", "0.2"][..], "--max-aspect 0.2"),
        (&["curate", "quality", "set", "--min-blur", "no"], "expected a number, or off"),
        (&["curate", "report", "nowhere"], "curate embed"),
        (&["curate", "copies", "set", "--agreement", "0.1"], "--agreement 0.1"),
    ] {
        let output = run(root, words);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && text.contains(said), "{words:?}: {text}");
    }
}

#![allow(clippy::unwrap_used)]

use half::f16;

use super::*;
use crate::features::{FeatureOrigin, StoredPicture, hex};
use crate::table::CuratedPicture;
use std::path::Path;

const DIM: usize = 8;

/// A picture of a made-up heap: where its features point (degrees in a plane of its own axis), its hash and its size.
#[derive(Clone, Copy)]
struct Made {
    content: u8,
    axis: usize,
    degrees: f64,
    hash: Option<u64>,
    size: u32,
    blur: f32,
}

fn made(content: u8, axis: usize, degrees: f64) -> Made {
    Made { content, axis, degrees, hash: None, size: 100, blur: 1.0 }
}

fn heap(folder: &Path, table: &str, pictures: &[Made]) {
    let origin = FeatureOrigin {
        weights: "w".to_owned(),
        digest: "d".to_owned(),
        dim: DIM,
        size: 28,
        depth_range: "fixed".to_owned(),
    };
    let mut store = FeatureStore::with_origin(folder, &origin).unwrap();
    let mut rows = Vec::new();
    for (i, made) in pictures.iter().enumerate() {
        let digest = [made.content; 32];
        let mut features = vec![f16::ZERO; DIM];
        features[made.axis] = f16::from_f64(made.degrees.to_radians().cos());
        features[DIM - 1 - made.axis] = f16::from_f64(made.degrees.to_radians().sin());
        let picture =
            StoredPicture { digest, hash: made.hash, size: (made.size, made.size), ..Default::default() };
        if store.picture(&digest).is_none() {
            store.add(&[picture], &features).unwrap();
        }
        rows.push(CuratedPicture {
            key: format!("{table}-{i}"),
            digest: Some(hex(&digest)),
            width: Some(i64::from(made.size)),
            height: Some(i64::from(made.size)),
            blur: Some(made.blur),
            ..CuratedPicture::default()
        });
    }
    rows.push(CuratedPicture {
        key: "broken".to_owned(),
        kept: Some(false),
        unreadable: Some("no picture".to_owned()),
        ..CuratedPicture::default()
    });
    CurationTable { rows, ..CurationTable::default() }.write(&folder.join(table)).unwrap();
}

fn run(options: &CopiesOptions) -> (CopiesSummary, Vec<CuratedPicture>) {
    let summary = copies(options, &mut |_, _, _| true).unwrap();
    (summary, CurationTable::read(&options.folder.join(names::COPIES)).unwrap().rows)
}

fn kept(rows: &[CuratedPicture]) -> Vec<usize> {
    (0..rows.len()).filter(|i| rows[*i].kept == Some(true)).collect()
}

#[test]
fn one_of_each_component_stays_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    // 10 degrees are a cosine of 0.985, 20 of 0.94: a chain of three, then one alone, one twice, two alike in their hash.
    let pictures = [
        made(1, 0, 0.0),
        Made { size: 200, ..made(2, 0, 10.0) },
        made(3, 0, 20.0),
        made(4, 1, 0.0),
        made(5, 2, 0.0),
        made(5, 2, 0.0),
        Made { hash: Some(0xff00), blur: 1.0, ..made(6, 3, 0.0) },
        Made { hash: Some(0xff03), blur: 2.0, ..made(7, 3, 90.0) },
    ];
    heap(folder.path(), names::EMBED, &pictures);
    let options = CopiesOptions { threshold: 0.98, ..CopiesOptions::new(folder.path()) };
    let (summary, rows) = run(&options);
    assert_eq!(kept(&rows), [1, 3, 4, 7]);
    assert_eq!((summary.pictures, summary.kept, summary.copies, summary.unreadable), (9, 4, 4, 1));
    assert_eq!((summary.components, summary.largest, summary.leaks), (3, 3, 0));
    let components: Vec<_> = rows.iter().map(|row| row.component).collect();
    assert_eq!(components, [Some(0), Some(0), Some(0), Some(3), Some(4), Some(4), Some(6), Some(6), None]);
    let why = |i: usize| rows[i].why.as_deref().unwrap();
    assert_eq!(why(1), "the largest of 3 copies");
    assert!(
        why(0).contains("cosine of 0.98") && rows[0].copy_of.as_deref() == Some("embed.parquet-1"),
        "{}",
        why(0)
    );
    assert_eq!(
        (why(3), why(4), why(5)),
        ("there is no copy of it", "the first of 2 copies", "it has the same bytes")
    );
    assert_eq!(
        (why(6), why(7)),
        ("a copy: its hash differs in 2 bits", "the sharpest of the largest of 2 copies")
    );
    assert!((rows[2].similarity.unwrap() - 0.985).abs() < 2e-3 && rows[4].similarity == Some(1.0));
    assert!(rows[3].similarity.unwrap().abs() < 1e-3, "the nearest, however far");
    assert_eq!(summary.histogram.iter().sum::<usize>(), 8);
    // Stricter, the chain falls apart; without hashes so do the last two.
    let strict = CopiesOptions { threshold: 0.99, hash_distance: None, ..options.clone() };
    assert_eq!(kept(&run(&strict).1), [0, 1, 2, 3, 4, 6, 7]);
    let loose = CopiesOptions { threshold: -0.5, ..options };
    assert_eq!(kept(&run(&loose).1), [1], "all are one");
}

#[test]
fn components_that_come_near_a_test_set_go_whole() {
    let folder = tempfile::tempdir().unwrap();
    let hashed = |made: Made, hash| Made { hash: Some(hash), ..made };
    let pictures = [
        made(1, 0, 0.0),
        made(2, 0, 10.0),
        made(3, 1, 0.0),
        hashed(made(4, 2, 0.0), 0xf0),
        hashed(made(5, 2, 90.0), 0xff00_0000),
        made(9, 3, 45.0),
    ];
    heap(folder.path(), names::EMBED, &pictures);
    // 25 degrees from the second, the same bytes as the last, and hashes equal to one and near to another.
    let tests = [
        made(20, 0, 35.0),
        hashed(made(21, 1, 90.0), 0xf0),
        hashed(made(22, 1, 90.0), 0xff00_0001),
        made(9, 3, 45.0),
    ];
    heap(folder.path(), names::AGAINST, &tests);
    let options = CopiesOptions {
        threshold: 0.98,
        against: true,
        against_threshold: 0.9,
        ..CopiesOptions::new(folder.path())
    };
    let (summary, rows) = run(&options);
    assert_eq!((kept(&rows), summary.leaks), (vec![2], 5));
    let why = |i: usize| rows[i].why.as_deref().unwrap();
    assert!(why(1).starts_with("it came near the test set with a cosine of 0.9"), "{}", why(1));
    assert!(why(0).starts_with("a copy of it came near"), "{}", why(0));
    assert_eq!(rows[0].copy_of.as_deref(), Some("against.parquet-0"));
    assert_eq!(
        (why(3), why(4)),
        ("it came near the test set by its hash", "it came near the test set by its hash")
    );
    assert_eq!((rows[5].similarity, rows[5].copy_of.as_deref()), (Some(1.0), Some("against.parquet-3")));
    // Less strict, with bytes alone.
    let far = CopiesOptions { against_threshold: 0.999, hash_distance: None, ..options };
    assert_eq!(kept(&run(&far).1), [0, 2, 3, 4]);
}

#[test]
fn a_search_that_was_stopped_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let pictures: Vec<Made> = (0..250u8).map(|i| made(i, usize::from(i) % 4, f64::from(i))).collect();
    heap(folder.path(), names::EMBED, &pictures);
    let options = CopiesOptions { threshold: 0.9995, ..CopiesOptions::new(folder.path()) };
    let stopped = copies(&options, &mut |done, all, _| done < all);
    assert!(matches!(stopped, Err(CurateError::Stopped)) && !folder.path().join(names::COPIES).exists());
    // What was found lies there: the features are not looked at again.
    let found = std::fs::read_dir(folder.path().join(FOUND)).unwrap().count();
    assert_eq!(found, 1);
    let mut heard = Vec::new();
    copies(&options, &mut |done, _, _| {
        heard.push(done);
        true
    })
    .unwrap();
    assert_eq!(heard, [250]);
    let rows = CurationTable::read(&folder.path().join(names::COPIES)).unwrap().rows;
    // Of each axis four degrees apart: nothing is a copy but what is there twice.
    let other = tempfile::tempdir().unwrap();
    heap(other.path(), names::EMBED, &pictures);
    let whole = run(&CopiesOptions { folder: other.path().to_owned(), ..options.clone() }).1;
    assert!(rows == whole, "as one that was never stopped");
    // A copy is two degrees apart from none.
    assert!(kept(&rows).len() > 200);
}

#[test]
fn what_cannot_be_is_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let options = CopiesOptions::new(folder.path());
    let said = |options: &CopiesOptions| copies(options, &mut |_, _, _| true).unwrap_err().to_string();
    assert!(said(&options).contains("curate embed"), "{}", said(&options));
    heap(folder.path(), names::EMBED, &[]);
    let (summary, rows) = run(&options);
    assert_eq!((summary.kept, rows.len()), (0, 1), "a heap of nothing but what can't be read");
    heap(folder.path(), names::EMBED, &[made(1, 0, 0.0)]);
    assert_eq!(kept(&run(&options).1), [0]);
    for (wrong, word) in [
        (CopiesOptions { threshold: 1.5, ..options.clone() }, "--threshold 1.5"),
        (CopiesOptions { threshold: f32::NAN, ..options.clone() }, "--threshold NaN"),
        (CopiesOptions { against_threshold: -1.0, ..options.clone() }, "--against-threshold"),
        (CopiesOptions { k: 0, ..options.clone() }, "--neighbours"),
        (CopiesOptions { hash_distance: Some(40), ..options.clone() }, "--hash-distance"),
        (CopiesOptions { memory: 1000, ..options.clone() }, "MB is the least"),
        (CopiesOptions { against: true, ..options.clone() }, "against.parquet"),
    ] {
        assert!(said(&wrong).contains(word), "{}", said(&wrong));
    }
    // A row whose features are gone.
    let mut table = CurationTable::read(&folder.path().join(names::EMBED)).unwrap();
    table.rows[0].digest = Some(hex(&[77; 32]));
    table.write(&folder.path().join(names::EMBED)).unwrap();
    assert!(said(&options).contains("there are no features of embed.parquet-0"), "{}", said(&options));
}

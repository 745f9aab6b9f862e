#![allow(clippy::unwrap_used)]

use std::path::Path;

use dinoscope_base::rng::{self, RngExt};

use super::*;
use crate::features::{StoredPicture, hex};
use crate::made_heap::{MadePicture, lay_down};
use crate::small_picture::{PIXELS, SmallPicture};
use crate::table::CuratedPicture;

const DIM: usize = 8;

/// A picture of a made-up heap: where its features point (degrees in a plane of its own axis), its hash and its size.
#[derive(Clone, Copy)]
pub(crate) struct Made {
    pub(crate) content: u8,
    pub(crate) axis: usize,
    pub(crate) degrees: f64,
    pub(crate) hash: Option<u64>,
    pub(crate) mirror_hash: Option<u64>,
    pub(crate) size: u32,
    pub(crate) blur: f32,
    /// What it looks like, and whether it is a window of that; not known where it was embedded long ago.
    pub(crate) look: Option<(u8, bool)>,
}

pub(crate) fn made(content: u8, axis: usize, degrees: f64) -> Made {
    Made { content, axis, degrees, hash: None, mirror_hash: None, size: 100, blur: 1.0, look: None }
}

pub(crate) fn heap(folder: &Path, table: &str, pictures: &[Made]) {
    let picture = |(i, made): (usize, &Made)| {
        let features = MadePicture::towards(DIM, made.axis, made.degrees);
        let mut picture = MadePicture::new(u64::from(made.content), features, format!("{table}-{i}"));
        let side = made.size;
        picture.about = StoredPicture { hash: made.hash, size: (side, side), ..picture.about };
        picture.about.mirror_hash = made.mirror_hash;
        picture.about.small = made.look.map(|look| Box::new(looks(look)));
        let side = Some(i64::from(made.size));
        picture.row = CuratedPicture { width: side, height: side, blur: Some(made.blur), ..picture.row };
        picture
    };
    let pictures: Vec<MadePicture> = pictures.iter().enumerate().map(picture).collect();
    let broken = CuratedPicture {
        key: "broken".to_owned(),
        kept: Some(false),
        unreadable: Some("no picture".to_owned()),
        ..CuratedPicture::default()
    };
    lay_down(folder, table, DIM, &pictures, vec![broken]);
}

/// A picture of noise that is smooth, by its number, or a window of it.
fn looks((number, is_window): (u8, bool)) -> SmallPicture {
    let mut stream = rng::stream(u64::from(number), "looks", 0, 0);
    let waves: Vec<[f32; 4]> =
        (0..40).map(|_| [0.0, 0.0, 0.0, 0.0].map(|_: f32| stream.random_range(-1.0..1.0))).collect();
    let mut out = [0; PIXELS];
    for (i, pixel) in out.iter_mut().enumerate() {
        let (x, y) = ((i % 32) as f32 / 32.0, (i / 32) as f32 / 32.0);
        let (x, y) = if is_window { (0.1 + 0.8 * x, 0.15 + 0.8 * y) } else { (x, y) };
        let value: f32 =
            waves.iter().map(|[u, v, shift, high]| high * (20.0 * (u * x + v * y) + 6.0 * shift).sin()).sum();
        *pixel = (128.0 + 12.0 * value).clamp(0.0, 255.0) as u8;
    }
    out
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
    assert_eq!(summary.uncompared, 7, "nothing is known of what they look like");
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
fn crops_and_mirrored_pictures_are_copies_whatever_their_features_say() {
    let folder = tempfile::tempdir().unwrap();
    let looking = |made: Made, look| Made { look: Some(look), ..made };
    let pictures = [
        looking(made(1, 0, 0.0), (1, false)),
        // A cosine of 0.6: far from a copy.
        Made { size: 80, ..looking(made(2, 0, 53.0), (1, true)) },
        looking(made(3, 0, 20.0), (2, false)),
        Made { hash: Some(0xff00), mirror_hash: Some(0xaaaa), ..made(4, 1, 0.0) },
        Made { hash: Some(0xaaab), mirror_hash: Some(0xff01), size: 50, ..made(5, 2, 0.0) },
    ];
    heap(folder.path(), names::EMBED, &pictures);
    let options = CopiesOptions { threshold: 0.98, ..CopiesOptions::new(folder.path()) };
    let (summary, rows) = run(&options);
    assert_eq!((kept(&rows), summary.uncompared), (vec![0, 2, 3], 0));
    let why = |i: usize| rows[i].why.as_deref().unwrap();
    assert!(why(1).starts_with("a copy: its edges agree with another's by 0."), "{}", why(1));
    assert_eq!(
        (why(4), rows[4].copy_of.as_deref()),
        ("a copy: its hash differs in 1 bits", Some("embed.parquet-3"))
    );
    assert_eq!((rows[1].nearest, rows[0].nearest), (Some(2), Some(2)), "the row of the nearest");
    // What was found is read again, with another bound too; and without edges.
    let (again, same) = run(&options);
    assert!(again == summary && same == rows);
    let off = CopiesOptions { agreement: None, ..options.clone() };
    assert_eq!(kept(&run(&off).1), [0, 1, 2, 3]);
    let far = CopiesOptions { compare: 0.7, ..options.clone() };
    assert_eq!(kept(&run(&far).1), [0, 1, 2, 3], "too far to be compared");
    // A test set that holds the crop, and one that is mirrored.
    let tests = [
        looking(made(20, 0, 95.0), (1, true)),
        Made { mirror_hash: Some(0xff00), hash: Some(7), ..made(21, 3, 0.0) },
    ];
    heap(folder.path(), names::AGAINST, &tests);
    let (summary, rows) = run(&CopiesOptions { against: true, against_threshold: 0.99, ..options });
    assert_eq!((kept(&rows), summary.leaks), (vec![2], 4));
    assert!(rows[0].why.as_ref().unwrap().contains("by its edges, which agree by"), "{:?}", rows[0].why);
}

#[test]
fn what_quality_left_out_takes_no_part() {
    let folder = tempfile::tempdir().unwrap();
    heap(folder.path(), names::EMBED, &[made(1, 0, 0.0), Made { size: 20, ..made(2, 0, 1.0) }]);
    let options = CopiesOptions::new(folder.path());
    assert_eq!(kept(&run(&options).1), [0]);
    let bounds = crate::QualityOptions { min_blur: None, ..crate::QualityOptions::new(folder.path()) };
    crate::quality(&bounds, &mut |_, _, _| true).unwrap();
    let (summary, rows) = run(&options);
    assert_eq!((kept(&rows), summary.kept, summary.copies), (vec![0], 1, 0));
    assert!(rows[0].why.as_deref() == Some("there is no copy of it") && rows[1].component.is_none());
    assert!(rows[1].why.as_ref().unwrap().contains("20 pixels"), "{:?}", rows[1].why);
    // A table that was made before is told, not read.
    heap(folder.path(), names::EMBED, &[made(1, 0, 0.0)]);
    let said = copies(&options, &mut |_, _, _| true).unwrap_err().to_string();
    assert!(said.contains("quality.parquet") && said.contains("`curate quality` again"), "{said}");
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
    assert_eq!(found, 2, "neighbours, and which agree");
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
        (CopiesOptions { agreement: Some(0.1), ..options.clone() }, "--agreement 0.1"),
        (CopiesOptions { compare: 3.0, ..options.clone() }, "--compare 3"),
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

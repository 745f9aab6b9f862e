#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;
use crate::made_heap::{MadePicture, lay_down};
use crate::table::CuratedPicture;

/// Pictures by their content and where their features point: an axis of six and degrees away from it.
fn heap(folder: &Path, table: &str, pictures: &[(u8, usize, f64)]) {
    let picture = |(content, axis, degrees): &(u8, usize, f64)| {
        let features = MadePicture::towards(12, *axis, *degrees);
        MadePicture::new(u64::from(*content), features, format!("{table}-{content}"))
    };
    let pictures: Vec<MadePicture> = pictures.iter().map(picture).collect();
    lay_down(folder, table, 12, &pictures, Vec::new());
}

fn options(folder: &Path, method: RetrievalMethod) -> RetrievalOptions {
    RetrievalOptions { folder: folder.to_owned(), method, rounds: 30, seed: 1, memory: 1 << 30 }
}

fn run(options: &RetrievalOptions) -> (RetrievalSummary, Vec<CuratedPicture>) {
    let summary = retrieve(options, &mut |_, _, _| true).unwrap();
    (summary, CurationTable::read(&options.folder.join(names::RETRIEVE)).unwrap().rows)
}

fn kept(rows: &[CuratedPicture]) -> Vec<usize> {
    (0..rows.len()).filter(|i| rows[*i].kept == Some(true)).collect()
}

#[test]
fn the_nearest_of_every_query_are_found_and_collisions_counted() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = [(1, 0, 0.0), (2, 0, 20.0), (3, 0, 60.0), (4, 1, 0.0), (5, 2, 0.0), (1, 0, 0.0)];
    heap(folder.path(), names::EMBED, &pictures);
    heap(folder.path(), names::QUERIES, &[(11, 0, 5.0), (12, 0, 8.0), (13, 1, 10.0)]);
    let (summary, rows) = run(&options(folder.path(), RetrievalMethod::Sample { neighbours: 1 }));
    assert_eq!((summary.pictures, summary.queries, summary.found, summary.collisions), (5, 3, 2, 1));
    assert_eq!(kept(&rows), [0, 3]);
    assert_eq!((rows[0].queries, rows[0].why.as_deref()), (Some(2), Some("found for 2 queries")));
    assert!(
        (rows[0].similarity.unwrap() - 0.996).abs() < 2e-3
            && rows[2].why.as_deref() == Some("found for no query")
    );
    assert_eq!(rows[5].why.as_deref(), Some("it has the same bytes as one before it"));
    let (summary, rows) = run(&options(folder.path(), RetrievalMethod::Sample { neighbours: 2 }));
    assert_eq!(kept(&rows)[..2], [0, 1]);
    assert_eq!(summary.found + summary.collisions, 6);
    let (summary, _) = run(&options(folder.path(), RetrievalMethod::Sample { neighbours: 64 }));
    assert_eq!((summary.found, summary.collisions), (5, 10), "more than there are");
}

#[test]
fn clusters_give_where_enough_queries_fall_into_them() {
    let folder = tempfile::tempdir().unwrap();
    let around = |axis: usize, first: u8, count: u8| {
        (0..count).map(move |i| (first + i, axis, f64::from(i) * 0.5)).collect::<Vec<_>>()
    };
    let pictures = [around(0, 1, 30), around(1, 40, 30), around(2, 80, 5)].concat();
    heap(folder.path(), names::EMBED, &pictures);
    let queries = [around(0, 200, 4), around(1, 210, 2), around(2, 220, 3)].concat();
    heap(folder.path(), names::QUERIES, &queries);
    let by = |each, cap| RetrievalMethod::Cluster { clusters: 3, least: 3, each, cap };
    let (summary, rows) = run(&options(folder.path(), by(10, 100)));
    let found = kept(&rows);
    // Ten of the first, none of the second, all five of the third.
    assert_eq!((summary.found, summary.clusters, found.len()), (15, 2, 15));
    assert!(found.iter().all(|i| *i < 30 || *i >= 60), "{found:?}");
    assert!(rows[30].why.as_ref().unwrap().starts_with("not drawn: 2 queries fell"), "{:?}", rows[30].why);
    assert_eq!(run(&options(folder.path(), by(10, 12))).0.found, 12, "the cap");
    // Again the same.
    assert!(run(&options(folder.path(), by(10, 100))).1 == rows);
}

#[test]
fn what_was_found_is_not_looked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let pictures: Vec<(u8, usize, f64)> = (0..60).map(|i| (i, usize::from(i) % 4, f64::from(i))).collect();
    heap(folder.path(), names::EMBED, &pictures);
    heap(folder.path(), names::QUERIES, &[(200, 0, 5.0), (201, 1, 8.0), (202, 2, 10.0)]);
    let clusters = RetrievalMethod::Cluster { clusters: 4, least: 1, each: 10, cap: 100 };
    for method in [RetrievalMethod::Sample { neighbours: 3 }, clusters] {
        let options = options(folder.path(), method);
        let (summary, rows) = run(&options);
        let mut heard = 0;
        let again = retrieve(&options, &mut |_, _, _| {
            heard += 1;
            true
        });
        assert_eq!((again.unwrap(), heard), (summary, 0), "from the disk alone");
        assert!(CurationTable::read(&folder.path().join(names::RETRIEVE)).unwrap().rows == rows);
    }
}

#[test]
fn what_cannot_be_found_is_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let said = |options: &RetrievalOptions| retrieve(options, &mut |_, _, _| true).unwrap_err().to_string();
    let sample = options(folder.path(), RetrievalMethod::Sample { neighbours: 4 });
    assert!(said(&sample).contains("curate embed"));
    heap(folder.path(), names::EMBED, &[(1, 0, 0.0)]);
    assert!(said(&sample).contains("queries.parquet"));
    heap(folder.path(), names::QUERIES, &[]);
    assert!(said(&sample).contains("nothing to find"));
    heap(folder.path(), names::QUERIES, &[(2, 0, 0.0)]);
    assert!(
        said(&options(folder.path(), RetrievalMethod::Sample { neighbours: 0 })).contains("--neighbours")
    );
    let none = RetrievalMethod::Cluster { clusters: 0, least: 3, each: 1, cap: 1 };
    assert!(said(&options(folder.path(), none)).contains("--clusters"));
    assert!(said(&RetrievalOptions { memory: 9, ..sample }).contains("is the least"));
}

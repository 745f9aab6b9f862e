#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::linkage::CopyBounds;
use super::*;
use crate::copies::copies;
use crate::copies::tests::{Made, heap, made};
use crate::quality::QualityOptions;
use crate::table::CuratedPicture;

/// Twelve pictures: a chain of three, one twice, two alike in their hash, and single ones.
fn pictures() -> Vec<Made> {
    vec![
        made(1, 0, 0.0),
        Made { size: 200, ..made(2, 0, 10.0) },
        made(3, 0, 20.0),
        made(4, 1, 0.0),
        made(4, 1, 0.0),
        Made { hash: Some(0b1011), blur: 0.2, ..made(5, 2, 0.0) },
        Made { hash: Some(0b1001), ..made(6, 2, 60.0) },
        Made { size: 20, look: Some((1, false)), ..made(7, 3, 0.0) },
        Made { look: Some((1, true)), ..made(8, 3, 45.0) },
        made(9, 3, 89.0),
    ]
}

fn decisions(threshold: f32, agreement: Option<f32>) -> HeapDecisions {
    let copies = CopyBounds { threshold, agreement };
    HeapDecisions { quality: QualityOptions::none(""), copies, hand: BTreeMap::new() }
}

fn opened(folder: &std::path::Path) -> CuratedHeap {
    heap(folder, names::EMBED, &pictures());
    CuratedHeap::open(folder, &mut |_, _, _| true).unwrap()
}

fn kept(rows: &[CuratedPicture]) -> Vec<usize> {
    (0..rows.len()).filter(|row| rows[*row].kept == Some(true)).collect()
}

#[test]
fn what_a_threshold_leaves_is_what_the_step_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let heap = opened(folder.path());
    let bounds = [0.3, 0.9, 0.96, 0.99, 1.0].map(|threshold| (threshold, Some(0.7)));
    for (threshold, agreement) in bounds.into_iter().chain([(0.96, None), (0.96, Some(0.99))]) {
        let outcome = heap.outcome(&decisions(threshold, agreement));
        let table = heap.decided(&decisions(threshold, agreement));
        let options = CopiesOptions { threshold, agreement, ..CopiesOptions::new(folder.path()) };
        let summary = copies(&options, &mut |_, _, _| true).unwrap();
        let step = CurationTable::read(&folder.path().join(names::COPIES)).unwrap();
        assert_eq!(table.rows, step.rows, "{threshold}, {agreement:?}");
        assert_eq!(outcome.count(RowFate::Kept), summary.kept);
        assert_eq!(outcome.count(RowFate::Copy), summary.copies);
        assert_eq!(outcome.count(RowFate::Unreadable), 1);
        let components: usize = outcome.sizes.iter().filter(|(size, _)| *size > 1).map(|(_, n)| n).sum();
        assert_eq!(components, summary.components, "{threshold}: {:?}", outcome.sizes);
        assert_eq!(outcome.sizes.last().map(|(size, _)| *size), Some(summary.largest));
        for (fate, row) in outcome.fates.iter().zip(&table.rows) {
            assert_eq!(*fate == RowFate::Kept, row.kept == Some(true), "{row:?}");
        }
    }
}

#[test]
fn limits_and_a_persons_choices_are_reasons_in_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let heap = opened(folder.path());
    let mut chosen = decisions(0.96, None);
    chosen.quality = QualityOptions { min_side: Some(50), min_blur: Some(0.5), ..QualityOptions::none("") };
    // The best of the chain goes, the second copy of another stays beside the first.
    chosen.hand = BTreeMap::from([(1, HandChoice::Drop), (4, HandChoice::Keep), (9, HandChoice::Drop)]);
    let outcome = heap.outcome(&chosen);
    let path = heap.save(&chosen).unwrap();
    let table = CurationTable::read(&path).unwrap();
    assert_eq!(kept(&table.rows), [0, 4, 6, 8]);
    let why = |row: usize| table.rows[row].why.clone().unwrap();
    assert_eq!(why(1), "left out by hand");
    assert_eq!(why(4), "kept by hand");
    assert_eq!(why(0), "the best of its copies that may stay");
    assert!(
        why(5).contains("variance of 0.2") && why(7).contains("shorter side has 20 pixels"),
        "{} {}",
        why(5),
        why(7)
    );
    // Copies name the one that stays now.
    assert_eq!(table.rows[2].copy_of, Some(table.rows[0].key.clone()));
    assert_eq!(table.rows[3].copy_of, Some(table.rows[4].key.clone()));
    assert!(table.made.unwrap().contains("3 decided by hand") && table.from.is_some());
    for (fate, row) in outcome.fates.iter().zip(&table.rows) {
        assert_eq!(*fate == RowFate::Kept, row.kept == Some(true), "{row:?}");
    }
    let list = dinoscope_data::source::listed::read(&path).unwrap();
    assert_eq!(list.entries.len(), 4, "what is trained on");
}

#[test]
fn pairs_neighbours_and_places_are_those_of_the_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let heap = opened(folder.path());
    assert_eq!(heap.places.iter().filter(|place| place.is_none()).count(), 1);
    let [joined, apart] = heap.pairs_at(0.96, 3);
    assert!(joined.iter().all(|(_, _, s)| *s >= 0.96) && apart.iter().all(|(_, _, s)| *s < 0.96));
    // Ten degrees apart: the first and the second of the chain, or the second and the third.
    assert!((joined[0].2 - 10f32.to_radians().cos()).abs() < 1e-3, "{joined:?}");
    let similar = heap.similar(3, 4);
    assert_eq!(similar[0], (4, 1.0), "its twin");
    assert_eq!(heap.similar(0, 2).iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 2]);
    assert!(heap.similar(10, 4).is_empty(), "what can't be used resembles nothing");
    let mut query = vec![0.0; 8];
    query[3] = 1.0;
    let found = heap.similar_to(&query, 2).unwrap();
    assert!(found[0].0 == 7 && (found[0].1 - 1.0).abs() < 1e-3, "{found:?}");
    assert!(heap.similar_to(&query[..3], 2).is_err());
    assert_eq!(heap.nearest[3], Some(1.0));
    assert!((heap.nearest[9].unwrap() - (44f32).to_radians().cos()).abs() < 1e-2);
    // Opened again nothing is searched.
    let mut heard = Vec::new();
    CuratedHeap::open(folder.path(), &mut |_, _, what| {
        heard.push(what.to_owned());
        true
    })
    .unwrap();
    assert!(heard.iter().any(|what| what == "map"));
    let stopped = CuratedHeap::open(folder.path(), &mut |_, _, what| what != "map");
    assert!(matches!(stopped.err(), Some(CurateError::Stopped)));
}

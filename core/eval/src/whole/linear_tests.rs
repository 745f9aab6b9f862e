//! Cases for `linear.rs`, beside it for their length.
#![allow(clippy::unwrap_used)]

use super::super::tests::{backbone, judged, scenes};
use super::*;
use crate::catalogue::EvalTask;
use crate::suite::EvalOptions;

fn quick(select: HeadSelectionSet) -> LinearTask {
    LinearTask { length: LinearProbeLength::Iterations(40), select, ..LinearTask::default() }
}

#[test]
fn every_subject_has_one_line_with_its_head() {
    let task = EvalTask::Linear(scenes(60, 30), quick(HeadSelectionSet::HeldOut));
    let outcome = judged(&task, &EvalOptions::new(28)).unwrap();
    let subjects: Vec<&str> = outcome.rows.iter().map(|row| row.subject.as_str()).collect();
    assert_eq!(subjects, ["weights", "untrained", "raw pixels", "colour histogram", "HOG"]);
    for row in &outcome.rows {
        let figures: Vec<&str> = row.figures.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(figures, ["top-1", "top-5", "held-out top-1"]);
        assert!(row.setting.contains(", lr 0.") && row.figures[0].interval.is_some(), "{row:?}");
    }
    for (row, what) in outcome.rows[2..].iter().zip(["16 × 16 pixels, ", "512 colours, ", "6 × 6 cells, "])
    {
        assert!(row.setting.starts_with(what), "{row:?}");
    }
    assert!(
        outcome.notes[0]
            .contains("52 heads, 40 steps of 16 pictures; trained on 54 pictures and chosen on 6")
    );
    assert_eq!(outcome.pictures[0].name, "confusion");
}

#[test]
fn the_official_choice_is_never_below_the_honest_one() {
    let options = EvalOptions { alone: true, ..EvalOptions::new(28) };
    let of = |select| judged(&EvalTask::Linear(scenes(60, 30), quick(select)), &options).unwrap();
    let official = of(HeadSelectionSet::Test);
    assert_eq!(official.rows[0].figures.len(), 2);
    assert!(official.notes[0].contains("flatters"), "{:?}", official.notes);
    // On the same heads it would be above or equal by definition; these have six pictures more to learn from.
    let best = official.notes[1].split(": ").nth(1).unwrap();
    let top = official.rows[0].figures[0].text();
    let share = top.split(" (").next().unwrap();
    assert!(best.contains(share), "{best} holds {share}: the best of all sets is the one that is reported");
}

#[test]
fn heads_see_what_their_names_say() {
    let backbone = backbone(3);
    let seen = FeatureColumns::all(None, &backbone.config);
    let all: Vec<(&str, Range<usize>)> = seen.iter().map(|s| (s.what.as_str(), s.columns.clone())).collect();
    // Three blocks: their CLS tokens, then the mean patch.
    assert_eq!(
        all,
        [
            ("1 block", 24..36),
            ("1 block + patches", 24..48),
            ("3 blocks", 0..36),
            ("3 blocks + patches", 0..48)
        ]
    );
    let single = VitConfig::new(28, 14, 12, 1, 2);
    assert_eq!(FeatureColumns::all(None, &single).len(), 2);
    let small = Some(PictureDescriptor::Pixels { side: 4 });
    assert_eq!(FeatureColumns::all(small, &single)[0].columns, 0..48);
}

#[test]
fn the_best_has_most_right_and_the_lowest_loss_among_equals() {
    let of = |correct, loss| LinearHeadScore {
        top1: Accuracy { correct, total: 9 },
        loss,
        ..LinearHeadScore::default()
    };
    let scores = [vec![of(3, 0.5), of(5, 0.9)], vec![of(5, f64::NAN), of(5, 0.7), of(4, 0.1)]];
    assert_eq!(best(&scores), Some((1, 1)));
    assert_eq!(best(&[vec![of(0, f64::NAN)]]), Some((0, 0)));
    assert_eq!(best(&[]), None);
}

#[test]
fn batches_and_lengths_follow_the_data() {
    let task = LinearTask::default();
    assert_eq!([5, 100, 1080, 5000, 100_000].map(|n| task.batch(n)), [5, 16, 128, 512, 1024]);
    let epochs = LinearTask { length: LinearProbeLength::Epochs(10), ..task };
    assert_eq!((epochs.iterations(1000, 128), epochs.iterations(100, 16)), (79, 63));
}

#[test]
fn too_little_is_refused() {
    let one = EvalTask::Linear(scenes(1, 3), quick(HeadSelectionSet::HeldOut));
    assert!(judged(&one, &EvalOptions::new(28)).unwrap_err().to_string().contains("held out"));
}

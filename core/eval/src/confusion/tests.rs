//! Cases for the confusion matrix.
#![allow(clippy::unwrap_used)]

use super::*;
use dinoscope_analysis::canvas::{ACCENT, ALARM};
use dinoscope_base::rng::{self, RngExt};

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("class {i}")).collect()
}

/// `n` predictions for each class, of which a share is right and the rest anything.
fn some(classes: usize, n: usize, right: f64) -> (Vec<u32>, Vec<u32>) {
    let mut rng = rng::stream(5, "confusion", 0, 0);
    let truth: Vec<u32> = (0..classes * n).map(|i| (i % classes) as u32).collect();
    let any = |t: &u32| match rng.random::<f64>() {
        x if x < right => *t,
        _ => rng.random_range(0..classes as u32),
    };
    (truth.iter().map(any).collect(), truth)
}

/// Pixels close to a colour.
fn pixels(picture: &Picture, colour: [u8; 3]) -> usize {
    let near = |p: &[u8]| p.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 6);
    picture.rgb.chunks_exact(3).filter(|p| near(p)).count()
}

#[test]
fn counts_by_hand() {
    let classes = names(3);
    let confusion = ConfusionMatrix::new(&[0, 1, 1, 2, 1, 0], &[0, 0, 0, 2, 2, 2], &classes).unwrap();
    assert_eq!((confusion.count(0, 1), confusion.count(1, 0), confusion.count(2, 2)), (2, 0, 1));
    assert_eq!(confusion.accuracy(), Accuracy { correct: 2, total: 6 });
    assert_eq!(confusion.recall(0), Accuracy { correct: 1, total: 3 });
    assert_eq!(confusion.recall(1), Accuracy { correct: 0, total: 0 });
    let mistakes = confusion.mistakes();
    let pairs: Vec<_> = mistakes.iter().map(|m| (m.truth, m.predicted, m.share.correct)).collect();
    assert_eq!(pairs, [(0, 1, 2), (2, 0, 1), (2, 1, 1)]);
    assert_eq!(
        confusion.notes(2),
        [
            "2 of 3 “class 0” pictures were taken for “class 1”",
            "1 of 3 “class 2” pictures was taken for “class 0”",
        ]
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let classes = names(2);
    for (predictions, truth) in
        [(&[][..], &[][..]), (&[0][..], &[0, 1][..]), (&[2][..], &[0][..]), (&[0][..], &[9][..])]
    {
        assert!(ConfusionMatrix::new(predictions, truth, &classes).is_err(), "{predictions:?} {truth:?}");
    }
}

#[test]
fn right_and_wrong_have_their_colours_at_every_size() {
    for classes in [1, 2, 12, 40, 200] {
        let (predictions, truth) = some(classes, 5, 1.0);
        let (shown, notes) = shown(&predictions, &truth, &names(classes)).unwrap();
        assert!(notes.is_empty(), "{notes:?}");
        let side = (840 / classes).clamp(13, 84);
        // Everything is right: full cells, but for the numbers in them; of the other colour only the legend.
        let full = pixels(&shown.picture, ACCENT);
        assert!(full > classes * side * side / 2, "{classes}: {full}");
        assert!(pixels(&shown.picture, ALARM) < 14 * 20, "{classes}");
        // Nothing is right.
        let wrong: Vec<u32> = truth.iter().map(|t| (t + 1) % classes as u32).collect();
        if classes > 1 {
            let (shown, _) = super::shown(&wrong, &truth, &names(classes)).unwrap();
            assert!(pixels(&shown.picture, ALARM) > classes * side * side / 2, "{classes}");
        }
    }
}

#[test]
fn of_very_many_classes_the_worst_are_shown() {
    let classes = 1000;
    let truth: Vec<u32> = (0..classes as u32).flat_map(|c| [c, c]).collect();
    // Classes 700 to 799 are taken for their neighbours, the others are right.
    let predictions: Vec<u32> = truth.iter().map(|t| if t / 100 == 7 { t ^ 1 } else { *t }).collect();
    let confusion = ConfusionMatrix::new(&predictions, &truth, &names(classes)).unwrap();
    let shown_classes = confusion.shown_classes(100);
    assert_eq!(shown_classes, (700..800).collect::<Vec<_>>());
    let (shown, notes) = shown(&predictions, &truth, &names(classes)).unwrap();
    assert!(shown.caption.contains("200 of 1000") && notes.len() == 5);
    assert!(shown.picture.width < 3500 && shown.picture.height < 3500);
}

//! How well masks fit, picture by picture.

use crate::dense::bootstrap::intervals;
use crate::outcome::{EvalMetric, EvalMetricUnit, EvalTableRow};
use dinoscope_data::source::dense::IGNORED;

/// A mask counts as right from this overlap on.
const HALF: f64 = 0.5;

/// Known pixels of a picture in its object and in a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MaskOverlap {
    /// In both.
    both: usize,
    /// In one of them or both.
    either: usize,
}

impl MaskOverlap {
    /// Counts the pixels whose truth is known: 1 for the object, 0 for the rest.
    pub fn new(truth: &[u8], mask: &[bool]) -> Self {
        let known = truth.iter().zip(mask).filter(|(truth, _)| **truth != IGNORED);
        known.fold(Self::default(), |sum, (truth, found)| {
            let object = *truth == 1;
            Self {
                both: sum.both + usize::from(object && *found),
                either: sum.either + usize::from(object || *found),
            }
        })
    }

    /// Intersection over union, 0 to 1.
    pub fn iou(self) -> f64 {
        if self.either == 0 { 0.0 } else { self.both as f64 / self.either as f64 }
    }
}

/// What is said of masks of some pictures.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MaskScore {
    figures: Vec<EvalMetric>,
}

impl MaskScore {
    /// The mean over pictures of the intersection over the union, and the share of pictures in which it is a half or
    /// more, with intervals by drawing the pictures again.
    pub fn new(overlaps: &[MaskOverlap], seed: u64) -> Self {
        let ious: Vec<f64> = overlaps.iter().map(|overlap| overlap.iou()).collect();
        let means = |times: &[u32]| -> Vec<f64> {
            let count: u32 = times.iter().sum();
            let mean = |value: fn(f64) -> f64| {
                let sum: f64 =
                    ious.iter().zip(times).map(|(iou, times)| value(*iou) * f64::from(*times)).sum();
                sum / f64::from(count)
            };
            vec![mean(|iou| iou), mean(|iou| f64::from(u8::from(iou >= HALF)))]
        };
        let values = means(&vec![1; ious.len()]);
        let figure = |((name, value), interval): ((&str, f64), Option<(f64, f64)>)| EvalMetric {
            name: name.to_owned(),
            value,
            interval,
            unit: EvalMetricUnit::Share,
        };
        let found = intervals(ious.len(), seed, means);
        let figures = ["mean IoU", "IoU ≥ 0.5"].into_iter().zip(values).zip(found).map(figure).collect();
        Self { figures }
    }

    /// As a line of the table.
    pub fn row(self, subject: &str, setting: &str) -> EvalTableRow {
        EvalTableRow { subject: subject.to_owned(), setting: setting.to_owned(), figures: self.figures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_case_by_hand() {
        let truth = [1, 1, 0, 0, IGNORED];
        let one = MaskOverlap::new(&truth, &[true, false, true, false, true]);
        assert_eq!(one, MaskOverlap { both: 1, either: 3 }, "what is not known does not count");
        let all = MaskOverlap::new(&truth, &[true; 5]);
        assert!((all.iou() - 0.5).abs() < 1e-12);
        assert_eq!(MaskOverlap::new(&truth, &[false; 5]).iou(), 0.0);
        let row = MaskScore::new(&[one, all], 0).row("weights", "component");
        let values: Vec<f64> = row.figures.iter().map(|figure| figure.value).collect();
        assert!((values[0] - (1.0 / 3.0 + 0.5) / 2.0).abs() < 1e-12 && values[1] == 0.5, "{values:?}");
        // A draw has one of the two pictures or both.
        assert_eq!(row.figures[0].interval, Some((1.0 / 3.0, 0.5)));
        assert_eq!(row.figures[1].interval, Some((0.0, 1.0)));
    }
}

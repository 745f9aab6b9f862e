//! mIoU and pixel accuracy, counted picture by picture so that pictures can be drawn again.

use crate::dense::bootstrap::intervals;
use dinoscope_data::source::dense::IGNORED;

/// Pixels of one picture, by class.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ClassPixelCounts {
    /// Of the class, and taken for it.
    right: Vec<u32>,
    /// Of the class.
    real: Vec<u32>,
    /// Taken for the class.
    taken: Vec<u32>,
}

impl ClassPixelCounts {
    /// Counts the pixels whose class is known.
    pub fn new(truth: &[u8], found: &[u8], classes: usize) -> Self {
        let mut out = Self { right: vec![0; classes], real: vec![0; classes], taken: vec![0; classes] };
        for (real, taken) in truth.iter().zip(found).filter(|(real, _)| **real != IGNORED) {
            out.real[usize::from(*real)] += 1;
            out.taken[usize::from(*taken)] += 1;
            out.right[usize::from(*real)] += u32::from(real == taken);
        }
        out
    }

    /// The share of pixels that are right; `None` when none is known.
    pub fn accuracy(&self) -> Option<f64> {
        let all: u32 = self.real.iter().sum();
        (all > 0).then(|| f64::from(self.right.iter().sum::<u32>()) / f64::from(all))
    }
}

/// What is said of a test set; a class is judged where it occurs in a truth or in a prediction.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SegmentationScore {
    /// Mean over the classes of the intersection over the union, each over all pictures together.
    pub miou: f64,
    pub miou_interval: Option<(f64, f64)>,
    /// Share of pixels that are right.
    pub accuracy: f64,
    pub accuracy_interval: Option<(f64, f64)>,
    /// Of each class, NaN where it does not occur.
    pub iou: Vec<f64>,
    pub iou_intervals: Vec<Option<(f64, f64)>>,
}

impl SegmentationScore {
    pub fn new(pictures: &[ClassPixelCounts], classes: usize, seed: u64) -> Self {
        let figures = |times: &[u32]| figures(pictures, times, classes);
        let whole = figures(&vec![1; pictures.len()]);
        let mut found = intervals(pictures.len(), seed, figures);
        let iou_intervals = found.split_off(2);
        Self {
            miou: whole[0],
            miou_interval: found[0],
            accuracy: whole[1],
            accuracy_interval: found[1],
            iou: whole[2..].to_vec(),
            iou_intervals,
        }
    }
}

/// mIoU, pixel accuracy, the IoU of each class, where each picture counts so many times.
fn figures(pictures: &[ClassPixelCounts], times: &[u32], classes: usize) -> Vec<f64> {
    let (mut right, mut real, mut taken) = (vec![0u64; classes], vec![0u64; classes], vec![0u64; classes]);
    for (counts, &times) in pictures.iter().zip(times).filter(|(_, times)| **times > 0) {
        for (sums, of) in
            [(&mut right, &counts.right), (&mut real, &counts.real), (&mut taken, &counts.taken)]
        {
            sums.iter_mut().zip(of).for_each(|(sum, n)| *sum += u64::from(*n) * u64::from(times));
        }
    }
    let iou = |class: usize| right[class] as f64 / (real[class] + taken[class] - right[class]) as f64;
    let each: Vec<f64> = (0..classes).map(iou).collect();
    let present: Vec<f64> = each.iter().copied().filter(|iou| iou.is_finite()).collect();
    let mean = present.iter().sum::<f64>() / present.len() as f64;
    let accuracy = right.iter().sum::<u64>() as f64 / real.iter().sum::<u64>() as f64;
    [vec![mean, accuracy], each].concat()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_case_by_hand() {
        let first = ClassPixelCounts::new(&[0, 0, 1, 1, IGNORED], &[0, 1, 1, 1, 0], 4);
        let second = ClassPixelCounts::new(&[2, 0], &[0, 0], 4);
        assert_eq!(
            (first.accuracy(), ClassPixelCounts::new(&[IGNORED], &[0], 4).accuracy()),
            (Some(0.75), None)
        );
        let score = SegmentationScore::new(&[first, second], 4, 0);
        // Class 0: right 2 of real 3 and taken 3; class 1: 2 of 2 and 3; class 2: none of 1; class 3 is nowhere.
        assert_eq!(score.iou[..3], [0.5, 2.0 / 3.0, 0.0]);
        assert!(score.iou[3].is_nan() && score.iou_intervals[3].is_none());
        assert!((score.miou - (0.5 + 2.0 / 3.0) / 3.0).abs() < 1e-12);
        assert!((score.accuracy - 4.0 / 6.0).abs() < 1e-12);
        // Two pictures: a draw holds one of them or both. Alone the first has (1/2 + 2/3) / 2, the second (1/2 + 0) / 2.
        assert_eq!(score.miou_interval, Some((0.25, (0.5 + 2.0 / 3.0) / 2.0)));
    }
}

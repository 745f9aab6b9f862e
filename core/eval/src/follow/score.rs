//! How well places and masks were followed, scene by scene.

use super::NEAR;
use super::frames::ObjectOverlap;
use crate::dense::bootstrap::intervals;
use crate::outcome::{EvalMetric, EvalMetricUnit, EvalTableRow};
use dinoscope_analysis::follow::TrackedPlace;
use dinoscope_data::source::scenes::PlaceTruth;

/// What was found in one scene.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FollowTally {
    /// Places as shares of the frame, the first among them.
    pub way: Vec<[f32; 2]>,
    /// Frames behind the first in which the place is visible.
    visible: usize,
    /// Of those, the ones in which it was found.
    near: usize,
    /// Sum of the overlaps of objects in frames, and how many there are.
    iou: (f64, usize),
}

impl FollowTally {
    pub fn new(first: [f32; 2]) -> Self {
        Self { way: vec![first], ..Self::default() }
    }

    /// Takes in where the place was found in the next frame.
    pub fn place(&mut self, truth: &PlaceTruth, found: TrackedPlace, (rows, cols): (usize, usize)) {
        self.way.push(found.share(rows, cols));
        if truth.visible {
            self.visible += 1;
            self.near += usize::from(found.patches_from([truth.x, truth.y], rows, cols) <= NEAR);
        }
    }

    /// Takes in how the masks of the next frame fit.
    pub fn overlaps(&mut self, overlaps: &[ObjectOverlap]) {
        self.iou.0 += overlaps.iter().map(|overlap| overlap.iou()).sum::<f64>();
        self.iou.1 += overlaps.len();
    }

    /// Share of the visible frames in which the place was found.
    pub fn found(&self) -> f64 {
        self.near as f64 / self.visible as f64
    }

    /// Mean overlap of the masks.
    pub fn j(&self) -> f64 {
        self.iou.0 / self.iou.1 as f64
    }
}

/// What is said of some scenes.
pub(super) struct FollowScore {
    figures: Vec<EvalMetric>,
}

impl FollowScore {
    /// Means over scenes, with intervals by drawing the scenes again. A scene in which a figure does not exist, because the
    /// place is never visible, does not count for it.
    pub fn new(tallies: &[FollowTally], seed: u64) -> Self {
        let values = [FollowTally::found, FollowTally::j];
        let means = |times: &[u32]| -> Vec<f64> {
            let mean = |value: &fn(&FollowTally) -> f64| {
                let counted =
                    tallies.iter().zip(times).map(|(tally, times)| (value(tally), f64::from(*times)));
                let (sum, count) = counted
                    .filter(|(value, _)| value.is_finite())
                    .fold((0.0, 0.0), |(sum, count), (value, times)| (sum + value * times, count + times));
                sum / count
            };
            values.iter().map(mean).collect()
        };
        let own = means(&vec![1; tallies.len()]);
        let found = intervals(tallies.len(), seed, means);
        let name = [format!("within {NEAR} patches"), "J".to_owned()];
        let figures = name.into_iter().zip(own).zip(found).map(|((name, value), interval)| EvalMetric {
            name,
            value,
            interval,
            unit: EvalMetricUnit::Share,
        });
        Self { figures: figures.collect() }
    }

    /// As a line of the table.
    pub fn row(self, subject: &str) -> EvalTableRow {
        EvalTableRow { subject: subject.to_owned(), setting: String::new(), figures: self.figures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_case_by_hand() {
        let at = |col: f32| TrackedPlace { row: 0.0, col, similarity: 1.0, seen: true };
        let truth = |visible| PlaceTruth { x: 0.5 / 8.0, y: 0.5 / 8.0, visible };
        let mut tally = FollowTally::new([0.0625; 2]);
        for (col, visible) in [(0.0, true), (1.4, true), (1.6, true), (7.0, false)] {
            tally.place(&truth(visible), at(col), (8, 8));
        }
        tally.overlaps(&[ObjectOverlap { both: 1, either: 2 }, ObjectOverlap { both: 1, either: 1 }]);
        assert_eq!(tally.way.len(), 5);
        assert!((tally.found() - 2.0 / 3.0).abs() < 1e-12 && (tally.j() - 0.75).abs() < 1e-12);
        let none = FollowTally { iou: (1.0, 4), ..FollowTally::new([0.0; 2]) };
        let row = FollowScore::new(&[tally, none], 0).row("weights");
        let values: Vec<f64> = row.figures.iter().map(|figure| figure.value).collect();
        assert!(
            (values[0] - 2.0 / 3.0).abs() < 1e-12,
            "a scene without the place does not count: {values:?}"
        );
        assert!((values[1] - 0.5).abs() < 1e-12);
        assert_eq!(row.figures[1].interval, Some((0.25, 0.75)));
        assert_eq!(row.figures[0].name, "within 1.5 patches");
    }
}

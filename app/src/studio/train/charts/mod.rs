//! How the studio shows the figures of a run: the groups' names, and what is drawn beside their curves.

pub(super) mod curves;
pub(super) mod gauges;
pub(super) mod plot;
pub(super) mod plot_data;
pub(super) mod readout;
pub(super) mod traces;

use dinoscope_core::train::figures::{FigureChart, FigureGroup};

/// All groups with what they are called.
pub const GROUPS: [(FigureGroup, &str); 5] = [
    (FigureGroup::Loss, "Loss"),
    (FigureGroup::Evaluation, "k-NN"),
    (FigureGroup::Health, "Health"),
    (FigureGroup::Speed, "Speed"),
    (FigureGroup::Schedule, "Schedules"),
];

/// What a chart has beside curves of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainChartAnnotation {
    /// Nothing.
    Nothing,
    /// The 95 % interval, raw pixels, and the model before its first step.
    Accuracy,
    /// The largest entropy that there can be.
    LargestEntropy,
    /// The curves are computed ahead for the whole run.
    Schedule,
}

/// What a chart has beside its curves.
pub fn extra(chart: &FigureChart) -> TrainChartAnnotation {
    match (chart.group, chart.figures.first().map(|figure| figure.key)) {
        (FigureGroup::Schedule, _) => TrainChartAnnotation::Schedule,
        (_, Some("knn_top1" | "crops_top1")) => TrainChartAnnotation::Accuracy,
        (_, Some("teacher_entropy")) => TrainChartAnnotation::LargestEntropy,
        _ => TrainChartAnnotation::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_group_is_offered_and_every_extra_drawn() {
        let offered: HashSet<FigureGroup> = GROUPS.iter().map(|(group, _)| *group).collect();
        assert_eq!(offered.len(), FigureGroup::ALL.len());
        let with = |wanted| {
            FigureGroup::ALL.iter().flat_map(|group| group.charts()).filter(|c| extra(c) == wanted).count()
        };
        assert_eq!(
            (with(TrainChartAnnotation::Accuracy), with(TrainChartAnnotation::LargestEntropy)),
            (2, 1)
        );
        assert_eq!(with(TrainChartAnnotation::Schedule), FigureGroup::Schedule.charts().count());
    }
}

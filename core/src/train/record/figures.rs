//! Every figure of a run that is shown: its key in `metrics.jsonl`, what it is called, its unit, its chart.
//!
//! The report, the studio's curves and the documentation are made from this table, so that none of them misses a figure.

use crate::train::step::{GRAM_LOSS, TERMS};

/// Charts that belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FigureGroup {
    /// The objective and its terms.
    #[default]
    Loss,
    /// Evaluations through time.
    Evaluation,
    /// Signs of collapse and divergence.
    Health,
    /// What the recipe prescribes for each step.
    Schedule,
    /// How fast it goes, and in how much memory.
    Speed,
}

impl FigureGroup {
    /// All groups, in the order of a report.
    pub const ALL: [Self; 5] = [Self::Loss, Self::Evaluation, Self::Health, Self::Schedule, Self::Speed];

    /// Its charts.
    pub fn charts(self) -> impl Iterator<Item = &'static FigureChart> {
        CHARTS.iter().filter(move |chart| chart.group == self)
    }
}

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunFigure {
    /// Its key in the metrics.
    pub key: &'static str,
    /// What its curve is called in its chart.
    pub label: &'static str,
}

/// Figures that are drawn together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FigureChart {
    /// What it shows.
    pub title: &'static str,
    /// The part of a report.
    pub group: FigureGroup,
    /// Its curves.
    pub figures: &'static [RunFigure],
    /// Values are multiplied by this to be shown.
    pub factor: f64,
    /// Behind the values; may be empty.
    pub unit: &'static str,
    /// How to read it, in a sentence or two; may be empty.
    pub note: &'static str,
    /// Whether only some runs have these figures.
    pub rare: bool,
}

const fn figure(key: &'static str, label: &'static str) -> RunFigure {
    RunFigure { key, label }
}

const fn chart(
    group: FigureGroup,
    title: &'static str,
    figures: &'static [RunFigure],
    note: &'static str,
) -> FigureChart {
    FigureChart { title, group, figures, factor: 1.0, unit: "", note, rare: false }
}

impl FigureChart {
    const fn rare(self) -> Self {
        Self { rare: true, ..self }
    }

    const fn in_unit(self, unit: &'static str, factor: f64) -> Self {
        Self { unit, factor, ..self }
    }

    const fn percent(self) -> Self {
        self.in_unit("%", 100.0)
    }
}

/// The terms of the objective.
const TERM_FIGURES: [RunFigure; TERMS.len()] = {
    let mut figures = [figure("", ""); TERMS.len()];
    let mut i = 0;
    while i < TERMS.len() {
        figures[i] = figure(TERMS[i].0, TERMS[i].1);
        i += 1;
    }
    figures
};

const PLANNED: &str = "The whole run, as the recipe has it.";

/// All charts, group by group.
pub const CHARTS: &[FigureChart] = {
    use FigureGroup::{Evaluation, Health, Loss, Schedule, Speed};
    &[
        chart(Loss, "Loss", &[figure("loss", "Loss")], "The weighted sum of all terms."),
        chart(
            Loss,
            "Terms of the loss",
            &TERM_FIGURES,
            "Crops against the teacher's view; masked patches against what the teacher sees; spreading.",
        ),
        chart(
            Loss,
            "Gram loss",
            &[figure(GRAM_LOSS, "Gram")],
            "How far similarities between patches are from the Gram teacher's, times the loss's weight.",
        )
        .rare(),
        chart(
            Loss,
            "Terms of the distillation",
            &[figure("distill_cls_loss", "Class token"), figure("distill_patch_loss", "Patches")],
            "What the student misses of the frozen teacher's features.",
        )
        .rare(),
        chart(
            Loss,
            "Student beside teacher",
            &[figure("cls_cosine", "Class token"), figure("patch_cosine", "Patches")],
            "Cosine between the student's projected features and the teacher's, on the batch. 1 is the same.",
        )
        .rare(),
        chart(
            Evaluation,
            "k-NN accuracy",
            &[figure("knn_top1", "Model")],
            "Share of held-out pictures whose 20 nearest neighbours say the right class, with its 95 % interval.",
        )
        .percent(),
        chart(
            Evaluation,
            "Crop retrieval",
            &[figure("crops_top1", "Model")],
            "Share of pictures of which one crop finds the other among those of all pictures, with its 95 % interval. \
             Needs no classes.",
        )
        .percent(),
        chart(
            Evaluation,
            "Linear probe and segmentation",
            &[figure("linear_top1", "Linear probe"), figure("segment_miou", "Segmentation")],
            "Right classes of held-out pictures; mean overlap with the truth (mIoU) of held-out pixels.",
        )
        .percent()
        .rare(),
        chart(
            Evaluation,
            "Linear depth",
            &[figure("depth_rmse", "Error")],
            "Root of the mean squared error of the distance, on held-out pictures. Less is better.",
        )
        .rare(),
        chart(
            Evaluation,
            "Agreement with the frozen teacher",
            &[
                figure("agreement_cls", "Class token"),
                figure("agreement_patches", "Patches"),
                figure("agreement_neighbours", "Neighbours"),
            ],
            "On held-out pictures: cosine of features after a linear map between the two, and the share of the \
             teacher's ten nearest pictures that are the student's too.",
        )
        .rare(),
        chart(
            Health,
            "Entropy of the predictions",
            &[figure("teacher_entropy", "Teacher"), figure("student_entropy", "Student")],
            "Near 0: collapsed onto one prototype. At its largest and flat: nothing learnt.",
        )
        .in_unit("nat", 1.0),
        chart(
            Health,
            "Prototypes in use",
            &[figure("prototype_use", "In use")],
            "As if so many were used equally often. A few per cent: collapsing.",
        )
        .percent(),
        chart(
            Health,
            "Nearest-neighbour distance",
            &[figure("neighbour_distance", "Distance")],
            "Between features of a batch on the unit sphere. Near 0: collapsing.",
        ),
        chart(
            Health,
            "Rank of the features",
            &[figure("feature_rank", "Rank")],
            "Directions in which class features vary. Near 1: collapsing.",
        ),
        chart(
            Health,
            "Length of patch tokens",
            &[figure("patch_norm_max", "Largest"), figure("patch_norm_mean", "Mean")],
            "A largest one many times the mean: outliers; registers help.",
        ),
        chart(
            Health,
            "Class token against patches",
            &[figure("cls_patch_cosine", "Cosine")],
            "The teacher's, in global crops. One that rises through a long run: patches turn into copies of the whole.",
        ),
        chart(
            Health,
            "Norm of the gradients",
            &[
                figure("grad_norm_backbone", "Backbone"),
                figure("grad_norm_dino_head", "DINO head"),
                figure("grad_norm_ibot_head", "iBOT head"),
            ],
            "Before clipping. Spikes that grow announce divergence.",
        ),
        chart(
            Health,
            "Loss scale",
            &[figure("loss_scale", "Scale")],
            "What a 16-bit loss is multiplied by, halved at each overflow. One that keeps falling: diverging.",
        )
        .rare(),
        chart(
            Schedule,
            "Learning rate",
            &[figure("lr", "Learning rate"), figure("last_layer_lr", "Last layer")],
            PLANNED,
        ),
        chart(Schedule, "Weight decay", &[figure("weight_decay", "Weight decay")], PLANNED),
        chart(Schedule, "Momentum of the teacher", &[figure("momentum", "Momentum")], PLANNED),
        chart(Schedule, "Temperature of the teacher", &[figure("teacher_temperature", "Temperature")], PLANNED),
        chart(Speed, "Pictures a second", &[figure("images_per_second", "Pictures/s")], ""),
        chart(Speed, "Steps a second", &[figure("steps_per_second", "Steps/s")], ""),
        chart(
            Speed,
            "Waiting for pictures",
            &[figure("waited", "Waiting")],
            "Share of the time in which the device had nothing to do.",
        )
        .percent(),
        chart(
            Speed,
            "Waiting for other ranks",
            &[figure("ranks_waited", "Waiting")],
            "Share of the time in which the ranks of a run waited for each other, mean over them.",
        )
        .percent()
        .rare(),
        chart(
            Speed,
            "Memory in use",
            &[figure("memory_used", "In use")],
            "Of the GPU's pools, or of this process.",
        )
        .in_unit("MB", 1e-6),
    ]
};

/// The keys of all figures, in the order of a report.
pub fn keys() -> impl Iterator<Item = &'static str> {
    CHARTS.iter().flat_map(|chart| chart.figures).map(|figure| figure.key)
}

/// The figure with this key, and its chart.
pub fn find(key: &str) -> Option<(&'static FigureChart, &'static RunFigure)> {
    CHARTS.iter().find_map(|chart| Some((chart, chart.figures.iter().find(|figure| figure.key == key)?)))
}

/// All figures as a Markdown table, for the documentation.
pub fn markdown() -> String {
    let mut text = String::from("| key | chart | figure | unit | how to read it |\n|---|---|---|---|---|\n");
    for chart in CHARTS {
        for figure in chart.figures {
            text += &format!(
                "| `{}` | {} | {} | {} | {} |\n",
                figure.key, chart.title, figure.label, chart.unit, chart.note
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::eval::catalogue::EVALUATIONS;

    #[test]
    fn every_figure_has_one_place() {
        let all: Vec<&str> = keys().collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
        let titles: BTreeSet<&str> = CHARTS.iter().map(|chart| chart.title).collect();
        assert_eq!(titles.len(), CHARTS.len());
        let grouped: usize = FigureGroup::ALL.iter().map(|group| group.charts().count()).sum();
        assert_eq!(grouped, CHARTS.len());
        assert_eq!(find("waited").unwrap().0.factor, 100.0);
        assert_eq!(find("no_such"), None);
        for key in EVALUATIONS.iter().filter_map(|entry| entry.run_figure) {
            assert!(find(key).is_some(), "{key} is written by an evaluation");
        }
    }
}

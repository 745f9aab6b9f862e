//! Which figures there are, which share a chart, and what they say.

/// Charts that belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Group {
    /// The objective and its terms.
    #[default]
    Loss,
    /// k-NN through time.
    Accuracy,
    /// Signs of collapse and divergence.
    Health,
    /// How fast it goes, and in how much memory.
    Speed,
    /// What the recipe prescribes for each step.
    Schedules,
}

/// All groups with what they are called.
pub const GROUPS: [(Group, &str); 5] = [
    (Group::Loss, "Loss"),
    (Group::Accuracy, "k-NN"),
    (Group::Health, "Health"),
    (Group::Speed, "Speed"),
    (Group::Schedules, "Schedules"),
];

/// One curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the metrics.
    pub metric: &'static str,
    /// What it is called in its chart.
    pub label: &'static str,
}

/// A chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chart {
    /// What it shows.
    pub title: &'static str,
    /// Its curves.
    pub curves: &'static [Curve],
    /// Values are multiplied by this to be shown.
    pub factor: f64,
    /// Behind the values.
    pub unit: &'static str,
    /// How to read it.
    pub note: &'static str,
    /// What else is drawn.
    pub extra: Extra,
    /// Whether only some runs have these figures.
    pub rare: bool,
}

/// What a chart has beside curves of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// Nothing.
    Nothing,
    /// The 95 % interval, raw pixels, and the untrained model.
    Accuracy,
    /// The largest entropy that there can be.
    LargestEntropy,
    /// The curves are computed ahead for the whole run.
    Schedule,
}

const fn c(metric: &'static str, label: &'static str) -> Curve {
    Curve { metric, label }
}

const fn chart(title: &'static str, curves: &'static [Curve], note: &'static str) -> Chart {
    Chart { title, curves, factor: 1.0, unit: "", note, extra: Extra::Nothing, rare: false }
}

const LOSS: &[Chart] = &[
    chart("Loss", &[c("loss", "Loss")], "The weighted sum of all terms."),
    chart(
        "Terms of the loss",
        &[
            c("dino_global_loss", "DINO global"),
            c("dino_local_loss", "DINO local"),
            c("ibot_loss", "iBOT"),
            c("koleo_loss", "KoLeo"),
        ],
        "Crops against the teacher's view; masked patches against what the teacher sees; spreading.",
    ),
    Chart {
        rare: true,
        ..chart(
            "Terms of the distillation",
            &[c("distill_cls_loss", "Class token"), c("distill_patch_loss", "Patches")],
            "What the student misses of the frozen teacher's features.",
        )
    },
    Chart {
        rare: true,
        ..chart(
            "Student beside teacher",
            &[c("cls_cosine", "Class token"), c("patch_cosine", "Patches")],
            "Cosine between the student's projected features and the teacher's, on the batch. 1 is the same.",
        )
    },
];

const ACCURACY: &[Chart] = &[
    Chart {
        factor: 100.0,
        unit: "%",
        extra: Extra::Accuracy,
        ..chart(
            "k-NN accuracy",
            &[c("knn_top1", "Model")],
            "Share of held-out pictures whose 20 nearest neighbours say the right class, with its 95 % interval.",
        )
    },
    Chart {
        rare: true,
        factor: 100.0,
        unit: "%",
        ..chart(
            "Linear probe and segmentation",
            &[c("linear_top1", "Linear probe"), c("segment_miou", "Segmentation")],
            "Right classes of held-out pictures; mean overlap with the truth (mIoU) of held-out pixels.",
        )
    },
    Chart {
        rare: true,
        ..chart(
            "Linear depth",
            &[c("depth_rmse", "Error")],
            "Root of the mean squared error of the distance, on held-out pictures. Less is better.",
        )
    },
    Chart {
        rare: true,
        ..chart(
            "Agreement with the frozen teacher",
            &[
                c("agreement_cls", "Class token"),
                c("agreement_patches", "Patches"),
                c("agreement_neighbours", "Neighbours"),
            ],
            "On held-out pictures: cosine of features after a linear map between the two, and the share of the \
             teacher's ten nearest pictures that are the student's too.",
        )
    },
];

const HEALTH: &[Chart] = &[
    Chart {
        extra: Extra::LargestEntropy,
        ..chart(
            "Entropy of the predictions",
            &[c("teacher_entropy", "Teacher"), c("student_entropy", "Student")],
            "Near 0: collapsed onto one prototype. At its largest and flat: nothing learnt.",
        )
    },
    Chart {
        factor: 100.0,
        unit: "%",
        ..chart(
            "Prototypes in use",
            &[c("prototype_use", "In use")],
            "As if so many were used equally often. A few per cent: collapsing.",
        )
    },
    chart(
        "Nearest-neighbour distance",
        &[c("neighbour_distance", "Distance")],
        "Between features of a batch on the unit sphere. Near 0: collapsing.",
    ),
    chart(
        "Rank of the features",
        &[c("feature_rank", "Rank")],
        "Directions in which class features vary. Near 1: collapsing.",
    ),
    chart(
        "Length of patch tokens",
        &[c("patch_norm_max", "Largest"), c("patch_norm_mean", "Mean")],
        "A largest one many times the mean: outliers; registers help.",
    ),
    chart(
        "Norm of the gradients",
        &[
            c("grad_norm_backbone", "Backbone"),
            c("grad_norm_dino_head", "DINO head"),
            c("grad_norm_ibot_head", "iBOT head"),
        ],
        "Before clipping. Spikes that grow announce divergence.",
    ),
];

const SPEED: &[Chart] = &[
    chart("Pictures a second", &[c("images_per_second", "Pictures/s")], ""),
    chart("Steps a second", &[c("steps_per_second", "Steps/s")], ""),
    Chart {
        factor: 100.0,
        unit: "%",
        ..chart(
            "Waiting for pictures",
            &[c("waited", "Waiting")],
            "Share of the time in which the device had nothing to do.",
        )
    },
    Chart {
        factor: 1e-6,
        unit: "MB",
        ..chart("Memory in use", &[c("memory_used", "In use")], "Of the GPU's pools, or of this process.")
    },
];

const fn schedule(title: &'static str, curves: &'static [Curve]) -> Chart {
    Chart { extra: Extra::Schedule, ..chart(title, curves, "The whole run, as the recipe has it.") }
}

const SCHEDULES: &[Chart] = &[
    schedule("Learning rate", &[c("lr", "Learning rate"), c("last_layer_lr", "Last layer")]),
    schedule("Weight decay", &[c("weight_decay", "Weight decay")]),
    schedule("Momentum of the teacher", &[c("momentum", "Momentum")]),
    schedule("Temperature of the teacher", &[c("teacher_temperature", "Temperature")]),
];

impl Group {
    /// Its charts.
    pub fn charts(self) -> &'static [Chart] {
        match self {
            Self::Loss => LOSS,
            Self::Accuracy => ACCURACY,
            Self::Health => HEALTH,
            Self::Speed => SPEED,
            Self::Schedules => SCHEDULES,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_figure_has_one_place() {
        let mut seen = HashSet::new();
        for (group, _) in GROUPS {
            for chart in group.charts() {
                for curve in chart.curves {
                    assert!(seen.insert(curve.metric), "{} twice", curve.metric);
                }
            }
        }
        assert!(seen.contains("loss") && seen.contains("knn_top1") && seen.contains("memory_used"));
    }
}

//! What the figures of a run are called, which belong together, and what they say.

use super::{Group, Scale, Series};

/// Name in the metrics, title of the curve, chart it shares, section, unit, factor, what it says.
type Entry = (&'static str, &'static str, &'static str, Group, &'static str, f64, &'static str);

const KNOWN: &[Entry] = &[
    ("loss", "Loss", "", Group::Loss, "", 1.0, "The weighted sum of all terms."),
    (
        "dino_local_loss",
        "DINO, local crops",
        "",
        Group::Loss,
        "",
        1.0,
        "Class tokens of local crops against the teacher's global view.",
    ),
    (
        "dino_global_loss",
        "DINO, global crops",
        "",
        Group::Loss,
        "",
        1.0,
        "Class tokens of one global crop against the other.",
    ),
    (
        "ibot_loss",
        "iBOT, masked patches",
        "",
        Group::Loss,
        "",
        1.0,
        "Masked patches against what the teacher sees there.",
    ),
    (
        "koleo_loss",
        "KoLeo, spreading",
        "",
        Group::Loss,
        "",
        1.0,
        "Lower: features of a batch lie further apart.",
    ),
    (
        "knn_top1",
        "k-NN top-1",
        "",
        Group::Evaluation,
        "%",
        100.0,
        "Share of test pictures whose neighbours say the right class.",
    ),
    (
        "teacher_entropy",
        "teacher",
        "Entropy of the predictions",
        Group::Health,
        "nat",
        1.0,
        "Near 0: collapsed onto one prototype. At its maximum and flat: nothing learnt.",
    ),
    ("student_entropy", "student", "Entropy of the predictions", Group::Health, "nat", 1.0, ""),
    (
        "prototype_use",
        "Prototypes in use",
        "",
        Group::Health,
        "%",
        100.0,
        "As if so many were used equally often. A few per cent: collapsing.",
    ),
    (
        "neighbour_distance",
        "Nearest-neighbour distance",
        "",
        Group::Health,
        "",
        1.0,
        "Between features of a batch on the unit sphere. Near 0: collapsing.",
    ),
    (
        "feature_rank",
        "Feature rank",
        "",
        Group::Health,
        "",
        1.0,
        "Directions in which class features vary. Near 1: collapsing.",
    ),
    (
        "patch_norm_mean",
        "mean",
        "Length of patch tokens",
        Group::Health,
        "",
        1.0,
        "A maximum many times the mean: outlier tokens; registers help.",
    ),
    ("patch_norm_max", "maximum", "Length of patch tokens", Group::Health, "", 1.0, ""),
    ("lr", "all", "Learning rate", Group::Schedule, "", 1.0, ""),
    ("last_layer_lr", "last layer of the heads", "Learning rate", Group::Schedule, "", 1.0, ""),
    ("weight_decay", "Weight decay", "", Group::Schedule, "", 1.0, ""),
    ("momentum", "Momentum of the teacher", "", Group::Schedule, "", 1.0, ""),
    ("teacher_temperature", "Temperature of the teacher", "", Group::Schedule, "", 1.0, ""),
    ("images_per_second", "Pictures per second", "", Group::Speed, "", 1.0, ""),
    ("steps_per_second", "Steps per second", "", Group::Speed, "", 1.0, ""),
    (
        "waited",
        "Waiting for pictures",
        "",
        Group::Speed,
        "%",
        100.0,
        "Share of the time in which the GPU had nothing to do.",
    ),
    ("memory_used", "Memory in use", "", Group::Speed, "MB", 1e-6, ""),
];

impl Series {
    /// A series of the metrics, titled, grouped and explained. A name that is not known goes to the
    /// health figures as it is.
    pub fn of_metric(metric: &str, points: Vec<(u64, f64)>) -> Self {
        if let Some(module) = metric.strip_prefix("grad_norm_") {
            return Self {
                name: module.replace('_', " "),
                chart: "Norm of the gradients".to_owned(),
                group: Group::Health,
                note: "Before clipping. Spikes that grow announce divergence.".to_owned(),
                points,
                ..Self::default()
            };
        }
        let known = KNOWN.iter().find(|entry| entry.0 == metric);
        let (name, chart, group, unit, factor, note) =
            known.map_or((metric, "", Group::Health, "", 1.0, ""), |e| (e.1, e.2, e.3, e.4, e.5, e.6));
        Self {
            name: name.to_owned(),
            chart: chart.to_owned(),
            group,
            unit: unit.to_owned(),
            note: note.to_owned(),
            // Shares are compared with the whole, not with each other.
            scale: if unit == "%" { Scale::Linear } else { Scale::Auto },
            points: points.into_iter().map(|(step, v)| (step, v * factor)).collect(),
        }
    }
}

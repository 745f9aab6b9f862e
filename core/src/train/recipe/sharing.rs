//! What processes that train one run share out, as a recipe says it.

use serde::{Deserialize, Serialize};

use super::fields::{RecipeField, f, live_field};

/// What each of several processes holds of a run's state. The losses are the same with all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShardKind {
    /// All of it: processes are replicas.
    #[default]
    None,
    /// The student whole; the optimizer's moments, the weights that it updates and the teacher in shards (Rajbhandari et al. 2020,
    /// "ZeRO").
    Optimizer,
    /// Student and teacher too, whose blocks are gathered just before they run and let go after (Zhao et al. 2023, "FSDP").
    Full,
}

/// Its fields.
pub(super) const SHARING_FIELDS: [RecipeField; 2] = [
    live_field(
        "train.shard",
        "What several processes share out: none, the optimizer's state and the teacher (optimizer), or student and gradients too (full); changes \
         memory and traffic, no result; holds from the next start on",
        "",
        0.0,
        0.0,
    ),
    f(
        "train.wire",
        "Numbers that gradients and shared weights travel in between processes: f32, or bf16, half as many bytes; sums are made in f32",
        "",
        0.0,
        0.0,
    ),
];

//! `[loss]`: the weight of each term of the objective, all that a recipe says of it.

use serde::{Deserialize, Serialize};

use super::fields::{RecipeField, f};
use crate::ssl::Centering;

/// `[loss]`: weights of the terms, and the teacher's centering.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct LossRecipe {
    pub dino: f64,
    pub ibot: f64,
    pub koleo: f64,
    #[serde(default)]
    pub gram: f64,
    pub centering: Centering,
    #[serde(default)]
    pub koleo_group: KoleoGroup,
}

/// Among whose pictures KoLeo looks for neighbours, where several processes share a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KoleoGroup {
    /// Each process among its own, as upstream: "within a GPU without cross-communication" (Oquab et al. 2023, appendix).
    #[default]
    Rank,
    /// All pictures of the batch, however many processes share it.
    All,
}

/// Its fields.
pub(super) const LOSS_FIELDS: [RecipeField; 6] = [
    f("loss.dino", "Weight of the DINO loss", "", 0.0, 100.0),
    f("loss.ibot", "Weight of the iBOT loss", "", 0.0, 100.0),
    f("loss.koleo", "Weight of the KoLeo regulariser", "", 0.0, 100.0),
    f(
        "loss.gram",
        "Weight of the Gram loss, which holds the patches' similarities to an earlier teacher's; 0 for none",
        "",
        0.0,
        100.0,
    ),
    f("loss.centering", "Teacher centering: softmax or sinkhorn-knopp", "", 0.0, 0.0),
    f(
        "loss.koleo_group",
        "Whose pictures KoLeo pushes apart, where several processes share a batch: each its own (rank), or all",
        "",
        0.0,
        0.0,
    ),
];

impl Default for LossRecipe {
    /// `ssl_default_config.yaml`.
    fn default() -> Self {
        Self {
            dino: 1.0,
            ibot: 1.0,
            koleo: 0.1,
            gram: 0.0,
            centering: Centering::Softmax,
            koleo_group: KoleoGroup::Rank,
        }
    }
}

impl LossRecipe {
    /// The weight of each term, by the term's name; of those that not every run has, where it counts.
    pub fn weights(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let gram = (self.gram > 0.0).then_some(("Gram", self.gram));
        [("DINO", self.dino), ("iBOT", self.ibot), ("KoLeo", self.koleo)].into_iter().chain(gram)
    }
}

//! `[gram]`: which earlier teacher the patches' similarities are held to, and what it sees (Siméoni et al. 2025, section 4).

use serde::{Deserialize, Serialize};

use super::Recipe;
use super::fields::{HUGE, RecipeField, f};

/// `[gram]`: the Gram teacher; it counts where `loss.gram` is above 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct GramRecipe {
    pub teacher: String,
    pub start: u64,
    pub renew_every: u64,
    pub renewals: u64,
    pub size: usize,
    pub distorted: bool,
}

/// Its fields.
pub(super) const GRAM_FIELDS: [RecipeField; 6] = [
    f(
        "gram.teacher",
        "The Gram teacher: a file, a run, a pulled model; empty for the run's own teacher as it is at gram.start",
        "",
        0.0,
        0.0,
    ),
    f("gram.start", "When the Gram loss begins", "iterations", 0.0, HUGE),
    f(
        "gram.renew_every",
        "How often the run's teacher takes the place of the Gram teacher; 0 for never",
        "iterations",
        0.0,
        HUGE,
    ),
    f("gram.renewals", "How many times it does so at most", "", 0.0, HUGE),
    f(
        "gram.size",
        "Side of what the Gram teacher sees; 0 for twice that of a global crop",
        "pixels",
        0.0,
        8192.0,
    ),
    f(
        "gram.distorted",
        "The Gram teacher sees colours and blur of the student's crops; else the picture as it is",
        "",
        0.0,
        0.0,
    ),
];

impl Default for GramRecipe {
    /// DINOv3's, but for its times, which depend on a run's length.
    fn default() -> Self {
        Self { teacher: String::new(), start: 0, renew_every: 0, renewals: 3, size: 0, distorted: true }
    }
}

impl Recipe {
    /// Side of what the Gram teacher sees, in pixels.
    pub fn gram_size(&self) -> usize {
        match self.gram.size {
            0 => 2 * self.crops.global_size,
            size => size,
        }
    }

    /// Whether the Gram loss counts in the step of this iteration.
    pub fn has_gram(&self, iteration: u64) -> bool {
        self.loss.gram > 0.0 && iteration >= self.gram.start
    }
}

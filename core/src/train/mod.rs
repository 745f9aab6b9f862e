//! Training: the recipe, one step of the method, its optimizer and schedules, runs and their folders.

pub mod budget;
pub mod checkpoint;
pub mod distill;
pub mod feed;
pub mod network;
pub mod optimizer;
pub mod protocol;
pub mod ranks;
pub mod recipe;
pub mod record;
pub mod run;
pub mod shard;
pub mod side_task;
pub mod start;
pub mod state;
pub mod step;
pub mod teacher;
pub mod trainer;
mod update;
pub mod watch;

#[cfg(not(target_family = "wasm"))]
pub use budget::forecast;
pub use budget::{flops, memory, state_bytes};
use checkpoint::{finite_check, tensors};
use feed::unusable_pictures;
pub use feed::{batch, preparation, preview, sources};
pub use optimizer::{loss_scale, schedule};
pub use recipe::{adapt, distill_recipe, fields, overrides, own, paths, presets};
use record::curves;
pub use record::{figures, health, improvement, metrics, metrics_lines, report, summary, tensorboard};
pub use run::{archive, follow, resume, resume_point, run_lock, run_notes};
pub use start::model_source;
pub use teacher::{frozen_teacher, gram_teacher, teacher_cache};
pub use watch::{film, neighbours, probes, watch_colours};

pub use network::{Network, NetworkConfig};
pub use overrides::ResolvedRecipe;
pub use recipe::{Recipe, RecipeError};
pub use state::TrainerState;

#[cfg(all(test, not(target_family = "wasm")))]
mod gram_tests;
#[cfg(all(test, not(target_family = "wasm")))]
mod own_tests;
#[cfg(all(test, not(target_family = "wasm")))]
mod start_tests;

//! Training: the recipe, one step of the method, its optimizer and schedules, runs and their folders.

pub mod adapt;
pub mod archive;
pub mod aside;
pub mod batch;
pub mod checkpoint;
pub mod colours;
mod curves;
pub mod distill;
pub mod distill_recipe;
mod evaluating;
mod failing;
pub mod feed;
pub mod fields;
pub mod figures;
pub mod film;
mod finite;
pub mod flops;
pub mod follow;
#[cfg(not(target_family = "wasm"))]
pub mod forecast;
pub mod frozen;
pub mod health;
pub mod lines;
pub mod lock;
pub mod loss_scale;
pub mod memory;
pub mod metrics;
pub mod model_source;
pub mod network;
pub mod optimizer;
pub mod overrides;
pub mod paths;
pub mod preparing;
pub mod presets;
pub mod preview;
pub mod probes;
pub mod protocol;
pub mod recipe;
pub mod record;
pub mod report;
pub mod resume;
pub mod run;
mod saving;
pub mod schedule;
pub mod sources;
pub mod start;
pub mod state;
pub mod step;
pub mod summary;
pub mod teacher_cache;
pub mod tensorboard;
mod tensors;
pub mod trainer;
pub mod watch;

pub use network::{Network, NetworkConfig};
pub use overrides::ResolvedRecipe;
pub use recipe::{Recipe, RecipeError};
pub use state::TrainerState;

#[cfg(all(test, not(target_family = "wasm")))]
mod start_tests;

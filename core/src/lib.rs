//! DINOv2 (Oquab et al. 2023) without a window: the model, its objective, training, data, weights,
//! analysis and evaluation. The command line, the desktop application, the web page and the tests
//! are thin consumers of [`engine`]; nothing in this crate prints.

pub use burn;
pub use burn_cubecl;

pub mod analysis;
#[cfg(not(target_family = "wasm"))]
pub mod bench;
pub mod bytes;
#[cfg(target_family = "wasm")]
pub mod constructors;
pub mod data;
pub mod device;
pub mod engine;
pub mod eval;
pub mod explore;
pub mod export;
pub mod features;
pub mod files;
pub mod fused;
pub mod model;
pub(crate) mod parallel;
pub mod rng;
pub mod ssl;
pub mod state_dict;
pub mod train;
pub mod weights;
pub mod wire;

//! Training of DINOv2 (Oquab et al. 2023) without a window: the objective, runs, distillation, and looking at pictures
//! while a model learns. The command line, the desktop application, the web page and the tests are thin consumers of
//! [`engine`]; nothing in this crate prints.
//!
//! What it stands on is in crates of its own, which it hands on under their names: [`data`], [`analysis`], [`model`],
//! [`weights`], [`eval`], and at the bottom [`dinoscope_base`].

pub use burn;
pub use burn_cubecl;
pub use dinoscope_analysis as analysis;
#[cfg(target_family = "wasm")]
pub use dinoscope_base::constructors;
pub use dinoscope_base::{bytes, device, files, parallel, rng, state_dict, wire};
pub use dinoscope_data as data;
pub use dinoscope_eval as eval;
pub use dinoscope_model as model;
pub use dinoscope_model::{features, fused};
pub use dinoscope_weights as weights;

#[cfg(not(target_family = "wasm"))]
pub mod bench;
pub mod engine;
pub mod explore;
pub mod export;
pub mod ssl;
pub mod train;

#[cfg(all(test, not(target_family = "wasm")))]
mod wire_tests;

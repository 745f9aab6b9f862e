//! What every floor above stands on: files, on disk or in a page's memory; devices; random numbers; loops over the
//! processor's cores; tensors by name; values on their way to a worker.

pub mod bytes;
#[cfg(target_family = "wasm")]
pub mod constructors;
pub mod device;
pub mod files;
pub mod npy;
pub mod parallel;
pub mod rng;
pub mod state_dict;
pub mod wire;

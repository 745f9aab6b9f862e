//! A page: files in memory, one thread that draws, workers for what takes long, the browser's dialogs and camera.
//!
//! JavaScript (`web/page`) does what only it can and is called through [`host`].

pub mod camera;
pub mod clipboard;
pub mod curation;
pub mod devices;
pub mod dialogs;
pub mod explorer;
pub mod host;
pub mod models;
pub mod network;
pub mod pictures;
mod run_inputs;
pub mod runs;
pub mod storage;
pub mod tasks;
mod workers;

/// Whether files have paths that a person knows and types, and folders can be written into.
pub const HAS_DISK: bool = false;

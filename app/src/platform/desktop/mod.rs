//! The desktop: a disk, threads, the system's dialogs.

pub mod camera;
pub mod clipboard;
pub mod curation;
pub mod devices;
pub mod dialogs;
pub mod explorer;
pub mod models;
pub mod network;
pub mod pictures;
pub mod runs;
pub mod storage;
pub mod tasks;

/// Whether files have paths that a person knows and types, and folders can be written into.
pub const HAS_DISK: bool = true;

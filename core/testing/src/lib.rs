//! Folders of pictures and a recipe for tests.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

pub mod mpi;

use std::fs;

use image::{ImageFormat, Rgb, RgbImage};
use tempfile::{TempDir, tempdir};

/// Fields of a run of six steps with two checkpoints, on top of `nano`: so small that a checkpoint is read in milliseconds.
pub const SMALL_RUN: [&str; 18] = [
    "model.depth=1",
    "model.dim=24",
    "model.heads=2",
    "crops.global_size=16",
    "crops.local_size=8",
    "crops.locals=2",
    "head.prototypes=32",
    "head.hidden=16",
    "head.bottleneck=8",
    "data.scenes=12",
    "data.scene_size=16",
    "optim.warmup=2",
    "train.iterations=6",
    "train.batch=4",
    "train.workers=1",
    "train.report_every=1",
    "train.evaluate_every=0",
    "train.checkpoint_every=3",
];

/// A folder with one-pixel pictures at `places`, by extension, the first with red 0, the next with red 1, and other files
/// that are no pictures.
///
/// # Panics
/// When the system has no place for it.
pub fn folder(places: &[&str]) -> TempDir {
    let folder = tempdir().unwrap();
    for (red, place) in places.iter().enumerate() {
        let path = folder.path().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match ImageFormat::from_path(&path) {
            Ok(_) => RgbImage::from_pixel(1, 1, Rgb([red as u8, 0, 0])).save(&path).unwrap(),
            Err(_) => fs::write(&path, "no picture").unwrap(),
        }
    }
    folder
}

//! Folders of pictures for tests.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;

use image::{ImageFormat, Rgb, RgbImage};
use tempfile::{TempDir, tempdir};

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

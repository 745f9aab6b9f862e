//! How fast one thread makes pictures into crops.

use std::path::PathBuf;

use web_time::Instant;

use super::DataError;
use super::augment::{CropRecipe, ViewCutter, ViewPlan};
use super::decode::decode_file;
use crate::rng::stream;

/// What [`measure`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoaderSpeed {
    /// Pictures per second: loaded, cut into all crops of the recipe, augmented and normalised by one thread.
    pub images_per_second: f64,
    /// Share of the time that went into reading and decoding.
    pub decode_share: f64,
    /// Pictures that were timed.
    pub images: usize,
}

/// Times the loader's work on one thread: every one of `files` once, and on from the first until `seconds` have
/// passed.
///
/// The work for a picture is what a loading thread does for it in training: read and decode, draw the plans of all
/// crops, carry them out and normalise into a batch's memory. A few pictures before the first are not timed.
///
/// # Errors
/// The first picture that can't be loaded.
pub fn measure(files: &[PathBuf], recipe: &CropRecipe, seconds: f64) -> Result<LoaderSpeed, DataError> {
    const WARM_UP: usize = 8;
    let mut cutter = ViewCutter::default();
    let mut global = vec![0.0; 3 * recipe.global_size.pow(2)];
    let mut local = vec![0.0; 3 * recipe.local_size.pow(2)];
    let mut crops = |index: usize| -> Result<f64, DataError> {
        let began = Instant::now();
        let picture = decode_file(&files[index % files.len()])?;
        let decoding = began.elapsed().as_secs_f64();
        let mut rng = stream(0, "augment", 0, index as u64);
        let plans = ViewPlan::draw_all(&mut rng, picture.width, picture.height, recipe);
        for (crop, plan) in plans.iter().enumerate() {
            let (size, out) = match crop {
                0 | 1 => (recipe.global_size, &mut global),
                _ => (recipe.local_size, &mut local),
            };
            cutter.cut(plan, &picture, size, out);
        }
        Ok(decoding)
    };
    for index in 0..files.len().min(WARM_UP) {
        crops(index)?;
    }
    let (mut images, mut decoding) = (0, 0.0);
    let began = Instant::now();
    while images < files.len() || began.elapsed().as_secs_f64() < seconds {
        decoding += crops(images)?;
        images += 1;
    }
    let taken = began.elapsed().as_secs_f64();
    Ok(LoaderSpeed { images_per_second: images as f64 / taken, decode_share: decoding / taken, images })
}

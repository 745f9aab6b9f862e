//! How fast one thread makes pictures into crops.

use std::path::PathBuf;

use web_time::Instant;

use super::DataError;
use super::augment::{CropRecipe, ViewCutter, ViewPlan};
use super::decode::decode_file;
use dinoscope_base::rng::stream;

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
/// There are no files, or one of them can't be loaded.
pub fn measure(files: &[PathBuf], recipe: &CropRecipe, seconds: f64) -> Result<LoaderSpeed, DataError> {
    const WARM_UP: usize = 8;
    if files.is_empty() {
        let reason = "there is nothing to measure with; name at least one".to_owned();
        return Err(DataError::Source { path: "pictures".to_owned(), reason });
    }
    let mut cutter = ViewCutter::default();
    let mut global = vec![0.0; 3 * recipe.global_size.pow(2)];
    let mut local = vec![0.0; 3 * recipe.local_size.pow(2)];
    let mut crops = |index: usize| -> Result<f64, DataError> {
        let began = Instant::now();
        let picture = decode_file(&files[index % files.len()])?;
        let decoding = began.elapsed().as_secs_f64();
        let mut rng = stream(0, "augment", 0, index as u64);
        let plans = ViewPlan::draw_all(&mut rng, picture.width, picture.height, 1, recipe);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_pictures_are_measured_and_broken_ones_reported() {
        let folder = tempfile::tempdir().unwrap();
        let mut files: Vec<PathBuf> = (0..3).map(|i| folder.path().join(format!("{i}.jpg"))).collect();
        for (file, shade) in files.iter().zip([50, 120, 200]) {
            image::RgbImage::from_pixel(40, 30, image::Rgb([shade, 80, 10])).save(file).unwrap();
        }
        let recipe = CropRecipe { global_size: 16, local_size: 8, locals: 2, ..CropRecipe::default() };
        let speed = measure(&files, &recipe, 0.0).unwrap();
        assert_eq!(speed.images, 3);
        assert!(speed.images_per_second > 0.0 && speed.images_per_second.is_finite());
        assert!(speed.decode_share > 0.0 && speed.decode_share < 1.0);
        assert!(measure(&files, &recipe, 0.05).unwrap().images > 3);

        files.push(folder.path().join("missing.jpg"));
        assert!(matches!(measure(&files, &recipe, 0.0), Err(DataError::Read { .. })));
        assert!(matches!(measure(&[], &recipe, 0.0), Err(DataError::Source { .. })));
    }
}

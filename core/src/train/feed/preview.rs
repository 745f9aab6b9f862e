//! What the model will be given: the crops and masks of a step, without a model and without a run.
//!
//! Pictures, plans and masks come from the code that a run takes them from, so that the preview can't differ from it.

use serde::{Deserialize, Serialize};

use crate::data::augment::{ViewPlan, resize_to};
use crate::data::loader::{SkippedPicture, first_pictures};
use crate::data::source::PictureSource;
use crate::data::{DataError, Picture};
use crate::train::preparation::{crop_recipe, draw_masks};
use crate::train::recipe::Recipe;

/// Longest side of the reduced pictures.
const REDUCED: usize = 256;

/// The first pictures of a step's batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchPreview {
    /// The step that they are for.
    pub iteration: u64,
    /// One for each picture.
    pub items: Vec<PreviewItem>,
    /// Pictures that could not be used and were replaced by others.
    pub skipped: Vec<SkippedPicture>,
}

/// One picture of a batch and what is made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreviewItem {
    /// Its name in the source.
    pub name: String,
    /// The picture, reduced to a longest side of at most 256 pixels.
    pub picture: Picture,
    /// The two global crops, as the teacher sees them.
    pub globals: Vec<Picture>,
    /// The local crops.
    pub locals: Vec<Picture>,
    /// For each global crop the patches that the student must guess, `[grid * grid]` row by row.
    pub masks: Vec<Vec<bool>>,
    /// Patches along a side of a global crop.
    pub grid: usize,
    /// Where each crop was cut, the global ones first: left, top, width and height as shares of the picture.
    pub boxes: Vec<[f32; 4]>,
}

/// What the step `iteration` of a run with this recipe is given for the first `pictures` pictures of its batch.
///
/// # Errors
/// When not one picture of the source can be loaded.
pub fn preview(
    recipe: &Recipe,
    source: &dyn PictureSource,
    iteration: u64,
    pictures: usize,
) -> Result<BatchPreview, DataError> {
    let (batch, seed) = (recipe.train.batch, recipe.train.seed);
    let made = first_pictures(source, &crop_recipe(recipe), batch, seed, iteration, pictures)?;
    let masks = draw_masks(recipe, iteration);
    let grid = recipe.crops.global_size / recipe.model.patch;
    let drawn = made.pictures.iter().zip(&made.plans).zip(&made.indices).enumerate();
    let items = drawn.map(|(slot, ((picture, plans), &index))| {
        let (global, local) = plans.split_at(plans.len().min(2));
        let cut = |plans: &[ViewPlan], size| plans.iter().map(|plan| plan.apply(picture, size)).collect();
        PreviewItem {
            name: source.name(index),
            picture: reduced(picture),
            globals: cut(global, recipe.crops.global_size),
            locals: cut(local, recipe.crops.local_size),
            // Masks are drawn for the first crops of all pictures, then for the second ones.
            masks: (0..2).map(|view| masks.pick([view * batch + slot]).masked).collect(),
            grid,
            boxes: plans.iter().map(|plan| share(plan, picture)).collect(),
        }
    });
    Ok(BatchPreview { iteration, items: items.collect(), skipped: made.skipped })
}

fn reduced(picture: &Picture) -> Picture {
    let longest = picture.width.max(picture.height);
    if longest <= REDUCED {
        return picture.clone();
    }
    let side = |length: usize| (length * REDUCED / longest).max(1);
    resize_to(picture, side(picture.width), side(picture.height))
}

fn share(plan: &ViewPlan, picture: &Picture) -> [f32; 4] {
    let of = |part: usize, whole: usize| part as f32 / whole as f32;
    let (crop, width, height) = (plan.crop, picture.width, picture.height);
    [of(crop.left, width), of(crop.top, height), of(crop.width, width), of(crop.height, height)]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::data::augment::{CropBox, flip_horizontal, normalize, resized_crop};
    use crate::data::source::scenes::ScenesSource;
    use crate::train::feed::BatchFeeder;

    /// Scenes, of which one can't be loaded.
    struct Broken(ScenesSource);

    impl PictureSource for Broken {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn name(&self, index: usize) -> String {
            self.0.name(index)
        }
        fn label(&self, index: usize) -> Option<usize> {
            self.0.label(index)
        }
        fn classes(&self) -> &[String] {
            self.0.classes()
        }
        fn load(&self, index: usize) -> Result<Picture, DataError> {
            if index == 3 {
                return Err(DataError::Decode { name: self.name(index), reason: "torn".to_owned() });
            }
            self.0.load(index)
        }
    }

    fn recipe(more: &[&str]) -> Recipe {
        let tiny = ["train.batch=6", "crops.global_size=32", "crops.local_size=16", "crops.locals=3"];
        let pairs: Vec<String> = tiny.iter().chain(more).map(|pair| (*pair).to_owned()).collect();
        Recipe::preset("nano").unwrap().with_overrides(&pairs).unwrap()
    }

    fn host(crops: Tensor<4>) -> Vec<f32> {
        crops.into_data().iter::<f32>().collect()
    }

    #[test]
    fn the_preview_is_what_the_step_is_given() {
        let source = || Broken(ScenesSource::new(5, 6, 40));
        let recipe = recipe(&["train.accumulate=1"]);
        let mut seen_masked = 0;
        for iteration in [0, 7] {
            let mut feed = BatchFeeder::start(
                Arc::new(source()),
                &recipe,
                recipe.train.batch,
                iteration,
                2,
                &Device::flex(),
            );
            let (mut parts, skipped) = feed.next(&recipe, &draw_masks(&recipe, iteration)).unwrap();
            let part = parts.remove(0);
            let masks: Vec<bool> = part.masks.into_data().iter::<bool>().collect();
            let (global, local) = (host(part.global), host(part.local.unwrap()));

            let preview = preview(&recipe, &source(), iteration, 6).unwrap();
            assert_eq!((preview.iteration, preview.items.len()), (iteration, 6));
            assert_eq!(preview.skipped, skipped);
            assert!(preview.skipped[0].reason.contains("torn"));
            for (slot, item) in preview.items.iter().enumerate() {
                assert_eq!(
                    (item.globals.len(), item.locals.len(), item.boxes.len(), item.grid),
                    (2, 3, 5, 4)
                );
                for (view, crop) in item.globals.iter().enumerate() {
                    let values = normalize(crop);
                    assert_eq!(global[(view * 6 + slot) * values.len()..][..values.len()], values);
                    assert_eq!(masks[(view * 6 + slot) * 16..][..16], item.masks[view]);
                    seen_masked += usize::from(item.masks[view].contains(&true));
                }
                for (view, crop) in item.locals.iter().enumerate() {
                    let values = normalize(crop);
                    assert_eq!(local[(view * 6 + slot) * values.len()..][..values.len()], values);
                }
            }
        }
        // Half of the global crops, less those in which no block found a place.
        assert!((6..=12).contains(&seen_masked), "{seen_masked}");
    }

    #[test]
    fn fewer_pictures_are_the_first_ones() {
        let (source, recipe) = (ScenesSource::new(5, 20, 40), recipe(&[]));
        let whole = preview(&recipe, &source, 3, 99).unwrap();
        assert_eq!(whole.items.len(), 6);
        assert_eq!(preview(&recipe, &source, 3, 2).unwrap().items, whole.items[..2]);
        assert_ne!(preview(&recipe, &source, 4, 2).unwrap().items, whole.items[..2]);
        assert!(preview(&recipe, &source, 3, 0).unwrap().items.is_empty());
    }

    /// Mean difference between a crop and this part of a picture, whichever way it is mirrored.
    fn difference(crop: &Picture, picture: &Picture, [left, top, width, height]: [f32; 4]) -> f64 {
        let of = |share: f32, whole: usize| (share * whole as f32).round() as usize;
        let (w, h) = (picture.width, picture.height);
        let part = CropBox { left: of(left, w), top: of(top, h), width: of(width, w), height: of(height, h) };
        let mut cut = resized_crop(picture, part, crop.width, crop.height);
        let mut best = f64::INFINITY;
        for _ in 0..2 {
            let sum: u32 = crop.rgb.iter().zip(&cut.rgb).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            best = best.min(f64::from(sum) / crop.rgb.len() as f64);
            flip_horizontal(&mut cut);
        }
        best
    }

    #[test]
    fn boxes_are_where_the_crops_were_cut() {
        // With colours left alone the first global crop, which is never blurred, is its box, resized.
        let plain =
            ["brightness", "contrast", "saturation", "hue", "grayscale"].map(|f| format!("crops.{f}=0"));
        let recipe = recipe(&plain.each_ref().map(String::as_str));
        let source = ScenesSource::new(5, 1, 600);
        let picture = source.load(0).unwrap();
        for item in preview(&recipe, &source, 0, 4).unwrap().items {
            assert_eq!((item.picture.width, item.picture.height), (256, 256));
            let found = item.boxes.iter().map(|part| difference(&item.globals[0], &picture, *part));
            let found: Vec<f64> = found.collect();
            assert!(found[0] < 2.0 && found[1..].iter().all(|other| *other > 3.0 * found[0]), "{found:?}");
        }
    }
}

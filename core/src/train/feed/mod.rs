//! Batches on their way from the loading threads to the device that trains.
//!
//! A GPU gets the decoded pictures and makes all crops of a batch in one pass; the CPU backend gets finished crops, so
//! that loading threads do that work beside the step.

pub mod batch;
pub(in crate::train) mod pixel_statistics;
pub mod preparation;
pub mod preview;
pub mod sources;
pub(super) mod unusable_pictures;

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use super::recipe::Recipe;
use crate::data::augment::device_crops;
use crate::data::loader::{BatchShare, CropBatch, DataLoader, PictureBatch, SkippedPicture};
use crate::data::source::PictureSource;
use crate::data::{DataError, RGB};
use crate::ssl::CropMasks;
use batch::{CropTensors, HostCrops, MicroBatch, split, split_made};
use preparation::{MASK_ROWS, crop_recipe};

/// Where batches come from.
pub struct BatchFeeder {
    kind: FeederBackend,
    share: BatchShare,
    device: Device,
}

enum FeederBackend {
    /// Crops made by the loading threads.
    Crops(DataLoader<CropBatch>),
    /// Pictures, and a tensor whose device makes the crops.
    Pictures(DataLoader<PictureBatch>, Box<CubeTensor>),
}

/// Parts of a batch, the pictures in its slots, and those that had to be replaced.
type Taken = (Vec<MicroBatch>, Vec<usize>, Vec<SkippedPicture>);

impl BatchFeeder {
    /// Starts loading for `first_iteration` and on; of each batch this process has `share`.
    pub fn start(
        source: Arc<dyn PictureSource>,
        recipe: &Recipe,
        share: impl Into<BatchShare>,
        first_iteration: u64,
        workers: usize,
        device: &Device,
    ) -> Self {
        let (crops, share, seed) = (crop_recipe(recipe), share.into(), recipe.train.seed);
        let near = Tensor::<1>::zeros([1], device).try_into_primitive::<CubeBackend>();
        let kind = match near {
            // Its program is for colours.
            Ok(near) if recipe.data.channels == RGB => {
                let loader = DataLoader::start_pictures(source, crops, share, seed, first_iteration, workers);
                FeederBackend::Pictures(loader, Box::new(near))
            }
            _ => {
                FeederBackend::Crops(DataLoader::start(source, crops, share, seed, first_iteration, workers))
            }
        };
        Self { kind, share, device: device.clone() }
    }

    /// Seconds that training stood still for data so far.
    pub fn waited(&self) -> f64 {
        match &self.kind {
            FeederBackend::Crops(loader) => loader.waited(),
            FeederBackend::Pictures(loader, _) => loader.waited(),
        }
    }

    /// The next batch, or this process's share of it, on the device, with the pictures that had to be replaced.
    ///
    /// # Errors
    /// No picture can be used, or a batch of pictures is more than the device holds in one buffer.
    pub fn next(
        &mut self,
        recipe: &Recipe,
        masks: &CropMasks,
    ) -> Result<(Vec<MicroBatch>, Vec<SkippedPicture>), DataError> {
        let (mut parts, indices, skipped) = self.take(recipe, masks)?;
        let mut indices = indices.into_iter();
        for part in &mut parts {
            part.pictures = indices.by_ref().take(part.images).collect();
        }
        Ok((parts, skipped))
    }

    fn take(&mut self, recipe: &Recipe, masks: &CropMasks) -> Result<Taken, DataError> {
        let (images, locals, parts) = (self.share.images(), recipe.crops.locals, recipe.train.accumulate);
        match &mut self.kind {
            FeederBackend::Crops(loader) => {
                let batch = loader.next()?;
                let crops = HostCrops {
                    global: &batch.global,
                    local: &batch.local,
                    gram: &batch.gram,
                    images,
                    locals,
                    global_size: recipe.crops.global_size,
                    local_size: recipe.crops.local_size,
                    gram_size: recipe.gram_size(),
                    channels: recipe.data.channels,
                };
                Ok((split(crops, masks, parts, MASK_ROWS, &self.device), batch.indices, batch.skipped))
            }
            FeederBackend::Pictures(loader, near) => {
                let batch = loader.next()?;
                let mut crops = crop_recipe(recipe);
                crops.gram = crops.gram.filter(|gram| batch.iteration >= gram.from);
                let made = device_crops(&near.client, &batch.pictures, &batch.plans, &crops);
                let made = made.map_err(|e| DataError::Source {
                    path: "training pictures".to_owned(),
                    reason: format!("{e}; a smaller train.batch or smaller pictures help"),
                })?;
                let tensor = |handle, views: usize, side: usize| {
                    let shape = [views * images, 3, side, side];
                    let primitive = CubeTensor::new_contiguous(
                        near.client.clone(),
                        near.device.clone(),
                        shape.into(),
                        handle,
                        near.dtype,
                    );
                    Tensor::<4>::from_primitive::<CubeBackend>(primitive)
                };
                let crops = CropTensors {
                    global: tensor(made.global, 2, recipe.crops.global_size),
                    local: (locals > 0).then(|| tensor(made.local, locals, recipe.crops.local_size)),
                    gram: made.gram.map(|gram| tensor(gram, 2, recipe.gram_size())),
                    images,
                    locals,
                };
                Ok((split_made(crops, masks, parts, MASK_ROWS, &self.device), batch.indices, batch.skipped))
            }
        }
    }
}

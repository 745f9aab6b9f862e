//! What a run needs before its first step: crops, masks, threads, and a word about what can't go well.

use burn::tensor::{DType, Device};

use crate::data::augment::{BlurProbability, CropRecipe, GramCropRecipe};
use crate::data::decode::{DecodeOptions, LeastPictureSize};
use crate::data::loader::{AHEAD, BatchShare};
use crate::data::source::PictureSource;
use crate::data::variety;
use crate::files;
use crate::fused::MatmulPrecision;
use crate::parallel::cores;
use crate::rng::stream;
use crate::ssl::CropMasks;
use crate::train::checkpoint::{self, size};
use crate::train::memory;
use crate::train::protocol::EngineError;
use crate::train::recipe::{BlurPreset, Recipe, ShardKind, TrainPrecision};
use crate::train::run::RunFolder;
use crate::train::watch;

/// Multi-crop as the recipe says.
pub fn crop_recipe(recipe: &Recipe) -> CropRecipe {
    let c = &recipe.crops;
    CropRecipe {
        global_size: c.global_size,
        local_size: c.local_size,
        locals: c.locals,
        global_scale: (c.global_scale[0], c.global_scale[1]),
        local_scale: (c.local_scale[0], c.local_scale[1]),
        blur: match c.blur {
            BlurPreset::Official => BlurProbability::OFFICIAL,
            BlurPreset::Intended => BlurProbability::INTENDED,
            BlurPreset::None => BlurProbability::NONE,
        },
        brightness: c.brightness,
        contrast: c.contrast,
        saturation: c.saturation,
        hue: c.hue,
        grayscale: c.grayscale,
        solarize: c.solarize,
        fixed: recipe.distill.fixed_views,
        gram: (recipe.loss.gram > 0.0).then(|| GramCropRecipe {
            size: recipe.gram_size(),
            distorted: recipe.gram.distorted,
            from: recipe.gram.start,
        }),
        pixels: recipe.pixels(),
        ..CropRecipe::default()
    }
}

/// How the files of pictures are decoded: with all their pixels, or reduced to what crops and views of them need.
pub(in crate::train) fn decode_options(recipe: &Recipe) -> DecodeOptions {
    let viewed = watch::view_size(recipe);
    let least = || LeastPictureSize::of_crops(&crop_recipe(recipe), viewed);
    DecodeOptions {
        range: recipe.data.depth_range,
        least: recipe.data.reduce.then(least),
        channels: recipe.data.channels,
    }
}

/// Patches of a step's global crops that iBOT is taken on; the same for the same seed and iteration. In pre-training
/// they are hidden from the student, in distillation they are not.
pub fn draw_masks(recipe: &Recipe, iteration: u64) -> CropMasks {
    let grid = recipe.crops.global_size / recipe.model.patch;
    let rng = &mut stream(recipe.train.seed, "mask", iteration, 0);
    if recipe.distill.is_on() {
        return CropMasks::share(recipe.distill.patches, 2 * recipe.train.batch, grid * grid, rng);
    }
    CropMasks::draw(&recipe.mask, 2 * recipe.train.batch, grid, grid, rng)
}

/// Rows that masked patches are padded to in each part of a batch: the next multiple of this, so that a GPU meets few
/// shapes and nobody computes the method's upper bound, which is half again as much as is masked on average.
pub const MASK_ROWS: usize = 64;

/// Worker threads that keep the device busy: all cores but one, at most eight, unless the recipe says. A browser has none.
pub(in crate::train) fn workers(recipe: &Recipe) -> usize {
    if cfg!(target_family = "wasm") {
        return 0;
    }
    if recipe.train.workers > 0 { recipe.train.workers } else { (cores() - 1).clamp(1, 8) }
}

/// Whether the device can compute with the recipe's numbers.
pub(in crate::train) fn has_numbers(numbers: TrainPrecision, device: &Device) -> Result<(), EngineError> {
    let (name, dtype) = match numbers {
        TrainPrecision::F32 => return Ok(()),
        TrainPrecision::F16 => ("f16", DType::F16),
        TrainPrecision::Bf16 => ("bf16", DType::BF16),
    };
    if device.supports_dtype(dtype) {
        return Ok(());
    }
    let hint = "train.precision = \"f32\" runs everywhere.".to_owned();
    Err(EngineError::Device { reason: format!("it has no {name} numbers"), hint })
}

/// What a person should know before the first step; the run starts all the same. Of a step this process has `share`.
pub(in crate::train) fn cautions(
    recipe: &Recipe,
    device: &Device,
    source: &dyn PictureSource,
    share: BatchShare,
) -> Vec<String> {
    let (mut said, pictures) = (Vec::new(), source.len());
    if let Some(note) = variety::note_of(source) {
        said.push(note);
    } else if pictures < recipe.train.batch {
        said.push(format!(
            "there are {pictures} pictures for a batch of {}: each step shows the same ones more than once, and a model learns little from so \
             few. Bring more pictures, or lower train.batch",
            recipe.train.batch
        ));
    }
    let mut own = recipe.clone();
    own.train.batch = share.images();
    let needed = memory::estimate_of_rank(&own, share.ranks).total() + waiting(&own);
    if let Some(free) = memory::available(device).filter(|free| *free < needed) {
        let [needed, free] = [needed, free].map(|bytes| size(&bytes));
        let shared = match share.ranks > 1 && recipe.train.shard != ShardKind::Full {
            true => " train.shard = \"full\" has ranks share the parameters.",
            false => "",
        };
        said.push(format!(
            "about {needed} of memory are needed and {free} are free: this will hardly run. {}{shared}",
            memory::hint(recipe)
        ));
    }
    said
}

/// Why matrices are not multiplied in the numbers that the recipe says, if they are not.
pub(in crate::train) fn other_products(recipe: &Recipe, gpu: bool) -> Option<String> {
    let wanted = recipe.train.matmul_precision;
    let why = if gpu && wanted != MatmulPrecision::F32 {
        "train.matmul_precision is for the CPU: a GPU computes in train.precision"
    } else if !gpu && !wanted.is_available() {
        "this processor has no bf16 products: it multiplies matrices in f32"
    } else {
        return None;
    };
    Some(why.to_owned())
}

/// Bytes of the batches that loading threads hold ready.
fn waiting(recipe: &Recipe) -> u64 {
    let c = &recipe.crops;
    let gram = if recipe.loss.gram > 0.0 { 2 * recipe.gram_size().pow(2) } else { 0 };
    let picture =
        4 * recipe.data.channels * (2 * c.global_size.pow(2) + c.locals * c.local_size.pow(2) + gram);
    (picture * recipe.train.batch * (1 + workers(recipe) * (1 + AHEAD))) as u64
}

/// What is missing on the disk for even one checkpoint, if anything is.
pub(in crate::train) fn no_room(folder: &RunFolder, parameters: usize) -> Option<String> {
    let needed = checkpoint::bytes(parameters);
    let free = files::free(folder.path()).filter(|free| *free < needed)?;
    Some(format!(
        "a checkpoint takes {} and {} are free in {}: nothing of this run can be kept until there is room",
        size(&needed),
        size(&free),
        folder.path().display()
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::source::scenes::ScenesSource;

    fn nano(pairs: &[&str]) -> Recipe {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        Recipe::preset("nano").unwrap().with_overrides(&pairs).unwrap()
    }

    #[test]
    fn what_can_not_go_well_is_said_before_it_starts() {
        let device = Device::flex();
        let said = |pictures| {
            cautions(&nano(&["train.batch=4"]), &device, &ScenesSource::new(0, pictures, 32), 4.into())
        };
        assert_eq!(said(4), Vec::<String>::new());
        assert!(said(3).len() == 1 && said(3)[0].contains("3 pictures for a batch of 4"), "{:?}", said(3));
        assert!(said(1).len() == 1 && said(1)[0].contains("can't learn"), "{:?}", said(1));
    }

    #[test]
    fn products_in_other_numbers_than_asked_for_are_said() {
        let bf16 = nano(&["train.matmul_precision=bf16"]);
        assert_eq!((other_products(&nano(&[]), false), other_products(&nano(&[]), true)), (None, None));
        assert!(other_products(&bf16, true).unwrap().contains("train.precision"));
        assert_eq!(other_products(&bf16, false).is_none(), MatmulPrecision::Bf16.is_available());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_batch_that_no_memory_holds_is_said_before_it_starts() {
        let many = ScenesSource::new(0, 1 << 20, 32);
        let said =
            cautions(&nano(&["train.batch=65536", "model.depth=128"]), &Device::flex(), &many, 65536.into());
        assert!(
            said.len() == 1 && said[0].contains("are free") && said[0].contains("train.batch"),
            "{said:?}"
        );
        assert!(!said[0].contains("train.shard"), "{said:?}");
        let of_two = BatchShare { batch: 2 << 16, parts: 1, rank: 0, ranks: 2 };
        let said = cautions(&nano(&["train.batch=65536", "model.depth=128"]), &Device::flex(), &many, of_two);
        assert!(said.iter().any(|said| said.contains("train.shard")), "{said:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_disk_without_room_for_a_checkpoint_is_said_before_it_starts() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(&dir.path().join("run"), &nano(&[])).unwrap();
        assert_eq!(no_room(&folder, 1000), None);
        let said = no_room(&folder, 1 << 55).unwrap();
        assert!(said.contains("are free in"), "{said}");
    }
}

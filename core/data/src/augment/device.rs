//! Crops of a whole batch made on a GPU, so that loading threads only decode.

use std::ops::Range;

use cubecl::bytes::Bytes;
use cubecl::client::Client;
use cubecl::server::Handle;
use dinoscope_shaders::ShaderError;
use dinoscope_shaders::augment::{ChannelNormalization, ColourJitterStep, CropSpec, gpu};

use super::{ColourAdjustment, CropRecipe, ViewPlan};
use crate::{Picture, RGB};
use dinoscope_base::bytes::shown;

/// The crops of a batch on a device, ordered as in [`CropBatch`](crate::loader::Batch).
#[derive(Clone, Debug)]
pub struct DeviceCrops {
    /// Normalised global crops `[2 batch, 3, global size, global size]`, floats.
    pub global: Handle,
    /// Normalised local crops `[locals batch, 3, local size, local size]`, floats.
    pub local: Handle,
    /// The global crops as a Gram teacher sees them, `[2 batch, 3, its size, its size]`, where there is one.
    pub gram: Option<Handle>,
}

/// Carries out the plans of a batch on the device of `client`: uploads the pictures' bytes once, and makes of them
/// what [`ViewCutter::cut`](super::ViewCutter::cut) would, up to rounding.
///
/// `plans` are those of each picture in the order of [`ViewPlan::draw_all`]; crops for a Gram teacher are made whatever the
/// iteration, where the recipe has any.
///
/// # Errors
/// The recipe is of other pictures than of colours, there are not as many plans for a picture as the recipe has crops, a plan is for another picture, or the pictures or
/// crops are more than the device holds in one buffer.
pub fn device_crops(
    client: &Client,
    pictures: &[Picture],
    plans: &[Vec<ViewPlan>],
    recipe: &CropRecipe,
) -> Result<DeviceCrops, ShaderError> {
    let wrong = |what, found, expected| ShaderError::Length { program: "crops", what, found, expected };
    if plans.len() != pictures.len() {
        return Err(wrong("plans of pictures", plans.len(), pictures.len()));
    }
    let normalize = normalization(recipe)?;
    let crops = 2 + recipe.locals;
    if let Some(plans) = plans.iter().find(|plans| plans.len() != crops) {
        return Err(wrong("plans of a picture", plans.len(), crops));
    }
    let (packed, offsets) = pack(pictures);
    let bytes = packed.len();
    let most = client.properties().memory.max_page_size;
    let largest = [
        bytes,
        12 * 2 * pictures.len() * recipe.global_size.pow(2),
        12 * recipe.locals * pictures.len() * recipe.local_size.pow(2),
        recipe.gram.map_or(0, |gram| 12 * 2 * pictures.len() * gram.size.pow(2)),
    ];
    if let Some(&needed) = largest.iter().find(|&&needed| needed as u64 > most) {
        let (needed, allowed) = (format!("{} in one buffer", shown(needed as u64)), shown(most));
        return Err(ShaderError::TooLarge { program: "crops", count: pictures.len(), needed, allowed });
    }
    let mut padded = packed;
    padded.resize(bytes.next_multiple_of(4).max(4), 0);
    let pixels = client.create(Bytes::from_bytes_vec(padded));
    let made = |plans: &[Vec<ViewPlan>], crops: Range<usize>, size| {
        let views = views(pictures, &offsets, plans, crops);
        gpu::augment(client, &pixels, bytes, &views, size, &normalize)
    };
    let gram = recipe.gram.map(|seen| {
        let of_gram: Vec<_> = plans.iter().map(|plans| ViewPlan::of_gram(plans, &seen)).collect();
        made(&of_gram, 0..2, seen.size)
    });
    Ok(DeviceCrops {
        global: made(plans, 0..2, recipe.global_size)?,
        local: made(plans, 2..crops, recipe.local_size)?,
        gram: gram.transpose()?,
    })
}

/// How a recipe's pictures are normalised, in the words of the GPU program.
fn normalization(recipe: &CropRecipe) -> Result<ChannelNormalization, ShaderError> {
    let of = |values: &[f32]| {
        <[f32; RGB]>::try_from(values).map_err(|_| ShaderError::Length {
            program: "crops",
            what: "channels",
            found: values.len(),
            expected: RGB,
        })
    };
    Ok(ChannelNormalization { mean: of(&recipe.pixels.mean)?, std: of(&recipe.pixels.deviation)? })
}

/// Some of the crops of all pictures: the first of each, then the second of each, and so on.
fn views(
    pictures: &[Picture],
    offsets: &[usize],
    plans: &[Vec<ViewPlan>],
    crops: Range<usize>,
) -> Vec<CropSpec> {
    let of_all = |crop: usize| {
        let pictures = pictures.iter().zip(offsets).zip(plans);
        pictures.map(move |((picture, &offset), plans)| (&plans[crop], picture, offset))
    };
    let in_order = crops.flat_map(of_all).enumerate();
    in_order.map(|(slot, (plan, picture, offset))| view(plan, picture, offset, slot)).collect()
}

/// The bytes of all pictures, one after another, and where each begins.
fn pack(pictures: &[Picture]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::with_capacity(pictures.iter().map(|picture| picture.rgb.len()).sum::<usize>() + 4);
    let offsets = pictures
        .iter()
        .map(|picture| {
            let offset = bytes.len();
            bytes.extend_from_slice(&picture.rgb);
            offset
        })
        .collect();
    (bytes, offsets)
}

/// A plan for a picture that begins at byte `offset`, as the GPU program takes it.
fn view(plan: &ViewPlan, picture: &Picture, offset: usize, slot: usize) -> CropSpec {
    let jitter = |adjustment: &ColourAdjustment| match *adjustment {
        ColourAdjustment::Brightness(factor) => ColourJitterStep::Brightness(factor),
        ColourAdjustment::Contrast(factor) => ColourJitterStep::Contrast(factor),
        ColourAdjustment::Saturation(factor) => ColourJitterStep::Saturation(factor),
        ColourAdjustment::Hue(turns) => ColourJitterStep::Hue(turns),
    };
    CropSpec {
        offset,
        width: picture.width,
        height: picture.height,
        crop: [plan.crop.left, plan.crop.top, plan.crop.width, plan.crop.height],
        flip: plan.flip,
        jitter: plan.jitter.iter().flatten().map(jitter).collect(),
        grayscale: plan.grayscale,
        blur: plan.blur,
        solarize: plan.solarize,
        slot,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use dinoscope_shaders::augment::cpu;

    use super::super::{GramCropRecipe, MEAN, STD, ViewCutter, ViewKind};
    use super::*;

    const NORMALIZE: ChannelNormalization = ChannelNormalization { mean: MEAN, std: STD };
    use crate::loader::{DataLoader, make_batch};
    use crate::source::scenes::ScenesSource;
    use dinoscope_base::rng::stream;

    /// Steps of 1/255 between two results `[views, 3, size, size]`, value by value.
    fn steps(a: &[f32], b: &[f32], size: usize) -> Vec<f32> {
        assert_eq!(a.len(), b.len());
        let pairs = a.iter().zip(b).enumerate();
        pairs.map(|(at, (a, b))| 255.0 * STD[at / (size * size) % 3] * (a - b).abs()).collect()
    }

    /// Colours that flow, edges, and a little noise.
    fn picture(width: usize, height: usize) -> Picture {
        let value = |i: usize| {
            let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
            let flow = [x * 255 / width, y * 255 / height, (x + 2 * y) % 256][c];
            let edge = if (x / 9 + y / 7) % 3 == 0 { 70 } else { 0 };
            ((flow + edge) % 256 + i.wrapping_mul(2_654_435_761) % 23).min(255) as u8
        };
        Picture::of_rgb(width, height, (0..3 * width * height).map(value).collect())
    }

    /// The GPU's program is held to its twin where there are GPUs; here the twin is held to this crate's operations.
    #[test]
    fn the_twin_of_the_gpu_program_agrees() {
        let pictures = [picture(150, 110), picture(60, 190), picture(1, 1), picture(300, 4), picture(23, 31)];
        let (pixels, offsets) = pack(&pictures);
        let mut cutter = ViewCutter::default();
        let (mut off, mut all) = (0, 0);
        for i in 0..400 {
            let which = i % pictures.len();
            let (picture, size) = (&pictures[which], [16, 32, 41][i % 3]);
            let kind = [ViewKind::Global1, ViewKind::Global2, ViewKind::Local][i % 3];
            let mut rng = stream(4, "test", i as u64, 0);
            let plan = ViewPlan::draw(&mut rng, kind, picture.width, picture.height, &CropRecipe::default());
            let twin = cpu::augment(&pixels, &[view(&plan, picture, offsets[which], 0)], size, &NORMALIZE);
            let mut expected = vec![0.0; twin.len()];
            cutter.cut(&plan, picture, size, &mut expected);
            let steps = steps(&twin, &expected, size);
            let mean = steps.iter().sum::<f32>() / steps.len() as f32;
            assert!(mean < 0.5, "{mean} steps on average, {size}, {plan:?}");
            all += steps.len();
            off += steps.iter().filter(|&&step| step > 0.5).count();
        }
        // Rounding of ties and of the mean grey differs.
        assert!(100 * off < all, "{off} of {all} values are a step off");
    }

    #[test]
    fn crops_stand_where_a_batch_has_them() {
        let source = std::sync::Arc::new(ScenesSource::new(3, 9, 64));
        let recipe = CropRecipe { global_size: 32, local_size: 16, locals: 3, ..CropRecipe::default() };
        let batch = make_batch(&*source, &recipe, 4, 7, 0).unwrap();
        let undone = DataLoader::start_pictures(source, recipe.clone(), 4, 7, 0, 0).next().unwrap();
        let (pixels, offsets) = pack(&undone.pictures);
        for (crops, size, expected) in [(0..2, 32, &batch.global), (2..5, 16, &batch.local)] {
            let views = views(&undone.pictures, &offsets, &undone.plans, crops);
            let steps = steps(&cpu::augment(&pixels, &views, size, &NORMALIZE), expected, size);
            let off = steps.iter().filter(|&&step| step > 0.5).count();
            assert!(50 * off < steps.len(), "{off} of {} values differ", steps.len());
        }
    }

    fn client() -> Client {
        use cubecl::wgpu::{WgpuServer, WgslCompiler};
        let instance = wgpu::Instance::default();
        let found = dinoscope_base::device::block_on(
            instance.request_adapter(&wgpu::RequestAdapterOptions::default()),
        );
        found.expect("a GPU adapter, a software one will do, or DINOSCOPE_NO_GPU_TESTS=1");
        // WGSL, which every driver takes. Type 4 is wgpu's default device.
        Client::load::<WgpuServer<WgslCompiler>>(cubecl::device::DeviceId::new(4, 0))
    }

    #[test]
    #[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
    fn a_device_makes_the_batch_that_a_loader_makes() {
        let client = client();
        let source = std::sync::Arc::new(ScenesSource::new(3, 9, 61));
        let gram = Some(GramCropRecipe { size: 37, distorted: false, from: 0 });
        let recipe = CropRecipe { global_size: 24, local_size: 10, locals: 2, gram, ..CropRecipe::default() };
        let batch = make_batch(&*source, &recipe, 3, 7, 0).unwrap();
        let undone = DataLoader::start_pictures(source, recipe.clone(), 3, 7, 0, 0).next().unwrap();
        let (pictures, plans) = (&undone.pictures, &undone.plans);
        let made = device_crops(&client, pictures, plans, &recipe).unwrap();
        let all = [
            (made.global, 24, &batch.global),
            (made.local, 10, &batch.local),
            (made.gram.unwrap(), 37, &batch.gram),
        ];
        for (made, size, expected) in all {
            let bytes = client.read_one(made).unwrap();
            let made: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes[..4 * expected.len()]);
            let steps = steps(&made, expected, size);
            let off = steps.iter().filter(|step| step.is_nan() || **step > 0.5).count();
            assert!(20 * off < steps.len(), "{off} of {} values differ", steps.len());
        }
        assert!(device_crops(&client, pictures, &plans[1..], &recipe).is_err());
        assert!(device_crops(&client, pictures, plans, &CropRecipe { locals: 3, ..recipe.clone() }).is_err());
        let turned: Vec<Picture> = pictures.iter().map(|_| picture(2, 2)).collect();
        assert!(device_crops(&client, &turned, plans, &recipe).is_err());
    }
}

//! A batch of crops and masks on its way to the device, in one part or several.

use std::ops::Range;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::fused::SequencePacking;
use crate::ssl::CropMasks;
use crate::train::frozen_teacher::TeacherOutput;

/// Crops of a batch on the host, crop-major: crop 1 of all images, then crop 2, …
#[derive(Clone, Copy, Debug)]
pub struct HostCrops<'a> {
    /// `[2 images, channels, global_size, global_size]`
    pub global: &'a [f32],
    /// `[locals images, channels, local_size, local_size]`
    pub local: &'a [f32],
    /// `[2 images, channels, gram_size, gram_size]`: the global crops as a Gram teacher sees them; empty where there is none.
    pub gram: &'a [f32],
    /// Images in the batch.
    pub images: usize,
    /// Local crops per image.
    pub locals: usize,
    /// Side of a global crop.
    pub global_size: usize,
    /// Side of a local crop.
    pub local_size: usize,
    /// Side of a crop for a Gram teacher.
    pub gram_size: usize,
    /// Channels of a picture.
    pub channels: usize,
}

/// Crops of a batch that were made on the device, crop-major.
#[derive(Clone, Debug)]
pub struct CropTensors {
    /// `[2 images, channels, global_size, global_size]`
    pub global: Tensor<4>,
    /// `[locals images, channels, local_size, local_size]`; `None` without local crops.
    pub local: Option<Tensor<4>>,
    /// `[2 images, channels, side, side]`: the global crops as a Gram teacher sees them, where there is one.
    pub gram: Option<Tensor<4>>,
    /// Images in the batch.
    pub images: usize,
    /// Local crops per image.
    pub locals: usize,
}

/// Some images of a batch on the device.
#[derive(Clone, Debug)]
pub struct MicroBatch {
    /// Images in this part.
    pub images: usize,
    /// Local crops per image.
    pub locals: usize,
    /// `[2 images, channels, height, width]`, crop-major.
    pub global: Tensor<4>,
    /// `[locals images, channels, height, width]`, crop-major; `None` without local crops.
    pub local: Option<Tensor<4>>,
    /// `[2 images, channels, side, side]`, crop-major: the global crops as a Gram teacher sees them, where there is one.
    pub gram: Option<Tensor<4>>,
    /// `[2 images, patches]`: what the student does not see.
    pub masks: Tensor<2, Bool>,
    /// The masked patches, counted through all patches of the global crops, padded.
    pub mask_indices: Vec<i32>,
    /// `[rows]`: 1 / (masked patches of the crop), 0 for padding.
    pub mask_weights: Tensor<1>,
    /// `[rows, 1]`: 1, or 0 for padding.
    pub mask_valid: Tensor<2>,
    /// What a frozen teacher sees in the global crops, where that is known already.
    pub told: Option<TeacherOutput>,
    /// The picture in each slot, an index into the source; empty where nobody needs it.
    pub pictures: Vec<usize>,
}

impl MicroBatch {
    /// The rows of a packed pass that heads see, `[(2 + locals) images + masked]`: CLS tokens of the global crops, those of
    /// the local ones where the pass has them, the masked patches. Registers and CLS are `prefix` tokens of a crop.
    pub fn head_rows(&self, packing: &SequencePacking, prefix: usize) -> Tensor<1, Int> {
        let crops = packing.spans().flat_map(|(start, group)| {
            (0..group.count).map(move |crop| (start + crop * group.tokens) as i32)
        });
        let patches = self.masks.dims()[1];
        let row = |patch: &i32| {
            let patch = *patch as usize;
            ((patch / patches) * (prefix + patches) + prefix + patch % patches) as i32
        };
        let rows: Vec<i32> = crops.chain(self.mask_indices.iter().map(row)).collect();
        let length = rows.len();
        Tensor::from_data(TensorData::new(rows, [length]), &self.global.device())
    }
}

/// Cuts a batch into `parts` of equally many images. Masked patches of a part are padded to a multiple of `step`.
pub fn split(
    crops: HostCrops,
    masks: &CropMasks,
    parts: usize,
    step: usize,
    device: &Device,
) -> Vec<MicroBatch> {
    let images = crops.images / parts;
    let pick = |values: &[f32], views: usize, side: usize, first: usize| -> Tensor<4> {
        let each = crops.channels * side * side;
        let mut picked = Vec::with_capacity(views * images * each);
        for view in 0..views {
            let at = (view * crops.images + first) * each;
            picked.extend_from_slice(&values[at..at + images * each]);
        }
        Tensor::from_data(TensorData::new(picked, [views * images, crops.channels, side, side]), device)
    };
    let part = |part: usize| {
        let first = part * images;
        let global = pick(crops.global, 2, crops.global_size, first);
        let local = (crops.locals > 0).then(|| pick(crops.local, crops.locals, crops.local_size, first));
        let gram = (!crops.gram.is_empty()).then(|| pick(crops.gram, 2, crops.gram_size, first));
        let span = (first..first + images, crops.images);
        MicroBatch { gram, ..assemble(global, local, span, crops.locals, masks, step, device) }
    };
    (0..parts).map(part).collect()
}

/// [`split`] for crops that are on the device already.
pub fn split_made(
    crops: CropTensors,
    masks: &CropMasks,
    parts: usize,
    step: usize,
    device: &Device,
) -> Vec<MicroBatch> {
    let images = crops.images / parts;
    let pick = |all: &Tensor<4>, first: usize| -> Tensor<4> {
        if parts == 1 {
            return all.clone();
        }
        let views = all.dims()[0] / crops.images;
        let of_view = |view: usize| all.clone().narrow(0, view * crops.images + first, images);
        Tensor::cat((0..views).map(of_view).collect(), 0)
    };
    let part = |part: usize| {
        let first = part * images;
        let local = crops.local.as_ref().map(|local| pick(local, first));
        let gram = crops.gram.as_ref().map(|gram| pick(gram, first));
        let global = pick(&crops.global, first);
        let span = (first..first + images, crops.images);
        MicroBatch { gram, ..assemble(global, local, span, crops.locals, masks, step, device) }
    };
    (0..parts).map(part).collect()
}

/// A part of its crops and of the masks of images `span` of `all`.
fn assemble(
    global: Tensor<4>,
    local: Option<Tensor<4>>,
    (span, all): (Range<usize>, usize),
    locals: usize,
    masks: &CropMasks,
    step: usize,
    device: &Device,
) -> MicroBatch {
    let images = span.len();
    let masks = masks.pick((0..2).flat_map(|view| span.clone().map(move |i| view * all + i)));
    let rows = masks.rows(step);
    let length = rows.indices.len();
    let valid: Vec<f32> = (0..length).map(|i| if i < rows.count { 1.0 } else { 0.0 }).collect();
    MicroBatch {
        images,
        locals,
        global,
        local,
        gram: None,
        masks: Tensor::from_data(TensorData::new(masks.masked, [2 * images, masks.patches]), device),
        mask_indices: rows.indices,
        mask_weights: Tensor::from_data(TensorData::new(rows.weights, [length]), device),
        mask_valid: Tensor::from_data(TensorData::new(valid, [length, 1]), device),
        told: None,
        pictures: Vec::new(),
    }
}

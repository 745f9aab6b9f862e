//! A batch of crops and masks on its way to the device, in one part or several.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::ssl::Masks;

/// Crops of a batch on the host, crop-major: crop 1 of all images, then crop 2, …
#[derive(Clone, Copy, Debug)]
pub struct HostCrops<'a> {
    /// `[2 images, 3, global_size, global_size]`
    pub global: &'a [f32],
    /// `[locals images, 3, local_size, local_size]`
    pub local: &'a [f32],
    /// Images in the batch.
    pub images: usize,
    /// Local crops per image.
    pub locals: usize,
    /// Side of a global crop.
    pub global_size: usize,
    /// Side of a local crop.
    pub local_size: usize,
}

/// Some images of a batch on the device.
#[derive(Clone, Debug)]
pub struct Part {
    /// Images in this part.
    pub images: usize,
    /// Local crops per image.
    pub locals: usize,
    /// `[2 images, 3, height, width]`, crop-major.
    pub global: Tensor<4>,
    /// `[locals images, 3, height, width]`, crop-major; `None` without local crops.
    pub local: Option<Tensor<4>>,
    /// `[2 images, patches]`: what the student does not see.
    pub masks: Tensor<2, Bool>,
    /// Flat indices of the masked patches, padded.
    pub mask_indices: Tensor<1, Int>,
    /// `[rows]`: 1 / (masked patches of the crop), 0 for padding.
    pub mask_weights: Tensor<1>,
    /// `[rows, 1]`: 1, or 0 for padding.
    pub mask_valid: Tensor<2>,
}

/// Cuts a batch into `parts` of equally many images. `rows` is the padded number of masked patches of a part.
pub fn split(crops: HostCrops, masks: &Masks, parts: usize, rows: usize, device: &Device) -> Vec<Part> {
    let images = crops.images / parts;
    (0..parts)
        .map(|part| {
            let span = part * images..(part + 1) * images;
            let pick = |values: &[f32], views: usize, side: usize| -> Tensor<4> {
                let each = 3 * side * side;
                let mut picked = Vec::with_capacity(views * images * each);
                for view in 0..views {
                    let first = (view * crops.images + span.start) * each;
                    picked.extend_from_slice(&values[first..first + images * each]);
                }
                Tensor::from_data(TensorData::new(picked, [views * images, 3, side, side]), device)
            };
            let masks =
                masks.pick((0..2).flat_map(|view| span.clone().map(move |i| view * crops.images + i)));
            let rows = masks.rows(rows);
            let length = rows.indices.len();
            let valid: Vec<f32> = (0..length).map(|i| if i < rows.count { 1.0 } else { 0.0 }).collect();
            Part {
                images,
                locals: crops.locals,
                global: pick(crops.global, 2, crops.global_size),
                local: (crops.locals > 0).then(|| pick(crops.local, crops.locals, crops.local_size)),
                masks: Tensor::from_data(TensorData::new(masks.masked, [2 * images, masks.patches]), device),
                mask_indices: Tensor::from_data(TensorData::new(rows.indices, [length]), device),
                mask_weights: Tensor::from_data(TensorData::new(rows.weights, [length]), device),
                mask_valid: Tensor::from_data(TensorData::new(valid, [length, 1]), device),
            }
        })
        .collect()
}

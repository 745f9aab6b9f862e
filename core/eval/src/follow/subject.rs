//! Who follows: features of patches from a backbone, or from nothing but pixels.

use std::borrow::Cow;

use crate::run::EvaluationError;
use crate::suite::{EvalContext, EvalSubject};
use dinoscope_analysis::PatchFeatures;
use dinoscope_data::Picture;
use dinoscope_data::augment::{MEAN, STD};
use dinoscope_model::Vit;
use dinoscope_model::features::to_tensor;
use dinoscope_model::params::read;
use dinoscope_model::vit::LayerSelection;

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FollowSubject {
    /// The backbone in question.
    Weights,
    /// A backbone of the same shape with random weights.
    Untrained,
    /// The pixels of a patch side by side.
    RawPixels,
    /// The mean colour of a patch.
    Colour,
    /// Whoever says that nothing moves.
    Still,
}

impl FollowSubject {
    /// All that are judged, in order.
    pub fn all(alone: bool) -> &'static [Self] {
        const ALL: [FollowSubject; 5] = [
            FollowSubject::Weights,
            FollowSubject::Untrained,
            FollowSubject::RawPixels,
            FollowSubject::Colour,
            FollowSubject::Still,
        ];
        if alone { &ALL[..1] } else { &ALL }
    }

    /// As it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weights => EvalSubject::Weights.name(),
            Self::Untrained => EvalSubject::Untrained.name(),
            Self::RawPixels => EvalSubject::RawPixels.name(),
            Self::Colour => "colour of patches",
            Self::Still => "nothing moves",
        }
    }
}

/// A subject with what it needs to look.
pub(super) struct FrameViewer<'a> {
    pub subject: FollowSubject,
    context: EvalContext<'a>,
    backbone: Cow<'a, Vit>,
    block: usize,
}

impl<'a> FrameViewer<'a> {
    pub fn new(context: &EvalContext<'a>, subject: FollowSubject, block: usize) -> Self {
        let backbone: &'a Vit = context.backbone;
        let backbone = match subject {
            FollowSubject::Untrained => {
                Cow::Owned(Vit::init(&backbone.config, context.options.seed, context.device))
            }
            _ => Cow::Borrowed(backbone),
        };
        Self { subject, context: *context, backbone, block }
    }

    /// Features of a frame whose sides are multiples of the patch.
    pub async fn look(&self, frame: &Picture, patch: usize) -> Result<PatchFeatures, EvaluationError> {
        let (rows, cols) = (frame.height / patch, frame.width / patch);
        Ok(match self.subject {
            FollowSubject::Weights | FollowSubject::Untrained => {
                let images =
                    to_tensor(std::slice::from_ref(frame), &self.backbone.config.pixels, self.context.device);
                let layers =
                    self.backbone.intermediate_layers(images, LayerSelection::At(&[self.block]), true);
                let mut data = Vec::new();
                for layer in layers {
                    data = read(layer.patches).await?;
                }
                PatchFeatures { rows, cols, dim: self.backbone.config.dim, data }
            }
            FollowSubject::RawPixels => pixels(frame, patch),
            FollowSubject::Colour | FollowSubject::Still => colours(frame, patch),
        })
    }
}

/// The pixels of each patch, normalised as a backbone is given them, `[patches, 3 * patch * patch]`.
fn pixels(frame: &Picture, patch: usize) -> PatchFeatures {
    let (rows, cols) = (frame.height / patch, frame.width / patch);
    let mut data = Vec::with_capacity(3 * frame.width * frame.height);
    for index in 0..rows * cols {
        let (top, left) = (index / cols * patch, index % cols * patch);
        for y in top..top + patch {
            let row = &frame.rgb[3 * (y * frame.width + left)..][..3 * patch];
            data.extend(row.iter().enumerate().map(|(i, level)| {
                let channel = i % 3;
                (f32::from(*level) / 255.0 - MEAN[channel]) / STD[channel]
            }));
        }
    }
    PatchFeatures { rows, cols, dim: 3 * patch * patch, data }
}

/// Beside the mean colour: with it the cosine of two patches falls as the distance of their colours grows, for light and
/// dark ones of one hue too.
const LEVEL: f32 = 0.5;

/// The mean colour of each patch, about grey, with [`LEVEL`], `[patches, 4]`.
fn colours(frame: &Picture, patch: usize) -> PatchFeatures {
    let (rows, cols) = (frame.height / patch, frame.width / patch);
    let count = (patch * patch) as f32;
    let mut data = Vec::with_capacity(4 * rows * cols);
    for index in 0..rows * cols {
        let (top, left) = (index / cols * patch, index % cols * patch);
        let mut sum = [0.0f32; 3];
        for y in top..top + patch {
            let row = &frame.rgb[3 * (y * frame.width + left)..][..3 * patch];
            for pixel in row.as_chunks::<3>().0 {
                sum.iter_mut().zip(pixel).for_each(|(sum, level)| *sum += f32::from(*level) / 255.0);
            }
        }
        data.extend(sum.map(|sum| sum / count - 0.5));
        data.push(LEVEL);
    }
    PatchFeatures { rows, cols, dim: 4, data }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pixels_and_colours_are_those_of_the_patch() {
        // Two patches of 2 by 2: red and dark, then grey.
        let mut rgb = Vec::new();
        for _ in 0..2 {
            rgb.extend([255, 0, 0, 0, 0, 0, 128, 128, 128, 128, 128, 128]);
        }
        let frame = Picture::of_rgb(4, 2, rgb);
        let own = colours(&frame, 2);
        assert_eq!((own.rows, own.cols, own.dim), (1, 2, 4));
        assert_eq!(own.patch(0).unwrap(), [0.0, -0.5, -0.5, LEVEL]);
        assert!(own.patch(1).unwrap()[..3].iter().all(|c| c.abs() < 0.01));
        let raw = pixels(&frame, 2);
        assert_eq!((raw.dim, raw.data.len()), (12, 24));
        assert_eq!(raw.patch(0).unwrap()[0], (1.0 - MEAN[0]) / STD[0]);
        assert_eq!(raw.patch(0).unwrap()[6], (1.0 - MEAN[0]) / STD[0], "the second row of the first patch");
        assert_eq!(raw.patch(1).unwrap()[1], (128.0 / 255.0 - MEAN[1]) / STD[1]);
    }
}

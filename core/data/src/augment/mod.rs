//! Multi-crop augmentation on the CPU: random views of a picture, equal to what torchvision computes on PIL images.
//!
//! Every operation rounds to 8 bits where PIL does, so that a chain of them stays equal too. Random
//! decisions ([`ViewPlan::draw`]) are apart from pixels ([`ViewCutter::cut`]), so that a GPU can carry out the
//! same plans ([`device_crops`]).

mod blur;
mod color;
mod device;
mod hue;
mod passes;
mod plan;
mod planes;
mod reference;
mod resize;
mod wide;

pub use blur::gaussian_blur;
pub use color::{brightness, contrast, flip_horizontal, grayscale, saturation, solarize};
pub use device::{DeviceCrops, device_crops};
pub use hue::hue;
pub use plan::{ColourAdjustment, ViewCutter, ViewKind, ViewPlan};
pub use reference::{apply_named, check_oracle};
pub use resize::{CropBox, eval_view, resize_to, resized_crop};

use super::Picture;

/// Mean of red, green and blue over ImageNet, of values in 0..1.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of red, green and blue over ImageNet, of values in 0..1.
pub const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// How often each kind of crop is blurred.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlurProbability {
    /// The first global crop.
    pub global1: f64,
    /// The second global crop.
    pub global2: f64,
    /// Every local crop.
    pub local: f64,
}

impl BlurProbability {
    /// What the official code does and the released models were trained with: its wrapper passes the
    /// probability of *not* blurring to a function that takes the probability of blurring.
    pub const OFFICIAL: Self = Self { global1: 0.0, global2: 0.9, local: 0.5 };
    /// What the official code says, and the papers describe.
    pub const INTENDED: Self = Self { global1: 1.0, global2: 0.1, local: 0.5 };
    /// Never.
    pub const NONE: Self = Self { global1: 0.0, global2: 0.0, local: 0.0 };
}

/// How the crops of a picture are drawn. The default is DINOv2's recipe for patches of 14.
#[derive(Clone, Debug, PartialEq)]
pub struct CropRecipe {
    /// Side of the two global crops, in pixels.
    pub global_size: usize,
    /// Area of a global crop as a share of the picture, from and to.
    pub global_scale: (f64, f64),
    /// Side of the local crops, in pixels.
    pub local_size: usize,
    /// Area of a local crop as a share of the picture, from and to.
    pub local_scale: (f64, f64),
    /// Local crops per picture.
    pub locals: usize,
    /// Width over height of a crop before it is resized to a square, from and to; drawn log-uniformly.
    pub aspect: (f64, f64),
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// Probability of colour jitter.
    pub jitter: f64,
    /// Brightness factors are drawn from 1 − this to 1 + this.
    pub brightness: f64,
    /// Contrast factors are drawn from 1 − this to 1 + this.
    pub contrast: f64,
    /// Saturation factors are drawn from 1 − this to 1 + this.
    pub saturation: f64,
    /// Hue shifts are drawn from − this to this, in turns of the colour circle.
    pub hue: f64,
    /// Probability of losing all colour.
    pub grayscale: f64,
    /// Probabilities of Gaussian blur.
    pub blur: BlurProbability,
    /// Standard deviation of the blur in pixels of the crop, from and to.
    pub blur_sigma: (f64, f64),
    /// Probability that the second global crop is solarized.
    pub solarize: f64,
    /// Whether a picture gets the same crops every time.
    pub fixed: bool,
    /// The global crops once more, for a Gram teacher.
    pub gram: Option<GramCropRecipe>,
}

/// How a Gram teacher gets to see the global crops: the same part of the picture, in more pixels (Siméoni et al. 2025, section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GramCropRecipe {
    /// Side of the crops, in pixels.
    pub size: usize,
    /// Whether colours and sharpness are those of the student's crop; else only place and mirroring are.
    pub distorted: bool,
    /// The first iteration that they are made for.
    pub from: u64,
}

impl Default for CropRecipe {
    fn default() -> Self {
        Self {
            global_size: 224,
            global_scale: (0.32, 1.0),
            local_size: 98,
            local_scale: (0.05, 0.32),
            locals: 8,
            aspect: (3.0 / 4.0, 4.0 / 3.0),
            flip: 0.5,
            jitter: 0.8,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.2,
            hue: 0.1,
            grayscale: 0.2,
            blur: BlurProbability::OFFICIAL,
            blur_sigma: (0.1, 2.0),
            solarize: 0.2,
            fixed: false,
            gram: None,
        }
    }
}

/// A picture as the model takes it: `[3, height, width]`, less [`MEAN`], over [`STD`].
pub fn normalize(picture: &Picture) -> Vec<f32> {
    let pixels = picture.width * picture.height;
    let mut out = vec![0.0; picture.rgb.len()];
    for ((channel, table), plane) in
        planes::NORMALIZED.iter().enumerate().zip(out.chunks_exact_mut(pixels.max(1)))
    {
        for (value, rgb) in plane.iter_mut().zip(picture.rgb.as_chunks::<3>().0) {
            *value = table[usize::from(rgb[channel])];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalized_planes_hold_one_channel_each() {
        let picture = Picture { width: 2, height: 1, rgb: vec![0, 255, 128, 51, 102, 204] };
        let planes = normalize(&picture);
        let expected = |value: u8, c: usize| (f32::from(value) / 255.0 - MEAN[c]) / STD[c];
        let want = [(0, 0), (51, 0), (255, 1), (102, 1), (128, 2), (204, 2)].map(|(v, c)| expected(v, c));
        assert_eq!(planes, want);
    }
}

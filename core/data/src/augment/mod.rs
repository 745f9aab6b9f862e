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
use super::channels::ChannelStatistics;
pub use super::channels::{MEAN, STD};

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
    /// How pictures are normalised, and how many channels they have.
    pub pixels: ChannelStatistics,
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
            pixels: ChannelStatistics::image_net(),
        }
    }
}

/// A picture as a model of colours takes it: `[3, height, width]`, less [`MEAN`], over [`STD`].
pub fn normalize(picture: &Picture) -> Vec<f32> {
    ChannelStatistics::image_net().normalize(picture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dinoscope_base::rng::stream;

    #[test]
    fn normalized_planes_hold_one_channel_each() {
        let picture = Picture::of_rgb(2, 1, vec![0, 255, 128, 51, 102, 204]);
        let planes = normalize(&picture);
        let expected = |value: u8, c: usize| (f32::from(value) / 255.0 - MEAN[c]) / STD[c];
        let want = [(0, 0), (51, 0), (255, 1), (102, 1), (128, 2), (204, 2)].map(|(v, c)| expected(v, c));
        assert_eq!(planes, want);
    }

    #[test]
    fn every_channel_is_cut_as_a_picture_of_its_own() {
        let (width, height, size) = (37, 29, 16);
        let planes: Vec<Vec<u8>> =
            (0..5).map(|c| (0..width * height).map(|i| ((i * (c + 3)) % 251) as u8).collect()).collect();
        let all: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
        let picture = Picture::of_planes(width, height, &all);
        let pixels = ChannelStatistics {
            mean: (0..5).map(|c| 0.1 * c as f32).collect(),
            deviation: (1..6).map(|c| 0.1 * c as f32).collect(),
        };
        for i in 0..40 {
            let mut rng = stream(3, "test", i, 0);
            let plan = ViewPlan::draw(&mut rng, ViewKind::Global2, width, height, &CropRecipe::default());
            let mut found = vec![0.0; 5 * size * size];
            ViewCutter::of(&pixels).cut(&plan, &picture, size, &mut found);
            for (c, plane) in all.iter().enumerate() {
                let alone =
                    ChannelStatistics { mean: vec![pixels.mean[c]], deviation: vec![pixels.deviation[c]] };
                let mut wanted = vec![0.0; size * size];
                let grey = Picture::of_planes(width, height, &[plane]);
                ViewCutter::of(&alone).cut(&plan, &grey, size, &mut wanted);
                assert_eq!(found[c * size * size..][..size * size], wanted, "channel {c} of plan {i}");
            }
            assert_eq!(plan.apply(&picture, size).channels, 5);
        }
    }

    #[test]
    fn colours_keep_to_themselves_where_channels_are_none() {
        let planes = [[200; 16], [100; 16], [50; 16], [10; 16]];
        let four = Picture::of_planes(4, 4, &planes.each_ref().map(|plane| &plane[..]));
        let jitter = [
            ColourAdjustment::Hue(0.3),
            ColourAdjustment::Saturation(0.0),
            ColourAdjustment::Contrast(0.0),
            ColourAdjustment::Brightness(0.5),
        ];
        let crop = CropBox { left: 0, top: 0, width: 4, height: 4 };
        let plan = ViewPlan {
            crop,
            flip: false,
            jitter: Some(jitter),
            grayscale: true,
            blur: None,
            solarize: false,
        };
        let seen = plan.apply(&four, 4);
        let values: Vec<u8> = (0..4).filter_map(|c| seen.channel(c).next()).collect();
        assert_eq!(values, [100, 50, 25, 5], "each about its own mean, and then half as bright");
        // Of colours the same plan leaves one grey.
        let colours = plan.apply(&Picture::of_rgb(4, 4, [200, 100, 50].repeat(16)), 4);
        assert!(colours.rgb.iter().all(|value| *value == colours.rgb[0]));
    }
}

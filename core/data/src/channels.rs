//! Pictures and models of any number of channels: how they are normalised, and what fits what.
//!
//! A grey camera has one channel, a picture with opacity four, satellites and microscopes have as many as they have filters.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::{MAX_CHANNELS, Picture, RGB};

/// Mean of red, green and blue over ImageNet, of values in 0..1.
pub const MEAN: [f32; RGB] = [0.485, 0.456, 0.406];
/// Standard deviation of red, green and blue over ImageNet, of values in 0..1.
pub const STD: [f32; RGB] = [0.229, 0.224, 0.225];

/// What each byte of each channel is once normalised.
pub(crate) type ByteTables = Arc<[[f32; 256]]>;

/// Mean and standard deviation of every channel, of values in 0..1: what pictures are normalised by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelStatistics {
    /// `[channels]`
    pub mean: Vec<f32>,
    /// `[channels]`, above 0
    pub deviation: Vec<f32>,
}

impl ChannelStatistics {
    /// Those of red, green and blue over ImageNet.
    pub fn image_net() -> Self {
        Self { mean: MEAN.to_vec(), deviation: STD.to_vec() }
    }

    /// What is taken where nobody says: ImageNet's for three channels; else 0.5 and 0.5, as timm and Hugging Face do.
    pub fn usual(channels: usize) -> Self {
        match channels {
            RGB => Self::image_net(),
            _ => Self { mean: vec![0.5; channels], deviation: vec![0.5; channels] },
        }
    }

    /// How many channels they are of.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// Whether pictures can be normalised by them: as many means as deviations, at most [`MAX_CHANNELS`], finite, deviations
    /// above 0.
    pub fn is_sound(&self) -> bool {
        (1..=MAX_CHANNELS).contains(&self.channels())
            && self.deviation.len() == self.channels()
            && self.mean.iter().all(|mean| mean.is_finite())
            && self.deviation.iter().all(|deviation| deviation.is_finite() && *deviation > 0.0)
    }

    /// What each byte is, per channel, once normalised.
    pub(crate) fn tables(&self) -> ByteTables {
        static IMAGE_NET: LazyLock<ByteTables> = LazyLock::new(|| tables(&ChannelStatistics::image_net()));
        if *self == Self::image_net() { IMAGE_NET.clone() } else { tables(self) }
    }

    /// A picture as a model takes it: `[channels, height, width]`, less the mean, over the deviation. Where it has other
    /// channels, they are made of those that it has ([`fitted`]); what can't be made is at its mean, 0.
    pub fn normalize(&self, picture: &Picture) -> Vec<f32> {
        let (pixels, tables) = (picture.width * picture.height, self.tables());
        let fitted = fitted(picture, self.channels());
        let picture = fitted.as_deref().unwrap_or(picture);
        let mut out = vec![0.0; self.channels() * pixels];
        let planes = out.chunks_exact_mut(pixels.max(1)).zip(tables.iter()).take(picture.channels);
        for (channel, (plane, table)) in planes.enumerate() {
            let layer = picture.layers().nth(channel / RGB).unwrap_or_default();
            for (value, bytes) in plane.iter_mut().zip(layer.as_chunks::<RGB>().0) {
                *value = table[usize::from(bytes[channel % RGB])];
            }
        }
        out
    }
}

fn tables(statistics: &ChannelStatistics) -> ByteTables {
    let of = |(mean, deviation): (&f32, &f32)| {
        std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / deviation)
    };
    statistics.mean.iter().zip(&statistics.deviation).map(of).collect()
}

/// Whether pictures of colours can be made into so many channels: grey, colours, colours with an opacity ([`fitted`]).
pub fn takes_colours(channels: usize) -> bool {
    matches!(channels, 1 | RGB | 4)
}

/// A picture as one of so many channels, where that can be: grey as colours, colours as grey (ITU-R 601 luma), either with
/// an opacity of 255 behind it. Other channels can't be made up: `None`.
pub fn fitted(picture: &Picture, channels: usize) -> Option<Cow<'_, Picture>> {
    let plane = |channel| picture.channel(channel).collect::<Vec<u8>>();
    let of = |planes: &[Vec<u8>]| Picture::of_planes(picture.width, picture.height, planes);
    let opaque = || vec![255; picture.width * picture.height];
    let made = match (picture.channels, channels) {
        (have, wanted) if have == wanted => return Some(Cow::Borrowed(picture)),
        (RGB, 1) => {
            of(&[picture.rgb.as_chunks::<RGB>().0.iter().map(|[r, g, b]| luma(*r, *g, *b)).collect()])
        }
        (1, RGB) => Picture::of_rgb(picture.width, picture.height, picture.rgb.clone()),
        (1, 2) => of(&[plane(0), opaque()]),
        (1 | RGB, 4) => of(&[plane(0), plane(1), plane(2), opaque()]),
        _ => return None,
    };
    Some(Cow::Owned(made))
}

/// PIL's fixed-point ITU-R 601 luma.
#[inline(always)]
pub(crate) fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

/// Why a picture does not fit a model, with the way out.
pub fn misfit(have: usize, wanted: usize) -> String {
    let channels =
        |count: usize| if count == 1 { "one channel".to_owned() } else { format!("{count} channels") };
    format!(
        "it has {} where {} are asked for: bring pictures of {} (a TIFF of several bands or pages, or an .npy file of \
         [height, width, channels]), or a model of {}",
        channels(have),
        channels(wanted),
        channels(wanted),
        channels(have)
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn models_that_take_colours_are_those_that_a_picture_of_colours_fits() {
        let picture = Picture::of_rgb(2, 1, vec![9, 8, 7, 6, 5, 4]);
        for channels in 1..=64 {
            assert_eq!(takes_colours(channels), fitted(&picture, channels).is_some(), "{channels}");
        }
    }

    #[test]
    fn grey_colours_and_opacity_become_each_other() {
        let colours = Picture::of_rgb(1, 1, vec![10, 200, 30]);
        let grey = fitted(&colours, 1).unwrap().into_owned();
        assert_eq!((grey.channels, &grey.rgb[..]), (1, &[124; 3][..]));
        assert_eq!(fitted(&grey, 3).unwrap().into_owned(), Picture::of_rgb(1, 1, vec![124; 3]));
        let seen = fitted(&colours, 4).unwrap().into_owned();
        assert_eq!((0..4).flat_map(|c| seen.channel(c)).collect::<Vec<_>>(), [10, 200, 30, 255]);
        assert_eq!(fitted(&grey, 2).unwrap().rgb, [124, 255, 0]);
        assert!(fitted(&colours, 5).is_none() && fitted(&colours, 2).is_none() && fitted(&seen, 3).is_none());
        assert!(misfit(3, 5).contains("5 channels") && misfit(4, 1).contains("one channel"));
    }

    #[test]
    fn each_channel_is_normalised_by_its_own() {
        let picture = Picture::of_planes(2, 1, &[&[0, 255], &[51, 102], &[255, 0], &[0, 51]]);
        let pixels =
            ChannelStatistics { mean: vec![0.0, 0.2, 1.0, 0.1], deviation: vec![1.0, 0.2, 0.5, 0.1] };
        let found = pixels.normalize(&picture);
        let wanted = [0.0, 1.0, 0.0, 1.0, 0.0, -2.0, -1.0, 1.0];
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?}");
        // A picture that can't be brought to five channels: what is missing is at its mean.
        let five = ChannelStatistics::usual(5).normalize(&picture);
        assert_eq!((five.len(), &five[8..]), (10, &[0.0, 0.0][..]));
    }

    #[test]
    fn statistics_that_make_no_sense_are_known() {
        let of = |mean: &[f32], deviation: &[f32]| {
            ChannelStatistics { mean: mean.to_vec(), deviation: deviation.to_vec() }.is_sound()
        };
        assert!(of(&[0.5], &[0.1]) && of(&[0.0; 64], &[1.0; 64]));
        assert!(!of(&[], &[]) && !of(&[0.5], &[0.0]) && !of(&[f32::NAN], &[1.0]));
        assert!(!of(&[0.5, 0.5], &[1.0]) && !of(&[0.0; 65], &[1.0; 65]));
    }
}

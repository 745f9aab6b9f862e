//! Masks of what a backbone takes for the object of a picture.

use burn::tensor::Device;

use crate::run::EvaluationError;
use dinoscope_analysis::attention_map::AttentionMaps;
use dinoscope_analysis::image_out::{UpsampleFilter, upsample_values};
use dinoscope_analysis::pca::{ForegroundResult, Pca, PcaOptions};
use dinoscope_data::Picture;
use dinoscope_model::Vit;
use dinoscope_model::features::{ViewFeatures, view_features_and_attention, whole_view};

/// How masks are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MaskMethod {
    /// The foreground side of the first principal component.
    Component,
    /// Where the CLS token looks.
    Attention,
}

impl MaskMethod {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::Component, Self::Attention];

    /// In tables and names of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Attention => "attention",
        }
    }

    /// In a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Component => "the first principal component of their patches",
            Self::Attention => "the attention of the CLS token",
        }
    }
}

/// A backbone that looks for objects.
pub(super) struct MaskFinder<'a> {
    pub backbone: &'a Vit,
    /// Shorter side of pictures as it sees them, in pixels.
    pub window: usize,
    /// Share of the attention that is kept.
    pub mass: f64,
    pub device: &'a Device,
}

impl MaskFinder<'_> {
    /// Masks of a picture by [`MaskMethod::ALL`], each `[height * width]`.
    pub async fn find(&self, picture: &Picture) -> Result<[Vec<bool>; 2], EvaluationError> {
        let config = &self.backbone.config;
        let view = whole_view(picture, self.window, config.patch);
        let last = config.depth.saturating_sub(1);
        let seen = view_features_and_attention(self.backbone, &view, last, 0, self.device).await?;
        let (ViewFeatures { patches, .. }, attention) = seen;
        let (rows, cols) = (patches.rows, patches.cols);
        let maps = AttentionMaps::new(&attention, config.heads, 1 + config.registers, rows, cols)?;
        let options = PcaOptions::default();
        let pca = Pca::fit_seen(&[&patches], Some(&[&maps.mean]), None, &options)?;
        let pixels = |values: &[f32]| {
            upsample_values(values, rows, cols, picture.width, picture.height, UpsampleFilter::Bilinear)
        };
        let component = match pca.foreground {
            ForegroundResult::Split(_) => {
                let scores: Vec<f32> = pca.first_scores().iter().map(|score| *score as f32).collect();
                pixels(&scores)?.iter().map(|score| *score > 0.0).collect()
            }
            // Where nothing can be split off, everything counts as foreground.
            ForegroundResult::Fallback(_) | ForegroundResult::Off => {
                vec![true; picture.width * picture.height]
            }
        };
        Ok([component, heaviest(&pixels(&maps.mean)?, self.mass)])
    }
}

/// The pixels with the largest values that hold `mass` of the sum, and all that are equal to the smallest of them.
pub(super) fn heaviest(values: &[f32], mass: f64) -> Vec<bool> {
    let mut order: Vec<f32> = values.to_vec();
    order.sort_unstable_by(|a, b| b.total_cmp(a));
    let total: f64 = order.iter().map(|v| f64::from(*v)).sum();
    let mut sum = 0.0;
    let mut least = f32::INFINITY;
    for value in order {
        if sum >= mass * total {
            break;
        }
        sum += f64::from(value);
        least = value;
    }
    values.iter().map(|value| *value >= least).collect()
}

/// A box in the middle of a picture with its proportions and `share` of its pixels, `[height * width]`.
pub(super) fn middle(width: usize, height: usize, share: f64) -> Vec<bool> {
    let inside = |at: usize, length: usize| {
        let from_middle = (2.0 * at as f64 + 1.0 - length as f64).abs();
        from_middle <= share.sqrt() * length as f64
    };
    (0..width * height).map(|i| inside(i % width, width) && inside(i / width, height)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_pixels_hold_the_mass() {
        let of = |values: &[f32], mass| heaviest(values, mass);
        let values = [0.1, 0.4, 0.2, 0.3];
        assert_eq!(of(&values, 0.6), [false, true, false, true], "0.4 alone is too little");
        assert_eq!(of(&values, 0.39), [false, true, false, false]);
        assert_eq!(of(&values, 1.0), [true; 4]);
        assert_eq!(of(&[0.25; 4], 0.6), [true; 4], "equal ones go together");
    }

    #[test]
    fn the_box_in_the_middle_has_its_share() {
        let mask = middle(8, 4, 0.25);
        let row = [false, false, true, true, true, true, false, false];
        let none = [false; 8];
        assert_eq!(mask, [none, row, row, none].concat());
        assert!(middle(5, 3, 1.0).iter().all(|inside| *inside));
        let share = middle(96, 64, 0.3).iter().filter(|inside| **inside).count() as f64 / (96.0 * 64.0);
        assert!((share - 0.3).abs() < 0.02, "{share}");
    }
}

//! Patch features of several pictures in the colours of one basis.

use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::analysis::agreement::{PatchAgreement, agreement};
use dinoscope_core::analysis::image_out::{UpsampleFilter, upsample};
use dinoscope_core::analysis::pca::{BackgroundMode, Pca, PcaOptions};

use crate::failure::JsApiError;
use crate::pixels;

/// Most pixels of a picture that is painted: while colours are spread over it, each takes 12 bytes.
const MAX_PIXELS: usize = 1 << 26;

/// Three principal components of the patches of all pictures together.
#[derive(Clone, Debug)]
pub struct PcaPalette {
    pictures: Vec<PatchFeatures>,
    pca: Pca,
}

impl PcaPalette {
    /// Fits colours. With `foreground` a first component splits objects from what is behind them, which becomes black.
    ///
    /// # Errors
    /// Without pictures, with features of different models, or with wrong lengths.
    pub fn fit(pictures: Vec<PatchFeatures>, foreground: bool) -> Result<Self, JsApiError> {
        let all: Vec<&PatchFeatures> = pictures.iter().collect();
        let options = PcaOptions { foreground, background: BackgroundMode::Black, ..PcaOptions::default() };
        let pca = Pca::fit(&all, None, &options)?;
        Ok(Self { pictures, pca })
    }

    /// Red, green, blue and full opacity of a picture of `width` × `height`, `[height, width, 4]`. Where it is not
    /// `smooth`, each patch is a block of one colour. Nothing behind the last picture.
    ///
    /// # Errors
    /// When the size makes no sense.
    pub fn paint(
        &self,
        index: usize,
        (width, height): (usize, usize),
        smooth: bool,
    ) -> Result<Vec<u8>, JsApiError> {
        if !(1..=MAX_PIXELS).contains(&width.saturating_mul(height)) {
            let expected = format!("1 pixel to {} megapixels", MAX_PIXELS / 1_000_000);
            return Err(JsApiError::argument("size", format!("{width} × {height}"), expected));
        }
        let Some(features) = self.pictures.get(index) else { return Ok(Vec::new()) };
        let coloured = self.pca.colour(features)?;
        let filter = if smooth { UpsampleFilter::Bicubic } else { UpsampleFilter::Nearest };
        let picture = upsample(&coloured.rgb, coloured.rows, coloured.cols, width, height, filter)?;
        Ok(pixels::to_rgba(&picture))
    }
}

/// Two models' features of the same pictures: in colours that mean the same, and how far they agree.
#[derive(Clone, Debug)]
pub struct ModelComparison {
    /// The first model's, which the other's colours are turned onto.
    pub own: PcaPalette,
    /// The other model's.
    pub theirs: PcaPalette,
    /// Over all pictures.
    pub agreement: PatchAgreement,
}

impl ModelComparison {
    /// Fits both; `foreground` as in [`PcaPalette::fit`].
    ///
    /// # Errors
    /// As [`PcaPalette::fit`]; also where there are not as many pictures of both.
    pub fn fit(
        own: Vec<PatchFeatures>,
        theirs: Vec<PatchFeatures>,
        foreground: bool,
    ) -> Result<Self, JsApiError> {
        let own = PcaPalette::fit(own, foreground)?;
        let options = PcaOptions { foreground, background: BackgroundMode::Black, ..PcaOptions::default() };
        let (a, b): (Vec<_>, Vec<_>) = (own.pictures.iter().collect(), theirs.iter().collect());
        let pca = Pca::fit_beside(&b, &own.pca, &a, &options)?;
        let agreed = a.iter().zip(&b).map(|(a, b)| agreement(a, b)).sum::<Result<PatchAgreement, _>>()?;
        Ok(Self { own, theirs: PcaPalette { pictures: theirs, pca }, agreement: agreed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_sees_the_same_has_the_same_colours() {
        let seen = vec![features(4, 6, 0.0), features(3, 3, 1.0)];
        // Its numbers in another order, and twice as large.
        let turned = |features: &PatchFeatures| {
            let data = features
                .data
                .as_chunks::<4>()
                .0
                .iter()
                .flat_map(|[a, b, c, d]| [2.0 * d, 2.0 * a, -2.0 * c, 2.0 * b]);
            PatchFeatures { data: data.collect(), ..features.clone() }
        };
        let other: Vec<_> = seen.iter().map(turned).collect();
        let both = ModelComparison::fit(seen.clone(), other, false).unwrap();
        assert!((both.agreement.cka().unwrap() - 1.0).abs() < 1e-4, "{:?}", both.agreement.cka());
        assert_eq!(both.agreement.neighbours(), Some(1.0));
        let [a, b] = [&both.own, &both.theirs].map(|palette| palette.paint(0, (6, 4), false).unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| a.abs_diff(*b) < 3), "{a:?} {b:?}");
        let error = ModelComparison::fit(seen.clone(), seen[..1].to_vec(), false).unwrap_err();
        assert_eq!(error.code(), "features");
    }

    fn features(rows: usize, cols: usize, shift: f32) -> PatchFeatures {
        let data = (0..rows * cols * 4).map(|i| (i as f32 * 0.37 + shift).sin()).collect();
        PatchFeatures { rows, cols, dim: 4, data }
    }

    #[test]
    fn pictures_of_any_size_share_a_basis() {
        let both = PcaPalette::fit(vec![features(4, 6, 0.0), features(3, 3, 1.0)], false).unwrap();
        let alone = PcaPalette::fit(vec![features(3, 3, 1.0)], false).unwrap();
        let painted = both.paint(1, (3, 3), false).unwrap();
        assert_eq!(painted.len(), 3 * 3 * 4);
        assert!(painted.chunks_exact(4).all(|pixel| pixel[3] == 255));
        assert_ne!(painted, alone.paint(0, (3, 3), false).unwrap());
        assert_eq!(both.paint(0, (60, 40), true).unwrap().len(), 60 * 40 * 4);
        // Blocks: the four pixels of a patch are one colour.
        let blocks = both.paint(1, (6, 6), false).unwrap();
        assert_eq!(blocks[..4], blocks[4..8]);
        assert_eq!(blocks[..4], painted[..4]);
    }

    #[test]
    fn what_can_not_be_painted_is_said() {
        assert_eq!(PcaPalette::fit(Vec::new(), false).unwrap_err().code(), "features");
        let palette = PcaPalette::fit(vec![features(2, 2, 0.0)], true).unwrap();
        let failure = palette.paint(0, (0, 5), true).unwrap_err();
        assert_eq!(failure.to_string(), "size is 0 × 5, expected 1 pixel to 67 megapixels");
        assert!(palette.paint(0, (usize::MAX, 2), true).is_err());
        assert!(palette.paint(1, (2, 2), true).unwrap().is_empty());
    }
}

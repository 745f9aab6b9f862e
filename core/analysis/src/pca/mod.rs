//! Principal components of patch features as colours, steady from one training step to the next.
//!
//! Source: DINOv2, figures 1 and 9. A first component over the patches of all pictures splits
//! foreground from background, three components over the foreground become red, green and blue.

pub(crate) mod foreground_side;
pub(crate) mod pca_align;
pub mod pca_sample;
pub(crate) mod pca_state;
mod pca_turn;

pub use dinoscope_shaders::BackgroundMode;
use dinoscope_shaders::{ColourRange, pca_colour_cpu};
use serde::{Deserialize, Serialize};

use super::{AnalysisError, PatchFeatures, check_len, eigen, linalg};
pub use foreground_side::ForegroundCue;

/// How colours are made.
#[derive(Clone, Debug, PartialEq)]
pub struct PcaOptions {
    /// Split foreground from background with a first component; otherwise every patch counts.
    pub foreground: bool,
    /// Take the other side of the split for foreground than the one that was found.
    pub invert: bool,
    /// What becomes of background patches.
    pub background: BackgroundMode,
    /// The percentiles of the foreground scores that become 0 and 255 in each channel.
    pub percentiles: (f32, f32),
    /// Weight of the previous range of colours when there is one, 0 (follow at once) to below 1.
    pub smoothing: f32,
}

impl Default for PcaOptions {
    fn default() -> Self {
        Self {
            foreground: true,
            invert: false,
            background: BackgroundMode::Black,
            percentiles: (1.0, 99.0),
            smoothing: 0.7,
        }
    }
}

/// What the first component made of the patches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ForegroundResult {
    /// No split was asked for; every patch counts as foreground.
    Off,
    /// This share of the fitted patches is foreground.
    Split(f32),
    /// The split would have left this share, below 2 % or above 98 %, so every patch counts as foreground.
    Fallback(f32),
}

/// How colours follow those of the previous fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PcaAlignment {
    /// There was no previous fit, or nothing to compare with.
    None,
    /// The same patches were fitted before: their scores were turned onto the previous scores.
    Scores,
    /// Other patches in the same feature space: signs and order of the components follow the previous ones.
    Components,
}

/// [`ColourRange`] for the wire.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ColourRange")]
struct ColourRangeDef {
    lo: [f32; 3],
    hi: [f32; 3],
}

/// [`BackgroundMode`] for the wire.
#[derive(Serialize, Deserialize)]
#[serde(remote = "BackgroundMode")]
enum BackgroundModeDef {
    Black,
    Dim,
    Keep,
}

/// Shares of foreground outside these are taken for a failed split.
const PLAUSIBLE: std::ops::RangeInclusive<f32> = 0.02..=0.98;

/// A fitted map from features to colours. Keep it, and hand it to the next fit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pca {
    /// What the first component made of the patches.
    pub foreground: ForegroundResult,
    /// How this fit follows the previous one.
    pub alignment: PcaAlignment,
    /// The share of the foreground's variance that each channel shows.
    pub explained: [f32; 3],
    /// The scores that become 0 and 255 in each channel.
    #[serde(with = "ColourRangeDef")]
    pub range: ColourRange,
    #[serde(with = "BackgroundModeDef")]
    pub(super) background: BackgroundMode,
    pub(super) dim: usize,
    /// Of the first component: `score > 0` is foreground. `None` where every patch counts.
    pub(super) split: Option<PcaAxis>,
    pub(super) mean: Vec<f32>,
    /// Three directions of `dim`, after alignment; zero where the features vary in fewer.
    pub(super) directions: [Vec<f64>; 3],
    /// Root of the mean squared length of the foreground scores.
    pub(super) spread: f64,
    /// `(rows, cols)` of the fitted pictures: the fit set is the same when these agree.
    pub(super) shapes: Vec<(usize, usize)>,
    /// Of the fitted patches, `[n, 3]`.
    pub(super) scores: Vec<[f64; 3]>,
    /// Of the fitted patches, along the first component.
    pub(super) first: Vec<f64>,
    /// Of the fitted patches.
    pub(super) mask: Vec<bool>,
}

/// A direction through a mean.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PcaAxis {
    mean: Vec<f32>,
    direction: Vec<f64>,
    side: ForegroundCue,
}

/// One picture in colours.
#[derive(Clone, Debug, PartialEq)]
pub struct PcaColours {
    /// Patches from top to bottom.
    pub rows: usize,
    /// Patches from left to right.
    pub cols: usize,
    /// `[rows * cols]`, red, green, blue.
    pub rgb: Vec<[u8; 3]>,
    /// `[rows * cols]`; all true where no split was made.
    pub foreground: Vec<bool>,
}

/// Features of one picture on the three axes of colour, before they are stretched: the input of the GPU program.
#[derive(Clone, Debug, PartialEq)]
pub struct PcaScores {
    /// `[rows * cols, 3]`.
    pub scores: Vec<f32>,
    /// `[rows * cols]`, 1 for foreground and 0 for background.
    pub foreground: Vec<f32>,
}

impl Pca {
    /// Fits colours to the patches of all `pictures` together.
    ///
    /// **Which side is foreground.** The sign of a component is arbitrary. What lies far from the middle
    /// of a picture is mostly background, so the sign is taken that makes scores fall with the squared
    /// distance from the middle. Where it is known where the model looks ([`Pca::fit_seen`]), that is a second hint:
    /// scores should rise with attention, and of both correlations the sum counts. Where it says neither (below 0.002),
    /// the previous fit decides, else the smaller side is foreground. Against the previous fit the hints win only when
    /// they are clear (0.25), so that pictures do not flicker.
    ///
    /// **Following the previous fit.** Between training steps features turn, components swap places
    /// and change sign. When the same pictures were fitted before, the new scores are turned by the
    /// orthogonal 3 × 3 matrix that brings them closest to the previous scores of the same patches
    /// (Procrustes); this undoes every rotation and leaves real change visible. With other pictures
    /// but the same `dim`, components are matched to the previous ones with their signs. The range of
    /// colours is relative to the overall size of the scores, which may grow at once, and in this
    /// measure moves by `1 - smoothing` of the way.
    ///
    /// Fails on no pictures, on different `dim`s, on wrong lengths and on numbers that are not finite.
    pub fn fit(
        pictures: &[&PatchFeatures],
        previous: Option<&Pca>,
        options: &PcaOptions,
    ) -> Result<Pca, AnalysisError> {
        Self::fit_seen(pictures, None, previous, options)
    }

    /// [`Pca::fit`] with where the model looks: for each picture `[rows * cols]` attention of the class token, for instance
    /// [`AttentionMaps::mean`](super::attention_map::AttentionMaps::mean).
    ///
    /// # Errors
    /// As [`Pca::fit`]; also for attention that is not as long as the patches.
    pub fn fit_seen(
        pictures: &[&PatchFeatures],
        attention: Option<&[&[f32]]>,
        previous: Option<&Pca>,
        options: &PcaOptions,
    ) -> Result<Pca, AnalysisError> {
        let (low, high) = options.percentiles;
        check_option(
            "lower percentile",
            low,
            (0.0..high).contains(&low),
            "0 or more and below the upper one",
        )?;
        check_option("upper percentile", high, high <= 100.0, "at most 100")?;
        check_option(
            "smoothing",
            options.smoothing,
            (0.0..1.0).contains(&options.smoothing),
            "0 or more and below 1",
        )?;
        let dim = pictures.first().ok_or(AnalysisError::Empty("pictures"))?.dim;
        for picture in pictures {
            check_len("numbers per patch", picture.dim, dim)?;
            picture.check()?;
        }
        let shapes: Vec<(usize, usize)> = pictures.iter().map(|p| (p.rows, p.cols)).collect();
        let data: Vec<f32> = pictures.iter().flat_map(|p| p.data.iter().copied()).collect();
        let n: usize = pictures.iter().map(|p| p.len()).sum();
        if n == 0 || dim == 0 {
            return Err(AnalysisError::Empty("patches"));
        }
        let mut pca = Pca {
            foreground: ForegroundResult::Off,
            alignment: PcaAlignment::None,
            explained: [0.0; 3],
            range: ColourRange::default(),
            background: options.background,
            dim,
            split: None,
            mean: Vec::new(),
            directions: Default::default(),
            spread: 0.0,
            shapes,
            scores: Vec::new(),
            first: Vec::new(),
            mask: vec![true; n],
        };
        if options.foreground {
            let attention = attention.map(|of| {
                of.iter()
                    .zip(pictures)
                    .try_for_each(|(seen, of)| check_len("attention", seen.len(), of.len()))?;
                check_len("pictures with attention", of.len(), pictures.len())?;
                Ok::<_, AnalysisError>(of.concat())
            });
            pca.split_foreground(&data, attention.transpose()?.as_deref(), previous, options.invert);
        }

        let kept: Vec<f32> = data
            .chunks_exact(dim)
            .zip(&pca.mask)
            .filter(|(_, keep)| **keep)
            .flat_map(|(patch, _)| patch.iter().copied())
            .collect();
        let principal = principal(&kept, dim, 3);
        pca.mean = principal.mean;
        pca.directions = std::array::from_fn(|c| principal.directions[c].clone());
        pca.scores = data.chunks_exact(dim).map(|patch| pca.score(patch)).collect();
        if let Some(previous) = previous {
            pca_align::follow(&mut pca, previous);
        }
        pca.measure(principal.total, previous, options);
        Ok(pca)
    }

    /// The first component, its sign, and the mask, with everything foreground where the split fails.
    fn split_foreground(
        &mut self,
        data: &[f32],
        attention: Option<&[f32]>,
        previous: Option<&Pca>,
        invert: bool,
    ) {
        let first = principal(data, self.dim, 1);
        let mut direction = first.directions[0].clone();
        let score = |direction: &[f64]| -> Vec<f64> {
            let axis = |patch: &[f32]| along(patch, &first.mean, direction);
            data.chunks_exact(self.dim).map(axis).collect()
        };
        let mut scores = score(&direction);
        let turn = |direction: &mut Vec<f64>, scores: &mut Vec<f64>| {
            direction.iter_mut().chain(scores).for_each(|v| *v = -*v);
        };
        // Of a fit that was turned round by hand too, the first component is kept as it was found.
        let before = previous.filter(|p| p.shapes == self.shapes).map(|p| p.found_first());
        let (flipped, mut side) = foreground_side::flip(&scores, &self.shapes, attention, before.as_deref());
        if flipped != invert {
            turn(&mut direction, &mut scores);
        }
        if invert {
            side = ForegroundCue::Hand;
        }
        let axis = PcaAxis { mean: first.mean, direction, side };
        let share = scores.iter().filter(|s| **s > 0.0).count() as f32 / scores.len() as f32;
        self.foreground = if PLAUSIBLE.contains(&share) {
            self.mask = scores.iter().map(|s| *s > 0.0).collect();
            self.split = Some(axis);
            ForegroundResult::Split(share)
        } else {
            ForegroundResult::Fallback(share)
        };
        self.first = scores;
    }

    /// Scores of the fitted patches along the first component, with the sign that was found for them.
    fn found_first(&self) -> Vec<f64> {
        let sign = if self.side() == Some(ForegroundCue::Hand) { -1.0 } else { 1.0 };
        self.first.iter().map(|v| sign * v).collect()
    }

    /// The fitted patches along the first component, `[n]` over all pictures, above 0 on the side of the foreground; empty
    /// where no split was asked for. With a failed split ([`ForegroundResult::Fallback`]) they say which side it was.
    pub fn first_scores(&self) -> &[f64] {
        &self.first
    }

    /// What decided which side is foreground; `None` where every patch counts.
    pub fn side(&self) -> Option<ForegroundCue> {
        self.split.as_ref().map(|axis| axis.side)
    }

    /// Explained variance and range of colours, from the aligned scores of the foreground.
    fn measure(&mut self, total: f64, previous: Option<&Pca>, options: &PcaOptions) {
        let kept: Vec<[f64; 3]> =
            self.scores.iter().zip(&self.mask).filter(|(_, keep)| **keep).map(|(s, _)| *s).collect();
        let n = kept.len() as f64;
        let variance: [f64; 3] = std::array::from_fn(|c| kept.iter().map(|s| s[c] * s[c]).sum::<f64>() / n);
        self.explained = variance.map(|v| if total > 0.0 { (v / total) as f32 } else { 0.0 });
        self.spread = variance.iter().sum::<f64>().sqrt();
        let (low, high) = options.percentiles;
        for c in 0..3 {
            let mut column: Vec<f64> = kept.iter().map(|s| s[c]).collect();
            column.sort_by(f64::total_cmp);
            self.range.lo[c] = percentile(&column, low) as f32;
            self.range.hi[c] = percentile(&column, high) as f32;
            if let Some(previous) = previous
                && self.alignment != PcaAlignment::None
                && previous.spread > 0.0
                && previous.range.hi[c] > previous.range.lo[c]
            {
                let growth = (self.spread / previous.spread) as f32;
                let blend = |new: f32, old: f32| new + options.smoothing * (old * growth - new);
                self.range.lo[c] = blend(self.range.lo[c], previous.range.lo[c]);
                self.range.hi[c] = blend(self.range.hi[c], previous.range.hi[c]);
            }
        }
    }

    /// Features on the axes of colour. The picture need not be one of those fitted; numbers that are
    /// not finite give scores that are not, which are coloured black.
    pub fn project(&self, picture: &PatchFeatures) -> Result<PcaScores, AnalysisError> {
        check_len("numbers per patch", picture.dim, self.dim)?;
        check_len("patch features", picture.data.len(), picture.len() * picture.dim)?;
        let patches = || picture.data.chunks_exact(self.dim);
        let foreground = match &self.split {
            Some(axis) => patches().map(|p| f32::from(u8::from(axis.score(p) > 0.0))).collect(),
            None => vec![1.0; picture.len()],
        };
        Ok(PcaScores {
            scores: patches().flat_map(|p| self.score(p)).map(|v| v as f32).collect(),
            foreground,
        })
    }

    /// The picture in colours, one a patch.
    pub fn colour(&self, picture: &PatchFeatures) -> Result<PcaColours, AnalysisError> {
        let PcaScores { scores, foreground } = self.project(picture)?;
        let packed = pca_colour_cpu(&scores, self.range, &foreground, self.background);
        Ok(PcaColours {
            rows: picture.rows,
            cols: picture.cols,
            rgb: packed.into_iter().map(|v| [v as u8, (v >> 8) as u8, (v >> 16) as u8]).collect(),
            foreground: foreground.into_iter().map(|f| f >= 0.5).collect(),
        })
    }

    /// Numbers per patch of the features that it colours.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What [`Pca::colour`] does with background patches; may be changed without a new fit.
    pub fn set_background(&mut self, background: BackgroundMode) {
        self.background = background;
    }

    fn score(&self, patch: &[f32]) -> [f64; 3] {
        let mut sums = [0.0; 3];
        let [x, y, z] = &self.directions;
        for ((((v, m), x), y), z) in patch.iter().zip(&self.mean).zip(x).zip(y).zip(z) {
            let centred = f64::from(v - m);
            sums[0] += centred * x;
            sums[1] += centred * y;
            sums[2] += centred * z;
        }
        sums
    }
}

impl PcaAxis {
    fn score(&self, patch: &[f32]) -> f64 {
        along(patch, &self.mean, &self.direction)
    }
}

fn along(patch: &[f32], mean: &[f32], direction: &[f64]) -> f64 {
    patch.iter().zip(mean).zip(direction).map(|((v, m), d)| f64::from(v - m) * d).sum()
}

fn check_option(
    option: &'static str,
    value: f32,
    good: bool,
    expected: &'static str,
) -> Result<(), AnalysisError> {
    if good { Ok(()) } else { Err(AnalysisError::Option { option, value: f64::from(value), expected }) }
}

/// Linear between ranks; `sorted` is not empty.
pub fn percentile(sorted: &[f64], percent: f32) -> f64 {
    let place = f64::from(percent) / 100.0 * (sorted.len() - 1) as f64;
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

/// What [`principal`] finds.
pub struct PrincipalComponents {
    /// The mean of the data, `[dim]`.
    pub mean: Vec<f32>,
    /// Unit vectors, or zero where the data do not vary in so many directions.
    pub directions: Vec<Vec<f64>>,
    /// Variance of the data in all directions.
    total: f64,
}

/// The `k` principal directions of `[n, dim]` data, `n > 0`.
pub fn principal(data: &[f32], dim: usize, k: usize) -> PrincipalComponents {
    // Below this share of the largest variance a component is rounding noise of f32 sums.
    const NOISE: f64 = 1e-6;
    let n = data.len() / dim;
    let mut sums = vec![0f64; dim];
    for patch in data.chunks_exact(dim) {
        sums.iter_mut().zip(patch).for_each(|(s, v)| *s += f64::from(*v));
    }
    let mean: Vec<f32> = sums.iter().map(|s| (s / n as f64) as f32).collect();
    let mut centred: Vec<f32> =
        data.chunks_exact(dim).flat_map(|p| p.iter().zip(&mean).map(|(v, m)| v - m)).collect();
    // Scaled to at most 1, so that squares neither overflow nor vanish.
    let largest = |x: &[f32]| x.iter().fold(0f32, |m, v| m.max(v.abs()));
    let scale = largest(&centred);
    if scale <= 1e-6 * largest(&mean) || scale == 0.0 || !scale.is_finite() {
        return PrincipalComponents { mean, directions: vec![vec![0.0; dim]; k], total: 0.0 };
    }
    centred.iter_mut().for_each(|v| *v /= scale);

    // The smaller of the two matrices with the same eigenvalues.
    let pairs = if n < dim {
        eigen::largest(&linalg::gram(&centred, n, dim), n, k)
            .into_iter()
            .map(|mut pair| {
                let mut direction = vec![0.0; dim];
                for (weight, patch) in pair.vector.iter().zip(centred.chunks_exact(dim)) {
                    direction.iter_mut().zip(patch).for_each(|(d, v)| *d += weight * f64::from(*v));
                }
                let length = direction.iter().map(|v| v * v).sum::<f64>().sqrt();
                direction.iter_mut().for_each(|v| *v /= length.max(f64::MIN_POSITIVE));
                pair.vector = direction;
                pair
            })
            .collect()
    } else {
        eigen::largest(&linalg::scatter(&centred, n, dim), dim, k)
    };
    let floor = NOISE * pairs.first().map_or(0.0, |p| p.value);
    let mut directions: Vec<Vec<f64>> =
        pairs.into_iter().map(|p| if p.value > floor { p.vector } else { vec![0.0; dim] }).collect();
    directions.resize(k, vec![0.0; dim]);
    let squares: f64 = centred.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
    PrincipalComponents { mean, directions, total: squares / n as f64 * f64::from(scale) * f64::from(scale) }
}

#[cfg(test)]
#[path = "pca_tests.rs"]
mod tests;

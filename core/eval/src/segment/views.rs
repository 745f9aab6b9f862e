//! Views of pictures: what a head learns from, and all looks at a picture that is judged.

use super::SegmentationRunConfig;
use super::head::SegmentationHead;
use super::predict::{TtaPrediction, WindowLogits};
use crate::dense::extractor::{DenseExample, DenseFeatureExtractor, DenseView};
use crate::dense::frame::{CenterPadding, cut, fitted, nearest, windows};
use crate::run::EvaluationError;
use dinoscope_base::rng::{RngExt, stream};
use dinoscope_data::Picture;
use dinoscope_data::augment::{CropBox, flip_horizontal};
use dinoscope_data::source::dense::DenseSample;
use dinoscope_model::params::read;

/// Views that are looked at together.
pub(super) const VIEWS: usize = 16;

impl SegmentationRunConfig<'_> {
    /// The views of a training picture with their labels.
    pub(super) fn examples(&self, index: usize, dense: &DenseSample) -> Vec<DenseExample<u8>> {
        let whole = (dense.picture.width, dense.picture.height);
        let example = |resized: &Picture, place: CropBox, mirrored: bool| {
            let truth = nearest(&dense.classes, whole, (resized.width, resized.height));
            let mut truth = cut(&truth, resized.width, place);
            let mut picture = crop(resized, place);
            if mirrored {
                flip_horizontal(&mut picture);
                truth.chunks_exact_mut(place.width).for_each(<[u8]>::reverse);
            }
            let frame = CenterPadding::new(&picture, self.patch, self.task.exact_padding);
            let truth = thinned(&truth, place.width, self.task.every);
            DenseExample { view: DenseView { picture, frame }, truth, picture: index }
        };
        if self.task.crops == 0 {
            let resized = fitted(&dense.picture, self.window);
            let places = windows(resized.width, resized.height, self.window, self.stride);
            return places.into_iter().map(|place| example(&resized, place, false)).collect();
        }
        let random = |crop: usize| {
            let mut rng = stream(self.seed, "dense crop", index as u64, crop as u64);
            let ratio = 0.5 + 1.5 * rng.random::<f64>();
            let resized = fitted(&dense.picture, ((self.window as f64 * ratio).round() as usize).max(1));
            let (width, height) = (self.window.min(resized.width), self.window.min(resized.height));
            let left = rng.random_range(0..=resized.width - width);
            let top = rng.random_range(0..=resized.height - height);
            example(&resized, CropBox { left, top, width, height }, rng.random())
        };
        (0..self.task.crops).map(random).collect()
    }

    /// All looks at some pictures, each in windows.
    pub(super) async fn looks(
        &self,
        extractor: &DenseFeatureExtractor<'_>,
        head: &SegmentationHead,
        pictures: &[&Picture],
    ) -> Result<Vec<Vec<TtaPrediction>>, EvaluationError> {
        let mut out: Vec<Vec<TtaPrediction>> = Vec::new();
        let mut waiting: Vec<(usize, usize, CropBox, DenseView)> = Vec::new();
        for (i, picture) in pictures.iter().enumerate() {
            out.push(Vec::new());
            for mirrored in [false, true].into_iter().take(1 + usize::from(self.task.flip)) {
                for ratio in &self.task.ratios {
                    let short = ((self.window as f64 * ratio).round() as usize).max(1);
                    let mut resized = fitted(picture, short);
                    if mirrored {
                        flip_horizontal(&mut resized);
                    }
                    let Picture { width, height, .. } = resized;
                    for place in windows(width, height, self.window, self.stride) {
                        let picture = crop(&resized, place);
                        let frame = CenterPadding::new(&picture, self.patch, self.task.exact_padding);
                        waiting.push((i, out[i].len(), place, DenseView { picture, frame }));
                    }
                    out[i].push(TtaPrediction { width, height, mirrored, windows: Vec::new() });
                }
            }
        }
        for some in waiting.chunks(VIEWS) {
            let views: Vec<&DenseView> = some.iter().map(|(.., view)| view).collect();
            for ((i, look, place, view), map) in some.iter().zip(extractor.look(&views)) {
                let logits = read(head.logits(&map)).await?;
                out[*i][*look].windows.push(WindowLogits::new(*place, &view.frame, logits));
            }
        }
        Ok(out)
    }
}

/// A part of a picture, pixel by pixel.
fn crop(picture: &Picture, place: CropBox) -> Picture {
    let rgb = cut(picture.rgb.as_chunks::<3>().0, picture.width, place).into_flattened();
    Picture::of_rgb(place.width, place.height, rgb)
}

/// Every `every`-th label both ways, as [`Axis::every`](crate::dense::axis::Axis::every) takes them.
fn thinned(truth: &[u8], width: usize, every: usize) -> Vec<u8> {
    let first = (every - 1) / 2;
    let lines = truth.chunks_exact(width.max(1)).skip(first).step_by(every);
    lines.flat_map(|line| line.iter().skip(first).step_by(every).copied()).collect()
}

//! Depth with a linear head: how far away a pixel is, read off the patch beneath it.
//!
//! As published for DINOv2 (Oquab et al. 2023, section 7.4): the tokens behind four blocks spread over the depth, without
//! the final norm, patches beside CLS; a linear head to 256 bins ([`head`]); SigLoss ([`loss`]). Whole pictures are
//! looked at. The backbone does not change, so each picture passes through it once.

mod head;
mod loss;
mod picture;
mod range;
mod score;
#[cfg(test)]
mod tests;

use dinoscope_data::Picture;
use dinoscope_data::augment::flip_horizontal;
use dinoscope_data::source::dense::{DenseSample, DenseSplit, DenseTruthKind};
use dinoscope_model::params::read;

use super::EvalProtocolError;
use super::dense::axis::{InterpolationAxis, resize};
use super::dense::extractor::{DenseExample, DenseFeatureExtractor, DenseView};
use super::dense::frame::{CenterPadding, fitted, nearest};
use super::dense::sheet;
use super::dense::training::DenseHeadTraining;
use super::dense::{self, DenseFeatureSpec, DenseTrainingOptions, MEMORY, SkippedDenseInputs, check};
use super::outcome::{CaptionedPicture, EvalMetric, EvalMetricUnit, EvalReport, EvalTableRow};
use super::run::EvaluationError;
use super::suite::{EvalContext, EvalProgress, EvalSubject};
use head::DepthHead;
use picture::DepthColourScale;
pub use range::DepthEvalRange;
use range::DepthRangeStats;

/// What is asked of depth.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthTask {
    /// Pixels that the shorter side of a picture is resized to; what is no multiple of the patch is padded. `None` takes
    /// [`dense::default_window`].
    pub window: Option<usize>,
    /// Blocks that are looked behind, spread evenly with the last among them: 4 as published, 1 for the last alone.
    pub blocks: usize,
    /// The least and largest depth; pixels outside do not count. As published 0.001 to 10 for rooms (NYU) and 0.001 to
    /// 80 for streets (KITTI). `None` takes the range of the training pictures, and all known test pixels count.
    pub range: Option<(f64, f64)>,
    /// Weight of the gradient loss; 0 leaves it out.
    pub gradient: f64,
    /// Learns from mirrored pictures too.
    pub mirrored: bool,
    /// Judges the mirrored picture too and takes the mean.
    pub flip: bool,
    /// Takes padding off before patches become pixels, which the published code does not.
    pub exact_padding: bool,
    /// Bytes that features may fill.
    pub memory: usize,
    /// How the head learns.
    pub training: DenseTrainingOptions,
    /// Test pictures that are shown.
    pub shown: usize,
    /// The unit of depth, for people.
    pub unit: String,
}

impl Default for DepthTask {
    /// Four blocks and SigLoss, with as many steps as a few hundred small pictures need.
    fn default() -> Self {
        Self {
            window: None,
            blocks: 4,
            range: None,
            gradient: 0.0,
            mirrored: false,
            flip: false,
            exact_padding: false,
            memory: MEMORY,
            training: DenseTrainingOptions { iterations: 400, batch: 8, lr: 3e-3, weight_decay: 1e-4 },
            shown: 6,
            unit: "metres".to_owned(),
        }
    }
}

impl DepthTask {
    fn check(&self, depth: usize) -> Result<(), EvalProtocolError> {
        let Self { window, blocks, range, gradient, training, .. } = self;
        check("window", window.unwrap_or(1) as f64, *window != Some(0), "1 or more")?;
        check("blocks", *blocks as f64, (1..=depth).contains(blocks), "1 up to the depth of the backbone")?;
        check("weight of the gradient loss", *gradient, (0.0..1e3).contains(gradient), "0 or more")?;
        if let Some((min, max)) = *range {
            check("least depth", min, min > 0.0 && min.is_finite(), "above 0")?;
            check("largest depth", max, max > min && max.is_finite(), "above the least")?;
        }
        training.check()
    }
}

/// The blocks behind which is looked: `count` of `depth`, spread evenly with the last among them. 4 of 12 are 2, 5, 8
/// and 11.
fn spread(depth: usize, count: usize) -> Vec<usize> {
    match (depth, count) {
        // The released heads of ViT-L look behind 4, where 5 would be even.
        (24, 4) => vec![4, 11, 17, 23],
        _ => (1..=count).map(|i| i * depth / count - 1).collect(),
    }
}

/// Everything that is settled before anyone looks.
struct DepthRunConfig<'a> {
    task: &'a DepthTask,
    window: usize,
    patch: usize,
    range: (f64, f64),
    seed: u64,
}

pub(crate) async fn evaluate(
    context: &EvalContext<'_>,
    data: &DenseSplit,
    task: &DepthTask,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<EvalReport, EvaluationError> {
    let config = &context.backbone.config;
    task.check(config.depth)?;
    let mut setting = DepthRunConfig {
        task,
        window: task.window.unwrap_or_else(|| dense::default_window(config)),
        patch: config.patch,
        range: task.range.unwrap_or_default(),
        seed: context.options.seed,
    };
    let mut skipped = SkippedDenseInputs::default();
    let total = data.train.len();
    let mut on_progress = async |done| {
        progress(EvalProgress { subject: EvalSubject::Weights.name(), doing: "pictures", done, total }).await
    };
    let mut known = DepthRangeStats::default();
    let each = |index, dense: DenseSample| {
        known.add(&dense.depth, task.range.unwrap_or((0.0, f64::INFINITY)));
        setting.examples(index, &dense)
    };
    let examples =
        dense::load_all(data.train.as_ref(), DenseTruthKind::Depth, &mut skipped, each, &mut on_progress)
            .await?;
    let doubt = match task.range {
        Some(range) => known.check_range(range, data.train.measure(), &task.unit)?,
        None => None,
    };
    setting.range = match task.range {
        Some(range) => range,
        None => range_of(&examples)?,
    };
    let looked = DenseFeatureSpec { blocks: spread(config.depth, task.blocks), norm: false, cls: true };
    let mut out = EvalReport::of("Linear depth");
    out.data = format!("{total} pictures to learn from, {} to test{}", data.test.len(), data.words());
    out.notes.push(setting.words(&looked.blocks));
    out.notes.extend(doubt);
    for &subject in EvalSubject::all(context.options.alone) {
        let mut untrained = None;
        let extractor = looked.extractor(context, subject, &mut untrained);
        let mut left_out = SkippedDenseInputs::default();
        let dims = (extractor.dim(), extractor.cls_dim());
        let mut head = DepthHead::new(dims, setting.range, task.gradient, setting.seed, context.device);
        let training =
            DenseHeadTraining { options: &task.training, memory: task.memory, seed: setting.seed, subject };
        let beyond = training.run(&mut head, &extractor, &examples, progress).await?;
        let judged = setting.evaluate(&extractor, &head, data, subject, &mut left_out, progress).await?;
        out.rows.push(row(subject, &judged.pictures, setting.seed));
        if subject == EvalSubject::Weights {
            skipped.all.append(&mut left_out.all);
            if beyond > 0 {
                out.notes.push(format!(
                    "features of {beyond} pictures did not fit into {} and were computed again in every step",
                    dinoscope_base::bytes::shown(task.memory as u64)
                ));
            }
            out.pictures.extend(judged.shown(&task.unit));
        }
    }
    out.left_out = skipped.all;
    Ok(out)
}

/// The range of the known depths of the training pictures.
fn range_of(examples: &[DenseExample<f32>]) -> Result<(f64, f64), EvalProtocolError> {
    let known = || examples.iter().flat_map(|example| &example.truth).filter(|depth| **depth > 0.0);
    let (min, max) = known().fold((f32::INFINITY, 0.0f32), |(min, max), d| (min.min(*d), max.max(*d)));
    if min < max {
        return Ok((f64::from(min), f64::from(max)));
    }
    Err(EvalProtocolError::Empty("training pixels with different depths"))
}

fn row(subject: EvalSubject, pictures: &[[f64; 5]], seed: u64) -> EvalTableRow {
    let units = [
        EvalMetricUnit::Less,
        EvalMetricUnit::Less,
        EvalMetricUnit::Share,
        EvalMetricUnit::Share,
        EvalMetricUnit::Share,
    ];
    let means = score::means(pictures, seed).into_iter();
    let figures = means.zip(score::NAMES).zip(units).map(|(((value, interval), name), unit)| EvalMetric {
        name: name.to_owned(),
        value,
        interval,
        unit,
    });
    EvalTableRow { subject: subject.name().to_owned(), setting: String::new(), figures: figures.collect() }
}

/// What is said of the test pictures.
struct DepthTestResult {
    /// The figures of each.
    pictures: Vec<[f64; 5]>,
    examples: Vec<DepthExample>,
}

/// An example before the range of its colours is known.
struct DepthExample {
    name: String,
    figure: String,
    picture: Picture,
    truth: Vec<f32>,
    found: Vec<f32>,
}

impl DepthTestResult {
    fn shown(self, unit: &str) -> Option<CaptionedPicture> {
        let scale = DepthColourScale::of(self.examples.iter().flat_map(|shot| shot.truth.iter().copied()));
        let example = |shot: DepthExample| {
            let Picture { width, height, .. } = shot.picture;
            sheet::RenderedExample {
                name: shot.name,
                figure: shot.figure,
                truth: scale.picture(&shot.truth, width, height),
                found: scale.picture(&shot.found, width, height),
                picture: shot.picture,
            }
        };
        let examples: Vec<sheet::RenderedExample> = self.examples.into_iter().map(example).collect();
        if examples.is_empty() {
            return None;
        }
        let (picture, kept) = picture::draw(&examples, scale, unit);
        Some(CaptionedPicture {
            name: "examples".to_owned(),
            caption: "Test pictures, how far away their pixels are, and what the head found; near is bright."
                .to_owned(),
            picture,
            kept,
        })
    }
}

impl DepthRunConfig<'_> {
    /// What was chosen, in a sentence.
    fn words(&self, blocks: &[usize]) -> String {
        let Self { task, window, range: (min, max), .. } = self;
        let blocks: Vec<String> = blocks.iter().map(usize::to_string).collect();
        let DenseTrainingOptions { iterations, batch, .. } = task.training;
        format!(
            "a linear head on the blocks {}, shorter side {window} pixels, depths from {min:.3} to {max:.3} {}, \
             {iterations} steps of {batch} pictures; intervals: the test pictures drawn again 1000 times",
            blocks.join(", "),
            task.unit
        )
    }

    /// A training picture with its depth, and its mirror image.
    fn examples(&self, index: usize, dense: &DenseSample) -> Vec<DenseExample<f32>> {
        let resized = fitted(&dense.picture, self.window);
        let whole = (dense.picture.width, dense.picture.height);
        let mut truth = nearest(&dense.depth, whole, (resized.width, resized.height));
        if let Some((min, max)) = self.task.range {
            truth.iter_mut().filter(|d| !inside(**d, (min, max))).for_each(|d| *d = 0.0);
        }
        let example = |picture: Picture, truth: Vec<f32>| {
            let frame = CenterPadding::new(&picture, self.patch, self.task.exact_padding);
            DenseExample { view: DenseView { picture, frame }, truth, picture: index }
        };
        let mut out = Vec::new();
        if self.task.mirrored {
            let (mut picture, mut truth) = (resized.clone(), truth.clone());
            flip_horizontal(&mut picture);
            truth.chunks_exact_mut(picture.width).for_each(<[f32]>::reverse);
            out.push(example(picture, truth));
        }
        out.push(example(resized, truth));
        out
    }

    /// Judges a head on the test pictures.
    async fn evaluate(
        &self,
        extractor: &DenseFeatureExtractor<'_>,
        head: &DepthHead,
        data: &DenseSplit,
        subject: EvalSubject,
        skipped: &mut SkippedDenseInputs,
        progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
    ) -> Result<DepthTestResult, EvaluationError> {
        let test = data.test.as_ref();
        let shown = sheet::spread(test.len(), self.task.shown);
        let mut out = DepthTestResult { pictures: Vec::new(), examples: Vec::new() };
        for from in (0..test.len()).step_by(ROUND) {
            let to = (from + ROUND).min(test.len());
            let loaded = dense::load(test, from..to, DenseTruthKind::Depth, skipped);
            let pictures: Vec<&Picture> = loaded.iter().map(|(_, dense)| &dense.picture).collect();
            let found = self.predict(extractor, head, &pictures).await?;
            for ((index, dense), found) in loaded.into_iter().zip(found) {
                let range = self.task.range.unwrap_or((0.0, f64::INFINITY));
                let Some(figures) = score::figures(&dense.depth, &found, |depth| inside(depth, range)) else {
                    skipped.unknown(test, index, "no depth in it is known");
                    continue;
                };
                out.pictures.push(figures);
                if subject == EvalSubject::Weights && shown.contains(&index) {
                    out.examples.push(DepthExample {
                        name: test.name(index),
                        figure: format!("RMSE {:.2}", figures[0]),
                        picture: dense.picture,
                        truth: dense.depth,
                        found,
                    });
                }
            }
            let at = EvalProgress { subject: subject.name(), doing: "judging", done: to, total: test.len() };
            if !progress(at).await {
                return Err(EvalProtocolError::Stopped.into());
            }
        }
        skipped.check(test.len())?;
        if out.pictures.is_empty() {
            return Err(EvalProtocolError::Empty("test pixels whose depth is known").into());
        }
        Ok(out)
    }

    /// Depth of every pixel of some pictures.
    async fn predict(
        &self,
        extractor: &DenseFeatureExtractor<'_>,
        head: &DepthHead,
        pictures: &[&Picture],
    ) -> Result<Vec<Vec<f32>>, EvaluationError> {
        let mut sums: Vec<Vec<f32>> = pictures.iter().map(|p| vec![0.0; p.width * p.height]).collect();
        let looks = 1 + usize::from(self.task.flip);
        for mirrored in [false, true].into_iter().take(looks) {
            let view = |picture: &&Picture| {
                let mut picture = fitted(picture, self.window);
                if mirrored {
                    flip_horizontal(&mut picture);
                }
                DenseView {
                    frame: CenterPadding::new(&picture, self.patch, self.task.exact_padding),
                    picture,
                }
            };
            let views: Vec<DenseView> = pictures.iter().map(view).collect();
            let maps = extractor.look(&views.iter().collect::<Vec<_>>());
            for (((picture, view), map), sums) in pictures.iter().zip(&views).zip(&maps).zip(&mut sums) {
                let mut depth = read(head.predict(map, &view.frame)).await?;
                if mirrored {
                    depth.chunks_exact_mut(view.frame.width).for_each(<[f32]>::reverse);
                }
                let (down, across) = (view.frame.height, view.frame.width);
                let (down, across) = (
                    InterpolationAxis::new(down, picture.height),
                    InterpolationAxis::new(across, picture.width),
                );
                let depth = resize(&depth, &down, &across);
                sums.iter_mut().zip(depth).for_each(|(sum, depth)| *sum += depth / looks as f32);
            }
        }
        Ok(sums)
    }
}

/// Pictures that are judged between two reports.
const ROUND: usize = 16;

/// Whether a depth is known and within the range.
fn inside(depth: f32, (min, max): (f64, f64)) -> bool {
    f64::from(depth) > min && f64::from(depth) < max
}

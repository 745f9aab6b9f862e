//! Semantic segmentation with a linear head: how much of what a pixel shows can be read off the patch beneath it.
//!
//! As published for DINOv2 (Oquab et al. 2023, section 7.4): batch norm and a 1x1 convolution on the final-normed patch
//! tokens of a frozen backbone, logits enlarged bilinearly, cross-entropy, AdamW; `linear` looks behind the last block,
//! `+ms` behind the last four and at several sizes of each picture. The backbone does not change, so each view passes
//! through it once.

mod head;
mod picture;
mod predict;
mod score;
#[cfg(test)]
mod tests;
mod views;

use dinoscope_data::Picture;
use dinoscope_data::source::dense::{DenseSample, DenseSplit, DenseTruthKind, IGNORED, one_class};

use super::EvalProtocolError;
use super::dense::extractor::DenseFeatureExtractor;
use super::dense::sheet;
use super::dense::training::DenseHeadTraining;
use super::dense::{self, DenseFeatureSpec, DenseTrainingOptions, MEMORY, SkippedDenseInputs, check};
use super::outcome::{CaptionedPicture, EvalMetric, EvalMetricUnit, EvalReport, EvalTableRow};
use super::run::EvaluationError;
use super::suite::{EvalContext, EvalProgress, EvalSubject};
use head::SegmentationHead;
use picture::SegmentationExample;
use score::{ClassPixelCounts, SegmentationScore};
use views::VIEWS;

/// What is asked of segmentation.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentTask {
    /// Side of the windows in pixels; one that is no multiple of the patch is padded. Pictures are resized so that their
    /// shorter side has it. `None` takes [`dense::default_window`].
    pub window: Option<usize>,
    /// Pixels from one window to the next where a picture is longer; `None` takes two thirds of a window.
    pub stride: Option<usize>,
    /// Blocks that are looked behind, counted from the last: 1 for `linear`, 4 for `+ms`.
    pub blocks: usize,
    /// Sizes at which a picture is judged, as multiples of the window; probabilities are averaged.
    pub ratios: Vec<f64>,
    /// Judges the mirrored picture too.
    pub flip: bool,
    /// Random crops of each training picture, made 0.5 to 2 times as large, half of them mirrored; 0 takes its windows.
    pub crops: usize,
    /// Learns from every n-th pixel both ways; 1 takes all of them, as published.
    pub every: usize,
    /// Takes padding off before patches become pixels, which the published code does not.
    pub exact_padding: bool,
    /// Bytes that features may fill.
    pub memory: usize,
    /// How the head learns.
    pub training: DenseTrainingOptions,
    /// Test pictures that are shown.
    pub shown: usize,
}

impl Default for SegmentTask {
    /// `linear`, with as many steps as a few hundred small pictures need.
    fn default() -> Self {
        Self {
            window: None,
            stride: None,
            blocks: 1,
            ratios: vec![1.0],
            flip: false,
            crops: 0,
            every: 1,
            exact_padding: false,
            memory: MEMORY,
            training: DenseTrainingOptions { iterations: 500, batch: 16, lr: 1e-2, weight_decay: 1e-4 },
            shown: 6,
        }
    }
}

impl SegmentTask {
    /// `+ms`: four blocks, five sizes, mirrored too.
    pub fn multi_scale() -> Self {
        Self { blocks: 4, ratios: vec![1.0, 1.32, 1.73, 2.28, 3.0], flip: true, ..Self::default() }
    }

    fn check(&self, depth: usize) -> Result<(), EvalProtocolError> {
        let Self { window, stride, blocks, ratios, every, training, .. } = self;
        check("window", window.unwrap_or(1) as f64, *window != Some(0), "1 or more")?;
        check("stride", stride.unwrap_or(1) as f64, *stride != Some(0), "1 or more")?;
        check("blocks", *blocks as f64, (1..=depth).contains(blocks), "1 up to the depth of the backbone")?;
        check("every", *every as f64, (1..=64).contains(every), "1 to 64")?;
        check("sizes", ratios.len() as f64, !ratios.is_empty(), "one or more ratios")?;
        for ratio in ratios {
            check("ratio", *ratio, (0.1..=8.0).contains(ratio), "0.1 to 8")?;
        }
        training.check()
    }
}

/// Everything that is settled before anyone looks.
struct SegmentationRunConfig<'a> {
    task: &'a SegmentTask,
    window: usize,
    stride: usize,
    patch: usize,
    classes: usize,
    seed: u64,
}

pub(crate) async fn evaluate(
    context: &EvalContext<'_>,
    data: &DenseSplit,
    task: &SegmentTask,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<EvalReport, EvaluationError> {
    let config = &context.backbone.config;
    task.check(config.depth)?;
    let names = data.train.classes();
    if names.len() < 2 {
        return Err(EvalProtocolError::Empty("classes of pixels").into());
    }
    if data.test.classes().len() != names.len() {
        let (found, expected) = (data.test.classes().len(), names.len());
        return Err(EvalProtocolError::Shape { what: "classes of the test pictures", found, expected }.into());
    }
    let window = task.window.unwrap_or_else(|| dense::default_window(config));
    let setting = SegmentationRunConfig {
        task,
        window,
        stride: task.stride.unwrap_or((2 * window / 3).max(1)),
        patch: config.patch,
        classes: names.len(),
        seed: context.options.seed,
    };
    let mut skipped = SkippedDenseInputs::default();
    let total = data.train.len();
    let mut on_progress = async |done| {
        progress(EvalProgress { subject: EvalSubject::Weights.name(), doing: "pictures", done, total }).await
    };
    let mut seen = [false; 256];
    let each = |index, dense: DenseSample| {
        dense.classes.iter().for_each(|class| seen[usize::from(*class)] = true);
        setting.examples(index, &dense)
    };
    let examples =
        dense::load_all(data.train.as_ref(), DenseTruthKind::Classes, &mut skipped, each, &mut on_progress)
            .await?;
    if examples.is_empty() {
        return Err(EvalProtocolError::Empty("training pictures").into());
    }
    let classes: Vec<&str> =
        names.iter().zip(seen).filter(|(_, seen)| *seen).map(|(n, _)| n.as_str()).collect();
    if let [] | [_] = classes.as_slice() {
        let only = classes.first().unwrap_or(&"no class");
        return Err(EvalProtocolError::OneClass(match seen[usize::from(IGNORED)] {
            true => one_class(only),
            false => format!(
                "all pixels to learn from are of one class, “{only}”: there is nothing to tell it from"
            ),
        })
        .into());
    }
    let looked = DenseFeatureSpec {
        blocks: (config.depth - task.blocks..config.depth).collect(),
        norm: true,
        cls: false,
    };
    let mut out = EvalReport::of("Linear segmentation");
    out.data = format!(
        "{total} pictures to learn from, {} to test, {} classes of pixels{}",
        data.test.len(),
        names.len(),
        data.words()
    );
    out.notes.push(setting.words());
    let mut each_class = Vec::new();
    for &subject in EvalSubject::all(context.options.alone) {
        let mut untrained = None;
        let extractor = looked.extractor(context, subject, &mut untrained);
        let mut left_out = SkippedDenseInputs::default();
        let (dim, device) = (extractor.dim(), context.device);
        let mut head = SegmentationHead::new(dim, setting.classes, task.every, setting.seed, device);
        let training =
            DenseHeadTraining { options: &task.training, memory: task.memory, seed: setting.seed, subject };
        let beyond = training.run(&mut head, &extractor, &examples, progress).await?;
        let judged = setting.evaluate(&extractor, &head, data, subject, &mut left_out, progress).await?;
        out.rows.push(row(subject, &judged.score));
        if subject == EvalSubject::Weights {
            skipped.all.append(&mut left_out.all);
            if beyond > 0 {
                out.notes.push(format!(
                    "features of {beyond} views did not fit into {} and were computed again in every step",
                    dinoscope_base::bytes::shown(task.memory as u64)
                ));
            }
            each_class = class_rows(subject, names, &judged.score);
            out.pictures.extend(judged.shown(names));
        }
    }
    out.rows.extend(each_class);
    out.left_out = skipped.all;
    Ok(out)
}

fn figure(name: &str, value: f64, interval: Option<(f64, f64)>) -> EvalMetric {
    EvalMetric { name: name.to_owned(), value, interval, unit: EvalMetricUnit::Share }
}

fn row(subject: EvalSubject, score: &SegmentationScore) -> EvalTableRow {
    EvalTableRow {
        subject: subject.name().to_owned(),
        setting: String::new(),
        figures: vec![
            figure("mIoU", score.miou, score.miou_interval),
            figure("pixels right", score.accuracy, score.accuracy_interval),
        ],
    }
}

/// A line for every class that occurs.
fn class_rows(subject: EvalSubject, names: &[String], score: &SegmentationScore) -> Vec<EvalTableRow> {
    let one = |class: usize| EvalTableRow {
        subject: subject.name().to_owned(),
        setting: names[class].clone(),
        figures: vec![figure("IoU", score.iou[class], score.iou_intervals[class])],
    };
    (0..names.len()).filter(|class| score.iou[*class].is_finite()).map(one).collect()
}

/// What is said of the test pictures.
struct SegmentationTestResult {
    score: SegmentationScore,
    /// Pictures to show.
    shots: Vec<SegmentationExample>,
}

impl SegmentationTestResult {
    fn shown(self, names: &[String]) -> Option<CaptionedPicture> {
        if self.shots.is_empty() {
            return None;
        }
        let (picture, kept) = picture::draw(&self.shots, names, &self.score);
        Some(CaptionedPicture {
            name: "examples".to_owned(),
            caption: "Test pictures, what their pixels show, and what the head found.".to_owned(),
            picture,
            kept,
        })
    }
}

impl SegmentationRunConfig<'_> {
    /// What was chosen, in a sentence.
    fn words(&self) -> String {
        let Self { task, window, .. } = self;
        let blocks = match task.blocks {
            1 => "the last block".to_owned(),
            n => format!("the last {n} blocks"),
        };
        let DenseTrainingOptions { iterations, batch, .. } = task.training;
        let every =
            if task.every > 1 { format!(", every {}th pixel both ways", task.every) } else { String::new() };
        format!(
            "a linear head on {blocks}, windows of {window} pixels, {iterations} steps of {batch} views{every}; \
             intervals: the test pictures drawn again 1000 times"
        )
    }

    /// Judges a head on the test pictures.
    async fn evaluate(
        &self,
        extractor: &DenseFeatureExtractor<'_>,
        head: &SegmentationHead,
        data: &DenseSplit,
        subject: EvalSubject,
        skipped: &mut SkippedDenseInputs,
        progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
    ) -> Result<SegmentationTestResult, EvaluationError> {
        let test = data.test.as_ref();
        let candidates = sheet::spread(test.len(), CANDIDATES * self.task.shown);
        let (mut counts, mut shots) = (Vec::new(), Vec::new());
        let round = (VIEWS / (self.task.ratios.len() * (1 + usize::from(self.task.flip)))).max(1);
        for from in (0..test.len()).step_by(round) {
            let to = (from + round).min(test.len());
            let loaded = dense::load(test, from..to, DenseTruthKind::Classes, skipped);
            let pictures: Vec<&Picture> = loaded.iter().map(|(_, dense)| &dense.picture).collect();
            let looks = self.looks(extractor, head, &pictures).await?;
            for ((index, dense), looks) in loaded.into_iter().zip(&looks) {
                let Picture { width, height, .. } = dense.picture;
                let found = predict::classes(looks, width, height, self.classes);
                let own = ClassPixelCounts::new(&dense.classes, &found, self.classes);
                if subject == EvalSubject::Weights && candidates.contains(&index) {
                    let right = own.accuracy().map(|share| format!("{:.0} % of pixels right", 100.0 * share));
                    let DenseSample { picture, classes: truth, .. } = dense;
                    shots.push(SegmentationExample {
                        name: test.name(index),
                        figure: right.unwrap_or_default(),
                        picture,
                        truth,
                        found,
                    });
                }
                counts.push(own);
            }
            let at = EvalProgress { subject: subject.name(), doing: "judging", done: to, total: test.len() };
            if !progress(at).await {
                return Err(EvalProtocolError::Stopped.into());
            }
        }
        skipped.check(test.len())?;
        if counts.iter().all(|counts| counts.accuracy().is_none()) {
            return Err(EvalProtocolError::Empty("test pixels whose class is known").into());
        }
        let shots = picture::varied(shots, self.task.shown);
        Ok(SegmentationTestResult { score: SegmentationScore::new(&counts, self.classes, self.seed), shots })
    }
}

/// Test pictures for each one that is shown, of which those with other classes are chosen.
const CANDIDATES: usize = 4;

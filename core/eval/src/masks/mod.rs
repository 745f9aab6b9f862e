//! Masks of objects that nobody has trained: how much of the main object of a picture is found by the first principal
//! component of its patch features, and by where the CLS token looks.
//!
//! Sources: the first component as in DINOv2 (Oquab et al. 2023, figures 1 and 9), its side told as in the explorer
//! ([`Pca::fit_seen`](dinoscope_analysis::pca::Pca::fit_seen)); attention of the last block of which 60 % is kept as in
//! DINO (Caron et al. 2021, section 4.2.2), here of the mean of the heads.

mod found;
mod picture;
mod score;
#[cfg(test)]
mod tests;

use dinoscope_data::source::dense::{DenseSample, DenseSplit, DenseTruthKind};

use super::EvalProtocolError;
use super::dense::{self, SkippedDenseInputs, check, sheet};
use super::outcome::{CaptionedPicture, EvalReport};
use super::run::EvaluationError;
use super::suite::{EvalContext, EvalProgress, EvalSubject};
use found::{MaskFinder, MaskMethod};
use picture::MaskExample;
use score::{MaskOverlap, MaskScore};

/// What is asked of masks.
#[derive(Clone, Debug, PartialEq)]
pub struct MasksTask {
    /// Shorter side of the pictures as the backbone sees them, in pixels; the nearest multiple of the patch is taken.
    /// `None` takes [`dense::default_window`].
    pub window: Option<usize>,
    /// Share of the attention that a mask keeps, above 0 and at most 1.
    pub mass: f64,
    /// Test pictures that are shown.
    pub shown: usize,
}

impl Default for MasksTask {
    fn default() -> Self {
        Self { window: None, mass: 0.6, shown: 6 }
    }
}

/// What is said where no picture has an object.
const NO_OBJECT: &str = "no test picture has an object: all pixels that count are of the class 0. If 255 is the object in \
                         masks of two values, --binary takes it for one (in the studio: “255 is the object”)";
/// Pictures that are looked at between two reports.
const ROUND: usize = 8;
/// Pictures to learn from that tell how large objects are.
const SIZED: usize = 240;

pub(crate) async fn evaluate(
    context: &EvalContext<'_>,
    data: &DenseSplit,
    task: &MasksTask,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<EvalReport, EvaluationError> {
    let MasksTask { window, mass, shown } = *task;
    check("window", window.unwrap_or(1) as f64, window != Some(0), "1 or more")?;
    check("mass", mass, mass > 0.0 && mass <= 1.0, "above 0, at most 1")?;
    let window = window.unwrap_or_else(|| dense::default_window(&context.backbone.config));
    let mut judged =
        MaskEvaluation { data, skipped: SkippedDenseInputs::default(), empty: 0, seed: context.options.seed };
    let mut out = EvalReport::of("Object masks");
    for &subject in EvalSubject::all(context.options.alone) {
        // Pixels of a patch have no component that means anything, and look nowhere.
        if subject == EvalSubject::RawPixels {
            continue;
        }
        let backbone = &*context.backbone_of(subject);
        let finder = MaskFinder { backbone, window, mass, device: context.device };
        let (overlaps, examples) = judged.of_backbone(&finder, subject, shown, progress).await?;
        for (method, overlaps) in MaskMethod::ALL.into_iter().zip(overlaps) {
            out.rows.push(MaskScore::new(&overlaps, judged.seed).row(subject.name(), method.name()));
        }
        out.pictures.extend(shown_pictures(&examples));
    }
    let pictures = data.test.len() - judged.skipped.all.len() - judged.empty;
    out.data =
        format!("{pictures} pictures with an object, none of which anything is learned from{}", data.words());
    out.left_out = std::mem::take(&mut judged.skipped.all);
    if judged.empty > 0 {
        out.notes.push(format!("pictures without an object, which do not count: {}", judged.empty));
    }
    if !context.options.alone {
        let share = judged.mean_share(progress).await?;
        for (name, overlaps) in judged.without_features(share, progress).await? {
            out.rows.push(MaskScore::new(&overlaps, judged.seed).row(name, ""));
        }
        out.notes.push(format!(
            "the box in the middle has {:.0} % of the picture, as objects have on average in the pictures to learn from",
            100.0 * share
        ));
    }
    out.notes.push(format!(
        "component: the first principal component of a picture's patches, the side nearer to the middle and to where the \
         CLS token looks; attention: {:.0} % of that of the last block, mean of its heads; pictures of {window} pixels; \
         intervals: the test pictures drawn again 1000 times",
        100.0 * mass
    ));
    Ok(out)
}

/// Sheets of examples, one for each way to find masks.
fn shown_pictures(examples: &[MaskExample]) -> Vec<CaptionedPicture> {
    if examples.is_empty() {
        return Vec::new();
    }
    let sheet = |(i, method): (usize, MaskMethod)| {
        let (picture, kept) = picture::draw(examples, i);
        CaptionedPicture {
            name: method.name().to_owned(),
            caption: format!("Test pictures, their main object, and what {} takes for it.", method.words()),
            picture,
            kept,
        }
    };
    MaskMethod::ALL.into_iter().enumerate().map(sheet).collect()
}

/// Overlaps of each way to find masks, with every test picture.
type OverlapsOfMethods = [Vec<MaskOverlap>; MaskMethod::ALL.len()];

/// Test pictures, and which of them could not be used.
struct MaskEvaluation<'a> {
    data: &'a DenseSplit,
    /// Filled by the first pass over the test pictures, which all others repeat.
    skipped: SkippedDenseInputs,
    /// Pictures without an object, counted in the same pass.
    empty: usize,
    seed: u64,
}

impl MaskEvaluation<'_> {
    /// [`ROUND`] test pictures from one on, but for those that can't be used or have no object; `first` notes them.
    async fn round(
        &mut self,
        from: usize,
        first: bool,
    ) -> Result<Vec<(usize, DenseSample)>, EvaluationError> {
        let test = self.data.test.as_ref();
        let to = (from + ROUND).min(test.len());
        let mut again = SkippedDenseInputs::default();
        let skipped = if first { &mut self.skipped } else { &mut again };
        let mut loaded = dense::load(test, from..to, DenseTruthKind::Object, skipped);
        if first && to == test.len() {
            skipped.check(test.len())?;
        }
        let usable = loaded.len();
        loaded.retain(|(_, sample)| sample.classes.contains(&1));
        self.empty += if first { usable - loaded.len() } else { 0 };
        Ok(loaded)
    }

    async fn of_backbone(
        &mut self,
        finder: &MaskFinder<'_>,
        subject: EvalSubject,
        shown: usize,
        progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
    ) -> Result<(OverlapsOfMethods, Vec<MaskExample>), EvaluationError> {
        let first = subject == EvalSubject::Weights;
        let test = self.data.test.clone();
        let total = test.len();
        let candidates = sheet::spread(total, if first { shown } else { 0 });
        let (mut overlaps, mut examples) = (OverlapsOfMethods::default(), Vec::new());
        for from in (0..total).step_by(ROUND) {
            for (index, sample) in self.round(from, first).await? {
                let masks = finder.find(&sample.picture).await?;
                let own = [0, 1].map(|i| MaskOverlap::new(&sample.classes, &masks[i]));
                overlaps.iter_mut().zip(own).for_each(|(all, own)| all.push(own));
                if candidates.contains(&index) {
                    let DenseSample { picture, classes: truth, .. } = sample;
                    examples.push(MaskExample {
                        name: test.name(index),
                        picture,
                        truth,
                        masks,
                        overlaps: own,
                    });
                }
            }
            let done = (from + ROUND).min(total);
            if !progress(EvalProgress { subject: subject.name(), doing: "masks", done, total }).await {
                return Err(EvalProtocolError::Stopped.into());
            }
        }
        if overlaps[0].is_empty() {
            return Err(EvalProtocolError::OneClass(NO_OBJECT.to_owned()).into());
        }
        Ok((overlaps, examples))
    }

    /// Mean share of the known pixels that objects have, in pictures that are not judged.
    async fn mean_share(
        &self,
        progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
    ) -> Result<f64, EvaluationError> {
        let train = self.data.train.as_ref();
        let which = sheet::spread(train.len(), SIZED);
        let (mut sum, mut count) = (0.0, 0usize);
        for (done, index) in which.iter().enumerate() {
            let mut skipped = SkippedDenseInputs::default();
            for (_, sample) in dense::load(train, *index..index + 1, DenseTruthKind::Object, &mut skipped) {
                let of = |class: u8| sample.classes.iter().filter(|own| **own == class).count();
                let (object, rest) = (of(1), of(0));
                if object > 0 {
                    (sum, count) = (sum + object as f64 / (object + rest) as f64, count + 1);
                }
            }
            let at = EvalProgress { subject: BOX, doing: "sizes", done: done + 1, total: which.len() };
            if !progress(at).await {
                return Err(EvalProtocolError::Stopped.into());
            }
        }
        // Where no other picture has an object a quarter is as good a guess as any.
        Ok(if count > 0 { sum / count as f64 } else { 0.25 })
    }

    /// Overlaps of masks that look at no picture: all of it, and a box in the middle with this share of it.
    async fn without_features(
        &mut self,
        share: f64,
        progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
    ) -> Result<[(&'static str, Vec<MaskOverlap>); 2], EvaluationError> {
        let total = self.data.test.len();
        let (mut whole, mut boxes) = (Vec::new(), Vec::new());
        for from in (0..total).step_by(ROUND) {
            for (_, sample) in self.round(from, false).await? {
                let (width, height) = (sample.picture.width, sample.picture.height);
                whole.push(MaskOverlap::new(&sample.classes, &vec![true; width * height]));
                boxes.push(MaskOverlap::new(&sample.classes, &found::middle(width, height, share)));
            }
            let done = (from + ROUND).min(total);
            if !progress(EvalProgress { subject: BOX, doing: "masks", done, total }).await {
                return Err(EvalProtocolError::Stopped.into());
            }
        }
        Ok([(WHOLE, whole), (BOX, boxes)])
    }
}

/// What masks without features are called.
const WHOLE: &str = "whole picture";
const BOX: &str = "box in the middle";

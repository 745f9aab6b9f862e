//! What all evaluations share: whom they are about, how they go on, and pictures as features.

use std::borrow::Cow;
use std::path::PathBuf;

use burn::tensor::Device;

use super::cache::FeatureDiskCache;
use super::descriptors::{DescriptorSizes, PictureDescriptor};
use super::gather::{FeatureSet, ImageFeatureExtractor, gather_descriptors};
use super::outcome::UnusableInput;
use super::run::EvaluationError;
use dinoscope_analysis::{AnalysisError, npy};
use dinoscope_base::files;
use dinoscope_data::DataError;
use dinoscope_data::source::LabelledSplit;
use dinoscope_model::Vit;
use dinoscope_model::features::ImageFeatureSpec;

/// What all evaluations have in common.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EvalOptions {
    /// Side of the centre crop in pixels; a multiple of the patch.
    pub size: usize,
    /// Pictures that pass through the backbone at once.
    pub batch: usize,
    /// Of the untrained model, and of every random choice.
    pub seed: u64,
    /// Leaves out what the weights are compared with: the untrained model, raw pixels and what else needs no learning.
    pub alone: bool,
    /// Where features are kept for the next evaluation.
    pub cache: FeatureDiskCache,
    /// Writes what was judged into this folder as `train_features.npy` `[pictures, numbers]`, `train_labels.npy`
    /// `[pictures]`, `test_features.npy` and `test_labels.npy`, all float32, for other programs to test.
    pub dump: Option<PathBuf>,
}

impl EvalOptions {
    /// Pictures of `size`, everything else as it is without a wish; nothing is written.
    pub fn new(size: usize) -> Self {
        Self { size, batch: 64, seed: 0, alone: false, cache: FeatureDiskCache::off(), dump: None }
    }
}

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvalProgress {
    /// What is being judged: [`EvalSubject::name`].
    pub subject: &'static str,
    /// What is being done, in a word or two: `features`, `neighbours`.
    pub doing: &'static str,
    /// Steps that are done.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalSubject {
    /// The backbone in question.
    Weights,
    /// A backbone of the same shape with random weights.
    Untrained,
    /// The pictures themselves.
    RawPixels,
    /// How much of each colour pictures have.
    ColourHistogram,
    /// Which edges are where in pictures.
    Hog,
}

impl EvalSubject {
    /// As it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Untrained => "untrained",
            Self::RawPixels => "raw pixels",
            Self::ColourHistogram => "colour histogram",
            Self::Hog => "HOG",
        }
    }

    /// All that are judged, in order.
    pub fn all(alone: bool) -> &'static [Self] {
        if alone { &[Self::Weights] } else { &[Self::Weights, Self::Untrained, Self::RawPixels] }
    }

    /// All that are judged where each picture becomes a row of numbers, in order: what tells pictures apart without
    /// learning is among them.
    pub fn of_pictures(alone: bool) -> &'static [Self] {
        const ALL: [EvalSubject; 5] = [
            EvalSubject::Weights,
            EvalSubject::Untrained,
            EvalSubject::RawPixels,
            EvalSubject::ColourHistogram,
            EvalSubject::Hog,
        ];
        if alone { &ALL[..1] } else { &ALL }
    }

    /// How pictures become numbers without a backbone, `size` being the side of a view; `None` where a backbone looks.
    pub fn descriptor(self, sizes: DescriptorSizes, size: usize) -> Option<PictureDescriptor> {
        match self {
            Self::Weights | Self::Untrained => None,
            Self::RawPixels => Some(PictureDescriptor::Pixels { side: sizes.pixels.min(size) }),
            Self::ColourHistogram => Some(PictureDescriptor::ColourHistogram),
            Self::Hog => Some(PictureDescriptor::Hog { cells: sizes.cells }),
        }
    }
}

/// Whom an evaluation is about, and how and where it is made.
#[derive(Clone, Copy)]
pub struct EvalContext<'a> {
    /// The backbone in question.
    pub backbone: &'a Vit,
    /// What all evaluations have in common.
    pub options: &'a EvalOptions,
    /// Where the backbone is.
    pub device: &'a Device,
}

/// Both halves of labelled pictures as numbers.
#[derive(Clone, Debug)]
pub struct TrainTestFeatures {
    /// To learn from.
    pub train: FeatureSet,
    /// To judge with.
    pub test: FeatureSet,
    /// What a person should know: how pictures were chosen, features that were there before.
    pub notes: Vec<String>,
    /// Pictures that could not be used; said once, with the weights.
    pub left_out: Vec<UnusableInput>,
}

impl EvalContext<'_> {
    /// The backbone in question, or an untrained one of its shape.
    pub(super) fn backbone_of(&self, subject: EvalSubject) -> Cow<'_, Vit> {
        match subject {
            EvalSubject::Untrained => {
                Cow::Owned(Vit::init(&self.backbone.config, self.options.seed, self.device))
            }
            _ => Cow::Borrowed(self.backbone),
        }
    }

    /// How `subject` makes numbers of pictures without a backbone.
    pub(super) fn descriptor(
        &self,
        subject: EvalSubject,
        sizes: DescriptorSizes,
    ) -> Option<PictureDescriptor> {
        subject.descriptor(sizes, self.options.size)
    }

    /// What `subject` makes of labelled pictures; without a backbone as finely as `sizes` says. What the weights
    /// make of them is dumped, where that is asked for.
    ///
    /// # Errors
    /// When the device fails, `progress` says no, or the dump can't be written.
    pub async fn sets(
        &self,
        subject: EvalSubject,
        labelled: &LabelledSplit,
        wanted: ImageFeatureSpec,
        sizes: DescriptorSizes,
        progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
    ) -> Result<TrainTestFeatures, EvaluationError> {
        let (first, total) = (labelled.train.len(), labelled.train.len() + labelled.test.len());
        let at = |done| EvalProgress { subject: subject.name(), doing: "features", done, total };
        let mut first_half = async |done| progress(at(done)).await;
        let (train, test) = (labelled.train.as_ref(), labelled.test.as_ref());
        if let Some(descriptor) = self.descriptor(subject, sizes) {
            let size = self.options.size;
            let train = gather_descriptors(train, size, descriptor, &mut first_half).await?;
            let mut second_half = async |done| progress(at(first + done)).await;
            let test = gather_descriptors(test, size, descriptor, &mut second_half).await?;
            return Ok(TrainTestFeatures { train, test, notes: Vec::new(), left_out: Vec::new() });
        }
        let backbone = &*self.backbone_of(subject);
        let EvalOptions { size, batch, ref cache, .. } = *self.options;
        let mut kept = cache.open(backbone, self.device, size, wanted).await?;
        let gathering = ImageFeatureExtractor { backbone, wanted, size, batch, device: self.device };
        let train = gathering.gather(train, &mut kept, &mut first_half).await?;
        let mut second_half = async |done| progress(at(first + done)).await;
        let test = gathering.gather(test, &mut kept, &mut second_half).await?;

        let (mut notes, left_out) = told(subject, labelled, &train, &test)?;
        if let (1.., Some(folder)) = (kept.used, cache.folder()) {
            notes.push(format!(
                "{}: features of {} pictures were kept from before in {}",
                subject.name(),
                kept.used,
                folder.display()
            ));
        }
        if let Err(error) = cache.save(&kept) {
            // Who can't write there still gets figures.
            notes.push(format!("{}: features are not kept for the next time: {error}", subject.name()));
        }
        let sets = TrainTestFeatures { train, test, notes, left_out };
        if subject == EvalSubject::Weights {
            self.dump(&sets)?;
        }
        Ok(sets)
    }

    fn dump(&self, sets: &TrainTestFeatures) -> Result<(), AnalysisError> {
        let Some(folder) = &self.options.dump else { return Ok(()) };
        let made = files::create_dir_all(folder);
        made.map_err(|source| AnalysisError::Write { path: folder.display().to_string(), source })?;
        for (half, set) in [("train", &sets.train), ("test", &sets.test)] {
            let count = set.labels.len();
            let labels: Vec<f32> = set.labels.iter().map(|label| *label as f32).collect();
            npy::write(&folder.join(format!("{half}_features.npy")), &[count, set.dim], &set.features)?;
            npy::write(&folder.join(format!("{half}_labels.npy")), &[count], &labels)?;
        }
        Ok(())
    }
}

/// What is said of labelled pictures once, with the weights: how they were chosen, and which could not be used.
///
/// # Errors
/// When no picture of a half can be used: names the first, and why.
pub(super) fn told(
    subject: EvalSubject,
    labelled: &LabelledSplit,
    train: &FeatureSet,
    test: &FeatureSet,
) -> Result<(Vec<String>, Vec<UnusableInput>), DataError> {
    if subject != EvalSubject::Weights {
        return Ok((Vec::new(), Vec::new()));
    }
    for half in [train, test] {
        if let (true, Some((name, reason))) = (half.labels.is_empty(), half.skipped.first()) {
            let count = half.skipped.len();
            let reason = format!("{reason} (none of {count} pictures can be used; this is the first)");
            return Err(DataError::Source { path: name.clone(), reason });
        }
    }
    let notes = labelled.train.notes().iter().chain(labelled.test.notes()).cloned().collect();
    let left_out = train.skipped.iter().chain(&test.skipped).cloned().map(UnusableInput::new).collect();
    Ok((notes, left_out))
}

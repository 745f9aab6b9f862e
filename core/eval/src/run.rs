//! k-NN of a backbone on labelled pictures, as a run measures itself with it.

use burn::tensor::{Device, ExecutionError};

use super::EvalProtocolError;
use super::gather::{FeatureSet, all_pixels, gather};
use super::knn::{KnnOptions, KnnResult, KnnScore, knn};
use dinoscope_analysis::AnalysisError;
use dinoscope_data::DataError;
use dinoscope_data::source::LabelledSplit;
use dinoscope_model::Vit;
use dinoscope_model::features::ImageFeatureSpec;

/// Neighbours of the accuracy that is quoted where one number has to do; fixed, so that runs compare.
pub const HEADLINE_K: usize = 20;

/// Why an evaluation failed.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// Features, labels or options that can't be used, or a person who stopped it.
    #[error(transparent)]
    Protocol(#[from] EvalProtocolError),
    /// The device failed while its memory was read.
    #[error("the device failed during evaluation: {0}")]
    Device(#[from] ExecutionError),
    /// Pictures and what is known of them do not belong together.
    #[error(transparent)]
    Data(#[from] DataError),
    /// What was found can't be drawn or written.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
}

impl EvaluationError {
    /// Whether someone asked it to stop, which is no fault.
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Protocol(EvalProtocolError::Stopped))
    }
}

/// The score with [`HEADLINE_K`] neighbours, or the nearest count that was measured.
pub fn headline(result: &KnnResult) -> Option<&KnnScore> {
    result.scores.iter().min_by_key(|s| s.k.abs_diff(HEADLINE_K))
}

/// Scores of an evaluation, and the pictures it could not load (name, reason).
#[derive(Clone, Debug)]
pub struct KnnEvaluation {
    /// Accuracies.
    pub result: KnnResult,
    /// Name and reason of pictures that were left out.
    pub skipped: Vec<(String, String)>,
}

/// k-NN on the CLS features of `backbone`. `progress` hears pictures done and pictures in all, and answers whether to go on.
///
/// # Errors
/// See [`EvaluationError`].
pub async fn knn_of_backbone(
    backbone: &Vit,
    labelled: &LabelledSplit,
    size: usize,
    batch: usize,
    device: &Device,
    mut progress: impl AsyncFnMut(usize, usize) -> bool,
) -> Result<KnnEvaluation, EvaluationError> {
    let (train, test) = (labelled.train.as_ref(), labelled.test.as_ref());
    let (first, all) = (train.len(), train.len() + test.len());
    let mut on_progress = async |done| progress(done, all).await;
    let train =
        gather(backbone, train, ImageFeatureSpec::CLS, (size, batch), device, &mut on_progress).await?;
    let mut on_progress = async |done| progress(first + done, all).await;
    let test = gather(backbone, test, ImageFeatureSpec::CLS, (size, batch), device, &mut on_progress).await?;
    score(train, test, labelled)
}

/// k-NN on raw pixels of the same views: what no learning gives.
///
/// # Errors
/// See [`EvaluationError`].
pub fn knn_of_pixels(labelled: &LabelledSplit, size: usize) -> Result<KnnEvaluation, EvaluationError> {
    let (train, test) = (labelled.train.as_ref(), labelled.test.as_ref());
    score(all_pixels(train, size), all_pixels(test, size), labelled)
}

fn score(
    train: FeatureSet,
    test: FeatureSet,
    labelled: &LabelledSplit,
) -> Result<KnnEvaluation, EvaluationError> {
    let classes = labelled.train.classes().len();
    let result = knn(&train.view(), &test.view(), classes, &KnnOptions::default(), &mut |_, _| true)?;
    Ok(KnnEvaluation { result, skipped: [train.skipped, test.skipped].concat() })
}

//! k-NN of a backbone on labelled pictures, against raw pixels and other backbones.

use burn::tensor::{Device, ExecutionError};

use super::EvalError;
use super::knn::{Features, KnnOptions, KnnResult, KnnScore, knn};
use crate::features::{Collected, collect_cls, collect_pixels};
use crate::model::Vit;
use crate::train::sources::Labelled;

/// Neighbours of the accuracy that is quoted where one number has to do; fixed, so that runs compare.
pub const HEADLINE_K: usize = 20;

/// Why an evaluation failed.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// Features or labels that k-NN can't use.
    #[error("k-NN: {0}")]
    Knn(#[from] EvalError),
    /// The device failed while its memory was read.
    #[error("the device failed during evaluation: {0}")]
    Device(#[from] ExecutionError),
}

/// The score with [`HEADLINE_K`] neighbours, or the nearest count that was measured.
pub fn headline(result: &KnnResult) -> Option<&KnnScore> {
    result.scores.iter().min_by_key(|s| s.k.abs_diff(HEADLINE_K))
}

/// Scores of an evaluation, and the pictures it could not load (name, reason).
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// Accuracies.
    pub result: KnnResult,
    /// Name and reason of pictures that were left out.
    pub skipped: Vec<(String, String)>,
}

/// k-NN on the CLS features of `backbone`. `progress` hears pictures done and pictures in all.
///
/// # Errors
/// See [`EvaluationError`].
pub async fn knn_of_backbone(
    backbone: &Vit,
    labelled: &Labelled,
    size: usize,
    batch: usize,
    device: &Device,
    mut progress: impl AsyncFnMut(usize, usize),
) -> Result<Evaluated, EvaluationError> {
    let (train, test) = (labelled.train.as_ref(), labelled.test.as_ref());
    let (first, all) = (train.len(), train.len() + test.len());
    let train =
        collect_cls(backbone, train, size, batch, device, async |done| progress(done, all).await).await?;
    let test =
        collect_cls(backbone, test, size, batch, device, async |done| progress(first + done, all).await)
            .await?;
    score(train, test, labelled)
}

/// k-NN on raw pixels of the same views: what no learning gives.
///
/// # Errors
/// See [`EvaluationError`].
pub fn knn_of_pixels(labelled: &Labelled, size: usize) -> Result<Evaluated, EvaluationError> {
    let train = collect_pixels(labelled.train.as_ref(), size);
    let test = collect_pixels(labelled.test.as_ref(), size);
    score(train, test, labelled)
}

fn score(train: Collected, test: Collected, labelled: &Labelled) -> Result<Evaluated, EvaluationError> {
    let classes = labelled.train.classes().len();
    let dim = train.features.len() / train.labels.len().max(1);
    let (of_train, of_test) = (
        Features { dim, data: &train.features, labels: &train.labels },
        Features { dim, data: &test.features, labels: &test.labels },
    );
    let result = knn(&of_train, &of_test, classes, &KnnOptions::default(), &mut |_, _| true)?;
    Ok(Evaluated { result, skipped: [train.skipped, test.skipped].concat() })
}

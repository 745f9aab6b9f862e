//! Features of whole pictures, each at its own shape: what instance retrieval looks at elsewhere.

use super::super::EvalProtocolError;
use super::super::gather::FeatureSet;
use super::super::run::EvaluationError;
use super::super::suite::{EvalContext, EvalProgress, EvalSubject, TrainTestFeatures, told};
use dinoscope_data::source::LabelledSplit;
use dinoscope_data::source::PictureSource;
use dinoscope_model::Vit;
use dinoscope_model::features::{ImageFeatureSpec, embed, reason, whole_view};

/// CLS features of both halves, one picture at a time. Nothing is kept for another evaluation.
pub(super) async fn sets(
    judge: &EvalContext<'_>,
    subject: EvalSubject,
    labelled: &LabelledSplit,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<TrainTestFeatures, EvaluationError> {
    let backbone = &*judge.backbone_of(subject);
    let total = labelled.train.len() + labelled.test.len();
    let mut halves = Vec::new();
    let mut before = 0;
    for source in [&labelled.train, &labelled.test] {
        let mut hear = async |done| {
            progress(EvalProgress { subject: subject.name(), doing: "features", done: before + done, total })
                .await
        };
        halves.push(collect(judge, backbone, source.as_ref(), &mut hear).await?);
        before += source.len();
    }
    let test = halves.pop().unwrap_or_default();
    let train = halves.pop().unwrap_or_default();
    let (notes, left_out) = told(subject, labelled, &train, &test)?;
    Ok(TrainTestFeatures { train, test, notes, left_out })
}

async fn collect(
    judge: &EvalContext<'_>,
    backbone: &Vit,
    source: &dyn PictureSource,
    hear: &mut impl AsyncFnMut(usize) -> bool,
) -> Result<FeatureSet, EvaluationError> {
    let config = &backbone.config;
    let mut out = FeatureSet { dim: config.dim, ..FeatureSet::default() };
    for index in 0..source.len() {
        match source.load(index) {
            Ok(picture) => {
                let view = whole_view(&picture, judge.options.size, config.patch);
                let row = embed(backbone, &[view], ImageFeatureSpec::CLS, judge.device).await?;
                out.features.extend(row);
                out.labels.push(index as u32);
            }
            Err(error) => out.skipped.push((source.name(index), reason(&error))),
        }
        if !hear(index + 1).await {
            return Err(EvalProtocolError::Stopped.into());
        }
    }
    Ok(out)
}

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
    context: &EvalContext<'_>,
    subject: EvalSubject,
    labelled: &LabelledSplit,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<TrainTestFeatures, EvaluationError> {
    let backbone = &*context.backbone_of(subject);
    let total = labelled.train.len() + labelled.test.len();
    let mut halves = Vec::new();
    let mut before = 0;
    for source in [&labelled.train, &labelled.test] {
        let mut on_progress = async |done| {
            progress(EvalProgress { subject: subject.name(), doing: "features", done: before + done, total })
                .await
        };
        halves.push(collect(context, backbone, source.as_ref(), &mut on_progress).await?);
        before += source.len();
    }
    let test = halves.pop().unwrap_or_default();
    let train = halves.pop().unwrap_or_default();
    let (notes, left_out) = told(subject, labelled, &train, &test)?;
    Ok(TrainTestFeatures { train, test, notes, left_out })
}

async fn collect(
    context: &EvalContext<'_>,
    backbone: &Vit,
    source: &dyn PictureSource,
    on_progress: &mut impl AsyncFnMut(usize) -> bool,
) -> Result<FeatureSet, EvaluationError> {
    let config = &backbone.config;
    let mut out = FeatureSet { dim: config.dim, ..FeatureSet::default() };
    for index in 0..source.len() {
        match source.load(index) {
            Ok(picture) => {
                let view = whole_view(&picture, context.options.size, config.patch);
                let row = embed(backbone, &[view], ImageFeatureSpec::CLS, context.device).await?;
                out.features.extend(row);
                out.labels.push(index as u32);
            }
            Err(error) => out.skipped.push((source.name(index), reason(&error))),
        }
        if !on_progress(index + 1).await {
            return Err(EvalProtocolError::Stopped.into());
        }
    }
    Ok(out)
}

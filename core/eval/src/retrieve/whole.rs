//! Features of whole pictures, each at its own shape: what instance retrieval looks at elsewhere.

use super::super::EvalError;
use super::super::gather::Collected;
use super::super::run::EvaluationError;
use super::super::suite::{Judge, Progress, Sets, Subject, told};
use dinoscope_data::source::Labelled;
use dinoscope_data::source::Source;
use dinoscope_model::Vit;
use dinoscope_model::features::{Wanted, embed, reason, whole_view};

/// CLS features of both halves, one picture at a time. Nothing is kept for another evaluation.
pub(super) async fn sets(
    judge: &Judge<'_>,
    subject: Subject,
    labelled: &Labelled,
    progress: &mut impl AsyncFnMut(Progress) -> bool,
) -> Result<Sets, EvaluationError> {
    let backbone = &*judge.backbone_of(subject);
    let total = labelled.train.len() + labelled.test.len();
    let mut halves = Vec::new();
    let mut before = 0;
    for source in [&labelled.train, &labelled.test] {
        let mut hear = async |done| {
            progress(Progress { subject: subject.name(), doing: "features", done: before + done, total })
                .await
        };
        halves.push(collect(judge, backbone, source.as_ref(), &mut hear).await?);
        before += source.len();
    }
    let test = halves.pop().unwrap_or_default();
    let train = halves.pop().unwrap_or_default();
    let (notes, left_out) = told(subject, labelled, &train, &test)?;
    Ok(Sets { train, test, notes, left_out })
}

async fn collect(
    judge: &Judge<'_>,
    backbone: &Vit,
    source: &dyn Source,
    hear: &mut impl AsyncFnMut(usize) -> bool,
) -> Result<Collected, EvaluationError> {
    let config = &backbone.config;
    let mut out = Collected { dim: config.dim, ..Collected::default() };
    for index in 0..source.len() {
        match source.load(index) {
            Ok(picture) => {
                let view = whole_view(&picture, judge.options.size, config.patch);
                let row = embed(backbone, &[view], Wanted::CLS, judge.device).await?;
                out.features.extend(row);
                out.labels.push(index as u32);
            }
            Err(error) => out.skipped.push((source.name(index), reason(&error))),
        }
        if !hear(index + 1).await {
            return Err(EvalError::Stopped.into());
        }
    }
    Ok(out)
}

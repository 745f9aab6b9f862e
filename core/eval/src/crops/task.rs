//! Crop retrieval as an evaluation: from pictures to figures.

use std::sync::Arc;

use super::super::numbered::from;
use super::super::outcome::{EvalMetric, EvalReport, EvalTableRow, UnusableInput};
use super::super::run::EvaluationError;
use super::super::suite::{EvalContext, EvalProgress, EvalSubject};
use super::super::{EvalProtocolError, crops::CropPairs};
use dinoscope_data::augment::CropRecipe;
use dinoscope_data::source::PictureSource;

/// What is asked: how often crops of these pictures find each other. Labels are not needed.
#[derive(Clone)]
pub struct CropRetrievalTask {
    /// The pictures.
    pub source: Arc<dyn PictureSource>,
    /// Most pictures that are looked at.
    pub most: usize,
}

pub(in super::super) async fn evaluate(
    context: &EvalContext<'_>,
    task: &CropRetrievalTask,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<EvalReport, EvaluationError> {
    let options = context.options;
    let recipe = CropRecipe { global_size: options.size, ..CropRecipe::default() };
    let pairs = CropPairs::new(task.source.as_ref(), recipe, options.seed, task.most);
    let mut out = EvalReport::of("Crop retrieval");
    for &subject in EvalSubject::all(options.alone) {
        let mut on_progress = async |done, total| {
            progress(EvalProgress { subject: subject.name(), doing: "crops", done, total }).await
        };
        let measured = match subject {
            EvalSubject::RawPixels => pairs.of_pixels(&mut on_progress).await?,
            _ => {
                let backbone = &*context.backbone_of(subject);
                pairs.of_backbone(backbone, options.batch, context.device, &mut on_progress).await?
            }
        };
        let top1 = measured.accuracy().ok_or(EvalProtocolError::Empty("second picture"))?;
        out.rows.push(EvalTableRow {
            subject: subject.name().to_owned(),
            setting: String::new(),
            figures: vec![EvalMetric::accuracy("top-1", top1)],
        });
        if subject == EvalSubject::Weights {
            let from = from(task.source.as_ref());
            out.data = format!("{} pictures, two crops of each{from}", top1.total);
            out.left_out.extend(measured.skipped.into_iter().map(UnusableInput::new));
            if pairs.len() < task.source.len() {
                out.notes.push(format!(
                    "{} of {} pictures, from all over them: crops are found less easily among more",
                    pairs.len(),
                    task.source.len()
                ));
            }
        }
    }
    Ok(out)
}

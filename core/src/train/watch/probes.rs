//! What is measured during a run beside k-NN: heads that learn on the features as they are.

use crate::data::decode::DecodeOptions;
use crate::data::source::LabelledSplit;
use crate::data::source::builtin::BuiltinPictures;
use crate::data::source::dense::{DenseFolder, DenseReadOptions, DenseSplit, DenseTruthKind};
use crate::eval::catalogue::EvalTask;
use crate::eval::catalogue::EvaluationKind;
use crate::eval::dense::default_window;
use crate::eval::depth::DepthTask;
use crate::eval::segment::SegmentTask;
use crate::eval::whole::linear::LinearTask;
use crate::train::feed::preparation::decode_options;
use crate::train::recipe::Recipe;

/// Built-in scenes to learn from, and to test.
const SCENES: (usize, usize) = (240, 120);

/// The evaluations that a recipe asks for, each with its kind; those that can't be made with the reason.
pub fn tasks(
    recipe: &Recipe,
    labelled: Option<&LabelledSplit>,
) -> Vec<(EvaluationKind, Result<EvalTask, String>)> {
    let wanted = &recipe.evaluate;
    let mut tasks = Vec::new();
    if wanted.linear {
        let task = labelled.cloned().map(|labelled| EvalTask::Linear(labelled, LinearTask::default()));
        tasks.push((EvaluationKind::Linear, task.ok_or_else(|| "these pictures have no classes".to_owned())));
    }
    if wanted.segment {
        let task = SegmentTask::default();
        tasks.push((
            EvaluationKind::Segment,
            dense(recipe, DenseTruthKind::Classes).map(|data| EvalTask::Segment(data, task)),
        ));
    }
    if wanted.depth {
        let task = DepthTask::default();
        tasks.push((
            EvaluationKind::Depth,
            dense(recipe, DenseTruthKind::Depth).map(|data| EvalTask::Depth(data, task)),
        ));
    }
    tasks
}

fn dense(recipe: &Recipe, truth: DenseTruthKind) -> Result<DenseSplit, String> {
    let path = &recipe.evaluate.dense;
    if let Some(BuiltinPictures::Scenes(kind)) = BuiltinPictures::named(path)? {
        let side = default_window(&recipe.backbone());
        let kind = kind.unwrap_or(recipe.data.scene_kind);
        return Ok(DenseSplit::scenes(kind, SCENES.0, SCENES.1, side));
    }
    let unit = recipe.evaluate.depth_unit.parse()?;
    let reading = DenseReadOptions {
        unit,
        decode: DecodeOptions { least: None, ..decode_options(recipe) },
        ..DenseReadOptions::default()
    };
    DenseFolder::split(path.as_ref(), truth, reading, recipe.train.seed).map_err(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_measured_says_why() {
        let pairs = ["evaluate.linear=true", "evaluate.depth=true", "evaluate.dense=no/such/folder"];
        let recipe = Recipe::preset("nano").unwrap().with_overrides(&pairs.map(str::to_owned)).unwrap();
        let tasks = tasks(&recipe, None);
        let reasons: Vec<(&str, &str)> =
            tasks.iter().map(|(kind, task)| (kind.id(), task.as_ref().err().unwrap().as_str())).collect();
        assert_eq!(reasons[0], ("linear", "these pictures have no classes"));
        assert!(reasons[1].0 == "depth" && reasons[1].1.contains("no/such/folder"), "{reasons:?}");
    }
}

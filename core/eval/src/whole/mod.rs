//! Protocols on features of whole pictures, from labelled pictures to an [`EvalReport`].

pub mod knn;
pub mod linear;
pub mod logistic;

use super::Accuracy;
use super::outcome::EvalMetric;
use super::suite::TrainTestFeatures;
use dinoscope_data::source::LabelledSplit;

/// `1200 pictures to learn from, 600 to test, 12 classes; learns from root/train, tests on root/val`
fn description(sets: &TrainTestFeatures, labelled: &LabelledSplit) -> String {
    let (train, test) = (sets.train.labels.len(), sets.test.labels.len());
    let classes = labelled.train.classes().len();
    let learns = labelled.train.origin().map(|from| format!("learns from {from}"));
    let judges = labelled.test.origin().filter(|from| labelled.train.origin() != Some(*from));
    let halves: Vec<String> =
        learns.into_iter().chain(judges.map(|from| format!("tests on {from}"))).collect();
    let halves = if halves.is_empty() { String::new() } else { format!("; {}", halves.join(", ")) };
    format!("{train} pictures to learn from, {test} to test, {classes} classes{halves}")
}

/// The share that was right, and the share that was right among five answers, where there are more than five.
fn accuracies(top1: Accuracy, top5: Accuracy, classes: usize) -> Vec<EvalMetric> {
    let mut figures = vec![EvalMetric::accuracy("top-1", top1)];
    if classes > 5 {
        figures.push(EvalMetric::accuracy("top-5", top5));
    }
    figures
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::tensor::Device;

    use super::super::catalogue::{EvalTask, evaluate};
    use super::super::outcome::EvalReport;
    use super::super::run::EvaluationError;
    use super::super::suite::EvalOptions;
    use super::*;
    use dinoscope_base::device::block_on;
    use dinoscope_data::source::scenes::ScenesSource;
    use dinoscope_model::{Vit, VitConfig};

    /// Scenes to learn from and others to test, 28 pixels wide.
    pub(super) fn scenes(train: usize, test: usize) -> LabelledSplit {
        LabelledSplit {
            train: Arc::new(ScenesSource::new(1, train, 28)),
            test: Arc::new(ScenesSource::new(2, test, 28)),
        }
    }

    /// A small backbone that takes them.
    pub(super) fn backbone(depth: usize) -> Vit {
        Vit::init(&VitConfig::new(28, 14, 12, depth, 2), 5, &Device::flex())
    }

    pub(super) fn judged(task: &EvalTask, options: &EvalOptions) -> Result<EvalReport, EvaluationError> {
        block_on(evaluate(task, &backbone(2), options, &Device::flex(), &mut async |_| true))
    }

    #[test]
    fn what_is_judged_can_be_taken_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new");
        let options = EvalOptions { alone: true, dump: Some(out.clone()), ..EvalOptions::new(28) };
        let task = EvalTask::Knn(scenes(9, 4), knn::KnnTask::default());
        judged(&task, &options).unwrap();
        let read = |name: &str| std::fs::read(out.join(name)).unwrap();
        let header = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..128]).into_owned();
        assert!(header(&read("train_features.npy")).contains("(9, 12)"));
        assert!(header(&read("test_features.npy")).contains("(4, 12)"));
        let labels = read("test_labels.npy");
        assert!(header(&labels).contains("(4,)"));
        let first = scenes(9, 4).test.label(0).unwrap() as f32;
        assert_eq!(labels[128..132], first.to_le_bytes());
        // The linear probe's are wider: two blocks and the mean patch.
        let task =
            linear::LinearTask { length: linear::LinearProbeLength::Iterations(1), ..Default::default() };
        judged(&EvalTask::Linear(scenes(9, 4), task), &options).unwrap();
        assert!(header(&read("train_features.npy")).contains("(9, 36)"));
    }
}

//! Logistic regression on raw CLS tokens, its one option chosen on a tenth of the training pictures.
//!
//! Source: DINOv2's `eval/log_regression.py`: `C` from a grid by the accuracy on a random tenth, then once more on all
//! training pictures. Fits begin where the one with the next smaller `C` ended; that moves no optimum.

use super::super::confusion;
use super::super::descriptors::{DescriptorSizes, PictureDescriptor};
use super::super::knn::{LabelledFeatures, check_pair};
use super::super::linear::tenth;
use super::super::logistic::{
    FeatureSubspace, LogisticDataset, LogisticFit, LogisticFitOptions, LogisticFitter, grid,
};
use super::super::outcome::{EvalMetric, EvalReport, EvalTableRow};
use super::super::run::EvaluationError;
use super::super::suite::{EvalContext, EvalProgress, EvalSubject, TrainTestFeatures};
use super::super::{Accuracy, EvalProtocolError};
use super::{accuracies, description};
use dinoscope_data::source::LabelledSplit;
use dinoscope_model::features::ImageFeatureSpec;

/// Moves from one report to the next.
const REPORT: usize = 20;
/// The last fit goes this much further than those that only choose.
const FINER: f64 = 0.01;

/// What is asked of the logistic regression.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LogisticTask {
    /// Values of `C` to choose from: scikit-learn's, the weight of the losses against `½ |W|²`.
    pub cs: Vec<f64>,
    /// How far fits go while `C` is chosen; the last one goes on to a hundredth of the tolerance.
    pub fit: LogisticFitOptions,
}

impl Default for LogisticTask {
    fn default() -> Self {
        Self { cs: grid(), fit: LogisticFitOptions::default() }
    }
}

pub(in super::super) async fn evaluate(
    context: &EvalContext<'_>,
    labelled: &LabelledSplit,
    task: &LogisticTask,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<EvalReport, EvaluationError> {
    let mut out = EvalReport::of("Logistic regression");
    let classes = labelled.train.classes();
    for &subject in EvalSubject::of_pictures(context.options.alone) {
        let sets =
            context.sets(subject, labelled, ImageFeatureSpec::CLS, DescriptorSizes::PROBE, progress).await?;
        check_pair(&sets.train.view(), &sets.test.view(), classes.len())?;
        let regression =
            LogisticRegression { task, classes: classes.len(), seed: context.options.seed, subject };
        let found = regression.run(&sets, progress).await?;
        let mut figures = accuracies(found.top1, found.top5, classes.len());
        figures.push(EvalMetric::accuracy("held-out top-1", found.held_out));
        let descriptor = context.descriptor(subject, DescriptorSizes::PROBE);
        let what = descriptor.map_or_else(|| "CLS".to_owned(), PictureDescriptor::words);
        let setting = format!("{what}, C {:.3e}", found.c);
        out.rows.push(EvalTableRow { subject: subject.name().to_owned(), setting, figures });
        out.notes.extend(sets.notes.iter().cloned());
        out.left_out.extend(sets.left_out.iter().cloned());
        if !found.arrived {
            out.notes.push(format!(
                "{}: the last fit ended after {} moves, before the gradient was as small as asked",
                subject.name(),
                task.fit.moves
            ));
        }
        if subject == EvalSubject::Weights {
            out.data = description(&sets, labelled);
            out.notes.push(format!(
                "C chosen from {} on {} training pictures, then all were fitted",
                task.cs.len(),
                found.held_out.total
            ));
            let (shown, notes) = confusion::shown(&found.predictions, &sets.test.labels, classes)?;
            out.pictures.push(shown);
            out.notes.extend(notes);
        }
    }
    Ok(out)
}

/// The regression of one subject.
struct LogisticRegression<'a> {
    task: &'a LogisticTask,
    classes: usize,
    seed: u64,
    subject: EvalSubject,
}

/// What came of it.
struct LogisticResult {
    c: f64,
    held_out: Accuracy,
    top1: Accuracy,
    top5: Accuracy,
    predictions: Vec<u32>,
    arrived: bool,
}

impl LogisticRegression<'_> {
    async fn run(
        &self,
        sets: &TrainTestFeatures,
        progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
    ) -> Result<LogisticResult, EvaluationError> {
        let (train, test) = (sets.train.view(), sets.test.view());
        let (held, rest) = tenth(train.labels.len(), self.seed);
        if rest.is_empty() {
            return Err(EvalProtocolError::Empty("training pictures beside those that are held out").into());
        }
        let mut cs = self.task.cs.clone();
        cs.sort_by(f64::total_cmp);
        let steps = cs.len() + 1;

        let space = FeatureSubspace::new(&train);
        let of = |set: &LabelledFeatures<'_>, rows: &[usize]| {
            LogisticDataset::new(set, rows, self.classes, &space)
        };
        let every = |set: &LabelledFeatures<'_>| of(set, &(0..set.labels.len()).collect::<Vec<_>>());
        let (most, few) = (of(&train, &rest), of(&train, &held));
        let mut ground = LogisticFitter::new(&most);
        let mut weights = most.start();
        let mut best: Option<(Accuracy, f64, Vec<f64>)> = None;
        for (done, &c) in cs.iter().enumerate() {
            weights = self.fit(ground.fit(c, weights, self.task.fit)?, done, steps, progress).await?.0;
            let (top1, _) = few.score(&weights);
            // Among equals the smallest C, as in the reference.
            if best.as_ref().is_none_or(|(before, ..)| top1.correct > before.correct) {
                best = Some((top1, c, weights.clone()));
            }
        }
        let Some((held_out, c, weights)) = best else {
            return Err(EvalProtocolError::Empty("values of C").into());
        };
        drop(most);

        let all = every(&train);
        let options = LogisticFitOptions { tolerance: FINER * self.task.fit.tolerance, ..self.task.fit };
        let last = LogisticFitter::new(&all).fit(c, weights, options)?;
        let (weights, arrived) = self.fit(last, cs.len(), steps, progress).await?;
        let judged = every(&test);
        let (top1, top5) = judged.score(&weights);
        Ok(LogisticResult { c, held_out, top1, top5, predictions: judged.predictions(&weights), arrived })
    }

    /// Weights of a fit, and whether they are the optimum.
    async fn fit(
        &self,
        mut fit: LogisticFit<'_>,
        done: usize,
        total: usize,
        progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
    ) -> Result<(Vec<f64>, bool), EvaluationError> {
        loop {
            let more = fit.go_on(REPORT);
            let done = if more { done } else { done + 1 };
            if !progress(EvalProgress { subject: self.subject.name(), doing: "fits", done, total }).await {
                return Err(EvalProtocolError::Stopped.into());
            }
            if !more {
                return Ok(fit.finish());
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{backbone, judged, scenes};
    use super::*;
    use crate::catalogue::{self, EvalTask};
    use crate::suite::EvalOptions;
    use burn::tensor::Device;
    use dinoscope_base::device::block_on;

    fn quick() -> LogisticTask {
        LogisticTask { cs: vec![1.0, 1e-3, 1e3], ..LogisticTask::default() }
    }

    #[test]
    fn every_subject_has_one_line_with_its_c() {
        let outcome = judged(&EvalTask::Logistic(scenes(60, 30), quick()), &EvalOptions::new(28)).unwrap();
        let subjects: Vec<&str> = outcome.rows.iter().map(|row| row.subject.as_str()).collect();
        assert_eq!(subjects, ["weights", "untrained", "raw pixels", "colour histogram", "HOG"]);
        for row in &outcome.rows {
            let chosen = ["C 1.000e0", "C 1.000e-3", "C 1.000e3"].iter().any(|c| row.setting.ends_with(c));
            assert!(chosen && row.figures[0].interval.is_some() && row.figures.len() == 3, "{row:?}");
        }
        assert!(outcome.notes[0].contains("C chosen from 3 on 6 training pictures"), "{:?}", outcome.notes);
        assert_eq!(outcome.pictures[0].name, "confusion");
    }

    #[test]
    fn equal_choices_take_the_smallest_c_and_bad_ones_are_refused() {
        // Every picture is learned from and held out at once by how few there are of each kind: one class only.
        let options = EvalOptions { alone: true, ..EvalOptions::new(28) };
        let none = LogisticTask { cs: Vec::new(), ..quick() };
        assert!(judged(&EvalTask::Logistic(scenes(20, 5), none), &options).is_err());
        let bad = LogisticTask { cs: vec![-1.0], ..quick() };
        let error = judged(&EvalTask::Logistic(scenes(20, 5), bad), &options).unwrap_err();
        assert!(error.to_string().contains("C is -1"), "{error}");
        // At these the weights are zero: the intercepts alone decide, and all are equal.
        let tiny = LogisticTask { cs: vec![3e-12, 1e-12, 2e-12], ..quick() };
        let outcome = judged(&EvalTask::Logistic(scenes(40, 5), tiny), &options).unwrap();
        assert!(outcome.rows[0].setting.ends_with("C 1.000e-12"), "{:?}", outcome.rows);
    }

    #[test]
    fn it_stops_between_moves() {
        let device = Device::flex();
        let mut on_progress = async |at: EvalProgress| at.doing != "fits";
        let task = EvalTask::Logistic(scenes(20, 5), quick());
        let stopped = block_on(catalogue::evaluate(
            &task,
            &backbone(1),
            &EvalOptions::new(28),
            &device,
            &mut on_progress,
        ));
        assert!(stopped.unwrap_err().is_stopped());
    }
}

//! Weighted nearest neighbours on CLS tokens, with all of the training pictures or with a few of each class.

use super::super::descriptors::DescriptorSizes;
use super::super::knn::{
    FewShotSubset, KnnEvaluator, KnnOptions, KnnResult, KnnScore, check_pair, mean_top1,
};
use super::super::outcome::{EvalMetric, EvalMetricUnit, EvalReport, EvalTableRow};
use super::super::run::{EvaluationError, headline};
use super::super::suite::{EvalContext, EvalProgress, EvalSubject, TrainTestFeatures};
use super::super::{EvalProtocolError, suite};
use super::{accuracies, description};
use dinoscope_data::source::LabelledSplit;
use dinoscope_model::features::ImageFeatureSpec;

/// What is asked of nearest neighbours.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct KnnTask {
    /// Numbers of neighbours and the temperature.
    pub options: KnnOptions,
    /// A few pictures of each class instead of all.
    pub few: Option<FewShotOptions>,
}

/// A training set reduced at random, several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FewShotOptions {
    /// Pictures of each class.
    pub per_class: usize,
    /// How often they are drawn.
    pub tries: usize,
}

pub(in super::super) async fn evaluate(
    context: &EvalContext<'_>,
    labelled: &LabelledSplit,
    task: &KnnTask,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<EvalReport, EvaluationError> {
    let mut out = EvalReport::of("Nearest neighbours");
    for &subject in EvalSubject::of_pictures(context.options.alone) {
        let sets = context
            .sets(subject, labelled, ImageFeatureSpec::CLS, DescriptorSizes::NEIGHBOURS, progress)
            .await?;
        let classes = labelled.train.classes().len();
        let results = look_up(subject, &sets, classes, task, context.options.seed, progress).await?;
        out.rows.extend(rows(subject, &results, task.few.is_some(), classes));
        if subject == EvalSubject::Weights {
            out.data = description(&sets, labelled);
        }
        out.notes.extend(sets.notes);
        out.left_out.extend(sets.left_out);
    }
    match task.few {
        Some(FewShotOptions { per_class, tries }) => {
            out.title = format!("Nearest neighbours, {per_class} pictures of each class");
            out.notes.push(format!("mean and standard deviation of {tries} draws of the training pictures"));
        }
        None => out.notes.push(
            "compare at one k: the best k on the test pictures flatters, so the first line is at a fixed one"
                .to_owned(),
        ),
    }
    Ok(out)
}

/// One result, or one for each try.
async fn look_up(
    subject: EvalSubject,
    sets: &TrainTestFeatures,
    classes: usize,
    task: &KnnTask,
    seed: u64,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<Vec<KnnResult>, EvaluationError> {
    let (train, test) = (sets.train.view(), sets.test.view());
    check_pair(&train, &test, classes)?;
    let tries = match task.few {
        Some(few) if few.tries == 0 => {
            return Err(
                EvalProtocolError::Option { option: "tries", value: 0.0, expected: "1 or more" }.into()
            );
        }
        Some(few) => few.tries,
        None => 1,
    };
    let options = match task.few {
        Some(few) => task.options.of_few(few.per_class)?,
        None => task.options.clone(),
    };
    let mut results = Vec::new();
    for t in 0..tries {
        let few = task
            .few
            .map(|few| FewShotSubset::draw(&train, classes, few.per_class, seed.wrapping_add(t as u64)));
        let cache = few.as_ref().map_or(train, FewShotSubset::features);
        let mut lookup = KnnEvaluator::new(cache, test, classes, &options)?;
        while let Some(done) = lookup.round() {
            let (done, total) = (t * test.labels.len() + done, tries * test.labels.len());
            let at = suite::EvalProgress { subject: subject.name(), doing: "neighbours", done, total };
            if !progress(at).await {
                return Err(EvalProtocolError::Stopped.into());
            }
        }
        results.push(lookup.result());
    }
    Ok(results)
}

/// A line for each number of neighbours, the one to quote first.
fn rows(subject: EvalSubject, results: &[KnnResult], few: bool, classes: usize) -> Vec<EvalTableRow> {
    let Some(first) = results.first() else { return Vec::new() };
    let mut scores: Vec<&KnnScore> = first.scores.iter().collect();
    let quoted = headline(first).map(|score| score.k);
    scores.sort_by_key(|score| Some(score.k) != quoted);
    let row = |score: &KnnScore| EvalTableRow {
        subject: subject.name().to_owned(),
        setting: format!("k {}", score.k),
        figures: match mean_top1(results, score.k).filter(|_| few) {
            Some((mean, deviation)) => vec![
                EvalMetric::plain("mean top-1", mean, EvalMetricUnit::Share),
                EvalMetric::plain("deviation", deviation, EvalMetricUnit::Share),
            ],
            None => accuracies(score.top1, score.top5, classes),
        },
    };
    scores.into_iter().map(row).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::Device;

    use super::super::super::catalogue::{EvalTask, evaluate};
    use super::super::super::suite::EvalOptions;
    use super::super::tests::{backbone, scenes};
    use super::*;
    use dinoscope_base::device::block_on;

    fn judged(task: KnnTask, options: &EvalOptions, stop_at: &str) -> Result<EvalReport, EvaluationError> {
        let mut on_progress = async |at: EvalProgress| at.doing != stop_at;
        let task = EvalTask::Knn(scenes(48, 24), task);
        block_on(evaluate(&task, &backbone(1), options, &Device::flex(), &mut on_progress))
    }

    #[test]
    fn the_weights_come_first_and_their_fixed_k_before_others() {
        let options = KnnOptions { ks: vec![5, 19, 40], ..KnnOptions::default() };
        let task = KnnTask { options, few: None };
        let outcome = judged(task.clone(), &EvalOptions::new(28), "").unwrap();
        let of: Vec<(&str, &str)> =
            outcome.rows.iter().map(|r| (r.subject.as_str(), r.setting.as_str())).collect();
        assert_eq!(
            of[..4],
            [("weights", "k 19"), ("weights", "k 5"), ("weights", "k 40"), ("untrained", "k 19")]
        );
        let first: Vec<&str> = of.iter().step_by(3).map(|row| row.0).collect();
        assert_eq!(first, ["weights", "untrained", "raw pixels", "colour histogram", "HOG"]);
        assert!(of.len() == 15 && of.chunks(3).all(|rows| rows.iter().all(|row| row.0 == rows[0].0)));
        assert_eq!(outcome.data, "48 pictures to learn from, 24 to test, 12 classes");
        assert!(outcome.headline().unwrap().interval.is_some());
        let alone = judged(task, &EvalOptions { alone: true, ..EvalOptions::new(28) }, "").unwrap();
        assert_eq!(alone.rows, outcome.rows[..3]);
    }

    #[test]
    fn few_shot_reports_mean_and_deviation() {
        let task = KnnTask { few: Some(FewShotOptions { per_class: 2, tries: 3 }), ..KnnTask::default() };
        let outcome = judged(task, &EvalOptions { alone: true, ..EvalOptions::new(28) }, "").unwrap();
        assert_eq!(outcome.rows.len(), 1);
        let figures: Vec<&str> = outcome.rows[0].figures.iter().map(|f| f.name.as_str()).collect();
        assert_eq!((outcome.rows[0].setting.as_str(), figures), ("k 2", vec!["mean top-1", "deviation"]));
    }

    #[test]
    fn it_stops_and_refuses() {
        let options = EvalOptions { alone: true, ..EvalOptions::new(28) };
        for stop_at in ["features", "neighbours"] {
            assert!(judged(KnnTask::default(), &options, stop_at).unwrap_err().is_stopped(), "{stop_at}");
        }
        let error = judged(KnnTask::default(), &EvalOptions::new(30), "").unwrap_err();
        assert!(error.to_string().contains("size is 30"), "{error}");
        let none = KnnTask { few: Some(FewShotOptions { per_class: 1, tries: 0 }), ..KnnTask::default() };
        assert!(judged(none, &options, "").is_err());
    }
}

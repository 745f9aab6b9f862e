//! Retrieval as an evaluation: from pictures to figures and strips.

use std::sync::Arc;

use super::super::dense::bootstrap::intervals;
use super::super::descriptors::DescriptorSizes;
use super::super::numbered::{IndexAsLabel, alone, from, with_class};
use super::super::outcome::{
    CaptionedPicture, EvalMetric, EvalMetricUnit, EvalReport, EvalTableRow, UnusableInput,
};
use super::super::run::EvaluationError;
use super::super::suite::{EvalContext, EvalProgress, EvalSubject};
use super::super::{EvalProtocolError, gather::FeatureSet};
use super::{
    FIRST, RelevanceGrade, RelevanceLabels, RetrievalBenchmark, RetrievalProtocol, RetrievalQueryResult,
    RetrievalScore, RetrievalSearch, strips, whole,
};
use dinoscope_data::source::LabelledSplit;
use dinoscope_data::source::{PictureSource, subset::SubsetSource};
use dinoscope_model::features::ImageFeatureSpec;

/// What is asked of retrieval.
#[derive(Clone)]
pub struct RetrieveTask {
    /// Which pictures are right.
    pub sought: RetrievalTarget,
    /// Looks at whole pictures, their shorter side as long as the view's, instead of the square in the middle.
    pub whole: bool,
}

/// Which pictures are right for a query.
#[derive(Clone)]
pub enum RetrievalTarget {
    /// Those of the same class: every picture is a query for all others.
    SameClass(Arc<dyn PictureSource>),
    /// Those that lists name.
    Listed(RetrievalBenchmark),
}

/// Numbers of queries and of the database.
struct RetrievalFeatures {
    queries: FeatureSet,
    database: FeatureSet,
    notes: Vec<String>,
    left_out: Vec<UnusableInput>,
}

/// Which pictures are meant by the labels of [`RetrievalFeatures`].
struct RetrievalDataset {
    queries: Arc<dyn PictureSource>,
    database: Arc<dyn PictureSource>,
    /// `[queries, database]` where lists name what is right.
    grades: Option<Arc<Vec<RelevanceGrade>>>,
}

pub(in super::super) async fn evaluate(
    context: &EvalContext<'_>,
    task: &RetrieveTask,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<EvalReport, EvaluationError> {
    let asked = RetrievalDataset::new(&task.sought)?;
    let protocols: &[RetrievalProtocol] = match asked.grades {
        Some(_) => &[RetrievalProtocol::Medium, RetrievalProtocol::Hard],
        None => &[RetrievalProtocol::Medium],
    };
    let listed = asked.grades.is_some();
    let mut out = EvalReport::of(if listed { "Instance retrieval" } else { "Retrieval of the same class" });
    for &subject in EvalSubject::of_pictures(context.options.alone) {
        let rows = asked.rows(context, subject, task.whole, progress).await?;
        let answers = asked.answers(subject, &rows, protocols, progress).await?;
        for (i, protocol) in protocols.iter().enumerate() {
            let scores: Vec<RetrievalScore> = answers.iter().filter_map(|answer| answer.scores[i]).collect();
            if scores.is_empty() {
                return Err(EvalProtocolError::Empty("queries that have a right picture").into());
            }
            let setting = if protocols.len() > 1 { protocol.name() } else { "" };
            out.rows.push(row(subject, setting, &scores, context.options.seed));
            let without = answers.len() - scores.len();
            if subject == EvalSubject::Weights && without > 0 {
                let setting = if setting.is_empty() { String::new() } else { format!("{setting}: ") };
                out.notes
                    .push(format!("{setting}queries without a right picture, which do not count: {without}"));
            }
        }
        if subject == EvalSubject::Weights {
            out.data = asked.description(&rows);
            out.pictures.extend(asked.strips(&rows, &answers));
        }
        out.notes.extend(rows.notes);
        out.left_out.extend(rows.left_out);
    }
    Ok(out)
}

/// The figures of one protocol.
fn row(subject: EvalSubject, setting: &str, scores: &[RetrievalScore], seed: u64) -> EvalTableRow {
    let names = ["mAP", "mAP@R"];
    let columns: [Vec<f64>; 2] =
        [scores.iter().map(|s| s.average).collect(), scores.iter().map(|s| s.average_at_r).collect()];
    let found = intervals(scores.len(), seed, |times| {
        let mean = |column: &Vec<f64>| {
            let sum: f64 = column.iter().zip(times).map(|(v, times)| v * f64::from(*times)).sum();
            sum / scores.len() as f64
        };
        columns.iter().map(mean).collect()
    });
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let mut figures: Vec<EvalMetric> = names
        .iter()
        .zip(&columns)
        .zip(found)
        .map(|((name, column), interval)| EvalMetric {
            name: (*name).to_owned(),
            value: mean(column),
            interval,
            unit: EvalMetricUnit::Share,
        })
        .collect();
    for (i, first) in FIRST.iter().enumerate() {
        let values: Vec<f64> = scores.iter().map(|score| score.first[i]).collect();
        figures.push(EvalMetric::plain(&format!("mP@{first}"), mean(&values), EvalMetricUnit::Share));
    }
    EvalTableRow { subject: subject.name().to_owned(), setting: setting.to_owned(), figures }
}

impl RetrievalDataset {
    fn new(sought: &RetrievalTarget) -> Result<Self, EvalProtocolError> {
        Ok(match sought {
            RetrievalTarget::SameClass(source) => {
                let labelled = SubsetSource::new(source.clone(), with_class(source.as_ref()));
                let source: Arc<dyn PictureSource> =
                    Arc::new(labelled.ok_or(EvalProtocolError::Empty("labelled pictures"))?);
                Self { queries: source.clone(), database: source, grades: None }
            }
            RetrievalTarget::Listed(truth) => Self {
                queries: truth.queries.clone(),
                database: truth.database.clone(),
                grades: Some(truth.grades.clone()),
            },
        })
    }

    async fn rows(
        &self,
        context: &EvalContext<'_>,
        subject: EvalSubject,
        whole: bool,
        progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
    ) -> Result<RetrievalFeatures, EvaluationError> {
        let labelled = match self.grades {
            Some(_) => LabelledSplit {
                train: Arc::new(IndexAsLabel(self.database.clone())),
                test: Arc::new(IndexAsLabel(self.queries.clone())),
            },
            None => alone(&self.database),
        };
        let sizes = DescriptorSizes::SEARCH;
        let sets = if whole && context.descriptor(subject, sizes).is_none() {
            whole::sets(context, subject, &labelled, progress).await?
        } else {
            context.sets(subject, &labelled, ImageFeatureSpec::CLS, sizes, progress).await?
        };
        let queries = if self.grades.is_some() { sets.test } else { sets.train.clone() };
        Ok(RetrievalFeatures { queries, database: sets.train, notes: sets.notes, left_out: sets.left_out })
    }

    async fn answers(
        &self,
        subject: EvalSubject,
        rows: &RetrievalFeatures,
        protocols: &[RetrievalProtocol],
        progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
    ) -> Result<Vec<RetrievalQueryResult>, EvaluationError> {
        let (queries, database) = (&rows.queries, &rows.database);
        let mut grades = Vec::new();
        let mut labels = Vec::new();
        let known = match &self.grades {
            Some(all) => {
                let pictures = self.database.len();
                for query in &queries.labels {
                    let row = &all[*query as usize * pictures..][..pictures];
                    grades.extend(database.labels.iter().map(|picture| row[*picture as usize]));
                }
                RelevanceLabels::Graded(&grades)
            }
            None => {
                let class = |i: &u32| self.database.label(*i as usize).unwrap_or(usize::MAX) as u32;
                labels.extend(database.labels.iter().map(class));
                RelevanceLabels::SameClass(&labels)
            }
        };
        let mut search = RetrievalSearch::new(
            database.dim,
            &queries.features,
            &database.features,
            known,
            protocols,
            strips::NEAREST,
        )?;
        let total = queries.labels.len();
        while let Some(done) = search.round() {
            let at = EvalProgress { subject: subject.name(), doing: "queries", done, total };
            if !progress(at).await {
                return Err(EvalProtocolError::Stopped.into());
            }
        }
        Ok(search.answers())
    }

    fn description(&self, rows: &RetrievalFeatures) -> String {
        let (queries, pictures) = (rows.queries.labels.len(), rows.database.labels.len());
        match self.grades {
            Some(_) => format!("{queries} queries, {pictures} pictures to find"),
            None => {
                let classes = self.database.classes().len();
                let from = from(self.database.as_ref());
                format!(
                    "{pictures} pictures, each a query for the others of its class, {classes} classes{from}"
                )
            }
        }
    }

    fn class(source: &dyn PictureSource, index: usize) -> String {
        source.label(index).and_then(|label| source.classes().get(label)).cloned().unwrap_or_default()
    }

    /// Queries that were answered well and badly. Pictures that can no longer be loaded are left out.
    fn strips(&self, rows: &RetrievalFeatures, answers: &[RetrievalQueryResult]) -> Option<CaptionedPicture> {
        let averages: Vec<Option<f64>> = answers.iter().map(|a| a.scores[0].map(|s| s.average)).collect();
        let number = |query: usize| rows.queries.labels[query] as usize;
        let class = |query: usize| self.queries.label(number(query)).map(|label| label as u32);
        let (good, bad) = strips::chosen(&averages, class);
        let strip = |query: &usize| -> Option<strips::RetrievalResultRow> {
            let at = number(*query);
            let found = answers[*query].nearest.iter().filter_map(|near| {
                let at = rows.database.labels[near.picture] as usize;
                let picture = self.database.load(at).ok()?;
                Some(strips::RetrievedPicture {
                    picture,
                    near: *near,
                    class: Self::class(self.database.as_ref(), at),
                })
            });
            Some(strips::RetrievalResultRow {
                query: self.queries.load(at).ok()?,
                class: Self::class(self.queries.as_ref(), at),
                average: averages[*query]?,
                found: found.collect(),
            })
        };
        let draw = |queries: &[usize]| queries.iter().filter_map(strip).collect::<Vec<_>>();
        let (good, bad) = (draw(&good), draw(&bad));
        if good.is_empty() {
            return None;
        }
        let (picture, kept) = strips::draw(&good, &bad);
        Some(CaptionedPicture {
            name: "strips".to_owned(),
            caption: "Queries on the left and the pictures that look most like them to the model: those with the best \
                      average precision above, those with the worst below."
                .to_owned(),
            picture,
            kept,
        })
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;

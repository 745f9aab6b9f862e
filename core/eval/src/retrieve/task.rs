//! Retrieval as an evaluation: from pictures to figures and strips.

use std::sync::Arc;

use super::super::dense::bootstrap::intervals;
use super::super::numbered::{Numbered, alone, from, with_class};
use super::super::outcome::{Figure, LeftOut, Outcome, Row, Shown, Unit};
use super::super::run::EvaluationError;
use super::super::suite::{Judge, Progress, Subject};
use super::super::{EvalError, gather::Collected};
use super::{Answer, FIRST, Grade, GroundTruth, Known, Protocol, Score, Search, strips, whole};
use dinoscope_data::source::Labelled;
use dinoscope_data::source::{Source, subset::Subset};
use dinoscope_model::features::Wanted;

/// Raw pixels are compared at this side: coarse pictures are found more easily than fine ones, and much faster.
const PIXELS: usize = 32;

/// What is asked of retrieval.
#[derive(Clone)]
pub struct RetrieveTask {
    /// Which pictures are right.
    pub sought: Sought,
    /// Looks at whole pictures, their shorter side as long as the view's, instead of the square in the middle.
    pub whole: bool,
}

/// Which pictures are right for a query.
#[derive(Clone)]
pub enum Sought {
    /// Those of the same class: every picture is a query for all others.
    SameClass(Arc<dyn Source>),
    /// Those that lists name.
    Listed(GroundTruth),
}

/// Numbers of queries and of the database.
struct Rows {
    queries: Collected,
    database: Collected,
    notes: Vec<String>,
    left_out: Vec<LeftOut>,
}

/// Which pictures are meant by the labels of [`Rows`].
struct Asked {
    queries: Arc<dyn Source>,
    database: Arc<dyn Source>,
    /// `[queries, database]` where lists name what is right.
    grades: Option<Arc<Vec<Grade>>>,
}

pub(in super::super) async fn evaluate(
    judge: &Judge<'_>,
    task: &RetrieveTask,
    progress: &mut impl AsyncFnMut(Progress) -> bool,
) -> Result<Outcome, EvaluationError> {
    let asked = Asked::new(&task.sought)?;
    let protocols: &[Protocol] = match asked.grades {
        Some(_) => &[Protocol::Medium, Protocol::Hard],
        None => &[Protocol::Medium],
    };
    let listed = asked.grades.is_some();
    let mut out = Outcome::of(if listed { "Instance retrieval" } else { "Retrieval of the same class" });
    for &subject in Subject::all(judge.options.alone) {
        let rows = asked.rows(judge, subject, task.whole, progress).await?;
        let answers = asked.answers(subject, &rows, protocols, progress).await?;
        for (i, protocol) in protocols.iter().enumerate() {
            let scores: Vec<Score> = answers.iter().filter_map(|answer| answer.scores[i]).collect();
            if scores.is_empty() {
                return Err(EvalError::Empty("queries that have a right picture").into());
            }
            let setting = if protocols.len() > 1 { protocol.name() } else { "" };
            out.rows.push(row(subject, setting, &scores, judge.options.seed));
            let without = answers.len() - scores.len();
            if subject == Subject::Weights && without > 0 {
                let setting = if setting.is_empty() { String::new() } else { format!("{setting}: ") };
                out.notes
                    .push(format!("{setting}queries without a right picture, which do not count: {without}"));
            }
        }
        if subject == Subject::Weights {
            out.data = asked.description(&rows);
            out.pictures.extend(asked.strips(&rows, &answers));
        }
        out.notes.extend(rows.notes);
        out.left_out.extend(rows.left_out);
    }
    Ok(out)
}

/// The figures of one protocol.
fn row(subject: Subject, setting: &str, scores: &[Score], seed: u64) -> Row {
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
    let mut figures: Vec<Figure> = names
        .iter()
        .zip(&columns)
        .zip(found)
        .map(|((name, column), interval)| Figure {
            name: (*name).to_owned(),
            value: mean(column),
            interval,
            unit: Unit::Share,
        })
        .collect();
    for (i, first) in FIRST.iter().enumerate() {
        let values: Vec<f64> = scores.iter().map(|score| score.first[i]).collect();
        figures.push(Figure::plain(&format!("mP@{first}"), mean(&values), Unit::Share));
    }
    Row { subject: subject.name().to_owned(), setting: setting.to_owned(), figures }
}

impl Asked {
    fn new(sought: &Sought) -> Result<Self, EvalError> {
        Ok(match sought {
            Sought::SameClass(source) => {
                let labelled = Subset::new(source.clone(), with_class(source.as_ref()));
                let source: Arc<dyn Source> =
                    Arc::new(labelled.ok_or(EvalError::Empty("labelled pictures"))?);
                Self { queries: source.clone(), database: source, grades: None }
            }
            Sought::Listed(truth) => Self {
                queries: truth.queries.clone(),
                database: truth.database.clone(),
                grades: Some(truth.grades.clone()),
            },
        })
    }

    async fn rows(
        &self,
        judge: &Judge<'_>,
        subject: Subject,
        whole: bool,
        progress: &mut impl AsyncFnMut(Progress) -> bool,
    ) -> Result<Rows, EvaluationError> {
        let labelled = match self.grades {
            Some(_) => Labelled {
                train: Arc::new(Numbered(self.database.clone())),
                test: Arc::new(Numbered(self.queries.clone())),
            },
            None => alone(&self.database),
        };
        let sets = if whole && subject != Subject::RawPixels {
            whole::sets(judge, subject, &labelled, progress).await?
        } else {
            judge.sets(subject, &labelled, Wanted::CLS, PIXELS, progress).await?
        };
        let queries = if self.grades.is_some() { sets.test } else { sets.train.clone() };
        Ok(Rows { queries, database: sets.train, notes: sets.notes, left_out: sets.left_out })
    }

    async fn answers(
        &self,
        subject: Subject,
        rows: &Rows,
        protocols: &[Protocol],
        progress: &mut impl AsyncFnMut(Progress) -> bool,
    ) -> Result<Vec<Answer>, EvaluationError> {
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
                Known::Graded(&grades)
            }
            None => {
                let class = |i: &u32| self.database.label(*i as usize).unwrap_or(usize::MAX) as u32;
                labels.extend(database.labels.iter().map(class));
                Known::SameClass(&labels)
            }
        };
        let mut search = Search::new(
            database.dim,
            &queries.features,
            &database.features,
            known,
            protocols,
            strips::NEAREST,
        )?;
        let total = queries.labels.len();
        while let Some(done) = search.round() {
            let at = Progress { subject: subject.name(), doing: "queries", done, total };
            if !progress(at).await {
                return Err(EvalError::Stopped.into());
            }
        }
        Ok(search.answers())
    }

    fn description(&self, rows: &Rows) -> String {
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

    fn class(source: &dyn Source, index: usize) -> String {
        source.label(index).and_then(|label| source.classes().get(label)).cloned().unwrap_or_default()
    }

    /// Queries that were answered well and badly. Pictures that can no longer be loaded are left out.
    fn strips(&self, rows: &Rows, answers: &[Answer]) -> Option<Shown> {
        let averages: Vec<Option<f64>> = answers.iter().map(|a| a.scores[0].map(|s| s.average)).collect();
        let number = |query: usize| rows.queries.labels[query] as usize;
        let class = |query: usize| self.queries.label(number(query)).map(|label| label as u32);
        let (good, bad) = strips::chosen(&averages, class);
        let strip = |query: &usize| -> Option<strips::Strip> {
            let at = number(*query);
            let found = answers[*query].nearest.iter().filter_map(|near| {
                let at = rows.database.labels[near.picture] as usize;
                let picture = self.database.load(at).ok()?;
                Some(strips::Shown { picture, near: *near, class: Self::class(self.database.as_ref(), at) })
            });
            Some(strips::Strip {
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
        Some(Shown {
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

//! Retrieval: how high the right pictures stand when a database is ordered by its likeness to a query.
//!
//! Source: revisited Oxford and Paris (Radenović et al. 2018), whose `compute_ap` and `compute_map` define the
//! numbers; mAP@R from Musgrave et al. 2020. The order is that of the cosine of features, ties by position.

mod strips;
mod task;
mod truth;
mod whole;

use super::EvalProtocolError;
use dinoscope_analysis::linalg::{self, LANES, PackedPanels};
use dinoscope_base::parallel;

pub(super) use task::evaluate;
pub use task::{RetrievalTarget, RetrieveTask};
pub use truth::{BenchmarkSource, RetrievalBenchmark};

/// Numbers of first pictures for which a precision is reported.
pub const FIRST: [usize; 3] = [1, 5, 10];

/// How a picture of the database relates to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelevanceGrade {
    /// It shows something else.
    Unrelated,
    /// It shows the same thing, easy to see.
    Easy,
    /// It shows the same thing, hard to see.
    Hard,
    /// Too little of it, or the query itself: it is neither right nor wrong.
    Junk,
}

/// Which grades are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetrievalProtocol {
    /// Easy and hard ones; junk is taken out of the order.
    Medium,
    /// Hard ones alone; easy ones and junk are taken out of the order.
    Hard,
}

impl RetrievalProtocol {
    /// As it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Medium => "Medium",
            Self::Hard => "Hard",
        }
    }

    /// Whether a picture is right; `None` where it is taken out of the order.
    pub fn is_right(self, grade: RelevanceGrade) -> Option<bool> {
        match (self, grade) {
            (_, RelevanceGrade::Unrelated) => Some(false),
            (_, RelevanceGrade::Hard) | (Self::Medium, RelevanceGrade::Easy) => Some(true),
            (_, RelevanceGrade::Junk) | (Self::Hard, RelevanceGrade::Easy) => None,
        }
    }
}

/// How well one query was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RetrievalScore {
    /// Average precision: the area under precision over recall, by the trapezoid rule.
    pub average: f64,
    /// Mean over the first R places, R being the number of right pictures, of the precision where the picture is right.
    pub average_at_r: f64,
    /// Precision among the first [`FIRST`]. As in the source, counting ends with the last right picture.
    pub first: [f64; FIRST.len()],
}

impl RetrievalScore {
    /// The score of an order, `true` where a picture is right; `None` when none is.
    pub fn of(order: impl IntoIterator<Item = bool>) -> Option<Self> {
        let places: Vec<usize> =
            order.into_iter().enumerate().filter(|(_, right)| *right).map(|(place, _)| place).collect();
        let last = *places.last()?;
        let all = places.len();
        let mut score = Self::default();
        for (before, place) in places.iter().enumerate() {
            let precision = (before + 1) as f64 / (place + 1) as f64;
            let just_before = if *place == 0 { 1.0 } else { before as f64 / *place as f64 };
            score.average += (precision + just_before) / 2.0 / all as f64;
            if *place < all {
                score.average_at_r += precision / all as f64;
            }
        }
        for (first, precision) in FIRST.iter().zip(&mut score.first) {
            let within = (*first).min(last + 1);
            *precision = places.iter().filter(|place| **place < within).count() as f64 / within as f64;
        }
        Some(score)
    }
}

/// Where the right pictures of each query are known from.
#[derive(Clone, Copy, Debug)]
pub enum RelevanceLabels<'a> {
    /// Queries are the pictures of the database; those of the same class are easy, the query itself is junk.
    SameClass(&'a [u32]),
    /// A grade for each query and picture of the database, `[queries, database]`.
    Graded(&'a [RelevanceGrade]),
}

impl RelevanceLabels<'_> {
    fn grade(&self, query: usize, picture: usize, pictures: usize) -> RelevanceGrade {
        match self {
            Self::SameClass(_) if query == picture => RelevanceGrade::Junk,
            Self::SameClass(labels) if labels[query] == labels[picture] => RelevanceGrade::Easy,
            Self::SameClass(_) => RelevanceGrade::Unrelated,
            Self::Graded(grades) => grades[query * pictures + picture],
        }
    }
}

/// A picture of the database, near to a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetrievalHit {
    /// Its position in the database.
    pub picture: usize,
    /// The cosine of the two features.
    pub similarity: f32,
    /// Whether it is right, in the first protocol.
    pub right: bool,
}

/// What came of one query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RetrievalQueryResult {
    /// Its score in each protocol; `None` where no picture is right.
    pub scores: Vec<Option<RetrievalScore>>,
    /// The nearest pictures in the first protocol, without those that are taken out.
    pub nearest: Vec<RetrievalHit>,
}

/// Queries that are answered at a time by one thread.
const AT_ONCE: usize = 2 * LANES;

/// Ordering a database by each of many queries, some queries a round.
pub struct RetrievalSearch<'a> {
    dim: usize,
    queries: Vec<f32>,
    database: PackedPanels,
    known: RelevanceLabels<'a>,
    protocols: &'a [RetrievalProtocol],
    shown: usize,
    answers: Vec<RetrievalQueryResult>,
    done: usize,
}

impl<'a> RetrievalSearch<'a> {
    /// Features are `[queries, dim]` and `[database, dim]`, row-major; `shown` nearest pictures are kept for each query.
    ///
    /// # Errors
    /// When one side is empty, lengths do not fit, or a number is not finite.
    pub fn new(
        dim: usize,
        queries: &[f32],
        database: &[f32],
        known: RelevanceLabels<'a>,
        protocols: &'a [RetrievalProtocol],
        shown: usize,
    ) -> Result<Self, EvalProtocolError> {
        for (set, what, data) in [("query", "queries", queries), ("database", "pictures to find", database)] {
            if dim == 0 || data.is_empty() {
                return Err(EvalProtocolError::Empty(what));
            }
            if !data.len().is_multiple_of(dim) {
                let (found, expected) = (data.len() % dim, 0);
                return Err(EvalProtocolError::Shape {
                    what: "numbers left over of features",
                    found,
                    expected,
                });
            }
            if let Some(at) = data.iter().position(|v| !v.is_finite()) {
                return Err(EvalProtocolError::NotFinite { set, index: at / dim });
            }
        }
        let (asked, pictures) = (queries.len() / dim, database.len() / dim);
        let (what, found, expected) = match known {
            RelevanceLabels::SameClass(labels) if asked == pictures => ("labels", labels.len(), pictures),
            RelevanceLabels::SameClass(_) => ("queries that are the database", asked, pictures),
            RelevanceLabels::Graded(grades) => ("grades", grades.len(), asked * pictures),
        };
        if found != expected {
            return Err(EvalProtocolError::Shape { what, found, expected });
        }
        Ok(Self {
            dim,
            queries: linalg::normalise_rows(queries, dim),
            database: PackedPanels::new(&linalg::normalise_rows(database, dim), pictures, dim),
            known,
            protocols,
            shown,
            answers: vec![RetrievalQueryResult::default(); asked],
            done: 0,
        })
    }

    /// Answers some more queries and says how many are done; `None` when all are.
    pub fn round(&mut self) -> Option<usize> {
        const TASKS: usize = 8;
        if self.done == self.answers.len() {
            return None;
        }
        let (start, end) = (self.done, (self.done + AT_ONCE * TASKS).min(self.answers.len()));
        let mut answers = std::mem::take(&mut self.answers);
        parallel::for_chunks(&mut answers[start..end], AT_ONCE, |i, some| {
            self.answer(start + i * AT_ONCE, some);
        });
        self.answers = answers;
        self.done = end;
        Some(end)
    }

    /// An answer for each query, in their order.
    pub fn answers(self) -> Vec<RetrievalQueryResult> {
        self.answers
    }

    fn answer(&self, first: usize, answers: &mut [RetrievalQueryResult]) {
        let (dim, pictures) = (self.dim, self.database.rows());
        let queries = &self.queries[first * dim..(first + answers.len()) * dim];
        let packed = PackedPanels::new(queries, answers.len(), dim);
        let mut similarities = vec![0f32; answers.len() * pictures];
        let mut block = [[0.0; LANES]; LANES];
        for panel in 0..self.database.panels() {
            let lanes = self.database.rows_in(panel);
            for own in 0..packed.panels() {
                packed.block(own, &self.database, panel, &mut block);
                for (row, values) in block[..packed.rows_in(own)].iter().enumerate() {
                    let at = (own * LANES + row) * pictures + panel * LANES;
                    similarities[at..at + lanes].copy_from_slice(&values[..lanes]);
                }
            }
        }
        for ((i, answer), row) in answers.iter_mut().enumerate().zip(similarities.chunks_exact(pictures)) {
            let query = first + i;
            let mut order: Vec<u32> = (0..pictures as u32).collect();
            order.sort_unstable_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b)));
            let graded =
                || order.iter().map(|at| (*at as usize, self.known.grade(query, *at as usize, pictures)));
            let scored = |protocol: &RetrievalProtocol| {
                RetrievalScore::of(graded().filter_map(|(_, g)| protocol.is_right(g)))
            };
            answer.scores = self.protocols.iter().map(scored).collect();
            if let Some(protocol) = self.protocols.first() {
                let kept = graded().filter_map(|(at, grade)| Some((at, protocol.is_right(grade)?)));
                answer.nearest = kept
                    .take(self.shown)
                    .map(|(picture, right)| RetrievalHit { picture, similarity: row[picture], right })
                    .collect();
            }
        }
    }
}

#[cfg(test)]
mod tests;

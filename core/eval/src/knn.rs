//! Weighted nearest neighbours: classification by looking up the most similar training pictures.
//!
//! Source: DINOv2's `eval/knn.py` (from Wu et al. 2018). Features are the final-normed class tokens,
//! L2-normalised; similarity is the cosine; the nearest `max(ks)` training pictures get weights
//! `softmax(similarity / 0.07)` over all of them; the score of a class for one `k` is the sum of the
//! first `k` weights. The search is exact.

use super::{Accuracy, EvalProtocolError};
use dinoscope_analysis::linalg::{self, LANES, PackedPanels};
use dinoscope_base::parallel;
use dinoscope_base::rng::{self, RngExt};

/// Features and labels of a set of pictures.
#[derive(Clone, Copy, Debug)]
pub struct LabelledFeatures<'a> {
    /// Numbers per picture.
    pub dim: usize,
    /// `[pictures, dim]`, row-major; need not be normalised.
    pub data: &'a [f32],
    /// `[pictures]`, each below the number of classes.
    pub labels: &'a [u32],
}

/// The parameters of the protocol.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct KnnOptions {
    /// Numbers of neighbours to report. The largest is also how many neighbours share the softmax.
    /// Those above the size of the training set become that size.
    pub ks: Vec<usize>,
    /// Temperature of the softmax over similarities.
    pub temperature: f32,
}

impl Default for KnnOptions {
    fn default() -> Self {
        Self { ks: vec![10, 20, 100, 200], temperature: 0.07 }
    }
}

/// Accuracy for one number of neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KnnScore {
    /// Neighbours that vote.
    pub k: usize,
    /// The class with the highest score is right.
    pub top1: Accuracy,
    /// The right class is among the five with the highest scores. Classes without a single
    /// neighbour are never counted as predicted.
    pub top5: Accuracy,
}

/// Accuracies for all numbers of neighbours, in rising order.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KnnResult {
    /// One entry a number of neighbours.
    pub scores: Vec<KnnScore>,
}

impl KnnResult {
    /// The entry with the highest top-1 accuracy, the smallest `k` among equals.
    ///
    /// Choosing `k` on the test set flatters a little; compare runs at one fixed `k`.
    pub fn best(&self) -> Option<&KnnScore> {
        self.scores.iter().reduce(|best, s| if s.top1.correct > best.top1.correct { s } else { best })
    }

    /// The entry for `k` neighbours.
    pub fn at(&self, k: usize) -> Option<&KnnScore> {
        self.scores.iter().find(|s| s.k == k)
    }
}

/// Queries that one thread takes at a time; small enough to stay in the processor's cache.
const QUERIES: usize = 4 * LANES;

/// Classifies every test picture by its neighbours in the training set.
///
/// `progress(done, total)` is called on this thread with test pictures finished; returning `false`
/// ends the evaluation with [`EvalProtocolError::Stopped`]. Equal similarities are ordered by position in
/// the training set and equal class scores by class, so the result never depends on threads.
pub fn knn(
    train: &LabelledFeatures<'_>,
    test: &LabelledFeatures<'_>,
    classes: usize,
    options: &KnnOptions,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<KnnResult, EvalProtocolError> {
    let mut lookup = KnnEvaluator::new(*train, *test, classes, options)?;
    while let Some(done) = lookup.round() {
        if !progress(done, test.labels.len()) {
            return Err(EvalProtocolError::Stopped);
        }
    }
    Ok(lookup.result())
}

/// [`knn`] in rounds, so that who waits for it can do something else in between.
pub(super) struct KnnEvaluator<'a> {
    cache: PackedPanels,
    test: LabelledFeatures<'a>,
    vote: KnnVote<'a>,
    ks: Vec<usize>,
    /// For each test picture and each `k`: see [`KnnVote::ranks`].
    ranks: Vec<usize>,
    done: usize,
}

impl<'a> KnnEvaluator<'a> {
    /// Checks everything and makes the training set ready to be searched.
    pub(super) fn new(
        train: LabelledFeatures<'a>,
        test: LabelledFeatures<'a>,
        classes: usize,
        options: &KnnOptions,
    ) -> Result<Self, EvalProtocolError> {
        check_pair(&train, &test, classes)?;
        if !(options.temperature > 0.0 && options.temperature.is_finite()) {
            let value = f64::from(options.temperature);
            return Err(EvalProtocolError::Option { option: "temperature", value, expected: "above 0" });
        }
        let (n, dim) = (train.labels.len(), train.dim);
        let mut ks: Vec<usize> = options.ks.iter().map(|k| (*k).min(n)).collect();
        ks.sort_unstable();
        ks.dedup();
        match ks.first() {
            None => return Err(EvalProtocolError::Empty("numbers of neighbours")),
            Some(0) => {
                return Err(EvalProtocolError::Option { option: "k", value: 0.0, expected: "1 or more" });
            }
            Some(_) => {}
        }
        let cache = PackedPanels::new(&linalg::normalise_rows(train.data, dim), n, dim);
        let vote = KnnVote { labels: train.labels, classes, temperature: options.temperature };
        let ranks = vec![usize::MAX; test.labels.len() * ks.len()];
        Ok(Self { cache, test, vote, ks, ranks, done: 0 })
    }

    /// Some more test pictures; how many are done now, or `None` when all were before.
    pub(super) fn round(&mut self) -> Option<usize> {
        // Many small tasks a round: equal work for all threads.
        let round = QUERIES * 16;
        let (start, total, dim, width) = (self.done, self.test.labels.len(), self.test.dim, self.ks.len());
        if start >= total {
            return None;
        }
        let end = (start + round).min(total);
        let (cache, test, vote, ks) = (&self.cache, &self.test, &self.vote, &self.ks);
        let nearest = ks.last().copied().unwrap_or(1);
        parallel::for_chunks(&mut self.ranks[start * width..end * width], QUERIES * width, |j, ranks| {
            let first = start + j * QUERIES;
            let rows = ranks.len() / width;
            let queries = linalg::normalise_rows(&test.data[first * dim..(first + rows) * dim], dim);
            let found = search(&PackedPanels::new(&queries, rows, dim), cache, nearest);
            for (q, (neighbours, ranks)) in found.iter().zip(ranks.chunks_exact_mut(width)).enumerate() {
                vote.ranks(neighbours, test.labels[first + q], ks, ranks);
            }
        });
        self.done = end;
        Some(end)
    }

    /// The accuracies, once all rounds are over.
    pub(super) fn result(&self) -> KnnResult {
        let (total, width) = (self.test.labels.len(), self.ks.len());
        let share = |j: usize, within: usize| Accuracy {
            correct: self.ranks.chunks_exact(width).filter(|r| r[j] < within).count(),
            total,
        };
        let score = |(j, k): (usize, &usize)| KnnScore { k: *k, top1: share(j, 1), top5: share(j, 5) };
        KnnResult { scores: self.ks.iter().enumerate().map(score).collect() }
    }
}

/// A training set reduced to a few pictures of each class.
pub(super) struct FewShotSubset {
    dim: usize,
    data: Vec<f32>,
    labels: Vec<u32>,
}

impl FewShotSubset {
    /// At most `per_class` pictures of each class, drawn by `seed`. The labels were checked.
    pub(super) fn draw(train: &LabelledFeatures<'_>, classes: usize, per_class: usize, seed: u64) -> Self {
        let chosen = draw(train.labels, classes, per_class, seed);
        let row = |i: usize| &train.data[i * train.dim..(i + 1) * train.dim];
        Self {
            dim: train.dim,
            data: chosen.iter().flat_map(|i| row(*i).iter().copied()).collect(),
            labels: chosen.iter().map(|i| train.labels[*i]).collect(),
        }
    }

    /// Its features.
    pub(super) fn features(&self) -> LabelledFeatures<'_> {
        LabelledFeatures { dim: self.dim, data: &self.data, labels: &self.labels }
    }
}

impl KnnOptions {
    /// As in the reference, the numbers of neighbours become those up to `per_class`, and `per_class`.
    pub(super) fn of_few(&self, per_class: usize) -> Result<Self, EvalProtocolError> {
        if per_class == 0 {
            let expected = "1 or more";
            return Err(EvalProtocolError::Option { option: "pictures per class", value: 0.0, expected });
        }
        let ks = self.ks.iter().copied().filter(|k| *k < per_class).chain([per_class]).collect();
        Ok(Self { ks, ..self.clone() })
    }
}

/// Few-shot classification: the training set reduced to `per_class` pictures of each class, `tries` times.
///
/// The numbers of neighbours become those up to `per_class`, and `per_class`. Try `t` draws with
/// `seed + t`. Classes with fewer pictures keep all they have. `progress` counts test pictures over all tries.
#[allow(clippy::too_many_arguments)]
pub fn knn_few_shot(
    train: &LabelledFeatures<'_>,
    test: &LabelledFeatures<'_>,
    classes: usize,
    options: &KnnOptions,
    per_class: usize,
    tries: usize,
    seed: u64,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Vec<KnnResult>, EvalProtocolError> {
    check_pair(train, test, classes)?;
    let options = options.of_few(per_class)?;
    (0..tries)
        .map(|t| {
            let few = FewShotSubset::draw(train, classes, per_class, seed.wrapping_add(t as u64));
            let mut heard = |done, total| progress(t * total + done, tries * total);
            knn(&few.features(), test, classes, &options, &mut heard)
        })
        .collect()
}

/// Mean and standard deviation (over `n - 1`) of the top-1 accuracy at `k` over several tries.
pub fn mean_top1(results: &[KnnResult], k: usize) -> Option<(f64, f64)> {
    let values: Vec<f64> = results.iter().filter_map(|r| r.at(k)).map(|s| s.top1.value()).collect();
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    Some((mean, (squares / (values.len().max(2) - 1) as f64).sqrt()))
}

/// Positions of at most `per_class` pictures of each class, in rising order.
fn draw(labels: &[u32], classes: usize, per_class: usize, seed: u64) -> Vec<usize> {
    let mut of_class = vec![Vec::new(); classes];
    for (i, label) in labels.iter().enumerate() {
        of_class[*label as usize].push(i);
    }
    let mut chosen = Vec::new();
    for (class, mut all) in of_class.into_iter().enumerate() {
        let mut stream = rng::stream(seed, "few-shot", class as u64, 0);
        let take = per_class.min(all.len());
        // The first steps of a Fisher–Yates shuffle.
        for i in 0..take {
            let j = stream.random_range(i..all.len());
            all.swap(i, j);
        }
        chosen.extend_from_slice(&all[..take]);
    }
    chosen.sort_unstable();
    chosen
}

/// An error unless both sets are whole, finite, labelled within the classes and of one width.
pub(super) fn check_pair(
    train: &LabelledFeatures<'_>,
    test: &LabelledFeatures<'_>,
    classes: usize,
) -> Result<(), EvalProtocolError> {
    check("training", train, classes)?;
    check("test", test, classes)?;
    if train.dim == test.dim {
        return Ok(());
    }
    Err(EvalProtocolError::Shape { what: "numbers per test picture", found: test.dim, expected: train.dim })
}

fn check(
    set: &'static str,
    features: &LabelledFeatures<'_>,
    classes: usize,
) -> Result<(), EvalProtocolError> {
    let (n, dim) = (features.labels.len(), features.dim);
    if n == 0 || dim == 0 {
        return Err(EvalProtocolError::Empty(if set == "test" {
            "test features"
        } else {
            "training features"
        }));
    }
    if features.data.len() != n * dim {
        return Err(EvalProtocolError::Shape {
            what: "numbers in all features",
            found: features.data.len(),
            expected: n * dim,
        });
    }
    if let Some(at) = features.data.iter().position(|v| !v.is_finite()) {
        return Err(EvalProtocolError::NotFinite { set, index: at / dim });
    }
    if let Some(index) = features.labels.iter().position(|l| *l as usize >= classes) {
        return Err(EvalProtocolError::Label { set, index, label: features.labels[index], classes });
    }
    Ok(())
}

/// Similarity and position of a training picture.
pub(super) type Neighbour = (f32, u32);

/// More similar first, then the earlier one.
fn order(a: &Neighbour, b: &Neighbour) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

/// The `k` nearest training pictures of each query, nearest first.
pub(super) fn search(queries: &PackedPanels, cache: &PackedPanels, k: usize) -> Vec<Vec<Neighbour>> {
    // Candidates pile up to three times `k` before the worst are dropped: amortised, one comparison each.
    let full = 3 * k;
    let mut found: Vec<Vec<Neighbour>> = vec![Vec::with_capacity(full + LANES); queries.rows()];
    let mut threshold = vec![f32::NEG_INFINITY; queries.rows()];
    let mut block = [[0.0; LANES]; LANES];
    for panel in 0..cache.panels() {
        let lanes = cache.rows_in(panel);
        for own in 0..queries.panels() {
            queries.block(own, cache, panel, &mut block);
            for (r, row) in block[..queries.rows_in(own)].iter().enumerate() {
                let q = own * LANES + r;
                // One test for the whole row first: nearly always nothing in it is near enough.
                if !row.iter().fold(false, |any, s| any | (*s > threshold[q])) {
                    continue;
                }
                for (lane, similarity) in row[..lanes].iter().enumerate() {
                    // Later pictures lose ties, so only more similar ones are of interest.
                    if *similarity > threshold[q] {
                        found[q].push((*similarity, (panel * LANES + lane) as u32));
                    }
                }
                if found[q].len() >= full {
                    found[q].select_nth_unstable_by(k - 1, order);
                    found[q].truncate(k);
                    threshold[q] = found[q][k - 1].0;
                }
            }
        }
    }
    for neighbours in &mut found {
        neighbours.sort_unstable_by(order);
        neighbours.truncate(k);
    }
    found
}

struct KnnVote<'a> {
    labels: &'a [u32],
    classes: usize,
    temperature: f32,
}

impl KnnVote<'_> {
    /// For each `k`, how many classes score higher than the right one; `usize::MAX` when that has no neighbour.
    fn ranks(&self, neighbours: &[Neighbour], right: u32, ks: &[usize], out: &mut [usize]) {
        let largest = neighbours.first().map_or(0.0, |n| n.0);
        // The reference sums in f32; f64 differs from it only where it ties by rounding.
        let weight = |n: &Neighbour| f64::from((n.0 - largest) / self.temperature).exp();
        let total: f64 = neighbours.iter().map(weight).sum();
        let mut scores = vec![0f64; self.classes];
        let mut voted = vec![false; self.classes];
        let mut next = 0;
        for (k, rank) in ks.iter().zip(out) {
            while next < (*k).min(neighbours.len()) {
                let class = self.labels[neighbours[next].1 as usize] as usize;
                scores[class] += weight(&neighbours[next]) / total;
                voted[class] = true;
                next += 1;
            }
            let right = right as usize;
            if voted[right] {
                // Among equal scores the lower class comes first.
                let ahead = |c: usize| {
                    voted[c] && (scores[c] > scores[right] || (scores[c] == scores[right] && c < right))
                };
                *rank = (0..self.classes).filter(|c| ahead(*c)).count();
            }
        }
    }
}

#[cfg(test)]
#[path = "knn_tests.rs"]
mod tests;

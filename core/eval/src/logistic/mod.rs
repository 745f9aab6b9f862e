//! Multinomial logistic regression on fixed features, in f64, to its optimum.
//!
//! The objective is scikit-learn's `LogisticRegression(C=c)`: `c Σ loss + ½ |W|²`, the intercept free; with two classes
//! there is one row of weights. It is divided by `c` and the number of pictures, which moves no minimum. DINOv2's
//! `eval/log_regression.py` uses the same with cuML. Features are centred first: the free intercept takes that up.

mod curvature;
mod lbfgs;
mod space;

use std::sync::Arc;

use curvature::HessianBound;
use lbfgs::{Lbfgs, LbfgsStep, ObjectiveFunction};
pub(super) use space::FeatureSubspace;

use super::knn::LabelledFeatures;
use super::linear::largest;
use super::{Accuracy, EvalProtocolError};
use dinoscope_base::parallel::for_chunks;
use dinoscope_shaders::cpu::{MatrixView, multiply};

/// Rows of weights and logits are a multiple of this, for the processor's vectors.
const COLS: usize = 8;

/// How far a fit goes.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LogisticFitOptions {
    /// Most moves of L-BFGS.
    pub moves: usize,
    /// Ends when no component of the gradient of the mean loss is above this.
    pub tolerance: f64,
}

impl Default for LogisticFitOptions {
    fn default() -> Self {
        Self { moves: 1000, tolerance: 1e-6 }
    }
}

/// Line-search steps of a move, as in the reference.
const PATIENCE: usize = 50;

/// The grid of the published protocol: `10^linspace(-6, 5, 45)`.
pub fn grid() -> Vec<f64> {
    (0..45).map(|i| 10f64.powf(-6.0 + 11.0 * f64::from(i) / 44.0)).collect()
}

/// Pictures as the objective takes them.
pub(super) struct LogisticDataset {
    dim: usize,
    classes: usize,
    /// Classes, filled up to whole tiles.
    cols: usize,
    /// `[pictures, dim]`
    x: Vec<f64>,
    /// `[dim, pictures]`: the gradient reads it the other way, and a stride of whole rows would touch a page for each.
    transposed: Vec<f64>,
    labels: Vec<u32>,
}

impl LogisticDataset {
    /// Some rows of a set that was checked, in a `space` that is the same for all that shall share weights.
    pub(super) fn new(
        set: &LabelledFeatures<'_>,
        rows: &[usize],
        classes: usize,
        space: &FeatureSubspace,
    ) -> Self {
        let (dim, count) = (space.dim(), rows.len());
        let mut x = vec![0.0; count * dim];
        let mut places: Vec<(&mut [f64], &usize)> = x.chunks_exact_mut(dim.max(1)).zip(rows).collect();
        for_chunks(&mut places, 16, |_, places| {
            for (to, row) in places {
                space.place(&set.data[**row * set.dim..(**row + 1) * set.dim], to);
            }
        });
        let mut transposed = vec![0.0; x.len()];
        for_chunks(&mut transposed, count.max(1), |d, column| {
            column.iter_mut().zip(x.chunks_exact(dim)).for_each(|(to, row)| *to = row[d]);
        });
        let labels = rows.iter().map(|i| set.labels[*i]).collect();
        Self { dim, classes, cols: classes.next_multiple_of(COLS), x, transposed, labels }
    }

    /// Weights before the first move: `[dim + 1, cols]`, the intercept last.
    pub(super) fn start(&self) -> Vec<f64> {
        vec![0.0; (self.dim + 1) * self.cols]
    }

    /// `[pictures, cols]`
    fn logits(&self, weights: &[f64]) -> Vec<f64> {
        let (weights, intercept) = weights.split_at(self.dim * self.cols);
        let mut out = vec![0.0; self.labels.len() * self.cols];
        product(&mut out, &self.x, weights, [self.labels.len(), self.dim, self.cols]);
        for row in out.chunks_exact_mut(self.cols) {
            row.iter_mut().zip(intercept).for_each(|(logit, b)| *logit += b);
        }
        out
    }

    /// `mean loss + |W|² / 2cn`, and its gradient.
    fn objective(&self, c: f64, weights: &[f64], gradient: &mut [f64]) -> f64 {
        let (count, cols, classes) = (self.labels.len() as f64, self.cols, self.classes);
        let mut logits = self.logits(weights);
        let mut losses = vec![0.0; self.labels.len()];
        let mut rows: Vec<(&mut [f64], &mut f64)> = logits.chunks_exact_mut(cols).zip(&mut losses).collect();
        for_chunks(&mut rows, 64, |chunk, rows| {
            for ((row, loss), label) in rows.iter_mut().zip(&self.labels[chunk * 64..]) {
                **loss = slope(&mut row[..classes], *label as usize);
                row[..classes].iter_mut().for_each(|v| *v /= count);
                row[classes..].fill(0.0);
                if classes == 2 {
                    // The other class is the one that this one is compared with: its weights stay 0.
                    row[0] = 0.0;
                }
            }
        });
        let (slopes, intercept) = gradient.split_at_mut(self.dim * cols);
        product(slopes, &self.transposed, &logits, [self.dim, self.labels.len(), cols]);
        intercept.fill(0.0);
        for row in logits.chunks_exact(cols) {
            intercept.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
        }
        let penalty = 1.0 / (c * count);
        let mut squares = 0.0;
        for (slope, w) in slopes.iter_mut().zip(weights) {
            *slope += penalty * w;
            squares += w * w;
        }
        losses.iter().sum::<f64>() / count + 0.5 * penalty * squares
    }

    /// How many are right with some weights: first, and among the first five.
    pub(super) fn score(&self, weights: &[f64]) -> (Accuracy, Accuracy) {
        let logits = self.logits(weights);
        let total = self.labels.len();
        let within = |most: usize| {
            let right = |(row, label): (&[f64], &u32)| ahead(&row[..self.classes], *label as usize) < most;
            let correct =
                logits.chunks_exact(self.cols).zip(&self.labels).filter(|pair| right(*pair)).count();
            Accuracy { correct, total }
        };
        (within(1), within(5))
    }

    /// The class that weights give each picture.
    pub(super) fn predictions(&self, weights: &[f64]) -> Vec<u32> {
        self.logits(weights).chunks_exact(self.cols).map(|row| largest(&row[..self.classes])).collect()
    }
}

/// Logits become probabilities less one at the right class: the gradient of the cross-entropy, which is returned.
fn slope(logits: &mut [f64], right: usize) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mine = logits[right] - largest;
    let mut sum = 0.0;
    for logit in logits.iter_mut() {
        *logit = (*logit - largest).exp();
        sum += *logit;
    }
    logits.iter_mut().for_each(|p| *p /= sum);
    logits[right] -= 1.0;
    sum.ln() - mine
}

/// How many classes are above the right one; among equals the lower one comes first.
fn ahead(logits: &[f64], right: usize) -> usize {
    let mine = logits[right];
    logits.iter().enumerate().filter(|(c, v)| **v > mine || (**v == mine && *c < right)).count()
}

/// What fits on the same pictures share.
pub(super) struct LogisticFitter<'a> {
    pictures: &'a LogisticDataset,
    curvature: HessianBound,
    /// For which penalty, and the inverse.
    known: Option<(f64, Arc<Vec<f64>>)>,
}

/// The inverse is computed anew when the penalty has changed by more than this factor.
const STALE: f64 = 10.0;

impl<'a> LogisticFitter<'a> {
    /// Looks at the pictures once.
    pub(super) fn new(pictures: &'a LogisticDataset) -> Self {
        let curvature = HessianBound::new(&pictures.transposed, pictures.dim, pictures.labels.len());
        Self { pictures, curvature, known: None }
    }

    /// A fit that begins at `weights`: the optimum is the same from everywhere, and near it it is found sooner.
    pub(super) fn fit(
        &mut self,
        c: f64,
        weights: Vec<f64>,
        options: LogisticFitOptions,
    ) -> Result<LogisticFit<'a>, EvalProtocolError> {
        if !(c > 0.0 && c.is_finite()) {
            return Err(EvalProtocolError::Option { option: "C", value: c, expected: "above 0" });
        }
        let penalty = 1.0 / (c * self.pictures.labels.len() as f64);
        let fresh = |known: f64| known / penalty < STALE && penalty / known < STALE;
        let inverse = match &self.known {
            Some((known, inverse)) if fresh(*known) => inverse.clone(),
            _ => {
                let inverse = Arc::new(self.curvature.inverse(penalty));
                self.known = Some((penalty, inverse.clone()));
                inverse
            }
        };
        let mut objective = LogisticObjective { pictures: self.pictures, c, inverse };
        let search = Lbfgs::new(weights, PATIENCE, &mut objective);
        Ok(LogisticFit { objective, options, search, moves: 0 })
    }
}

/// `out = left right`, `[rows, cols]` from `[rows, inner]` and `[inner, cols]`.
fn product(out: &mut [f64], left: &[f64], right: &[f64], [rows, inner, cols]: [usize; 3]) {
    multiply(out, MatrixView::new(left, rows, inner), MatrixView::new(right, inner, cols), 1.0, false);
}

/// The objective for one `C`.
struct LogisticObjective<'a> {
    pictures: &'a LogisticDataset,
    c: f64,
    /// See [`HessianBound::inverse`].
    inverse: Arc<Vec<f64>>,
}

impl ObjectiveFunction for LogisticObjective<'_> {
    fn value(&mut self, x: &[f64], gradient: &mut [f64]) -> f64 {
        self.pictures.objective(self.c, x, gradient)
    }

    fn precondition(&self, gradient: &[f64]) -> Vec<f64> {
        let cols = self.pictures.cols;
        let (slopes, intercept) = gradient.split_at(self.pictures.dim * cols);
        let mut out = vec![0.0; gradient.len()];
        let (to, last) = out.split_at_mut(slopes.len());
        let dim = self.pictures.dim;
        product(to, &self.inverse, slopes, [dim, dim, cols]);
        // A column of ones.
        last.iter_mut().zip(intercept).for_each(|(to, g)| *to = 2.0 * g);
        out
    }
}

/// A fit on its way.
pub(super) struct LogisticFit<'a> {
    objective: LogisticObjective<'a>,
    options: LogisticFitOptions,
    search: Lbfgs,
    moves: usize,
}

impl LogisticFit<'_> {
    /// Some moves; whether there is more to do.
    pub(super) fn go_on(&mut self, moves: usize) -> bool {
        for _ in 0..moves {
            if self.moves >= self.options.moves
                || self.search.step(self.options.tolerance, &mut self.objective) != LbfgsStep::Moved
            {
                return false;
            }
            self.moves += 1;
        }
        true
    }

    /// The weights, and whether they are the optimum to within the tolerance.
    pub(super) fn finish(self) -> (Vec<f64>, bool) {
        let arrived = self.search.slope() <= self.options.tolerance;
        (self.search.x().to_vec(), arrived)
    }
}

#[cfg(test)]
mod tests;

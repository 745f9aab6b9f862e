//! t-SNE (van der Maaten and Hinton 2008), exact: every point pulls and pushes every other.
//!
//! Settings follow scikit-learn, whose maps people know: a start from principal components, an exaggeration of 12 for
//! the first quarter of the steps with a momentum of 0.5, then 0.8, and a step that grows with the number of points.

use super::super::EvalProtocolError;
use dinoscope_base::parallel::for_chunks;
use dinoscope_base::rng;

/// How a map is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TsneOptions {
    /// About how many neighbours each point looks at; at most a third of the points.
    pub perplexity: f64,
    /// Steps in all.
    pub steps: usize,
    /// Of the small jitter that the start gets, so that pictures that are exactly alike can part.
    pub seed: u64,
}

impl Default for TsneOptions {
    fn default() -> Self {
        Self { perplexity: 30.0, steps: 1000, seed: 0 }
    }
}

const EXAGGERATION: f32 = 12.0;
/// Spread of the start along its first direction: small, so that early forces reach everywhere.
const START: f32 = 1e-4;
/// Points whose forces one thread computes at a time.
const ROWS: usize = 16;
/// Numbers that the processor handles at once.
const LANES: usize = 16;

/// A map on its way.
pub struct TsneOptimizer {
    points: usize,
    /// Probability of each pair, `[points, stride]`, rows filled up with zeros to full lanes.
    pairs: Vec<f32>,
    stride: usize,
    x: Vec<f32>,
    y: Vec<f32>,
    moved: Vec<[f32; 2]>,
    gains: Vec<[f32; 2]>,
    step: usize,
    steps: usize,
    perplexity: f64,
}

/// What acts on one point.
#[derive(Clone, Copy, Debug, Default)]
struct TsneForce {
    pull: [f32; 2],
    push: [f32; 2],
    /// The point's part of the sum over all pairs.
    sum: f32,
}

impl TsneOptimizer {
    /// From squared distances `[points, points]` and where the points start.
    ///
    /// # Errors
    /// When lengths do not fit, there are fewer than four points, or the perplexity is below 1.
    pub fn new(
        distances: &[f32],
        start: &[[f32; 2]],
        options: &TsneOptions,
    ) -> Result<Self, EvalProtocolError> {
        let points = start.len();
        if distances.len() != points * points {
            let (found, expected) = (distances.len(), points * points);
            return Err(EvalProtocolError::Shape { what: "distances", found, expected });
        }
        if points < 4 {
            let expected = "4 or more, for there is nothing to arrange otherwise";
            return Err(EvalProtocolError::Option {
                option: "pictures of a map",
                value: points as f64,
                expected,
            });
        }
        let value = options.perplexity;
        if value.is_nan() || value < 1.0 {
            return Err(EvalProtocolError::Option { option: "perplexity", value, expected: "1 or more" });
        }
        let perplexity = value.min((points - 1) as f64 / 3.0).max(1.0);
        let stride = points.next_multiple_of(LANES);
        let mut pairs = vec![0f32; points * stride];
        for_chunks(&mut pairs, ROWS * stride, |chunk, rows| {
            for (i, row) in rows.chunks_exact_mut(stride).enumerate() {
                let own = chunk * ROWS + i;
                neighbours(&distances[own * points..][..points], own, perplexity, row);
            }
        });
        // Both ways of a pair together, all pairs summing to one.
        for i in 0..points {
            for j in 0..i {
                let both = (pairs[i * stride + j] + pairs[j * stride + i]) / (2 * points) as f32;
                pairs[i * stride + j] = both;
                pairs[j * stride + i] = both;
            }
        }
        let mut map = Self {
            points,
            pairs,
            stride,
            // Filling far away would still push; it is taken off again in `force`.
            x: vec![0.0; stride],
            y: vec![0.0; stride],
            moved: vec![[0.0; 2]; points],
            gains: vec![[1.0; 2]; points],
            step: 0,
            steps: options.steps,
            perplexity,
        };
        map.place(start, options.seed);
        Ok(map)
    }

    /// The start at its scale, with a little jitter.
    fn place(&mut self, start: &[[f32; 2]], seed: u64) {
        let mean = start.iter().map(|p| f64::from(p[0])).sum::<f64>() / self.points as f64;
        let variance =
            start.iter().map(|p| (f64::from(p[0]) - mean).powi(2)).sum::<f64>() / self.points as f64;
        let scale = if variance > 0.0 { START / variance.sqrt() as f32 } else { 0.0 };
        let mut stream = rng::stream(seed, "t-SNE", 0, 0);
        for (i, [x, y]) in start.iter().enumerate() {
            // All in one place is no start: then the jitter is all there is.
            let jitter = if scale > 0.0 { 0.01 * START } else { START };
            self.x[i] = x * scale + jitter * rng::normal(&mut stream);
            self.y[i] = y * scale + jitter * rng::normal(&mut stream);
        }
        self.centre();
    }

    fn centre(&mut self) {
        for values in [&mut self.x, &mut self.y] {
            let mean = values[..self.points].iter().map(|v| f64::from(*v)).sum::<f64>() / self.points as f64;
            values[..self.points].iter_mut().for_each(|v| *v -= mean as f32);
        }
    }

    /// Steps that are done.
    pub fn done(&self) -> usize {
        self.step
    }

    /// Steps in all.
    pub fn total(&self) -> usize {
        self.steps
    }

    /// The perplexity in use: what was asked for, or a third of the other points.
    pub fn perplexity(&self) -> f64 {
        self.perplexity
    }

    /// Where the points are, `[points]`.
    pub fn points(&self) -> Vec<[f32; 2]> {
        self.x.iter().zip(&self.y).take(self.points).map(|(x, y)| [*x, *y]).collect()
    }

    /// One step; `false` when there is none left.
    pub fn advance(&mut self) -> bool {
        if self.step >= self.steps {
            return false;
        }
        let early = self.step < self.steps / 4;
        let (exaggeration, momentum) = if early { (EXAGGERATION, 0.5) } else { (1.0, 0.8) };
        let rate = (self.points as f32 / EXAGGERATION / 4.0).max(50.0);
        let gradient = self.gradient(exaggeration);
        for (i, slope) in gradient.iter().enumerate() {
            let at = [&mut self.x[i], &mut self.y[i]];
            for (k, at) in at.into_iter().enumerate() {
                let (moved, gain) = (&mut self.moved[i][k], &mut self.gains[i][k]);
                // A point that keeps its way goes faster, one that turns back slower.
                *gain = if *moved * slope[k] < 0.0 { *gain + 0.2 } else { *gain * 0.8 }.max(0.01);
                *moved = momentum * *moved - rate * *gain * slope[k];
                *at += *moved;
            }
        }
        self.centre();
        self.step += 1;
        true
    }

    /// How the divergence of the map from the features changes with each point.
    fn gradient(&self, exaggeration: f32) -> Vec<[f32; 2]> {
        let forces = self.forces();
        // In the order of the points, whatever the number of threads.
        let total: f64 = forces.iter().map(|f| f64::from(f.sum)).sum();
        let share = (1.0 / total.max(f64::MIN_POSITIVE)) as f32;
        let of = |f: &TsneForce, k: usize| 4.0 * (exaggeration * f.pull[k] - share * f.push[k]);
        forces.iter().map(|f| [of(f, 0), of(f, 1)]).collect()
    }

    fn forces(&self) -> Vec<TsneForce> {
        let mut forces = vec![TsneForce::default(); self.points];
        for_chunks(&mut forces, ROWS, |chunk, some| {
            for (i, force) in some.iter_mut().enumerate() {
                let own = chunk * ROWS + i;
                let row = &self.pairs[own * self.stride..][..self.stride];
                *force = force_on(own, row, &self.x, &self.y, self.points);
            }
        });
        forces
    }

    /// The Kullback–Leibler divergence of the map from the features: what the steps make small.
    pub fn divergence(&self) -> f64 {
        let total: f64 = self.forces().iter().map(|f| f64::from(f.sum)).sum();
        let mut rows = vec![0f64; self.points];
        for_chunks(&mut rows, ROWS, |chunk, some| {
            for (i, sum) in some.iter_mut().enumerate() {
                let own = chunk * ROWS + i;
                for j in (0..self.points).filter(|j| *j != own) {
                    let p = f64::from(self.pairs[own * self.stride + j]).max(1e-12);
                    let apart = f64::from(self.x[own] - self.x[j]).powi(2)
                        + f64::from(self.y[own] - self.y[j]).powi(2);
                    let q = (1.0 / (1.0 + apart) / total).max(1e-12);
                    *sum += p * (p / q).ln();
                }
            }
        });
        rows.iter().sum()
    }
}

/// Probabilities of the neighbours of one point: a Gaussian just so wide that their entropy is the logarithm of the
/// perplexity, found by halving.
fn neighbours(distances: &[f32], own: usize, perplexity: f64, out: &mut [f32]) {
    let wanted = perplexity.ln();
    // The nearest other point gets an exponent of 0, so that not all vanish.
    let others = || distances.iter().enumerate().filter(|(j, _)| *j != own);
    let least = others().map(|(_, d)| f64::from(*d)).fold(f64::INFINITY, f64::min);
    let (mut low, mut high, mut narrow) = (0f64, f64::INFINITY, 1f64);
    let mut total = 1.0;
    for _ in 0..100 {
        let (mut sum, mut weighted) = (0.0, 0.0);
        for (_, distance) in others() {
            let apart = f64::from(*distance) - least;
            let weight = (-narrow * apart).exp();
            sum += weight;
            weighted += weight * apart;
        }
        total = sum;
        let entropy = sum.ln() + narrow * weighted / sum;
        if (entropy - wanted).abs() <= 1e-5 {
            break;
        }
        if entropy > wanted {
            low = narrow;
            narrow = if high.is_finite() { f64::midpoint(low, high) } else { 2.0 * narrow };
        } else {
            high = narrow;
            narrow = f64::midpoint(low, high);
        }
    }
    for (j, distance) in others() {
        out[j] = ((-narrow * (f64::from(*distance) - least)).exp() / total) as f32;
    }
}

/// What all points do to point `own`.
fn force_on(own: usize, row: &[f32], x: &[f32], y: &[f32], points: usize) -> TsneForce {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: the processor has just said that it has both.
        return unsafe { force_avx2(own, row, x, y, points) };
    }
    force_in_lanes(own, row, x, y, points)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn force_avx2(own: usize, row: &[f32], x: &[f32], y: &[f32], points: usize) -> TsneForce {
    force_in_lanes(own, row, x, y, points)
}

#[inline(always)]
fn force_in_lanes(own: usize, row: &[f32], x: &[f32], y: &[f32], points: usize) -> TsneForce {
    let (own_x, own_y) = (x[own], y[own]);
    let mut sums = [[0f32; LANES]; 5];
    let (rows, xs, ys) = (row.as_chunks::<LANES>().0, x.as_chunks::<LANES>().0, y.as_chunks::<LANES>().0);
    for ((p, x), y) in rows.iter().zip(xs).zip(ys) {
        for k in 0..LANES {
            let (dx, dy) = (own_x - x[k], own_y - y[k]);
            let near = 1.0 / (1.0 + dx * dx + dy * dy);
            let (pull, push) = (p[k] * near, near * near);
            sums[0][k] += near;
            sums[1][k] += pull * dx;
            sums[2][k] += pull * dy;
            sums[3][k] += push * dx;
            sums[4][k] += push * dy;
        }
    }
    let [near, pull_x, pull_y, push_x, push_y] = sums.map(|lanes| lanes.iter().sum::<f32>());
    // The filling lies at the origin; the point itself counts as 1 in the sum and nowhere else.
    let filling = (x.len() - points) as f32;
    let near_origin = 1.0 / (1.0 + own_x * own_x + own_y * own_y);
    let (sum, push) = (filling * near_origin, filling * near_origin * near_origin);
    TsneForce {
        pull: [pull_x, pull_y],
        push: [push_x - push * own_x, push_y - push * own_y],
        sum: near - 1.0 - sum,
    }
}

#[cfg(test)]
#[path = "tsne_tests.rs"]
mod tests;

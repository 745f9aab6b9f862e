//! L-BFGS: the minimum of a smooth function of many numbers from its values and gradients.
//!
//! Source: Nocedal & Wright, Numerical Optimization, 2nd edition: algorithm 7.5 (two loops), and a line search for the
//! strong Wolfe conditions after algorithms 3.5 and 3.6.

use dinoscope_analysis::linalg::dot;
use std::collections::VecDeque;

/// Steps that are remembered.
const MEMORY: usize = 10;
/// A step must bring this share of what the slope promises, …
const DECREASE: f64 = 1e-4;
/// … and leave at most this share of the slope.
const CURVATURE: f64 = 0.9;
/// Functions are only exact to so many of their last digits.
const NOISE: f64 = 1e-14;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LbfgsStep {
    /// To a lower place.
    Moved,
    /// Nowhere: no gradient is left that is above the tolerance.
    Arrived,
    /// Nowhere: the function can't be told lower with the precision of f64.
    Stuck,
}

/// A place with what is known about it.
#[derive(Clone)]
struct LbfgsPoint {
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// A move that was made: how far, how the gradient changed, and one over their product.
struct LbfgsCorrection {
    step: Vec<f64>,
    change: Vec<f64>,
    scale: f64,
}

/// A search on its way.
pub(super) struct Lbfgs {
    here: LbfgsPoint,
    moves: VecDeque<LbfgsCorrection>,
    /// Line-search steps that a move may take.
    patience: usize,
}

/// What is searched.
pub(super) trait ObjectiveFunction {
    /// Fills in the gradient at a place and returns the value.
    fn value(&mut self, x: &[f64], gradient: &mut [f64]) -> f64;

    /// A gradient times what is known beforehand of the inverse of the second derivative; nothing, here.
    fn precondition(&self, gradient: &[f64]) -> Vec<f64> {
        gradient.to_vec()
    }
}

impl Lbfgs {
    /// Begins at `x`.
    pub(super) fn new(x: Vec<f64>, patience: usize, function: &mut impl ObjectiveFunction) -> Self {
        let mut gradient = vec![0.0; x.len()];
        let value = function.value(&x, &mut gradient);
        Self { here: LbfgsPoint { x, value, gradient }, moves: VecDeque::new(), patience }
    }

    /// Where it is.
    pub(super) fn x(&self) -> &[f64] {
        &self.here.x
    }

    /// The largest component of the gradient.
    pub(super) fn slope(&self) -> f64 {
        self.here.gradient.iter().fold(0.0, |largest, g| g.abs().max(largest))
    }

    /// One move, unless no component of the gradient is above `tolerance`.
    pub(super) fn step(&mut self, tolerance: f64, function: &mut impl ObjectiveFunction) -> LbfgsStep {
        if self.slope() <= tolerance {
            return LbfgsStep::Arrived;
        }
        let mut direction = self.direction(function);
        if dot(&direction, &self.here.gradient) >= 0.0 {
            // Rounding has spoiled what was remembered.
            self.moves.clear();
            direction = self.direction(function);
        }
        match self.search(&direction, function) {
            Some(there) => {
                let step: Vec<f64> = there.x.iter().zip(&self.here.x).map(|(a, b)| a - b).collect();
                let change: Vec<f64> =
                    there.gradient.iter().zip(&self.here.gradient).map(|(a, b)| a - b).collect();
                let curvature = dot(&step, &change);
                if curvature > 0.0 {
                    self.moves.push_back(LbfgsCorrection { step, change, scale: 1.0 / curvature });
                    if self.moves.len() > MEMORY {
                        self.moves.pop_front();
                    }
                }
                self.here = there;
                LbfgsStep::Moved
            }
            None if self.moves.is_empty() => LbfgsStep::Stuck,
            None => {
                // Once more, straight down.
                self.moves.clear();
                self.step(tolerance, function)
            }
        }
    }

    /// Minus the gradient, times what the moves tell about the inverse of the second derivative.
    fn direction(&self, function: &impl ObjectiveFunction) -> Vec<f64> {
        let mut q: Vec<f64> = self.here.gradient.iter().map(|g| -g).collect();
        let mut shares = Vec::new();
        for m in self.moves.iter().rev() {
            let share = m.scale * dot(&m.step, &q);
            add(&mut q, -share, &m.change);
            shares.push(share);
        }
        q = function.precondition(&q);
        if let Some(m) = self.moves.back() {
            // What is known beforehand, made to fit the last move.
            let first = 1.0 / (m.scale * dot(&m.change, &function.precondition(&m.change)));
            q.iter_mut().for_each(|v| *v *= first);
        }
        for (m, share) in self.moves.iter().zip(shares.into_iter().rev()) {
            let other = m.scale * dot(&m.change, &q);
            add(&mut q, share - other, &m.step);
        }
        q
    }

    /// A place along `direction` that is low enough and not too steep; `None` when there is none lower than here.
    fn search(&self, direction: &[f64], function: &mut impl ObjectiveFunction) -> Option<LbfgsPoint> {
        let slope = dot(direction, &self.here.gradient);
        let noise = NOISE * self.here.value.abs();
        let mut low = LineSearchPoint { length: 0.0, slope, place: self.here.clone() };
        let mut high: Option<(f64, f64, f64)> = None;
        let mut length = 1.0;
        for _ in 0..self.patience {
            let mut place = self.here.clone();
            add(&mut place.x, length, direction);
            place.value = function.value(&place.x, &mut place.gradient);
            let tried = LineSearchPoint { length, slope: dot(direction, &place.gradient), place };
            let value = tried.place.value;
            let enough = value <= self.here.value + DECREASE * length * slope + noise;
            if !value.is_finite() || !enough || value > low.place.value + noise {
                high = Some((length, value, tried.slope));
            } else {
                if tried.slope.abs() <= CURVATURE * slope.abs() {
                    return Some(tried.place);
                }
                let beyond = high.map_or(f64::INFINITY, |h| h.0) - low.length;
                if tried.slope * beyond.signum() >= 0.0 {
                    high = Some((low.length, low.place.value, low.slope));
                }
                low = tried;
            }
            length = match high {
                None => length * 4.0,
                Some(high) => between((low.length, low.place.value, low.slope), high),
            };
        }
        (low.length > 0.0 && low.place.value < self.here.value).then_some(low.place)
    }
}

/// A place along a direction.
struct LineSearchPoint {
    length: f64,
    slope: f64,
    place: LbfgsPoint,
}

/// Where the cubic through two values and slopes is lowest, but well between the two.
fn between(low: (f64, f64, f64), high: (f64, f64, f64)) -> f64 {
    let ((a, fa, ga), (b, fb, gb)) = (low, high);
    let theta = ga + gb - 3.0 * (fa - fb) / (a - b);
    let root = (theta * theta - ga * gb).sqrt() * (b - a).signum();
    let lowest = b - (b - a) * (gb + root - theta) / (gb - ga + 2.0 * root);
    let (least, most) = (a + 0.1 * (b - a), a + 0.9 * (b - a));
    if lowest.is_finite() { lowest.clamp(least.min(most), least.max(most)) } else { 0.5 * (a + b) }
}

/// `to += share * what`
pub(super) fn add(to: &mut [f64], share: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(t, w)| *t += share * w);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain<F>(F);
    impl<F: FnMut(&[f64], &mut [f64]) -> f64> ObjectiveFunction for Plain<F> {
        fn value(&mut self, x: &[f64], gradient: &mut [f64]) -> f64 {
            self.0(x, gradient)
        }
    }

    fn minimum(
        x: Vec<f64>,
        tolerance: f64,
        function: impl FnMut(&[f64], &mut [f64]) -> f64,
    ) -> (Vec<f64>, usize, LbfgsStep) {
        let mut function = Plain(function);

        let mut search = Lbfgs::new(x, 50, &mut function);
        for moves in 0..1000 {
            let step = search.step(tolerance, &mut function);
            if step != LbfgsStep::Moved {
                return (search.x().to_vec(), moves, step);
            }
        }
        (search.x().to_vec(), 1000, LbfgsStep::Moved)
    }

    #[test]
    fn a_bowl_with_a_known_bottom() {
        // ½ Σ i (x_i - 1/i)², a condition of 200.
        let bowl = |x: &[f64], g: &mut [f64]| {
            let mut value = 0.0;
            for (i, (x, g)) in x.iter().zip(g).enumerate() {
                let weight = (i + 1) as f64;
                *g = weight * (x - 1.0 / weight);
                value += 0.5 * weight * (x - 1.0 / weight).powi(2);
            }
            value
        };
        let (x, moves, step) = minimum(vec![5.0; 200], 1e-10, bowl);
        assert_eq!(step, LbfgsStep::Arrived);
        assert!(x.iter().enumerate().all(|(i, x)| (x - 1.0 / (i + 1) as f64).abs() < 1e-9));
        assert!(moves < 250, "{moves}");
    }

    /// The same bowl, known beforehand.
    struct Known;
    impl ObjectiveFunction for Known {
        fn value(&mut self, x: &[f64], gradient: &mut [f64]) -> f64 {
            gradient.iter_mut().zip(x).enumerate().for_each(|(i, (g, x))| *g = (i + 1) as f64 * x - 1.0);
            x.iter().enumerate().map(|(i, x)| 0.5 * (i + 1) as f64 * x * x - x).sum()
        }
        fn precondition(&self, gradient: &[f64]) -> Vec<f64> {
            gradient.iter().enumerate().map(|(i, g)| g / (i + 1) as f64).collect()
        }
    }

    #[test]
    fn what_is_known_beforehand_is_used() {
        let mut search = Lbfgs::new(vec![5.0; 200], 50, &mut Known);
        assert_eq!(search.step(1e-9, &mut Known), LbfgsStep::Moved);
        assert_eq!(search.step(1e-9, &mut Known), LbfgsStep::Arrived);
        assert!(search.x().iter().enumerate().all(|(i, x)| (x - 1.0 / (i + 1) as f64).abs() < 1e-9));
    }

    #[test]
    fn a_bent_valley() {
        // Rosenbrock's: a minimum of 0 at (1, 1), behind a turn.
        let valley = |x: &[f64], g: &mut [f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            g[0] = -2.0 * a - 400.0 * x[0] * b;
            g[1] = 200.0 * b;
            a * a + 100.0 * b * b
        };
        let (x, moves, _) = minimum(vec![-1.2, 1.0], 1e-9, valley);
        assert!((x[0] - 1.0).abs() < 1e-7 && (x[1] - 1.0).abs() < 1e-7, "{x:?} after {moves}");
        assert!(moves < 80, "{moves}");
    }

    #[test]
    fn a_flat_beginning_and_a_wall() {
        // Nearly flat far out, so that steps must grow; infinite below -1, so that they must shrink.
        let flat = |x: &[f64], g: &mut [f64]| {
            g[0] = x[0] / (1.0 + x[0] * x[0]).sqrt();
            (1.0 + x[0] * x[0]).sqrt()
        };
        let (x, moves, _) = minimum(vec![1e6], 1e-9, flat);
        assert!(x[0].abs() < 1e-8 && moves < 40, "{x:?} after {moves}");
        let wall = |x: &[f64], g: &mut [f64]| {
            g[0] = 1.0 - 1.0 / (1.0 + x[0]);
            if x[0] > -1.0 { x[0] - (1.0 + x[0]).ln() } else { f64::INFINITY }
        };
        let (x, _, _) = minimum(vec![1e3], 1e-9, wall);
        assert!(x[0].abs() < 1e-7, "{x:?}");
    }

    #[test]
    fn what_can_not_be_improved_ends() {
        let rounded = |x: &[f64], g: &mut [f64]| {
            g[0] = 2.0 * x[0];
            1e16 + x[0] * x[0]
        };
        let (_, moves, step) = minimum(vec![0.3], 0.0, rounded);
        assert!(step != LbfgsStep::Moved && moves < 100, "{step:?} {moves}");
        let level = |_: &[f64], g: &mut [f64]| {
            g[0] = 0.0;
            1.0
        };
        assert_eq!(minimum(vec![0.0], 1e-9, level).2, LbfgsStep::Arrived);
    }
}

//! The figures of a run as curves, in memory that does not grow with its length.

use std::collections::BTreeMap;

use crate::train::metrics_lines::MetricsLine;
use crate::train::run::{RunError, RunFolder};

/// Parts into which a long curve is gathered at most.
const MOST: usize = 8192;

/// One figure over the steps. A short one is exact; of a long one the smallest and the largest value of each part are
/// known, and the last value.
#[derive(Debug, Default)]
pub(in crate::train) struct BinnedMetricCurve {
    parts: Vec<MetricCurveBin>,
    /// Points of a whole part, as a power of two.
    doubled: u32,
    open: Option<(MetricCurveBin, u64)>,
    last: Option<(u64, f64)>,
}

/// Some points that follow each other.
#[derive(Clone, Copy, Debug)]
struct MetricCurveBin {
    low: (u64, f64),
    high: (u64, f64),
    /// A step whose value is not finite.
    gap: Option<u64>,
}

impl MetricCurveBin {
    fn of((step, value): (u64, f64)) -> Self {
        let gap = (!value.is_finite()).then_some(step);
        Self { low: (step, value), high: (step, value), gap }
    }

    fn with(self, next: Self) -> Self {
        // Comparisons with what is not finite must not win.
        let low = if next.low.1 < self.low.1 || !self.low.1.is_finite() { next.low } else { self.low };
        let high = if next.high.1 > self.high.1 || !self.high.1.is_finite() { next.high } else { self.high };
        Self { low, high, gap: self.gap.or(next.gap) }
    }
}

impl BinnedMetricCurve {
    /// Adds the value of a later step.
    pub fn push(&mut self, step: u64, value: f64) {
        self.last = Some((step, value));
        let point = MetricCurveBin::of((step, value));
        let (part, count) = match self.open.take() {
            Some((part, count)) => (part.with(point), count + 1),
            None => (point, 1),
        };
        if count < 1 << self.doubled {
            self.open = Some((part, count));
            return;
        }
        self.parts.push(part);
        if self.parts.len() == MOST {
            self.parts = self.parts.chunks(2).map(|pair| pair[0].with(pair[pair.len() - 1])).collect();
            self.doubled += 1;
        }
    }

    /// The points to draw, in the order of their steps.
    pub fn points(&self) -> Vec<(u64, f64)> {
        let mut points = Vec::with_capacity(2 * self.parts.len() + 3);
        for part in self.parts.iter().chain(self.open.as_ref().map(|(part, _)| part)) {
            let mut of_part: Vec<(u64, f64)> = [part.low, part.high].into();
            of_part.extend(part.gap.map(|step| (step, f64::NAN)));
            of_part.sort_by_key(|(step, _)| *step);
            of_part.dedup_by_key(|(step, _)| *step);
            points.extend(of_part);
        }
        // The last value is the one that counts.
        if let Some(last) = self.last.filter(|last| points.last().is_none_or(|point| point.0 < last.0)) {
            points.push(last);
        }
        points
    }
}

/// What the summary of a run needs of its figures.
#[derive(Debug, Default)]
pub(in crate::train) struct MetricsSummary {
    /// Curves of the figures that were asked for.
    pub curves: BTreeMap<&'static str, BinnedMetricCurve>,
    /// The last line of a step.
    pub last: Option<MetricsLine>,
    /// The first and the last line with k-NN accuracies.
    pub measured: Option<(MetricsLine, MetricsLine)>,
    /// The first and the last line with crops that were found again.
    pub crops: Option<(MetricsLine, MetricsLine)>,
}

/// Reads a run's figures once, from the first line to the last.
///
/// # Errors
/// When `metrics.jsonl` can't be read.
pub(in crate::train) fn of(folder: &RunFolder, names: &[&'static str]) -> Result<MetricsSummary, RunError> {
    let mut figures = MetricsSummary::default();
    folder.each_line(|line| {
        for name in names {
            if let Some(value) = line.values.get(*name) {
                let curve = figures.curves.entry(*name).or_default();
                curve.push(line.iteration, value.unwrap_or(f64::NAN));
            }
        }
        for (key, ends) in [("knn_top1", &mut figures.measured), ("crops_top1", &mut figures.crops)] {
            if line.values.contains_key(key) {
                match ends {
                    Some((_, last)) => last.clone_from(&line),
                    none => *none = Some((line.clone(), line.clone())),
                }
            }
        }
        if line.is_step() {
            figures.last = Some(line);
        }
    })?;
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_curves_are_exact() {
        let mut curve = BinnedMetricCurve::default();
        let points: Vec<(u64, f64)> = (0..5000).map(|i| (i * 3, (i % 7) as f64)).collect();
        points.iter().for_each(|(step, value)| curve.push(*step, *value));
        assert_eq!(curve.points(), points);
        let mut gap = BinnedMetricCurve::default();
        [1.0, f64::NAN, 2.0].iter().enumerate().for_each(|(i, value)| gap.push(i as u64, *value));
        let points = gap.points();
        assert!(points[1].1.is_nan() && (points[0], points[2]) == ((0, 1.0), (2, 2.0)), "{points:?}");
    }

    #[test]
    fn long_curves_keep_peaks_gaps_and_their_end_in_little_memory() {
        let mut curve = BinnedMetricCurve::default();
        for i in 0..1_000_003u64 {
            let value = match i {
                123_456 => 9.0,
                777_777 => -9.0,
                500_000 => f64::NAN,
                1_000_002 => 0.25,
                _ => ((i * 7919) % 1000) as f64 / 1000.0,
            };
            curve.push(i, value);
            assert!(curve.parts.len() < MOST);
        }
        let points = curve.points();
        assert!((MOST / 2..3 * MOST).contains(&points.len()), "{}", points.len());
        assert!(points.contains(&(123_456, 9.0)) && points.contains(&(777_777, -9.0)));
        assert_eq!(points.last(), Some(&(1_000_002, 0.25)));
        assert!(points.iter().any(|(step, value)| *step == 500_000 && value.is_nan()));
        assert!(points.is_sorted_by(|a, b| a.0 < b.0), "in the order of the steps");
    }
}

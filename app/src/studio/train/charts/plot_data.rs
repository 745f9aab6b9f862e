//! Figures over the steps of a run, and as much of them as a plot can show.

use std::ops::Range;

/// One figure over the steps of a run, by steps done. Steps only ever rise.
#[derive(Clone, Debug, Default)]
pub struct MetricHistory {
    steps: Vec<f64>,
    values: Vec<f64>,
    /// Rises with every change, so that what is drawn from it knows when it is old.
    version: u64,
}

impl MetricHistory {
    /// Adds the figure of a step. A step that was there before is told anew, with all that came after it.
    pub fn push(&mut self, step: f64, value: f64) {
        if self.steps.last().is_some_and(|last| *last >= step) {
            self.cut(step);
        }
        self.steps.push(step);
        self.values.push(value);
        self.version += 1;
    }

    /// Forgets `step` and what came after it.
    pub fn cut(&mut self, step: f64) {
        let kept = self.steps.partition_point(|s| *s < step);
        self.steps.truncate(kept);
        self.values.truncate(kept);
        self.version += 1;
    }

    /// How many figures there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// See [`MetricHistory`].
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The steps.
    pub fn steps(&self) -> &[f64] {
        &self.steps
    }

    /// A value for each step; not a number where there was none.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The first finite value.
    pub fn first(&self) -> Option<f64> {
        self.values.iter().copied().find(|v| v.is_finite())
    }

    /// The last finite value.
    pub fn last(&self) -> Option<f64> {
        self.values.iter().rev().copied().find(|v| v.is_finite())
    }

    /// The place of the step that is nearest to `step`.
    pub fn nearest(&self, step: f64) -> Option<usize> {
        let after = self.steps.partition_point(|s| *s < step);
        let candidates = [after.checked_sub(1), (after < self.steps.len()).then_some(after)];
        let apart = |i: &usize| (self.steps[*i] - step).abs();
        candidates.into_iter().flatten().min_by(|a, b| apart(a).total_cmp(&apart(b)))
    }

    /// The values smoothed by an exponential mean with the weight `weight` on what came before, 0 to 1, corrected for
    /// its beginning as Adam's moments are. Values that are no numbers are passed over.
    pub fn smoothed(&self, weight: f64) -> Vec<f64> {
        let weight = weight.clamp(0.0, 0.9999);
        let (mut mean, mut share) = (0.0, 0.0);
        let smooth = |value: &f64| {
            if !value.is_finite() {
                return f64::NAN;
            }
            mean = weight * mean + (1.0 - weight) * value;
            share = weight * share + (1.0 - weight);
            mean / share
        };
        self.values.iter().map(smooth).collect()
    }
}

/// At most a few points a column for steps from `first` to `last`: the smallest and the largest value of each column
/// in the order in which they come, and one point beyond either end, so that lines run out of the picture. Values that
/// are not finite are left out.
pub fn thin(steps: &[f64], values: &[f64], (first, last): (f64, f64), columns: usize) -> Vec<[f64; 2]> {
    let seen = visible(steps, first, last);
    let (Some(steps), Some(values)) = (steps.get(seen.clone()), values.get(seen)) else { return Vec::new() };
    let points = || steps.iter().zip(values).map(|(s, v)| [*s, *v]).filter(|[_, v]| v.is_finite());
    let columns = columns.max(1);
    let width = (last - first) / columns as f64;
    if steps.len() <= 2 * columns || width.is_nan() || width <= 0.0 {
        return points().collect();
    }
    let mut thinned = Vec::with_capacity(2 * columns + 4);
    let mut column: Option<PlotColumnExtrema> = None;
    for [step, value] in points() {
        let number = ((step - first) / width).floor();
        match &mut column {
            Some(open) if open.number == number => open.take([step, value]),
            open => {
                if let Some(full) = open.replace(PlotColumnExtrema::new(number, [step, value])) {
                    full.give(&mut thinned);
                }
            }
        }
    }
    if let Some(full) = column {
        full.give(&mut thinned);
    }
    thinned
}

/// The lowest and the highest point of a column.
struct PlotColumnExtrema {
    number: f64,
    low: [f64; 2],
    high: [f64; 2],
}

impl PlotColumnExtrema {
    fn new(number: f64, point: [f64; 2]) -> Self {
        Self { number, low: point, high: point }
    }

    fn take(&mut self, point: [f64; 2]) {
        if point[1] < self.low[1] {
            self.low = point;
        }
        if point[1] > self.high[1] {
            self.high = point;
        }
    }

    fn give(self, out: &mut Vec<[f64; 2]>) {
        let (a, b) = if self.low[0] <= self.high[0] { (self.low, self.high) } else { (self.high, self.low) };
        out.push(a);
        if a != b {
            out.push(b);
        }
    }
}

/// Places of the steps from `first` to `last`, and one more on either side.
fn visible(steps: &[f64], first: f64, last: f64) -> Range<usize> {
    let from = steps.partition_point(|s| *s < first).saturating_sub(1);
    let to = (steps.partition_point(|s| *s <= last) + 1).min(steps.len());
    from..to.max(from)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn history(values: impl IntoIterator<Item = f64>) -> MetricHistory {
        let mut history = MetricHistory::default();
        for (step, value) in values.into_iter().enumerate() {
            history.push(step as f64, value);
        }
        history
    }

    #[test]
    fn thinning_keeps_every_peak_and_every_valley() {
        let noise = |i: usize| ((i * 7919) % 1000) as f64 / 1000.0;
        let mut values: Vec<f64> = (0..100_000).map(noise).collect();
        values[31_234] = 9.0;
        values[77_777] = -9.0;
        values[50_000] = f64::NAN;
        let all = history(values.clone());
        let thinned = thin(all.steps(), all.values(), (0.0, 99_999.0), 500);
        assert!(thinned.len() <= 1004, "{}", thinned.len());
        assert!(thinned.contains(&[31_234.0, 9.0]) && thinned.contains(&[77_777.0, -9.0]));
        assert!(thinned.iter().all(|[_, v]| v.is_finite()));
        assert!(thinned.is_sorted_by(|a, b| a[0] < b[0]), "in the order of the steps");
        // Every column has the extremes of its part.
        for (column, part) in values.chunks(200).enumerate().take(400) {
            let (from, to) = (column as f64 * 200.0, column as f64 * 200.0 + 200.0);
            let of = |points: &[f64]| {
                points
                    .iter()
                    .filter(|v| v.is_finite())
                    .fold((f64::MAX, f64::MIN), |(lo, hi), v| (lo.min(*v), hi.max(*v)))
            };
            let inside: Vec<f64> =
                thinned.iter().filter(|[s, _]| *s >= from - 1.0 && *s <= to).map(|[_, v]| *v).collect();
            let (lo, hi) = of(part);
            let (seen_lo, seen_hi) = of(&inside);
            assert!(seen_lo <= lo && seen_hi >= hi, "column {column}");
        }
    }

    #[test]
    fn a_few_points_stay_as_they_are_and_lines_run_out_of_the_picture() {
        let all = history((0..100).map(f64::from));
        assert_eq!(
            thin(all.steps(), all.values(), (10.0, 12.0), 50),
            [[9.0, 9.0], [10.0, 10.0], [11.0, 11.0], [12.0, 12.0], [13.0, 13.0]]
        );
        assert_eq!(thin(all.steps(), all.values(), (f64::NAN, 3.0), 5).len(), 5);
        assert!(thin(&[], &[], (0.0, 1.0), 10).is_empty());
    }

    #[test]
    fn smoothing_starts_at_the_first_value_and_passes_over_gaps() {
        let all = history([4.0, f64::NAN, 8.0]);
        let smooth = all.smoothed(0.5);
        assert_eq!(smooth[0], 4.0);
        assert!(smooth[1].is_nan());
        // (4 · 0.25 + 8 · 0.5) / 0.75
        assert!((smooth[2] - 20.0 / 3.0).abs() < 1e-12);
        assert_eq!(history([3.0, 5.0]).smoothed(0.0), [3.0, 5.0]);
        assert_eq!((all.first(), all.last()), (Some(4.0), Some(8.0)));
    }

    #[test]
    fn a_step_that_is_done_again_replaces_what_came_after_it() {
        let mut all = history([0.0, 1.0, 2.0, 3.0]);
        let before = all.version();
        all.push(2.0, 20.0);
        assert_eq!((all.steps(), all.values()), ([0.0, 1.0, 2.0].as_slice(), [0.0, 1.0, 20.0].as_slice()));
        assert!(all.version() > before);
        assert_eq!(all.nearest(1.4), Some(1));
        assert_eq!(all.nearest(-9.0), Some(0));
        assert_eq!(all.nearest(99.0), Some(2));
        assert_eq!(MetricHistory::default().nearest(1.0), None);
    }
}

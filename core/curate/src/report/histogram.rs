//! Counts of a number in even steps, before and after.

/// How numbers are spread out before they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistogramScale {
    /// As they are.
    Linear,
    /// By their binary logarithm: halves and doubles are as far apart everywhere.
    Log,
}

/// Pictures by a number that is known of them: of all, and of those that stay.
#[derive(Clone, Debug, PartialEq)]
pub struct CurationHistogram {
    /// What it is of.
    pub title: &'static str,
    /// What the number says, in a sentence.
    pub note: &'static str,
    scale: HistogramScale,
    range: (f32, f32),
    /// A bound that decided, on the same scale as the numbers.
    pub bound: Option<f32>,
    /// Of all.
    pub before: Vec<usize>,
    /// Of those that stay.
    pub after: Vec<usize>,
}

impl CurationHistogram {
    /// One without counts; what lies outside `range` counts at its ends.
    pub fn new(
        (title, note): (&'static str, &'static str),
        scale: HistogramScale,
        range: (f32, f32),
        bins: usize,
    ) -> Self {
        Self { title, note, scale, range, bound: None, before: vec![0; bins], after: vec![0; bins] }
    }

    /// Where a number lies: 0 to 1.
    pub fn place(&self, value: f32) -> f32 {
        let of = |value: f32| match self.scale {
            HistogramScale::Linear => value,
            HistogramScale::Log => value.max(f32::MIN_POSITIVE).log2(),
        };
        let (low, high) = (of(self.range.0), of(self.range.1));
        ((of(value) - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// The number at a place of 0 to 1.
    pub fn value(&self, place: f32) -> f32 {
        let (low, high) = self.range;
        match self.scale {
            HistogramScale::Linear => low + (high - low) * place,
            HistogramScale::Log => low * (high / low).powf(place),
        }
    }

    /// Counts a picture; what is no number is none.
    pub fn count(&mut self, value: Option<f32>, stays: bool) {
        let Some(value) = value.filter(|value| !value.is_nan()) else { return };
        let last = self.before.len() - 1;
        let bin = ((self.place(value) * self.before.len() as f32) as usize).min(last);
        self.before[bin] += 1;
        self.after[bin] += usize::from(stays);
    }

    /// Whether anything was counted.
    pub fn is_empty(&self) -> bool {
        self.before.iter().all(|count| *count == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_where_they_lie() {
        let mut linear = CurationHistogram::new(("t", ""), HistogramScale::Linear, (0.0, 1.0), 10);
        for (value, stays) in
            [(0.0, true), (0.05, false), (0.95, true), (1.0, true), (7.0, false), (-3.0, false)]
        {
            linear.count(Some(value), stays);
        }
        linear.count(None, true);
        linear.count(Some(f32::NAN), true);
        assert_eq!((linear.before[0], linear.after[0], linear.before[9], linear.after[9]), (3, 1, 3, 2));
        assert_eq!(linear.before.iter().sum::<usize>(), 6);
        let mut log = CurationHistogram::new(("t", ""), HistogramScale::Log, (0.25, 4.0), 4);
        for value in [0.3, 0.6, 1.1, 3.9, 0.0] {
            log.count(Some(value), true);
        }
        assert_eq!(log.before, [2, 1, 1, 1]);
        assert!((log.place(1.0) - 0.5).abs() < 1e-6 && (log.value(0.75) - 2.0).abs() < 1e-5);
        assert!(!log.is_empty());
    }
}

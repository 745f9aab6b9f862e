//! Warm-up, repeats in turn, medians.

pub mod memory;
pub mod peak;
pub mod row;

use burn::tensor::Device;
use serde::Serialize;
use web_time::Instant;

use super::BenchError;
use memory::MemoryUse;

/// Seconds of one thing that was measured several times.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimingStats {
    /// Half of the runs took at most this long.
    pub median: f64,
    /// A quarter of the runs took at most this long.
    pub low: f64,
    /// Three quarters of the runs took at most this long.
    pub high: f64,
    /// How many runs.
    pub runs: usize,
}

impl TimingStats {
    /// Median and quartiles of some values, interpolated between neighbours; NaN without any.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (sorted.len().max(1) - 1) as f64;
            let get = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
            let (below, above) = (get(place.floor() as usize), get(place.ceil() as usize));
            below + (above - below) * place.fract()
        };
        Self { median: at(0.5), low: at(0.25), high: at(0.75), runs: values.len() }
    }
}

/// Who says when the next run is made, and how many there are.
pub trait RepeatPolicy {
    /// Whether there is one more run, after those that took `seconds`. May wait.
    fn more(&mut self, seconds: &[f64]) -> bool;
}

/// A fixed number of runs, one after the other.
impl RepeatPolicy for usize {
    fn more(&mut self, seconds: &[f64]) -> bool {
        seconds.len() < *self
    }
}

/// A way of doing something: its name, and the work.
pub type Way<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// What was measured of one way.
#[derive(Clone, Debug)]
pub struct BenchMeasurement {
    /// Its name.
    pub way: &'static str,
    /// How long it took.
    pub seconds: TimingStats,
    /// Median over the rounds of this way's seconds over the first way's; 1 for the first.
    pub ratio: f64,
    /// The most memory that one run held, where that can be known.
    pub memory: Option<MemoryUse>,
}

/// How to measure.
pub struct BenchRunner<'a> {
    /// Without autodiff.
    pub device: Device,
    /// Runs that don't count, before those that do.
    pub warmup: usize,
    /// When the next run is made.
    pub pace: &'a mut dyn RepeatPolicy,
    /// Leave out everything but the first way of a subject.
    pub first_only: bool,
    /// Operations per second that the device reaches at best, where it is known (see [`super::peak`]).
    pub peak: Option<f64>,
}

impl BenchRunner<'_> {
    /// Runs all ways in turn, so that what slows the machine down slows all of them down.
    ///
    /// # Errors
    /// When the device fails.
    pub fn alternate(&mut self, mut ways: Vec<Way>) -> Result<Vec<BenchMeasurement>, BenchError> {
        if self.first_only {
            ways.truncate(1);
        }
        let mut used = Vec::new();
        for (_, work) in &mut ways {
            for _ in 0..self.warmup {
                work();
            }
            self.device.sync()?;
            used.push(memory::of(&self.device, work)?);
        }
        let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); ways.len()];
        while self.pace.more(&seconds[0]) {
            for ((_, work), seconds) in ways.iter_mut().zip(&mut seconds) {
                let start = Instant::now();
                work();
                self.device.sync()?;
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
        let first = seconds[0].clone();
        let all = ways.iter().zip(&seconds).zip(used).map(|(((way, _), seconds), memory)| {
            let ratios: Vec<f64> = seconds.iter().zip(&first).map(|(own, first)| own / first).collect();
            BenchMeasurement {
                way,
                seconds: TimingStats::of(seconds),
                ratio: TimingStats::of(&ratios).median,
                memory,
            }
        });
        Ok(all.collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn quartiles_lie_between_neighbours() {
        let spread = TimingStats::of(&[4.0, 1.0, 2.0, 3.0]);
        assert_eq!((spread.low, spread.median, spread.high), (1.75, 2.5, 3.25));
        assert_eq!(TimingStats::of(&[7.0]).high, 7.0);
        assert!(TimingStats::of(&[]).median.is_nan());
    }

    #[test]
    fn ways_take_turns_and_are_compared_with_the_first() {
        let order = std::cell::RefCell::new(Vec::new());
        let mut bench = BenchRunner {
            device: Device::flex(),
            warmup: 1,
            pace: &mut 3usize,
            first_only: false,
            peak: None,
        };
        let wait = |name: char, ms: u64| {
            order.borrow_mut().push(name);
            std::thread::sleep(Duration::from_millis(ms));
        };
        let ways: Vec<Way> = vec![("a", Box::new(|| wait('a', 5))), ("b", Box::new(|| wait('b', 20)))];
        let measured = bench.alternate(ways).unwrap();
        let order: String = order.borrow().iter().collect();
        assert!(order.ends_with("ababab"), "{order}");
        assert_eq!((measured[0].ratio, measured[1].seconds.runs), (1.0, 3));
        assert!(measured[1].ratio > 2.0 && measured[1].seconds.median >= 0.02, "{measured:?}");
    }
}

//! What changes with every iteration: learning rates, weight decay, teacher momentum and temperature.

use crate::train::recipe::{LrSchedule, Recipe};

/// Warm-up from `start` to `base`, then a cosine to `end` (section "schedules" of the official code).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineSchedule {
    /// First value of the warm-up.
    pub start: f64,
    /// Value at the end of the warm-up, and again right after it.
    pub base: f64,
    /// Value from iteration `total` on.
    pub end: f64,
    /// Iterations of warm-up.
    pub warmup: u64,
    /// Iterations in all.
    pub total: u64,
    /// Iterations at the beginning that are 0 instead.
    pub freeze: u64,
}

impl CosineSchedule {
    /// The value at an iteration, counted from 0.
    pub fn at(&self, iteration: u64) -> f64 {
        if iteration < self.freeze {
            return 0.0;
        }
        if iteration >= self.total {
            return self.end;
        }
        let i = iteration;
        if i < self.warmup {
            // The warm-up includes its end: the peak comes twice in a row.
            let span = (self.warmup - 1).max(1) as f64;
            return self.start + (self.base - self.start) * i as f64 / span;
        }
        let n = (self.total - self.warmup) as f64;
        let phase = std::f64::consts::PI * (i - self.warmup) as f64 / n;
        self.end + 0.5 * (self.base - self.end) * (1.0 + phase.cos())
    }
}

/// Warm-up from 0 to `base`, which stays until the last iterations, in which it falls linearly to `end`: what has been learned
/// does not depend on when a run ends (Zhai et al. 2022, section 3.5; constant rates in Siméoni et al. 2025).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConstantSchedule {
    /// Value after the warm-up.
    pub base: f64,
    /// Value from iteration `total` on.
    pub end: f64,
    /// Iterations of warm-up.
    pub warmup: u64,
    /// Iterations at the end in which it falls.
    pub cooldown: u64,
    /// Iterations in all.
    pub total: u64,
}

impl ConstantSchedule {
    /// The value at an iteration, counted from 0.
    pub fn at(&self, iteration: u64) -> f64 {
        let left = self.total.saturating_sub(iteration);
        let risen = match iteration < self.warmup {
            true => self.base * iteration as f64 / (self.warmup - 1).max(1) as f64,
            false => self.base,
        };
        if left >= self.cooldown.max(1) {
            return risen;
        }
        let share = left as f64 / self.cooldown.max(1) as f64;
        risen.min(self.end + (self.base - self.end) * share)
    }
}

/// A learning rate over a run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum LearningRate {
    Cosine(CosineSchedule),
    Constant(ConstantSchedule),
}

impl LearningRate {
    fn new(recipe: &Recipe) -> Self {
        let (o, total, base) = (&recipe.optim, recipe.train.iterations, recipe.peak_lr());
        let (end, warmup) = (o.min_lr, o.warmup);
        match o.schedule {
            LrSchedule::Cosine => {
                Self::Cosine(CosineSchedule { start: 0.0, base, end, warmup, total, freeze: 0 })
            }
            LrSchedule::Constant => {
                Self::Constant(ConstantSchedule { base, end, warmup, cooldown: o.cooldown, total })
            }
        }
    }

    fn at(&self, iteration: u64) -> f64 {
        match self {
            Self::Cosine(schedule) => schedule.at(iteration),
            Self::Constant(schedule) => schedule.at(iteration),
        }
    }
}

/// Every scheduled value of one iteration.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ScheduledValues {
    /// Learning rate before each group's multiplier.
    pub lr: f64,
    /// Learning rate of the heads' last layers: 0 while they are frozen.
    pub last_layer_lr: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Momentum of the teacher's moving average.
    pub momentum: f64,
    /// Temperature of the teacher's targets.
    pub teacher_temperature: f64,
    /// Whether only the heads are trained.
    pub backbone_frozen: bool,
}

/// The schedules of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSchedules {
    lr: LearningRate,
    last_layer_freeze: u64,
    weight_decay: CosineSchedule,
    momentum: CosineSchedule,
    temperature: (f64, f64, u64),
    hold_backbone: u64,
}

impl TrainSchedules {
    /// From a recipe; all lengths in iterations.
    pub fn new(recipe: &Recipe) -> Self {
        let o = &recipe.optim;
        let total = recipe.train.iterations;
        // Beside a constant learning rate the others stay as they begin, too.
        let end = |begin: f64, end: f64| if o.schedule == LrSchedule::Constant { begin } else { end };
        let plain = |base, last| CosineSchedule {
            start: base,
            base,
            end: end(base, last),
            warmup: 0,
            total,
            freeze: 0,
        };
        Self {
            lr: LearningRate::new(recipe),
            last_layer_freeze: o.freeze_last_layer,
            weight_decay: plain(o.weight_decay, o.weight_decay_end),
            momentum: plain(o.momentum, o.momentum_end),
            temperature: (o.teacher_temp_start, o.teacher_temp, o.teacher_temp_warmup),
            hold_backbone: recipe.start.hold_backbone,
        }
    }

    /// Values of an iteration, counted from 0.
    pub fn at(&self, iteration: u64) -> ScheduledValues {
        let lr = self.lr.at(iteration);
        let (start, end, warmup) = self.temperature;
        let span = warmup.saturating_sub(1).max(1) as f64;
        ScheduledValues {
            lr,
            last_layer_lr: if iteration < self.last_layer_freeze { 0.0 } else { lr },
            weight_decay: self.weight_decay.at(iteration),
            momentum: self.momentum.at(iteration),
            teacher_temperature: if iteration < warmup {
                start + (end - start) * iteration as f64 / span
            } else {
                end
            },
            backbone_frozen: iteration < self.hold_backbone,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::train::recipe::Recipe;

    fn near(got: f64, want: f64) {
        assert!((got - want).abs() <= 1e-5 * want.abs().max(1e-7), "{got} is not {want}");
    }

    // Values of the official code.
    #[test]
    fn short_recipe_matches_the_reference() {
        let s = TrainSchedules::new(&Recipe::preset("vitl16-short").unwrap());
        near(s.at(0).lr, 0.0);
        near(s.at(1).lr, 5.656854e-3 / 12_499.0);
        near(s.at(12_499).lr, 5.656854e-3);
        near(s.at(12_500).lr, 5.656854e-3);
        near(s.at(62_500).lr, 3.319992e-3);
        near(s.at(124_999).lr, 1.00000110e-6);
        near(s.at(125_000).lr, 1e-6);
        near(s.at(62_500).weight_decay, 0.22);
        near(s.at(62_500).momentum, 0.996);
        near(s.at(0).teacher_temperature, 0.04);
        near(s.at(1).teacher_temperature, 0.0400008);
        near(s.at(18_750).teacher_temperature, 0.0550004);
        near(s.at(37_499).teacher_temperature, 0.07);
        near(s.at(99_999).teacher_temperature, 0.07);
        assert_eq!(s.at(1249).last_layer_lr, 0.0);
        assert_eq!(s.at(1250).last_layer_lr, s.at(1250).lr);
    }

    #[test]
    fn a_constant_rate_stays_whatever_the_length_and_falls_in_the_cool_down() {
        let recipe = |pairs: &[&str]| {
            let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
            Recipe::preset("tiny").unwrap().with_overrides(&pairs).unwrap()
        };
        let constant =
            ["optim.schedule=constant", "optim.warmup=11", "optim.min_lr=0", "optim.teacher_temp_warmup=9"];
        let long = TrainSchedules::new(&recipe(&[&constant[..], &["train.iterations=1000"]].concat()));
        let short = recipe(&[&constant[..], &["train.iterations=100", "optim.cooldown=20"]].concat());
        let peak = short.peak_lr();
        let short = TrainSchedules::new(&short);
        near(short.at(5).lr, peak / 2.0);
        for iteration in [11, 40, 80] {
            near(short.at(iteration).lr, peak);
            assert_eq!(short.at(iteration), long.at(iteration), "{iteration}");
        }
        near(short.at(90).lr, peak / 2.0);
        near(short.at(99).lr, peak / 20.0);
        assert_eq!(short.at(100).lr, 0.0);
        near(long.at(999).lr, peak);
        let tiny = Recipe::preset("tiny").unwrap().optim;
        near(short.at(99).momentum, tiny.momentum);
        near(short.at(99).weight_decay, tiny.weight_decay);
    }

    #[test]
    fn long_recipe_matches_the_reference() {
        let s = TrainSchedules::new(&Recipe::preset("vitl14").unwrap());
        near(s.at(1).lr, 3.46414e-9);
        near(s.at(99_999).lr, 3.464102e-4);
        near(s.at(100_000).lr, 3.464102e-4);
        near(s.at(362_500).lr, 1.737051e-4);
        near(s.at(312_500).momentum, 0.997);
    }
}

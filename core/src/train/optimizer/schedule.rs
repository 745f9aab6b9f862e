//! What changes with every iteration: learning rates, weight decay, teacher momentum and temperature.

use crate::train::recipe::Recipe;

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
    lr: CosineSchedule,
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
        let plain = |base, end| CosineSchedule { start: base, base, end, warmup: 0, total, freeze: 0 };
        let lr = CosineSchedule {
            start: 0.0,
            base: recipe.peak_lr(),
            end: o.min_lr,
            warmup: o.warmup,
            total,
            freeze: 0,
        };
        Self {
            lr,
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
    fn long_recipe_matches_the_reference() {
        let s = TrainSchedules::new(&Recipe::preset("vitl14").unwrap());
        near(s.at(1).lr, 3.46414e-9);
        near(s.at(99_999).lr, 3.464102e-4);
        near(s.at(100_000).lr, 3.464102e-4);
        near(s.at(362_500).lr, 1.737051e-4);
        near(s.at(312_500).momentum, 0.997);
    }
}

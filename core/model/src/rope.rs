//! Rotary positions over two axes, as DINOv3 has them: no table is added to the patches; queries and keys are turned.
//!
//! Patch centres lie between -1 and 1 along each axis, whatever the picture's size, so that any grid can be looked at
//! without resampling. A quarter of a head's dimensions are angles of the row, a quarter those of the column, and a pair
//! is a value and the one half a head further (`dinoscope_shaders::rope`).

use std::f32::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use dinoscope_base::rng::{RngExt, Stream};

/// Base of the periods in all released models.
pub const ROPE_BASE: f64 = 100.0;

/// How far queries and keys turn from patch to patch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RopeConfig {
    /// Period j of a head of `width` dimensions is `base^(4 j / width)`, in half sides of the picture.
    pub base: f64,
    /// The periods of a file that holds others: released ones were rounded to 16 bits.
    #[serde(default)]
    pub periods: Option<Vec<f32>>,
}

impl Default for RopeConfig {
    fn default() -> Self {
        Self { base: ROPE_BASE, periods: None }
    }
}

impl RopeConfig {
    /// The periods of a head of `width` dimensions, `[width / 4]`.
    pub fn periods(&self, width: usize) -> Vec<f32> {
        match &self.periods {
            Some(periods) if periods.len() == width / 4 => periods.clone(),
            _ => self.formula(width),
        }
    }

    /// Whether angles can be computed with it: a base above 0, and no period of 0.
    pub fn is_sound(&self) -> bool {
        let fine = |period: &f32| period.is_finite() && *period != 0.0;
        self.base.is_finite() && self.base > 0.0 && self.periods.iter().flatten().all(fine)
    }

    /// The periods that the base gives.
    pub fn formula(&self, width: usize) -> Vec<f32> {
        // As PyTorch does it: exponents and power in 32 bits.
        let base = self.base as f32;
        (0..width / 4).map(|j| base.powf(2.0 * j as f32 / (width / 2) as f32)).collect()
    }
}

/// How positions are moved in training, so that a model knows no size by heart (Siméoni et al. 2025, section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RopeAugmentation {
    /// Positions are moved by up to so much along each axis; 0 for not at all.
    #[serde(default)]
    pub shift: f64,
    /// Each axis by itself is stretched or squeezed up to so many times; 1 for not at all.
    #[serde(default = "one")]
    pub jitter: f64,
    /// Both axes together, likewise.
    #[serde(default = "one")]
    pub rescale: f64,
}

fn one() -> f64 {
    1.0
}

impl RopeAugmentation {
    /// Nothing is moved.
    pub const NONE: Self = Self { shift: 0.0, jitter: 1.0, rescale: 1.0 };
    /// What DINOv3 was trained with: both axes together, from half to twice.
    pub const DINOV3: Self = Self { shift: 0.0, jitter: 1.0, rescale: 2.0 };

    /// Whether positions stay where they are.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// One draw; five numbers are taken whatever is asked for, so that draws stay comparable.
    pub fn draw(&self, rng: &mut Stream) -> RopeWarp {
        let mut uniform = || 2.0 * rng.random::<f64>() - 1.0;
        let shift = [uniform(), uniform()].map(|u| (u * self.shift) as f32);
        let jitter = [uniform(), uniform()].map(|u| self.jitter.powf(u));
        let rescale = self.rescale.powf(uniform());
        RopeWarp { shift, scale: jitter.map(|jitter| (jitter * rescale) as f32) }
    }
}

/// Where positions are moved: `(position + shift) · scale`, rows first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeWarp {
    /// Added.
    pub shift: [f32; 2],
    /// Multiplied behind it.
    pub scale: [f32; 2],
}

impl RopeWarp {
    /// Nothing moves.
    pub const NONE: Self = Self { shift: [0.0; 2], scale: [1.0; 2] };
}

/// The moves of a training step: one for each block and each size of crops, as upstream draws them.
#[derive(Debug)]
pub struct RopeDraws<'a> {
    /// How much.
    pub augmentation: RopeAugmentation,
    /// Where draws come from.
    pub rng: &'a mut Stream,
}

/// Crops of one size, as far as positions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RopeGrid {
    /// Tokens before the patches, which have no position.
    pub prefix: usize,
    /// Rows of patches.
    pub rows: usize,
    /// Columns of patches.
    pub cols: usize,
}

/// Cosines and sines of all tokens of a crop, `[prefix + rows cols, width]`, for heads of `width` dimensions.
pub fn rope_table(periods: &[f32], grid: RopeGrid, warp: RopeWarp) -> Vec<f32> {
    let quarter = periods.len();
    let axis = |length: usize, axis: usize| -> Vec<(f32, f32)> {
        let centre = |i: usize| 2.0 * ((i as f32 + 0.5) / length as f32) - 1.0;
        let place = |i: usize| (centre(i) + warp.shift[axis]) * warp.scale[axis];
        (0..length)
            .flat_map(|i| periods.iter().map(move |period| TAU * place(i) / period))
            .map(turn)
            .collect()
    };
    let (down, across) = (axis(grid.rows, 0), axis(grid.cols, 1));
    let mut table = Vec::with_capacity((grid.prefix + grid.rows * grid.cols) * 4 * quarter);
    for _ in 0..grid.prefix {
        table.extend(std::iter::repeat_n(1.0, 2 * quarter).chain(std::iter::repeat_n(0.0, 2 * quarter)));
    }
    for row in 0..grid.rows {
        for col in 0..grid.cols {
            let (row, col) = (&down[row * quarter..][..quarter], &across[col * quarter..][..quarter]);
            table.extend(row.iter().chain(col).map(|angle| angle.0));
            table.extend(row.iter().chain(col).map(|angle| angle.1));
        }
    }
    table
}

/// Cosine and sine of an angle in 32 bits, computed in 64.
fn turn(angle: f32) -> (f32, f32) {
    let (sin, cos) = f64::from(angle).sin_cos();
    (cos as f32, sin as f32)
}

/// The tables of several groups of crops below each other, on a device: `[positions, width]`.
pub(crate) fn rope_tensor(
    config: &RopeConfig,
    width: usize,
    grids: &[RopeGrid],
    mut warp: impl FnMut() -> RopeWarp,
    device: &Device,
) -> Tensor<2> {
    let periods = config.periods(width);
    let values: Vec<f32> = grids.iter().flat_map(|grid| rope_table(&periods, *grid, warp())).collect();
    let shape = [values.len() / (4 * periods.len()).max(1), 4 * periods.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_base::rng::stream;

    #[test]
    fn periods_are_powers_of_the_base() {
        let rope = RopeConfig::default();
        let periods = rope.periods(64);
        assert_eq!((periods.len(), periods[0]), (16, 1.0));
        assert!((periods[8] - 10.0).abs() < 1e-5 && (periods[15] - 100f32.powf(15.0 / 16.0)).abs() < 1e-4);
        let own = RopeConfig { periods: Some(vec![3.0; 16]), ..rope };
        assert_eq!(own.periods(64), [3.0; 16]);
        assert_eq!(own.periods(32), RopeConfig::default().periods(32), "of another width");
    }

    #[test]
    fn tables_hold_rows_then_columns_and_leave_the_prefix_alone() {
        let grid = RopeGrid { prefix: 2, rows: 2, cols: 3 };
        let table = rope_table(&[1.0, 4.0], grid, RopeWarp::NONE);
        assert_eq!(table.len(), 8 * 8);
        assert_eq!(table[8..16], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        // Row 0 lies at -0.5, column 2 at 2/3.
        let angles = [-0.5, -0.125, 2.0 / 3.0, 1.0 / 6.0].map(|turns: f64| turns * std::f64::consts::TAU);
        let third = &table[4 * 8..5 * 8];
        for (i, angle) in angles.into_iter().enumerate() {
            assert!((f64::from(third[i]) - angle.cos()).abs() < 1e-6, "cosine {i}");
            assert!((f64::from(third[4 + i]) - angle.sin()).abs() < 1e-6, "sine {i}");
        }
    }

    #[test]
    fn draws_stay_within_what_is_asked_for() {
        let augmentation = RopeAugmentation { shift: 0.25, jitter: 1.5, rescale: 2.0 };
        let rng = &mut stream(1, "rope", 0, 0);
        let draws: Vec<RopeWarp> = (0..2000).map(|_| augmentation.draw(rng)).collect();
        let shifts = || draws.iter().flat_map(|draw| draw.shift);
        assert!(shifts().all(|s| s.abs() <= 0.25) && shifts().any(|s| s > 0.2) && shifts().any(|s| s < -0.2));
        let scales = || draws.iter().flat_map(|draw| draw.scale);
        assert!(scales().all(|s| (1.0 / 3.001..3.001).contains(&s)));
        assert!(scales().any(|s| s > 2.0) && scales().any(|s| s < 0.5));
        assert!(draws.iter().any(|draw| draw.scale[0] != draw.scale[1]), "each axis by itself");
        assert_eq!(RopeAugmentation::NONE.draw(rng), RopeWarp::NONE);
        let both = RopeAugmentation::DINOV3.draw(rng);
        assert!(both.scale[0] == both.scale[1] && both.shift == [0.0; 2]);
    }
}

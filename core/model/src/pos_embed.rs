//! Resampling the table of position embeddings to another grid.
//!
//! Bicubic weights as PyTorch has them: `a = -0.75` on four taps without antialias, `a = -0.5` with it.
//! The rule is separable, so a resize is two small matrix products, and gradients flow through both.

use burn::tensor::{Tensor, TensorData};

use super::config::PosEmbedInterpolation;
use super::grid::PatchGrid;

fn cubic(t: f64, a: f64) -> f64 {
    let t = t.abs();
    if t <= 1.0 {
        ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
    } else if t < 2.0 {
        ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a
    } else {
        0.0
    }
}

/// Weights `[output, input]` of a one-dimensional bicubic resize from `input` to `output` samples.
pub fn resize_weights(input: usize, output: usize, rule: PosEmbedInterpolation) -> Vec<f32> {
    let mut weights = vec![0.0f64; output * input];
    for (i, row) in weights.chunks_exact_mut(input.max(1)).enumerate() {
        let i = i as f64;
        if rule.antialias {
            let step = input as f64 / output as f64;
            let support = step.max(1.0);
            let center = step * (i + 0.5);
            let low = (center - 2.0 * support + 0.5).max(0.0) as usize;
            let high = ((center + 2.0 * support + 0.5) as usize).min(input);
            let taps: Vec<f64> =
                (low..high).map(|k| cubic((k as f64 - center + 0.5) / support, -0.5)).collect();
            let sum: f64 = taps.iter().sum();
            for (k, tap) in (low..high).zip(taps) {
                row[k] += tap / sum;
            }
        } else {
            // The step uses the offset size, the number of samples does not: that is the reference's rule.
            let step = input as f64 / (output as f64 + rule.offset);
            let center = (i + 0.5) * step - 0.5;
            let first = center.floor() as i64 - 1;
            for k in first..first + 4 {
                row[k.clamp(0, input as i64 - 1) as usize] += cubic(center - k as f64, -0.75);
            }
        }
    }
    weights.into_iter().map(|w| w as f32).collect()
}

/// The position table for a picture of `rows` by `cols` patches.
///
/// `table` is `[1, 1 + grid.area(), dim]`; the result is `[1, 1 + rows * cols, dim]`. The CLS row is kept as it is.
/// The stored table is returned unchanged only when both rows and columns are those that are stored.
pub fn resample(
    table: Tensor<3>,
    grid: PatchGrid,
    rows: usize,
    cols: usize,
    rule: PosEmbedInterpolation,
) -> Tensor<3> {
    if grid == PatchGrid::new(rows, cols) {
        return table;
    }
    let [_, positions, dim] = table.dims();
    let device = table.device().without_autodiff();
    let matrix = |input: usize, output: usize| {
        let weights = resize_weights(input, output, rule);
        Tensor::<2>::from_data(TensorData::new(weights, [output, input]), &device)
    };
    let class = table.clone().narrow(1, 0, 1);
    let patches = table.narrow(1, 1, positions - 1).reshape([grid.rows, grid.cols * dim]);
    let tall = matrix(grid.rows, rows).matmul(patches).reshape([rows, grid.cols, dim]);
    let wide = matrix(grid.cols, cols).unsqueeze::<3>().expand([rows, cols, grid.cols]).matmul(tall);
    Tensor::cat(vec![class, wide.reshape([1, rows * cols, dim])], 1)
}

#[cfg(test)]
#[allow(clippy::excessive_precision)] // The reference's digits, as printed.
mod tests {
    use super::*;

    fn resize(rows: usize, cols: usize, rule: PosEmbedInterpolation) -> Vec<f32> {
        let (wy, wx) = (resize_weights(4, rows, rule), resize_weights(4, cols, rule));
        let at = |y: usize, x: usize| ((y * 4 + x) as f32).powi(2);
        let mut out = Vec::new();
        for r in 0..rows {
            for c in 0..cols {
                let sum = |y: usize| (0..4).map(|x| wx[c * 4 + x] * at(y, x)).sum::<f32>();
                out.push((0..4).map(|y| wy[r * 4 + y] * sum(y)).sum::<f32>());
            }
        }
        out
    }

    fn close(got: &[f32], want: &[f32]) {
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() < 2e-4 * w.abs().max(1.0), "{got:?} is not {want:?}");
        }
    }

    // Values of the reference on a 4x4 grid that holds i².
    #[test]
    fn offset_rule_matches_the_reference() {
        let want = [
            1.500636, 4.580093, 11.632380, 33.120037, 50.600983, 72.013374, 128.355438, 160.196503,
            195.927719,
        ];
        close(&resize(3, 3, PosEmbedInterpolation::OFFSET), &want);
        close(
            &resize(3, 5, PosEmbedInterpolation::OFFSET),
            &[1.201016, 2.197397, 4.650530, 8.784055, 13.075252],
        );
        let want = [-1.441527, -1.482604, -0.884864, 0.344354, 3.311249, 5.734621];
        close(&resize(6, 6, PosEmbedInterpolation::OFFSET), &want);
    }

    #[test]
    fn size_rule_matches_the_reference() {
        let want = [
            1.681721, 5.101849, 12.697905, 35.605331, 54.125000, 76.820610, 136.343765, 169.962982,
            207.758194,
        ];
        close(&resize(3, 3, PosEmbedInterpolation::SIZE), &want);
    }

    #[test]
    fn antialias_matches_the_reference() {
        let want = [
            1.572344, 5.846609, 13.413925, 40.101818, 58.106312, 79.403877, 131.320114, 163.054855,
            198.082672,
        ];
        close(&resize(3, 3, PosEmbedInterpolation::ANTIALIAS), &want);
        let want = [-1.083793, -0.975229, -0.305552, 1.343572, 4.408675, 6.662750];
        close(&resize(6, 6, PosEmbedInterpolation::ANTIALIAS), &want);
    }

    /// A table whose values tell rows from columns: bicubic weights add up to 1, so what is the same along an axis stays.
    #[test]
    fn rows_are_resampled_as_rows_and_columns_as_columns() {
        let device = burn::tensor::Device::flex();
        let (grid, rows, cols) = (PatchGrid::new(3, 5), 4, 7);
        for rule in
            [PosEmbedInterpolation::OFFSET, PosEmbedInterpolation::SIZE, PosEmbedInterpolation::ANTIALIAS]
        {
            let square = |i: usize| (i * i) as f32;
            let places =
                (0..grid.rows).flat_map(|row| (0..grid.cols).map(move |col| [square(row), square(col)]));
            let table: Vec<f32> = [[-1.0, -2.0]].into_iter().chain(places).flatten().collect();
            let table = Tensor::<3>::from_data(TensorData::new(table, [1, 1 + grid.area(), 2]), &device);
            assert_eq!(resample(table.clone(), grid, 3, 5, rule).into_data(), table.clone().into_data());
            let found = resample(table, grid, rows, cols, rule);
            assert_eq!(found.dims(), [1, 1 + rows * cols, 2]);
            let along = |input: usize, output: usize| -> Vec<f32> {
                let weights = resize_weights(input, output, rule);
                let sum = |row: &[f32]| row.iter().enumerate().map(|(i, w)| w * square(i)).sum();
                weights.chunks_exact(input).map(sum).collect()
            };
            let (down, across) = (along(3, rows), along(5, cols));
            let mut want = vec![-1.0, -2.0];
            want.extend(down.iter().flat_map(|row| across.iter().flat_map(move |col| [*row, *col])));
            close(&found.into_data().iter::<f32>().collect::<Vec<_>>(), &want);
        }
    }

    #[test]
    fn ramp_of_37_to_16_matches_the_reference() {
        let ends = |rule| {
            let w = resize_weights(37, 16, rule);
            let at = |i: usize| (0..37).map(|k| w[i * 37 + k] * k as f32).sum::<f32>();
            [at(0), at(15)]
        };
        close(&ends(PosEmbedInterpolation::OFFSET), &[0.555163, 35.171139]);
        close(&ends(PosEmbedInterpolation::ANTIALIAS), &[0.708427, 35.291573]);
    }
}

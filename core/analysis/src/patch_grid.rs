//! Features of one patch grid on another one: what two models with patches of different sizes see, side by side.

use dinoscope_base::parallel::for_chunks;

use super::PatchFeatures;

/// For each output position the input positions that it covers, with weights that add up to 1.
///
/// A triangle as wide as the coarser of both grids: linear between patches where the grid becomes finer, a mean of all that an
/// output patch covers where it becomes coarser.
fn taps(input: usize, output: usize) -> Vec<Vec<(usize, f32)>> {
    let scale = input as f64 / output as f64;
    let support = scale.max(1.0);
    (0..output)
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale - 0.5;
            let first = (centre - support).ceil().max(0.0) as usize;
            let last = ((centre + support).floor().max(0.0) as usize).min(input - 1);
            let weight = |at: usize| (1.0 - (at as f64 - centre).abs() / support).max(0.0);
            let all: f64 = (first..=last).map(weight).sum();
            (first..=last).map(|at| (at, (weight(at) / all) as f32)).filter(|(_, w)| *w > 0.0).collect()
        })
        .collect()
}

/// Features on a grid of `rows` × `cols` patches over the same picture, separably: `[rows, cols, dim]`. The same numbers where
/// the grid is that already; none where either grid is empty.
pub fn on_grid(features: &PatchFeatures, rows: usize, cols: usize) -> PatchFeatures {
    let dim = features.dim;
    if (features.rows, features.cols) == (rows, cols) {
        return features.clone();
    }
    let mut out = PatchFeatures { rows, cols, dim, data: vec![0.0; rows * cols * dim] };
    if features.is_empty() || out.is_empty() || dim == 0 {
        return out;
    }
    let (across, down) = (taps(features.cols, cols), taps(features.rows, rows));
    let line = features.cols * dim;
    for_chunks(&mut out.data, cols * dim, |row, to| {
        let mut mixed = vec![0f32; line];
        for (from, weight) in &down[row] {
            mixed.iter_mut().zip(&features.data[from * line..]).for_each(|(sum, v)| *sum += weight * v);
        }
        for (patch, taps) in to.chunks_exact_mut(dim).zip(&across) {
            for (from, weight) in taps {
                patch.iter_mut().zip(&mixed[from * dim..]).for_each(|(sum, v)| *sum += weight * v);
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(rows: usize, cols: usize) -> PatchFeatures {
        // The place of each patch in the picture, from 0 to 1.
        let place = |i: usize, of: usize| (i as f32 + 0.5) / of as f32;
        let data = (0..rows * cols).flat_map(|i| [place(i / cols, rows), place(i % cols, cols)]).collect();
        PatchFeatures { rows, cols, dim: 2, data }
    }

    #[test]
    fn places_stay_where_they_are_on_coarser_and_finer_grids() {
        let grid = ramp(12, 18);
        assert_eq!(on_grid(&grid, 12, 18), grid);
        for (rows, cols) in [(6, 9), (4, 6), (24, 27), (7, 5)] {
            let (found, want) = (on_grid(&grid, rows, cols), ramp(rows, cols));
            for row in 1..rows - 1 {
                for col in 1..cols - 1 {
                    for c in 0..2 {
                        let at = (row * cols + col) * 2 + c;
                        assert!(
                            (found.data[at] - want.data[at]).abs() < 0.01,
                            "{rows} × {cols}: {row}, {col}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn halves_by_hand() {
        // Each output patch is centred between two of four; the triangle gives 3/8 to both and 1/8 to those beside.
        let line = PatchFeatures { rows: 1, cols: 4, dim: 1, data: vec![8.0, 16.0, 0.0, 40.0] };
        let found = on_grid(&line, 1, 2).data;
        // At the edge the outer eighth is missing: 3/7, 3/7, 1/7.
        assert!((found[0] - 72.0 / 7.0).abs() < 1e-5 && (found[1] - 136.0 / 7.0).abs() < 1e-5, "{found:?}");
        let one = PatchFeatures { rows: 1, cols: 1, dim: 1, data: vec![5.0] };
        assert_eq!(on_grid(&one, 2, 2).data, [5.0; 4]);
        assert!(on_grid(&one, 0, 2).data.is_empty());
    }
}

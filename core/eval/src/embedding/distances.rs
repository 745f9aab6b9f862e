//! How far pictures are apart, in features and on a map.

use dinoscope_analysis::linalg::{self, LANES, PackedPanels};
use dinoscope_base::parallel;

/// Squared distances on the unit sphere, `[pictures, pictures]`, of `[pictures, dim]` features.
pub(super) fn on_the_sphere(features: &[f32], dim: usize) -> Vec<f32> {
    let pictures = features.len().checked_div(dim).unwrap_or(0);
    // Around their mean, which changes no distance: where all features are nearly the same, `2 - 2 cos` would be rounding.
    let mut around = linalg::normalise_rows(features, dim);
    let mut mean = vec![0f64; dim];
    for row in around.chunks_exact(dim.max(1)) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v) / pictures as f64);
    }
    for row in around.chunks_exact_mut(dim.max(1)) {
        row.iter_mut().zip(&mean).for_each(|(v, m)| *v = (f64::from(*v) - m) as f32);
    }
    let squares: Vec<f32> =
        around.chunks_exact(dim.max(1)).map(|row| row.iter().map(|v| v * v).sum()).collect();
    let packed = PackedPanels::new(&around, pictures, dim);
    let mut out = vec![0f32; pictures * pictures];
    parallel::for_chunks(&mut out, LANES * pictures.max(1), |own, rows| {
        let mut block = [[0.0; LANES]; LANES];
        for other in 0..packed.panels() {
            packed.block(own, &packed, other, &mut block);
            let to = other * LANES..other * LANES + packed.rows_in(other);
            for (i, (row, products)) in rows.chunks_exact_mut(pictures).zip(&block).enumerate() {
                let of_row = squares[own * LANES + i];
                let pairs = row[to.clone()].iter_mut().zip(&squares[to.clone()]).zip(products);
                for ((distance, square), product) in pairs {
                    *distance = (of_row + square - 2.0 * product).max(0.0);
                }
            }
        }
        // Rounding must not put a picture at a distance from itself.
        for (i, row) in rows.chunks_exact_mut(pictures).enumerate() {
            row[own * LANES + i] = 0.0;
        }
    });
    out
}

/// The `k` nearest other pictures of each, nearest first, ties by position: `[pictures, k]` of squared distances
/// `[pictures, pictures]`; fewer where there are fewer.
pub(super) fn nearest(distances: &[f32], pictures: usize, k: usize) -> Vec<Vec<u32>> {
    let mut out = vec![Vec::new(); pictures];
    parallel::for_chunks(&mut out, 16, |chunk, some| {
        for (i, near) in some.iter_mut().enumerate() {
            let own = chunk * 16 + i;
            let row = &distances[own * pictures..][..pictures];
            *near = best(row, own, k);
        }
    });
    out
}

/// [`nearest`] of points in the plane.
pub(super) fn nearest_points(points: &[[f32; 2]], k: usize) -> Vec<Vec<u32>> {
    let mut out = vec![Vec::new(); points.len()];
    parallel::for_chunks(&mut out, 16, |chunk, some| {
        for (i, near) in some.iter_mut().enumerate() {
            let own = chunk * 16 + i;
            let [x, y] = points[own];
            let row: Vec<f32> = points.iter().map(|p| (p[0] - x).powi(2) + (p[1] - y).powi(2)).collect();
            *near = best(&row, own, k);
        }
    });
    out
}

fn best(row: &[f32], own: usize, k: usize) -> Vec<u32> {
    let mut others: Vec<u32> = (0..row.len() as u32).filter(|j| *j as usize != own).collect();
    let order = |a: &u32, b: &u32| row[*a as usize].total_cmp(&row[*b as usize]).then(a.cmp(b));
    if k > 0 && k < others.len() {
        others.select_nth_unstable_by(k - 1, order);
    }
    others.truncate(k);
    others.sort_unstable_by(order);
    others
}

#[cfg(test)]
mod tests {
    use super::*;
    use dinoscope_base::rng;

    #[test]
    fn distances_and_neighbours_equal_plain_ones() {
        let (n, dim) = (37, 5);
        let mut stream = rng::stream(8, "distances", 0, 0);
        let features: Vec<f32> = (0..n * dim).map(|_| rng::normal(&mut stream)).collect();
        let distances = on_the_sphere(&features, dim);
        let unit = linalg::normalise_rows(&features, dim);
        for i in 0..n {
            for j in 0..n {
                let plain: f32 = (0..dim).map(|k| (unit[i * dim + k] - unit[j * dim + k]).powi(2)).sum();
                assert!((distances[i * n + j] - plain).abs() < 1e-5);
            }
            assert_eq!(distances[i * n + i], 0.0);
        }
        let near = nearest(&distances, n, 4);
        for (i, near) in near.iter().enumerate() {
            let mut all: Vec<u32> = (0..n as u32).filter(|j| *j as usize != i).collect();
            all.sort_by(|a, b| distances[i * n + *a as usize].total_cmp(&distances[i * n + *b as usize]));
            assert_eq!(near, &all[..4]);
        }
        assert_eq!(nearest_points(&[[0.0, 0.0], [3.0, 0.0], [1.0, 1.0]], 9), [[2, 1], [2, 0], [0, 1]]);
        assert!(on_the_sphere(&[], 0).is_empty());
    }

    #[test]
    fn features_that_are_nearly_the_same_keep_their_distances() {
        // A thousandth apart around a common direction, as an untrained backbone gives.
        let (n, dim) = (20, 6);
        let mut stream = rng::stream(9, "distances", 0, 0);
        let apart: Vec<f32> = (0..n * dim).map(|_| 1e-3 * rng::normal(&mut stream)).collect();
        let features: Vec<f32> =
            apart.iter().enumerate().map(|(i, v)| v + f32::from(u8::from(i % dim == 0))).collect();
        let distances = on_the_sphere(&features, dim);
        let unit: Vec<f64> = features
            .chunks_exact(dim)
            .flat_map(|row| {
                let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
                row.iter().map(move |v| f64::from(*v) / length)
            })
            .collect();
        for i in 0..n {
            for j in (0..n).filter(|j| *j != i) {
                let plain: f64 = (0..dim).map(|k| (unit[i * dim + k] - unit[j * dim + k]).powi(2)).sum();
                let found = f64::from(distances[i * n + j]);
                assert!((found - plain).abs() < 0.01 * plain, "{found} for {plain}");
            }
        }
    }
}

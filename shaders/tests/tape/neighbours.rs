use dinoscope_shaders::neighbours::gpu::{distances, distances_backward, nearest};

use super::*;

fn run(client: &Client, x: &[f32], dim: usize) -> Vec<i32> {
    let rows = x.len() / dim;
    let out = nearest(client, &floats(client, x), rows, rows, dim).unwrap();
    let bytes = pollster::block_on(client.read_async(vec![out])).unwrap().remove(0);
    bytemuck::pod_collect_to_vec(&bytes)
}

fn normal(mut x: Vec<f32>, dim: usize) -> Vec<f32> {
    for row in x.chunks_mut(dim) {
        let size = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        row.iter_mut().for_each(|v| *v /= size);
    }
    x
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn neighbours_of_awkward_shapes() {
    let client = client();
    for (rows, dim) in [(1, 5), (2, 3), (15, 5), (63, 96), (65, 5), (17, 384), (257, 33)] {
        let x = normal(noise(rows * dim, 9), dim);
        let got = run(&client, &x, dim);
        let x = wide(&x);
        for i in 0..rows {
            let product = |j: usize| {
                if i == j { -1.0 } else { dot(&x[i * dim..][..dim], &x[j * dim..][..dim]) }
            };
            let best = (0..rows).map(product).fold(f64::MIN, f64::max);
            // Products that differ by less than rounding may stand for each other.
            let off = best - product(got[i] as usize);
            assert!(off < 1e-6, "{rows} x {dim}: row {i} found {}, worse by {off}", got[i]);
        }
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn the_first_of_equal_neighbours_wins() {
    let client = client();
    // Rows 1, 3, 20 and 36 are the same.
    let mut x = vec![0.0; 40 * 8];
    for row in 0..40 {
        x[row * 8 + if [1, 3, 20, 36].contains(&row) { 0 } else { 1 + row % 7 }] = 1.0;
    }
    let got = run(&client, &x, 8);
    assert_eq!((got[1], got[3], got[20], got[36]), (3, 1, 1, 1));
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn nan_is_nobodys_neighbour() {
    let client = client();
    let mut x = normal(noise(20 * 5, 4), 5);
    x[3 * 5 + 2] = f32::NAN;
    let got = run(&client, &x, 5);
    assert!(got.iter().enumerate().all(|(i, j)| (0..20).contains(j) && (i == 3 || *j != 3)), "{got:?}");
    assert_eq!(got[3], 3, "all its products but the one with itself are not numbers");
    assert_eq!(run(&client, &[], 5).len(), 0);
}

/// Neighbours within views, distances in f64.
fn reference(y: &[f64], near: &[usize], dim: usize, epsilon: f64) -> Vec<f64> {
    let far = |(row, near): (usize, &usize)| {
        let pairs = y[row * dim..][..dim].iter().zip(&y[near * dim..][..dim]);
        pairs.map(|(a, b)| (a - b + epsilon).powi(2)).sum::<f64>().sqrt()
    };
    near.iter().enumerate().map(far).collect()
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn distances_in_views_and_their_slopes() {
    const EPSILON: f32 = 0.01;
    let client = client();
    for (views, per_view, dim) in [(1, 1, 3), (2, 1, 5), (2, 9, 5), (1, 65, 96), (2, 33, 384), (3, 17, 1030)]
    {
        let what = format!("{views} views of {per_view} x {dim}");
        let rows = views * per_view;
        let y = normal(noise(rows * dim, 9), dim);
        let d = noise(rows, 10);
        let (on_device, d_on_device) = (floats(&client, &y), floats(&client, &d));
        let found = distances(&client, &on_device, rows, per_view, dim, EPSILON).unwrap();
        let bytes = pollster::block_on(client.read_async(vec![found.nearest.clone()])).unwrap().remove(0);
        let near: Vec<i32> = bytemuck::pod_collect_to_vec(&bytes);
        let near: Vec<usize> = near.into_iter().map(|near| near as usize).collect();
        let (y, d) = (wide(&y), wide(&d));
        for (row, near) in near.iter().enumerate() {
            assert_eq!(near / per_view, row / per_view, "{what}: row {row} found another view's {near}");
            let view = row / per_view * per_view..(row / per_view + 1) * per_view;
            let product = |other: usize| {
                if other == row { -1.0 } else { dot(&y[row * dim..][..dim], &y[other * dim..][..dim]) }
            };
            let best = view.map(product).fold(f64::MIN, f64::max);
            assert!(best - product(*near) < 1e-6, "{what}: row {row} found {near}");
        }
        let far = read(&client, &found.distance);
        close(&format!("{what}: distance"), &far, &reference(&y, &near, dim, EPSILON.into()), 1e-5);
        let (eps, back) = (EPSILON, &d_on_device);
        let dy = distances_backward(&client, back, &on_device, &found, rows, per_view, dim, eps).unwrap();
        let dy = read(&client, &dy);
        if rows * dim <= 100 {
            let want = slopes(&y, |y| dot(&reference(y, &near, dim, EPSILON.into()), &d));
            close(&format!("{what}: slopes"), &dy, &want, 1e-4);
        }
        let far = reference(&y, &near, dim, EPSILON.into());
        let mut want = vec![0.0; rows * dim];
        for (row, &near) in near.iter().enumerate() {
            for j in 0..dim {
                let slope = d[row] / far[row] * (y[row * dim + j] - y[near * dim + j] + f64::from(EPSILON));
                want[row * dim + j] += slope;
                want[near * dim + j] -= slope;
            }
        }
        close(&format!("{what}: dy"), &dy, &want, 1e-4);
    }
}

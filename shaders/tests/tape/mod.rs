//! What the cases share: a client, noise, buffers that hold garbage, and comparisons.

mod activation;
mod adamw;
mod again;
mod cross_entropy;
mod half;
mod l2_norm;
mod layer_norm;
mod neighbours;
mod residual;
mod rope;
mod sinkhorn;
mod twins;

use cubecl::client::Client;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::server::Handle;

pub const F32: ElemType = ElemType::Float(FloatKind::F32);

/// A client of the first adapter, whose free memory holds not-a-numbers.
pub fn client() -> Client {
    let client = crate::adapter::client();
    spoil(&client);
    client
}

/// Leaves garbage of several sizes in the memory that new buffers are cut from.
fn spoil(client: &Client) {
    let sizes = [1, 5, 64, 96, 257, 384, 1000, 5000, 20_000, 100_000];
    let held: Vec<Handle> = sizes.iter().map(|n| floats(client, &vec![f32::NAN; *n])).collect();
    pollster::block_on(client.read_async(held)).unwrap();
}

/// Noise whose first values differ, too, where seeds are near each other.
pub fn noise(count: usize, seed: u32) -> Vec<f32> {
    crate::noise::noise(count, seed.wrapping_mul(2_654_435_769).wrapping_add(12345))
}

pub fn floats(client: &Client, values: &[f32]) -> Handle {
    client.create_from_slice(bytemuck::cast_slice(values))
}

pub fn indices(client: &Client, values: &[i32]) -> Handle {
    client.create_from_slice(bytemuck::cast_slice(values))
}

pub fn read(client: &Client, handle: &Handle) -> Vec<f32> {
    let bytes = pollster::block_on(client.read_async(vec![handle.clone()])).unwrap().remove(0);
    bytemuck::pod_collect_to_vec(&bytes)
}

/// Every second row or so, ascending, never the whole and never none (of at least two).
pub fn some_rows(tokens: usize, seed: u32) -> Vec<usize> {
    let draws = noise(tokens, seed);
    (0..tokens).filter(|i| draws[*i] > 0.0 || *i == tokens / 2).collect()
}

/// Fails where `got` is further from `want` than `tolerance` of the largest value.
#[track_caller]
pub fn close(what: &str, got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    let largest = want.iter().fold(1e-30f64, |a, b| a.max(b.abs()));
    assert!(largest.is_finite(), "{what}: the reference is not finite");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let off = (f64::from(*g) - w).abs();
        // A comparison that a not-a-number fails.
        assert!(
            off <= tolerance * largest,
            "{what}[{i}]: {g} is not {w} (off by {:e} of {largest})",
            off / largest
        );
    }
}

/// Slopes of `f` along every value of `x`, by central differences.
pub fn slopes(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut at = x.to_vec();
    (0..x.len())
        .map(|i| {
            let step = 1e-5;
            at[i] = x[i] + step;
            let above = f(&at);
            at[i] = x[i] - step;
            let below = f(&at);
            at[i] = x[i];
            (above - below) / (2.0 * step)
        })
        .collect()
}

pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

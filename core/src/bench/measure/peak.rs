//! What the device can do at best: one large matrix product.

use burn::tensor::{Device, Tensor};
use web_time::Instant;

use crate::bench::BenchError;
use crate::bench::prepared::noise;

/// A product of this many rows and columns is large enough, whatever the device.
const LARGEST: usize = 8192;
/// Seconds after which a product counts as large.
const LONG: f64 = 0.1;
/// Products of the final size; the fastest one counts.
const RUNS: usize = 5;

/// Operations per second of a square float32 matrix product that takes a tenth of a second or more.
///
/// # Errors
/// When the device fails.
pub fn measure(device: &Device) -> Result<f64, BenchError> {
    let mut size = 512;
    loop {
        let (a, b) = (noise([size, size], 1, device), noise([size, size], 2, device));
        let once = || -> Result<f64, BenchError> {
            let start = Instant::now();
            let product: Tensor<2> = a.clone().matmul(b.clone());
            device.sync()?;
            drop(product);
            Ok(start.elapsed().as_secs_f64())
        };
        once()?;
        if once()? < LONG && size < LARGEST {
            size *= 2;
            continue;
        }
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            best = best.min(once()?);
        }
        return Ok(2.0 * (size as f64).powi(3) / best);
    }
}

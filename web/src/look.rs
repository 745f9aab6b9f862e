//! The first look: one small backbone and one picture on two devices, and how far apart the features are.
//!
//! It shows that this browser computes, and computes the same as the CPU, before anything large is loaded.

use burn::tensor::{Device, Tensor, TensorData};
use dinoscope_core::model::{Vit, VitConfig};
use serde::Serialize;

/// Side of the picture in pixels.
const SIDE: usize = 32;
/// Side of a patch in pixels.
const PATCH: usize = 8;
const SEED: u64 = 2023;

/// What went wrong on a device.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The browser gave no device.
    #[error("opening a WebGPU device: {0}")]
    Open(String),
    /// The device was lost, or ran out of memory, on the way.
    #[error("reading features back from the device: {0}")]
    Read(String),
}

/// What the page says. Times in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Side of the picture in pixels.
    pub side: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Transformer blocks.
    pub blocks: usize,
    /// Trainable values.
    pub parameters: usize,
    /// `[batch, tokens, dim]` of the features.
    pub shape: [usize; 3],
    /// Euclidean length of all features together: a number to recognise them by.
    pub length: f32,
    /// One pass on the CPU backend.
    pub cpu_ms: f64,
    /// The same on WebGPU, if it was asked for and worked.
    pub gpu: Option<Gpu>,
    /// Why it did not.
    pub gpu_error: Option<String>,
}

/// The GPU's part of the report.
#[derive(Clone, Debug, Serialize)]
pub struct Gpu {
    /// The adapter's name, which browsers may keep to themselves.
    pub adapter: String,
    /// The first pass, with the compilation of its programs.
    pub first_ms: f64,
    /// The second one.
    pub ms: f64,
    /// Largest difference to the CPU backend; not finite if a feature is not.
    pub difference: f32,
    /// Whether all features are numbers.
    pub finite: bool,
}

/// Computes on the CPU, and if `gpu` on WebGPU; `clock` counts milliseconds.
///
/// # Errors
/// [`LookError::Read`] when the CPU fails.
pub async fn look(gpu: bool, clock: impl Fn() -> f64) -> Result<Report, LookError> {
    let config = config();
    let start = clock();
    let (expected, shape) = features(&Vit::init(&config, SEED, &Device::flex()), &Device::flex()).await?;
    let cpu_ms = clock() - start;
    let (gpu, gpu_error) = if gpu { split(on_gpu(&config, &expected, clock).await) } else { (None, None) };
    Ok(Report {
        side: SIDE,
        patch: PATCH,
        blocks: config.depth,
        parameters: config.parameters(),
        shape,
        length: expected.iter().map(|x| x * x).sum::<f32>().sqrt(),
        cpu_ms,
        gpu,
        gpu_error,
    })
}

/// Two blocks, and gains of 1 where training starts from 1e-5: here every block has to count.
fn config() -> VitConfig {
    VitConfig { layerscale: Some(1.0), ..VitConfig::new(SIDE, PATCH, 32, 2, 2) }
}

async fn on_gpu(config: &VitConfig, expected: &[f32], clock: impl Fn() -> f64) -> Result<Gpu, LookError> {
    let opened = Device::wgpu_options().init_with_setup_async().await;
    let (device, setup) = opened.map_err(|error| LookError::Open(error.to_string()))?;
    let vit = Vit::init(config, SEED, &device);
    let start = clock();
    features(&vit, &device).await?;
    let between = clock();
    let (got, _) = features(&vit, &device).await?;
    Ok(Gpu {
        adapter: setup.adapter.get_info().name,
        first_ms: between - start,
        ms: clock() - between,
        difference: difference(&got, expected),
        finite: got.iter().all(|value| value.is_finite()),
    })
}

/// Normed CLS and patch tokens of the picture, and their shape `[1, tokens, dim]`.
async fn features(vit: &Vit, device: &Device) -> Result<(Vec<f32>, [usize; 3]), LookError> {
    let picture = TensorData::new(picture(), [1, 3, SIDE, SIDE]);
    let features = vit.forward(Tensor::from_data(picture, device), None);
    let tokens = Tensor::cat(vec![features.cls.unsqueeze_dim::<3>(1), features.patches], 1);
    let shape = tokens.dims();
    let data = tokens.into_data_async().await.map_err(|error| LookError::Read(format!("{error:?}")))?;
    let values = data.try_into_vec_as::<f32>().map_err(|error| LookError::Read(format!("{error:?}")))?;
    Ok((values, shape))
}

/// Waves of another length in each channel, about as bright as a normalised photograph.
fn picture() -> Vec<f32> {
    let pixels = (0..3 * SIDE * SIDE).map(|i| {
        let (channel, row, column) = (i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE);
        let (x, y) = (column as f32 / SIDE as f32, row as f32 / SIDE as f32);
        (6.0 * x * (channel + 1) as f32).sin() + (9.0 * y + channel as f32).cos()
    });
    pixels.collect()
}

/// Largest absolute difference. `f32::max` would drop a NaN, this keeps it.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, |worst: f32, apart| if worst.is_nan() || apart <= worst { worst } else { apart })
}

fn split<T>(result: Result<T, LookError>) -> (Option<T>, Option<String>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// The CPU backend never waits.
    fn ready<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("the CPU backend waited"),
        }
    }

    #[test]
    fn the_cpu_alone_gives_a_report() {
        let report = ready(look(false, || 0.0)).unwrap();
        assert_eq!(report.shape, [1, 17, 32]);
        // Each of 17 normed tokens of width 32 has a length near √32.
        assert!((report.length - (17.0f32 * 32.0).sqrt()).abs() < 0.1, "{}", report.length);
        assert!(report.gpu.is_none() && report.gpu_error.is_none());
    }

    #[test]
    fn a_nan_is_never_a_small_difference() {
        assert_eq!(difference(&[1.0, 2.0], &[1.0, 2.5]), 0.5);
        assert!(difference(&[f32::NAN, 2.0], &[1.0, 2.0]).is_nan());
        assert!(difference(&[1.0, f32::INFINITY], &[1.0, 2.0]).is_infinite());
    }
}

//! The GPU programs against their CPU twins, in this browser.

use burn::tensor::{Device, Tensor};
use dinoscope_core::burn_cubecl::CubeBackend;
use dinoscope_shaders::{ShaderError, check, display};
use serde::Serialize;

/// Why the comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub enum KernelCheckError {
    /// The browser gave no device.
    #[error("opening a WebGPU device: {0}")]
    Open(String),
    /// A program could not run.
    #[error(transparent)]
    Program(#[from] ShaderError),
}

/// One comparison, as the page's test reads it.
#[derive(Clone, Debug, Serialize)]
pub struct KernelCheckResult {
    /// Program, size and result.
    pub name: String,
    /// Largest difference over the largest value of the twin; null where either is no number.
    pub error: f64,
    /// Largest error that is in order.
    pub tolerance: f64,
    /// Whether the two agree.
    pub passed: bool,
}

/// Runs every program on WebGPU and compares it with its twin.
///
/// # Errors
/// There is no WebGPU, or a program is refused.
pub async fn programs() -> Result<Vec<KernelCheckResult>, KernelCheckError> {
    let opened = Device::wgpu_options().init_with_setup_async().await;
    let (device, setup) = opened.map_err(|error| KernelCheckError::Open(error.to_string()))?;
    let near = Tensor::<1>::zeros([1], &device).try_into_primitive::<CubeBackend>();
    let near = near.map_err(|error| KernelCheckError::Open(format!("{error:?}")))?;
    let mut found = check::all(&near.client).await?;
    found.extend(display::check::all(&setup.device, &setup.queue).await?);
    let row = |c: check::KernelComparison| KernelCheckResult {
        passed: c.passed(),
        name: c.name,
        error: c.error,
        tolerance: c.tolerance,
    };
    Ok(found.into_iter().map(row).collect())
}

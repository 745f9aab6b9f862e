//! What can compute beside the processor: the GPU that the browser has given the page, if it has.

use dinoscope_core::device::{DeviceChoice, DeviceError, GpuAdapter, SelectedDevice};
use eframe::egui_wgpu::RenderState;

/// Pictures that pass through a model at once: few, for frames are drawn on the same thread.
pub fn batch(device: &SelectedDevice) -> usize {
    if device.gpu { 8 } else { 2 }
}

/// The page's GPU.
pub fn adapters(gpu: Option<&RenderState>) -> Vec<GpuAdapter> {
    gpu.map(|gpu| GpuAdapter::of_browser(&gpu.adapter)).into_iter().collect()
}

/// Whether an adapter is the one that draws: there is no other.
pub fn draws(_: &RenderState, _: &GpuAdapter) -> bool {
    true
}

/// A device of a run's own on the GPU that draws too: the run's worker opens it.
pub fn for_training(_: DeviceChoice) -> Option<Result<SelectedDevice, DeviceError>> {
    None
}

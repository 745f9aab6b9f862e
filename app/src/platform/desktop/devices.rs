//! What can compute beside the processor: each adapter of the system.

use dinoscope_core::device::{self, DeviceChoice, DeviceError, GpuAdapter, SelectedDevice};
use eframe::egui_wgpu::RenderState;

/// Pictures that pass through a model at once while the window is drawn.
pub fn batch(_: &SelectedDevice) -> usize {
    64
}

/// All adapters.
pub fn adapters(_: Option<&RenderState>) -> Vec<GpuAdapter> {
    device::adapters()
}

/// Whether an adapter is the one that draws.
pub fn draws(gpu: &RenderState, adapter: &GpuAdapter) -> bool {
    adapter.is(&gpu.adapter.get_info())
}

/// A device of a run's own on the GPU that draws too: a device has one queue, and a frame that shares it would wait for
/// every step that was submitted before.
///
/// # Errors
/// No second device can be had there.
pub fn for_training(choice: DeviceChoice) -> Option<Result<SelectedDevice, DeviceError>> {
    Some(device::choose(choice))
}

//! What a training step launches on a GPU, program by program, and what that costs the host alone.
//!
//! Runs on wgpu's *noop* device, which takes every launch and computes nothing: no GPU is needed, nothing of the time is the
//! card's, and the counts are the same on every machine. Values are never looked at.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Device;
use cubecl::logging::{LaunchObservation, LaunchObserver};
use cubecl::wgpu::WgpuSetup;

use super::BenchError;
use super::measure::BenchRunner;
use super::prepared::StepFixture;
use super::programs;
use super::row::{BenchResult, BenchWorkload};
use crate::device::block_on;
use crate::train::Recipe;

/// The figure of all launches together.
pub const ALL: &str = "launches";

/// Counts launches by the program's name.
#[derive(Default)]
struct LaunchCounter(Mutex<BTreeMap<&'static str, u32>>);

impl LaunchObserver for LaunchCounter {
    fn launched(&self, kernel: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(short_name(kernel)).or_default() += 1;
    }
}

/// `KernelBinop` of `burn_cubecl::…::KernelBinop<f32, AddOp>`.
fn short_name(kernel: &'static str) -> &'static str {
    let path = kernel.split('<').next().unwrap_or(kernel);
    path.rsplit("::").next().unwrap_or(path)
}

/// Launches of one step of `recipe`, by program, once everything is compiled.
///
/// # Errors
/// When the device cannot be had.
pub fn of_step(recipe: &Recipe) -> Result<BTreeMap<&'static str, u32>, BenchError> {
    let device = noop_device()?;
    let mut prepared = StepFixture::new(recipe, &device);
    drop(prepared.step());
    count(&device, &mut || drop(prepared.step()))
}

/// Launches of `work` by program.
fn count(device: &Device, work: &mut dyn FnMut()) -> Result<BTreeMap<&'static str, u32>, BenchError> {
    device.sync()?;
    let counter = Arc::new(LaunchCounter::default());
    let watching = LaunchObservation::new(counter.clone());
    work();
    device.sync()?;
    drop(watching);
    let counts = counter.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(counts.clone())
}

/// Measures what the host does for a step, and for each of its parts, and counts their launches.
///
/// # Errors
/// When the device cannot be had.
pub fn run(recipe: &Recipe, bench: &mut BenchRunner) -> Result<Vec<BenchResult>, BenchError> {
    let device = noop_device()?;
    let mut prepared = StepFixture::new(recipe, &device);
    let mut host = BenchRunner {
        device: device.clone(),
        warmup: bench.warmup.max(1),
        pace: &mut *bench.pace,
        first_only: bench.first_only,
        // Nothing is computed: neither rates nor shares of a peak mean anything.
        peak: None,
    };
    let measured = host.alternate(vec![("whole step", Box::new(|| drop(prepared.step())))])?;
    let counts = count(&device, &mut || drop(prepared.step()))?;
    let (what, sizes) = (prepared.what(), prepared.sizes());
    let mut rows = Vec::new();
    let row = |measured, counts: &BTreeMap<&'static str, u32>, host: &BenchRunner| {
        let (sizes, none) = (sizes.clone(), BenchWorkload::default());
        let all: u32 = counts.values().sum();
        BenchResult::new("launches", what.clone(), sizes, measured, none, host).with(ALL, f64::from(all))
    };
    for measured in measured {
        let row = row(measured, &counts, &host);
        rows.push(counts.iter().fold(row, |row, (name, count)| row.with(name, f64::from(*count))));
    }
    for mut part in programs::parts(&prepared) {
        let measured = host.alternate(vec![(part.name, Box::new(|| (part.work)()))])?;
        let counts = count(&device, &mut part.work)?;
        rows.extend(measured.into_iter().map(|measured| row(measured, &counts, &host)));
    }
    Ok(rows)
}

/// wgpu's device that drops every launch.
///
/// # Errors
/// When this build has none, as in a browser.
fn noop_device() -> Result<Device, BenchError> {
    let failed = |reason: String| BenchError::Device(format!("wgpu's noop device: {reason}"));
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::NOOP;
    descriptor.backend_options.noop = wgpu::NoopBackendOptions::enabled();
    let instance = wgpu::Instance::new(descriptor);
    let adapter = block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))
        .map_err(|error| failed(error.to_string()))?;
    // The adapter says "everything, without limit"; sizes of a usual card keep the memory pools' arithmetic whole.
    let required_limits = wgpu::Limits {
        max_buffer_size: 1 << 30,
        max_storage_buffer_binding_size: 1 << 30,
        max_storage_buffers_per_shader_stage: 16,
        max_compute_invocations_per_workgroup: 1024,
        max_compute_workgroup_size_x: 1024,
        max_compute_workgroup_size_y: 1024,
        max_compute_workgroup_storage_size: 48 << 10,
        max_uniform_buffer_binding_size: 64 << 10,
        ..wgpu::Limits::default()
    };
    // What cubecl asks the adapter for has to be there; timestamps would never be answered.
    let required_features = adapter.features()
        - wgpu::Features::all_experimental_mask()
        - wgpu::Features::MAPPABLE_PRIMARY_BUFFERS
        - wgpu::Features::TIMESTAMP_QUERY
        - wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS
        - wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES;
    let wanted = wgpu::DeviceDescriptor { required_limits, required_features, ..Default::default() };
    let (device, queue) =
        block_on(adapter.request_device(&wanted)).map_err(|error| failed(error.to_string()))?;
    let setup = WgpuSetup { instance, adapter, device, queue, backend: wgpu::Backend::Noop };
    Device::wgpu_options().setup(setup).init().map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short() {
        assert_eq!(short_name("burn_cubecl::kernel::binop::KernelBinop<f32, a::AddOp>"), "KernelBinop");
        assert_eq!(short_name("plain"), "plain");
    }

    /// What a step launches is held here: a change that launches more has to say so.
    #[test]
    fn launches_of_a_step_are_held() {
        let recipe = |preset: &str, own: &[&str]| {
            let own: Vec<String> = own.iter().map(|pair| (*pair).to_owned()).collect();
            Recipe::preset(preset).and_then(|recipe| recipe.with_overrides(&own)).unwrap()
        };
        // As `dinoscope bench` has it: without stochastic depth.
        let own = ["train.batch=16", "model.drop_path=0.0"];
        for (name, most) in [("nano", 424), ("tiny", 829)] {
            let counts = of_step(&recipe(name, &own)).unwrap();
            let all: u32 = counts.values().sum();
            assert!(all <= most, "{name}: {all} launches, {most} at most: {counts:?}");
        }
    }
}

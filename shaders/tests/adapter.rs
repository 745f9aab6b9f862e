//! The device that every case computes on: the first adapter, a software one will do.
//!
//! Without any the tests can be left out with `DINOSCOPE_NO_GPU_TESTS=1`, which is a decision and therefore never the
//! default.

use cubecl::__private::Runtime;
use cubecl::client::Client;
use cubecl::wgpu::{WgpuDevice, WgpuRuntime, WgslCompiler};

fn adapter() -> wgpu::Adapter {
    let instance = wgpu::Instance::default();
    let found = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()));
    found.unwrap_or_else(|e| {
        panic!(
            "no GPU adapter ({e}). Install a driver, for instance Mesa's software one \
             (apt-get install mesa-vulkan-drivers), or set DINOSCOPE_NO_GPU_TESTS=1 to leave GPU tests out"
        )
    })
}

/// For CubeCL's programs: as WGSL, like in a browser. `DINOSCOPE_GPU_COMPILER=native` takes what the program takes on the
/// adapter, which is SPIR-V on Vulkan.
pub fn client() -> Client {
    adapter();
    let device = WgpuDevice::default();
    if std::env::var_os("DINOSCOPE_GPU_COMPILER").is_some_and(|v| v == "native") {
        return cubecl::Device::Wgpu(device).client();
    }
    // By default not: cubecl-spirv 0.11.3 declares workgroup memory in a way that crashes Vulkan drivers without
    // VK_KHR_workgroup_memory_explicit_layout, of which Mesa 22's software one is one.
    WgpuRuntime::<WgslCompiler>::client(&device)
}

/// For programs in WGSL: a device with the limits that WebGPU guarantees.
pub fn device() -> (wgpu::Device, wgpu::Queue) {
    let limits = wgpu::Limits::default();
    assert!(
        limits.max_storage_buffers_per_shader_stage <= 8
            && limits.max_compute_workgroup_storage_size <= 16_384
    );
    let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
    pollster::block_on(adapter().request_device(&descriptor)).unwrap()
}

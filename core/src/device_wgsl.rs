//! Vulkan drivers whose programs have to be WGSL.
//!
//! On Vulkan cubecl compiles to SPIR-V, for tensor cores and 16-bit numbers. Without
//! `VK_KHR_workgroup_memory_explicit_layout`, as in Mesa's software driver of 2022, cubecl 0.11 declares workgroup
//! memory in a way that crashes drivers. There wgpu's own compiler from WGSL is used.

use std::collections::HashMap;
use std::sync::Mutex;

use burn::tensor::Device;
use burn::tensor::wgpu::WgpuSetup;

/// What a device is made from.
#[derive(Clone, Debug)]
pub(super) struct Only {
    instance: wgpu::Instance,
    adapter: wgpu::Adapter,
}

/// Devices that were made, by number of their adapter: a second would share no memory with the first.
static MADE: Mutex<Option<HashMap<usize, Device>>> = Mutex::new(None);

/// The adapter, if it speaks Vulkan and can't take cubecl's SPIR-V.
pub(super) fn only(
    instance: &wgpu::Instance,
    adapter: &wgpu::Adapter,
    info: &wgpu::AdapterInfo,
) -> Option<Only> {
    let only = || Some(Only { instance: instance.clone(), adapter: adapter.clone() });
    if info.backend != wgpu::Backend::Vulkan {
        return None;
    }
    #[cfg(not(any(target_os = "macos", target_os = "ios")))]
    {
        // SAFETY: the guard is only asked about extensions.
        let vulkan = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
        let named = c"VK_KHR_workgroup_memory_explicit_layout";
        if vulkan.physical_device_capabilities().supports_extension(named) {
            return None;
        }
    }
    only()
}

impl Only {
    /// The device of this adapter, the same one every time; `None` where the driver refuses one with all its features.
    pub(super) fn device(&self, index: usize) -> Option<Device> {
        let mut made = MADE.lock().ok()?;
        let made = made.get_or_insert_default();
        if let Some(device) = made.get(&index) {
            return Some(device.clone());
        }
        let descriptor = wgpu::DeviceDescriptor {
            required_features: self.adapter.features().difference(wgpu::Features::MAPPABLE_PRIMARY_BUFFERS),
            required_limits: self.adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = super::block_on(self.adapter.request_device(&descriptor)).ok()?;
        let setup = WgpuSetup {
            instance: self.instance.clone(),
            adapter: self.adapter.clone(),
            device,
            queue,
            // Decides about the compiler alone; any other than Vulkan and Metal means WGSL.
            backend: wgpu::Backend::BrowserWebGpu,
        };
        let device = Device::wgpu_options().setup(setup).init().ok()?;
        made.insert(index, device.clone());
        Some(device)
    }
}

//! A tensor's own buffer on the GPU, so that an interface can draw from it with no read-back.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use cubecl::wgpu::{AutoCompiler, WgpuServer};
use dinoscope_shaders::display::StorageSlice;

/// Part of a GPU buffer that holds a tensor, row-major, f32. The tensor lives as long as this does.
#[derive(Clone)]
pub struct DeviceSlice {
    buffer: wgpu::Buffer,
    offset: u64,
    size: u64,
    _tensor: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for DeviceSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceSlice").field("offset", &self.offset).field("size", &self.size).finish()
    }
}

impl DeviceSlice {
    /// The buffer of a tensor; `None` where the tensor is not on a GPU, or the device has failed.
    ///
    /// What computes the tensor may still be waiting to be submitted: flush the device before another
    /// user of the queue reads the buffer.
    pub fn of<const D: usize>(tensor: Tensor<D>) -> Option<Self> {
        let primitive = into_contiguous(tensor.try_into_primitive::<CubeBackend>().ok()?);
        let managed =
            primitive.client.get_resource::<WgpuServer<AutoCompiler>>(primitive.handle.clone()).ok()?;
        let resource = managed.resource();
        Some(Self {
            buffer: resource.buffer.clone(),
            offset: resource.offset,
            size: resource.size,
            _tensor: Arc::new(primitive),
        })
    }

    /// For the programs that draw.
    pub fn slice(&self) -> StorageSlice<'_> {
        StorageSlice { buffer: &self.buffer, offset: self.offset, size: self.size }
    }
}

//! Reading GPU memory without blocking a browser.

use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use crate::ShaderError;

/// What the mapping callback leaves for the future that waits for it.
#[derive(Default)]
struct Mapped {
    result: Option<Result<(), wgpu::BufferAsyncError>>,
    waker: Option<Waker>,
}

/// The first `count` words of `buffer` (which needs `COPY_SRC`), in the order of the queue.
///
/// Natively the device is polled until the copy is there, so the future is ready at its first poll;
/// in a browser it waits for the event loop.
pub async fn read_u32(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    buffer: &wgpu::Buffer,
    count: usize,
) -> Result<Vec<u32>, ShaderError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let bytes = (count * 4) as u64;
    let staging = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("readback"),
        size: bytes,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, bytes);
    queue.submit([encoder.finish()]);

    let state = Arc::new(Mutex::new(Mapped::default()));
    let told = state.clone();
    staging.map_async(wgpu::MapMode::Read, .., move |result| {
        let mut mapped = told.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        mapped.result = Some(result);
        if let Some(waker) = mapped.waker.take() {
            waker.wake();
        }
    });
    #[cfg(not(target_family = "wasm"))]
    device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| ShaderError::Readback(e.to_string()))?;

    std::future::poll_fn(|context| {
        let mut mapped = state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match mapped.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                mapped.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
    .map_err(|e| ShaderError::Readback(e.to_string()))?;

    let view = staging.get_mapped_range(..).map_err(|e| ShaderError::Readback(e.to_string()))?;
    // Copied through bytes: the mapping promises no alignment for words.
    let mut words = vec![0u32; count];
    bytemuck::cast_slice_mut(&mut words).copy_from_slice(&view);
    drop(view);
    staging.unmap();
    Ok(words)
}

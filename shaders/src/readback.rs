//! Reading GPU memory without blocking a browser.

use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use crate::ShaderError;

/// What the mapping callback leaves for the future that waits for it.
#[derive(Default)]
struct MapCallbackState {
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
    let staging = staging(device, bytes);
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, bytes);
    queue.submit([encoder.finish()]);
    let bytes = mapped(device, &staging).await?;
    Ok(words(&bytes))
}

/// All pixels of a texture with four bytes each (which needs `COPY_SRC`), row by row.
pub async fn read_texture(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    texture: &wgpu::Texture,
) -> Result<Vec<u32>, ShaderError> {
    let row = (texture.width() * 4).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
    let staging = staging(device, u64::from(row) * u64::from(texture.height()));
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &staging,
            layout: wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None },
        },
        texture.size(),
    );
    queue.submit([encoder.finish()]);
    let bytes = mapped(device, &staging).await?;
    let used = texture.width() as usize * 4;
    Ok(bytes.chunks_exact(row as usize).flat_map(|row| words(&row[..used])).collect())
}

fn staging(device: &wgpu::Device, bytes: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("readback"),
        size: bytes,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// Copied through bytes: a mapping promises no alignment for words.
fn words(bytes: &[u8]) -> Vec<u32> {
    let mut words = vec![0u32; bytes.len() / 4];
    bytemuck::cast_slice_mut(&mut words).copy_from_slice(bytes);
    words
}

/// What is in a buffer once everything submitted so far is done.
async fn mapped(device: &wgpu::Device, staging: &wgpu::Buffer) -> Result<Vec<u8>, ShaderError> {
    let state = Arc::new(Mutex::new(MapCallbackState::default()));
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
    // There the event loop polls.
    #[cfg(target_family = "wasm")]
    let _ = device;

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
    let bytes = view.to_vec();
    drop(view);
    staging.unmap();
    Ok(bytes)
}

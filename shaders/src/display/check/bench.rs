//! Inputs, uploads and comparisons for checks of programs against their twins.

use crate::display::{CommandRecorder, StorageSlice, texture};
use crate::{ShaderError, readback};

/// A device, and the helpers that the checks share.
#[derive(Clone, Copy, Debug)]
pub struct DisplayTestFixture<'a> {
    /// The device.
    pub device: &'a wgpu::Device,
    /// Its queue.
    pub queue: &'a wgpu::Queue,
}

/// Words before the data of [`DisplayTestFixture::upload`]: no multiple of any alignment.
pub const EARLY: usize = 3;

impl DisplayTestFixture<'_> {
    /// A buffer with garbage, `data` from word [`EARLY`] on, and garbage again.
    pub fn upload(&self, data: &[f32]) -> wgpu::Buffer {
        let buffer = self.garbage(data.len() + EARLY + 5);
        self.queue.write_buffer(&buffer, EARLY as u64 * 4, bytemuck::cast_slice(data));
        buffer
    }

    /// A buffer full of what is no number.
    pub fn garbage(&self, words: usize) -> wgpu::Buffer {
        use wgpu::BufferUsages as Usage;
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("garbage"),
            size: words as u64 * 4,
            usage: Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, &vec![0xff; words * 4]);
        buffer
    }

    /// A buffer that holds `data` and nothing else.
    pub fn exact(&self, data: &[f32]) -> wgpu::Buffer {
        let buffer = self.garbage(data.len());
        self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(data));
        buffer
    }

    /// A texture of packed colours.
    pub fn picture(&self, colours: &[u32], width: usize, height: usize) -> wgpu::Texture {
        let texture = texture(self.device, "picture", width as u32, height as u32);
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(width as u32 * 4),
            rows_per_image: None,
        };
        self.queue.write_texture(
            texture.as_image_copy(),
            bytemuck::cast_slice(colours),
            layout,
            texture.size(),
        );
        texture
    }

    /// Records and submits.
    pub fn submit(
        &self,
        record: impl FnOnce(&mut CommandRecorder<'_>) -> Result<(), ShaderError>,
    ) -> Result<(), ShaderError> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        record(&mut CommandRecorder { device: self.device, encoder: &mut encoder })?;
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    /// The first `count` numbers of a buffer.
    pub async fn floats(&self, buffer: &wgpu::Buffer, count: usize) -> Result<Vec<f32>, ShaderError> {
        let words = readback::read_u32(self.device, self.queue, buffer, count).await?;
        Ok(words.into_iter().map(f32::from_bits).collect())
    }

    /// The first `count` words of a buffer.
    pub async fn words(&self, buffer: &wgpu::Buffer, count: usize) -> Result<Vec<u32>, ShaderError> {
        readback::read_u32(self.device, self.queue, buffer, count).await
    }

    /// All pixels of a texture.
    pub async fn pixels(&self, texture: &wgpu::Texture) -> Result<Vec<u32>, ShaderError> {
        readback::read_texture(self.device, self.queue, texture).await
    }
}

/// `data` in a buffer made by [`DisplayTestFixture::upload`].
pub fn uploaded(buffer: &wgpu::Buffer) -> StorageSlice<'_> {
    StorageSlice { buffer, offset: EARLY as u64 * 4, size: buffer.size() - EARLY as u64 * 4 }
}

/// The largest difference, relative to the largest finite number; infinite where only one is a number.
pub fn difference(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    let largest = a.iter().chain(b).filter(|v| v.is_finite()).fold(0f32, |m, v| m.max(v.abs()));
    let apart = |(a, b): (&f32, &f32)| match (a.is_finite(), b.is_finite()) {
        (true, true) => (a - b).abs() / largest.max(f32::MIN_POSITIVE),
        (false, false) if a.is_nan() == b.is_nan() => 0.0,
        _ => f32::INFINITY,
    };
    a.iter().zip(b).map(apart).fold(0.0, f32::max)
}

/// The largest difference of a channel in levels of 255.
pub fn levels(a: &[u32], b: &[u32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    let apart = |(a, b): (&u32, &u32)| {
        a.to_le_bytes().into_iter().zip(b.to_le_bytes()).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0)
    };
    f32::from(a.iter().zip(b).map(apart).max().unwrap_or(0))
}

/// Numbers in -1..1 that look random and are the same everywhere.
pub fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// `[rows * cols, dim]` features of a flat background with two objects that vary inside, and a little noise.
///
/// The covariance of everything has clear first directions, and so has that of the stronger object, as long as
/// `dim` is 15 or more.
pub fn two_objects(rows: usize, cols: usize, dim: usize) -> Vec<f32> {
    let mut features = noise(rows * cols * dim, 17);
    features.iter_mut().for_each(|v| *v *= 0.02);
    for (i, patch) in features.chunks_exact_mut(dim.max(1)).enumerate() {
        let (y, x) = ((i / cols) as f32 / rows as f32 - 0.5, (i % cols) as f32 / cols as f32 - 0.5);
        let mut add = |at: usize, value: f32| {
            // Over two columns each, so that directions are no axes.
            patch[at % dim] += 0.8 * value;
            patch[(at + 3) % dim] += 0.6 * value;
        };
        add(1, 3.0);
        let (u, v) = (x + 0.22, y + 0.1);
        if u.hypot(v) < 0.21 {
            add(0, 6.0);
            add(5, 9.0 * v);
            add(9, 7.0 * u);
            add(11, 60.0 * u * v);
        } else if x > 0.05 && x < 0.4 && y.abs() < 0.3 {
            add(7, 4.0);
            add(5, 7.0 * x);
        }
    }
    features
}

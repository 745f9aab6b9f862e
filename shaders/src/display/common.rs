//! What every program needs around its WGSL: layouts, parts of buffers, uniforms, dispatches.

use crate::{ColourRange, ShaderError, dispatch};

/// Where programs record what they will do: nothing runs before the caller submits the encoder.
#[derive(Debug)]
pub struct CommandRecorder<'a> {
    /// The device of all buffers.
    pub device: &'a wgpu::Device,
    /// What is recorded into.
    pub encoder: &'a mut wgpu::CommandEncoder,
}

/// Part of a storage buffer that the caller owns, for instance a tensor in the pages of an allocator.
///
/// Offsets need to be whole words only: programs bind from the last place that the device can bind
/// and skip the rest. What a program writes must not lie in the same buffer as what it reads.
#[derive(Clone, Copy, Debug)]
pub struct StorageSlice<'a> {
    /// The buffer, with usage `STORAGE`.
    pub buffer: &'a wgpu::Buffer,
    /// Bytes before the first element, a multiple of 4.
    pub offset: u64,
    /// Bytes from there on.
    pub size: u64,
}

impl<'a> StorageSlice<'a> {
    /// All of a buffer.
    pub fn whole(buffer: &'a wgpu::Buffer) -> Self {
        Self { buffer, offset: 0, size: buffer.size() }
    }

    /// `words` numbers of 32 bits after the first `skip` ones of this part.
    ///
    /// That they lie within the buffer is checked where they are used.
    pub fn words(self, skip: usize, words: usize) -> Self {
        Self { buffer: self.buffer, offset: self.offset + skip as u64 * 4, size: words as u64 * 4 }
    }

    /// A binding that covers the first `words` numbers, and how many numbers it starts too early.
    pub(crate) fn bind(
        self,
        device: &wgpu::Device,
        program: &'static str,
        what: &'static str,
        words: usize,
    ) -> Result<(wgpu::BindingResource<'a>, u32), ShaderError> {
        let limits = device.limits();
        if !self.offset.is_multiple_of(4) {
            return Err(ShaderError::Offset { program, what, offset: self.offset });
        }
        let room = self.size.min(self.buffer.size().saturating_sub(self.offset)) / 4;
        if room < words as u64 || words == 0 {
            return Err(ShaderError::Length { program, what, found: room as usize, expected: words.max(1) });
        }
        let early = self.offset % u64::from(limits.min_storage_buffer_offset_alignment.max(4));
        let bytes = words as u64 * 4 + early;
        let allowed = limits.max_storage_buffer_binding_size;
        // Programs count words in 32 bits.
        if bytes > allowed || bytes / 4 > u64::from(u32::MAX) {
            let (needed, allowed) = (format!("{bytes} bytes in one binding"), format!("{allowed} bytes"));
            return Err(ShaderError::TooLarge { program, count: words, needed, allowed });
        }
        let binding = wgpu::BufferBinding {
            buffer: self.buffer,
            offset: self.offset - early,
            size: std::num::NonZeroU64::new(bytes),
        };
        Ok((wgpu::BindingResource::Buffer(binding), (early / 4) as u32))
    }
}

/// What a binding is, in the order in which a WGSL file numbers them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BindingKind {
    Uniform,
    Read,
    Write,
    Texture,
    Target,
}

impl BindingKind {
    fn entry(self, binding: usize) -> wgpu::BindGroupLayoutEntry {
        let buffer = |ty| wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None };
        wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: match self {
                Self::Uniform => buffer(wgpu::BufferBindingType::Uniform),
                Self::Read => buffer(wgpu::BufferBindingType::Storage { read_only: true }),
                Self::Write => buffer(wgpu::BufferBindingType::Storage { read_only: false }),
                Self::Texture => wgpu::BindingType::Texture {
                    sample_type: wgpu::TextureSampleType::Float { filterable: false },
                    view_dimension: wgpu::TextureViewDimension::D2,
                    multisampled: false,
                },
                Self::Target => wgpu::BindingType::StorageTexture {
                    access: wgpu::StorageTextureAccess::WriteOnly,
                    format: FORMAT,
                    view_dimension: wgpu::TextureViewDimension::D2,
                },
            },
            count: None,
        }
    }
}

/// The format of all textures here: 8 bits a channel, as they are, with no conversion to linear light.
pub const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// A texture that the programs can write and read, and that an interface can draw.
pub fn texture(device: &wgpu::Device, label: &str, width: u32, height: u32) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some(label),
        size: wgpu::Extent3d { width: width.max(1), height: height.max(1), depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: FORMAT,
        usage: wgpu::TextureUsages::STORAGE_BINDING
            | wgpu::TextureUsages::TEXTURE_BINDING
            | wgpu::TextureUsages::COPY_SRC
            | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    })
}

/// The compiled entry points of one WGSL file, which share a layout and therefore a bind group.
#[derive(Debug)]
pub(crate) struct WgslProgram {
    name: &'static str,
    layout: wgpu::BindGroupLayout,
    entries: Vec<(&'static str, wgpu::ComputePipeline)>,
}

impl WgslProgram {
    pub(crate) fn new(
        device: &wgpu::Device,
        name: &'static str,
        source: wgpu::ShaderModuleDescriptor<'_>,
        bindings: &[BindingKind],
        entries: &[&'static str],
    ) -> Self {
        let module = device.create_shader_module(source);
        let bindings: Vec<_> = bindings.iter().enumerate().map(|(i, b)| b.entry(i)).collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(name),
            entries: &bindings,
        });
        let whole = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let entries = entries
            .iter()
            .map(|entry| {
                let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                    label: Some(entry),
                    layout: Some(&whole),
                    module: &module,
                    entry_point: Some(entry),
                    compilation_options: Default::default(),
                    cache: None,
                });
                (*entry, pipeline)
            })
            .collect();
        Self { name, layout, entries }
    }

    /// `resources` in the order of the bindings.
    pub(crate) fn bind(
        &self,
        device: &wgpu::Device,
        resources: &[wgpu::BindingResource<'_>],
    ) -> wgpu::BindGroup {
        let entries: Vec<_> = resources
            .iter()
            .enumerate()
            .map(|(i, resource)| wgpu::BindGroupEntry { binding: i as u32, resource: resource.clone() })
            .collect();
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(self.name),
            layout: &self.layout,
            entries: &entries,
        })
    }

    /// Records `groups` workgroups of an entry point that was named when the program was made.
    pub(crate) fn dispatch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        entry: &str,
        group: &wgpu::BindGroup,
        groups: (u32, u32, u32),
    ) {
        if let Some((_, pipeline)) = self.entries.iter().find(|(name, _)| *name == entry) {
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(groups.0, groups.1, groups.2);
        } else {
            debug_assert!(false, "{} has no entry point {entry}", self.name);
        }
    }
}

/// A small uniform buffer, filled at creation so that no queue is needed.
pub(crate) fn uniform<T: bytemuck::Pod>(
    device: &wgpu::Device,
    label: &str,
    parameters: &T,
) -> Result<wgpu::Buffer, ShaderError> {
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: size_of::<T>() as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: true,
    });
    let mut view = buffer.get_mapped_range_mut(..).map_err(|e| ShaderError::Readback(e.to_string()))?;
    view.copy_from_slice(bytemuck::bytes_of(parameters));
    drop(view);
    buffer.unmap();
    Ok(buffer)
}

/// Where the ends of a colour scale come from.
#[derive(Clone, Copy, Debug)]
pub enum ColourRangeSource<'a> {
    /// These numbers.
    Given(ColourRange),
    /// What [`super::ColourRangeProgram`] leaves in its buffer, on the device.
    Found(&'a wgpu::Buffer),
}

impl From<ColourRange> for ColourRangeSource<'_> {
    fn from(range: ColourRange) -> Self {
        Self::Given(range)
    }
}

impl ColourRangeSource<'_> {
    /// `lo` and `scale` as the colour programs expect them; zero where only the device knows.
    pub(crate) fn known(self) -> [[f32; 4]; 2] {
        match self {
            Self::Given(range) => [range.lo, range.scale()].map(|v| [v[0], v[1], v[2], 0.0]),
            Self::Found(_) => [[0.0; 4]; 2],
        }
    }

    /// Records the copy of what only the device knows to the start of a program's parameters.
    pub(crate) fn fill(self, encoder: &mut wgpu::CommandEncoder, parameters: &wgpu::Buffer) {
        if let Self::Found(ranges) = self {
            encoder.copy_buffer_to_buffer(ranges, 0, parameters, 0, 32);
        }
    }
}

/// A storage buffer of `words` numbers, all zero, that can be copied from and to.
pub(crate) fn storage(
    device: &wgpu::Device,
    program: &'static str,
    label: &'static str,
    words: usize,
) -> Result<wgpu::Buffer, ShaderError> {
    // Checked before: a device answers a buffer over its limit with a panic.
    let bytes = words.max(1) as u64 * 4;
    let limits = device.limits();
    let allowed = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
    if bytes > allowed {
        let (needed, allowed) = (format!("{bytes} bytes for {label}"), format!("{allowed} bytes"));
        return Err(ShaderError::TooLarge { program, count: words, needed, allowed });
    }
    Ok(device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    }))
}

/// Workgroups `(x, y, 1)` for `count` elements, `per_group` in each, and how many elements a row of them covers.
pub(crate) fn groups(
    device: &wgpu::Device,
    program: &'static str,
    count: usize,
    per_group: usize,
) -> Result<((u32, u32, u32), u32), ShaderError> {
    let side = device.limits().max_compute_workgroups_per_dimension;
    match dispatch::rows(count, per_group, side) {
        Some((x, y)) => Ok(((x, y, 1), x * per_group as u32)),
        None => {
            let (needed, allowed) = ("more workgroups".to_owned(), format!("{side} a side"));
            Err(ShaderError::TooLarge { program, count, needed, allowed })
        }
    }
}

/// Workgroups of 8 × 8 pixels that cover a texture.
pub(crate) fn pixels(texture: &wgpu::Texture) -> (u32, u32, u32) {
    (texture.width().div_ceil(8), texture.height().div_ceil(8), 1)
}

/// An error unless `found == expected`.
pub(crate) fn check_len(
    program: &'static str,
    what: &'static str,
    found: usize,
    expected: usize,
) -> Result<(), ShaderError> {
    if found == expected { Ok(()) } else { Err(ShaderError::Length { program, what, found, expected }) }
}

/// An error for an input without elements.
pub(crate) fn check_some(program: &'static str, what: &'static str, found: usize) -> Result<(), ShaderError> {
    if found > 0 { Ok(()) } else { Err(ShaderError::Length { program, what, found, expected: 1 }) }
}

/// Numbers of this size or more count as not finite: their squares could overflow where many are summed.
pub(crate) const HUGE: f32 = (1u64 << 50) as f32;

/// Whether programs can compute with a number: finite and not [`HUGE`].
pub(crate) fn usable(v: f32) -> bool {
    v.abs() < HUGE
}

/// `f(i, chunk i)` for chunks of `size`, in parallel where there are threads.
pub(crate) fn for_chunks<T: Send>(data: &mut [T], size: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        data.par_chunks_mut(size.max(1)).enumerate().for_each(|(i, chunk)| f(i, chunk));
    }
    #[cfg(target_family = "wasm")]
    data.chunks_mut(size.max(1)).enumerate().for_each(|(i, chunk)| f(i, chunk));
}

//! Layers made by the GPU from the tensors' own buffers, into textures that egui draws: nothing comes back.

use dinoscope_core::explore::{PatchTokens, PictureInspection};
use dinoscope_shaders::display::{
    ColourMap, ColourRangeOptions, CommandRecorder, FeatureBatchShape, PcaPipeline, PcaPipelineOptions,
    SimilarityProgram, UpsampleFilter, UpsampleInput, UpsampleProgram, texture,
};
use dinoscope_shaders::{BackgroundMode, ColourRange, ShaderError};
use eframe::egui_wgpu::RenderState;
use egui::TextureId;

use super::{ColourFitJob, OverlayContent, OverlayJob, OverlaySlot};
use crate::platform::tasks::Wake;
use crate::studio::background::task::BackgroundTask;

/// Compiled programs.
struct OverlayKernels {
    pipeline: PcaPipeline,
    similarity: SimilarityProgram,
    upsample: UpsampleProgram,
}

/// A texture of the GPU that egui knows.
pub struct DeviceTexture {
    id: TextureId,
    state: RenderState,
    _texture: wgpu::Texture,
}

impl DeviceTexture {
    /// What egui calls it.
    pub fn id(&self) -> TextureId {
        self.id
    }
}

impl Drop for DeviceTexture {
    fn drop(&mut self) {
        self.state.renderer.write().free_texture(&self.id);
    }
}

/// Draws on the window's GPU.
pub struct GpuPainter {
    state: RenderState,
    compiling: BackgroundTask<OverlayKernels>,
    programs: Option<OverlayKernels>,
    options: PcaPipelineOptions,
    fitted: bool,
}

impl GpuPainter {
    /// Compiles the programs beside the frames: it takes longer than one may.
    pub fn start(state: RenderState, wake: &Wake) -> Self {
        let device = state.device.clone();
        let compiling = BackgroundTask::ask("programs", wake, move |_| OverlayKernels {
            pipeline: PcaPipeline::new(&device),
            similarity: SimilarityProgram::new(&device),
            upsample: UpsampleProgram::new(&device),
        });
        let range = ColourRangeOptions { smoothing: 0.0, ..ColourRangeOptions::default() };
        let options =
            PcaPipelineOptions { range, background: BackgroundMode::Black, ..PcaPipelineOptions::default() };
        Self { state, compiling, programs: None, options, fitted: false }
    }

    /// Forgets the colours.
    pub fn forget(&mut self) {
        self.fitted = false;
        if let Some(programs) = &mut self.programs {
            programs.pipeline.forget();
        }
    }

    fn programs(&mut self) -> Option<&mut OverlayKernels> {
        if self.programs.is_none() {
            self.programs = self.compiling.receive();
        }
        self.programs.as_mut()
    }

    /// Fits colours; false while the programs are being compiled.
    pub fn fit(&mut self, job: &ColourFitJob) -> Result<bool, ShaderError> {
        let state = self.state.clone();
        let same =
            job.seen.windows(2).all(|pair| (pair[0].rows, pair[0].cols) == (pair[1].rows, pair[1].cols));
        // The split looks at the borders of pictures, so it needs them to be of one shape.
        self.options.foreground = job.foreground && same;
        self.options.range.smoothing = if job.smooth { ColourRangeOptions::default().smoothing } else { 0.0 };
        let options = self.options;
        let Some(programs) = self.programs() else { return Ok(false) };
        let [Some(first), ..] = [job.seen.first()] else { return Ok(false) };
        let patches = |seen: &PictureInspection| seen.rows * seen.cols;
        let n: usize = job.seen.iter().map(|seen| patches(seen)).sum();
        let shape = match same {
            true => FeatureBatchShape {
                pictures: job.seen.len(),
                rows: first.rows,
                cols: first.cols,
                dim: first.dim,
            },
            false => FeatureBatchShape { pictures: 1, rows: n, cols: 1, dim: first.dim },
        };
        let mut encoder = state.device.create_command_encoder(&Default::default());
        let joined;
        let features = match (&first.patches, job.seen.len()) {
            (PatchTokens::Device(slice), 1) => slice.slice(),
            _ => {
                let size = (n * first.dim * 4) as u64;
                let limit = state.device.limits().max_storage_buffer_binding_size;
                if size > limit {
                    let (needed, allowed) =
                        (format!("{size} bytes for all pictures"), format!("{limit} bytes"));
                    return Err(ShaderError::TooLarge { program: "pipeline", count: n, needed, allowed });
                }
                joined = state.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("features of all pictures"),
                    size,
                    usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                });
                let mut at = 0;
                for seen in &job.seen {
                    if let PatchTokens::Device(slice) = &seen.patches {
                        let (part, bytes) = (slice.slice(), (patches(seen) * seen.dim * 4) as u64);
                        encoder.copy_buffer_to_buffer(part.buffer, part.offset, &joined, at, bytes);
                        at += bytes;
                    }
                }
                dinoscope_shaders::display::StorageSlice::whole(&joined)
            }
        };
        let mut recorder = CommandRecorder { device: &state.device, encoder: &mut encoder };
        programs.pipeline.fit(&mut recorder, features, None, shape, &options)?;
        state.queue.submit([encoder.finish()]);
        self.fitted = true;
        Ok(true)
    }

    /// Makes layers; those that can't be made yet are left out.
    pub fn draw(
        &mut self,
        jobs: &[OverlayJob],
    ) -> Result<Vec<(OverlaySlot, u64, DeviceTexture)>, ShaderError> {
        let (state, fitted, mut options) = (self.state.clone(), self.fitted, self.options);
        let Some(programs) = self.programs() else { return Ok(Vec::new()) };
        let mut encoder = state.device.create_command_encoder(&Default::default());
        let mut made = Vec::new();
        for job in jobs {
            let (rows, cols, dim) = (job.seen.rows, job.seen.cols, job.seen.dim);
            let PatchTokens::Device(patches) = &job.seen.patches else { continue };
            let scale = if job.blocks { 1.0 } else { (job.side as f64 / rows.max(cols) as f64).max(1.0) };
            let [width, height] = [cols, rows].map(|side| (side as f64 * scale).round() as u32);
            let target = texture(&state.device, "layer", width, height);
            let filter = if job.blocks { UpsampleFilter::Nearest } else { UpsampleFilter::Bicubic };
            let mut recorder = CommandRecorder { device: &state.device, encoder: &mut encoder };
            match &job.what {
                OverlayContent::Pca if fitted => {
                    options.filter = filter;
                    programs.pipeline.draw(
                        &mut recorder,
                        patches.slice(),
                        None,
                        (rows, cols),
                        &options,
                        &target,
                    )?;
                }
                OverlayContent::Similarity(from, patch) => {
                    let PatchTokens::Device(queries) = &from.patches else { continue };
                    let values = state.device.create_buffer(&wgpu::BufferDescriptor {
                        label: Some("similarity"),
                        size: (rows * cols * 4) as u64,
                        usage: wgpu::BufferUsages::STORAGE,
                        mapped_at_creation: false,
                    });
                    let query = queries.slice().words(patch * dim, dim);
                    let features = patches.slice();
                    let similarity = &programs.similarity;
                    similarity.encode(&mut recorder, features, (rows * cols, dim), (query, 1), &values)?;
                    let grid = UpsampleInput {
                        patches: dinoscope_shaders::display::StorageSlice::whole(&values),
                        shape: (rows, cols),
                        filter,
                    };
                    let range = ColourRange { lo: [0.0; 3], hi: [1.0; 3] };
                    programs.upsample.encode_scalars(
                        &mut recorder,
                        grid,
                        range,
                        ColourMap::Viridis,
                        &target,
                    )?;
                }
                OverlayContent::Pca | OverlayContent::Attention(_) => continue,
            }
            let view = target.create_view(&Default::default());
            let smooth = if job.blocks { wgpu::FilterMode::Nearest } else { wgpu::FilterMode::Linear };
            let id = state.renderer.write().register_native_texture(&state.device, &view, smooth);
            let texture = DeviceTexture { id, state: state.clone(), _texture: target };
            made.push((job.slot, job.key, texture));
        }
        state.queue.submit([encoder.finish()]);
        Ok(made)
    }
}

//! What was seen, as textures: on the GPU that drew the features where it can be, else on a thread.
//!
//! Each place on the screen has a slot that keeps the last texture until the next one is ready, so that nothing flickers
//! and a frame never waits.

mod cpu;
mod gpu;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use dinoscope_core::analysis::pca::Pca;
use dinoscope_core::analysis::similarity::PatchCorrespondence;
use dinoscope_core::explore::{PatchTokens, PictureId, PictureInspection, ViewQuery};
use egui::{TextureHandle, TextureId, TextureOptions};

use crate::platform::tasks::Wake;
use crate::studio::app_context::RenderBackend;

/// A place for a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OverlaySlot {
    /// Over which picture.
    pub picture: PictureId,
    /// Of which kind.
    pub kind: OverlayKind,
}

/// Kinds of layers that are kept beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OverlayKind {
    /// Principal components as colours.
    Pca,
    /// Attention of one head, or the mean.
    Attention(Option<usize>),
    /// Similarity to a patch.
    Similarity,
}

/// What a layer is made of.
#[derive(Clone)]
pub enum OverlayContent {
    /// The colours of the current basis.
    Pca,
    /// Attention: a head, or the mean of all.
    Attention(Option<usize>),
    /// Cosine similarity to a patch of something seen.
    Similarity(Arc<PictureInspection>, usize),
}

/// A layer that is wanted.
#[derive(Clone)]
pub struct OverlayJob {
    /// Where it goes.
    pub slot: OverlaySlot,
    /// Changes whenever the result would.
    pub key: u64,
    /// What it is computed from.
    pub seen: Arc<PictureInspection>,
    /// What it shows.
    pub what: OverlayContent,
    /// Every patch a block of one colour: exactly what was computed.
    pub blocks: bool,
    /// Longest side of the texture.
    pub side: usize,
}

/// Something seen that layers are made of, and how they are to look.
pub struct LayeredInspection {
    /// The picture.
    pub picture: PictureId,
    /// What was seen.
    pub seen: Arc<PictureInspection>,
    /// How it was looked at.
    pub way: ViewQuery,
    /// Every patch a block of one colour.
    pub blocks: bool,
    /// Another one of a picture that changes is another picture.
    pub version: u64,
}

impl LayeredInspection {
    /// A layer of it; `key` changes whenever the result would for another reason than what this says.
    pub fn layer(&self, kind: OverlayKind, what: OverlayContent, side: usize, key: u64) -> OverlayJob {
        OverlayJob {
            slot: OverlaySlot { picture: self.picture, kind },
            key: key_of((key, self.picture, self.way, self.blocks, side, self.version)),
            seen: self.seen.clone(),
            what,
            blocks: self.blocks,
            side,
        }
    }
}

/// A fit of colours.
#[derive(Clone)]
pub struct ColourFitJob {
    /// Changes whenever the result would.
    pub key: u64,
    /// All that is coloured together.
    pub seen: Vec<Arc<PictureInspection>>,
    /// Split objects from background.
    pub foreground: bool,
    /// The range of the colours moves slowly: for pictures that follow each other.
    pub smooth: bool,
}

/// A texture in its slot.
struct OverlayLayer {
    key: u64,
    texture: OverlayTexture,
    used: u64,
}

enum OverlayTexture {
    Host(TextureHandle),
    Device(gpu::DeviceTexture),
}

impl OverlayTexture {
    fn id(&self) -> TextureId {
        match self {
            Self::Host(handle) => handle.id(),
            Self::Device(texture) => texture.id(),
        }
    }
}

/// The colours that all pictures share at the moment.
pub struct SharedPcaBasis {
    /// The job that it answers.
    pub key: u64,
    /// How many pictures it was fitted to.
    pub pictures: usize,
    /// A number that no other basis has.
    pub generation: u64,
    /// Share of the variance that each channel shows, where known.
    pub explained: Option<[f32; 3]>,
    /// Whether the split into objects and background gave up.
    pub fallback: bool,
    host: Option<Arc<Pca>>,
}

impl SharedPcaBasis {
    /// The basis as numbers; nothing where it is on the device.
    pub fn host(&self) -> Option<&Arc<Pca>> {
        self.host.as_ref()
    }
}

/// Textures of everything seen.
pub struct OverlayPainter {
    cpu: cpu::OverlayWorker,
    gpu: Option<gpu::GpuPainter>,
    layers: HashMap<OverlaySlot, OverlayLayer>,
    basis: Option<SharedPcaBasis>,
    fitting: Option<u64>,
    asked: Vec<(OverlaySlot, u64)>,
    frame: u64,
    generations: u64,
    /// The answer to [`OverlayPainter::match_pictures`].
    pub matches: Option<(u64, Vec<PatchCorrespondence>)>,
    /// What went wrong last, once.
    pub error: Option<String>,
}

/// The share of an attention map's values, in percent, that lies below the brightest colour.
pub const ATTENTION_PERCENTILE: f32 = 99.0;
/// A layer that nobody drew for so many frames is given up.
const UNUSED: u64 = 240;
/// Most layers that are kept.
const LAYERS: usize = 160;

/// One number for anything that can be hashed.
pub fn key_of(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl OverlayPainter {
    /// A painter for a window; `wake` is called when a thread has made something.
    pub fn new(drawing: &RenderBackend, wake: Wake) -> Self {
        Self {
            gpu: drawing.gpu.clone().map(|gpu| gpu::GpuPainter::start(gpu, &wake)),
            cpu: cpu::OverlayWorker::start(wake),
            layers: HashMap::new(),
            basis: None,
            fitting: None,
            asked: Vec::new(),
            frame: 0,
            generations: 0,
            matches: None,
            error: None,
        }
    }

    /// The colours of the moment.
    pub fn basis(&self) -> Option<&SharedPcaBasis> {
        self.basis.as_ref()
    }

    /// Forgets colours and layers: another model looks.
    pub fn forget(&mut self) {
        self.basis = None;
        self.fitting = None;
        self.layers.clear();
        self.asked.clear();
        self.matches = None;
        if let Some(gpu) = &mut self.gpu {
            gpu.forget();
        }
    }

    /// Whether something that was asked for is not there yet.
    pub fn busy(&self) -> bool {
        self.fitting.is_some() || !self.asked.is_empty()
    }

    /// Whether other colours are on their way.
    pub fn fits(&self) -> bool {
        self.fitting.is_some()
    }

    /// Takes in what the thread has made.
    pub fn logic(&mut self, ctx: &egui::Context) {
        self.frame += 1;
        while let Ok(made) = self.cpu.made.try_recv() {
            match made {
                cpu::OverlayResult::Fit(key, pictures, Ok(pca)) => {
                    if self.fitting == Some(key) {
                        self.fitting = None;
                    }
                    self.take_basis(key, pictures, Some(pca));
                }
                cpu::OverlayResult::Fit(key, _, Err(error)) => {
                    if self.fitting == Some(key) {
                        self.fitting = None;
                    }
                    self.error = Some(error);
                }
                cpu::OverlayResult::Layer { slot, key, image, blocks } => {
                    self.asked.retain(|(s, k)| (*s, *k) != (slot, key));
                    self.take_layer(ctx, slot, key, image, blocks);
                }
                cpu::OverlayResult::Nothing { slot, key, error } => {
                    self.asked.retain(|(s, k)| (*s, *k) != (slot, key));
                    self.error = Some(error);
                }
                cpu::OverlayResult::Matches(key, found) => self.matches = Some((key, found)),
            }
        }
        let (frame, full) = (self.frame, self.layers.len() > LAYERS);
        let patience = if full { 2 } else { UNUSED };
        self.layers.retain(|_, layer| frame - layer.used < patience);
    }

    fn take_basis(&mut self, key: u64, pictures: usize, host: Option<Arc<Pca>>) {
        use dinoscope_core::analysis::pca::ForegroundResult;
        self.generations += 1;
        self.basis = Some(SharedPcaBasis {
            key,
            pictures,
            generation: self.generations,
            explained: host.as_ref().map(|pca| pca.explained),
            fallback: host
                .as_ref()
                .is_some_and(|pca| matches!(pca.foreground, ForegroundResult::Fallback(_))),
            host,
        });
    }

    fn take_layer(
        &mut self,
        ctx: &egui::Context,
        slot: OverlaySlot,
        key: u64,
        image: egui::ColorImage,
        blocks: bool,
    ) {
        let options = if blocks { TextureOptions::NEAREST } else { TextureOptions::LINEAR };
        let used = self.frame;
        match self.layers.get_mut(&slot) {
            Some(OverlayLayer { key: old, texture: OverlayTexture::Host(handle), .. }) => {
                handle.set(image, options);
                *old = key;
            }
            _ => {
                let handle = ctx.load_texture(format!("layer {slot:?}"), image, options);
                self.layers.insert(slot, OverlayLayer { key, texture: OverlayTexture::Host(handle), used });
            }
        }
    }

    /// Fits colours to everything that is coloured together, going on from the last ones.
    pub fn fit(&mut self, job: ColourFitJob) {
        if self.fitting == Some(job.key) || self.basis.as_ref().is_some_and(|basis| basis.key == job.key) {
            return;
        }
        let on_device = job.seen.iter().all(|seen| matches!(seen.patches, PatchTokens::Device(_)));
        if on_device && let Some(gpu) = &mut self.gpu {
            match gpu.fit(&job) {
                Ok(true) => self.take_basis(job.key, job.seen.len(), None),
                Ok(false) => {} // the programs are still being compiled
                Err(error) => self.error = Some(error.to_string()),
            }
            return;
        }
        self.fitting = Some(job.key);
        let previous = self.basis.as_ref().and_then(|basis| basis.host.clone());
        self.cpu.fit(job, previous);
    }

    /// Has colours fitted once more the next time, also to the same pictures: their features are somewhere else. What is drawn
    /// stays until then.
    pub fn fit_again(&mut self) {
        self.fitting = None;
        if let Some(basis) = &mut self.basis {
            basis.key = 0;
        }
    }

    /// Takes colours that were fitted elsewhere.
    pub fn set_basis(&mut self, key: u64, pictures: usize, basis: Arc<Pca>) {
        self.take_basis(key, pictures, Some(basis));
    }

    /// Matches patches between two pictures in memory; [`OverlayPainter::matches`] has the answer under `key`.
    pub fn match_pictures(&self, key: u64, pair: [Arc<dinoscope_core::analysis::PatchFeatures>; 2]) {
        self.cpu.match_pictures(key, pair);
    }

    /// The layers that this frame wants. What is missing is made; what is there stays.
    pub fn want(&mut self, ctx: &egui::Context, jobs: Vec<OverlayJob>) {
        let mut missing = Vec::new();
        let mut for_gpu = Vec::new();
        for job in jobs {
            if let Some(layer) = self.layers.get_mut(&job.slot) {
                layer.used = self.frame;
                if layer.key == job.key {
                    continue;
                }
            }
            let on_device = matches!(job.seen.patches, PatchTokens::Device(_));
            if on_device && !matches!(job.what, OverlayContent::Attention(_)) {
                for_gpu.push(job);
            } else {
                missing.push(job);
            }
        }
        if !for_gpu.is_empty()
            && let Some(gpu) = &mut self.gpu
        {
            match gpu.draw(&for_gpu) {
                Ok(made) => {
                    for (slot, key, texture) in made {
                        let layer =
                            OverlayLayer { key, texture: OverlayTexture::Device(texture), used: self.frame };
                        self.layers.insert(slot, layer);
                    }
                    ctx.request_repaint();
                }
                Err(error) => self.error = Some(error.to_string()),
            }
        }
        let asked: Vec<(OverlaySlot, u64)> = missing.iter().map(|job| (job.slot, job.key)).collect();
        if asked != self.asked {
            self.asked = asked;
            let basis = self.basis.as_ref().and_then(|basis| basis.host.clone());
            self.cpu.draw(missing, basis);
        }
    }

    /// How many layers there are.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// The layer in a slot, be it a moment old.
    pub fn layer(&self, slot: OverlaySlot) -> Option<TextureId> {
        self.layers.get(&slot).map(|layer| layer.texture.id())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_core::analysis::PatchFeatures;
    use dinoscope_core::analysis::pca::PcaOptions;

    #[test]
    fn the_same_pictures_are_fitted_once_and_again_where_it_is_asked_for() {
        let mut painter = OverlayPainter::new(&RenderBackend::default(), Arc::new(|| ()));
        let data = (0..48).map(|i| ((i * 7) % 11) as f32).collect();
        let features = PatchFeatures { rows: 4, cols: 4, dim: 3, data };
        let basis = Arc::new(Pca::fit(&[&features], None, &PcaOptions::default()).unwrap());
        let job = ColourFitJob { key: 5, seen: Vec::new(), foreground: false, smooth: false };
        painter.set_basis(5, 1, basis);
        painter.fit(job.clone());
        assert!(!painter.fits());
        painter.fit_again();
        assert!(
            painter.basis().is_some_and(|basis| basis.host().is_some()),
            "it shows until the next one is there"
        );
        painter.fit(job);
        assert!(painter.fits());
    }
}

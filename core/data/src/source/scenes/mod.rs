//! Built-in scenes: small 3-D pictures the program draws itself from a seed, so that a fresh machine can train.

mod compose;
mod framing;
mod item;
mod lanes;
mod light;
mod materials;
mod math;
mod objects;
mod render;
mod shapes;
mod solids;
mod world;

use std::sync::OnceLock;

use crate::source::PictureSource;
use crate::{DataError, Picture};
use dinoscope_base::rng::{self, RngExt};

/// Names of the main objects, in the order of [`RenderedScene::label`].
pub const CLASSES: [&str; 12] = [
    "mug", "chair", "mushroom", "tree", "snowman", "rocket", "teapot", "fish", "car", "house", "airplane",
    "ring",
];

/// What a pixel shows, as stored in [`RenderedScene::mask`]: ground, wall or sky.
pub const BACKGROUND: u8 = 0;
/// What a pixel shows, as stored in [`RenderedScene::mask`]: the main object.
pub const OBJECT: u8 = 1;
/// What a pixel shows, as stored in [`RenderedScene::mask`]: one of the small bodies that lie about.
pub const CLUTTER: u8 = 2;

/// Memory that a [`ScenesSource`] may fill with pictures already drawn; later indexes are drawn again on each load.
const CACHE_BYTES: usize = 256 << 20;

/// A drawn scene with everything that is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderedScene {
    /// The picture, square.
    pub picture: Picture,
    /// The main object's class, an index into [`CLASSES`].
    pub label: usize,
    /// `[height * width]`: [`BACKGROUND`], [`OBJECT`] or [`CLUTTER`] at each pixel's centre.
    pub mask: Vec<u8>,
    /// `[height * width]`: distance along the viewing axis at each pixel's centre, in units of about half
    /// the object's height; `f32::INFINITY` where there is only sky.
    pub depth: Vec<f32>,
}

/// The class of scene `index`: every block of twelve indexes holds each class once, in an order keyed by the seed.
pub fn label(seed: u64, index: usize) -> usize {
    let n = CLASSES.len();
    let mut rng = rng::stream(seed, "scene label", (index / n) as u64, 0);
    let mut order: [usize; CLASSES.len()] = std::array::from_fn(|i| i);
    for i in (1..n).rev() {
        order.swap(i, rng.random_range(0..=i as u32) as usize);
    }
    order[index % n]
}

/// Draws scene `index` of a seed as a square picture of `size` pixels a side (at least 1).
///
/// The same arguments always give the same bytes; another `size` gives the same scene in another resolution.
pub fn draw(seed: u64, index: usize, size: usize) -> RenderedScene {
    let size = size.max(1);
    let label = label(seed, index);
    let world = compose::compose(&mut rng::stream(seed, "scene", index as u64, 0), label);
    let render::RenderOutput { rgb, mask, depth } = render::render(&world, size);
    RenderedScene { picture: Picture { width: size, height: size, rgb }, label, mask, depth }
}

/// The built-in scenes as a [`PictureSource`]: drawn on demand by whichever thread asks, then remembered.
#[derive(Debug)]
pub struct ScenesSource {
    seed: u64,
    len: usize,
    size: usize,
    classes: Vec<String>,
    drawn: Vec<OnceLock<Picture>>,
}

impl ScenesSource {
    /// Scenes `0..len` (at least one) of a seed, `size` pixels a side.
    pub fn new(seed: u64, len: usize, size: usize) -> Self {
        let (len, size) = (len.max(1), size.max(1));
        let slots = len.min(CACHE_BYTES / size.saturating_mul(size).saturating_mul(3));
        Self {
            seed,
            len,
            size,
            classes: CLASSES.map(String::from).to_vec(),
            drawn: std::iter::repeat_with(OnceLock::new).take(slots).collect(),
        }
    }

    /// Draws a scene with its mask and depth; nothing is remembered.
    pub fn scene(&self, index: usize) -> RenderedScene {
        draw(self.seed, index, self.size)
    }
}

impl PictureSource for ScenesSource {
    fn len(&self) -> usize {
        self.len
    }

    fn name(&self, index: usize) -> String {
        format!("scene {index} ({})", CLASSES[label(self.seed, index)])
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(label(self.seed, index))
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn load(&self, index: usize) -> Result<Picture, DataError> {
        if index >= self.len {
            let reason = format!("scene {index} was asked for, but there are only {}", self.len);
            return Err(DataError::Source { path: "built-in scenes".into(), reason });
        }
        Ok(match self.drawn.get(index) {
            Some(slot) => slot.get_or_init(|| self.scene(index).picture).clone(),
            None => self.scene(index).picture,
        })
    }
}

#[cfg(test)]
mod tests;

//! Built-in scenes: small 3-D pictures the program draws itself from a seed, so that a fresh machine can train.

mod compose;
mod framing;
mod item;
mod kind;
mod lanes;
mod light;
pub(in crate::source) mod materials;
pub(in crate::source) mod math;
mod objects;
mod render;
mod shapes;
mod solids;
mod varied;
mod world;

use std::sync::OnceLock;

use crate::source::PictureSource;
use crate::{DataError, Picture};
pub use kind::{SceneKind, VARIED_CLASSES};

/// Names of the main objects of easy scenes, in the order of [`RenderedScene::label`].
pub const CLASSES: [&str; 12] = [
    "mug", "chair", "mushroom", "tree", "snowman", "rocket", "teapot", "fish", "car", "house", "airplane",
    "ring",
];

/// What a pixel shows, as stored in [`RenderedScene::instances`]: ground, wall or sky.
pub const BACKGROUND: u8 = 0;
/// What a pixel shows, as stored in [`RenderedScene::instances`]: the main object. Others are counted on from here.
pub const OBJECT: u8 = 1;

/// Memory that a [`ScenesSource`] may fill with pictures already drawn; later indexes are drawn again on each load.
const CACHE_BYTES: usize = 256 << 20;

/// A drawn scene with everything that is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderedScene {
    /// The picture, square.
    pub picture: Picture,
    /// The main object's class, an index into [`SceneKind::classes`].
    pub label: usize,
    /// The class of each body, the main object first; none for what is only clutter.
    pub classes: Vec<Option<usize>>,
    /// `[height * width]`: the body at each pixel's centre, [`OBJECT`] and up in the order of `classes`, or [`BACKGROUND`].
    pub instances: Vec<u8>,
    /// `[height * width]`: its part, 1 the body, 2 limbs (handle, legs, roof, …), 3 details; 0 for none.
    pub parts: Vec<u8>,
    /// `[height * width]`: distance along the viewing axis at each pixel's centre, in units of about half
    /// the object's height; `f32::INFINITY` where there is only sky.
    pub depth: Vec<f32>,
}

/// [`SceneKind::draw`] of an easy scene.
pub fn draw(seed: u64, index: usize, size: usize) -> RenderedScene {
    SceneKind::Easy.draw(seed, index, size)
}

/// The built-in scenes as a [`PictureSource`]: drawn on demand by whichever thread asks, then remembered.
#[derive(Debug)]
pub struct ScenesSource {
    kind: SceneKind,
    seed: u64,
    len: usize,
    size: usize,
    classes: Vec<String>,
    drawn: Vec<OnceLock<Picture>>,
}

impl ScenesSource {
    /// Easy scenes `0..len` (at least one) of a seed, `size` pixels a side.
    pub fn new(seed: u64, len: usize, size: usize) -> Self {
        Self::of_kind(SceneKind::Easy, seed, len, size)
    }

    /// Scenes `0..len` (at least one) of a kind and a seed, `size` pixels a side.
    pub fn of_kind(kind: SceneKind, seed: u64, len: usize, size: usize) -> Self {
        let (len, size) = (len.max(1), size.max(1));
        let slots = len.min(CACHE_BYTES / size.saturating_mul(size).saturating_mul(3));
        Self {
            kind,
            seed,
            len,
            size,
            classes: kind.classes().iter().map(|name| (*name).to_owned()).collect(),
            drawn: std::iter::repeat_with(OnceLock::new).take(slots).collect(),
        }
    }

    /// Draws a scene with all that is known of its pixels; nothing is remembered.
    pub fn scene(&self, index: usize) -> RenderedScene {
        self.kind.draw(self.seed, index, self.size)
    }
}

impl PictureSource for ScenesSource {
    fn len(&self) -> usize {
        self.len
    }

    fn name(&self, index: usize) -> String {
        format!("scene {index} ({})", self.kind.classes()[self.kind.label(self.seed, index)])
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(self.kind.label(self.seed, index))
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

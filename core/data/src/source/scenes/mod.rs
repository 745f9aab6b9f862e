//! Built-in scenes: small 3-D pictures the program draws itself from a seed, so that a fresh machine can train.

mod compose;
mod framing;
mod item;
mod kind;
mod lanes;
mod light;
pub(in crate::source) mod materials;
pub(in crate::source) mod math;
mod moving;
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
pub use moving::{MovingScene, MovingScenes, PlaceTruth};

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
    views: usize,
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
        let classes = kind.classes().iter().map(|name| (*name).to_owned()).collect();
        Self { kind, seed, len, size, views: 1, classes, drawn: Vec::new() }.in_views(1)
    }

    /// The same scenes, each in so many views (at least one) for training: see [`SceneKind::draw_view`].
    pub fn in_views(self, views: usize) -> Self {
        let views = views.max(1);
        let slots = self.len.min(CACHE_BYTES / self.size.saturating_mul(self.size).saturating_mul(3 * views));
        Self { views, drawn: std::iter::repeat_with(OnceLock::new).take(slots).collect(), ..self }
    }

    /// All views of a scene side by side.
    fn draw_views(&self, index: usize) -> Picture {
        let row = 3 * self.size;
        let mut rgb = vec![0; row * self.size * self.views];
        for view in 0..self.views {
            let drawn = self.kind.draw_view(self.seed, index, view, self.size).picture.rgb;
            let rows = rgb.chunks_exact_mut(row * self.views).zip(drawn.chunks_exact(row));
            rows.for_each(|(all, own)| all[view * row..][..row].copy_from_slice(own));
        }
        Picture::of_rgb(self.size * self.views, self.size, rgb)
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
        let mut picture = self.load_views(index)?;
        if self.views > 1 {
            let row = 3 * self.size;
            picture.rgb =
                picture.rgb.chunks_exact(row * self.views).flat_map(|all| &all[..row]).copied().collect();
            picture.width = self.size;
        }
        Ok(picture)
    }

    fn views(&self, _index: usize) -> usize {
        self.views
    }

    fn load_views(&self, index: usize) -> Result<Picture, DataError> {
        if index >= self.len {
            let reason = format!("scene {index} was asked for, but there are only {}", self.len);
            return Err(DataError::Source { path: "built-in scenes".into(), reason });
        }
        Ok(match self.drawn.get(index) {
            Some(slot) => slot.get_or_init(|| self.draw_views(index)).clone(),
            None => self.draw_views(index),
        })
    }
}

#[cfg(test)]
mod tests;

//! The two kinds of built-in scenes, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::varied::{self, forms::FORMS};
use super::world::SceneDescription;
use super::{CLASSES, RenderedScene, compose, render};
use crate::Picture;
use dinoscope_base::rng::{self, RngExt};

/// Which scenes are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SceneKind {
    /// One of twelve objects in the middle, mostly in its usual colours: raw pixels tell much of its class. What recipes
    /// mean that name no kind, because there was no other.
    #[default]
    Easy,
    /// One of [`VARIED_CLASSES`] anywhere, in any size, colour and light, among others: pixels tell next to nothing.
    Varied,
}

/// Names of the main objects of varied scenes, in the order of [`RenderedScene::label`]: those of [`CLASSES`], then forms.
pub const VARIED_CLASSES: [&str; CLASSES.len() + FORMS.len()] = {
    let mut all = [""; CLASSES.len() + FORMS.len()];
    let mut i = 0;
    while i < all.len() {
        all[i] = if i < CLASSES.len() { CLASSES[i] } else { FORMS[i - CLASSES.len()] };
        i += 1;
    }
    all
};

impl SceneKind {
    /// What they are, for someone who chooses.
    pub const MEANING: &str = "varied: anywhere, in any size, colour and light, among others; nothing but its form tells what an \
         object is. easy: one object in the middle, mostly in its usual colours.";

    /// All of them, with the words that name them.
    pub const ALL: [(Self, &'static str); 2] = [(Self::Easy, "easy"), (Self::Varied, "varied")];

    /// Names of the main objects, in the order of [`RenderedScene::label`].
    pub fn classes(self) -> &'static [&'static str] {
        match self {
            Self::Easy => &CLASSES,
            Self::Varied => &VARIED_CLASSES,
        }
    }

    /// The class of scene `index`: every block of as many indexes as there are classes holds each class once, in an order
    /// keyed by the seed.
    pub fn label(self, seed: u64, index: usize) -> usize {
        let n = self.classes().len();
        let purpose = match self {
            Self::Easy => "scene label",
            Self::Varied => "varied scene label",
        };
        let mut rng = rng::stream(seed, purpose, (index / n) as u64, 0);
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, rng.random_range(0..=i as u32) as usize);
        }
        order[index % n]
    }

    /// The scene that [`SceneKind::draw`] draws as view 0, or another that has its main object in common: of the same form and
    /// proportions; all else is drawn anew.
    pub(super) fn compose(self, seed: u64, index: usize, view: usize) -> SceneDescription {
        let label = self.label(seed, index);
        let stream = |purpose| rng::stream(seed, purpose, index as u64, view as u64);
        let mut world = match self {
            Self::Easy => compose::compose(&mut stream("scene"), label),
            Self::Varied => varied::compose(&mut stream("varied scene"), label),
        };
        if view > 0 {
            world.items[0].shape.v = self.compose(seed, index, 0).items[0].shape.v;
        }
        world
    }

    /// Draws scene `index` of a seed as a square picture of `size` pixels a side (at least 1).
    ///
    /// The same arguments always give the same bytes; another `size` gives the same scene in another resolution.
    pub fn draw(self, seed: u64, index: usize, size: usize) -> RenderedScene {
        self.draw_view(seed, index, 0, size)
    }

    /// [`SceneKind::draw`] of another view: the same main object elsewhere, in another pose, paint and light, among others.
    pub fn draw_view(self, seed: u64, index: usize, view: usize, size: usize) -> RenderedScene {
        self.rendered(&self.compose(seed, index, view), self.label(seed, index), size)
    }

    /// A composed scene about an object of class `label` as a picture of `size` pixels a side (at least 1).
    pub(super) fn rendered(self, world: &SceneDescription, label: usize, size: usize) -> RenderedScene {
        let size = size.max(1);
        let render::RenderOutput { rgb, instances, parts, depth } = render::render(world, size);
        RenderedScene {
            picture: Picture::of_rgb(size, size, rgb),
            label,
            classes: world.items.iter().map(|item| item.shape.kind.class()).collect(),
            instances,
            parts,
            depth,
        }
    }
}

impl fmt::Display for SceneKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Easy => "easy",
            Self::Varied => "varied",
        })
    }
}

impl FromStr for SceneKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, name)| *name == word);
        found
            .map(|(kind, _)| *kind)
            .ok_or_else(|| format!("there are no {word} scenes: they are easy or varied"))
    }
}

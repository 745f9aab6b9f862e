//! What can stand in a scene, as one type: how far away it is, of which parts it is made, what box holds it.

use super::CLASSES;
use super::lanes::F32x4;
use super::math::{P4, V3, v3};
use super::objects::{
    FAR, airplane, car, chair, clutter, fish, house, mug, mushroom, ring, rocket, snowman, teapot, tree,
};
use super::varied::forms;

/// What stands in a scene.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SceneObjectKind {
    /// A main object, by its index in [`super::CLASSES`].
    Main(usize),
    /// Clutter: 0 a ball, 1 a block, 2 a cone, 3 a drum.
    Clutter(usize),
    /// A form of the varied scenes, by its index in [`forms::FORMS`].
    Form(usize),
}

impl SceneObjectKind {
    /// Its class, an index into [`super::kind::VARIED_CLASSES`], which begin with [`CLASSES`]; none for clutter.
    pub fn class(self) -> Option<usize> {
        match self {
            Self::Main(class) => Some(class),
            Self::Form(form) => Some(CLASSES.len() + form),
            Self::Clutter(_) => None,
        }
    }
}

/// One body: what it is and how it is proportioned.
#[derive(Clone, Copy, Debug)]
pub struct SceneShape {
    /// What it is.
    pub kind: SceneObjectKind,
    /// Proportions, each from 0 to 1.
    pub v: [f32; 4],
}

impl SceneShape {
    /// Distances to the three parts: body, limbs (handle, legs, roof, …), details (knob, windows, …).
    pub fn parts(&self, p: P4) -> [F32x4; 3] {
        let v = &self.v;
        match self.kind {
            SceneObjectKind::Main(0) => mug(p, v),
            SceneObjectKind::Main(1) => chair(p, v),
            SceneObjectKind::Main(2) => mushroom(p, v),
            SceneObjectKind::Main(3) => tree(p, v),
            SceneObjectKind::Main(4) => snowman(p, v),
            SceneObjectKind::Main(5) => rocket(p, v),
            SceneObjectKind::Main(6) => teapot(p, v),
            SceneObjectKind::Main(7) => fish(p, v),
            SceneObjectKind::Main(8) => car(p, v),
            SceneObjectKind::Main(9) => house(p, v),
            SceneObjectKind::Main(10) => airplane(p, v),
            SceneObjectKind::Main(_) => ring(p, v),
            SceneObjectKind::Clutter(i) => [clutter(i, p, v), FAR.into(), FAR.into()],
            SceneObjectKind::Form(i) => forms::distances(i, p, v),
        }
    }

    /// Distance to the nearest part.
    pub fn distance(&self, p: P4) -> F32x4 {
        let [a, b, c] = self.parts(p);
        a.least(b).least(c)
    }

    /// A box that holds the shape whatever its proportions: centre and half sides.
    pub fn bounds(&self) -> (V3, V3) {
        // Lowest and highest corner; objects are mirror images in z or nearly so.
        let (lo, hi): (V3, V3) = match self.kind {
            SceneObjectKind::Main(0) => (v3(-0.82, 0.0, -0.82), v3(1.36, 1.62, 0.82)),
            SceneObjectKind::Main(1) => (v3(-0.66, 0.0, -0.72), v3(0.66, 2.42, 0.66)),
            SceneObjectKind::Main(2) => (v3(-1.1, 0.0, -1.1), v3(1.1, 2.04, 1.1)),
            SceneObjectKind::Main(3) => (v3(-1.02, 0.0, -1.02), v3(1.02, 2.72, 1.02)),
            SceneObjectKind::Main(4) => (v3(-1.15, 0.0, -0.82), v3(1.15, 3.06, 0.88)),
            SceneObjectKind::Main(5) => (v3(-0.95, 0.0, -0.95), v3(0.95, 2.72, 0.95)),
            SceneObjectKind::Main(6) => (v3(-1.42, 0.0, -0.9), v3(1.55, 1.8, 0.9)),
            SceneObjectKind::Main(7) => (v3(-1.55, -0.85, -0.5), v3(1.12, 0.95, 0.5)),
            SceneObjectKind::Main(8) => (v3(-1.35, 0.0, -0.72), v3(1.35, 1.2, 0.72)),
            SceneObjectKind::Main(9) => (v3(-0.98, 0.0, -1.05), v3(0.98, 2.12, 1.05)),
            SceneObjectKind::Main(10) => (v3(-1.4, -0.4, -1.6), v3(1.36, 0.75, 1.6)),
            SceneObjectKind::Main(_) => (v3(-0.95, 0.0, -0.4), v3(0.95, 2.55, 0.4)),
            SceneObjectKind::Clutter(_) => (v3(-1.0, 0.0, -1.0), v3(1.0, 2.0, 1.0)),
            SceneObjectKind::Form(i) => forms::corners(i),
        };
        ((lo + hi) * 0.5, (hi - lo) * 0.5)
    }
}

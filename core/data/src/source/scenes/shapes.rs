//! What can stand in a scene, as one type: how far away it is, of which parts it is made, what box holds it.

use super::lanes::F4;
use super::math::{P4, V3, v3};
use super::objects::{
    FAR, airplane, car, chair, clutter, fish, house, mug, mushroom, ring, rocket, snowman, teapot, tree,
};

/// What stands in a scene.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A main object, by its index in [`super::CLASSES`].
    Main(usize),
    /// Clutter: 0 a ball, 1 a block, 2 a cone, 3 a drum.
    Clutter(usize),
}

/// One body: what it is and how it is proportioned.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// What it is.
    pub kind: Kind,
    /// Proportions, each from 0 to 1.
    pub v: [f32; 4],
}

impl Shape {
    /// Distances to the three parts: body, limbs (handle, legs, roof, …), details (knob, windows, …).
    pub fn parts(&self, p: P4) -> [F4; 3] {
        let v = &self.v;
        match self.kind {
            Kind::Main(0) => mug(p, v),
            Kind::Main(1) => chair(p, v),
            Kind::Main(2) => mushroom(p, v),
            Kind::Main(3) => tree(p, v),
            Kind::Main(4) => snowman(p, v),
            Kind::Main(5) => rocket(p, v),
            Kind::Main(6) => teapot(p, v),
            Kind::Main(7) => fish(p, v),
            Kind::Main(8) => car(p, v),
            Kind::Main(9) => house(p, v),
            Kind::Main(10) => airplane(p, v),
            Kind::Main(_) => ring(p, v),
            Kind::Clutter(i) => [clutter(i, p, v), FAR.into(), FAR.into()],
        }
    }

    /// Distance to the nearest part.
    pub fn distance(&self, p: P4) -> F4 {
        let [a, b, c] = self.parts(p);
        a.least(b).least(c)
    }

    /// A box that holds the shape whatever its proportions: centre and half sides.
    pub fn bounds(&self) -> (V3, V3) {
        // Lowest and highest corner; objects are mirror images in z or nearly so.
        let (lo, hi): (V3, V3) = match self.kind {
            Kind::Main(0) => (v3(-0.82, 0.0, -0.82), v3(1.36, 1.62, 0.82)),
            Kind::Main(1) => (v3(-0.66, 0.0, -0.72), v3(0.66, 2.42, 0.66)),
            Kind::Main(2) => (v3(-1.1, 0.0, -1.1), v3(1.1, 2.04, 1.1)),
            Kind::Main(3) => (v3(-1.02, 0.0, -1.02), v3(1.02, 2.72, 1.02)),
            Kind::Main(4) => (v3(-1.15, 0.0, -0.82), v3(1.15, 3.06, 0.88)),
            Kind::Main(5) => (v3(-0.95, 0.0, -0.95), v3(0.95, 2.72, 0.95)),
            Kind::Main(6) => (v3(-1.42, 0.0, -0.9), v3(1.55, 1.8, 0.9)),
            Kind::Main(7) => (v3(-1.55, -0.85, -0.5), v3(1.12, 0.95, 0.5)),
            Kind::Main(8) => (v3(-1.35, 0.0, -0.72), v3(1.35, 1.2, 0.72)),
            Kind::Main(9) => (v3(-0.98, 0.0, -1.05), v3(0.98, 2.12, 1.05)),
            Kind::Main(10) => (v3(-1.4, -0.4, -1.6), v3(1.36, 0.75, 1.6)),
            Kind::Main(_) => (v3(-0.95, 0.0, -0.4), v3(0.95, 2.55, 0.4)),
            Kind::Clutter(_) => (v3(-1.0, 0.0, -1.0), v3(1.0, 2.0, 1.0)),
        };
        ((lo + hi) * 0.5, (hi - lo) * 0.5)
    }
}

//! How classes are told apart: by colour, then by shape.

use dinoscope_analysis::canvas::{Colour, SOFT};

/// Colours that differ from each other and are seen on white as well as on black.
const COLOURS: [Colour; 12] = [
    [0x12, 0x9a, 0x8c],
    [0xe3, 0x5b, 0x2c],
    [0x3d, 0x74, 0xdb],
    [0xe0, 0xa5, 0x10],
    [0x8f, 0x5a, 0xd6],
    [0x62, 0xa8, 0x2f],
    [0xd8, 0x3f, 0x8f],
    [0xa2, 0x73, 0x53],
    [0x35, 0xb2, 0xe0],
    [0x8b, 0x90, 0x9c],
    [0xb7, 0x2d, 0x3c],
    [0xf0, 0x96, 0xbe],
];

/// The outline of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerShape {
    /// A disc.
    Disc,
    /// A square on its side.
    Square,
    /// A triangle on its base.
    Triangle,
    /// A square on its corner.
    Diamond,
}

const SHAPES: [(MarkerShape, &str); 4] = [
    (MarkerShape::Disc, "disc"),
    (MarkerShape::Square, "square"),
    (MarkerShape::Triangle, "triangle"),
    (MarkerShape::Diamond, "diamond"),
];

/// What a point of a class looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassMarker {
    /// Its colour.
    pub colour: Colour,
    /// Its outline.
    pub shape: MarkerShape,
}

/// The mark of a class: the first twelve differ by colour, the next by shape as well; after 48 they begin again.
/// Pictures without a class are soft discs.
pub fn mark(class: Option<u32>) -> ClassMarker {
    let Some(class) = class.map(|class| class as usize) else {
        return ClassMarker { colour: SOFT, shape: MarkerShape::Disc };
    };
    let (colours, shapes) = (COLOURS.len(), SHAPES.len());
    ClassMarker { colour: COLOURS[class % colours], shape: SHAPES[class / colours % shapes].0 }
}

impl MarkerShape {
    /// Its name, for pages.
    pub(super) fn name(self) -> &'static str {
        SHAPES.iter().find(|(shape, _)| *shape == self).map_or("disc", |(_, name)| name)
    }

    /// Corners around the origin, of the same area as a disc with a radius of 1; none for the disc itself.
    pub fn corners(self) -> &'static [[f32; 2]] {
        match self {
            Self::Disc => &[],
            Self::Square => &[[-0.886, -0.886], [0.886, -0.886], [0.886, 0.886], [-0.886, 0.886]],
            // Its centre of mass, not its middle, lies on the origin.
            Self::Triangle => &[[0.0, -1.555], [1.347, 0.778], [-1.347, 0.778]],
            Self::Diamond => &[[0.0, -1.253], [1.253, 0.0], [0.0, 1.253], [-1.253, 0.0]],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_marks_of_their_own_and_shapes_one_area() {
        let marks: Vec<ClassMarker> = (0..48).map(|class| mark(Some(class))).collect();
        for (i, a) in marks.iter().enumerate() {
            assert!(marks[..i].iter().all(|b| a != b), "{i}");
            assert_ne!(*a, mark(None));
        }
        assert_eq!(mark(Some(48)), marks[0]);
        for (shape, _) in &SHAPES[1..] {
            let corners = shape.corners();
            let twice: f32 = (0..corners.len())
                .map(|i| (corners[i], corners[(i + 1) % corners.len()]))
                .map(|(a, b)| a[0] * b[1] - b[0] * a[1])
                .sum();
            assert!((twice / 2.0 - std::f32::consts::PI).abs() < 0.02, "{shape:?}: {}", twice / 2.0);
        }
    }
}

//! Colours that know nothing of what they are put on.

use crate::source::scenes::materials::{SceneMaterial, TEXTURES, between};
use crate::source::scenes::math::{RotationMatrix, V3, oklch, sin_cos, v3};
use dinoscope_base::rng::{RngExt, Stream};

/// A colour in OKLab: lightness, chroma, hue in turns.
#[derive(Clone, Copy, Debug)]
pub struct LchColour {
    /// 0 (black) to 1 (white).
    pub lightness: f32,
    /// Distance from grey.
    pub chroma: f32,
    /// In turns.
    pub hue: f32,
}

impl LchColour {
    /// Linear RGB.
    pub fn linear(self) -> V3 {
        oklch(self.lightness, self.chroma, self.hue)
    }

    /// Any colour of a lightness, from grey to loud.
    pub fn any(rng: &mut Stream, lightness: f32) -> Self {
        Self { lightness, chroma: between(rng, 0.0, 0.19), hue: rng.random() }
    }

    /// A muted colour of a lightness between two.
    pub fn quiet(rng: &mut Stream, from: f32, to: f32) -> Self {
        let grey = rng.random::<f32>();
        Self { lightness: between(rng, from, to), chroma: 0.11 * grey * grey, hue: rng.random() }
    }

    /// How different two colours look: 0.1 can be told, 1 is black beside white. Differences of hue count double, because
    /// light changes lightness alone.
    pub fn apart(self, other: Self) -> f32 {
        let ((s, c), (s2, c2)) = (sin_cos(self.hue), sin_cos(other.hue));
        let (a, b) = (self.chroma * c - other.chroma * c2, self.chroma * s - other.chroma * s2);
        let l = self.lightness - other.lightness;
        (l * l + 4.0 * (a * a + b * b)).sqrt()
    }
}

/// The colour, or others of any lightness until one stands out from all that lies behind.
pub fn away_from(rng: &mut Stream, first: LchColour, behind: &[LchColour]) -> LchColour {
    let apart = |colour: LchColour| behind.iter().map(|b| b.apart(colour)).fold(f32::INFINITY, f32::min);
    let mut best = first;
    for _ in 0..12 {
        if apart(best) > 0.3 {
            break;
        }
        let lightness = between(rng, 0.3, 0.95);
        let next = LchColour::any(rng, lightness);
        if apart(next) > apart(best) {
            best = next;
        }
    }
    best
}

/// Paint for a body about a colour: plain, or any texture.
pub fn coat(rng: &mut Stream, shade: LchColour) -> SceneMaterial {
    let texture = if rng.random::<f32>() < 0.45 { 0 } else { rng.random_range(1..TEXTURES) };
    let away = between(rng, 0.12, 0.34);
    let lightness = if shade.lightness > 0.58 { shade.lightness - away } else { shade.lightness + away };
    let mut figure = LchColour::any(rng, lightness);
    if rng.random() {
        figure.hue = shade.hue + between(rng, -0.06, 0.06);
    }
    let scale = match texture {
        1 | 2 | 7 | 8 => between(rng, 1.6, 4.0),
        5 => between(rng, 2.2, 5.0),
        _ => between(rng, 1.1, 2.6),
    };
    let shift = v3(between(rng, -9.0, 9.0), between(rng, -9.0, 9.0), between(rng, -9.0, 9.0));
    SceneMaterial {
        texture,
        base: shade.linear(),
        figure: figure.linear(),
        frame: RotationMatrix::new(rng.random(), rng.random(), rng.random()),
        // Rings of wood run about an axis through the piece.
        shift: if texture == 4 { shift * 0.08 } else { shift },
        scale,
        gloss: gloss(rng),
    }
}

/// One colour, for limbs and details.
pub fn plain(rng: &mut Stream) -> SceneMaterial {
    let lightness = between(rng, 0.2, 0.95);
    let base = LchColour::any(rng, lightness).linear();
    SceneMaterial {
        texture: 0,
        base,
        figure: base,
        frame: RotationMatrix::new(0.0, 0.0, 0.0),
        shift: V3::default(),
        scale: 1.0,
        gloss: gloss(rng),
    }
}

fn gloss(rng: &mut Stream) -> f32 {
    between(rng, -0.5, 1.3).max(0.0)
}

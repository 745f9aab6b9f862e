//! Textures: one or two fields, bent by a third, made into colours.

use super::field::{ScalarField, frequency};
use super::noise::gradient;
use super::palette::{ColourRamp, PictureHues};
use crate::source::scenes::materials::between;
use crate::source::scenes::math::V3;
use dinoscope_base::rng::{RngExt, Stream};

/// A colour at every point.
#[derive(Clone, Debug)]
pub struct ProceduralTexture {
    bend: Option<DomainWarp>,
    first: ScalarField,
    second: Option<(ScalarField, FieldBlend)>,
    contrast: f32,
    ramp: ColourRamp,
}

/// How two fields become one.
#[derive(Clone, Copy, Debug)]
enum FieldBlend {
    Mean,
    Product,
    Larger,
    Difference,
    /// The second where the first is high.
    Inside,
}

/// Noise that moves the points at which something is asked for (Perlin's turbulence, bent twice as in Quilez's warps).
#[derive(Clone, Debug)]
struct DomainWarp {
    frequency: f32,
    amount: f32,
    again: f32,
    seed: u32,
}

impl DomainWarp {
    fn draw(rng: &mut Stream) -> Self {
        let frequency = frequency(rng, 1.0, 9.0);
        let amount = between(rng, 0.1, 0.9) / frequency;
        let again = if rng.random::<f32>() < 0.35 { between(rng, 0.3, 1.0) / frequency } else { 0.0 };
        Self { frequency, amount, again, seed: rng.random() }
    }

    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        let f = self.frequency;
        let off = |x: f32, y: f32, seed: u32| {
            let seed = self.seed ^ seed;
            (gradient(x * f, y * f, seed), gradient(x * f + 31.7, y * f - 17.3, seed))
        };
        let (dx, dy) = off(x, y, 0);
        let (x1, y1) = (x + self.amount * dx, y + self.amount * dy);
        if self.again == 0.0 {
            return (x1, y1);
        }
        let (dx, dy) = off(x1, y1, 0x5bd1_e995);
        (x1 + self.again * dx, y1 + self.again * dy)
    }
}

impl ProceduralTexture {
    /// Any texture in the colours of a picture.
    pub fn draw(rng: &mut Stream, hues: &PictureHues) -> Self {
        let bend = (rng.random::<f32>() < 0.55).then(|| DomainWarp::draw(rng));
        let first = ScalarField::draw(rng);
        let blend = [
            FieldBlend::Mean,
            FieldBlend::Product,
            FieldBlend::Larger,
            FieldBlend::Difference,
            FieldBlend::Inside,
        ][rng.random_range(0..5u32) as usize];
        let second = (rng.random::<f32>() < 0.45).then(|| (ScalarField::draw(rng), blend));
        let contrast = between(rng, 0.6, 1.9);
        Self { bend, first, second, contrast, ramp: ColourRamp::draw(rng, hues) }
    }

    /// Quiet noise, for what lies behind.
    pub fn quiet(rng: &mut Stream, hues: &PictureHues) -> Self {
        let bend = rng.random::<bool>().then(|| DomainWarp::draw(rng));
        let first = ScalarField::cloud(rng, 0.6, 4.0);
        Self {
            bend,
            first,
            second: None,
            contrast: between(rng, 0.4, 1.0),
            ramp: ColourRamp::draw(rng, hues),
        }
    }

    /// The number behind the colour.
    pub fn value(&self, x: f32, y: f32, pixel: f32) -> f32 {
        let (x, y) = self.bend.as_ref().map_or((x, y), |bend| bend.at(x, y));
        let a = self.first.at(x, y, pixel);
        let value = match &self.second {
            None => a,
            Some((_, FieldBlend::Inside)) if a < 0.4 => a,
            Some((field, blend)) => {
                let b = field.at(x, y, pixel);
                match blend {
                    FieldBlend::Mean => 0.5 * (a + b),
                    FieldBlend::Product => a * b * 1.5,
                    FieldBlend::Larger => a.max(b),
                    FieldBlend::Difference => (a - b).abs() * 1.4,
                    FieldBlend::Inside => a + (b - a) * ((a - 0.4) * 8.0).min(1.0),
                }
            }
        };
        0.5 + (value - 0.5) * self.contrast
    }

    /// The colour at a point, linear RGB; `pixel` is a pixel's width.
    pub fn at(&self, x: f32, y: f32, pixel: f32) -> V3 {
        self.ramp.at(self.value(x, y, pixel))
    }
}

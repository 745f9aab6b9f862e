//! A picture from its layers: something behind, then sheets with holes, leaves, strokes and flames in any order.

use super::canvas::ProceduralCanvas;
use super::field::ScalarField;
use super::flame::FlameLayer;
use super::leaves::{LeafCover, LeafLayer};
use super::palette::PictureHues;
use super::strokes::StrokeLayer;
use super::texture::ProceduralTexture;
use crate::source::scenes::materials::between;
use crate::source::scenes::math::{sin_cos, smoothstep};
use dinoscope_base::rng::{RngExt, Stream};

/// Paints a picture of `size` pixels a side; 8-bit sRGB.
pub fn paint(rng: &mut Stream, size: usize) -> Vec<u8> {
    let hues = PictureHues::draw(rng);
    let (sin, cos) = sin_cos(rng.random());
    let light = (cos, sin);
    // Something has edges in nine of ten pictures.
    let first = rng.random_range(0..10u32);
    let cover = (first < 6).then(|| leaves(rng, &hues, light, first < 5, size));
    let mut canvas = ground(rng, &hues, light, size, cover.as_ref());
    if (6..9).contains(&first) {
        for _ in 0..1 + rng.random_range(0..3u32) {
            sheet(rng, &hues, light, &mut canvas);
        }
    }
    for _ in 0..rng.random_range(0..3u32) {
        match rng.random_range(0..8u32) {
            0..=2 => StrokeLayer::draw(rng, &hues).paint(rng, &mut canvas),
            3 | 4 => FlameLayer::draw(rng, &hues).paint(rng, &mut canvas),
            5 => sheet(rng, &hues, light, &mut canvas),
            _ => {
                let cover = leaves(rng, &hues, light, false, size);
                canvas.light.iter_mut().enumerate().for_each(|(i, at)| *at = cover.above(i, || *at));
            }
        }
    }
    shine(rng, light, &mut canvas);
    let mean = between(rng, 0.12, 0.4);
    let rough = rng.random::<f32>();
    canvas.bytes(mean, 0.06 * rough * rough, rng.random())
}

/// What lies behind everything: a texture, perhaps in relief, under what covers it.
fn ground(
    rng: &mut Stream,
    hues: &PictureHues,
    light: (f32, f32),
    size: usize,
    cover: Option<&LeafCover>,
) -> ProceduralCanvas {
    let texture = match rng.random_range(0..4u32) {
        0 => ProceduralTexture::quiet(rng, hues),
        _ => ProceduralTexture::draw(rng, hues),
    };
    let relief = if rng.random::<f32>() < 0.3 { between(rng, 0.3, 1.5) } else { 0.0 };
    let pixel = 1.0 / size as f32;
    let colour = |x: f32, y: f32| {
        let colour = texture.at(x, y, pixel);
        if relief == 0.0 {
            return colour;
        }
        const STEP: f32 = 0.008;
        let rise = texture.value(x + light.0 * STEP, y + light.1 * STEP, pixel)
            - texture.value(x - light.0 * STEP, y - light.1 * STEP, pixel);
        colour * (1.0 - relief * rise * 4.0).clamp(0.35, 1.7)
    };
    ProceduralCanvas::filled(size, |i, x, y| match cover {
        Some(cover) => cover.above(i, || colour(x, y)),
        None => colour(x, y),
    })
}

fn leaves(rng: &mut Stream, hues: &PictureHues, light: (f32, f32), crowded: bool, size: usize) -> LeafCover {
    // Half of the layers have colours of their own: things differ from what they lie on.
    let own = if rng.random() { PictureHues::draw(rng) } else { *hues };
    LeafLayer::draw(rng, &own, light, crowded).paint(rng, size)
}

/// A sheet of another texture that lies above where a field is high, and throws its shadow on what is below.
fn sheet(rng: &mut Stream, hues: &PictureHues, light: (f32, f32), canvas: &mut ProceduralCanvas) {
    let field = if rng.random() { ScalarField::cloud(rng, 1.0, 6.0) } else { ScalarField::draw(rng) };
    let texture = ProceduralTexture::draw(rng, hues);
    let level = between(rng, 0.35, 0.65);
    let soft = if rng.random::<f32>() < 0.2 { between(rng, 0.05, 0.4) } else { 0.0 };
    // Every other sheet lies flat.
    let (shadow, height) = (between(rng, -0.7, 0.7), between(rng, 0.004, 0.03));
    let pixel = canvas.pixel;
    let size = canvas.size;
    for (i, at) in canvas.light.iter_mut().enumerate() {
        let (x, y) = (((i % size) as f32 + 0.5) * pixel, ((i / size) as f32 + 0.5) * pixel);
        // How fast fields change is not known: two pixels' worth of a field of middling frequency.
        let edge = 12.0 * pixel + soft;
        let alpha = smoothstep(level - 0.5 * edge, level + 0.5 * edge, field.at(x, y, pixel));
        if alpha < 1.0 && shadow > 0.0 {
            let above = field.at(x + light.0 * height, y + light.1 * height, pixel);
            *at = *at * (1.0 - shadow * smoothstep(level - 0.1, level + 0.1, above));
        }
        if alpha > 0.0 {
            *at = at.mix(texture.at(x, y, pixel), alpha);
        }
    }
}

/// Light that is stronger on one side.
fn shine(rng: &mut Stream, light: (f32, f32), canvas: &mut ProceduralCanvas) {
    let strength = between(rng, 0.0, 0.9);
    let (pixel, size) = (canvas.pixel, canvas.size);
    for (i, at) in canvas.light.iter_mut().enumerate() {
        let (x, y) = (((i % size) as f32 + 0.5) * pixel - 0.5, ((i / size) as f32 + 0.5) * pixel - 0.5);
        *at = *at * (1.0 + strength * (x * light.0 + y * light.1));
    }
}

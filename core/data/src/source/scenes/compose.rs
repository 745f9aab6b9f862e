//! A random scene round one object: pose, paint, clutter, backdrop, light, and a viewpoint that frames it.

use super::framing::frame;
use super::item::SceneObject;
use super::materials::{SceneMaterial, ScenePalette, TEXTURES, between};
use super::math::{RotationMatrix, V3, oklch, sin_cos, v3};
use super::shapes::{SceneObjectKind, SceneShape};
use super::world::{SceneCamera, SceneDescription, SceneLight, SceneWall};
use dinoscope_base::rng::{RngExt, Stream};

/// Composes a scene about an object of class `label`.
pub fn compose(rng: &mut Stream, label: usize) -> SceneDescription {
    let palette = ScenePalette::new(rng);
    let low = between(rng, 0.0, 1.0);
    let pitch = 0.014 + 0.075 * low * low.sqrt();
    let object = main_object(rng, label, &palette);
    let floor = between(rng, 0.48, 0.92);
    let ground_base = palette.quiet(rng, floor);
    let ground = backdrop_paint(rng, &palette, ground_base, floor);
    let sky_gradient = sky(rng, &palette);
    let wall = (rng.random::<f32>() < 0.45).then(|| wall(rng, &palette));
    let light = lighting(rng, ground_base);
    let mut items = vec![object];
    clutter(rng, &palette, &mut items);
    let distance = between(rng, 5.5, 9.0);
    let camera = SceneCamera::before(&items[0], distance, pitch, between(rng, -0.035, 0.035));
    let near = between(rng, 9.0, 14.0);
    let mut world = SceneDescription {
        items,
        ground,
        wall,
        sky_gradient,
        haze: (near, near + between(rng, 6.0, 20.0)),
        light,
        camera,
    };
    let share = between(rng, 0.15, 0.4);
    frame(rng, &mut world, share, 1.08);
    world
}

/// The object with its paint, in a pose from which its form can be told.
fn main_object(rng: &mut Stream, label: usize, palette: &ScenePalette) -> SceneObject {
    let shape = SceneShape { kind: SceneObjectKind::Main(label), v: std::array::from_fn(|_| rng.random()) };
    // How far its best side may turn from the viewer, and how far towards him, in turns; whether the far side is as
    // good (a handle or a snout then points left instead of right).
    let (away, towards, both) = match label {
        0 => (0.1, 0.21, true),
        6 => (0.12, 0.17, true),
        7 | 11 => (0.13, 0.13, true),
        8 => (0.19, 0.2, true),
        10 => (0.15, 0.19, true),
        4 => (0.28, 0.28, false),
        1 => (0.36, 0.36, false),
        _ => (0.5, 0.5, false),
    };
    let off = between(rng, -towards, away);
    let yaw = if both && rng.random::<bool>() { 0.5 - off } else { off };
    // What swims or flies hangs in the air at a tilt; the rest stands.
    let flies = label == 7 || label == 10 || (label == 5 && rng.random::<f32>() < 0.5);
    let (tilt, roll) = (between(rng, -1.0, 1.0), between(rng, -1.0, 1.0));
    let frame = match label {
        5 if flies => RotationMatrix::new(yaw, 0.06 * tilt, 0.1 * roll),
        7 => RotationMatrix::new(yaw, 0.03 * tilt, 0.06 * roll),
        10 => RotationMatrix::new(yaw, 0.09 * tilt, 0.05 * roll),
        _ => RotationMatrix::new(yaw, 0.0, 0.0),
    };
    let (centre, half) = shape.bounds();
    let rise = if flies {
        // The lowest point that the turned box can have, lifted a little.
        let drop = frame.0.y.abs() * half.x + frame.1.y.abs() * half.y + frame.2.y.abs() * half.z;
        drop - frame.outward(centre).y + between(rng, 0.0, 0.5)
    } else {
        0.0
    };
    let body = between(rng, 0.45, 0.84);
    let usual = rng.random::<f32>() < USUAL;
    let skin = if usual { class_material(rng, label) } else { object_paint(rng, palette, body) };
    let paints = [skin, plain(rng, palette), plain(rng, palette)];
    SceneObject::new(shape, frame, v3(0.0, rise, 0.0), 1.0, paints)
}

/// Share of objects that wear what their kind usually does. In the world kinds have habits of colour and pattern, and
/// learning without labels lives on them; the rest keeps colour from being the answer.
const USUAL: f32 = 0.75;

/// What a kind usually wears: texture, then lightness, chroma and hue (in turns) of ground and figure.
type Habit = (u32, [f32; 3], [f32; 3]);

const HABITS: [Habit; 12] = [
    (7, [0.93, 0.02, 0.25], [0.55, 0.13, 0.72]), // mug: china with blue dots
    (4, [0.62, 0.09, 0.17], [0.45, 0.08, 0.14]), // chair: wood
    (0, [0.55, 0.18, 0.08], [0.55, 0.18, 0.08]), // mushroom: red
    (9, [0.45, 0.12, 0.39], [0.62, 0.14, 0.36]), // tree: leaves
    (0, [0.95, 0.01, 0.70], [0.95, 0.01, 0.70]), // snowman: white
    (1, [0.90, 0.01, 0.70], [0.55, 0.18, 0.09]), // rocket: white and red bands
    (3, [0.50, 0.12, 0.72], [0.80, 0.05, 0.70]), // teapot: blue glaze
    (1, [0.70, 0.16, 0.14], [0.93, 0.03, 0.20]), // fish: orange and white stripes
    (0, [0.82, 0.16, 0.27], [0.82, 0.16, 0.27]), // car: yellow
    (5, [0.55, 0.11, 0.10], [0.68, 0.08, 0.12]), // house: brick
    (0, [0.72, 0.04, 0.70], [0.72, 0.04, 0.70]), // airplane: metal
    (6, [0.45, 0.15, 0.84], [0.75, 0.10, 0.84]), // ring: violet with chips
];

fn class_material(rng: &mut Stream, label: usize) -> SceneMaterial {
    let (texture, ground, figure) = HABITS[label % HABITS.len()];
    let (lighter, turn) = (between(rng, -0.06, 0.06), between(rng, -0.025, 0.025));
    let colour = |[l, c, h]: [f32; 3]| oklch((l + lighter).min(0.97), c, h + turn);
    let frame = RotationMatrix::new(rng.random(), rng.random(), rng.random());
    let shift = v3(between(rng, -9.0, 9.0), between(rng, -9.0, 9.0), between(rng, -9.0, 9.0));
    let shift = if texture == 4 { shift * 0.08 } else { shift };
    let scale = between(rng, 1.6, 2.6);
    SceneMaterial {
        texture,
        base: colour(ground),
        figure: colour(figure),
        frame,
        shift,
        scale,
        gloss: gloss(rng),
    }
}

/// A lively texture for a body.
fn object_paint(rng: &mut Stream, palette: &ScenePalette, lightness: f32) -> SceneMaterial {
    let base = palette.loud(rng, lightness);
    let shade = if lightness > 0.64 {
        lightness - between(rng, 0.15, 0.32)
    } else {
        lightness + between(rng, 0.15, 0.32)
    };
    let figure = if rng.random::<bool>() { palette.loud(rng, shade) } else { palette.any(rng, shade) };
    // Mostly one colour: what tells pictures apart should be form more often than pattern.
    let texture = if rng.random::<f32>() < 0.7 { 0 } else { rng.random_range(0..TEXTURES) };
    let scale = match texture {
        1 | 2 | 7 | 8 => between(rng, 1.8, 4.0),
        5 => between(rng, 2.5, 5.0),
        _ => between(rng, 1.2, 2.6),
    };
    let frame = RotationMatrix::new(rng.random(), rng.random(), rng.random());
    let shift = v3(between(rng, -9.0, 9.0), between(rng, -9.0, 9.0), between(rng, -9.0, 9.0));
    // Rings of wood run about an axis through the piece.
    let shift = if texture == 4 { shift * 0.08 } else { shift };
    SceneMaterial { texture, base, figure, frame, shift, scale, gloss: gloss(rng) }
}

fn gloss(rng: &mut Stream) -> f32 {
    (between(rng, -0.4, 1.0)).max(0.0)
}

/// One colour, for limbs and details.
fn plain(rng: &mut Stream, palette: &ScenePalette) -> SceneMaterial {
    let lightness = between(rng, 0.28, 0.94);
    let base =
        if rng.random::<f32>() < 0.4 { palette.loud(rng, lightness) } else { palette.any(rng, lightness) };
    let frame = RotationMatrix::new(0.0, 0.0, 0.0);
    SceneMaterial {
        texture: 0,
        base,
        figure: base,
        frame,
        shift: V3::default(),
        scale: 1.0,
        gloss: gloss(rng),
    }
}

/// A quiet texture for a plane.
fn backdrop_paint(rng: &mut Stream, palette: &ScenePalette, base: V3, lightness: f32) -> SceneMaterial {
    let away = between(rng, 0.04, 0.2);
    let figure = palette.quiet(rng, if lightness > 0.66 { lightness - away } else { lightness + away });
    // Half of all planes are plain, so that the backdrop alone does not name the picture.
    let texture = [0, 1, 2, 3, 5, 6, 7, 8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0][rng.random_range(0..18u32) as usize];
    let scale = match texture {
        3 | 9 => between(rng, 0.5, 1.1),
        _ => between(rng, 0.7, 1.9),
    };
    let frame = RotationMatrix::new(rng.random(), 0.0, 0.0);
    let shift = v3(between(rng, -9.0, 9.0), 0.0, between(rng, -9.0, 9.0));
    SceneMaterial { texture, base, figure, frame, shift, scale, gloss: 0.0 }
}

fn wall(rng: &mut Stream, palette: &ScenePalette) -> SceneWall {
    let (s, c) = sin_cos(between(rng, -0.09, 0.09));
    let lightness = between(rng, 0.55, 0.95);
    let base = palette.quiet(rng, lightness);
    let mut paint = backdrop_paint(rng, palette, base, lightness);
    // Wallpaper hangs straight.
    paint.frame = RotationMatrix::new([0.0, 0.25][rng.random_range(0..2u32) as usize], 0.0, 0.0);
    let height = if rng.random::<bool>() { between(rng, 0.12, 0.3) } else { 0.0 };
    let skirting = (height, palette.quiet(rng, between_light(lightness)));
    SceneWall { normal: v3(s, 0.0, c), back: between(rng, 1.9, 5.0), paint, skirting }
}

fn between_light(lightness: f32) -> f32 {
    if lightness > 0.75 { lightness - 0.12 } else { lightness + 0.14 }
}

fn sky(rng: &mut Stream, palette: &ScenePalette) -> (V3, V3) {
    match rng.random_range(0..10u32) {
        0..=3 => {
            let hue = between(rng, 0.62, 0.74);
            (oklch(0.92, 0.03, hue), oklch(between(rng, 0.6, 0.78), 0.11, hue))
        }
        4 | 5 => {
            let hue = between(rng, 0.08, 0.2);
            (oklch(0.88, 0.08, hue), oklch(0.66, 0.08, hue + 0.62))
        }
        _ => {
            let l = between(rng, 0.5, 0.95);
            (palette.quiet(rng, l), palette.quiet(rng, l - 0.14))
        }
    }
}

fn lighting(rng: &mut Stream, ground: V3) -> SceneLight {
    let (azimuth, height) = (between(rng, -0.3, 0.3), between(rng, 0.075, 0.18));
    let ((sa, ca), (se, ce)) = (sin_cos(azimuth), sin_cos(height));
    let dir = v3(sa * ce, se, ca * ce);
    // Warm lamps go with cool fill, and the other way round.
    let warmth = between(rng, -1.0, 1.6);
    let tint = |w: f32| v3(1.0 + 0.1 * w, 1.0, 1.0 - 0.13 * w);
    let strength = between(rng, 0.85, 1.2);
    let fill = between(rng, 0.34, 0.54) + (1.2 - strength) * 0.4;
    let key = tint(warmth) * strength;
    let bounce = ground.tint(key) * (0.5 * se) + tint(-0.5 * warmth) * (0.22 * fill);
    SceneLight { dir, key, sky: tint(-0.6 * warmth) * fill, bounce, k: between(rng, 5.0, 18.0) }
}

/// Up to three small bodies about the object's foot; none in half of the scenes.
fn clutter(rng: &mut Stream, palette: &ScenePalette, items: &mut Vec<SceneObject>) {
    let (centre, half) = (items[0].frame.outward(items[0].centre), items[0].half);
    for _ in 0..rng.random_range(0..=6u32).saturating_sub(3) {
        let shape = SceneShape {
            kind: SceneObjectKind::Clutter(rng.random_range(0..4u32) as usize),
            v: std::array::from_fn(|_| rng.random()),
        };
        let scale = between(rng, 0.16, 0.42);
        let frame = RotationMatrix::new(rng.random(), 0.0, 0.0);
        let lightness = between(rng, 0.4, 0.85);
        let paint =
            if rng.random::<bool>() { object_paint(rng, palette, lightness) } else { plain(rng, palette) };
        // Ten tries at a free spot; a crowded scene does with less.
        for _ in 0..10 {
            let (s, c) = sin_cos(rng.random());
            let away = half.x.max(half.z) + scale + between(rng, 0.0, 1.0);
            let place = v3(centre.x + s * away, 0.0, centre.z + c * away);
            // In front of the object it would hide it.
            let hides = c > 0.3 && s.abs() < 0.75;
            let free = items[1..].iter().all(|o| (o.place - place).len() > 1.2 * (o.scale + scale));
            if !hides && free {
                items.push(SceneObject::new(shape, frame, place, scale, [paint; 3]));
                break;
            }
        }
    }
}

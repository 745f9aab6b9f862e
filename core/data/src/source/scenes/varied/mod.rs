//! Scenes in which nothing but its form tells what an object is: place, size, pose, colour, material, light, backdrop and
//! what lies about are drawn without regard to the class.

mod colours;
mod crowd;
pub mod forms;
#[cfg(test)]
mod tests;

use super::framing::frame;
use super::item::SceneObject;
use super::materials::{SceneMaterial, between};
use super::math::{RotationMatrix, V3, oklch, sin_cos, v3};
use super::shapes::{SceneObjectKind, SceneShape};
use super::world::{SceneCamera, SceneDescription, SceneLight, SceneWall};
use super::{CLASSES, kind::VARIED_CLASSES};
use colours::{LchColour, away_from, coat, plain};
use dinoscope_base::rng::{RngExt, Stream};

/// Least and largest share of the picture that the main object covers.
const SHARE: (f32, f32) = (0.07, 0.33);

/// Composes a scene about an object of class `label`, an index into [`VARIED_CLASSES`].
pub fn compose(rng: &mut Stream, label: usize) -> SceneDescription {
    let ground_shade = LchColour::quiet(rng, 0.3, 0.94);
    let ground = surface(rng, ground_shade);
    let (sky_gradient, sky_shade) = sky(rng);
    let behind_shade = LchColour::quiet(rng, 0.3, 0.96);
    let wall = (rng.random::<f32>() < 0.5).then(|| wall(rng, behind_shade));
    let behind = [ground_shade, if wall.is_some() { behind_shade } else { sky_shade }];
    let exposure = between(rng, 0.82, 1.2);
    let light = lighting(rng, ground.base, exposure);
    let mut items = vec![object(rng, label, 1.0, V3::default(), &behind)];
    crowd::gather(rng, label, &behind, &mut items);
    let distance = between(rng, 5.0, 9.5);
    let pitch = 0.008 + 0.12 * between(rng, 0.0, 1.0);
    let camera = SceneCamera::before(&items[0], distance, pitch, between(rng, -0.07, 0.07));
    let near = between(rng, 9.0, 16.0);
    let mut world = SceneDescription {
        items,
        ground,
        wall,
        sky_gradient: (sky_gradient.0 * exposure, sky_gradient.1 * exposure),
        haze: (near, near + between(rng, 5.0, 22.0)),
        light,
        camera,
    };
    // Small ones as often as large ones, by the ratio of their areas.
    let t = rng.random::<f32>();
    let share = SHARE.0 + (SHARE.1 - SHARE.0) * t * (0.55 + 0.45 * t);
    // Long ones have room to lie anywhere, too.
    let room = between(rng, 1.12, 1.9);
    frame(rng, &mut world, share, room);
    crowd::thin_out(&mut world);
    world
}

/// A body of class `label` at `place`, in any pose that shows what it is.
fn object(rng: &mut Stream, label: usize, scale: f32, place: V3, behind: &[LchColour]) -> SceneObject {
    let kind = match label.checked_sub(CLASSES.len()) {
        Some(form) => SceneObjectKind::Form(form),
        None => SceneObjectKind::Main(label),
    };
    let shape = SceneShape { kind, v: std::array::from_fn(|_| rng.random()) };
    let (tilt, roll) = (between(rng, -1.0, 1.0), between(rng, -1.0, 1.0));
    // What has fallen over turns its foot to a side, and shows little else if that side is turned to the viewer.
    let pose = rng.random::<f32>();
    let fallen = pose < 0.18;
    // Within a sixth of a turn of the best side, which may as well be the one behind.
    let off = between(rng, -0.15, 0.15) * if fallen { 0.4 } else { 1.0 };
    let yaw = if rng.random() { 0.5 - off } else { off };
    let (frame, lift) = if fallen {
        (RotationMatrix::new(yaw, 0.02 * tilt, 0.25 * roll.signum() + 0.03 * roll), 0.0)
    } else if pose < 0.68 {
        (RotationMatrix::new(yaw, 0.0, 0.0), 0.0)
    } else {
        // In the air.
        (RotationMatrix::new(yaw, 0.08 * tilt, 0.14 * roll), between(rng, 0.0, 0.9))
    };
    let (centre, half) = shape.bounds();
    // The lowest point that the turned box can have touches the ground.
    let drop = frame.0.y.abs() * half.x + frame.1.y.abs() * half.y + frame.2.y.abs() * half.z;
    let rise = (drop - frame.outward(centre).y + lift) * scale;
    let lightness = between(rng, 0.3, 0.94);
    let first = LchColour::any(rng, lightness);
    let shade = away_from(rng, first, behind);
    let body = coat(rng, shade);
    let paints = [body, plain(rng), plain(rng)];
    SceneObject::new(shape, frame, v3(place.x, rise, place.z), scale, paints)
}

/// Paint of a plane about a colour.
fn surface(rng: &mut Stream, shade: LchColour) -> SceneMaterial {
    let away = between(rng, 0.05, 0.26);
    let lightness = if shade.lightness > 0.6 { shade.lightness - away } else { shade.lightness + away };
    let hue = shade.hue + between(rng, -0.12, 0.12);
    let figure = oklch(lightness, shade.chroma * between(rng, 0.5, 1.6), hue);
    // Two of five are plain.
    let texture = [0, 0, 0, 0, 0, 0, 1, 2, 3, 3, 5, 6, 7, 8, 9][rng.random_range(0..15u32) as usize];
    let scale = match texture {
        3 | 9 => between(rng, 0.4, 1.2),
        _ => between(rng, 0.6, 2.4),
    };
    SceneMaterial {
        texture,
        base: shade.linear(),
        figure,
        frame: RotationMatrix::new(rng.random(), 0.0, 0.0),
        shift: v3(between(rng, -9.0, 9.0), 0.0, between(rng, -9.0, 9.0)),
        scale,
        gloss: 0.0,
    }
}

fn wall(rng: &mut Stream, shade: LchColour) -> SceneWall {
    let (s, c) = sin_cos(between(rng, -0.1, 0.1));
    let mut paint = surface(rng, shade);
    // Wallpaper hangs straight.
    paint.frame = RotationMatrix::new([0.0, 0.25][rng.random_range(0..2u32) as usize], 0.0, 0.0);
    let height = if rng.random() { between(rng, 0.12, 0.34) } else { 0.0 };
    let skirting = (height, LchColour::quiet(rng, 0.25, 0.95).linear());
    SceneWall { normal: v3(s, 0.0, c), back: between(rng, 2.2, 6.0), paint, skirting }
}

/// Colours at the horizon and overhead, and the first of them as a shade.
fn sky(rng: &mut Stream) -> ((V3, V3), LchColour) {
    let (low, high) = match rng.random_range(0..10u32) {
        // A clear day.
        0..=3 => {
            let hue = between(rng, 0.6, 0.74);
            let high = LchColour { lightness: between(rng, 0.55, 0.8), chroma: 0.11, hue };
            (LchColour { lightness: 0.9, chroma: 0.03, hue }, high)
        }
        // Dusk and dawn.
        4..=6 => {
            let hue = between(rng, 0.0, 0.22);
            let low = LchColour { lightness: between(rng, 0.6, 0.88), chroma: between(rng, 0.05, 0.12), hue };
            let high = LchColour { lightness: between(rng, 0.3, 0.66), chroma: 0.07, hue: hue + 0.6 };
            (low, high)
        }
        _ => {
            let low = LchColour::quiet(rng, 0.3, 0.95);
            (low, LchColour { lightness: (low.lightness - between(rng, -0.1, 0.25)).max(0.15), ..low })
        }
    };
    ((low.linear(), high.linear()), low)
}

fn lighting(rng: &mut Stream, ground: V3, exposure: f32) -> SceneLight {
    let (azimuth, height) = (between(rng, -0.36, 0.36), between(rng, 0.055, 0.2));
    let ((sa, ca), (se, ce)) = (sin_cos(azimuth), sin_cos(height));
    let warmth = between(rng, -1.6, 2.2);
    let tint = |w: f32| v3(1.0 + 0.1 * w, 1.0, 1.0 - 0.13 * w);
    // Hard sun on one side, an overcast sky on the other.
    let sun = rng.random::<f32>();
    let strength = (0.55 + 0.75 * sun) * exposure;
    let fill = (0.62 - 0.3 * sun) * exposure;
    let key = tint(warmth) * strength;
    let bounce = ground.tint(key) * (0.5 * se) + tint(-0.5 * warmth) * (0.22 * fill);
    SceneLight {
        dir: v3(sa * ce, se, ca * ce),
        key,
        sky: tint(-0.6 * warmth) * fill,
        bounce,
        k: 4.0 + 18.0 * sun * between(rng, 0.4, 1.0),
    }
}

/// A class other than `label`.
fn another(rng: &mut Stream, label: usize) -> usize {
    (label + 1 + rng.random_range(0..VARIED_CLASSES.len() as u32 - 1) as usize) % VARIED_CLASSES.len()
}

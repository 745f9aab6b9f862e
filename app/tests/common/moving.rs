//! A small animation: a window that moves over a scene, with the way of the scene's object.

use std::path::{Path, PathBuf};

use dinoscope_core::data::Picture;
use dinoscope_core::data::source::scenes;
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, RgbaImage};

/// Side of the frames.
pub const SIDE: usize = 128;
/// Side of the scene, in whose middle the object is.
const WHOLE: usize = 224;
/// Where the window is in each frame, from its left upper corner.
const WAY: [(usize, usize); 8] =
    [(40, 40), (44, 44), (52, 44), (60, 36), (60, 24), (48, 16), (42, 24), (40, 36)];

/// Where the object is in each frame, as shares of it.
pub fn truth() -> Vec<[f32; 2]> {
    let share = |at: usize| (0.5 * WHOLE as f32 - at as f32) / SIDE as f32;
    WAY.iter().map(|(left, top)| [share(*left), share(*top)]).collect()
}

/// Writes `count` frames as an animated GIF.
pub fn animation(folder: &Path, count: usize) -> PathBuf {
    let path = folder.join("moving.gif");
    let scene: Picture = scenes::draw(3, 2, WHOLE).picture;
    let mut gif = GifEncoder::new_with_speed(std::fs::File::create(&path).unwrap(), 10);
    gif.set_repeat(Repeat::Infinite).unwrap();
    for (left, top) in WAY.into_iter().take(count) {
        let frame = RgbaImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
            let at = 3 * ((top + y as usize) * WHOLE + left + x as usize);
            image::Rgba([scene.rgb[at], scene.rgb[at + 1], scene.rgb[at + 2], 255])
        });
        gif.encode_frame(Frame::from_parts(frame, 0, 0, Delay::from_numer_denom_ms(100, 1))).unwrap();
    }
    path
}

//! All frames of an animated GIF, WebP or PNG; of any other picture the one that it is.

use std::io::Cursor;
use std::path::Path;

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{AnimationDecoder, Frames, ImageDecoder, ImageFormat, ImageReader, ImageResult, Limits};

use super::{Picture, catch_panic, decode_bytes, explain, limit, on_white};
use crate::DataError;
use crate::augment::resize_to;
use dinoscope_base::files;

/// Calls `each` with one frame of a file after the other, as 8-bit RGB on white, until it says no; how many there were.
///
/// One frame is in memory at a time, beside the file.
///
/// # Errors
/// When the file can't be read or is damaged: frames before the damage have been handed over. What `each` refuses.
pub fn each_frame<E: From<DataError>>(
    path: &Path,
    each: &mut dyn FnMut(Picture) -> Result<bool, E>,
) -> Result<usize, E> {
    let name = path.display().to_string();
    let read = |source| DataError::Read { path: name.clone(), source };
    let most = limit::bytes();
    let size = files::metadata(path).map_err(read)?.len();
    if size > most {
        let reason = format!("the file has {}; {}", dinoscope_base::bytes::shown(size), limit::said(most));
        return Err(DataError::Decode { name, reason }.into());
    }
    let bytes = files::read(path).map_err(read)?;
    let refused = |reason| DataError::Decode { name: name.clone(), reason };
    let Some(mut frames) = catch_panic(|| animation(&bytes, most)).map_err(refused)? else {
        each(decode_bytes(&name, &bytes)?)?;
        return Ok(1);
    };
    let mut count = 0;
    loop {
        let next = catch_panic(|| frames.next().transpose().map_err(|error| explain(error, most)));
        let Some(frame) = next.map_err(refused)? else { return Ok(count) };
        let rgb = on_white(frame.into_buffer().into());
        let picture = Picture::of_rgb(rgb.width() as usize, rgb.height() as usize, rgb.into_raw());
        count += 1;
        if !each(picture)? {
            return Ok(count);
        }
    }
}

/// The first frames of a file, made smaller.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ReducedFrames {
    /// The frames, in order.
    pub frames: Vec<Picture>,
    /// Width and height that they have in the file.
    pub size: (usize, usize),
    /// Whether there are more of them.
    pub more: bool,
}

/// At most `most` frames of a file, none of their sides longer than `side` pixels.
///
/// # Errors
/// When the file can't be read or is damaged.
pub fn reduced_frames(path: &Path, side: usize, most: usize) -> Result<ReducedFrames, DataError> {
    let mut found = ReducedFrames::default();
    each_frame(path, &mut |picture| -> Result<bool, DataError> {
        found.size = (picture.width, picture.height);
        found.more = found.frames.len() >= most;
        if !found.more {
            found.frames.push(no_longer_than(picture, side));
        }
        Ok(!found.more)
    })?;
    Ok(found)
}

/// The picture, none of its sides longer than `side` pixels.
pub fn no_longer_than(picture: Picture, side: usize) -> Picture {
    let longest = picture.width.max(picture.height).max(1);
    if longest <= side {
        return picture;
    }
    let scale = side as f64 / longest as f64;
    let [width, height] =
        [picture.width, picture.height].map(|length| ((length as f64 * scale).round() as usize).max(1));
    resize_to(&picture, width, height)
}

/// The frames of an animation; nothing of a picture that stands still.
fn animation(bytes: &[u8], most: u64) -> Result<Option<Frames<'_>>, String> {
    let said = |error| explain(error, most);
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let source = || Cursor::new(bytes);
    match reader.format() {
        Some(ImageFormat::Gif) => {
            let decoder = limited(GifDecoder::new(source()), most).map_err(said)?;
            Ok(Some(decoder.into_frames()))
        }
        Some(ImageFormat::WebP) => {
            let decoder = limited(WebPDecoder::new(source()), most).map_err(said)?;
            Ok(decoder.has_animation().then(|| decoder.into_frames()))
        }
        Some(ImageFormat::Png) => {
            let decoder = limited(PngDecoder::new(source()), most).map_err(said)?;
            match decoder.is_apng().map_err(said)? {
                true => Ok(Some(decoder.apng().map_err(said)?.into_frames())),
                false => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

/// A decoder whose frames stay within what a picture may have.
fn limited<D: ImageDecoder>(decoder: ImageResult<D>, most: u64) -> ImageResult<D> {
    let mut decoder = decoder?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(most);
    decoder.set_limits(limits)?;
    Ok(decoder)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image::codecs::gif::GifEncoder;
    use image::{Delay, Frame, RgbaImage};

    use super::*;

    fn colour(i: u8) -> RgbaImage {
        RgbaImage::from_pixel(6, 4, image::Rgba([40 * i, 255 - 40 * i, 10, 255]))
    }

    fn gif(path: &Path, frames: u8) {
        let mut gif = GifEncoder::new(std::fs::File::create(path).unwrap());
        for i in 0..frames {
            gif.encode_frame(Frame::from_parts(colour(i), 0, 0, Delay::from_numer_denom_ms(50, 1))).unwrap();
        }
    }

    fn frames(path: &Path) -> Result<Vec<Picture>, DataError> {
        let mut found = Vec::new();
        let mut keep = |picture| -> Result<bool, DataError> {
            found.push(picture);
            Ok(true)
        };
        assert_eq!(each_frame(path, &mut keep)?, found.len());
        Ok(found)
    }

    #[test]
    fn an_animation_has_its_frames_and_a_picture_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gif");
        gif(&path, 5);
        let found = frames(&path).unwrap();
        assert_eq!(found.len(), 5);
        for (i, picture) in found.iter().enumerate() {
            assert_eq!((picture.width, picture.height), (6, 4));
            let want = colour(i as u8).get_pixel(0, 0).0;
            assert!(picture.rgb.iter().zip(want.iter().take(3).cycle()).all(|(a, b)| a.abs_diff(*b) < 8));
        }
        let still = dir.path().join("still.png");
        colour(1).save(&still).unwrap();
        assert_eq!(frames(&still).unwrap().len(), 1);
        let mut seen = 0;
        let stop = &mut |_| -> Result<bool, DataError> {
            seen += 1;
            Ok(seen < 2)
        };
        assert_eq!(each_frame(&path, stop).unwrap(), 2);
    }

    #[test]
    fn frames_are_made_smaller_and_no_more_than_are_wished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gif");
        gif(&path, 5);
        let found = reduced_frames(&path, 3, 4).unwrap();
        assert_eq!((found.frames.len(), found.size, found.more), (4, (6, 4), true));
        assert!(found.frames.iter().all(|frame| (frame.width, frame.height) == (3, 2)));
        let all = reduced_frames(&path, 6, 5).unwrap();
        assert_eq!((all.frames.len(), all.frames[0].width, all.more), (5, 6, false));
    }

    #[test]
    fn damage_is_said_after_the_frames_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cut.gif");
        gif(&path, 5);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() * 3 / 5]).unwrap();
        let mut seen = 0;
        let mut count = |_| -> Result<bool, DataError> {
            seen += 1;
            Ok(true)
        };
        let error = each_frame(&path, &mut count).unwrap_err().to_string();
        assert!(error.contains("cut.gif") && error.contains("damaged"), "{error}");
        assert!(seen > 0);
        std::fs::write(&path, b"no picture at all").unwrap();
        assert!(frames(&path).unwrap_err().to_string().contains("cut.gif"));
        assert!(frames(&dir.path().join("none.gif")).unwrap_err().to_string().contains("none.gif"));
    }
}

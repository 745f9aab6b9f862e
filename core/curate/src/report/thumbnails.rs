//! Small pictures within the page.

use std::collections::HashMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use dinoscope_data::augment::resize_to;
use dinoscope_data::decode::decode_file;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

/// Longest side, in pixels: twice of what the page shows, for fine screens.
const LONGEST: usize = 176;
/// Of JPEG.
const QUALITY: u8 = 78;

/// Small pictures by the path of the large ones, each made once.
#[derive(Default)]
pub struct PageThumbnails(HashMap<String, Option<String>>);

impl PageThumbnails {
    /// The address of a small picture that holds its data; `None` of a file that is gone or can't be decoded.
    pub fn address(&mut self, key: &str) -> Option<&str> {
        self.0.entry(key.to_owned()).or_insert_with(|| make(key)).as_deref()
    }
}

fn make(key: &str) -> Option<String> {
    let picture = decode_file(Path::new(key)).ok()?;
    let longest = picture.width.max(picture.height);
    let side = |side: usize| if longest > LONGEST { (side * LONGEST / longest).max(1) } else { side };
    let small = resize_to(&picture, side(picture.width), side(picture.height));
    let image = RgbImage::from_raw(small.width as u32, small.height as u32, small.rgb)?;
    let mut bytes = Vec::new();
    image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY)).ok()?;
    Some(format!("data:image/jpeg;base64,{}", BASE64.encode(bytes)))
}

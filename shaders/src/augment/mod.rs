//! Random views of pictures, from 8-bit pixels to what the model takes, for a whole batch at once.
//!
//! A loading thread then only decodes. What is decided at random comes from outside, as a [`CropSpec`]; carrying it out
//! is what torchvision does on PIL images, rounded to 8 bits where PIL rounds: antialiased bicubic crop and resize,
//! mirroring, colour jitter in any order, grayscale, Gaussian blur of nine taps, solarizing, normalising.
//!
//! - `pixels`: 8-bit RGB of all pictures, three bytes a pixel, row by row, one picture after another.
//! - result: `[views, 3, size, size]` floats, each view where its `slot` says.
//!
//! Two launches: contrast needs the mean grey of the whole view. The first resizes, both passes in workgroup memory
//! so that nothing but the view is written, and jitters up to contrast; the second does the rest. A workgroup makes
//! 16 by 16 pixels in either, so that a few views fill a GPU as well as many.

pub mod cpu;
pub mod gpu;
mod table;

/// One step of colour jitter with its strength.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColourJitterStep {
    /// Blends with black: factor 0 is black, 1 changes nothing.
    Brightness(f32),
    /// Blends with the view's mean grey.
    Contrast(f32),
    /// Blends with the view's grey version.
    Saturation(f32),
    /// Turns colours on the colour circle, in turns, −0.5 to 0.5.
    Hue(f32),
}

/// Everything that is decided about one view; operations stand in the order they are carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct CropSpec {
    /// First byte of the picture in `pixels`.
    pub offset: usize,
    /// Pixels in a row of the picture.
    pub width: usize,
    /// Rows of the picture.
    pub height: usize,
    /// The part that becomes the view: first column, first row, columns, rows.
    pub crop: [usize; 4],
    /// Whether the view is mirrored left to right.
    pub flip: bool,
    /// Up to four steps of colour jitter, contrast at most once among them.
    pub jitter: Vec<ColourJitterStep>,
    /// Whether all colour is dropped.
    pub grayscale: bool,
    /// Standard deviation of the blur in pixels of the view, if any.
    pub blur: Option<f32>,
    /// Whether values of 128 and above are inverted.
    pub solarize: bool,
    /// Where in the result the view goes.
    pub slot: usize,
}

/// What is taken from a value in 0..1 and what it is then divided by, for red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelNormalization {
    /// Mean of each channel.
    pub mean: [f32; 3],
    /// Standard deviation of each channel.
    pub std: [f32; 3],
}

impl ChannelNormalization {
    /// Factor of a byte and what is added to it, for each channel.
    fn line(&self) -> [(f32, f32); 3] {
        std::array::from_fn(|c| (1.0 / (255.0 * self.std[c]), -self.mean[c] / self.std[c]))
    }
}

/// Weights of a Gaussian blur: of the middle tap and of those at each distance from it; over both sides they sum to 1.
fn blur_weights(sigma: f32) -> [f32; 5] {
    let weights: [f64; 5] =
        std::array::from_fn(|distance| (-0.5 * (distance as f64 / f64::from(sigma)).powi(2)).exp());
    let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
    weights.map(|weight| (weight / sum) as f32)
}

/// A shift of hue in parts of 256 of the colour circle: toward zero and modulo 256, as numpy casts to uint8.
fn hue_shift(turns: f32) -> u32 {
    u32::from((turns * 255.0) as i32 as u8)
}

/// Whether columns are resized before rows: first comes the axis that shrinks more, as in PIL.
fn down_first(view: &CropSpec, size: usize) -> bool {
    let [_, _, width, height] = view.crop;
    size < height && width < height
}

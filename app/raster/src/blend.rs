//! Single pixels: channels packed in a word, multiplied and laid over each other.

/// How a target packs a pixel. All arithmetic on packed channels works in any order: only what comes in is turned.
pub trait PixelFormat {
    /// A premultiplied colour, red in the lowest byte and alpha in the highest, as the target keeps it.
    fn pack(rgba: u32) -> u32;
}

/// Red, green, blue, alpha from the lowest byte up: what an [`image::RgbaImage`] holds.
pub struct RgbaFormat;

impl PixelFormat for RgbaFormat {
    fn pack(rgba: u32) -> u32 {
        rgba
    }
}

/// `0x00RRGGBB`: what a window takes.
pub struct XrgbFormat;

impl PixelFormat for XrgbFormat {
    fn pack(rgba: u32) -> u32 {
        ((rgba & 0xff) << 16) | (rgba & 0xff00) | ((rgba >> 16) & 0xff)
    }
}

/// Every second byte of a word.
const LANES: u32 = 0x00ff_00ff;

/// `colour`, or two of its channels in [`LANES`], times `factor / 255`, rounded.
fn scale(lanes: u32, factor: u32) -> u32 {
    // x / 255 = (x + 128 + (x + 128) / 256) / 256 for all products of two bytes.
    let product = lanes * factor + 0x0080_0080;
    ((product + ((product >> 8) & LANES)) >> 8) & LANES
}

/// The sum of two pairs of channels, each held at 255: colours with little alpha may add more light than fits.
fn saturating_add(a: u32, b: u32) -> u32 {
    let sum = a + b;
    let over = sum & 0x0100_0100;
    (sum | (over - (over >> 8))) & LANES
}

/// `source` over `below`, premultiplied; `through` is 255 less the source's alpha.
pub fn over(below: u32, source: u32, through: u32) -> u32 {
    let low = saturating_add(source & LANES, scale(below & LANES, through));
    let high = saturating_add((source >> 8) & LANES, scale((below >> 8) & LANES, through));
    low | (high << 8)
}

/// Lays `rgba` over a pixel.
pub fn blend<L: PixelFormat>(pixel: &mut u32, rgba: u32) {
    let through = 255 - (rgba >> 24);
    if through == 0 {
        *pixel = L::pack(rgba);
    } else if rgba != 0 {
        *pixel = over(*pixel, L::pack(rgba), through);
    }
}

/// Lays one colour over a row of pixels.
pub fn fill<L: PixelFormat>(row: &mut [u32], rgba: u32) {
    let through = 255 - (rgba >> 24);
    let source = L::pack(rgba);
    if through == 0 {
        row.fill(source);
    } else if rgba != 0 {
        for pixel in row {
            *pixel = over(*pixel, source, through);
        }
    }
}

/// Two colours multiplied channel by channel, as if each went from 0 to 1.
pub fn modulate(a: u32, b: u32) -> u32 {
    let channel = |shift: u32| {
        let product = ((a >> shift) & 0xff) * ((b >> shift) & 0xff) + 128;
        ((product + (product >> 8)) >> 8) << shift
    };
    channel(0) | channel(8) | channel(16) | channel(24)
}

/// Channels from 0 to 255 as a packed colour, rounded. What lies outside is brought in; no number counts as 0.
pub fn quantise(channels: [f32; 4]) -> u32 {
    // Adding 2^23 leaves the rounded value in the low bits: much faster than a conversion, and it vectorises.
    let byte = |value: f32| {
        let low = if value > 0.0 { value } else { 0.0 };
        let held = if low < 255.0 { low } else { 255.0 };
        (held + 8_388_608.0).to_bits() as u8
    };
    u32::from_le_bytes(channels.map(byte))
}

/// A packed colour's channels, 0 to 255.
pub fn channels(rgba: u32) -> [f32; 4] {
    rgba.to_le_bytes().map(f32::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_bytes_are_rounded() {
        for a in 0..=255_u32 {
            for b in 0..=255_u32 {
                let exact = (a * b * 2 + 255) / 510;
                assert_eq!(modulate(a, b), exact, "{a} * {b}");
                assert_eq!(scale(a | (a << 16), b), exact | (exact << 16), "{a} * {b}");
            }
        }
    }

    #[test]
    fn light_beyond_white_stays_white() {
        assert_eq!(over(0xff80_f010, 0x0090_2010, 255), 0xffff_ff20);
        assert_eq!(over(0xffff_ffff, 0xffff_ffff, 255), 0xffff_ffff);
    }

    #[test]
    fn floats_are_rounded_and_held() {
        assert_eq!(quantise([0.4, 0.6, 254.6, 300.0]), 0xffff_0100);
        assert_eq!(quantise([-1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY]), 0x00ff_0000);
    }

    #[test]
    fn a_window_has_no_alpha() {
        let mut pixel = 0x0000_0000;
        blend::<XrgbFormat>(&mut pixel, 0xff03_0201);
        assert_eq!(pixel, 0x0001_0203);
        blend::<XrgbFormat>(&mut pixel, 0x8000_0080);
        assert_eq!(pixel, 0x0080_0101);
    }
}

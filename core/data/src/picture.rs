//! What a picture is, of colours or of any other number of channels.

use serde::{Deserialize, Serialize};

/// Channels of an ordinary picture: red, green and blue.
pub const RGB: usize = 3;

/// Most channels that a picture or a model may have.
pub const MAX_CHANNELS: usize = 64;

/// An 8-bit picture, row-major.
///
/// Nearly all are of red, green and blue. One of another number of channels ([`crate::channels`]) keeps its first three where
/// colours are kept, so that it can be shown, and the others behind them, three at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height * 3` bytes, three to a pixel: the colours, or the first three channels. A single channel stands three
    /// times; the third of two is zero.
    #[serde(with = "dinoscope_base::wire::bytes")]
    pub rgb: Vec<u8>,
    /// How many channels there are, at least 1.
    pub channels: usize,
    /// The channels behind the third, as layers like `rgb`, one after another; the last is filled up with zeros. Empty for
    /// three channels and fewer.
    #[serde(with = "dinoscope_base::wire::bytes")]
    pub beyond: Vec<u8>,
}

impl Picture {
    /// An ordinary picture of `width * height * 3` bytes.
    pub fn of_rgb(width: usize, height: usize, rgb: Vec<u8>) -> Self {
        Self { width, height, rgb, channels: RGB, beyond: Vec::new() }
    }

    /// A picture of any number of channels, from `width * height` bytes of each.
    pub fn of_planes<P: AsRef<[u8]>>(width: usize, height: usize, planes: &[P]) -> Self {
        let layers: Vec<Vec<u8>> = match planes {
            [grey] => vec![grey.as_ref().iter().flat_map(|value| [*value; RGB]).collect()],
            _ => planes.chunks(RGB).map(|planes| interleaved(planes, width * height)).collect(),
        };
        let mut layers = layers.into_iter();
        let rgb = layers.next().unwrap_or_default();
        Self { width, height, rgb, channels: planes.len().max(1), beyond: layers.flatten().collect() }
    }

    /// The channels three at a time, `width * height * 3` bytes each: `rgb`, then what lies beyond.
    pub fn layers(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.rgb[..]).chain(self.beyond.chunks_exact(self.rgb.len().max(1)))
    }

    /// The values of one channel, row by row.
    pub fn channel(&self, channel: usize) -> impl Iterator<Item = u8> {
        let layer = self.layers().nth(channel / RGB).unwrap_or_default();
        layer.iter().skip(channel % RGB).step_by(RGB).copied()
    }

    /// The same operation on every layer, each as a picture of colours.
    #[must_use]
    pub fn map_layers(&self, mut work: impl FnMut(&[u8]) -> Self) -> Self {
        let mut layers = self.layers();
        let first = work(layers.next().unwrap_or_default());
        let beyond = layers.flat_map(|layer| work(layer).rgb).collect();
        Self { channels: self.channels, beyond, ..first }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.rgb.len() + self.beyond.len()
    }
}

/// Up to three planes with their values side by side.
fn interleaved<P: AsRef<[u8]>>(planes: &[P], pixels: usize) -> Vec<u8> {
    let mut out = vec![0; RGB * pixels];
    for (channel, plane) in planes.iter().enumerate() {
        for (to, from) in out.iter_mut().skip(channel).step_by(RGB).zip(plane.as_ref()) {
            *to = *from;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_stand_in_layers_of_three() {
        let planes: Vec<Vec<u8>> = (0..5).map(|c| vec![10 * c, 10 * c + 1]).collect();
        let all: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
        let five = Picture::of_planes(2, 1, &all);
        assert_eq!(
            (&five.rgb[..], &five.beyond[..]),
            (&[0, 10, 20, 1, 11, 21][..], &[30, 40, 0, 31, 41, 0][..])
        );
        assert_eq!((five.channels, five.layers().count(), five.bytes()), (5, 2, 12));
        for (c, plane) in planes.iter().enumerate() {
            assert_eq!(five.channel(c).collect::<Vec<_>>(), *plane);
        }
        let two = Picture::of_planes(2, 1, &all[..2]);
        assert_eq!((two.channels, &two.rgb[..], two.beyond.len()), (2, &[0, 10, 0, 1, 11, 0][..], 0));
        let grey = Picture::of_planes(2, 1, &all[1..2]);
        assert_eq!((grey.channels, &grey.rgb[..]), (1, &[10, 10, 10, 11, 11, 11][..]));
        let three = Picture::of_planes(2, 1, &all[..3]);
        assert_eq!(three, Picture::of_rgb(2, 1, vec![0, 10, 20, 1, 11, 21]));
    }

    #[test]
    fn an_operation_on_layers_reaches_every_channel() {
        let five = Picture::of_planes(1, 1, &[&[1], &[2], &[3], &[4], &[5]]);
        let doubled = five.map_layers(|layer| Picture::of_rgb(1, 1, layer.iter().map(|v| 2 * v).collect()));
        assert_eq!((0..5).flat_map(|c| doubled.channel(c)).collect::<Vec<_>>(), [2, 4, 6, 8, 10]);
        assert_eq!(doubled.channels, 5);
    }
}

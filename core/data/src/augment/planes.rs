//! Views while they are worked on: one plane per channel, so that an operation on pixels is one on long vectors.

use crate::Picture;

/// An 8-bit picture `[3, height, width]`.
#[derive(Default)]
pub(super) struct PlanarPicture {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `3 * height * width` bytes.
    pub bytes: Vec<u8>,
}

impl PlanarPicture {
    /// Takes another size; what the pixels are then is undefined.
    pub fn reshape(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.bytes.resize(3 * width * height, 0);
    }

    /// Carries out `work` on a picture's planes.
    pub fn of(picture: &mut Picture, work: impl FnOnce(&mut Self)) {
        let mut planes = Self::default();
        planes.reshape(picture.width, picture.height);
        let [reds, greens, blues] = planes.channels_mut();
        for (((&[r, g, b], red), green), blue) in
            picture.rgb.as_chunks::<3>().0.iter().zip(reds).zip(greens).zip(blues)
        {
            (*red, *green, *blue) = (r, g, b);
        }
        work(&mut planes);
        *picture = planes.picture();
    }

    /// The same with the channels of a pixel side by side.
    pub fn picture(&self) -> Picture {
        let mut rgb = vec![0; self.bytes.len()];
        let [reds, greens, blues] = self.channels();
        for (((pixel, &r), &g), &b) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(reds).zip(greens).zip(blues)
        {
            *pixel = [r, g, b];
        }
        Picture::of_rgb(self.width, self.height, rgb)
    }

    /// Red, green and blue.
    pub fn channels(&self) -> [&[u8]; 3] {
        let (red, rest) = self.bytes.split_at(self.width * self.height);
        let (green, blue) = rest.split_at(self.width * self.height);
        [red, green, blue]
    }

    /// Red, green and blue.
    pub fn channels_mut(&mut self) -> [&mut [u8]; 3] {
        let (red, rest) = self.bytes.split_at_mut(self.width * self.height);
        let (green, blue) = rest.split_at_mut(self.width * self.height);
        [red, green, blue]
    }

    /// As many channels as there are tables, each byte as its channel's table says, into `out` `[tables, height, width]`.
    pub fn normalize_into(&self, tables: &[[f32; 256]], out: &mut [f32]) {
        for ((plane, bytes), table) in
            out.chunks_exact_mut((self.width * self.height).max(1)).zip(self.channels()).zip(tables)
        {
            for (value, &byte) in plane.iter_mut().zip(bytes) {
                *value = table[usize::from(byte)];
            }
        }
    }
}

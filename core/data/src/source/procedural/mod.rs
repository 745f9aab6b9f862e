//! Procedural pictures: any number of them, without labels, drawn from a seed by small programs.
//!
//! Features learn much from what looks like nothing as long as it has the statistics of pictures: edges of things that cover
//! each other, spectra that fall with the frequency, textures in which a part looks like the whole (Baradad et al. 2021,
//! "Learning to See by Looking at Noise"; 2022, "Procedural Image Programs for Representation Learning"). These programs are
//! our own.

mod canvas;
mod field;
mod flame;
mod layers;
mod leaves;
mod noise;
mod palette;
mod strokes;
#[cfg(test)]
mod tests;
mod texture;

use crate::source::PictureSource;
use crate::{DataError, Picture};
use dinoscope_base::rng;

/// Draws picture `index` of a seed as a square of `size` pixels a side (at least 1).
///
/// The same arguments always give the same bytes; another `size` gives about the same picture in another resolution.
pub fn draw(seed: u64, index: usize, size: usize) -> Picture {
    let size = size.max(1);
    let rgb = layers::paint(&mut rng::stream(seed, "procedural", index as u64, 0), size);
    Picture::of_rgb(size, size, rgb)
}

/// Procedural pictures as a [`PictureSource`] without classes, each drawn whenever it is asked for.
#[derive(Debug)]
pub struct ProceduralSource {
    seed: u64,
    len: usize,
    size: usize,
}

impl ProceduralSource {
    /// Pictures `0..len` (at least one) of a seed, `size` pixels a side.
    pub fn new(seed: u64, len: usize, size: usize) -> Self {
        Self { seed, len: len.max(1), size }
    }
}

impl PictureSource for ProceduralSource {
    fn len(&self) -> usize {
        self.len
    }

    fn name(&self, index: usize) -> String {
        format!("procedural {index}")
    }

    fn label(&self, _index: usize) -> Option<usize> {
        None
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn load(&self, index: usize) -> Result<Picture, DataError> {
        if index >= self.len {
            let reason = format!("picture {index} was asked for, but there are only {}", self.len);
            return Err(DataError::Source { path: "procedural pictures".into(), reason });
        }
        Ok(draw(self.seed, index, self.size))
    }
}

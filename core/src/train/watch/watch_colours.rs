//! Colours of the watched pictures that outlast a process: kept with every checkpoint, so that a run that goes on, or one
//! that begins with another, shows its pictures in the colours that they had.

use std::path::Path;

use crate::analysis::pca::Pca;
use crate::data::Picture;
use crate::train::checkpoint::CheckpointError;
use crate::train::tensors;
use crate::weights::{HostTensor, StateDict};

/// The file of a checkpoint that holds them. Checkpoints of older versions, and of runs that watch nothing, have none.
pub(in crate::train) const FILE: &str = "colours.safetensors";

/// Fields of a picture's [`face`], in each direction.
const FIELDS: usize = 4;
/// What decoders, and other sizes of a picture, may differ by in the mean of a field, of 255.
const SAME: f32 = 8.0;
/// The name under which the faces are kept, `[pictures, FIELDS * FIELDS * 3]`.
const FACES: &str = "faces";

/// Colours of the last look, and what the pictures looked like that they are of.
#[derive(Clone, Debug)]
pub struct WatchPcaBasis {
    pca: Pca,
    faces: Vec<Vec<f32>>,
}

impl WatchPcaBasis {
    /// Those of a look at `views`.
    pub fn of(pca: Pca, views: &[Picture]) -> Self {
        Self { pca, faces: views.iter().map(colour_signature).collect() }
    }

    /// What the colours of `views` are to follow: patch by patch where they are the same pictures, whatever their size,
    /// else by the directions in the space of features alone.
    pub(in crate::train) fn for_views(self, views: &[Picture]) -> Pca {
        let faces: Vec<Vec<f32>> = views.iter().map(colour_signature).collect();
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= SAME);
        let same = faces.len() == self.faces.len() && faces.iter().zip(&self.faces).all(|(a, b)| near(a, b));
        if same { self.pca } else { self.pca.without_patches() }
    }

    /// Writes them into a checkpoint's folder; gives the file's SHA-256.
    pub(in crate::train) fn write(&self, folder: &Path) -> Result<String, CheckpointError> {
        tensors::write(&folder.join(FILE), &self.dict(), "{}")
    }

    fn dict(&self) -> StateDict {
        let mut dict = self.pca.kept();
        let faces = self.faces.iter().flatten().copied().collect();
        dict.insert(FACES.to_owned(), HostTensor::new([self.faces.len(), FIELDS * FIELDS * 3], faces));
        dict
    }

    /// Those in a checkpoint's folder. `None` where there are none, or where they are damaged: nothing is learned from
    /// them, so that a run goes on without.
    pub(in crate::train) fn read(folder: &Path, digest: Option<&String>) -> Option<Self> {
        let dict = tensors::read(&folder.join(FILE), digest).ok()?;
        let faces = dict.get(FACES)?.data.chunks_exact(FIELDS * FIELDS * 3).map(<[f32]>::to_vec).collect();
        Some(Self { pca: Pca::of_kept(&dict)?, faces })
    }
}

/// The mean colour of each of the fields that a picture is divided into: enough to know it again at another size.
fn colour_signature(picture: &Picture) -> Vec<f32> {
    let (width, height) = (picture.width, picture.height);
    let mut face = Vec::with_capacity(FIELDS * FIELDS * 3);
    let part =
        |i: usize, of: usize| (i * of / FIELDS)..((i + 1) * of / FIELDS).max(i * of / FIELDS + 1).min(of);
    for row in 0..FIELDS {
        for col in 0..FIELDS {
            let (mut sums, mut count) = ([0u64; 3], 0u64);
            for y in part(row, height) {
                for x in part(col, width) {
                    let at = 3 * (y * width + x);
                    if let Some(rgb) = picture.rgb.get(at..at + 3) {
                        sums.iter_mut().zip(rgb).for_each(|(sum, v)| *sum += u64::from(*v));
                        count += 1;
                    }
                }
            }
            face.extend(sums.map(|sum| sum as f32 / count.max(1) as f32));
        }
    }
    face
}

#[cfg(test)]
#[path = "watch_colours_tests.rs"]
mod tests;

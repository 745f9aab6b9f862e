//! What features look like: colours from principal components, attention maps, similarity between patches.
//!
//! Everything here works on plain vectors that callers have read back from the device, so that it
//! runs the same in a browser, on a desktop and in a test.

pub mod agreement;
pub mod attention_map;
pub mod canvas;
pub mod colour_map;
pub mod eigen;
pub mod follow;
pub mod image_out;
pub mod lettering;
pub mod linalg;
pub mod npy;
pub mod parquet;
pub mod patch_grid;
pub mod pca;
pub mod similarity;

pub use pca::pca_sample;

use std::path::Path;

use dinoscope_base::files;

/// The patch tokens of one picture, in reading order.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PatchFeatures {
    /// Patches from top to bottom.
    pub rows: usize,
    /// Patches from left to right.
    pub cols: usize,
    /// Numbers per patch.
    pub dim: usize,
    /// `[rows * cols, dim]`, row-major: the final-normed patch tokens without class token and registers.
    #[serde(with = "dinoscope_base::wire::floats")]
    pub data: Vec<f32>,
}

impl PatchFeatures {
    /// How many patches the picture has.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The feature of patch `index` in reading order, `[dim]`; `None` behind the last one.
    pub fn patch(&self, index: usize) -> Option<&[f32]> {
        self.data.get(index * self.dim..(index + 1) * self.dim).filter(|p| !p.is_empty())
    }

    /// An error unless `data` has the length that the other fields say, and every number is finite.
    pub fn check(&self) -> Result<(), AnalysisError> {
        check_len("patch features", self.data.len(), self.rows * self.cols * self.dim)?;
        check_finite("patch features", &self.data)
    }
}

/// Why features could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// There is nothing to analyse.
    #[error("no {0} given")]
    Empty(&'static str),
    /// A vector does not have the length that its shape says.
    #[error("{what}: found {found}, expected {expected}")]
    Shape {
        /// Which input or property.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length it should have.
        expected: usize,
    },
    /// A number is NaN or infinite. Training has usually diverged when this happens.
    #[error("{what} holds a number that is not finite, at position {index}")]
    NotFinite {
        /// Which input.
        what: &'static str,
        /// Position in the flat vector.
        index: usize,
    },
    /// An option is outside its range.
    #[error("{option} is {value}, expected {expected}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What was given.
        value: f64,
        /// The range in words.
        expected: &'static str,
    },
    /// A picture could not be encoded.
    #[error("can't encode a picture of {width} x {height}: {source}")]
    Encode {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// What the encoder said.
        source: image::ImageError,
    },
    /// A file could not be written.
    #[error("can't write {path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// An error unless `found` numbers are as many as `expected`.
///
/// # Errors
/// [`AnalysisError::Shape`].
pub fn check_len(what: &'static str, found: usize, expected: usize) -> Result<(), AnalysisError> {
    if found == expected { Ok(()) } else { Err(AnalysisError::Shape { what, found, expected }) }
}

/// An error unless all numbers are finite.
///
/// # Errors
/// [`AnalysisError::NotFinite`].
pub fn check_finite(what: &'static str, data: &[f32]) -> Result<(), AnalysisError> {
    match data.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(AnalysisError::NotFinite { what, index }),
        None => Ok(()),
    }
}

/// [`files::write_and_rename`] with an error that names the file.
///
/// # Errors
/// [`AnalysisError::Write`] when the disk refuses.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), AnalysisError> {
    files::write_and_rename(path, bytes)
        .map_err(|source| AnalysisError::Write { path: path.display().to_string(), source })
}

//! The table that every step reads and writes: a row for each picture of the heap.

#[cfg(not(target_family = "wasm"))]
mod parquet_file;
/// A page has no disk that tables could lie on, and no reader of Parquet.
#[cfg(target_family = "wasm")]
#[path = "no_file.rs"]
mod parquet_file;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::CurateError;
use crate::features::hex;

/// A picture of the heap with what is known of it. What a step has not filled is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CuratedPicture {
    /// Its path; one in an archive goes through the archive.
    pub key: String,
    /// The class that its place gives it.
    pub label: Option<String>,
    /// The smallest row of the pictures that it is a copy of, itself among them: alike in all of them.
    pub component: Option<i64>,
    /// The clusters that it lies in, from the coarsest: `3/17/204`.
    pub cluster: Option<String>,
    /// Cosine similarity to the picture that decided, or to the nearest one.
    pub similarity: Option<f32>,
    /// Whether it stays. Undecided pictures stay.
    pub kept: Option<bool>,
    /// Why.
    pub why: Option<String>,
    /// The picture that is kept in its place, or that it came too near to.
    pub copy_of: Option<String>,
    /// The row of the picture that it is most similar to; of those of a test set there is none.
    pub nearest: Option<i64>,
    /// For which queries it was found, how often.
    pub queries: Option<i64>,
    /// SHA-256 of the file's bytes, in hexadecimal digits.
    pub digest: Option<String>,
    /// Length and time of the file: as long as they stay its bytes are not read again.
    pub stamp: Option<String>,
    /// [`crate::picture::perceptual_hashes`], in hexadecimal digits.
    pub hash: Option<String>,
    /// Pixels in a row.
    pub width: Option<i64>,
    /// Rows of pixels.
    pub height: Option<i64>,
    /// Width by height.
    pub aspect: Option<f32>,
    /// Variance of the Laplacian: low where it is blurred.
    pub blur: Option<f32>,
    /// 1 less the 99th percentile of its lightness: 1 where all of it is black.
    pub darkness: Option<f32>,
    /// Why it can't be used.
    pub unreadable: Option<String>,
}

/// All pictures of a heap, and where the table comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CurationTable {
    /// A row for each picture.
    pub rows: Vec<CuratedPicture>,
    /// The digest of the table that it was made from.
    pub from: Option<String>,
    /// How it was made.
    pub made: Option<String>,
    /// Bounds that it was made with, by their names: `threshold`, `min_side`.
    pub settings: Vec<(String, f32)>,
}

impl CurationTable {
    /// Rows that are kept or undecided.
    pub fn kept(&self) -> usize {
        self.rows.iter().filter(|row| row.kept != Some(false)).count()
    }
}

/// Who takes pieces of a table: the number of the first row, and the rows.
pub type RowsTaken<'a> = &'a mut dyn FnMut(usize, &mut Vec<CuratedPicture>) -> Result<(), CurateError>;

/// What a file is known by.
pub(crate) fn file_digest(path: &Path) -> Result<String, CurateError> {
    let failed = || CurateError::file(path);
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(failed())?;
    let mut bytes = vec![0; 1 << 16];
    loop {
        match file.read(&mut bytes).map_err(failed())? {
            0 => break,
            count => hash.update(&bytes[..count]),
        }
    }
    Ok(hex(&hash.finalize()))
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests;

//! NumPy files on disk; the format is in [`dinoscope_base::npy`].

use std::path::Path;

pub use dinoscope_base::npy::{NpyShapeError, encode, header, read_back};

use super::{AnalysisError, write_atomic};

impl From<NpyShapeError> for AnalysisError {
    fn from(NpyShapeError { what, found, expected }: NpyShapeError) -> Self {
        Self::Shape { what, found, expected }
    }
}

/// Writes an `.npy` file, whole or not at all.
///
/// # Errors
/// The numbers do not fill the shape, or the disk refuses.
pub fn write(path: &Path, shape: &[usize], data: &[f32]) -> Result<(), AnalysisError> {
    write_atomic(path, &encode(shape, data)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_file_or_the_shape() {
        let folder = tempfile::tempdir().unwrap();
        let missing = write(&folder.path().join("no/a.npy"), &[0], &[]);
        assert!(matches!(missing, Err(AnalysisError::Write { .. })), "{missing:?}");
        let short = write(&folder.path().join("a.npy"), &[2, 2], &[0.0; 3]);
        assert!(matches!(short, Err(AnalysisError::Shape { found: 3, expected: 4, .. })), "{short:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }
}

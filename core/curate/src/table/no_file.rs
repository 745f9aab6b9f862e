//! Tables where there is no disk: none can be read or written.

use std::path::Path;

use super::{CurationTable, RowsTaken};
use crate::CurateError;

fn nowhere<T>(path: &Path) -> Result<T, CurateError> {
    Err(CurateError::unfit(path, "tables of curation are read and written by the program, not in a page"))
}

impl CurationTable {
    /// Never here.
    ///
    /// # Errors
    /// Always.
    pub fn read(path: &Path) -> Result<Self, CurateError> {
        nowhere(path)
    }

    /// Never here.
    ///
    /// # Errors
    /// Always.
    pub fn visit(path: &Path, _: RowsTaken<'_>) -> Result<Self, CurateError> {
        nowhere(path)
    }

    /// Never here.
    ///
    /// # Errors
    /// Always.
    pub fn origin(path: &Path) -> Result<Option<String>, CurateError> {
        nowhere(path)
    }

    /// Never here.
    ///
    /// # Errors
    /// Always.
    pub fn write(&self, path: &Path) -> Result<(), CurateError> {
        nowhere(path)
    }
}

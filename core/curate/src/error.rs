//! Why a step of curation ended early.

use std::path::Path;

use dinoscope_data::DataError;

/// Why a step of curation could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum CurateError {
    /// Pictures, or the place that they were looked for in.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of the folder could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something in the folder, or what was asked for, does not fit; what, and the way out.
    #[error("{path}: {reason}")]
    Unfit {
        /// The file or folder.
        path: String,
        /// What is wrong with it and the way out.
        reason: String,
    },
    /// An option has a value that can't be.
    #[error("{0}")]
    Option(String),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(String),
    /// Whoever listens said stop. What was done is kept.
    #[error("stopped")]
    Stopped,
}

impl CurateError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { path, source }
    }

    pub(crate) fn unfit(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unfit { path: path.display().to_string(), reason: reason.into() }
    }
}

/// Who hears of a step: what is done of how much, in which words; answers whether to go on.
pub type Heard<'a> = &'a mut dyn FnMut(usize, usize, &str) -> bool;

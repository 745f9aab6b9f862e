//! Pictures on their way to the model: where they come from, how they are decoded, cropped and batched.

pub mod archive;
pub mod augment;
pub mod bench;
pub mod budget;
pub mod channels;
pub mod decode;
pub mod loader;
pub mod measured;
mod picture;
pub mod source;
pub mod variety;

pub use picture::{MAX_CHANNELS, Picture, RGB};

/// Why a picture or a collection of pictures could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file could not be read from disk.
    #[error("can't read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no picture that can be decoded, or exceeds the decode limits.
    #[error("{name} is not a usable picture: {reason}")]
    Decode {
        /// The file or entry.
        name: String,
        /// What is wrong with it and, where there is one, the way out.
        reason: String,
    },
    /// A folder, IDX pair or other source holds nothing that can be trained on.
    #[error("{path}: {reason}")]
    Source {
        /// The folder or file.
        path: String,
        /// What is wrong with it and the way out.
        reason: String,
    },
    /// What somewhere else said, for instance a worker of the page.
    #[error("{0}")]
    Told(String),
}

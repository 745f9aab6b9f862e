//! What can go wrong with a weights file, said so that a person knows which file, which key and what to do.

/// A failure while reading, checking, writing or downloading weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The operating system refused something.
    #[error("{file}: cannot {action}: {source}")]
    Io {
        /// The file or folder.
        file: String,
        /// What was being done ("open", "read", "write", …).
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The bytes are not what the format promises: truncated, corrupted or of another kind.
    #[error("{file}: {reason}")]
    Format {
        /// The file.
        file: String,
        /// What is wrong, and where it helps what to do.
        reason: String,
    },
    /// A pickle names a function that has no place in a weights file. It was not called.
    #[error(
        "{file}: refused: the pickle names `{global}`, which a weights file has no use for and which could run code \
         when loaded elsewhere; nothing was executed. Do not open this file with other programs"
    )]
    Refused {
        /// The file.
        file: String,
        /// `module.name` as the pickle spells it.
        global: String,
    },
    /// A tensor has another shape than the rest of the model asks for.
    #[error("{file}: key `{key}` has shape {found:?}, but the model needs {expected:?}")]
    Shape {
        /// The file.
        file: String,
        /// The key as the file spells it.
        key: String,
        /// Shape that the model needs.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor that the model needs is absent.
    #[error("{file}: key `{key}` is missing; the model needs it with shape {expected:?}{}", and_more(*.more, "missing"))]
    Missing {
        /// The file.
        file: String,
        /// The key as this layout spells it.
        key: String,
        /// Shape that the model needs.
        expected: Vec<usize>,
        /// How many further keys are missing.
        more: usize,
    },
    /// A table of positions of which nothing says how many rows and columns it has.
    #[error(
        "{file}: key `{key}` holds {count} positions, but in how many rows and columns is not said: {why}. Say it once: \
         dinoscope weights convert {file} OUT.safetensors --to official --grid ROWSxCOLS, then use that file; or put the \
         model's config.json beside it"
    )]
    Grid {
        /// The file.
        file: String,
        /// The key as the file spells it.
        key: String,
        /// How many positions there are, those before the patches' included.
        count: usize,
        /// What they could be.
        why: String,
    },
    /// A tensor that no part of the model has a place for.
    #[error("{file}: key `{key}` with shape {found:?} is unexpected: no part of a DINOv2 backbone or head has that name{}", and_more(*.more, "unexpected"))]
    Unexpected {
        /// The file.
        file: String,
        /// The key as the file spells it.
        key: String,
        /// Its shape.
        found: Vec<usize>,
        /// How many further keys are unexpected.
        more: usize,
    },
    /// A tensor is of a number type that weights are never stored in.
    #[error("{file}: key `{key}` with shape {shape:?} holds {dtype}; weights must be f32, f16, bf16 or f64")]
    Dtype {
        /// The file.
        file: String,
        /// The key as the file spells it.
        key: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Its number type.
        dtype: String,
    },
    /// Weights that are NaN or infinite: a training that has broken, or a damaged file.
    #[error(
        "{file}: {values} values in {broken} of {tensors} tensors are NaN or infinite ({}): its training has broken, or the \
         file is damaged; take an earlier checkpoint. `dinoscope weights inspect` shows what is in it", keys(.first, *.broken)
    )]
    NotFinite {
        /// The file.
        file: String,
        /// How many values are no numbers.
        values: usize,
        /// How many tensors have such values.
        broken: usize,
        /// How many tensors were looked at.
        tensors: usize,
        /// Keys of the first of them, as the file spells them.
        first: Vec<String>,
    },
    /// A model that this layout, or Dinoscope, cannot hold.
    #[error("{file}: {reason}")]
    Unsupported {
        /// The file.
        file: String,
        /// What is not possible and what is.
        reason: String,
    },
    /// A download failed; nothing half-finished was left under the final name.
    #[error("cannot download {url}: {reason}. By hand: fetch the file and put it at {by_hand}")]
    Download {
        /// Address that was asked for.
        url: String,
        /// Why it failed.
        reason: String,
        /// Where a file fetched by hand belongs.
        by_hand: String,
    },
    /// A file does not have the checksum that was asked for.
    #[error("{file}: SHA-256 is {found}, but {expected} was expected; the file was discarded")]
    Checksum {
        /// The file.
        file: String,
        /// Checksum that was asked for, lower-case hexadecimal.
        expected: String,
        /// Checksum of what arrived.
        found: String,
    },
    /// The caller asked to stop; what has arrived is kept for the next attempt.
    #[error("download of {url} was stopped; the next attempt continues where this one ended")]
    Cancelled {
        /// Address that was being fetched.
        url: String,
    },
}

fn keys(first: &[String], all: usize) -> String {
    let mut shown: Vec<String> = first.iter().map(|key| format!("`{key}`")).collect();
    if all > first.len() {
        shown.push(format!("{} more", all - first.len()));
    }
    shown.join(", ")
}

fn and_more(more: usize, what: &str) -> String {
    if more == 0 { String::new() } else { format!(" (and {more} more keys are {what})") }
}

impl WeightsError {
    /// A [`WeightsError::Format`].
    pub(super) fn format(file: &str, reason: impl Into<String>) -> Self {
        Self::Format { file: file.into(), reason: reason.into() }
    }

    /// A [`WeightsError::Io`]; an unexpected end is said as what it is for a person: a truncated file.
    pub fn io(file: &str, action: &'static str, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::UnexpectedEof {
            return Self::format(
                file,
                "the file is truncated: it ends before its contents do; fetch it again",
            );
        }
        Self::Io { file: file.into(), action, source }
    }
}

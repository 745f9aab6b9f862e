//! The steps in their order, and which table each reads.

use std::path::{Path, PathBuf};

use dinoscope_base::files;

use crate::table::{CurationTable, file_digest};
use crate::{CurateError, names};

/// A step that decides on pictures after they were embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CurationStep {
    /// [`crate::quality()`].
    Quality,
    /// [`crate::copies()`].
    Copies,
    /// [`crate::retrieve()`].
    Retrieve,
    /// [`crate::balance()`].
    Balance,
}

impl CurationStep {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Quality, Self::Copies, Self::Retrieve, Self::Balance];

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quality => "quality",
            Self::Copies => "copies",
            Self::Retrieve => "retrieve",
            Self::Balance => "balance",
        }
    }

    /// The table that it leaves.
    pub fn table(self) -> &'static str {
        match self {
            Self::Quality => names::QUALITY,
            Self::Copies => names::COPIES,
            Self::Retrieve => names::RETRIEVE,
            Self::Balance => names::BALANCE,
        }
    }
}

/// The table that a step reads: that of the last step before it that was carried out. Retrieval and balance are beside each
/// other: neither reads what the other left.
///
/// # Errors
/// When there is none, or one on the way was made before the one that it was made from.
pub(crate) fn table_before(folder: &Path, step: CurationStep) -> Result<PathBuf, CurateError> {
    let mut newest = folder.join(names::EMBED);
    if !files::exists(&newest) {
        let reason = "there is no such table: `dinoscope curate embed PICTURES --out` makes it";
        return Err(CurateError::unfit(&newest, reason));
    }
    for before in [CurationStep::Quality, CurationStep::Copies].into_iter().filter(|before| *before < step) {
        let path = folder.join(before.table());
        if !files::exists(&path) {
            continue;
        }
        if CurationTable::origin(&path)? != Some(file_digest(&newest)?) {
            let (name, made) = (before.name(), newest.display());
            let reason = format!("it was made before {made}: run `curate {name}` again, or remove it");
            return Err(CurateError::unfit(&path, reason));
        }
        newest = path;
    }
    Ok(newest)
}

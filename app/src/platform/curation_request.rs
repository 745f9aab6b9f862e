//! What is asked of whoever embeds pictures.

use std::path::PathBuf;

use dinoscope_core::device::SelectedDevice;
use dinoscope_core::explore::ModelSource;

/// What is embedded, and with what.
#[derive(Clone)]
pub struct CurationRequest {
    /// Folders, lists, archives.
    pub places: Vec<PathBuf>,
    /// The folder of curation.
    pub folder: PathBuf,
    /// Whose features.
    pub source: ModelSource,
    /// What computes.
    pub device: SelectedDevice,
}

/// Who hears how far it is: what is done, of how much, of what; answers whether to go on.
pub type CurationProgress<'a> = &'a mut dyn FnMut(&str, usize, usize) -> bool;

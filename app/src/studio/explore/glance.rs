//! How the exploring side stands, for tests: what the window shows as colours and frames, and nobody reads aloud.

use dinoscope_core::explore::PictureId;

use super::{Explore, Spot};

/// How the exploring side stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Pictures that are open.
    pub pictures: usize,
    /// The large one.
    pub chosen: Option<PictureId>,
    /// The one beside it.
    pub second: Option<PictureId>,
    /// The patch that was clicked.
    pub pinned: Option<Spot>,
    /// Changes with the basis of the colours.
    pub colours: Option<u64>,
    /// Lines between two pictures, once they were found.
    pub matches: Option<usize>,
    /// Thumbnails in memory.
    pub thumbnails: usize,
}

impl Explore {
    /// How it stands at the moment.
    pub fn glance(&self) -> Glance {
        Glance {
            pictures: self.gallery.len(),
            chosen: self.gallery.chosen(),
            second: self.gallery.second(),
            pinned: self.pinned,
            colours: self.painter.basis().map(|basis| basis.generation),
            matches: self.painter.matches.as_ref().map(|(_, found)| found.len()),
            thumbnails: self.gallery.thumbnails(),
        }
    }
}

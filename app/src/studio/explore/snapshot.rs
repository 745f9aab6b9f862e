//! How the exploring side stands, for tests: what the window shows as colours and frames, and nobody reads aloud.

use dinoscope_core::explore::PictureId;

use super::{ExploreWorkspace, InspectionProgress, PatchLocation};

/// How the exploring side stands.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct ExploreSnapshot {
    /// Pictures that are open.
    pub pictures: usize,
    /// The large one.
    pub chosen: Option<PictureId>,
    /// The one beside it.
    pub second: Option<PictureId>,
    /// The patch that was clicked.
    pub pinned: Option<PatchLocation>,
    /// Changes with the basis of the colours.
    pub colours: Option<u64>,
    /// Pictures that they were fitted to.
    pub fitted: Option<usize>,
    /// How far looking is, while there is something to look at.
    pub looking: Option<InspectionProgress>,
    /// Pictures over which something shows.
    pub layers: usize,
    /// Lines between two pictures, once they were found.
    pub matches: Option<usize>,
    /// Whether the first screen shows its sample.
    pub sample: bool,
    /// Thumbnails in memory.
    pub thumbnails: usize,
    /// The patch under the pointer.
    pub hover: Option<PatchLocation>,
    /// Where the large picture lies: left, top, right, bottom, in points.
    pub place: Option<[i32; 4]>,
    /// Rows and columns of patches of the large picture, once it was looked at.
    pub grid: Option<[usize; 2]>,
    /// The second model, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<ComparisonSnapshot>,
}

/// How a comparison of two models stands, for tests.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct ComparisonSnapshot {
    /// Whether the second model is on its way.
    pub opens: bool,
    /// Its layers.
    pub layers: usize,
    /// Changes with its colours.
    pub colours: Option<u64>,
    /// Its lines between two pictures, once they were found.
    pub matches: Option<usize>,
    /// Its patch at the place under the pointer.
    pub hover: Option<PatchLocation>,
    /// Its patch at the place that was clicked.
    pub pinned: Option<PatchLocation>,
    /// Linear CKA of both models over the large picture, once it is known.
    pub cka: Option<f64>,
    /// The share of nearest patches that both have.
    pub neighbours: Option<f64>,
    /// Pictures that agreement is known of.
    pub pictures: usize,
}

impl ExploreWorkspace {
    fn grid(&self) -> Option<[usize; 2]> {
        let chosen = self.gallery.chosen()?;
        let (seen, _) = self.results.kept.get(&(chosen, self.way(chosen)))?;
        Some([seen.rows, seen.cols])
    }

    /// Another number whenever more of what is asked for is there.
    pub fn progress(&self) -> u64 {
        let bytes = self.opening.as_ref().and_then(|(_, bytes)| *bytes).map_or(0, |(done, _)| done);
        let first = (self.gallery.len() + self.gallery.thumbnails() + self.results.kept.len()) as u64;
        first + bytes + self.compared_progress()
    }

    /// Whether weights are on their way.
    pub fn opens(&self) -> bool {
        self.opening.is_some()
    }

    /// How it stands at the moment.
    pub fn snapshot(&self) -> ExploreSnapshot {
        ExploreSnapshot {
            pictures: self.gallery.len(),
            chosen: self.gallery.chosen(),
            second: self.gallery.second(),
            pinned: self.pinned,
            colours: self.painter.basis().map(|basis| basis.generation),
            fitted: self.painter.basis().map(|basis| basis.pictures),
            looking: self.looking(),
            layers: self.painter.layers(),
            matches: self.painter.matches.as_ref().map(|(_, found)| found.len()),
            sample: self.sample.shows(),
            thumbnails: self.gallery.thumbnails(),
            hover: self.hover,
            place: self.canvas.place,
            grid: self.grid(),
            compared: self.comparison(),
        }
    }
}

//! Numbers that say something of a picture without any learning: what features have to be better than.
//!
//! All of them see the square that the backbone sees. They are scaled so that the mean of their squares is about 1, as
//! that of a normalised token is: the learning rates of the linear probe are made for such numbers, and the cosine of
//! nearest neighbours does not depend on it.

mod colour_histogram;
mod hog;

use dinoscope_data::Picture;
use dinoscope_data::augment::{normalize, resize_to};

pub use colour_histogram::colour_histogram;
pub use hog::hog;

/// How finely a comparison looks, where that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorSizes {
    /// Largest side of raw pixels; a smaller view is taken as it is.
    pub pixels: usize,
    /// Cells of oriented gradients down and across.
    pub cells: usize,
}

impl DescriptorSizes {
    /// For nearest neighbours: pixels as fine as the view.
    pub const NEIGHBOURS: Self = Self { pixels: usize::MAX, cells: 8 };
    /// For what is searched in large collections: coarse pictures are found more easily than fine ones, and much faster.
    pub const SEARCH: Self = Self { pixels: 32, cells: 8 };
    /// For what is learned from: the cost of a fit grows with the third power of how many numbers there are, and these
    /// are 768 and 900.
    pub const PROBE: Self = Self { pixels: 16, cells: 6 };
}

/// A way to make numbers of a picture without learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureDescriptor {
    /// The pixels themselves, normalised as a backbone has them.
    Pixels {
        /// Pixels down and across.
        side: usize,
    },
    /// How much of each colour there is, wherever it is.
    ColourHistogram,
    /// Histograms of oriented gradients: which edges are where, whatever their colour.
    Hog {
        /// Cells down and across.
        cells: usize,
    },
}

impl PictureDescriptor {
    /// Numbers of a picture.
    pub fn dim(self) -> usize {
        match self {
            Self::Pixels { side } => 3 * side * side,
            Self::ColourHistogram => colour_histogram::DIM,
            Self::Hog { cells } => hog::dim(cells),
        }
    }

    /// The numbers of a view, [`PictureDescriptor::dim`] of them.
    pub fn of(self, view: &Picture) -> Vec<f32> {
        match self {
            Self::Pixels { side } if (view.width, view.height) == (side, side) => normalize(view),
            Self::Pixels { side } => normalize(&resize_to(view, side, side)),
            Self::ColourHistogram => colour_histogram(view),
            Self::Hog { cells } => hog(view, cells),
        }
    }

    /// What it looks at, in a table: `16 × 16 pixels`.
    pub fn words(self) -> String {
        match self {
            Self::Pixels { side } => format!("{side} × {side} pixels"),
            Self::ColourHistogram => format!("{} colours", colour_histogram::DIM),
            Self::Hog { cells } => format!("{cells} × {cells} cells"),
        }
    }
}

//! Rows and columns of a position grid.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most rows or columns that a person may name: far more than any picture has patches.
const MOST: usize = 1 << 16;

/// A grid of patches.
///
/// In files for people and other programs a square one is one number, any other a pair: `37`, `[14, 16]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PatchGrid {
    /// Patches from top to bottom.
    pub rows: usize,
    /// Patches from left to right.
    pub cols: usize,
}

impl PatchGrid {
    /// `rows` by `cols`.
    pub const fn new(rows: usize, cols: usize) -> Self {
        Self { rows, cols }
    }

    /// As many rows as columns.
    pub const fn square(side: usize) -> Self {
        Self { rows: side, cols: side }
    }

    /// The square grid of exactly `area` patches, if there is one.
    pub fn of_area(area: usize) -> Option<Self> {
        let side = area.isqrt();
        (side > 0 && side * side == area).then(|| Self::square(side))
    }

    /// Number of patches; `usize::MAX` where that does not fit.
    pub const fn area(self) -> usize {
        self.rows.saturating_mul(self.cols)
    }

    /// Whether there are as many rows as columns.
    pub const fn is_square(self) -> bool {
        self.rows == self.cols
    }

    /// The smaller of rows and columns.
    pub fn short(self) -> usize {
        self.rows.min(self.cols)
    }
}

impl fmt::Display for PatchGrid {
    /// `14 x 16`: rows first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.rows, self.cols)
    }
}

impl FromStr for PatchGrid {
    type Err = String;

    /// Rows and columns as in `14x16`.
    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.trim().parse().ok().filter(|side| (1..=MOST).contains(side));
        let grid = text.split_once(['x', 'X', '×']).and_then(|(rows, cols)| side(rows).zip(side(cols)));
        let grid = grid.map(|(rows, cols)| Self { rows, cols });
        grid.ok_or_else(|| {
            "expected rows and columns of the position grid in patches, such as 14x16".to_owned()
        })
    }
}

impl Serialize for PatchGrid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() && self.is_square() {
            return self.rows.serialize(serializer);
        }
        [self.rows, self.cols].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PatchGrid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum PatchGridRepr {
            Side(usize),
            Sides([usize; 2]),
        }
        let [rows, cols] = if deserializer.is_human_readable() {
            match PatchGridRepr::deserialize(deserializer).map_err(|_| {
                D::Error::custom("a grid is a number of patches, or rows and columns as in [14, 16]")
            })? {
                PatchGridRepr::Side(side) => [side, side],
                PatchGridRepr::Sides(sides) => sides,
            }
        } else {
            <[usize; 2]>::deserialize(deserializer)?
        };
        Ok(Self { rows, cols })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_one_number_as_they_always_were() {
        for (grid, text) in [(PatchGrid::square(37), "37"), (PatchGrid::new(14, 16), "[14,16]")] {
            assert_eq!(serde_json::to_string(&grid).unwrap(), text);
            assert_eq!(serde_json::from_str::<PatchGrid>(text).unwrap(), grid);
            let bytes = postcard::to_stdvec(&grid).unwrap();
            assert_eq!(postcard::from_bytes::<PatchGrid>(&bytes).unwrap(), grid);
        }
        for wrong in ["-1", "\"14x16\"", "[1]", "[1,2,3]", "1.5"] {
            let error = serde_json::from_str::<PatchGrid>(wrong).unwrap_err().to_string();
            assert!(error.contains("[14, 16]"), "{wrong}: {error}");
        }
    }

    #[test]
    fn rows_come_first() {
        let grid: PatchGrid = "14x16".parse().unwrap();
        assert_eq!((grid.rows, grid.cols, grid.area(), grid.short()), (14, 16, 224, 14));
        assert_eq!(grid.to_string(), "14 x 16");
        assert_eq!("16 x 14".parse(), Ok(PatchGrid::new(16, 14)));
        for wrong in ["", "14", "14x", "0x3", "axb", "1x2x3", "99999x1"] {
            assert!(wrong.parse::<PatchGrid>().unwrap_err().contains("14x16"), "{wrong}");
        }
        assert_eq!([PatchGrid::of_area(224), PatchGrid::of_area(0)], [None, None]);
        assert_eq!(PatchGrid::of_area(225), Some(PatchGrid::square(15)));
    }
}

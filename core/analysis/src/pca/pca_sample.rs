//! Patches of a large collection that a fit of colours looks at: a share of each picture, its borders among them.

use crate::PatchFeatures;

/// Patches in a sample.
const MOST_PATCHES: usize = 1 << 16;
/// Numbers in a sample: 128 MiB.
const MOST_NUMBERS: usize = 1 << 25;
/// Fewest patches of a picture that say where its border is and what lies inside.
const FEWEST: usize = 64;

/// Which patches of a collection are fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcaPatchSampling {
    pictures: usize,
    /// Pictures that are looked at.
    taken: usize,
    /// Patches of each; `None` for all.
    patches: Option<usize>,
}

impl PcaPatchSampling {
    /// A sample of `pictures` pictures with `patches` patches in all, each of `dim` numbers: everything where that is
    /// little enough.
    pub fn of(pictures: usize, patches: usize, dim: usize) -> Self {
        let most = MOST_PATCHES.min(MOST_NUMBERS / dim.max(1)).max(FEWEST);
        Self::within(most, pictures, patches)
    }

    fn within(most: usize, pictures: usize, patches: usize) -> Self {
        if patches <= most {
            return Self { pictures, taken: pictures, patches: None };
        }
        let taken = pictures.min(most / FEWEST).max(1);
        Self { pictures, taken, patches: Some(most / taken) }
    }

    /// Whether every patch is in it, so that a fit is exact.
    pub fn is_whole(self) -> bool {
        self.patches.is_none()
    }

    /// How many pictures are in it.
    pub fn taken(self) -> usize {
        self.taken
    }

    /// Whether picture `index` is in it; those that are, are evenly spread.
    pub fn has(self, index: usize) -> bool {
        let place = |index: usize| index * self.taken / self.pictures.max(1);
        index < self.pictures && (index == 0 || place(index) != place(index - 1))
    }

    /// What of a picture is in it: whole rows and columns are left out, and the outermost stay.
    pub fn thin(self, picture: PatchFeatures) -> PatchFeatures {
        let Some(most) = self.patches.filter(|most| *most < picture.len()) else { return picture };
        let share = (most as f64 / picture.len() as f64).sqrt();
        let kept = |length: usize| ((length as f64 * share) as usize).clamp(length.min(2), length);
        let rows = kept(picture.rows);
        let cols = kept(picture.cols).min((most / rows).max(1));
        let mut data = Vec::with_capacity(rows * cols * picture.dim);
        for row in places(picture.rows, rows) {
            for col in places(picture.cols, cols) {
                let at = (row * picture.cols + col) * picture.dim;
                data.extend(&picture.data[at..at + picture.dim]);
            }
        }
        PatchFeatures { rows, cols, dim: picture.dim, data }
    }
}

/// `kept` of `length` places, evenly spread from the first to the last.
fn places(length: usize, kept: usize) -> impl Iterator<Item = usize> {
    (0..kept).map(move |i| if kept > 1 { i * (length - 1) / (kept - 1) } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(rows: usize, cols: usize) -> PatchFeatures {
        let data = (0..rows * cols).flat_map(|i| [(i / cols) as f32, (i % cols) as f32]).collect();
        PatchFeatures { rows, cols, dim: 2, data }
    }

    #[test]
    fn little_is_taken_whole() {
        let sample = PcaPatchSampling::of(3, 3 * 1024, 384);
        assert!(sample.is_whole() && (0..3).all(|i| sample.has(i)) && !sample.has(3));
        assert_eq!(sample.thin(picture(5, 7)), picture(5, 7));
        assert_eq!(PcaPatchSampling::of(64, 1 << 16, 384).taken(), 64);
        assert!(!PcaPatchSampling::of(65, (1 << 16) + 1, 384).is_whole());
        // Wide models have fewer patches in as much memory.
        assert!(!PcaPatchSampling::of(22, 22 << 10, 1536).is_whole());
    }

    #[test]
    fn much_is_thinned_to_what_was_allowed_with_its_borders() {
        let sample = PcaPatchSampling::within(4096, 50, 50 * 1800);
        let thin = sample.thin(picture(36, 50));
        assert!(thin.len() <= 81 && thin.len() > 55, "{} x {}", thin.rows, thin.cols);
        assert_eq!(thin.data.len(), thin.len() * 2);
        assert_eq!(
            (thin.patch(0), thin.patch(thin.len() - 1)),
            (Some([0.0, 0.0].as_slice()), Some([35.0, 49.0].as_slice()))
        );
        assert_eq!((sample.taken(), (0..50).filter(|i| sample.has(*i)).count()), (50, 50));
        // A line stays one.
        assert_eq!(sample.thin(picture(1, 900)).rows, 1);
    }

    #[test]
    fn of_very_many_pictures_some_are_taken_that_are_spread() {
        let sample = PcaPatchSampling::within(4096, 10_000, 10_000 * 1800);
        let taken: Vec<usize> = (0..10_000).filter(|i| sample.has(*i)).collect();
        assert_eq!((taken.len(), sample.taken(), taken[0]), (64, 64, 0));
        assert!(taken.windows(2).all(|pair| (150..165).contains(&(pair[1] - pair[0]))), "{taken:?}");
        assert!(sample.thin(picture(36, 50)).len() <= 64);
    }
}

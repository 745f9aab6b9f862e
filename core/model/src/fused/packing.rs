//! Several crops of different sizes in one flat sequence of tokens.
//!
//! All crops of a step go through the student together (Oquab et al. 2023, section 5): everything but
//! attention acts on single tokens and runs once over the flat sequence; attention stays inside each crop.

use dinoscope_base::rng::{RngExt, Stream};

/// Crops of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CropGroup {
    /// How many crops.
    pub count: usize,
    /// Tokens of each, prefix included.
    pub tokens: usize,
}

/// The layout of a flat sequence: groups one after the other, crops of a group one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequencePacking {
    /// In order of their place in the sequence.
    pub groups: Vec<CropGroup>,
}

/// The crops that a residual branch computes when some are dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct CropSubset {
    /// Layout of what is kept.
    pub packing: SequencePacking,
    /// Kept rows of the flat sequence, ascending.
    pub rows: Vec<i32>,
    /// For every kept row, crops in its group over crops kept: the branch keeps its expected size.
    pub scale: Vec<f32>,
}

/// Which of a larger batch's images a sequence holds, where several processes share a batch: each as many, in the order of
/// their numbers, and of every group of crops the views of those images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPlace {
    /// This process.
    pub rank: usize,
    /// How many there are.
    pub ranks: usize,
    /// Images that each has.
    pub images: usize,
}

impl BatchPlace {
    /// All images are here.
    pub const WHOLE: Self = Self { rank: 0, ranks: 1, images: 0 };

    /// The place here of a crop that is counted over all processes, view by view; `None` for one that is elsewhere.
    fn here(self, crop: usize) -> Option<usize> {
        if self.ranks == 1 {
            return Some(crop);
        }
        let (view, image) = (crop / (self.ranks * self.images), crop % (self.ranks * self.images));
        (image / self.images == self.rank).then_some(view * self.images + image % self.images)
    }
}

impl SequencePacking {
    /// A layout with one group.
    pub fn single(count: usize, tokens: usize) -> Self {
        Self { groups: vec![CropGroup { count, tokens }] }
    }

    /// Length of the flat sequence.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|g| g.count * g.tokens).sum()
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// First row of each group, with the group.
    pub fn spans(&self) -> impl Iterator<Item = (usize, CropGroup)> + '_ {
        self.groups.iter().scan(0, |start, &group| {
            let at = *start;
            *start += group.count * group.tokens;
            Some((at, group))
        })
    }

    /// Batch-subset stochastic depth: of each group's `b` crops exactly `max(floor(b (1 - rate)), 1)` are kept.
    ///
    /// Crops are drawn over the whole batch, of which this sequence is the part that `place` says: processes that draw
    /// from equal streams drop what one process with all of it would. A part may then keep nothing.
    ///
    /// Returns `None` when nothing would be dropped.
    pub fn draw_subset(&self, rate: f64, rng: &mut Stream, place: BatchPlace) -> Option<CropSubset> {
        if rate <= 0.0 {
            return None;
        }
        let mut subset = CropSubset {
            packing: SequencePacking { groups: Vec::new() },
            rows: Vec::new(),
            scale: Vec::new(),
        };
        let mut dropped = false;
        for (start, group) in self.spans() {
            let count = group.count * place.ranks;
            let kept = ((count as f64 * (1.0 - rate)) as usize).clamp(1, count.max(1));
            let chosen: Vec<usize> =
                choose(count, kept, rng).into_iter().filter_map(|crop| place.here(crop)).collect();
            dropped |= kept < count;
            for crop in &chosen {
                let row = start + crop * group.tokens;
                subset.rows.extend((row..row + group.tokens).map(|r| r as i32));
            }
            let scale = count as f32 / kept as f32;
            subset.scale.extend(std::iter::repeat_n(scale, chosen.len() * group.tokens));
            subset.packing.groups.push(CropGroup { count: chosen.len(), tokens: group.tokens });
        }
        dropped.then_some(subset)
    }
}

/// `kept` different numbers below `count`, ascending, every choice equally likely.
fn choose(count: usize, kept: usize, rng: &mut Stream) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for i in 0..kept.min(count) {
        let j = rng.random_range(i..count);
        order.swap(i, j);
    }
    order.truncate(kept);
    order.sort_unstable();
    order
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_base::rng::stream;

    #[test]
    fn subset_keeps_exactly_the_stated_share() {
        let packing = SequencePacking {
            groups: vec![CropGroup { count: 10, tokens: 3 }, CropGroup { count: 2, tokens: 5 }],
        };
        let subset = packing.draw_subset(0.3, &mut stream(1, "drop", 0, 0), BatchPlace::WHOLE).unwrap();
        assert_eq!(subset.packing.groups[0].count, 7);
        assert_eq!(subset.packing.groups[1].count, 1);
        assert_eq!(subset.rows.len(), 7 * 3 + 5);
        assert!((subset.scale[0] - 10.0 / 7.0).abs() < 1e-6);
        assert!((subset.scale[25] - 2.0).abs() < 1e-6);
        assert!(subset.rows.windows(2).all(|w| w[0] < w[1]), "ascending, none twice");
    }

    #[test]
    fn single_crops_are_never_dropped() {
        assert!(
            SequencePacking::single(1, 4)
                .draw_subset(0.4, &mut stream(1, "drop", 0, 0), BatchPlace::WHOLE)
                .is_none()
        );
        assert!(
            SequencePacking::single(8, 4)
                .draw_subset(0.0, &mut stream(1, "drop", 0, 0), BatchPlace::WHOLE)
                .is_none()
        );
    }

    #[test]
    fn every_crop_is_kept_equally_often() {
        let packing = SequencePacking::single(5, 1);
        let mut counts = [0usize; 5];
        for i in 0..4000 {
            for r in packing.draw_subset(0.4, &mut stream(2, "drop", i, 0), BatchPlace::WHOLE).unwrap().rows {
                counts[r as usize] += 1;
            }
        }
        assert!(counts.iter().all(|c| (2250..2550).contains(c)), "{counts:?}");
    }

    #[test]
    fn processes_keep_together_what_one_would() {
        // Two views of 8 images in two tokens, and three of one; four processes have two images each.
        let of = |images: usize| SequencePacking {
            groups: vec![
                CropGroup { count: 2 * images, tokens: 2 },
                CropGroup { count: 3 * images, tokens: 1 },
            ],
        };
        let mut alone = 0;
        for draw in 0..40 {
            let rng = || stream(3, "drop", draw, 0);
            let whole = of(8).draw_subset(0.6, &mut rng(), BatchPlace::WHOLE).unwrap();
            let mut found: Vec<(i32, f32)> = Vec::new();
            for rank in 0..4 {
                let place = BatchPlace { rank, ranks: 4, images: 2 };
                let part = of(2).draw_subset(0.6, &mut rng(), place).unwrap();
                assert_eq!((part.packing.groups.len(), part.packing.len()), (2, part.rows.len()));
                alone += usize::from(part.packing.groups[0].count == 0);
                // Where each row stands in the whole sequence.
                found.extend(part.rows.iter().zip(&part.scale).map(|(row, scale)| {
                    let (start, row, tokens) = if *row < 8 { (0, *row, 2) } else { (32, *row - 8, 1) };
                    let (crop, token) = (row / tokens, row % tokens);
                    let crop = crop / 2 * 8 + 2 * rank as i32 + crop % 2;
                    (start + crop * tokens + token, *scale)
                }));
            }
            found.sort_by_key(|(row, _)| *row);
            assert_eq!(found, whole.rows.into_iter().zip(whole.scale).collect::<Vec<_>>());
        }
        assert!(alone > 0, "some keep none of a group");
    }
}

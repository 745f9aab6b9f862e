//! Which patches of the global crops the student must guess (BEiT-style blocks), and their collation.

use serde::{Deserialize, Serialize};

use crate::rng::{RngExt, Stream};

/// How global crops are masked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskRecipe {
    /// Share of global crops that are masked at all.
    pub probability: f64,
    /// Smallest share of a masked crop's patches.
    pub ratio_min: f64,
    /// Largest share of a masked crop's patches.
    pub ratio_max: f64,
}

impl Default for MaskRecipe {
    fn default() -> Self {
        Self { probability: 0.5, ratio_min: 0.1, ratio_max: 0.5 }
    }
}

/// Masks of the global crops of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct CropMasks {
    /// `[crops, patches]`, row-major.
    pub masked: Vec<bool>,
    /// Number of global crops.
    pub crops: usize,
    /// Patches of each.
    pub patches: usize,
}

/// The masked patches of some crops as flat lists, padded to a length that does not depend on the draw.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskedRows {
    /// Index into `[crops * patches]`. Padding repeats patch 0 with weight 0.
    pub indices: Vec<i32>,
    /// 1 / (masked patches of the crop); 0 for padding.
    pub weights: Vec<f32>,
    /// How many come before the padding.
    pub count: usize,
}

const MIN_BLOCK: f64 = 4.0;
const MIN_ASPECT: f64 = 0.3;
const ATTEMPTS: usize = 10;

/// One crop's mask on a grid of `rows` by `cols` patches: blocks until `target` patches are covered.
///
/// Never covers more than `target`; a few less when no block fits any more.
pub fn block_mask(rows: usize, cols: usize, target: usize, max_block: usize, rng: &mut Stream) -> Vec<bool> {
    let mut mask = vec![false; rows * cols];
    let mut count = 0;
    while count < target {
        let room = (target - count).min(max_block);
        let placed = place_block(&mut mask, rows, cols, room, rng);
        if placed == 0 {
            break;
        }
        count += placed;
    }
    mask
}

/// Largest block: half of the patches, rounded down to whole rows (666 of 37 x 37, not 684).
pub fn max_block(rows: usize, cols: usize) -> usize {
    rows / 2 * cols
}

/// Tries ten times to set a block that adds between 1 and `room` patches; returns how many it added.
fn place_block(mask: &mut [bool], rows: usize, cols: usize, room: usize, rng: &mut Stream) -> usize {
    let aspect_range = (1.0 / MIN_ASPECT).ln();
    for _ in 0..ATTEMPTS {
        // With room below 4 the bounds are reversed, which a linear draw accepts.
        let area = MIN_BLOCK + (room as f64 - MIN_BLOCK) * rng.random::<f64>();
        let aspect = (-aspect_range + 2.0 * aspect_range * rng.random::<f64>()).exp();
        let height = (area * aspect).sqrt().round_ties_even() as usize;
        let width = (area / aspect).sqrt().round_ties_even() as usize;
        if width >= cols || height >= rows {
            continue; // A block never spans a full side.
        }
        let top = rng.random_range(0..=rows - height);
        let left = rng.random_range(0..=cols - width);
        let cells = || (top..top + height).flat_map(|y| (left..left + width).map(move |x| y * cols + x));
        let added = cells().filter(|&i| !mask[i]).count();
        if 0 < added && added <= room {
            cells().for_each(|i| mask[i] = true);
            return added;
        }
    }
    0
}

impl CropMasks {
    /// Masks for `crops` global crops of `rows` by `cols` patches.
    ///
    /// Exactly `floor(crops * probability)` of them are masked; their ratios are stratified between the bounds,
    /// and the list is shuffled, so that masking is per crop and not per image.
    pub fn draw(recipe: &MaskRecipe, crops: usize, rows: usize, cols: usize, rng: &mut Stream) -> Self {
        let patches = rows * cols;
        let masked_crops = (crops as f64 * recipe.probability) as usize;
        let edge = |i: usize| edge(recipe, masked_crops, i);
        let mut order: Vec<usize> = (0..crops).collect();
        let mut masked = vec![false; crops * patches];
        for i in 0..crops {
            let j = rng.random_range(i..crops);
            order.swap(i, j);
        }
        for (i, &crop) in order.iter().take(masked_crops).enumerate() {
            let ratio = edge(i) + (edge(i + 1) - edge(i)) * rng.random::<f64>();
            let target = (patches as f64 * ratio) as usize;
            let mask = block_mask(rows, cols, target, max_block(rows, cols), rng);
            masked[crop * patches..(crop + 1) * patches].copy_from_slice(&mask);
        }
        Self { masked, crops, patches }
    }

    /// A share of the patches of every crop, at least one, at random: for a loss on patches that are not hidden.
    pub fn share(share: f64, crops: usize, patches: usize, rng: &mut Stream) -> Self {
        let chosen = ((patches as f64 * share).round() as usize).clamp(1, patches);
        let mut masked = vec![chosen == patches; crops * patches];
        if chosen < patches {
            let mut order: Vec<usize> = (0..patches).collect();
            for crop in masked.chunks_exact_mut(patches) {
                for i in 0..chosen {
                    order.swap(i, rng.random_range(i..patches));
                    crop[order[i]] = true;
                }
            }
        }
        Self { masked, crops, patches }
    }

    /// The most patches that can be masked in `crops` crops drawn together.
    pub fn upper_bound(recipe: &MaskRecipe, crops: usize, patches: usize) -> usize {
        let masked_crops = (crops as f64 * recipe.probability) as usize;
        (1..=masked_crops).map(|i| (patches as f64 * edge(recipe, masked_crops, i)) as usize).sum()
    }

    /// Masks of some of the crops, in the given order.
    pub fn pick(&self, crops: impl IntoIterator<Item = usize>) -> Self {
        let mut masked = Vec::new();
        let mut count = 0;
        for crop in crops {
            masked.extend_from_slice(&self.masked[crop * self.patches..(crop + 1) * self.patches]);
            count += 1;
        }
        Self { masked, crops: count, patches: self.patches }
    }

    /// Flat lists of the masked patches, padded to a multiple of `step` (at least one row).
    pub fn rows(&self, step: usize) -> MaskedRows {
        let mut rows = MaskedRows { indices: Vec::new(), weights: Vec::new(), count: 0 };
        for (crop, mask) in self.masked.chunks_exact(self.patches).enumerate() {
            let count = mask.iter().filter(|m| **m).count();
            for patch in (0..self.patches).filter(|&p| mask[p]) {
                rows.indices.push((crop * self.patches + patch) as i32);
                rows.weights.push(1.0 / count as f32);
            }
        }
        rows.count = rows.indices.len();
        let length = rows.count.max(1).next_multiple_of(step.max(1));
        rows.indices.resize(length, 0);
        rows.weights.resize(length, 0.0);
        rows
    }
}

/// Edge `i` of `linspace(ratio_min, ratio_max, n + 1)`.
fn edge(recipe: &MaskRecipe, n: usize, i: usize) -> f64 {
    recipe.ratio_min + (recipe.ratio_max - recipe.ratio_min) * i as f64 / n.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;

    #[test]
    fn never_above_target_and_close_to_it() {
        let mut exact = 0;
        let mut total = 0;
        for i in 0..1000 {
            let mask = block_mask(16, 16, 50, 128, &mut stream(1, "mask", i, 0));
            let count = mask.iter().filter(|m| **m).count();
            assert!(count <= 50);
            exact += usize::from(count == 50);
            total += count;
        }
        assert!(exact > 850, "{exact} of 1000 exact");
        assert!((total as f64 / 1000.0 - 49.93).abs() < 0.1, "mean {}", total as f64 / 1000.0);
    }

    #[test]
    fn tiny_targets_and_grids_are_fine() {
        let hits: usize = (0..2000)
            .map(|i| block_mask(16, 16, 1, 128, &mut stream(2, "mask", i, 0)).iter().filter(|m| **m).count())
            .sum();
        assert!((hits as f64 / 2000.0 - 0.73).abs() < 0.05, "mean {}", hits as f64 / 2000.0);
        for side in 1..4 {
            let mask = block_mask(side, side, side * side, side * side, &mut stream(3, "mask", 0, 0));
            assert_eq!(mask.len(), side * side);
        }
        assert!(block_mask(4, 4, 0, 8, &mut stream(3, "mask", 0, 0)).iter().all(|m| !m));
    }

    #[test]
    fn a_block_never_spans_a_full_side() {
        // A single block can not, so a full row or column needs at least two.
        for i in 0..500 {
            let mut mask = vec![false; 36];
            let _ = place_block(&mut mask, 6, 6, 30, &mut stream(4, "mask", i, 0));
            for side in 0..6 {
                assert!(!(0..6).all(|x| mask[side * 6 + x]) && !(0..6).all(|y| mask[y * 6 + side]));
            }
        }
    }

    #[test]
    fn collation_follows_the_recipe() {
        let recipe = MaskRecipe::default();
        assert_eq!(CropMasks::upper_bound(&recipe, 16, 256), 663);
        assert_eq!(CropMasks::upper_bound(&recipe, 64, 256), 2496);
        assert_eq!(CropMasks::upper_bound(&recipe, 128, 256), 4941);
        for i in 0..50 {
            let masks = CropMasks::draw(&recipe, 16, 16, 16, &mut stream(5, "mask", i, 0));
            let masked_crops = masks.masked.chunks(256).filter(|m| m.iter().any(|x| *x)).count();
            assert_eq!(masked_crops, 8);
            let rows = masks.rows(663);
            assert!(rows.count <= 663 && rows.indices.len() == 663);
            assert!((rows.weights.iter().sum::<f32>() - 8.0).abs() < 1e-4);
            let ratio = rows.count as f64 / (8.0 * 256.0);
            assert!((ratio - 0.3).abs() < 0.04, "stratified ratios average 0.3, got {ratio}");
        }
    }

    #[test]
    fn picking_keeps_rows_together() {
        let masks = CropMasks { masked: vec![true, false, false, true, true, true], crops: 3, patches: 2 };
        let picked = masks.pick([2, 0]);
        assert_eq!(picked.masked, [true, true, true, false]);
        let rows = picked.rows(0);
        assert_eq!(rows.indices, [0, 1, 2]);
        assert_eq!(rows.weights, [0.5, 0.5, 1.0]);
        let none = CropMasks { masked: vec![false; 4], crops: 2, patches: 2 }.rows(0);
        assert_eq!((none.indices.len(), none.count), (1, 0));
    }
}

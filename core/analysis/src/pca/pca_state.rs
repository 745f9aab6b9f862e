//! A fit as tensors: what has to be kept so that the next fit, in another process or at another size, has its colours.

use std::collections::BTreeMap;

use dinoscope_shaders::ColourRange;

use crate::pca::{BackgroundMode, ForegroundResult, Pca, PcaAlignment};
use dinoscope_base::state_dict::{HostTensor, StateDict};

/// Names of the tensors: `[3]`, `[3]`, `[1]`, `[dim]`, `[3, dim]`, `[pictures, 2]` and `[patches, 3]`.
const LOW: &str = "range.low";
const HIGH: &str = "range.high";
const SPREAD: &str = "spread";
const MEAN: &str = "mean";
const DIRECTIONS: &str = "directions";
const SHAPES: &str = "shapes";
const SCORES: &str = "scores";

impl Pca {
    /// What the next fit takes its colours from, as float32 tensors by name. Only of a fit without a split: what is
    /// foreground is not kept.
    pub fn kept(&self) -> StateDict {
        let single = |of: &[f64]| of.iter().map(|v| *v as f32).collect::<Vec<f32>>();
        let shapes = self.shapes.iter().flat_map(|(rows, cols)| [*rows as f32, *cols as f32]).collect();
        let directions = self.directions.iter().flat_map(|direction| single(direction)).collect();
        let scores = self.scores.iter().flat_map(|score| single(score)).collect();
        BTreeMap::from([
            (LOW.to_owned(), HostTensor::new([3], self.range.lo.to_vec())),
            (HIGH.to_owned(), HostTensor::new([3], self.range.hi.to_vec())),
            (SPREAD.to_owned(), HostTensor::new([1], vec![self.spread as f32])),
            (MEAN.to_owned(), HostTensor::new([self.dim], self.mean.clone())),
            (DIRECTIONS.to_owned(), HostTensor::new([3, self.dim], directions)),
            (SHAPES.to_owned(), HostTensor::new([self.shapes.len(), 2], shapes)),
            (SCORES.to_owned(), HostTensor::new([self.scores.len(), 3], scores)),
        ])
    }

    /// The fit that was kept so; `None` where a tensor is missing or does not fit the others.
    pub fn of_kept(dict: &StateDict) -> Option<Self> {
        let three = |name: &str| -> Option<[f32; 3]> { dict.get(name)?.data.as_slice().try_into().ok() };
        let double = |name: &str| -> Option<Vec<f64>> {
            Some(dict.get(name)?.data.iter().map(|v| f64::from(*v)).collect())
        };
        let mean = dict.get(MEAN)?.data.clone();
        let dim = mean.len();
        let directions = double(DIRECTIONS)?;
        let [x, y, z] = directions.chunks_exact(dim.max(1)).collect::<Vec<_>>().try_into().ok()?;
        let shapes: Vec<(usize, usize)> = dict.get(SHAPES)?.data.chunks_exact(2).map(whole).collect();
        let scores: Vec<[f64; 3]> = double(SCORES)?.as_chunks::<3>().0.to_vec();
        let patches = shapes.iter().try_fold(0usize, |sum, (rows, cols)| sum.checked_add(rows * cols));
        if dim == 0 || patches != Some(scores.len()) {
            return None;
        }
        Some(Self {
            range: ColourRange { lo: three(LOW)?, hi: three(HIGH)? },
            directions: [x.to_vec(), y.to_vec(), z.to_vec()],
            spread: *double(SPREAD)?.first()?,
            mask: vec![true; scores.len()],
            ..Self::without_split(dim, mean, shapes, scores)
        })
    }

    fn without_split(dim: usize, mean: Vec<f32>, shapes: Vec<(usize, usize)>, scores: Vec<[f64; 3]>) -> Self {
        Self {
            foreground: ForegroundResult::Off,
            alignment: PcaAlignment::None,
            explained: [0.0; 3],
            range: ColourRange::default(),
            background: BackgroundMode::Black,
            dim,
            split: None,
            mean,
            directions: Default::default(),
            spread: 0.0,
            shapes,
            scores,
            first: Vec::new(),
            mask: Vec::new(),
        }
    }

    /// The same fit without the patches that it was made of: what follows goes by the directions alone, as for other
    /// pictures.
    pub fn without_patches(self) -> Self {
        Self { shapes: Vec::new(), scores: Vec::new(), first: Vec::new(), mask: Vec::new(), ..self }
    }

    /// The same fit as if the same pictures had been cut into so many patches, `(rows, cols)` each; as it is where they
    /// are, or where there are other pictures than so many, or a split.
    pub fn on_grids(&self, shapes: &[(usize, usize)]) -> Self {
        if self.shapes == shapes || self.shapes.len() != shapes.len() || self.split.is_some() {
            return self.clone();
        }
        let mut scores = Vec::new();
        let mut start = 0;
        for (&from, &to) in self.shapes.iter().zip(shapes) {
            let count = from.0 * from.1;
            match self.scores.get(start..start + count) {
                Some(own) if count > 0 => scores.extend(regridded(own, from, to)),
                _ => return self.clone(),
            }
            start += count;
        }
        Self { shapes: shapes.to_vec(), mask: vec![true; scores.len()], scores, ..self.clone() }
    }
}

/// Two sizes that stand in a row of numbers.
fn whole(pair: &[f32]) -> (usize, usize) {
    // More patches in a row than any picture has, and few enough to be multiplied.
    let size = |v: f32| v.clamp(0.0, 16_384.0) as usize;
    (size(pair[0]), size(pair[1]))
}

/// Scores of a picture's patches on another grid, linear between the middles of patches.
fn regridded(scores: &[[f64; 3]], from: (usize, usize), to: (usize, usize)) -> Vec<[f64; 3]> {
    let place = |at: usize, from: usize, to: usize| {
        let exact = ((at as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64);
        let low = exact as usize;
        (low, (low + 1).min(from - 1), exact - low as f64)
    };
    let mut out = Vec::with_capacity(to.0 * to.1);
    for row in 0..to.0 {
        let (top, bottom, down) = place(row, from.0, to.0);
        for col in 0..to.1 {
            let (left, right, across) = place(col, from.1, to.1);
            let line = |row: usize, c: usize| {
                let [a, b] = [scores[row * from.1 + left][c], scores[row * from.1 + right][c]];
                a + across * (b - a)
            };
            out.push(std::array::from_fn(|c| {
                let [a, b] = [line(top, c), line(bottom, c)];
                a + down * (b - a)
            }));
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::PatchFeatures;
    use crate::pca::PcaOptions;
    use dinoscope_base::rng::{RngExt, stream};

    fn options() -> PcaOptions {
        PcaOptions { foreground: false, ..PcaOptions::default() }
    }

    /// A picture that runs from side to side and from top to bottom, with a little noise.
    fn picture(rows: usize, cols: usize, seed: u64) -> PatchFeatures {
        let mut rng = stream(seed, "kept", 0, 0);
        let mut data = Vec::new();
        for row in 0..rows {
            for col in 0..cols {
                let (x, y) = (col as f32 / cols as f32, row as f32 / rows as f32);
                let noise: [f32; 2] = std::array::from_fn(|_| rng.random_range(-0.01..0.01));
                data.extend([3.0 * x, 2.0 * y, (6.0 * x * y).sin(), noise[0], noise[1]]);
            }
        }
        PatchFeatures { rows, cols, dim: 5, data }
    }

    #[test]
    fn what_is_kept_comes_back_and_gives_the_same_colours() {
        let (before, after) = (picture(6, 8, 1), picture(6, 8, 2));
        let pca = Pca::fit(&[&before], None, &options()).unwrap();
        let back = Pca::of_kept(&pca.kept()).unwrap();
        let follow = |previous| Pca::fit(&[&after], Some(previous), &options()).unwrap();
        let (straight, resumed) = (follow(&pca), follow(&back));
        assert_eq!(resumed.alignment, PcaAlignment::Scores);
        let colours = |pca: &Pca| pca.colour(&after).unwrap().rgb;
        for (a, b) in colours(&straight).iter().zip(colours(&resumed)) {
            assert!(a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 1), "{a:?} {b:?}");
        }
        let mut torn = pca.kept();
        torn.remove(SCORES);
        assert!(Pca::of_kept(&torn).is_none());
        let mut other = pca.kept();
        other.insert(SHAPES.to_owned(), HostTensor::new([1, 2], vec![9.0, 9.0]));
        assert!(Pca::of_kept(&other).is_none());
    }

    #[test]
    fn another_grid_of_the_same_pictures_keeps_their_colours() {
        let (small, large) = (picture(6, 8, 1), picture(12, 16, 3));
        let pca = Pca::fit(&[&small], None, &options()).unwrap();
        // As if the sign of every component had come out otherwise.
        let mut turned = pca.kept();
        for name in [DIRECTIONS, SCORES] {
            turned.get_mut(name).unwrap().data.iter_mut().for_each(|v| *v = -*v);
        }
        let turned = Pca::of_kept(&turned).unwrap().on_grids(&[(12, 16)]);
        let fitted = Pca::fit(&[&large], Some(&turned), &options()).unwrap();
        assert_eq!(fitted.alignment, PcaAlignment::Scores);
        let near = turned.scores.iter().zip(&fitted.scores).map(|(a, b)| a[0] * b[0]).sum::<f64>();
        assert!(near > 0.0, "{near}");
        assert_eq!(pca.on_grids(&[(6, 8), (6, 8)]).shapes, [(6, 8)], "other pictures");
        let bare = pca.without_patches();
        assert_eq!(Pca::fit(&[&large], Some(&bare), &options()).unwrap().alignment, PcaAlignment::Components);
    }
}

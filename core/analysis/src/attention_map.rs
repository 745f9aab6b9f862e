//! Where one token looks: attention probabilities of a query as maps over the picture.
//!
//! For the class token of the last block this is the picture that made DINO known. Keys of the
//! class token and of registers are no places in the picture and are dropped.

use super::colour_map::ColourMap;
use super::image_out::{UpsampleFilter, upsample_values};
use super::{AnalysisError, check_finite, check_len};
use dinoscope_data::Picture;

/// Attention of one query, head by head.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AttentionMaps {
    /// Patches from top to bottom.
    pub rows: usize,
    /// Patches from left to right.
    pub cols: usize,
    /// One map a head, `[rows * cols]`, each with sum 1.
    pub heads: Vec<Vec<f32>>,
    /// The mean over heads of the probabilities, `[rows * cols]`, with sum 1. Heads that look mostly
    /// at registers count less, as they do in the model.
    #[serde(with = "dinoscope_base::wire::floats")]
    pub mean: Vec<f32>,
    /// Per head, the share of attention that went to class token and registers: not part of the map.
    pub elsewhere: Vec<f32>,
}

impl AttentionMaps {
    /// From `[heads, prefix + rows * cols]` probabilities of one query over all keys.
    ///
    /// `prefix` is 1 + registers. A head that gives patches nothing at all becomes an even map.
    pub fn new(
        probabilities: &[f32],
        heads: usize,
        prefix: usize,
        rows: usize,
        cols: usize,
    ) -> Result<Self, AnalysisError> {
        let patches = rows * cols;
        if heads == 0 || patches == 0 {
            return Err(AnalysisError::Empty("heads or patches"));
        }
        check_len("attention probabilities", probabilities.len(), heads * (prefix + patches))?;
        check_finite("attention probabilities", probabilities)?;
        let mut maps = Vec::with_capacity(heads);
        let mut elsewhere = Vec::with_capacity(heads);
        let mut mean = vec![0.0; patches];
        for head in probabilities.chunks_exact(prefix + patches) {
            let (dropped, kept) = head.split_at(prefix);
            mean.iter_mut().zip(kept).for_each(|(m, p)| *m += p);
            let all: f32 = head.iter().sum();
            elsewhere.push(if all > 0.0 { dropped.iter().sum::<f32>() / all } else { 0.0 });
            maps.push(to_sum_one(kept));
        }
        Ok(Self { rows, cols, heads: maps, mean: to_sum_one(&mean), elsewhere })
    }
}

fn to_sum_one(map: &[f32]) -> Vec<f32> {
    let sum: f64 = map.iter().map(|v| f64::from(*v)).sum();
    if sum > 0.0 {
        map.iter().map(|v| (f64::from(*v) / sum) as f32).collect()
    } else {
        vec![1.0 / map.len() as f32; map.len()]
    }
}

/// A map stretched to 0..1 for display: its minimum becomes 0, its `percentile` (100: the maximum) 1.
///
/// A percentile a little below 100 keeps single outlier patches (common without registers) from
/// darkening everything else. A map without differences becomes all 0.
pub fn stretch(map: &[f32], percentile: f32) -> Vec<f32> {
    let (lo, hi) = range(map, percentile);
    let scale = if hi > lo { 1.0 / (hi - lo) } else { 0.0 };
    map.iter().map(|v| ((f64::from(*v) - lo) * scale).clamp(0.0, 1.0) as f32).collect()
}

/// The values that [`stretch`] makes 0 and 1: those for the ends of a colour bar. 0 and 0 where no value is finite.
pub fn stretched_range(map: &[f32], percentile: f32) -> (f32, f32) {
    let (lo, hi) = range(map, percentile);
    (lo as f32, hi as f32)
}

fn range(map: &[f32], percentile: f32) -> (f64, f64) {
    let mut sorted: Vec<f64> = map.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v)).collect();
    if sorted.is_empty() {
        return (0.0, 0.0);
    }
    sorted.sort_by(f64::total_cmp);
    let (lo, mut hi) = (sorted[0], super::pca::percentile(&sorted, percentile.clamp(0.0, 100.0)));
    if hi <= lo {
        // Nearly everything is equal: then the outliers are all there is to see.
        hi = sorted[sorted.len() - 1];
    }
    (lo, hi)
}

/// A map of values in 0..1 in colours over a picture.
///
/// `values` is `[rows * cols]`; `opacity` is the share of the map in the result, 0 to 1.
pub fn overlay(
    picture: &Picture,
    values: &[f32],
    rows: usize,
    cols: usize,
    colours: ColourMap,
    opacity: f32,
    filter: UpsampleFilter,
) -> Result<Picture, AnalysisError> {
    if !(0.0..=1.0).contains(&opacity) {
        let value = f64::from(opacity);
        return Err(AnalysisError::Option { option: "opacity", value, expected: "0 to 1" });
    }
    check_len("bytes of the picture", picture.rgb.len(), picture.width * picture.height * 3)?;
    let values = upsample_values(values, rows, cols, picture.width, picture.height, filter)?;
    let table = colours.table();
    let mut out = picture.clone();
    for (pixel, value) in out.rgb.chunks_exact_mut(3).zip(values) {
        let colour = table[(value.clamp(0.0, 1.0) * 255.0).round() as usize];
        for (p, c) in pixel.iter_mut().zip(colour) {
            *p = (f32::from(*p) * (1.0 - opacity) + f32::from(c) * opacity).round() as u8;
        }
    }
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn drops_the_prefix_and_normalises() {
        // Two heads, class token and one register, 1 x 2 patches.
        let p = [0.5, 0.1, 0.1, 0.3, 0.0, 0.0, 0.75, 0.25];
        let maps = AttentionMaps::new(&p, 2, 2, 1, 2).unwrap();
        assert_eq!(maps.heads, [[0.25, 0.75], [0.75, 0.25]]);
        assert!((maps.mean[0] - 0.85 / 1.4).abs() < 1e-6);
        assert!((maps.elsewhere[0] - 0.6).abs() < 1e-6 && maps.elsewhere[1] == 0.0);
        let blind = AttentionMaps::new(&[1.0, 0.0, 0.0], 1, 1, 2, 1).unwrap();
        assert_eq!(blind.heads[0], [0.5, 0.5]);
    }

    #[test]
    fn refuses_wrong_shapes_and_numbers() {
        assert!(matches!(AttentionMaps::new(&[0.0; 7], 2, 2, 1, 2), Err(AnalysisError::Shape { .. })));
        assert!(matches!(AttentionMaps::new(&[], 0, 1, 1, 1), Err(AnalysisError::Empty(_))));
        assert!(matches!(
            AttentionMaps::new(&[0.5, f32::NAN], 1, 1, 1, 1),
            Err(AnalysisError::NotFinite { index: 1, .. })
        ));
        let picture = Picture::of_rgb(1, 1, vec![0; 3]);
        assert!(overlay(&picture, &[0.0], 1, 1, ColourMap::Grey, 2.0, UpsampleFilter::Nearest).is_err());
        assert!(overlay(&picture, &[0.0; 2], 1, 1, ColourMap::Grey, 1.0, UpsampleFilter::Nearest).is_err());
    }

    #[test]
    fn stretches_and_overlays() {
        assert_eq!(stretch(&[1.0, 3.0, 2.0], 100.0), [0.0, 1.0, 0.5]);
        assert_eq!(stretch(&[2.0; 3], 99.0), [0.0; 3]);
        assert_eq!(stretched_range(&[1.0, 3.0, f32::NAN, 2.0], 100.0), (1.0, 3.0));
        assert_eq!(stretched_range(&[f32::NAN], 99.0), (0.0, 0.0));
        let mut outlier = vec![0.0; 1000];
        outlier[3] = 1.0;
        assert_eq!(stretch(&outlier, 99.0)[3], 1.0);
        assert!(stretch(&[f32::NAN], 99.0).len() == 1 && stretch(&[], 99.0).is_empty());

        let picture = Picture::of_rgb(2, 1, vec![100; 6]);
        let half =
            overlay(&picture, &[0.0, 1.0], 1, 2, ColourMap::Grey, 0.5, UpsampleFilter::Nearest).unwrap();
        assert_eq!(half.rgb, [50, 50, 50, 178, 178, 178]);
        let none =
            overlay(&picture, &[0.0, 1.0], 1, 2, ColourMap::Inferno, 0.0, UpsampleFilter::Bicubic).unwrap();
        assert_eq!(none, picture);
    }
}

//! What is told from a picture's pixels without a model: a hash that small changes leave alone, and how good it is.

use std::f64::consts::PI;

use dinoscope_data::Picture;

/// Side of the small picture that is hashed.
const SIDE: usize = 32;
/// Frequencies of the hash in each direction.
const BITS: usize = 8;
/// Shorter side at which blur is measured, so that pictures of different sizes can be compared.
const SHORT: usize = 256;
/// Least amplitude of a hashed frequency, in grey levels: below it there is nothing to hash but noise.
const FLAT: f64 = 0.5;

/// How good a picture is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PictureQuality {
    /// Variance of the Laplacian of the lightness (0 to 255) at a shorter side of at most 256 pixels: low where it is
    /// blurred. Source: Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy".
    pub blur: f32,
    /// 1 less the 99th percentile of the lightness (0 to 1), as cleanvision tells dark pictures: 1 where all is black.
    pub darkness: f32,
}

/// 64-bit hashes of a picture's coarse structure, as it is and with left and right exchanged; `None` where there is none, as in a picture of one colour.
///
/// The lightness at 32 × 32 pixels, its discrete cosine transform, of that the 8 × 8 lowest frequencies without the
/// constant ones, and for each whether it is above their median. Source: Zauner 2010, "Implementation and Benchmarking of
/// Perceptual Image Hash Functions", section 3.2.1, which is the pHash library's.
pub fn perceptual_hashes(picture: &Picture) -> Option<[u64; 2]> {
    let small = lightness(picture, SIDE, SIDE);
    let angle = |k: usize, x: usize| (PI * k as f64 * (2 * x + 1) as f64 / (2 * SIDE) as f64).cos();
    let table: Vec<f64> = (1..=BITS).flat_map(|k| (0..SIDE).map(move |x| angle(k, x))).collect();
    // Rows first, then columns of what is left.
    let mut rows = [[0f64; BITS]; SIDE];
    for (row, values) in rows.iter_mut().zip(small.chunks_exact(SIDE)) {
        for (k, sum) in row.iter_mut().enumerate() {
            *sum = values.iter().zip(&table[k * SIDE..]).map(|(v, t)| f64::from(*v) * t).sum();
        }
    }
    let mut found = [0f64; BITS * BITS];
    for v in 0..BITS {
        for u in 0..BITS {
            // The amplitude of the frequency, in grey levels.
            found[v * BITS + u] =
                (0..SIDE).map(|y| rows[y][u] * table[v * SIDE + y]).sum::<f64>() * 4.0 / (SIDE * SIDE) as f64;
        }
    }
    if found.iter().all(|value| value.abs() < FLAT) {
        return None;
    }
    let mut mirrored = found;
    // The first frequency across is odd, the second even.
    mirrored.iter_mut().step_by(2).for_each(|value| *value = -*value);
    Some([found, mirrored].map(|found| above_median(&found)))
}

/// For each of some values whether it is above their median.
fn above_median(found: &[f64; BITS * BITS]) -> u64 {
    let mut sorted = *found;
    sorted.sort_unstable_by(f64::total_cmp);
    let median = (sorted[found.len() / 2 - 1] + sorted[found.len() / 2]) / 2.0;
    found.iter().enumerate().fold(0, |hash, (bit, value)| hash | u64::from(*value > median) << bit)
}

/// How good a picture is.
pub fn quality(picture: &Picture) -> PictureQuality {
    let short = picture.width.min(picture.height).max(1);
    let side = |length: usize| if short > SHORT { (length * SHORT / short).max(1) } else { length };
    let (width, height) = (side(picture.width), side(picture.height));
    let grey = lightness(picture, width, height);
    let at = |x: usize, y: usize| f64::from(grey[y * width + x]);
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0usize);
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let laplacian = at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * at(x, y);
            sum += laplacian;
            squares += laplacian * laplacian;
            count += 1;
        }
    }
    let count = count.max(1) as f64;
    let blur = (squares / count - (sum / count).powi(2)).max(0.0);
    let mut levels = [0usize; 256];
    grey.iter().for_each(|v| levels[(*v + 0.5) as usize & 255] += 1);
    let most = grey.len() - grey.len() / 100;
    let mut below = 0;
    let bright = levels.iter().position(|count| {
        below += count;
        below >= most
    });
    PictureQuality { blur: blur as f32, darkness: 1.0 - bright.unwrap_or(0) as f32 / 255.0 }
}

/// Lightness (Rec. 601 luma, 0 to 255) at another size: each pixel is the mean of the area that it covers.
pub(crate) fn lightness(picture: &Picture, width: usize, height: usize) -> Vec<f32> {
    let grey: Vec<f32> = picture
        .rgb
        .chunks_exact(3)
        .map(|p| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]))
        .collect();
    if (width, height) == (picture.width, picture.height) {
        return grey;
    }
    // One direction after the other: a mean over areas is one of means over rows.
    let mut across = Vec::with_capacity(picture.height * width);
    let columns = spans(picture.width, width);
    for row in grey.chunks_exact(picture.width.max(1)) {
        across.extend(columns.iter().map(|span| span.mean(|i| row[i])));
    }
    let mut out = vec![0.0; width * height];
    for (row, span) in out.chunks_exact_mut(width.max(1)).zip(spans(picture.height, height)) {
        let mut whole = 0.0;
        for (i, weight) in span.weights() {
            whole += weight;
            let from = &across[i * width..][..width];
            row.iter_mut().zip(from).for_each(|(sum, value)| *sum += weight * value);
        }
        row.iter_mut().for_each(|sum| *sum /= whole);
    }
    out
}

/// Where a pixel of the other size begins and ends among the old ones.
struct CoveredSpan {
    start: f64,
    end: f64,
}

fn spans(from: usize, to: usize) -> Vec<CoveredSpan> {
    let scale = from as f64 / to as f64;
    let span =
        |i: usize| CoveredSpan { start: i as f64 * scale, end: ((i + 1) as f64 * scale).min(from as f64) };
    (0..to).map(span).collect()
}

impl CoveredSpan {
    /// Old pixels with how much of each is covered.
    fn weights(&self) -> impl Iterator<Item = (usize, f32)> + '_ {
        let last = (self.end.ceil() as usize).max(self.start as usize + 1);
        (self.start as usize..last).map(|i| {
            let covered = self.end.min((i + 1) as f64) - self.start.max(i as f64);
            (i, covered.max(1e-9) as f32)
        })
    }

    fn mean(&self, value: impl Fn(usize) -> f32) -> f32 {
        let (sum, whole) = self
            .weights()
            .fold((0.0, 0.0), |(sum, whole), (i, weight)| (sum + weight * value(i), whole + weight));
        sum / whole
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_data::augment::{flip_horizontal, resize_to};
    use dinoscope_data::source::PictureSource;
    use dinoscope_data::source::procedural::ProceduralSource;

    fn drawn(i: usize) -> Picture {
        ProceduralSource::new(7, 64, 96).load(i).unwrap()
    }

    fn perceptual_hash(picture: &Picture) -> Option<u64> {
        perceptual_hashes(picture).map(|[hash, _]| hash)
    }

    fn plain(width: usize, height: usize, value: u8) -> Picture {
        Picture::of_rgb(width, height, vec![value; width * height * 3])
    }

    #[test]
    fn the_transform_is_that_of_its_definition() {
        // A picture that is one of the hashed frequencies: that coefficient alone is above the median's zero.
        for (u, v) in [(1, 1), (3, 2), (8, 8)] {
            let value = |x: usize, y: usize| {
                let c = |k: usize, i: usize| (PI * k as f64 * (2 * i + 1) as f64 / 64.0).cos();
                (128.0 + 100.0 * c(u, x) * c(v, y)).round() as u8
            };
            let rgb = (0..32 * 32).flat_map(|i| [value(i % 32, i / 32); 3]).collect();
            let hash = perceptual_hash(&Picture::of_rgb(32, 32, rgb)).unwrap();
            assert!(hash >> ((v - 1) * 8 + u - 1) & 1 == 1, "{u} {v}: {hash:x}");
        }
    }

    #[test]
    fn copies_hash_alike_and_others_do_not() {
        let apart = |a: &Picture, b: &Picture| {
            (perceptual_hash(a).unwrap() ^ perceptual_hash(b).unwrap()).count_ones()
        };
        for i in 0..12 {
            let picture = drawn(i);
            for (width, height) in [(64, 64), (150, 150), (91, 103)] {
                assert!(apart(&picture, &resize_to(&picture, width, height)) <= 8, "{i} {width}");
            }
            assert!(apart(&picture, &drawn(i + 20)) > 10, "{i}");
        }
        for i in 0..12 {
            let (picture, mut mirrored) = (drawn(i), drawn(i));
            flip_horizontal(&mut mirrored);
            let [[a, b], [c, d]] = [&picture, &mirrored].map(|picture| perceptual_hashes(picture).unwrap());
            assert!(
                (a ^ d).count_ones() <= 2 && (b ^ c).count_ones() <= 2 && (a ^ c).count_ones() > 10,
                "{i}"
            );
        }
        assert_eq!(perceptual_hash(&plain(50, 3, 120)), None, "nothing to hash");
        assert!(perceptual_hash(&plain(1, 1, 0)).is_none());
    }

    #[test]
    fn blur_and_darkness_say_what_they_are_called() {
        let picture = drawn(3);
        let mut blurred = picture.clone();
        dinoscope_data::augment::gaussian_blur(&mut blurred, 2.0);
        assert!(quality(&blurred).blur < 0.5 * quality(&picture).blur);
        assert_eq!(quality(&plain(20, 30, 0)), PictureQuality { blur: 0.0, darkness: 1.0 });
        assert_eq!(quality(&plain(1, 1, 255)), PictureQuality { blur: 0.0, darkness: 0.0 });
        // Few bright pixels do not make a dark picture bright.
        let mut night = plain(100, 100, 51);
        night.rgb[..3 * 50].fill(255);
        assert!((quality(&night).darkness - 0.8).abs() < 1e-6);
        // By hand: a dot of 90 on black in 3 × 3 pixels has the one Laplacian −360.
        let mut dot = plain(5, 3, 0);
        dot.rgb[3 * (5 + 2)..3 * (5 + 3)].fill(90);
        // −360, and 90 on both sides: mean −60, variance (300² + 150² + 150²) / 3.
        assert!((quality(&dot).blur - 45_000.0).abs() < 1.0, "{:?}", quality(&dot));
    }

    #[test]
    fn areas_are_averaged_at_any_size() {
        let picture = Picture::of_rgb(3, 1, vec![0, 0, 0, 90, 90, 90, 240, 240, 240]);
        let near = |got: Vec<f32>, want: &[f32]| got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(near(lightness(&picture, 2, 1), &[30.0, 190.0]));
        assert!(near(lightness(&picture, 6, 2)[..6].to_vec(), &[0.0, 0.0, 90.0, 90.0, 240.0, 240.0]));
    }
}

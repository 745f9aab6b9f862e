//! Which patches look alike to the model: within a picture, between pictures, and as matched pairs.
//!
//! Source: DINOv2, figure 10 and section 7.6 (patch matching): mutual nearest neighbours between
//! foreground patches, with non-maximum suppression so that the pairs spread over the picture.

use super::linalg::{LANES, PackedPanels, normalise_rows};
use super::{AnalysisError, PatchFeatures, check_len};

/// Cosine similarity of one feature, `[dim]`, to every patch of a picture: `[rows * cols]` in -1..1.
///
/// Patches of length zero are similar to nothing (0).
pub fn to_all(query: &[f32], picture: &PatchFeatures) -> Result<Vec<f32>, AnalysisError> {
    check_len("numbers of the query", query.len(), picture.dim)?;
    super::check_finite("query", query)?;
    picture.check()?;
    if picture.dim == 0 {
        return Ok(vec![0.0; picture.len()]);
    }
    let product =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum() };
    let length = product(query, query).sqrt();
    Ok(picture
        .data
        .chunks_exact(picture.dim)
        .map(|patch| {
            let both = length * product(patch, patch).sqrt();
            if both > 0.0 { (product(query, patch) / both) as f32 } else { 0.0 }
        })
        .collect())
}

/// Similarity of patch `index` of one picture to every patch of another (or the same).
pub fn of_patch(from: &PatchFeatures, index: usize, to: &PatchFeatures) -> Result<Vec<f32>, AnalysisError> {
    let query = from.patch(index).ok_or(AnalysisError::Shape {
        what: "patch index",
        found: index,
        expected: from.len().saturating_sub(1),
    })?;
    to_all(query, to)
}

/// Two patches that are each other's nearest neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatchCorrespondence {
    /// Patch of the first picture, in reading order.
    pub a: usize,
    /// Patch of the second picture.
    pub b: usize,
    /// Their cosine similarity.
    pub similarity: f32,
}

/// Which matches to keep.
#[derive(Clone, Copy, Debug, Default)]
pub struct MatchOptions<'a> {
    /// At most so many, the most similar first; 0 keeps all.
    pub top: usize,
    /// A match is left out when a better one lies nearer than this in both pictures, in patches; 0 keeps all.
    pub apart: f32,
    /// Only these patches of the first picture take part, `[rows * cols]`.
    pub mask_a: Option<&'a [bool]>,
    /// Only these patches of the second picture take part.
    pub mask_b: Option<&'a [bool]>,
}

/// The best mutual nearest neighbours between two pictures, most similar first.
///
/// Ties go to the earlier patch, so the result never depends on the number of threads.
pub fn matches(
    a: &PatchFeatures,
    b: &PatchFeatures,
    options: &MatchOptions<'_>,
) -> Result<Vec<PatchCorrespondence>, AnalysisError> {
    a.check()?;
    b.check()?;
    check_len("numbers per patch", b.dim, a.dim)?;
    let (index_a, kept_a) = kept(a, options.mask_a)?;
    let (index_b, kept_b) = kept(b, options.mask_b)?;
    let to_b = nearest(&kept_a, &kept_b, a.dim);
    let to_a = nearest(&kept_b, &kept_a, a.dim);
    let mut found: Vec<PatchCorrespondence> = to_b
        .iter()
        .enumerate()
        .filter(|(i, (j, _))| to_a.get(*j).is_some_and(|(back, _)| back == i))
        .map(|(i, (j, similarity))| PatchCorrespondence {
            a: index_a[i],
            b: index_b[*j],
            similarity: *similarity,
        })
        .collect();
    found.sort_by(|x, y| y.similarity.total_cmp(&x.similarity).then(x.a.cmp(&y.a)));

    let far = |i: usize, j: usize, cols: usize| -> bool {
        let (dy, dx) = ((i / cols).abs_diff(j / cols), (i % cols).abs_diff(j % cols));
        ((dy * dy + dx * dx) as f32).sqrt() >= options.apart
    };
    let mut out: Vec<PatchCorrespondence> = Vec::new();
    for new in found {
        if options.top > 0 && out.len() == options.top {
            break;
        }
        if out.iter().all(|old| far(old.a, new.a, a.cols) || far(old.b, new.b, b.cols)) {
            out.push(new);
        }
    }
    Ok(out)
}

/// Indices and normalised features of the patches that take part.
fn kept(picture: &PatchFeatures, mask: Option<&[bool]>) -> Result<(Vec<usize>, Vec<f32>), AnalysisError> {
    if let Some(mask) = mask {
        check_len("mask", mask.len(), picture.len())?;
    }
    let index: Vec<usize> = (0..picture.len()).filter(|i| mask.is_none_or(|m| m[*i])).collect();
    let rows: Vec<f32> =
        index.iter().filter_map(|i| picture.patch(*i)).flat_map(|p| p.iter().copied()).collect();
    Ok((index, normalise_rows(&rows, picture.dim)))
}

/// For each row of `a` the most similar row of `b` and the similarity; empty when either is.
fn nearest(a: &[f32], b: &[f32], dim: usize) -> Vec<(usize, f32)> {
    if a.is_empty() || b.is_empty() {
        return Vec::new();
    }
    let (a, b) = (PackedPanels::new(a, a.len() / dim, dim), PackedPanels::new(b, b.len() / dim, dim));
    let mut out = vec![(0, f32::NEG_INFINITY); a.rows()];
    dinoscope_base::parallel::for_chunks(&mut out, LANES, |panel, best| {
        let mut block = [[0.0; LANES]; LANES];
        for other in 0..b.panels() {
            a.block(panel, &b, other, &mut block);
            for (best, row) in best.iter_mut().zip(&block) {
                for (lane, similarity) in row[..b.rows_in(other)].iter().enumerate() {
                    if *similarity > best.1 {
                        *best = (other * LANES + lane, *similarity);
                    }
                }
            }
        }
    });
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_base::rng;

    fn picture(rows: usize, cols: usize, dim: usize, seed: u64) -> PatchFeatures {
        let mut stream = rng::stream(seed, "similarity", 0, 0);
        let data = (0..rows * cols * dim).map(|_| rng::normal(&mut stream)).collect();
        PatchFeatures { rows, cols, dim, data }
    }

    #[test]
    fn similarity_by_hand() {
        let p =
            PatchFeatures { rows: 1, cols: 4, dim: 2, data: vec![3.0, 0.0, 0.0, 2.0, -1.0, 0.0, 0.0, 0.0] };
        assert_eq!(of_patch(&p, 0, &p).unwrap(), [1.0, 0.0, -1.0, 0.0]);
        assert!(of_patch(&p, 4, &p).is_err());
        assert!(to_all(&[1.0], &p).is_err());
        assert!(to_all(&[1.0, f32::NAN], &p).is_err());
    }

    #[test]
    fn a_shuffled_picture_matches_itself() {
        let a = picture(6, 7, 12, 1);
        // Patch i of `a` is patch 41 - i of `b`, twice as long.
        let data = (0..42)
            .rev()
            .flat_map(|i| a.patch(i).unwrap().iter().map(|v| v * 2.0).collect::<Vec<_>>())
            .collect();
        let b = PatchFeatures { data, ..a.clone() };
        let found = matches(&a, &b, &MatchOptions::default()).unwrap();
        assert_eq!(found.len(), 42);
        assert!(found.iter().all(|m| m.b == 41 - m.a && (m.similarity - 1.0).abs() < 1e-5));
        let top = matches(&a, &b, &MatchOptions { top: 5, ..Default::default() }).unwrap();
        assert_eq!(top, found[..5]);
        let apart = matches(&a, &b, &MatchOptions { apart: 3.0, ..Default::default() }).unwrap();
        assert!(apart.len() < 15 && apart.len() > 3, "{}", apart.len());
        let mut mask = vec![false; 42];
        mask[4] = true;
        let one = matches(&a, &b, &MatchOptions { mask_a: Some(&mask), ..Default::default() }).unwrap();
        assert!(one.len() == 1 && one[0].a == 4 && one[0].b == 37);
        mask[4] = false;
        assert!(
            matches(&a, &b, &MatchOptions { mask_b: Some(&mask), ..Default::default() }).unwrap().is_empty()
        );
        assert!(matches(&a, &b, &MatchOptions { mask_b: Some(&[true]), ..Default::default() }).is_err());
    }

    #[test]
    fn matches_are_mutual() {
        let (a, b) = (picture(5, 9, 4, 2), picture(8, 3, 4, 3));
        let found = matches(&a, &b, &MatchOptions::default()).unwrap();
        assert!(!found.is_empty());
        for m in found {
            let best = |v: Vec<f32>| v.iter().enumerate().fold(0, |b, (i, s)| if *s > v[b] { i } else { b });
            assert_eq!(best(of_patch(&a, m.a, &b).unwrap()), m.b);
            assert_eq!(best(of_patch(&b, m.b, &a).unwrap()), m.a);
        }
    }
}

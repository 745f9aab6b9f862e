//! The nearest neighbours of a few pictures of a run among its own, drawn: what features are good for, to the eye.

use std::path::PathBuf;

use burn::tensor::Device;
use dinoscope_base::parallel::for_chunks;

use super::BACKDROP;
use crate::analysis::canvas::PictureCanvas;
use crate::data::Picture;
use crate::data::augment::eval_view;
use crate::data::source::PictureSource;
use crate::eval::EvalProtocolError;
use crate::eval::crops::{MOST_PICTURES, evenly};
use crate::eval::retrieve::{RelevanceLabels, RetrievalProtocol, RetrievalSearch};
use crate::eval::run::EvaluationError;
use crate::features::{ImageFeatureSpec, embed};
use crate::files;
use crate::model::Vit;
use crate::train::run::RunFolder;

/// Pictures that are asked for, a row each.
pub const QUERIES: usize = 6;
/// Pictures that are found for each.
pub const FOUND: usize = 4;

/// Side of a picture in the sheet.
const SIDE: usize = 80;
const GAP: usize = 4;
/// Between the one that is asked for and those that are found.
const APART: usize = 16;
/// Pictures that pass through the backbone at once.
const BATCH: usize = 64;

/// What the names of these files end with.
const SUFFIX: &str = "-neighbours.png";

/// Where the sheet after some steps lies: `pictures/000100-neighbours.png`.
pub fn file(folder: &RunFolder, iteration: u64) -> PathBuf {
    folder.pictures().join(format!("{iteration:06}{SUFFIX}"))
}

/// The sheets that there are, by iteration.
pub fn files(folder: &RunFolder) -> Vec<(u64, PathBuf)> {
    let entries = files::read_dir(folder.pictures()).into_iter().flatten().flatten();
    let step = |name: &str| name.strip_suffix(SUFFIX)?.parse().ok();
    let sheet = |path: PathBuf| Some((step(path.file_name()?.to_str()?)?, path));
    let mut all: Vec<(u64, PathBuf)> = entries.filter_map(|entry| sheet(entry.path())).collect();
    all.sort();
    all
}

/// A sheet of [`QUERIES`] pictures from all over a source, each at the left of a row, and the [`FOUND`] others whose CLS
/// features of square views of `size` pixels have the largest cosine with its own, the nearest first. Up to
/// [`MOST_PICTURES`] are looked at. `None` where there are too few. `progress` hears how many are done and answers
/// whether to go on.
///
/// # Errors
/// When the device fails, a feature is not finite, or `progress` says no.
pub async fn sheet(
    backbone: &Vit,
    source: &dyn PictureSource,
    size: usize,
    device: &Device,
    mut progress: impl AsyncFnMut(usize) -> bool,
) -> Result<Option<Picture>, EvaluationError> {
    let chosen = evenly(source.len(), MOST_PICTURES);
    let (mut features, mut small) = (Vec::new(), Vec::new());
    for (batch, part) in chosen.chunks(BATCH).enumerate() {
        let mut slots: Vec<(usize, Option<[Picture; 2]>)> = part.iter().map(|index| (*index, None)).collect();
        for_chunks(&mut slots, 1, |_, slot| {
            for (index, views) in slot {
                let picture = source.load(*index).ok();
                *views = picture.map(|picture| [size, SIDE].map(|side| eval_view(&picture, side)));
            }
        });
        let mut views = Vec::with_capacity(part.len());
        for [view, shown] in slots.into_iter().filter_map(|(_, views)| views) {
            views.push(view);
            small.push(shown);
        }
        if !views.is_empty() {
            features.extend(embed(backbone, &views, ImageFeatureSpec::CLS, device).await?);
        }
        if !progress(batch * BATCH + part.len()).await {
            return Err(EvalProtocolError::Stopped.into());
        }
    }
    let rows = nearest(&features, backbone.config.dim, small.len())?;
    Ok((!rows.is_empty()).then(|| draw(&rows, &small)))
}

/// Each query with what was found for it; nothing where there are too few pictures.
fn nearest(
    features: &[f32],
    dim: usize,
    pictures: usize,
) -> Result<Vec<(usize, Vec<usize>)>, EvalProtocolError> {
    if pictures <= FOUND {
        return Ok(Vec::new());
    }
    // Whatever is found is right: there are no classes here.
    let (labels, protocols) = (vec![0; pictures], [RetrievalProtocol::Medium]);
    let known = RelevanceLabels::SameClass(&labels);
    let mut search = RetrievalSearch::new(dim, features, features, known, &protocols, FOUND)?;
    while search.round().is_some() {}
    let answers = search.answers();
    let found = |query: usize| answers[query].nearest.iter().map(|hit| hit.picture).collect();
    Ok(evenly(pictures, QUERIES).into_iter().map(|query| (query, found(query))).collect())
}

fn draw(rows: &[(usize, Vec<usize>)], pictures: &[Picture]) -> Picture {
    let width = GAP + SIDE + APART + FOUND * (SIDE + GAP);
    let mut canvas = PictureCanvas::new(width, GAP + rows.len() * (SIDE + GAP), BACKDROP);
    for (row, (query, found)) in rows.iter().enumerate() {
        let top = GAP + row * (SIDE + GAP);
        canvas.paste(&pictures[*query], GAP, top);
        for (place, picture) in found.iter().enumerate() {
            canvas.paste(&pictures[*picture], GAP + SIDE + APART + place * (SIDE + GAP), top);
        }
    }
    canvas.picture()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::source::scenes::ScenesSource;
    use crate::device::block_on;
    use crate::model::VitConfig;

    #[test]
    fn the_nearest_others_stand_beside_each_query() {
        // On a circle each picture lies between its two neighbours.
        let features: Vec<f32> =
            (0..12).flat_map(|i| [(i as f32 * 0.1).cos(), (i as f32 * 0.1).sin()]).collect();
        let rows = nearest(&features, 2, 12).unwrap();
        assert_eq!(rows.iter().map(|(query, _)| *query).collect::<Vec<_>>(), [0, 2, 4, 6, 8, 10]);
        assert_eq!(rows[0].1, [1, 2, 3, 4]);
        let around: std::collections::BTreeSet<usize> = rows[3].1.iter().copied().collect();
        assert_eq!(around, [4, 5, 7, 8].into());
        assert!(nearest(&features[..8], 2, 4).unwrap().is_empty(), "too few to find four others");

        let shade = |i: usize| Picture::of_rgb(SIDE, SIDE, vec![100 + i as u8; SIDE * SIDE * 3]);
        let sheet = draw(&rows, &(0..12).map(shade).collect::<Vec<_>>());
        let at = |x: usize, y: usize| sheet.rgb[3 * (y * sheet.width + x)];
        assert_eq!(
            (at(GAP, GAP), at(GAP + SIDE + APART, GAP), at(GAP + SIDE + 1, GAP)),
            (100, 101, BACKDROP[0])
        );
    }

    #[test]
    fn a_sheet_is_drawn_of_any_pictures_and_anyone_may_stop() {
        let device = Device::flex();
        let backbone = Vit::init(&VitConfig::new(16, 8, 12, 1, 2), 5, &device);
        let of = |count: usize, goes_on: bool| {
            let source = ScenesSource::new(1, count, 24);
            block_on(sheet(&backbone, &source, 16, &device, async |_| goes_on))
        };
        let picture = of(9, true).unwrap().unwrap();
        assert_eq!((picture.width, picture.height), (436, GAP + QUERIES * (SIDE + GAP)));
        assert!(of(4, true).unwrap().is_none());
        assert!(of(9, false).unwrap_err().is_stopped());
    }
}

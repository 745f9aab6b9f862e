//! Another model's look at a run's watched pictures, beside the run's own: a released one beside a film of features that form.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::film::{TimelapseError, dimensions, export_drawn_gif, writing};
use super::watch_colours::WatchPcaBasis;
use super::{BACKDROP, colours, in_colours};
use crate::analysis::image_out::{contact_sheet, write_png};
use crate::analysis::pca::Pca;
use crate::analysis::{AnalysisError, PatchFeatures};
use crate::data::Picture;
use crate::data::augment::resize_to;
use crate::data::decode::decode_file;
use crate::files;

/// Pixels between two halves of a frame.
const GUTTER: usize = 8;

/// The features of another model as colours, in two columns like a frame of the run's film ([`super::WatchSnapshot::grid`]).
///
/// `views` are the run's watched pictures and `features` what the model sees in each, on whatever grid of patches; `run` are
/// the run's colours. Where they are of the same pictures, the components are turned onto the run's (Procrustes over the
/// patches), so that the same part of a thing has the same colour in both; else the model has colours of its own.
///
/// # Errors
/// When there is nothing to show, or features are not finite.
pub fn colours_beside(
    views: &[Picture],
    features: &[Arc<PatchFeatures>],
    run: Option<WatchPcaBasis>,
) -> Result<Picture, AnalysisError> {
    let seen: Vec<&PatchFeatures> = features.iter().map(AsRef::as_ref).collect();
    let shapes: Vec<(usize, usize)> = seen.iter().map(|of| (of.rows, of.cols)).collect();
    let reference = run.map(|run| run.for_views(views).on_grids(&shapes));
    let pca = Pca::fit(&seen, reference.as_ref(), &colours())?;
    let pictures = views.iter().zip(&seen).map(|(view, features)| in_colours(view, features, &pca));
    let pictures = pictures.collect::<Result<Vec<_>, _>>()?;
    contact_sheet(&pictures.iter().collect::<Vec<_>>(), 2, 4, BACKDROP)
}

/// The newest colours that a run's checkpoint in `folder` (`…/checkpoints/000100`) has kept; `None` where it has none.
pub fn colours_of_checkpoint(folder: &Path) -> Option<WatchPcaBasis> {
    WatchPcaBasis::read(folder, None)
}

/// The film of a run, each of its frames with the same other picture at its right.
pub struct BesideFilm<'a> {
    /// Frames of the run, by iteration ([`super::film::frames`]).
    pub frames: &'a [(u64, PathBuf)],
    /// What stands beside them; it is scaled to their height.
    pub other: &'a Picture,
}

impl BesideFilm<'_> {
    /// As [`super::film::export_gif`].
    ///
    /// # Errors
    /// When there are no frames, one of them can't be read, or the disk refuses.
    pub fn export_gif(
        &self,
        to: &Path,
        frame_ms: u32,
        max_side: u32,
        progress: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(), TimelapseError> {
        let mut size = (0, 0);
        for (_, path) in self.frames {
            let (width, height) = dimensions(path)?;
            size = (size.0.max(width + GUTTER + self.width_at(height)), size.1.max(height));
        }
        let mut draw = |at: usize| self.frame(at);
        export_drawn_gif((self.frames.len(), &mut draw), size, to, frame_ms, max_side, progress)
    }

    /// As [`super::film::export_pngs`].
    ///
    /// # Errors
    /// When there are no frames, one of them can't be read, or the disk refuses.
    pub fn export_pngs(
        &self,
        to_folder: &Path,
        progress: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(), TimelapseError> {
        if self.frames.is_empty() {
            return Err(AnalysisError::Empty("pictures").into());
        }
        files::create_dir_all(to_folder).map_err(|e| writing(to_folder, e))?;
        for (at, (_, path)) in self.frames.iter().enumerate() {
            if let Some(name) = path.file_name() {
                write_png(&to_folder.join(name), &self.frame(at)?)?;
            }
            if !progress(at + 1) {
                break;
            }
        }
        Ok(())
    }

    /// Width of the other picture at a height.
    fn width_at(&self, height: usize) -> usize {
        (self.other.width * height).div_ceil(self.other.height.max(1)).max(1)
    }

    fn frame(&self, at: usize) -> Result<Picture, TimelapseError> {
        let frame = decode_file(&self.frames[at].1)?;
        let (width, height) = (self.width_at(frame.height), frame.height);
        let other = resize_to(self.other, width, height);
        let mut rgb = Vec::with_capacity(3 * (frame.width + GUTTER + width) * height);
        let row = |picture: &Picture, y: usize| {
            let from = 3 * y * picture.width;
            picture.rgb.get(from..from + 3 * picture.width).unwrap_or_default().to_vec()
        };
        for y in 0..height {
            rgb.extend(row(&frame, y));
            rgb.extend(BACKDROP.repeat(GUTTER));
            rgb.extend(row(&other, y));
        }
        Ok(Picture::of_rgb(frame.width + GUTTER + width, height, rgb))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A picture whose left half is one thing and whose right half another, and features that say so in `dim` numbers.
    fn halves(shade: u8, rows: usize, cols: usize, dim: usize, sign: f32) -> (Picture, Arc<PatchFeatures>) {
        let (width, height) = (48, 32);
        let rgb = (0..width * height).flat_map(|i| [if i % width < width / 2 { shade } else { 30 }; 3]);
        let value = |i: usize| {
            let (patch, number) = (i / dim, i % dim);
            let (row, col) = (patch / cols, patch % cols);
            let along = if col < cols / 2 { 1.0 } else { -1.0 };
            match number {
                0 => sign * along,
                1 => 0.3 * row as f32 / rows as f32,
                2 => 0.1 * col as f32 / cols as f32,
                _ => 0.0,
            }
        };
        let data = (0..rows * cols * dim).map(value).collect();
        (Picture::of_rgb(width, height, rgb.collect()), Arc::new(PatchFeatures { rows, cols, dim, data }))
    }

    fn mean(picture: &Picture, x: std::ops::Range<usize>, y: std::ops::Range<usize>) -> [f32; 3] {
        let mut sums = [0.0; 3];
        let count = (x.len() * y.len()) as f32;
        for y in y {
            for x in x.clone() {
                let at = 3 * (y * picture.width + x);
                (0..3).for_each(|c| sums[c] += f32::from(picture.rgb[at + c]) / count);
            }
        }
        sums
    }

    #[test]
    fn another_model_shows_the_same_things_in_the_runs_colours() {
        let of_run: Vec<_> = [200, 120].map(|shade| halves(shade, 4, 6, 5, 1.0)).into();
        let views: Vec<Picture> = of_run.iter().map(|(view, _)| view.clone()).collect();
        let refs: Vec<&PatchFeatures> = of_run.iter().map(|(_, features)| features.as_ref()).collect();
        let pca = Pca::fit(&refs, None, &colours()).unwrap();
        let run = WatchPcaBasis::of(pca.clone(), &views);
        // Finer patches, other numbers, and the sign the other way round.
        let other: Vec<_> = [200, 120].map(|shade| halves(shade, 8, 12, 7, -1.0).1).into_iter().collect();
        let shown = colours_beside(&views, &other, Some(run)).unwrap();
        let own: Vec<Picture> =
            views.iter().zip(&refs).map(|(view, seen)| in_colours(view, seen, &pca).unwrap()).collect();
        assert_eq!((shown.width, shown.height), (2 * 48 + 12, 32 + 8));
        for (at, own) in own.iter().enumerate() {
            let left = 4 + at * 52;
            for (from, to) in [(4, 20), (28, 44)] {
                let a = mean(own, from..to, 4..28);
                let b = mean(&shown, left + from..left + to, 8..32);
                let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(apart < 40.0, "picture {at}, {from}: {a:?} against {b:?}");
            }
        }
        // Without the run's colours it has its own.
        assert!(colours_beside(&views, &other, None).is_ok());
        assert!(colours_beside(&[], &[], None).is_err());
    }

    #[test]
    fn frames_are_written_with_another_picture_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        let at = |step: u64| dir.path().join(format!("{step:06}-pca.png"));
        let frames: Vec<(u64, PathBuf)> = [0, 50].map(|step| (step, at(step))).into();
        for (shade, (_, path)) in [10, 90].into_iter().zip(&frames) {
            write_png(path, &Picture::of_rgb(6, 4, vec![shade; 72])).unwrap();
        }
        let other = Picture::of_rgb(10, 8, vec![200; 240]);
        let film = BesideFilm { frames: &frames, other: &other };
        let to = dir.path().join("out");
        film.export_pngs(&to, &mut |_| true).unwrap();
        for (shade, (_, path)) in [10.0, 90.0].into_iter().zip(&frames) {
            let joined = decode_file(&to.join(path.file_name().unwrap())).unwrap();
            assert_eq!((joined.width, joined.height), (6 + GUTTER + 5, 4));
            assert_eq!(mean(&joined, 0..6, 0..4), [shade; 3]);
            assert_eq!(mean(&joined, 6..6 + GUTTER, 0..4), BACKDROP.map(f32::from));
            assert_eq!(mean(&joined, 6 + GUTTER..joined.width, 0..4), [200.0; 3]);
        }
        let gif = dir.path().join("film.gif");
        film.export_gif(&gif, 100, 400, &mut |_| true).unwrap();
        let size = image::image_dimensions(&gif).unwrap();
        assert_eq!(size, ((6 + GUTTER + 5) as u32, 4));
        let none = BesideFilm { frames: &[], other: &other };
        assert!(none.export_gif(&gif, 100, 400, &mut |_| true).is_err());
        assert!(none.export_pngs(&to, &mut |_| true).is_err());
    }
}

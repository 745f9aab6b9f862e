//! The watched pictures of a run through time: where they lie, and as a film to hand on.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, ImageError, ImageReader, RgbaImage};

use crate::analysis::{AnalysisError, write_atomic};
use crate::data::augment::resize_to;
use crate::data::decode::decode_file;
use crate::data::{DataError, Picture};
use crate::files::{self, File};
use crate::train::run::RunFolder;
use crate::train::watch::{BACKDROP, WatchFrameKind};

/// Why a film could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TimelapseError {
    /// A picture of the run can't be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There are no pictures, or the file can't be written.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
}

/// How hard the encoder looks for the colours of a frame: 1 is the best and slowest, 30 the quickest.
const GIF_SPEED: i32 = 10;

/// Where the picture of one kind after some steps lies: `pictures/000100-pca.png`.
pub(in crate::train) fn file(folder: &RunFolder, iteration: u64, kind: WatchFrameKind) -> PathBuf {
    folder.pictures().join(format!("{iteration:06}-{}.png", kind.name()))
}

/// The iteration of a picture of this kind; `None` for other files.
pub(in crate::train) fn iteration(path: &Path, kind: WatchFrameKind) -> Option<u64> {
    path.file_name()?
        .to_str()?
        .strip_suffix(".png")?
        .strip_suffix(kind.name())?
        .strip_suffix('-')?
        .parse()
        .ok()
}

/// Pictures of one kind, by iteration.
pub fn frames(folder: &RunFolder, kind: WatchFrameKind) -> Vec<(u64, PathBuf)> {
    let entries = files::read_dir(folder.pictures()).into_iter().flatten().flatten();
    let mut files: Vec<_> =
        entries.filter_map(|entry| Some((iteration(&entry.path(), kind)?, entry.path()))).collect();
    files.sort();
    files
}

/// Writes the frames as a GIF that plays for ever, `frame_ms` each (kept to hundredths of a second), none of its sides
/// above `max_side` pixels. Frames of other sizes are centred in the largest.
///
/// `progress` hears how many frames are done; when it returns false nothing is written. The file appears at the end,
/// whole.
///
/// # Errors
/// When there are no frames, one of them can't be read, or the disk refuses.
pub fn export_gif(
    frames: &[(u64, PathBuf)],
    to: &Path,
    frame_ms: u32,
    max_side: u32,
    progress: &mut dyn FnMut(usize) -> bool,
) -> Result<(), TimelapseError> {
    let stage = TimelapseCanvas::of(frames, max_side)?;
    let mut load = |at: usize| Ok(decode_file(&frames[at].1)?);
    write_gif(&stage, (frames.len(), &mut load), to, frame_ms, progress)
}

/// [`export_gif`] of `count` frames that are drawn as they are needed, the largest of them `(width, height)`.
///
/// # Errors
/// When there are no frames, one of them can't be drawn, or the disk refuses.
pub fn export_drawn_gif(
    (count, draw): (usize, &mut dyn FnMut(usize) -> Result<Picture, TimelapseError>),
    (width, height): (usize, usize),
    to: &Path,
    frame_ms: u32,
    max_side: u32,
    progress: &mut dyn FnMut(usize) -> bool,
) -> Result<(), TimelapseError> {
    if count == 0 {
        return Err(AnalysisError::Empty("pictures").into());
    }
    let stage = TimelapseCanvas::fitting(width, height, max_side)?;
    write_gif(&stage, (count, draw), to, frame_ms, progress)
}

fn write_gif(
    stage: &TimelapseCanvas,
    (count, load): (usize, &mut dyn FnMut(usize) -> Result<Picture, TimelapseError>),
    to: &Path,
    frame_ms: u32,
    progress: &mut dyn FnMut(usize) -> bool,
) -> Result<(), TimelapseError> {
    let (width, height) = (stage.width, stage.height);
    let encoding = |source| TimelapseError::from(AnalysisError::Encode { width, height, source });
    let delay = Delay::from_numer_denom_ms(frame_ms, 1);
    let written = files::fill_and_rename(to, |out| {
        // The encoder writes the end of the file when it goes.
        let mut gif = GifEncoder::new_with_speed(out, GIF_SPEED);
        gif.set_repeat(Repeat::Infinite).map_err(|e| TimelapseWriteError::Film(encoding(e)))?;
        for at in 0..count {
            let frame = stage.set(&load(at).map_err(TimelapseWriteError::Film)?);
            gif.encode_frame(Frame::from_parts(frame, 0, 0, delay)).map_err(|e| match e {
                ImageError::IoError(e) => TimelapseWriteError::Disk(e),
                e => TimelapseWriteError::Film(encoding(e)),
            })?;
            if !progress(at + 1) {
                return Err(TimelapseWriteError::Stopped);
            }
        }
        Ok(())
    });
    match written {
        Ok(()) | Err(TimelapseWriteError::Stopped) => Ok(()),
        Err(TimelapseWriteError::Disk(e)) => Err(writing(to, e).into()),
        Err(TimelapseWriteError::Film(e)) => Err(e),
    }
}

/// Why a film is not whole.
enum TimelapseWriteError {
    Stopped,
    Disk(std::io::Error),
    Film(TimelapseError),
}

impl From<std::io::Error> for TimelapseWriteError {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error)
    }
}

/// Copies the frames into a folder, under the names that they have in the run.
///
/// `progress` hears how many are there; when it returns false the rest is left out.
///
/// # Errors
/// When there are no frames, one of them can't be read, or the disk refuses.
pub fn export_pngs(
    frames: &[(u64, PathBuf)],
    to_folder: &Path,
    progress: &mut dyn FnMut(usize) -> bool,
) -> Result<(), TimelapseError> {
    if frames.is_empty() {
        return Err(AnalysisError::Empty("pictures").into());
    }
    files::create_dir_all(to_folder).map_err(|e| writing(to_folder, e))?;
    for (done, (_, path)) in frames.iter().enumerate() {
        let read = |source| DataError::Read { path: path.display().to_string(), source };
        let bytes = files::read(path).map_err(read)?;
        if let Some(name) = path.file_name() {
            write_atomic(&to_folder.join(name), &bytes)?;
        }
        if !progress(done + 1) {
            break;
        }
    }
    Ok(())
}

pub(super) fn writing(path: &Path, source: std::io::Error) -> AnalysisError {
    AnalysisError::Write { path: path.display().to_string(), source }
}

/// What all frames of a film are shown on.
struct TimelapseCanvas {
    width: usize,
    height: usize,
    /// Pixels of the film for each pixel of a frame, at most 1.
    scale: f64,
}

impl TimelapseCanvas {
    /// Room for every one of the frames.
    fn of(frames: &[(u64, PathBuf)], max_side: u32) -> Result<Self, TimelapseError> {
        let (mut width, mut height) = (0, 0);
        for (_, path) in frames {
            let (w, h) = dimensions(path)?;
            (width, height) = (width.max(w), height.max(h));
        }
        Self::fitting(width, height, max_side)
    }

    /// Room for frames of this size.
    fn fitting(width: usize, height: usize, max_side: u32) -> Result<Self, TimelapseError> {
        if width == 0 || height == 0 {
            return Err(AnalysisError::Empty("pictures").into());
        }
        // A GIF has 16 bits for its sides.
        let most = max_side.clamp(1, u32::from(u16::MAX));
        let scale = (f64::from(most) / width.max(height) as f64).min(1.0);
        let stage = Self { width, height, scale };
        let (width, height) = stage.scaled(stage.width, stage.height);
        Ok(Self { width, height, scale })
    }

    fn scaled(&self, width: usize, height: usize) -> (usize, usize) {
        let side = |length: usize| ((length as f64 * self.scale).round() as usize).max(1);
        (side(width), side(height))
    }

    /// A picture in the middle.
    fn set(&self, picture: &Picture) -> RgbaImage {
        let (width, height) = self.scaled(picture.width, picture.height);
        let shrunk = (self.scale < 1.0).then(|| resize_to(picture, width, height));
        let shown = shrunk.as_ref().unwrap_or(picture);
        let [r, g, b] = BACKDROP;
        let background = image::Rgba([r, g, b, 255]);
        let mut frame = RgbaImage::from_pixel(self.width as u32, self.height as u32, background);
        let (left, top) = ((self.width - width) / 2, (self.height - height) / 2);
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (left + x, top + y)));
        for ((x, y), [r, g, b]) in places.zip(shown.rgb.as_chunks::<3>().0) {
            frame.put_pixel(x as u32, y as u32, image::Rgba([*r, *g, *b, 255]));
        }
        frame
    }
}

/// Width and height of a picture, without its pixels.
pub(super) fn dimensions(path: &Path) -> Result<(usize, usize), DataError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|source| DataError::Read { path: name.clone(), source })?;
    let reader = ImageReader::new(BufReader::new(file)).with_guessed_format();
    let found = reader.map_err(ImageError::from).and_then(ImageReader::into_dimensions);
    let sides = found.map_err(|e| DataError::Decode { name, reason: e.to_string() })?;
    Ok((sides.0 as usize, sides.1 as usize))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::analysis::image_out::write_png;
    use crate::train::Recipe;
    use image::AnimationDecoder;

    fn plain(width: usize, height: usize, colour: [u8; 3]) -> Picture {
        Picture::of_rgb(width, height, colour.repeat(width * height))
    }

    /// A run with three moments; the last picture is smaller.
    fn run(dir: &Path) -> RunFolder {
        let folder = RunFolder::create(&dir.join("run"), &Recipe::preset("nano").unwrap()).unwrap();
        for (iteration, picture) in [
            (1_000_000, plain(20, 20, [0, 0, 200])),
            (0, plain(40, 20, [200, 0, 0])),
            (100, plain(40, 20, [0, 200, 0])),
        ] {
            write_png(&file(&folder, iteration, WatchFrameKind::Pca), &picture).unwrap();
            write_png(&folder.pictures().join(format!("{iteration:06}.png")), &picture).unwrap();
        }
        write_png(&file(&folder, 7, WatchFrameKind::View), &plain(4, 4, [9; 3])).unwrap();
        folder
    }

    #[test]
    fn frames_are_those_of_the_kind_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let folder = run(dir.path());
        let found: Vec<u64> =
            frames(&folder, WatchFrameKind::Pca).iter().map(|(iteration, _)| *iteration).collect();
        assert_eq!(found, [0, 100, 1_000_000]);
        assert_eq!(frames(&folder, WatchFrameKind::View), [(7, folder.pictures().join("000007-view.png"))]);
        assert!(frames(&folder, WatchFrameKind::Attention).is_empty());
    }

    #[test]
    fn a_gif_has_all_frames_at_the_size_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let frames = frames(&run(dir.path()), WatchFrameKind::Pca);
        let to = dir.path().join("film.gif");
        let mut heard = Vec::new();
        let mut progress = |done| {
            heard.push(done);
            true
        };
        export_gif(&frames, &to, 250, 20, &mut progress).unwrap();
        assert_eq!(heard, [1, 2, 3]);
        let bytes = files::read(&to).unwrap();
        let decoder = image::codecs::gif::GifDecoder::new(std::io::Cursor::new(bytes)).unwrap();
        let played = decoder.into_frames().collect_frames().unwrap();
        assert_eq!(played.len(), 3);
        let near = |frame: &Frame, x, y, [r, g, b]: [u8; 3]| {
            let [fr, fg, fb, _] = frame.buffer().get_pixel(x, y).0;
            fr.abs_diff(r) < 4 && fg.abs_diff(g) < 4 && fb.abs_diff(b) < 4
        };
        for frame in &played {
            assert_eq!(frame.buffer().dimensions(), (20, 10));
            assert_eq!(frame.delay().numer_denom_ms(), (250, 1));
        }
        assert!(near(&played[0], 1, 5, [200, 0, 0]) && near(&played[1], 10, 5, [0, 200, 0]));
        // The small one stands in the middle of the backdrop.
        assert!(near(&played[2], 10, 5, [0, 0, 200]) && near(&played[2], 1, 5, BACKDROP));
        assert_eq!(files::read_dir(dir.path()).unwrap().count(), 2, "the run and the film");
    }

    #[test]
    fn a_film_that_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let frames = frames(&run(dir.path()), WatchFrameKind::Pca);
        let to = dir.path().join("film.gif");
        let mut heard = 0;
        let mut stop = |done| {
            heard = done;
            done < 2
        };
        export_gif(&frames, &to, 100, 400, &mut stop).unwrap();
        assert_eq!((heard, files::read_dir(dir.path()).unwrap().count()), (2, 1), "the run alone");
        assert!(export_gif(&[], &to, 100, 400, &mut |_| true).is_err());
        let missing = [(3, dir.path().join("000003-pca.png"))];
        assert!(export_gif(&missing, &to, 100, 400, &mut |_| true).is_err());
        assert!(export_gif(&frames, &dir.path().join("no/film.gif"), 100, 400, &mut |_| true).is_err());
    }

    #[test]
    fn pictures_are_copied_until_told_to_stop() {
        let dir = tempfile::tempdir().unwrap();
        let frames = frames(&run(dir.path()), WatchFrameKind::Pca);
        let to = dir.path().join("deep/film");
        export_pngs(&frames, &to, &mut |done| done < 2).unwrap();
        let mut names: Vec<_> = files::read_dir(&to).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["000000-pca.png", "000100-pca.png"]);
        export_pngs(&frames, &to, &mut |_| true).unwrap();
        assert_eq!(files::read(to.join("1000000-pca.png")).unwrap(), files::read(&frames[2].1).unwrap());
        assert!(export_pngs(&[], &to, &mut |_| true).is_err());
    }
}

//! Pictures on their way in: folders walked and files decoded beside the frames, within bounded memory.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_channel::Receiver;
use dinoscope_core::data::augment::resize_to;
use dinoscope_core::data::source::listing::{self, LeftOut};
use dinoscope_core::data::{DataError, Picture};
use dinoscope_core::explore::PictureId;

use crate::studio::hands::{Desk, Wake};

/// Side of a thumbnail.
pub const THUMB: usize = 128;
/// Longest side of what is drawn large: beyond it screens have no pixels.
pub const SHOWN: usize = 2048;
/// Bytes of decoded pictures that are kept for the next look.
const CACHE: usize = 192 << 20;
/// Side of a built-in scene.
const SCENE: usize = 512;
/// Away from the seeds of training and evaluation.
const SCENE_SEED: u64 = 9 << 40;

/// Where a picture's pixels are.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// In memory: pasted, or taken with a camera.
    Memory(Arc<Picture>),
    /// A scene that the program draws itself.
    Scene(usize),
}

/// Decoded pictures, the newest ones, up to a number of bytes.
#[derive(Default)]
pub struct Pixels {
    kept: Mutex<VecDeque<(PictureId, Arc<Picture>)>>,
}

impl Pixels {
    /// The picture, decoded now if it was not kept.
    pub async fn load(&self, id: PictureId, origin: &Origin) -> Result<Arc<Picture>, DataError> {
        let found = self.kept.lock().ok().and_then(|kept| kept.iter().find(|(i, _)| *i == id).cloned());
        if let Some((_, picture)) = found {
            return Ok(picture);
        }
        let picture = match origin {
            Origin::File(path) => Arc::new(decode(path).await?),
            Origin::Memory(picture) => return Ok(picture.clone()),
            Origin::Scene(index) => Arc::new(scene(*index).await?),
        };
        if let Ok(mut kept) = self.kept.lock() {
            kept.push_back((id, picture.clone()));
            let bytes = |kept: &VecDeque<(PictureId, Arc<Picture>)>| -> usize {
                kept.iter().map(|(_, picture)| picture.rgb.len()).sum()
            };
            // The newest one stays even if it alone is more: it is being looked at.
            while kept.len() > 1 && bytes(&kept) > CACHE {
                kept.pop_front();
            }
        }
        Ok(picture)
    }
}

/// Decodes a file.
#[cfg(not(target_family = "wasm"))]
async fn decode(path: &Path) -> Result<Picture, DataError> {
    // A decoder that panics is a broken file, not the end of the thread.
    let decoded = std::panic::catch_unwind(|| dinoscope_core::data::decode::decode_file(path));
    decoded.unwrap_or_else(|panic| {
        let reason = dinoscope_core::device::panic_text(panic);
        Err(DataError::Source { path: path.display().to_string(), reason })
    })
}

#[cfg(not(target_family = "wasm"))]
async fn scene(index: usize) -> Result<Picture, DataError> {
    Ok(dinoscope_core::data::source::scenes::draw(SCENE_SEED, index, SCENE).picture)
}

#[cfg(target_family = "wasm")]
async fn scene(index: usize) -> Result<Picture, DataError> {
    crate::tab::staff::scene(SCENE_SEED, index, SCENE).await
}

/// Decodes a file, which the page may be the only one to have, in a worker.
#[cfg(target_family = "wasm")]
async fn decode(path: &Path) -> Result<Picture, DataError> {
    crate::tab::staff::decode(path).await
}

/// A reduced picture with the size of the whole one, or why there is none.
pub type Made = Result<(egui::ColorImage, [usize; 2]), String>;

/// What a thread found or made.
pub enum News {
    /// Pictures under what was opened, in order, and what of it was no picture.
    Found {
        /// The files.
        files: Vec<PathBuf>,
        /// What could not be opened, with the reason.
        refused: Vec<(String, String)>,
        /// How many files of other kinds lay between them.
        left_out: Option<String>,
    },
    /// A small picture, with the size of the whole one.
    Thumb(PictureId, Made),
    /// A picture to draw large, with the size of the whole one.
    Shown(PictureId, Made),
}

#[derive(Default)]
struct Wanted {
    walks: Vec<Vec<PathBuf>>,
    thumbs: Vec<(PictureId, Origin)>,
    shown: Vec<(PictureId, Origin)>,
}

/// Who finds and decodes, from the outside.
pub struct Intake {
    desk: Desk<Wanted>,
    /// What they found and made.
    pub news: Receiver<News>,
    /// Decoded pictures.
    pub pixels: Arc<Pixels>,
}

/// A picture no larger than `side`, as egui has it.
pub fn reduced(picture: &Picture, side: usize) -> egui::ColorImage {
    let longest = picture.width.max(picture.height).max(1);
    let scale = (side as f64 / longest as f64).min(1.0);
    let [w, h] = [picture.width, picture.height].map(|s| ((s as f64 * scale).round() as usize).max(1));
    if [w, h] == [picture.width, picture.height] {
        return egui::ColorImage::from_rgb([w, h], &picture.rgb);
    }
    // Pictures many times as large are averaged first: cheaper, and nothing is missed.
    let factor = (longest / side.max(1) / 2).max(1);
    let small = if factor > 1 { shrink(picture, factor) } else { picture.clone() };
    egui::ColorImage::from_rgb([w, h], &resize_to(&small, w, h).rgb)
}

/// Means of blocks of `factor` × `factor` pixels.
fn shrink(picture: &Picture, factor: usize) -> Picture {
    let (width, height) = ((picture.width / factor).max(1), (picture.height / factor).max(1));
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let mut sum = [0u32; 3];
            let (rows, cols) = (factor.min(picture.height), factor.min(picture.width));
            for dy in 0..rows {
                let start = ((y * factor + dy) * picture.width + x * factor) * 3;
                for pixel in picture.rgb[start..start + cols * 3].chunks_exact(3) {
                    sum.iter_mut().zip(pixel).for_each(|(s, p)| *s += u32::from(*p));
                }
            }
            rgb.extend(sum.map(|s| (s / (rows * cols) as u32) as u8));
        }
    }
    Picture { width, height, rgb }
}

impl Intake {
    /// Starts it; `wake` is called when there is news.
    pub fn start(wake: &Wake) -> Self {
        let mut desk = Desk::new(Wanted::default());
        let (out, news) = async_channel::unbounded();
        let pixels = Arc::new(Pixels::default());
        // One for the picture that is waited for, one for everything else.
        for (name, next) in [("decode", large as fn(&mut Wanted) -> Option<Job>), ("thumbs", others)] {
            let (out, pixels, wake) = (out.clone(), pixels.clone(), wake.clone());
            let work = async move |job| {
                // Nobody listens any more: then nobody misses it.
                let _ = out.try_send(run(job, &pixels).await);
                wake();
            };
            if let Err(error) = desk.hand(name, next, work) {
                ::log::error!("pictures can't be opened, {error}");
            }
        }
        Self { desk, news, pixels }
    }

    /// Looks for pictures in files and folders.
    pub fn walk(&self, paths: Vec<PathBuf>) {
        self.desk.write(|wanted| wanted.walks.push(paths));
    }

    /// Which thumbnails and large pictures are missing, most urgent first, in place of what was missing before.
    pub fn want(&self, thumbs: Vec<(PictureId, Origin)>, shown: Vec<(PictureId, Origin)>) {
        self.desk.write(|wanted| (wanted.thumbs, wanted.shown) = (thumbs, shown));
    }
}

enum Job {
    Walk(Vec<PathBuf>),
    Thumb(PictureId, Origin),
    Show(PictureId, Origin),
}

fn first<T>(list: &mut Vec<T>) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(0))
}

fn large(wanted: &mut Wanted) -> Option<Job> {
    first(&mut wanted.shown).map(|(id, origin)| Job::Show(id, origin))
}

fn others(wanted: &mut Wanted) -> Option<Job> {
    let walk = wanted.walks.pop().map(Job::Walk);
    walk.or_else(|| first(&mut wanted.thumbs).map(|(id, origin)| Job::Thumb(id, origin)))
}

async fn run(job: Job, pixels: &Pixels) -> News {
    match job {
        Job::Walk(paths) => {
            let (mut files, mut refused) = (Vec::new(), Vec::new());
            let mut left_out = LeftOut::default();
            for path in paths {
                match listing::list(&path) {
                    Ok((found, others)) => {
                        files.extend(found);
                        left_out.merge(&others);
                    }
                    Err(error) => refused.push((path.display().to_string(), error.to_string())),
                }
            }
            News::Found { files, refused, left_out: left_out.note() }
        }
        Job::Thumb(id, origin) => {
            // Thumbnails of a whole folder must not push out what is being looked at.
            let alone = Pixels::default();
            let pixels = if matches!(origin, Origin::File(_)) { &alone } else { pixels };
            News::Thumb(id, made(pixels, id, &origin, THUMB).await)
        }
        Job::Show(id, origin) => News::Shown(id, made(pixels, id, &origin, SHOWN).await),
    }
}

async fn made(pixels: &Pixels, id: PictureId, origin: &Origin, side: usize) -> Made {
    let picture = pixels.load(id, origin).await.map_err(|error| error.to_string())?;
    Ok((reduced(&picture, side), [picture.width, picture.height]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use dinoscope_core::device::block_on;

    use super::*;

    #[test]
    fn reduced_pictures_keep_their_shape_and_mean() {
        let rgb: Vec<u8> = (0..900 * 300).flat_map(|i| [(i % 900 / 4) as u8, 10, 200]).collect();
        let small = reduced(&Picture { width: 900, height: 300, rgb }, 90);
        assert_eq!(small.size, [90, 30]);
        let mean = small.pixels.iter().map(|p| f64::from(p.r())).sum::<f64>() / 2700.0;
        assert!((mean - 112.0).abs() < 2.0, "{mean}");
        let line = Picture { width: 5000, height: 1, rgb: vec![9; 15_000] };
        assert_eq!(reduced(&line, 100).size, [100, 1]);
        assert_eq!(reduced(&Picture { width: 1, height: 1, rgb: vec![1, 2, 3] }, 100).size, [1, 1]);
    }

    #[test]
    fn kept_pixels_are_bounded() {
        let pixels = Pixels::default();
        for index in 0..3 {
            block_on(pixels.load(index, &Origin::Scene(index as usize))).unwrap();
        }
        assert_eq!(pixels.kept.lock().unwrap().len(), 3);
        let big = Arc::new(Picture { width: 1, height: 1, rgb: vec![0; CACHE] });
        pixels.kept.lock().unwrap().push_back((7, big));
        block_on(pixels.load(8, &Origin::Scene(8))).unwrap();
        assert_eq!(pixels.kept.lock().unwrap().len(), 1, "only the newest fits");
    }

    #[test]
    fn what_is_no_picture_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.jpg");
        std::fs::write(&path, "not a picture").unwrap();
        let intake = Intake::start(&(Arc::new(|| ()) as Wake));
        intake.walk(vec![folder.path().to_owned(), folder.path().join("missing")]);
        let Ok(News::Found { files, refused, .. }) = intake.news.recv_blocking() else {
            panic!("nothing found")
        };
        assert_eq!((files, refused.len()), (vec![path.clone()], 1));
        intake.want(vec![(3, Origin::File(path))], Vec::new());
        let Ok(News::Thumb(3, Err(reason))) = intake.news.recv_blocking() else { panic!("no reason") };
        assert!(reason.contains("notes.jpg"), "{reason}");
    }
}

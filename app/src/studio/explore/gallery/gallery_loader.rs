//! Pictures on their way in: folders walked and files decoded beside the frames, within bounded memory.

use std::path::PathBuf;
use std::sync::Arc;

use async_channel::Receiver;
use dinoscope_core::data::Picture;
use dinoscope_core::data::augment::resize_to;
use dinoscope_core::data::source::listing::{self, SkippedFileCounts};
use dinoscope_core::explore::PictureId;

use crate::platform::pictures;
use crate::platform::tasks::Wake;
use crate::studio::background::work_queue::SharedWorkQueue;
use crate::studio::explore::pixel_store::{DecodeJob, PixelStore};

/// Side of a thumbnail.
pub const THUMB: usize = 128;
/// Longest side of what is drawn large: more than a panel has pixels, and no more than half of what cameras make of 12 megapixels and
/// more, so that theirs need not be decoded whole.
pub const SHOWN: usize = 1920;

/// A reduced picture with the size of the whole one, or why there is none.
pub type Made = Result<(egui::ColorImage, [usize; 2]), String>;

/// What a thread found or made.
pub enum GalleryLoaderEvent {
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
    /// The same of fewer pixels, until that is there.
    Rough(PictureId, Made),
    /// All was made of a picture that was wished of it.
    Done(PictureId),
}

/// Who finds and decodes, from the outside.
pub struct GalleryLoader {
    _desk: Arc<SharedWorkQueue<Arc<PixelStore>>>,
    /// What they found and made.
    pub news: Receiver<GalleryLoaderEvent>,
    /// Where pixels are asked for.
    pub pixels: Arc<PixelStore>,
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
    Picture::of_rgb(width, height, rgb)
}

impl GalleryLoader {
    /// Starts it; `wake` is called when there is news.
    pub fn start(wake: &Wake) -> Self {
        let pixels = Arc::new(PixelStore::default());
        let mut queue = SharedWorkQueue::new(pixels.clone());
        let (out, news) = async_channel::unbounded();
        // One for what is waited for alone, which needs not wait for a thumbnail's picture.
        let names = std::iter::once(("decode", false))
            .chain(std::iter::repeat_n(("thumbs", true), pictures::decoders()));
        for (name, thumbs) in names {
            let (out, pixels, wake) = (out.clone(), pixels.clone(), wake.clone());
            let work = async move |job| {
                let say = |news: GalleryLoaderEvent| {
                    // Nobody listens any more: then nobody misses it.
                    let _ = out.try_send(news);
                    wake();
                };
                run(job, &pixels, &say).await;
            };
            let next = move |pixels: &mut Arc<PixelStore>| pixels.next(thumbs);
            if let Err(error) = queue.spawn_worker(name, next, work) {
                ::log::error!("pictures can't be opened, {error}");
            }
        }
        let queue = Arc::new(queue);
        pixels.belongs_to(&queue);
        Self { _desk: queue, news, pixels }
    }
}

impl Drop for GalleryLoader {
    fn drop(&mut self) {
        self.pixels.close();
    }
}

async fn run(job: DecodeJob, pixels: &PixelStore, say: &dyn Fn(GalleryLoaderEvent)) {
    let (id, origin) = match job {
        DecodeJob::Walk(paths) => return say(walk(paths)),
        DecodeJob::Decode(id, origin) => (id, origin),
    };
    match pixels.decode(id, &origin).await {
        Ok((decoded, made)) => {
            let size = [decoded.size.0, decoded.size.1];
            if made.thumb {
                say(GalleryLoaderEvent::Thumb(id, Ok((reduced(&decoded.picture, THUMB), size))));
            }
            if made.rough {
                say(GalleryLoaderEvent::Rough(id, Ok((reduced(&decoded.picture, SHOWN), size))));
            }
            if made.large {
                say(GalleryLoaderEvent::Shown(id, Ok((reduced(&decoded.picture, SHOWN), size))));
            }
        }
        Err(reason) => say(GalleryLoaderEvent::Thumb(id, Err(reason))),
    }
    say(GalleryLoaderEvent::Done(id));
}

fn walk(paths: Vec<PathBuf>) -> GalleryLoaderEvent {
    let (mut files, mut refused) = (Vec::new(), Vec::new());
    let mut left_out = SkippedFileCounts::default();
    for path in paths {
        match listing::list(&path) {
            Ok((found, others)) => {
                files.extend(found);
                left_out.merge(&others);
            }
            Err(error) => refused.push((path.display().to_string(), error.to_string())),
        }
    }
    GalleryLoaderEvent::Found { files, refused, left_out: left_out.note() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::studio::explore::pixel_store::ImageOrigin;

    #[test]
    fn reduced_pictures_keep_their_shape_and_mean() {
        let rgb: Vec<u8> = (0..900 * 300).flat_map(|i| [(i % 900 / 4) as u8, 10, 200]).collect();
        let small = reduced(&Picture::of_rgb(900, 300, rgb), 90);
        assert_eq!(small.size, [90, 30]);
        let mean = small.pixels.iter().map(|p| f64::from(p.r())).sum::<f64>() / 2700.0;
        assert!((mean - 112.0).abs() < 2.0, "{mean}");
        let line = Picture::of_rgb(5000, 1, vec![9; 15_000]);
        assert_eq!(reduced(&line, 100).size, [100, 1]);
        assert_eq!(reduced(&Picture::of_rgb(1, 1, vec![1, 2, 3]), 100).size, [1, 1]);
    }

    #[test]
    fn what_is_no_picture_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.jpg");
        std::fs::write(&path, "not a picture").unwrap();
        let intake = GalleryLoader::start(&(Arc::new(|| ()) as Wake));
        intake.pixels.walk(vec![folder.path().to_owned(), folder.path().join("missing")]);
        let Ok(GalleryLoaderEvent::Found { files, refused, .. }) = intake.news.recv_blocking() else {
            panic!("nothing found")
        };
        assert_eq!((files, refused.len()), (vec![path.clone()], 1));
        intake.pixels.want(vec![(3, ImageOrigin::File(path))], Vec::new());
        let Ok(GalleryLoaderEvent::Thumb(3, Err(reason))) = intake.news.recv_blocking() else {
            panic!("no reason")
        };
        assert!(reason.contains("notes.jpg"), "{reason}");
    }
}

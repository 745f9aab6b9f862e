//! Small pictures of a heap, read beside the frames, those that show first.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use async_channel::Receiver;
use dinoscope_core::data::augment::resize_to;
use dinoscope_core::data::decode::decode_file;
use egui::{ColorImage, Context, TextureHandle, TextureOptions};

use crate::platform::curation;
use crate::platform::tasks::Wake;
use crate::studio::background::work_queue::SharedWorkQueue;

/// Longest side, in pixels.
const SIDE: usize = 192;
/// Pictures that are kept; beyond them those go that nobody has seen for longest.
const KEPT: usize = 600;

/// What is to be read: rows with their files, the most urgent first.
type Wanted = Vec<(u32, PathBuf)>;

/// Thumbnails by row.
pub struct HeapThumbnails {
    queue: SharedWorkQueue<Wanted>,
    made: Receiver<(u32, Option<ColorImage>)>,
    /// With the frame that it was seen in last; none of those that can't be read.
    kept: HashMap<u32, (Option<TextureHandle>, u64)>,
    wanted: Wanted,
    asked: HashSet<u32>,
    frame: u64,
}

impl HeapThumbnails {
    /// Nothing is read yet.
    pub fn new(wake: Wake) -> Self {
        let names = ("thumbnails", "pictures of the heap can't be read");
        let next = |wanted: &mut Wanted| (!wanted.is_empty()).then(|| wanted.remove(0));
        let read = |(row, path): (u32, PathBuf)| {
            let picture = decode_file(&path).ok();
            (
                row,
                picture.map(|picture| {
                    let longest = picture.width.max(picture.height).max(1);
                    let side = |length: usize| (length * SIDE.min(longest) / longest).max(1);
                    let small = resize_to(&picture, side(picture.width), side(picture.height));
                    ColorImage::from_rgb([small.width, small.height], &small.rgb)
                }),
            )
        };
        let (queue, made) = match curation::AVAILABLE {
            true => SharedWorkQueue::with_results(Wanted::new(), names, next, read, wake),
            false => (SharedWorkQueue::new(Wanted::new()), async_channel::unbounded().1),
        };
        Self { queue, made, kept: HashMap::new(), wanted: Vec::new(), asked: HashSet::new(), frame: 0 }
    }

    /// The picture of a row, which is read soon if it is not there; an inner none where it can't be read.
    pub fn get(&mut self, row: u32, path: &str) -> Option<Option<&TextureHandle>> {
        let frame = self.frame;
        if !self.kept.contains_key(&row) {
            self.wanted.push((row, PathBuf::from(path)));
        }
        let (texture, seen) = self.kept.get_mut(&row)?;
        *seen = frame;
        Some(texture.as_ref())
    }

    /// Once a frame: takes in what was read, and asks for what shows.
    pub fn logic(&mut self, ctx: &Context) {
        self.frame += 1;
        while let Ok((row, image)) = self.made.try_recv() {
            let texture =
                image.map(|image| ctx.load_texture(format!("row {row}"), image, TextureOptions::LINEAR));
            self.asked.remove(&row);
            self.kept.insert(row, (texture, self.frame));
        }
        let wanted: HashSet<u32> = self.wanted.iter().map(|(row, _)| *row).collect();
        if wanted != self.asked {
            self.asked = wanted;
            let wanted = std::mem::take(&mut self.wanted);
            self.queue.write(|todo| *todo = wanted);
        }
        self.wanted.clear();
        while self.kept.len() > KEPT {
            let oldest = self.kept.iter().min_by_key(|(_, (_, seen))| *seen).map(|(row, _)| *row);
            let Some(oldest) = oldest else { break };
            self.kept.remove(&oldest);
        }
    }

    /// Whether a picture that shows is on its way.
    pub fn busy(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Another heap has other rows.
    pub fn forget(&mut self) {
        self.kept.clear();
        self.asked.clear();
        self.queue.write(Vec::clear);
    }
}

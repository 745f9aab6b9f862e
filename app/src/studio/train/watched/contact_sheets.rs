//! Pictures of the watched images, developed on a thread of its own and kept as textures: the newest ones of a run, and
//! those of its past from disk.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use dinoscope_core::analysis::attention_map::{overlay, stretch};
use dinoscope_core::analysis::colour_map::ColourMap;
use dinoscope_core::analysis::image_out::{UpsampleFilter, contact_sheet};
use dinoscope_core::data::Picture;
use dinoscope_core::data::decode::decode_file;
use dinoscope_core::train::watch::{WatchFrameKind, WatchSnapshot};
use egui::{ColorImage, TextureHandle, TextureOptions};

use super::sheet_cells::{BACKDROP, COLUMNS, GAP, cells, trimmed};
use crate::platform::tasks::Wake;
use crate::platform::tasks::yield_now;
use crate::studio::background::task::{BackgroundTask, CancelFlag};

/// Sheets that are kept; beyond it those go that have not been seen for longest.
const KEPT: usize = 64;
/// Sheets that are developed in one go.
const AT_ONCE: usize = 6;

/// What a sheet shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContactSheetKind {
    /// One kind of all watched pictures.
    Kind(WatchFrameKind),
    /// The attention of every head, a row for each watched picture. Of the newest pictures only.
    Heads,
    /// What another model sees in all watched pictures; the moment of such a sheet counts how often it was made.
    Beside,
}

/// Which sheet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContactSheetKey {
    /// The run's folder.
    pub run: PathBuf,
    /// Steps done.
    pub iteration: u64,
    /// What it shows.
    pub what: ContactSheetKind,
}

/// Where a sheet comes from.
#[derive(Clone)]
pub enum ContactSheetSource {
    /// The newest pictures.
    Look(Arc<WatchSnapshot>),
    /// A file of the run.
    File(PathBuf),
    /// So many pictures in one that is in memory.
    Picture(Arc<Picture>, usize),
}

impl ContactSheetSource {
    /// Whether it is the same one: a picture that was made again has another origin under the same name.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Look(a), Self::Look(b)) => Arc::ptr_eq(a, b),
            (Self::File(a), Self::File(b)) => a == b,
            (Self::Picture(a, _), Self::Picture(b, _)) => Arc::ptr_eq(a, b),
            // On disk lies what was in memory.
            _ => true,
        }
    }
}

/// Pictures beside each other in one texture.
pub struct ContactSheet {
    /// The texture.
    pub texture: TextureHandle,
    /// Its pictures.
    pub cells: Vec<ContactSheetCell>,
    /// Pictures in a row.
    pub columns: usize,
    /// Width by height of a picture.
    pub aspect: f32,
}

/// A picture of a sheet. What stands around it, where it has another shape than its place, is left out: there the panel
/// shows, in whatever theme.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ContactSheetCell {
    /// Where the picture is, as shares of the texture.
    pub uv: egui::Rect,
    /// Which part of its place it takes, as shares of that.
    pub part: egui::Rect,
}

enum CachedContactSheet {
    Sheet(ContactSheet),
    /// It can't be shown, and why.
    Not(String),
}

struct ContactSheetEntry {
    kept: CachedContactSheet,
    origin: ContactSheetSource,
    seen: u64,
}

struct RenderedContactSheet {
    image: ColorImage,
    /// Place and picture of each.
    cells: Vec<[[usize; 4]; 2]>,
    columns: usize,
}

type Answer = (ContactSheetKey, ContactSheetSource, Result<RenderedContactSheet, String>);

/// Develops sheets and keeps them.
#[derive(Default)]
pub struct ContactSheetCache {
    entries: HashMap<ContactSheetKey, ContactSheetEntry>,
    wanted: Vec<(ContactSheetKey, ContactSheetSource)>,
    work: Option<BackgroundTask<Answer>>,
    clock: u64,
}

impl ContactSheetCache {
    /// A sheet is being looked at: it is developed soon if it is not there, and kept. Why it can't be shown, if so.
    pub fn look(&mut self, key: &ContactSheetKey, origin: &ContactSheetSource) -> Option<&str> {
        self.want(key, origin);
        let entry = self.entries.get_mut(key)?;
        entry.seen = self.clock;
        match &entry.kept {
            CachedContactSheet::Sheet(_) => None,
            CachedContactSheet::Not(reason) => Some(reason),
        }
    }

    /// Develops a sheet soon unless it is there: for those that will be seen next.
    pub fn want(&mut self, key: &ContactSheetKey, origin: &ContactSheetSource) {
        let there = self.entries.get(key).is_some_and(|entry| entry.origin.is(origin));
        if !there && self.wanted.len() < AT_ONCE && !self.wanted.iter().any(|(wanted, _)| wanted == key) {
            self.wanted.push((key.clone(), origin.clone()));
        }
    }

    /// A sheet is still shown.
    pub fn keep(&mut self, key: &ContactSheetKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.seen = self.clock;
        }
    }

    /// Whether a sheet, or the reason why there is none, is there.
    pub fn has(&self, key: &ContactSheetKey) -> bool {
        self.entries.contains_key(key)
    }

    /// The sheet, if it is there.
    pub fn there(&self, key: &ContactSheetKey) -> Option<&ContactSheet> {
        match &self.entries.get(key)?.kept {
            CachedContactSheet::Sheet(sheet) => Some(sheet),
            CachedContactSheet::Not(_) => None,
        }
    }

    /// Whether something that was asked for is not there yet.
    pub fn busy(&self) -> bool {
        self.work.is_some() || !self.wanted.is_empty()
    }

    /// Once a frame: takes in what was developed, and gives out what is wanted.
    pub fn logic(&mut self, ctx: &egui::Context, wake: &Wake) {
        self.clock += 1;
        if let Some(work) = &mut self.work {
            let mut fresh = Vec::new();
            while let Some(answer) = work.receive() {
                fresh.push(answer);
            }
            if work.over() {
                self.work = None;
            }
            for (key, origin, developed) in fresh {
                let kept = match developed {
                    Ok(developed) => CachedContactSheet::Sheet(developed.upload(ctx, &key)),
                    Err(reason) => CachedContactSheet::Not(reason),
                };
                self.entries.insert(key, ContactSheetEntry { kept, origin, seen: self.clock });
            }
            self.forget();
        }
        let entries = &self.entries;
        self.wanted.retain(|(key, origin)| !entries.get(key).is_some_and(|entry| entry.origin.is(origin)));
        if self.work.is_none() && !self.wanted.is_empty() {
            let wanted = std::mem::take(&mut self.wanted);
            self.work =
                Some(BackgroundTask::start_async("pictures", wake, async move |events, stop: CancelFlag| {
                    for (key, origin) in wanted {
                        if stop.asked() {
                            return;
                        }
                        let developed = render_sheet(key.what, &origin);
                        events.say((key, origin, developed));
                        yield_now().await;
                    }
                }));
        }
    }

    fn forget(&mut self) {
        while self.entries.len() > KEPT {
            let Some(oldest) = self.entries.iter().min_by_key(|(_, e)| e.seen).map(|(key, _)| key.clone())
            else {
                return;
            };
            self.entries.remove(&oldest);
        }
    }
}

impl RenderedContactSheet {
    fn upload(self, ctx: &egui::Context, key: &ContactSheetKey) -> ContactSheet {
        let [width, height] = self.image.size.map(|side| side.max(1) as f32);
        let share = |[x, y, w, h]: [usize; 4], [left, top]: [usize; 2], [width, height]: [f32; 2]| {
            let min = egui::pos2((x - left) as f32 / width, (y - top) as f32 / height);
            egui::Rect::from_min_size(min, egui::vec2(w as f32 / width, h as f32 / height))
        };
        let cell = |[place, picture]: [[usize; 4]; 2]| {
            let [left, top, w, h] = place;
            let sides = [w, h].map(|side| side.max(1) as f32);
            ContactSheetCell {
                uv: share(picture, [0, 0], [width, height]),
                part: share(picture, [left, top], sides),
            }
        };
        let aspect = self.cells.first().map_or(1.0, |[[_, _, w, h], _]| *w as f32 / (*h).max(1) as f32);
        let name = format!("watched {}", key.iteration);
        ContactSheet {
            cells: self.cells.into_iter().map(cell).collect(),
            columns: self.columns,
            aspect,
            texture: ctx.load_texture(name, self.image, TextureOptions::LINEAR),
        }
    }
}

fn render_sheet(what: ContactSheetKind, origin: &ContactSheetSource) -> Result<RenderedContactSheet, String> {
    let (sheet, columns, count) = match (what, origin) {
        (_, ContactSheetSource::Picture(sheet, count)) => ((**sheet).clone(), COLUMNS, Some(*count)),
        (ContactSheetKind::Kind(kind), ContactSheetSource::Look(look)) => {
            (look.grid(kind).map_err(|e| e.to_string())?, COLUMNS, Some(look.frames.len()))
        }
        (ContactSheetKind::Kind(_), ContactSheetSource::File(path)) => {
            (decode_file(path).map_err(|e| e.to_string())?, COLUMNS, None)
        }
        (ContactSheetKind::Beside, _) => return Err("another model has not looked yet".to_owned()),
        (ContactSheetKind::Heads, ContactSheetSource::Look(look)) => {
            let (sheet, heads) = heads(look)?;
            (sheet, heads, Some(heads * look.frames.len()))
        }
        (ContactSheetKind::Heads, ContactSheetSource::File(_)) => {
            return Err("heads are kept of the newest pictures only".to_owned());
        }
    };
    let columns = columns.min(count.unwrap_or(columns)).max(1);
    let cells = cells(&sheet, columns, count);
    let cells = cells.into_iter().map(|place| [place, trimmed(&sheet, place)]).collect();
    Ok(RenderedContactSheet { image: image(&sheet), cells, columns })
}

/// The attention of every head over every watched picture.
fn heads(look: &WatchSnapshot) -> Result<(Picture, usize), String> {
    let heads = look.frames.first().map_or(0, |frame| frame.attention.heads.len());
    let mut shown = Vec::with_capacity(heads * look.frames.len());
    for frame in &look.frames {
        let (rows, cols) = (frame.attention.rows, frame.attention.cols);
        for head in &frame.attention.heads {
            let map = stretch(head, 99.0);
            let smooth = UpsampleFilter::Bicubic;
            let over = overlay(&frame.view, &map, rows, cols, ColourMap::Inferno, 0.7, smooth);
            shown.push(over.map_err(|e| e.to_string())?);
        }
    }
    let sheet = contact_sheet(&shown.iter().collect::<Vec<_>>(), heads.max(1), GAP, BACKDROP);
    Ok((sheet.map_err(|e| e.to_string())?, heads))
}

/// As egui takes it.
pub fn image(picture: &Picture) -> ColorImage {
    ColorImage::from_rgb([picture.width, picture.height], &picture.rgb)
}

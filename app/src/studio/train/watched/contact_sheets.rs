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

use crate::platform::tasks::Wake;
use crate::platform::tasks::yield_now;
use crate::studio::background::task::{BackgroundTask, CancelFlag};

/// Sheets that are kept; beyond it those go that have not been seen for longest.
const KEPT: usize = 64;
/// Sheets that are developed in one go.
const AT_ONCE: usize = 6;
/// Pixels between the pictures of a sheet.
const GAP: usize = 4;
/// Columns of the sheets on disk.
const COLUMNS: usize = 2;
/// Behind and between the pictures of a sheet.
const BACKDROP: [u8; 3] = [24, 24, 27];

/// What a sheet shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContactSheetKind {
    /// One kind of all watched pictures.
    Kind(WatchFrameKind),
    /// The attention of every head, a row for each watched picture. Of the newest pictures only.
    Heads,
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
}

impl ContactSheetSource {
    /// Whether it is the same one: a picture that was made again has another origin under the same name.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Look(a), Self::Look(b)) => Arc::ptr_eq(a, b),
            (Self::File(a), Self::File(b)) => a == b,
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
        (ContactSheetKind::Kind(kind), ContactSheetSource::Look(look)) => {
            (look.grid(kind).map_err(|e| e.to_string())?, COLUMNS, Some(look.frames.len()))
        }
        (ContactSheetKind::Kind(_), ContactSheetSource::File(path)) => {
            (decode_file(path).map_err(|e| e.to_string())?, COLUMNS, None)
        }
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

/// The part of a place that is a picture: without the rows and columns of backdrop around it. All of the place where nothing
/// but backdrop is.
fn trimmed(sheet: &Picture, [left, top, width, height]: [usize; 4]) -> [usize; 4] {
    let is_backdrop = |x: usize, y: usize| {
        let at = (y * sheet.width + x) * 3;
        sheet.rgb.get(at..at + 3) == Some(BACKDROP.as_slice())
    };
    let row = |y: usize| (left..left + width).any(|x| !is_backdrop(x, y));
    let column = |x: usize| (top..top + height).any(|y| !is_backdrop(x, y));
    let (mut rows, mut columns) = (top..top + height, left..left + width);
    let (Some(first), Some(last)) = (rows.clone().find(|y| row(*y)), rows.rfind(|y| row(*y))) else {
        return [left, top, width, height];
    };
    let (from, to) = (columns.clone().find(|x| column(*x)), columns.rfind(|x| column(*x)));
    let (from, to) = (from.unwrap_or(left), to.unwrap_or(left + width - 1));
    [from, first, to + 1 - from, last + 1 - first]
}

/// As egui takes it.
pub fn image(picture: &Picture) -> ColorImage {
    ColorImage::from_rgb([picture.width, picture.height], &picture.rgb)
}

/// Where the pictures of a sheet are: left, top, width, height. Without a count, the rows are told from the backdrop
/// between them, and a last place that is empty is left out.
fn cells(sheet: &Picture, columns: usize, count: Option<usize>) -> Vec<[usize; 4]> {
    let inner = |length: usize, parts: usize| {
        let left = length.checked_sub(GAP * (parts + 1))?;
        (left > 0 && left.is_multiple_of(parts)).then_some(left / parts)
    };
    let is_backdrop = |x: usize, y: usize| {
        let at = (y * sheet.width + x) * 3;
        sheet.rgb.get(at..at + 3) == Some(BACKDROP.as_slice())
    };
    // A sheet of one picture has one column.
    let gutter = |x: usize| (0..sheet.height).all(|y| is_backdrop(x, y));
    let two =
        columns == 1 || count.is_some() || inner(sheet.width, columns).is_some_and(|w| gutter(GAP + w + 1));
    let columns = if two { columns } else { 1 };
    let Some(width) = inner(sheet.width, columns) else { return vec![[0, 0, sheet.width, sheet.height]] };
    let line = |y: usize| (0..sheet.width).all(|x| is_backdrop(x, y));
    let gap = |height: usize, row: usize| row * (height + GAP);
    let fits = |rows: usize| {
        let height = inner(sheet.height, rows)?;
        (1..rows).all(|row| line(gap(height, row) + GAP / 2)).then_some((rows, height))
    };
    // A dark band through all pictures of a row looks like a gap, but not like one of its height.
    let is_sharp = |(rows, height): &(usize, usize)| {
        (1..*rows).all(|row| !line(gap(*height, row) - 1) && !line(gap(*height, row) + GAP))
    };
    let found = match count {
        Some(count) => fits(count.div_ceil(columns)),
        None => {
            let possible = (1..=sheet.height / (2 * GAP)).rev().filter_map(fits);
            let possible: Vec<_> = possible.filter(|(_, height)| 8 * height >= width).collect();
            let sharp = possible.iter().copied().find(|found| found.0 > 1 && is_sharp(found));
            sharp.or(possible.first().copied())
        }
    };
    let Some((rows, height)) = found else { return vec![[0, 0, sheet.width, sheet.height]] };
    let place =
        |i: usize| [GAP + i % columns * (width + GAP), GAP + i / columns * (height + GAP), width, height];
    let empty = |[x, y, w, h]: [usize; 4]| (y..y + h).all(|y| (x..x + w).all(|x| is_backdrop(x, y)));
    let all = (0..rows * columns).map(place);
    match count {
        Some(count) => all.take(count).collect(),
        None => {
            let mut cells: Vec<_> = all.collect();
            if cells.last().is_some_and(|last| empty(*last)) {
                cells.pop();
            }
            cells
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn plain(width: usize, height: usize, shade: u8) -> Picture {
        Picture::of_rgb(width, height, vec![shade; width * height * 3])
    }

    #[test]
    fn the_pictures_of_a_sheet_are_found_again() {
        for count in [1, 2, 3, 5, 6, 7] {
            for (width, height) in [(16, 16), (40, 24), (24, 40)] {
                let pictures: Vec<Picture> = (0..count).map(|i| plain(width, height, 60 + i as u8)).collect();
                let sheet =
                    contact_sheet(&pictures.iter().collect::<Vec<_>>(), COLUMNS, GAP, BACKDROP).unwrap();
                let found = cells(&sheet, COLUMNS, None);
                assert_eq!(found.len(), count, "{count} of {width} × {height}");
                for (i, [x, y, w, h]) in found.into_iter().enumerate() {
                    assert_eq!((w, h), (width, height));
                    let at = (y * sheet.width + x) * 3;
                    assert_eq!(sheet.rgb[at], 60 + i as u8);
                }
            }
        }
    }

    #[test]
    fn what_stands_around_a_picture_is_left_out() {
        // A wide and a high picture, which leave room above and beside them.
        let pictures = [plain(40, 20, 200), plain(20, 40, 100), plain(40, 40, 50)];
        let framed: Vec<Picture> = pictures
            .iter()
            .map(|picture| {
                let mut square = Picture::of_rgb(40, 40, BACKDROP.repeat(1600));
                let (left, top) = ((40 - picture.width) / 2, (40 - picture.height) / 2);
                for y in 0..picture.height {
                    let to = ((top + y) * 40 + left) * 3;
                    let from = y * picture.width * 3;
                    square.rgb[to..to + picture.width * 3]
                        .copy_from_slice(&picture.rgb[from..from + picture.width * 3]);
                }
                square
            })
            .collect();
        let sheet = contact_sheet(&framed.iter().collect::<Vec<_>>(), COLUMNS, GAP, BACKDROP).unwrap();
        let found: Vec<_> = cells(&sheet, COLUMNS, Some(3)).into_iter().map(|p| trimmed(&sheet, p)).collect();
        assert_eq!(found, [[4, 14, 40, 20], [58, 4, 20, 40], [4, 48, 40, 40]]);
        let empty = Picture::of_rgb(8, 8, BACKDROP.repeat(64));
        assert_eq!(trimmed(&empty, [2, 2, 4, 4]), [2, 2, 4, 4]);
    }

    #[test]
    fn a_dark_picture_is_not_cut_in_pieces() {
        let dark: Vec<Picture> = (0..4)
            .map(|_| {
                let mut picture = plain(32, 32, 200);
                picture.rgb[32 * 3 * 10..32 * 3 * 20].copy_from_slice(&BACKDROP.repeat(320));
                picture
            })
            .collect();
        let sheet = contact_sheet(&dark.iter().collect::<Vec<_>>(), COLUMNS, GAP, BACKDROP).unwrap();
        assert_eq!(cells(&sheet, COLUMNS, Some(4)).len(), 4);
        assert_eq!(cells(&sheet, COLUMNS, None).len(), 4);
    }
}

//! The pictures that are open: a strip of thumbnails, one of them chosen.

pub(super) mod closed_pictures;
pub(super) mod gallery_loader;
pub(super) mod pixel_store;
pub(super) mod thumbnail;
pub(super) mod train_on;
pub(super) mod watch;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use dinoscope_core::explore::PictureId;
use egui::{TextureHandle, TextureOptions, vec2};

use crate::studio::theme;
use crate::studio::widgets;
use pixel_store::{ImageOrigin, Wish};
use thumbnail::{ThumbnailAction, ThumbnailState};

/// Side of a place in the strip.
const PLACE: f32 = 76.0;
/// Between places.
const GAP: f32 = 6.0;
/// Thumbnails that are kept; the rest is made again when it comes into view.
const THUMBS: usize = 600;
/// Large pictures that are kept.
const LARGE: usize = 6;

/// A picture that is open.
pub struct GalleryItem {
    /// Its number.
    pub id: PictureId,
    /// What to call it.
    pub name: String,
    /// Where its pixels are.
    pub origin: ImageOrigin,
    /// Pixels of the whole picture, once it was decoded.
    pub size: Option<[usize; 2]>,
}

impl GalleryItem {
    /// What it is called where names alone could be those of others too: its file where it has one.
    pub fn called(&self) -> String {
        match &self.origin {
            ImageOrigin::File(path) => path.display().to_string(),
            ImageOrigin::Memory(_) | ImageOrigin::Scene(_) => self.name.clone(),
        }
    }
}

/// All pictures that are open.
#[derive(Default)]
pub struct Gallery {
    pub(super) items: Vec<GalleryItem>,
    pub(super) places: HashMap<PictureId, usize>,
    /// Files that are open.
    pub(super) files: HashMap<PathBuf, PictureId>,
    next: PictureId,
    pub(super) chosen: Option<PictureId>,
    /// The one that was chosen before.
    pub(super) before: Option<PictureId>,
    pub(super) second: Option<PictureId>,
    pub(super) selected: BTreeSet<PictureId>,
    pub(super) thumbs: HashMap<PictureId, (TextureHandle, u64)>,
    pub(super) large: HashMap<PictureId, (TextureHandle, u64)>,
    /// What is drawn in place of large pictures that are on their way.
    pub(super) rough: HashMap<PictureId, TextureHandle>,
    visible: Vec<PictureId>,
    clock: u64,
    reveal: bool,
    /// Walks that have not come back.
    pub walking: usize,
    /// Pictures that were pasted.
    pub pasted: usize,
    /// Scenes that were added.
    pub scenes: usize,
}

impl Gallery {
    /// Adds a picture, or finds it where it is open already. The first one is chosen, and so is each from memory.
    pub fn add(&mut self, name: String, origin: ImageOrigin) -> PictureId {
        let id = self.next;
        if let ImageOrigin::File(path) = &origin {
            match self.files.entry(path.clone()) {
                Entry::Occupied(there) => return *there.get(),
                Entry::Vacant(free) => _ = free.insert(id),
            }
        }
        self.next += 1;
        self.places.insert(id, self.items.len());
        self.items.push(GalleryItem { id, name, origin, size: None });
        if self.chosen.is_none()
            || matches!(self.items.last().map(|i| &i.origin), Some(ImageOrigin::Memory(_)))
        {
            self.choose(id);
        }
        id
    }

    /// A picture in memory has become another one.
    pub fn change(&mut self, id: PictureId, origin: ImageOrigin) {
        if let Some(item) = self.places.get(&id).and_then(|at| self.items.get_mut(*at)) {
            item.origin = origin;
        }
    }

    /// Takes a picture away; false when it was not there.
    pub fn remove(&mut self, id: PictureId) -> bool {
        self.close(&BTreeSet::from([id])).count() > 0
    }

    /// Takes a picture away that turned out to be none: what was chosen before is chosen again.
    pub fn refuse(&mut self, id: PictureId) -> bool {
        let back = self.before.filter(|_| self.chosen == Some(id));
        let removed = self.remove(id);
        if let Some(back) = back.filter(|back| self.places.contains_key(back)) {
            self.choose(back);
        }
        removed
    }

    /// What a picture is called: its file where it has one.
    pub fn called(&self, id: PictureId) -> String {
        self.item(id).map_or(String::new(), GalleryItem::called)
    }

    /// How many pictures are open.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The picture called `id`.
    pub fn item(&self, id: PictureId) -> Option<&GalleryItem> {
        self.items.get(*self.places.get(&id)?)
    }

    /// Where a picture's pixels are.
    pub fn origin(&self, id: PictureId) -> Option<ImageOrigin> {
        self.item(id).map(|item| item.origin.clone())
    }

    /// The chosen picture.
    pub fn chosen(&self) -> Option<PictureId> {
        self.chosen
    }

    /// The picture beside the chosen one.
    pub fn second(&self) -> Option<PictureId> {
        self.second.filter(|second| Some(*second) != self.chosen)
    }

    /// Shows a picture beside the chosen one, or takes it away.
    pub fn beside(&mut self, id: Option<PictureId>) {
        self.second = id;
    }

    /// Shows the chosen picture's neighbour beside it.
    pub fn neighbour_beside(&mut self) {
        let Some(at) = self.chosen.and_then(|id| self.places.get(&id)).copied() else { return };
        let neighbour = self.items.get(at + 1).or_else(|| self.items.get(at.wrapping_sub(1)));
        self.second = neighbour.map(|item| item.id);
    }

    /// Chooses a picture, which is then the selection.
    pub fn choose(&mut self, id: PictureId) {
        if self.chosen != Some(id) {
            self.before = self.chosen;
        }
        self.chosen = Some(id);
        self.selected = BTreeSet::from([id]);
        self.reveal = true;
    }

    /// Chooses the picture `by` places further.
    pub fn step(&mut self, by: isize) {
        let Some(at) = self.chosen.and_then(|id| self.places.get(&id)) else { return };
        let to = at.saturating_add_signed(by).min(self.items.len().saturating_sub(1));
        if let Some(item) = self.items.get(to) {
            let id = item.id;
            if Some(id) != self.chosen {
                self.choose(id);
            }
        }
    }

    /// The selected pictures, in the order of the strip.
    pub fn selection(&self) -> Vec<PictureId> {
        self.items.iter().map(|item| item.id).filter(|id| self.selected.contains(id)).collect()
    }

    /// At most `most` pictures, evenly from all over the strip and in its order.
    pub fn sample(&self, most: usize) -> Vec<PictureId> {
        let count = self.items.len().min(most);
        (0..count).map(|i| self.items[i * self.items.len() / count].id).collect()
    }

    /// How many thumbnails are kept.
    pub fn thumbnails(&self) -> usize {
        self.thumbs.len()
    }

    /// Pictures whose thumbnails can be seen.
    pub fn visible(&self) -> &[PictureId] {
        &self.visible
    }

    /// The files of all pictures that are files.
    pub fn files(&self) -> Vec<PathBuf> {
        let file = |item: &GalleryItem| match &item.origin {
            ImageOrigin::File(path) => Some(path.clone()),
            _ => None,
        };
        self.items.iter().filter_map(file).collect()
    }

    /// Folder of the first picture that is a file.
    pub fn folder(&self) -> Option<PathBuf> {
        self.items.iter().find_map(|item| match &item.origin {
            ImageOrigin::File(path) => path.parent().map(PathBuf::from),
            _ => None,
        })
    }

    /// A thumbnail has been made.
    pub fn thumb(&mut self, ctx: &egui::Context, id: PictureId, image: egui::ColorImage, size: [usize; 2]) {
        keep(
            &mut self.thumbs,
            THUMBS,
            self.clock,
            id,
            ctx.load_texture("thumb", image, TextureOptions::LINEAR),
        );
        self.sized(id, size);
    }

    /// A large picture of fewer pixels has been made, to be drawn until the other one is there.
    pub fn roughly_shown(
        &mut self,
        ctx: &egui::Context,
        id: PictureId,
        image: egui::ColorImage,
        size: [usize; 2],
    ) {
        let in_view = [self.chosen, self.second];
        self.rough.retain(|id, _| in_view.contains(&Some(*id)));
        if !self.large.contains_key(&id) {
            self.rough.insert(id, ctx.load_texture("rough", image, TextureOptions::LINEAR));
            self.sized(id, size);
        }
    }

    /// A large picture has been made.
    pub fn shown(&mut self, ctx: &egui::Context, id: PictureId, image: egui::ColorImage, size: [usize; 2]) {
        self.rough.remove(&id);
        keep(
            &mut self.large,
            LARGE,
            self.clock,
            id,
            ctx.load_texture("picture", image, TextureOptions::LINEAR),
        );
        self.sized(id, size);
    }

    fn sized(&mut self, id: PictureId, size: [usize; 2]) {
        if let Some(item) = self.places.get(&id).and_then(|at| self.items.get_mut(*at)) {
            item.size = Some(size);
        }
    }

    /// The best texture of a picture that there is.
    pub fn texture(&mut self, id: PictureId) -> Option<TextureHandle> {
        let clock = self.clock;
        if let Some((texture, used)) = self.large.get_mut(&id) {
            *used = clock;
            return Some(texture.clone());
        }
        self.rough.get(&id).or_else(|| self.thumbs.get(&id).map(|(texture, _)| texture)).cloned()
    }

    /// What is missing: thumbnails in view, then the chosen pictures.
    pub fn missing(&self) -> (Vec<Wish>, Vec<Wish>) {
        let wish = |id: &PictureId| self.origin(*id).map(|origin| (*id, origin));
        let thumbs =
            self.visible.iter().filter(|id| !self.thumbs.contains_key(id)).filter_map(wish).collect();
        let large = [self.chosen, self.second()];
        let large =
            large.iter().flatten().filter(|id| !self.large.contains_key(id)).filter_map(wish).collect();
        (thumbs, large)
    }

    /// Whether pictures are still on their way.
    pub fn loading(&self) -> bool {
        let (thumbs, large) = self.missing();
        self.walking > 0 || !thumbs.is_empty() || !large.is_empty()
    }

    /// The strip. `over` draws a layer over a thumbnail. Those that a person wants to close.
    pub fn ui(
        &mut self,
        ui: &mut egui::Ui,
        over: &dyn Fn(PictureId) -> Option<egui::TextureId>,
    ) -> BTreeSet<PictureId> {
        let scroll = egui::ScrollArea::vertical().auto_shrink(false);
        widgets::scroll_with(ui, "gallery", scroll, |ui, scroll| self.strip(ui, scroll, over))
    }

    fn strip(
        &mut self,
        ui: &mut egui::Ui,
        mut scroll: egui::ScrollArea,
        over: &dyn Fn(PictureId) -> Option<egui::TextureId>,
    ) -> BTreeSet<PictureId> {
        self.clock += 1;
        let width = ui.available_width() - theme::GUTTER;
        let columns = (((width + GAP) / (PLACE + GAP)).floor() as usize).max(1);
        let rows = self.items.len().div_ceil(columns);
        let side = (width - GAP * (columns - 1) as f32) / columns as f32;
        let high = side + thumbnail::NAME;
        if std::mem::take(&mut self.reveal)
            && let Some(at) = self.chosen.and_then(|id| self.places.get(&id))
        {
            let top = (at / columns) as f32 * (high + GAP);
            let id = egui::Id::unique("gallery scroll");
            let seen: Option<(f32, f32)> = ui.data(|data| data.get_temp(id));
            if seen.is_none_or(|(from, to)| top < from || top + high > to) {
                scroll = scroll.vertical_scroll_offset((top - high).max(0.0));
            }
        }
        ui.spacing_mut().item_spacing = vec2(GAP, GAP);
        let mut clicked = None;
        let mut visible = Vec::new();
        let output = scroll.show_rows(ui, high, rows, |ui, range| {
            for row in range {
                ui.horizontal(|ui| {
                    for item in self.items.iter().skip(row * columns).take(columns) {
                        visible.push(item.id);
                        let state = ThumbnailState {
                            chosen: self.chosen == Some(item.id),
                            marked: self.selected.contains(&item.id),
                            several: self.selected.len() > 1,
                            beside: self.second == Some(item.id),
                        };
                        let own = self.thumbs.get(&item.id).map(|(texture, _)| texture);
                        if let Some(how) = thumbnail::ui(ui, item, side, own, over(item.id), state) {
                            clicked = Some((item.id, how));
                        }
                    }
                });
            }
        });
        let offset = output.state.clamped_offset().y;
        let id = egui::Id::unique("gallery scroll");
        ui.data_mut(|data| data.insert_temp(id, (offset, offset + output.inner_rect.height())));
        for id in &visible {
            if let Some((_, used)) = self.thumbs.get_mut(id) {
                *used = self.clock;
            }
        }
        self.visible = visible;
        match clicked {
            Some((id, ThumbnailAction::Choose)) => self.choose(id),
            Some((id, ThumbnailAction::Beside)) => {
                self.second = if self.second == Some(id) { None } else { Some(id) }
            }
            Some((id, ThumbnailAction::Select)) if self.selected.contains(&id) => {
                self.selected.remove(&id);
            }
            Some((id, ThumbnailAction::Select)) => {
                self.selected.insert(id);
            }
            Some((id, ThumbnailAction::Close)) => return BTreeSet::from([id]),
            Some((_, ThumbnailAction::CloseSelected)) => return self.selected.clone(),
            None => {}
        }
        BTreeSet::new()
    }
}

/// Keeps a texture, and gives up those that were not seen for longest.
fn keep(
    kept: &mut HashMap<PictureId, (TextureHandle, u64)>,
    most: usize,
    clock: u64,
    id: PictureId,
    texture: TextureHandle,
) {
    kept.insert(id, (texture, clock));
    while kept.len() > most {
        let Some(oldest) = kept.iter().filter(|(i, _)| **i != id).min_by_key(|(_, (_, used))| *used) else {
            break;
        };
        let oldest = *oldest.0;
        kept.remove(&oldest);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    pub fn files(n: usize) -> Gallery {
        let mut gallery = Gallery::default();
        for i in 0..n {
            gallery.add(format!("{i}"), ImageOrigin::File(PathBuf::from(format!("/pictures/{i}.png"))));
        }
        gallery
    }

    #[test]
    fn the_first_is_chosen_and_steps_stay_inside() {
        let mut gallery = files(3);
        assert_eq!(gallery.chosen(), Some(0));
        gallery.step(-1);
        assert_eq!(gallery.chosen(), Some(0));
        gallery.step(5);
        assert_eq!(gallery.chosen(), Some(2));
        assert_eq!(gallery.selection(), [2]);
    }

    #[test]
    fn a_file_is_open_once_and_a_removed_one_leaves_its_neighbour() {
        let mut gallery = files(3);
        assert_eq!(gallery.add("again".into(), ImageOrigin::File(PathBuf::from("/pictures/1.png"))), 1);
        assert_eq!((gallery.len(), gallery.chosen()), (3, Some(0)));
        gallery.choose(1);
        gallery.beside(Some(2));
        assert!(gallery.remove(2) && !gallery.remove(2));
        assert_eq!(gallery.second(), None);
        assert!(gallery.remove(1));
        assert_eq!(gallery.chosen(), Some(0));
        assert!(gallery.remove(0) && gallery.is_empty() && gallery.chosen().is_none());

        let mut gallery = files(3);
        gallery.choose(2);
        assert!(gallery.refuse(2));
        assert_eq!(gallery.chosen(), Some(0), "as before it came");
    }

    #[test]
    fn a_sample_comes_from_all_over_the_strip() {
        assert_eq!(files(5).sample(64), [0, 1, 2, 3, 4]);
        assert_eq!(files(500).sample(4), [0, 125, 250, 375]);
        assert!(Gallery::default().sample(64).is_empty());
    }

    #[test]
    fn thumbnails_are_bounded() {
        let ctx = egui::Context::default();
        let mut gallery = files(THUMBS + 50);
        for id in 0..(THUMBS + 50) as u64 {
            gallery.clock = id;
            gallery.thumb(&ctx, id, egui::ColorImage::filled([2, 2], egui::Color32::RED), [20, 20]);
        }
        assert_eq!(gallery.thumbs.len(), THUMBS);
        assert!(gallery.thumbs.contains_key(&(THUMBS as u64 + 49)) && !gallery.thumbs.contains_key(&0));
    }
}

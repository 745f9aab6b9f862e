//! Pictures that are closed, and how they come back.

use std::collections::BTreeSet;

use dinoscope_core::explore::PictureId;

use crate::studio::app_context::AppContext;
use crate::studio::explore::ExploreWorkspace;
use crate::studio::explore::gallery::{Gallery, GalleryItem};
use crate::studio::explore::pixel_store::ImageOrigin;

/// Pictures that were closed, and how the gallery stood. Their thumbnails are made again.
#[derive(Default)]
pub struct ClosedImages {
    /// With their places, in that order.
    items: Vec<(usize, GalleryItem)>,
    chosen: Option<PictureId>,
    second: Option<PictureId>,
    selected: BTreeSet<PictureId>,
    pasted: usize,
    scenes: usize,
}

impl ClosedImages {
    /// How many.
    pub fn count(&self) -> usize {
        self.items.len()
    }

    /// What was closed, in words.
    fn words(&self) -> String {
        match self.items.as_slice() {
            [(_, one)] => format!("Closed {}.", one.name),
            all => format!("Closed {} pictures.", all.len()),
        }
    }
}

impl Gallery {
    /// Closes pictures. When the chosen one is among them, the next that stays is chosen.
    pub fn close(&mut self, gone: &BTreeSet<PictureId>) -> ClosedImages {
        let mut closed = ClosedImages {
            items: Vec::new(),
            chosen: self.chosen,
            second: self.second,
            selected: self.selected.clone(),
            pasted: self.pasted,
            scenes: self.scenes,
        };
        let chosen_at = self.chosen.and_then(|id| self.places.get(&id)).copied().unwrap_or(0);
        let mut next = 0;
        let mut kept = Vec::with_capacity(self.items.len());
        for (place, item) in std::mem::take(&mut self.items).into_iter().enumerate() {
            if !gone.contains(&item.id) {
                next += usize::from(place < chosen_at);
                kept.push(item);
                continue;
            }
            if let ImageOrigin::File(path) = &item.origin {
                self.files.remove(path);
            }
            self.thumbs.remove(&item.id);
            self.large.remove(&item.id);
            self.rough.remove(&item.id);
            self.selected.remove(&item.id);
            closed.items.push((place, item));
        }
        self.items = kept;
        self.index();
        self.before = self.before.filter(|id| !gone.contains(id));
        self.second = self.second.filter(|id| !gone.contains(id));
        if self.chosen.is_some_and(|id| gone.contains(&id)) {
            self.chosen = None;
            if let Some(item) = self.items.get(next.min(self.items.len().saturating_sub(1))) {
                self.choose(item.id);
            }
        }
        if self.items.is_empty() {
            (self.pasted, self.scenes) = (0, 0);
        }
        closed
    }

    /// Pictures that were closed are open again where they were, unless they have been opened since.
    pub fn restore(&mut self, closed: ClosedImages) {
        let scenes: BTreeSet<usize> = self.items.iter().filter_map(|item| scene(&item.origin)).collect();
        let mut there = std::mem::take(&mut self.items).into_iter();
        let mut all = Vec::with_capacity(there.len() + closed.items.len());
        for (place, item) in closed.items {
            let again = match &item.origin {
                ImageOrigin::File(path) => self.files.contains_key(path),
                origin => scene(origin).is_some_and(|scene| scenes.contains(&scene)),
            };
            if again {
                continue;
            }
            if let ImageOrigin::File(path) = &item.origin {
                self.files.insert(path.clone(), item.id);
            }
            all.extend(there.by_ref().take(place.saturating_sub(all.len())));
            all.push(item);
        }
        all.extend(there);
        self.items = all;
        self.index();
        self.pasted = self.pasted.max(closed.pasted);
        self.scenes = self.scenes.max(closed.scenes);
        if let Some(chosen) = closed.chosen.filter(|id| self.places.contains_key(id)) {
            self.choose(chosen);
            self.selected = closed.selected.into_iter().filter(|id| self.places.contains_key(id)).collect();
            self.second = closed.second.filter(|id| self.places.contains_key(id));
        } else if self.chosen.is_none()
            && let Some(first) = self.items.first()
        {
            self.choose(first.id);
        }
    }

    fn index(&mut self) {
        self.places = self.items.iter().enumerate().map(|(at, item)| (item.id, at)).collect();
    }
}

/// Which scene it is.
fn scene(origin: &ImageOrigin) -> Option<usize> {
    match origin {
        ImageOrigin::Scene(index) => Some(*index),
        ImageOrigin::File(_) | ImageOrigin::Memory(_) => None,
    }
}

impl ExploreWorkspace {
    /// Closes pictures, and says how they come back.
    pub(in crate::studio::explore) fn close_pictures(
        &mut self,
        gone: &BTreeSet<PictureId>,
        app: &mut AppContext,
    ) {
        let closed = self.gallery.close(gone);
        if closed.count() == 0 {
            return;
        }
        self.pinned = self.pinned.filter(|spot| !gone.contains(&spot.picture));
        self.hover = self.hover.filter(|spot| !gone.contains(&spot.picture));
        app.offer_undo(closed.words(), move |parts| parts.explore.gallery.restore(closed));
    }

    /// Closes what is selected.
    pub(in crate::studio::explore) fn close_selection(&mut self, app: &mut AppContext) {
        let selected = self.gallery.selection().into_iter().collect();
        self.close_pictures(&selected, app);
    }

    /// Closes everything.
    pub(in crate::studio::explore) fn close_all(&mut self, app: &mut AppContext) {
        let all = self.gallery.sample(usize::MAX).into_iter().collect();
        self.close_pictures(&all, app);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::studio::explore::gallery::tests::files;

    #[test]
    fn what_was_closed_comes_back_where_it_was() {
        let mut gallery = files(6);
        gallery.choose(2);
        gallery.beside(Some(5));
        let closed = gallery.close(&BTreeSet::from([1, 2, 5, 77]));
        assert_eq!((closed.count(), closed.words().as_str()), (3, "Closed 3 pictures."));
        assert_eq!(gallery.sample(9), [0, 3, 4]);
        assert_eq!((gallery.chosen(), gallery.second()), (Some(3), None), "the next one");
        gallery.restore(closed);
        assert_eq!(gallery.sample(9), [0, 1, 2, 3, 4, 5]);
        assert_eq!((gallery.chosen(), gallery.second()), (Some(2), Some(5)));
        assert_eq!(gallery.selection(), [2]);
        assert_eq!(gallery.files().len(), 6);
    }

    #[test]
    fn what_was_opened_since_is_open_once() {
        let mut gallery = files(3);
        let closed = gallery.close(&BTreeSet::from([0, 1, 2]));
        assert!(gallery.is_empty() && gallery.chosen().is_none());
        let again = gallery.add("1".into(), ImageOrigin::File(PathBuf::from("/pictures/1.png")));
        let other = gallery.add("9".into(), ImageOrigin::File(PathBuf::from("/pictures/9.png")));
        assert_eq!((again, other), (3, 4), "numbers are not given twice");
        gallery.restore(closed);
        assert_eq!(gallery.sample(9), [0, 3, 2, 4]);
        assert_eq!(gallery.chosen(), Some(0));
    }

    #[test]
    fn the_last_ones_leave_the_one_before_them() {
        let mut gallery = files(4);
        gallery.choose(3);
        gallery.close(&BTreeSet::from([2, 3]));
        assert_eq!(gallery.chosen(), Some(1));
    }
}

//! What is missing of the second model, asked of those who can make it: once a frame, most urgent first.

use std::sync::Arc;

use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::analysis::agreement::PatchAgreement;
use dinoscope_core::explore::{PatchTokens, PictureId, PictureInspection, QueryToken, ViewQuery};
use egui::{Vec2, vec2};

use super::figures::{AgreementKey, TurnJob};
use crate::studio::explore::inspection_requests::{LAYER, QUICK, SMALL};
use crate::studio::explore::paint::{LayeredInspection, OverlayContent, OverlayJob, OverlayKind, key_of};
use crate::studio::explore::settings::ColourScope;
use crate::studio::explore::{ExplorePanel, ExploreWorkspace, PatchLocation};

/// The patch of a grid at a place of the picture.
fn patch_at(at: Vec2, rows: usize, cols: usize) -> usize {
    let along =
        |share: f32, count: usize| ((share.max(0.0) * count as f32) as usize).min(count.saturating_sub(1));
    along(at.y, rows) * cols + along(at.x, cols)
}

fn host(seen: &PictureInspection) -> Option<Arc<PatchFeatures>> {
    match &seen.patches {
        PatchTokens::Host(patches) => Some(patches.clone()),
        PatchTokens::Device(_) => None,
    }
}

impl ExploreWorkspace {
    /// The way the second model looks at a picture at the moment.
    pub(super) fn other_way(&self, picture: PictureId) -> Option<ViewQuery> {
        let other = self.compared.as_ref().filter(|other| other.second.info.is_some())?;
        let mut shape = other.shape.clone();
        shape.resolution = self.settings.resolution;
        // The same block where there is one: the last of both are the last.
        shape.block = self.settings.block.filter(|block| *block + 1 < shape.depth);
        let from_patch = self.settings.panel == ExplorePanel::Attention && self.settings.from_pin;
        let pinned = self.pinned.filter(|spot| from_patch && spot.picture == picture);
        let plain = shape.way(QueryToken::Cls);
        let query = pinned.and_then(|spot| {
            let (rows, cols) = other.results.grid(picture, plain.resolution)?;
            Some(QueryToken::Patch(patch_at(self.place_of(spot)?, rows, cols)))
        });
        Some(ViewQuery { query: query.unwrap_or_default(), ..plain })
    }

    /// What the second model has seen in a picture, the way one looks now.
    pub(super) fn other_seen(&mut self, picture: PictureId) -> Option<Arc<PictureInspection>> {
        let way = self.other_way(picture)?;
        self.compared.as_mut()?.results.get(picture, way)
    }

    /// Where in its picture a patch of the first model lies, from 0 to 1: where it was pointed at, else its middle.
    fn place_of(&self, spot: PatchLocation) -> Option<Vec2> {
        let other = self.compared.as_ref()?;
        let pointed =
            [other.pinned_at, other.hover_at].into_iter().flatten().find(|(known, _)| *known == spot);
        if let Some((_, at)) = pointed {
            return Some(at);
        }
        let (rows, cols) = self.results.grid(spot.picture, self.settings.resolution())?;
        let (row, col) = (spot.patch / cols.max(1), spot.patch % cols.max(1));
        Some(vec2((col as f32 + 0.5) / cols as f32, (row as f32 + 0.5) / rows as f32))
    }

    /// The second model's patch at the place of one of the first's.
    pub(super) fn beside_spot(&self, spot: PatchLocation) -> Option<PatchLocation> {
        let resolution = self.other_way(spot.picture)?.resolution;
        let (rows, cols) = self.compared.as_ref()?.results.grid(spot.picture, resolution)?;
        let patch = patch_at(self.place_of(spot)?, rows, cols);
        Some(PatchLocation { picture: spot.picture, patch })
    }

    /// The first model's patch at a place of a picture.
    pub(super) fn first_spot(&mut self, picture: PictureId, at: Vec2) -> Option<PatchLocation> {
        let seen = self.seen(picture)?;
        Some(PatchLocation { picture, patch: patch_at(at, seen.rows, seen.cols) })
    }

    /// Pictures that the second model looks at: those that are large, and those whose colours are shared with them.
    fn other_needed(&self) -> Vec<PictureId> {
        let mut ids: Vec<PictureId> =
            [self.gallery.chosen(), self.gallery.second()].into_iter().flatten().collect();
        if self.settings.panel == ExplorePanel::Pca && self.settings.scope != ColourScope::One {
            let together = self.together();
            ids.extend(together.into_iter().filter(|id| !ids.contains(id)).collect::<Vec<_>>());
        }
        if let Some(other) = &self.compared {
            ids.truncate(other.results.room());
        }
        ids
    }

    fn other_missing(&self) -> Vec<(PictureId, ViewQuery)> {
        let Some(other) = &self.compared else { return Vec::new() };
        let missing = |key: &(PictureId, ViewQuery)| {
            let there = other.results.kept.contains_key(key) || other.failures.contains_key(key);
            let newest = self.newest(key.0);
            !there || (newest > 0 && newest != other.live_seen)
        };
        let keys = self.other_needed().into_iter().filter_map(|id| Some((id, self.other_way(id)?)));
        keys.filter(missing).collect()
    }

    /// Whether what will be drawn of the second model is still on its way.
    pub(in crate::studio::explore) fn compared_busy(&self) -> bool {
        let Some(other) = &self.compared else { return false };
        let matching = self.settings.panel == ExplorePanel::Match
            && self.gallery.second().is_some()
            && other.failures.is_empty()
            && other.painter.matches.as_ref().map(|(key, _)| *key) != other.matching;
        other.second.opens()
            || other.painter.busy()
            || other.computes()
            || matching
            || !self.other_missing().is_empty()
    }

    /// Asks for everything that is missing.
    pub(in crate::studio::explore) fn ask_other(&mut self, ctx: &egui::Context) {
        if !self.compares() {
            return;
        }
        let missing = self.other_missing();
        let key = key_of(missing.iter().map(|(id, way)| (*id, *way, self.newest(*id))).collect::<Vec<_>>());
        let wanted: Vec<_> = missing.into_iter().filter_map(|(id, way)| self.request(id, way)).collect();
        if let Some(other) = self.compared.as_mut().filter(|other| other.wanted != key) {
            other.wanted = key;
            other.second.want(wanted);
        }
        self.ask_to_turn();
        self.ask_for_agreement();
        self.ask_for_other_matches();
        let jobs = self.other_layers();
        if let Some(other) = &mut self.compared {
            other.painter.want(ctx, jobs);
        }
    }

    /// A number for the first model, and how it looks.
    fn first_key(&self, picture: PictureId) -> (u64, usize) {
        (self.model.as_ref().map_or(0, |model| model.generation), self.way(picture).resolution)
    }

    /// Colours of the second model are those of the first one's pictures, once they have settled.
    fn ask_to_turn(&mut self) {
        if self.settings.panel != ExplorePanel::Pca || self.painter.fits() {
            return;
        }
        let Some((reference, of_first)) =
            self.painter.basis().and_then(|basis| Some((basis.host()?.clone(), basis.generation)))
        else {
            return;
        };
        let is_there = self.compared.as_ref().is_some_and(|other| other.painter.basis().is_some());
        if self.settings.locked && is_there {
            return;
        }
        let together = self.fitted_together();
        let of = together.len();
        let mut pairs = Vec::with_capacity(of);
        let mut ids = Vec::with_capacity(of);
        for (id, seen) in together {
            let (Some(first), Some(second)) = (host(&seen), self.other_seen(id).and_then(|seen| host(&seen)))
            else {
                continue;
            };
            ids.push((id, self.other_way(id), self.version(id)));
            pairs.push([first, second]);
        }
        let chosen = self.gallery.chosen();
        let has_chosen = ids.iter().any(|(id, ..)| Some(*id) == chosen);
        if pairs.is_empty() || (self.settings.scope != ColourScope::All && !has_chosen) {
            return;
        }
        // As with the first model's: while more come in, colours change when there are twice as many.
        if pairs.len() < of {
            let some = 1 << pairs.len().ilog2();
            pairs.truncate(some);
            ids.truncate(some);
        }
        if reference.dim() != pairs[0][0].dim {
            return;
        }
        let foreground = self.settings.foreground;
        let Some(other) = &mut self.compared else { return };
        let generation = other.second.info.as_ref().map(|model| model.generation);
        let key = key_of((of_first, generation, ids, foreground));
        if other.turning != Some(key) && other.painter.basis().is_none_or(|basis| basis.key != key) {
            other.turning = Some(key);
            other.worker.turn(TurnJob { key, reference, pairs, foreground });
        }
    }

    /// What agreement of a picture is known by; nothing for the camera's, which changes faster than that.
    fn agreement_key(&self, picture: PictureId) -> Option<AgreementKey> {
        let other = self.compared.as_ref()?.second.info.as_ref()?.generation;
        let way = self.other_way(picture)?;
        (self.newest(picture) == 0)
            .then(|| (picture, key_of((self.first_key(picture), other, way.resolution))))
    }

    /// Compares what both models have seen, the chosen picture first.
    fn ask_for_agreement(&mut self) {
        let Some(other) = &self.compared else { return };
        let chosen = self.gallery.chosen();
        let mut seen: Vec<PictureId> = other.results.kept.keys().map(|(id, _)| *id).collect();
        seen.sort_unstable_by_key(|id| (Some(*id) != chosen, *id));
        seen.dedup();
        let mut pairs = Vec::new();
        for id in seen {
            let (Some(key), Some(way)) = (self.agreement_key(id), self.other_way(id)) else { continue };
            if other.agreed.contains_key(&key) || self.gallery.item(id).is_none() {
                continue;
            }
            let first = self.results.peek(id, self.way(id)).and_then(|seen| host(seen));
            let second = other.results.peek(id, way).and_then(|seen| host(seen));
            if let (Some(first), Some(second)) = (first, second) {
                pairs.push((key, [first, second]));
            }
        }
        let keys: Vec<AgreementKey> = pairs.iter().map(|(key, _)| *key).collect();
        if let Some(other) = self.compared.as_mut().filter(|other| other.agreeing != keys) {
            other.agreeing = keys;
            other.worker.agree(pairs);
        }
    }

    /// How far both models agree about a picture, once that is known.
    pub(super) fn agreed(&self, picture: PictureId) -> Option<PatchAgreement> {
        self.compared.as_ref()?.agreed.get(&self.agreement_key(picture)?).copied()
    }

    /// The same over all open pictures that both have seen.
    pub(super) fn agreed_over_all(&self) -> PatchAgreement {
        let Some(other) = &self.compared else { return PatchAgreement::default() };
        let now = |key: &AgreementKey| {
            self.gallery.item(key.0).is_some() && self.agreement_key(key.0) == Some(*key)
        };
        let mut known: Vec<_> = other.agreed.iter().filter(|(key, _)| now(key)).collect();
        // Sums are the same whatever the order of a map is.
        known.sort_unstable_by_key(|(key, _)| **key);
        known.into_iter().map(|(_, agreed)| *agreed).sum()
    }

    fn ask_for_other_matches(&mut self) {
        if self.settings.panel != ExplorePanel::Match {
            return;
        }
        let (Some(a), Some(b)) = (self.gallery.chosen(), self.gallery.second()) else { return };
        let features = |seen: Option<Arc<PictureInspection>>| seen.and_then(|seen| host(&seen));
        let (first, second) = (features(self.other_seen(a)), features(self.other_seen(b)));
        let (Some(first), Some(second)) = (first, second) else { return };
        let way = self.other_way(a);
        let Some(other) = &mut self.compared else { return };
        let key = key_of((other.second.info.as_ref().map(|model| model.generation), a, b, way));
        if other.matching != Some(key) {
            other.matching = Some(key);
            other.painter.match_pictures(key, [first, second]);
        }
    }

    /// Layers of the second model's large pictures.
    fn other_layers(&mut self) -> Vec<OverlayJob> {
        let shown = [self.gallery.chosen(), self.gallery.second()];
        shown.into_iter().flatten().flat_map(|id| self.other_layers_of(id)).collect()
    }

    fn other_layers_of(&mut self, id: PictureId) -> Vec<OverlayJob> {
        let (Some(seen), Some(way)) = (self.other_seen(id), self.other_way(id)) else { return Vec::new() };
        let (blocks, panel) = (self.settings.blocks, self.settings.panel);
        let spot = self.spot().and_then(|spot| self.beside_spot(spot));
        let Some(other) = &mut self.compared else { return Vec::new() };
        let of = LayeredInspection { picture: id, seen: seen.clone(), way, blocks, version: other.live_seen };
        let job = |kind, what, side, key| of.layer(kind, what, side, key);
        match panel {
            ExplorePanel::Pca => {
                let basis = other.painter.basis();
                basis
                    .map(|basis| job(OverlayKind::Pca, OverlayContent::Pca, LAYER, basis.generation))
                    .into_iter()
                    .collect()
            }
            ExplorePanel::Attention => {
                let all = std::iter::once(None).chain((0..seen.attention.heads.len()).map(Some));
                let mut heads: Vec<Option<usize>> = all.collect();
                // The large one first.
                heads.sort_by_key(|head| *head != other.head);
                let side = |head: Option<usize>| if head == other.head { LAYER } else { SMALL };
                let layer =
                    |head| job(OverlayKind::Attention(head), OverlayContent::Attention(head), side(head), 1);
                heads.into_iter().map(layer).collect()
            }
            ExplorePanel::Similarity => {
                let Some(spot) = spot else { return Vec::new() };
                let from = self.other_seen(spot.picture).filter(|from| spot.patch < from.rows * from.cols);
                let Some(from) = from else { return Vec::new() };
                let key = key_of((spot, self.other_way(spot.picture)));
                vec![job(OverlayKind::Similarity, OverlayContent::Similarity(from, spot.patch), QUICK, key)]
            }
            ExplorePanel::Match => Vec::new(),
        }
    }
}

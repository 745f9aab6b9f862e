//! What is missing on the screen, asked of those who can make it: once a frame, most urgent first.

use std::sync::Arc;

use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::explore::{
    InspectionRequest, LocalFuture, PatchTokens, PictureId, PictureInspection, QueryToken, ViewQuery,
};

use super::follow::FollowPanel;
use super::paint::{
    ColourFitJob, LayeredInspection, OverlayContent, OverlayJob, OverlayKind, SharedPcaBasis, key_of,
};
use super::pixel_store::ModelViewShape;
use super::settings::ColourScope;
use super::{ExplorePanel, ExploreWorkspace, PatchLocation};

/// Longest side of a large layer; the GPU's texture filter does the rest.
pub(super) const LAYER: usize = 640;
/// Longest side of a layer that follows the pointer.
pub(super) const QUICK: usize = 288;
/// Longest side of a layer over a thumbnail.
pub(super) const SMALL: usize = 96;

impl ExploreWorkspace {
    /// The patch whose similarity shows: the pinned one, else the one under the pointer.
    pub(super) fn spot(&self) -> Option<PatchLocation> {
        self.pinned.or(self.hover)
    }

    /// The way one looks at a picture at the moment.
    pub(super) fn way(&self, picture: PictureId) -> ViewQuery {
        let pinned = self.pinned.filter(|spot| spot.picture == picture && self.settings.from_pin);
        let attention = self.settings.panel == ExplorePanel::Attention;
        let query =
            pinned.filter(|_| attention).map_or(QueryToken::Cls, |spot| QueryToken::Patch(spot.patch));
        self.settings.way(query)
    }

    /// What was seen in a picture, the way one looks now.
    pub(super) fn seen(&mut self, picture: PictureId) -> Option<Arc<PictureInspection>> {
        let way = self.way(picture);
        self.results.get(picture, way)
    }

    /// What is told to who looks at a picture.
    pub(super) fn request(&self, id: PictureId, way: ViewQuery) -> Option<InspectionRequest> {
        let (origin, pixels) = (self.gallery.origin(id)?, self.intake.pixels.clone());
        let load = move |patch, channels| -> LocalFuture<_> {
            let (pixels, origin) = (pixels.clone(), origin.clone());
            let shape = ModelViewShape { resolution: way.resolution, patch, channels };
            Box::pin(async move { pixels.view(id, &origin, shape).await })
        };
        // What two models have seen is compared in memory, as what the camera's place is followed by.
        let in_memory = self.follows_live(id) || self.compares();
        Some(InspectionRequest { picture: id, way, load: Arc::new(load), in_memory })
    }

    /// Asks for everything that is missing.
    pub(super) fn ask(&mut self, ctx: &egui::Context) {
        let wanted = self.missing().into_iter().filter_map(|(id, way)| self.request(id, way));
        let wanted: Vec<InspectionRequest> =
            wanted.chain(self.follow_wanted()).chain(self.sample_wanted()).collect();
        let which = |w: &InspectionRequest| (w.picture, w.way, self.unseen(w.picture));
        let key = key_of(wanted.iter().map(which).collect::<Vec<_>>());
        let changed = self.canvas.wanted != key;
        self.canvas.wanted = key;
        if changed {
            let shape = ModelViewShape {
                resolution: self.settings.resolution(),
                patch: self.settings.patch,
                channels: self.settings.channels,
            };
            let pictures = wanted.iter().map(|wanted| wanted.picture);
            let pictures = pictures.filter(|id| !FollowPanel::is_frame(*id)).collect();
            self.intake.pixels.expect(shape, pictures);
        }
        // After it is known what the model waits for, which is decoded first; before the model asks for it, so that a small
        // picture is decoded once for both.
        let (thumbs, shown) = self.gallery.missing();
        if let Some(rest) = self.intake.pixels.want(thumbs, shown) {
            ctx.request_repaint_after(rest);
        }
        if changed {
            self.explorer.want(wanted);
        }
        self.ask_for_colours();
        let jobs = self.layers();
        self.painter.want(ctx, jobs);
        self.ask_for_matches();
        self.ask_other(ctx);
    }

    fn ask_for_colours(&mut self) {
        if self.settings.panel != ExplorePanel::Pca {
            return;
        }
        let dim = self.model.as_ref().map_or(0, |model| model.config.dim);
        // Another model's colours can be turned onto those in memory alone.
        let usable = |basis: &SharedPcaBasis| basis.host().is_some() || !self.compares();
        if self.settings.locked && self.painter.basis().is_some_and(usable) {
            return;
        }
        // Until the chosen picture was looked at, the colours of the last one stay.
        let chosen = self.gallery.chosen();
        if self.settings.scope != ColourScope::All && chosen.and_then(|id| self.seen(id)).is_none() {
            return;
        }
        let seen = self.fitted_together();
        if seen.is_empty() {
            return;
        }
        let generation = self.model.as_ref().map_or(0, |model| model.generation);
        let which = |id: PictureId| (id, self.way(id), self.version(id));
        let ids: Vec<(PictureId, ViewQuery, u64)> = seen.iter().map(|(id, _)| which(*id)).collect();
        let key = key_of((generation, dim, ids, self.settings.foreground));
        let seen = seen.into_iter().map(|(_, seen)| seen).collect();
        self.painter.fit(ColourFitJob {
            key,
            seen,
            foreground: self.settings.foreground,
            smooth: self.is_live(),
        });
    }

    /// Layers of the large pictures, and of the thumbnails in view.
    fn layers(&mut self) -> Vec<OverlayJob> {
        let shown: Vec<PictureId> =
            [self.gallery.chosen(), self.gallery.second()].into_iter().flatten().collect();
        let mut jobs = Vec::new();
        for id in &shown {
            jobs.extend(self.layer_jobs(*id, false));
        }
        for id in self.gallery.visible().to_vec() {
            if !shown.contains(&id) {
                jobs.extend(self.layer_jobs(id, true));
            }
        }
        jobs
    }

    fn layer_jobs(&mut self, id: PictureId, small: bool) -> Vec<OverlayJob> {
        let Some(seen) = self.seen(id) else { return Vec::new() };
        let (way, blocks, version) = (self.way(id), self.settings.blocks, self.version(id));
        let of = LayeredInspection { picture: id, seen: seen.clone(), way, blocks, version };
        let job = |kind, what, side, key| of.layer(kind, what, side, key);
        match self.settings.panel {
            ExplorePanel::Pca => {
                let Some(basis) = self.painter.basis() else { return Vec::new() };
                if small && self.settings.scope == ColourScope::One {
                    return Vec::new();
                }
                let side = if small { SMALL } else { LAYER };
                vec![job(OverlayKind::Pca, OverlayContent::Pca, side, basis.generation)]
            }
            ExplorePanel::Attention if small => Vec::new(),
            ExplorePanel::Attention => {
                let heads = seen.attention.heads.len();
                let large = self.settings.head;
                let mut jobs =
                    vec![job(OverlayKind::Attention(large), OverlayContent::Attention(large), LAYER, 1)];
                let others = std::iter::once(None).chain((0..heads).map(Some)).filter(|head| *head != large);
                jobs.extend(others.map(|head| {
                    job(OverlayKind::Attention(head), OverlayContent::Attention(head), SMALL, 2)
                }));
                jobs
            }
            ExplorePanel::Similarity => {
                let Some(spot) = self.spot() else { return Vec::new() };
                let from_way = self.way(spot.picture);
                let Some(from) = self.results.get(spot.picture, from_way) else { return Vec::new() };
                if spot.patch >= from.rows * from.cols {
                    return Vec::new();
                }
                let side = if small { SMALL } else { QUICK };
                let key = key_of((spot, from_way, self.version(spot.picture)));
                vec![job(OverlayKind::Similarity, OverlayContent::Similarity(from, spot.patch), side, key)]
            }
            ExplorePanel::Match => Vec::new(),
        }
    }

    /// Patches of a picture in memory; asked for where they are on the device.
    pub(super) fn in_memory(&mut self, id: PictureId) -> Option<Arc<PatchFeatures>> {
        let way = self.way(id);
        let seen = self.results.get(id, way)?;
        match &seen.patches {
            PatchTokens::Host(patches) => Some(patches.clone()),
            PatchTokens::Device(_) => {
                if let Some(patches) = self.fetched.get(&(id, way)) {
                    return Some(patches.clone());
                }
                if self.canvas.fetching.insert((id, way)) {
                    self.explorer.fetch(id, way, seen);
                }
                None
            }
        }
    }

    /// Whether matches that will be drawn are on their way.
    pub(super) fn matching(&self) -> bool {
        self.settings.panel == ExplorePanel::Match
            && self.gallery.second().is_some()
            && self.failures.is_empty()
            && self.painter.matches.as_ref().map(|(key, _)| *key) != self.canvas.matching
    }

    fn ask_for_matches(&mut self) {
        if self.settings.panel != ExplorePanel::Match {
            return;
        }
        let (Some(a), Some(b)) = (self.gallery.chosen(), self.gallery.second()) else { return };
        let (Some(first), Some(second)) = (self.in_memory(a), self.in_memory(b)) else { return };
        let generation = self.model.as_ref().map_or(0, |model| model.generation);
        let key = key_of((generation, a, b, self.way(a)));
        if self.canvas.matching != Some(key) {
            self.canvas.matching = Some(key);
            self.painter.match_pictures(key, [first, second]);
        }
    }
}

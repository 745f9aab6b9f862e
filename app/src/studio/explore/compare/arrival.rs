//! The second model comes, looks, and goes.

use std::sync::Arc;

use dinoscope_core::explore::{ModelInfo, ModelSource, PatchTokens, STARTER_NAME};

use super::ComparedModel;
use crate::platform::HAS_DISK;
use crate::studio::app_context::AppContext;
use crate::studio::explore::ExploreWorkspace;
use crate::studio::models::second_model::SecondModelEvent;

impl ComparedModel {
    /// The model looks from now on.
    fn ready(&mut self, info: &Arc<ModelInfo>) {
        self.forget();
        self.head = self.head.filter(|head| *head < info.config.heads);
        self.shape.fit_to(&info.config);
    }
}

impl ExploreWorkspace {
    /// Looks with a second model too from now on.
    pub fn compare_with(&mut self, app: &mut AppContext, source: ModelSource) {
        if self.compared.is_none() {
            self.compared = Some(Box::new(ComparedModel::new(app, &self.settings)));
            self.first_in_memory(app);
        }
        if !self.compared.as_mut().is_none_or(|other| other.second.open(app, source)) {
            self.no_other(app);
        }
    }

    /// Looks with the first model alone again.
    pub fn stop_comparing(&mut self, app: &AppContext) {
        if self.compared.take().is_some() {
            self.first_in_memory(app);
        }
    }

    /// Another device computes, or another one must begin: the same second model there.
    pub(in crate::studio::explore) fn compared_again(&mut self, app: &mut AppContext) {
        let Some(other) = &mut self.compared else { return };
        other.forget();
        let opened = other.second.again(app);
        self.first_in_memory(app);
        if !opened {
            self.no_other(app);
        }
    }

    /// What two models have seen is compared in memory, also where a GPU would draw the first one's from its own buffers.
    fn first_in_memory(&mut self, app: &AppContext) {
        if !app.devices.draws {
            return;
        }
        let on_device = |seen: &dinoscope_core::explore::PictureInspection| {
            matches!(seen.patches, PatchTokens::Device(_))
        };
        let compares = self.compares();
        self.results.kept.retain(|_, (seen, _)| on_device(seen) != compares);
        self.painter.fit_again();
        self.canvas.wanted = 0;
    }

    /// There is no such model: the one before stays, or none.
    fn no_other(&mut self, app: &AppContext) {
        if self.compared.as_ref().is_some_and(|other| other.second.info.is_none()) {
            self.stop_comparing(app);
        }
    }

    /// Takes in what the second model says and has made.
    pub(in crate::studio::explore) fn compared_logic(&mut self, ctx: &egui::Context, app: &mut AppContext) {
        while let Some(event) = self.compared.as_mut().and_then(|other| other.second.next_event(app)) {
            self.take_other_event(event, app);
        }
        let Some(other) = &mut self.compared else { return };
        other.painter.logic(ctx);
        let error = other.painter.error.take();
        if let Some(error) = other.take_figures().or(error) {
            ::log::warn!("{error}");
            app.toasts.watch(error);
        }
    }

    fn take_other_event(&mut self, event: SecondModelEvent, app: &mut AppContext) {
        let Some(other) = &mut self.compared else { return };
        match event {
            SecondModelEvent::Ready(info) => other.ready(&info),
            SecondModelEvent::Refused | SecondModelEvent::Stopped => self.no_other(app),
            SecondModelEvent::Seen(picture, way, seen) => {
                other.results.put(picture, way, seen);
                let newest = self.newest(picture);
                if let Some(other) = self.compared.as_mut().filter(|_| newest > 0) {
                    other.live_seen = newest;
                }
            }
            SecondModelEvent::Failed(picture, way, reason) => {
                other.failures.insert((picture, way), reason.clone());
                app.failed(self.gallery.called(picture), reason, false);
            }
            SecondModelEvent::Lost(reason) => {
                app.toasts.bad(format!("The second model can't look any more: {reason}."));
                self.stop_comparing(app);
            }
        }
    }

    /// Name or address of the second model, for the page's address; nothing for none, and for one that has none.
    pub fn compared_address(&self) -> Option<&str> {
        match self.compared.as_ref()?.second.source()? {
            ModelSource::Starter => Some(STARTER_NAME),
            ModelSource::Released(name) => Some(name),
            ModelSource::Path(_) | ModelSource::Bytes { .. } => None,
        }
    }

    /// The second model, where it will be there at the next start too.
    pub(in crate::studio::explore) fn kept_source(&self) -> Option<ModelSource> {
        self.compared_source().filter(|source| match source {
            ModelSource::Starter | ModelSource::Released(_) => true,
            ModelSource::Path(_) => HAS_DISK,
            ModelSource::Bytes { .. } => false,
        })
    }

    /// The first model has changed: what says something about both is of another one.
    pub(in crate::studio::explore) fn compared_anew(&mut self) {
        if let Some(other) = &mut self.compared {
            other.forget_agreement();
            (other.hover_at, other.pinned_at) = (None, None);
        }
    }

    /// A number that grows as the second model's work comes further.
    pub(in crate::studio::explore) fn compared_progress(&self) -> u64 {
        self.compared.as_ref().map_or(0, |other| {
            other.results.kept.len() as u64 + other.agreed.len() as u64 + other.second.bytes()
        })
    }
}

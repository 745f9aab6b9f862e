//! What a run of ours says reaches the person: as a toast, as a message that stays, in the log.

use dinoscope_core::train::run::RunFolder;

use crate::studio::app_context::AppContext;
use crate::studio::train::actions::banner_of_failure;
use crate::studio::train::session::TrainSessionEvent;
use crate::studio::train::state::RunPhase;
use crate::studio::train::{RunSelection, TrainBanner, TrainWorkspace, words};
use crate::studio::widgets::StatusTone;

impl TrainWorkspace {
    /// Takes in what our run says.
    pub(in crate::studio::train) fn take_in_own(&mut self, app: &mut AppContext) {
        let Some(own) = &mut self.own else { return };
        for news in own.listen() {
            match news {
                TrainSessionEvent::NotBegun(reason) => {
                    let reason = words::without_flags(&reason);
                    ::log::error!("the run could not start: {reason}");
                    app.toasts.bad("The run could not start. What to do stands above Start.");
                    let folder = self.own_folder().unwrap_or_default();
                    app.failed(folder.display().to_string(), reason.clone(), true);
                    let text = format!("The run could not start.\n{reason}");
                    self.banner = Some(TrainBanner { tone: StatusTone::Bad, text, ways: Vec::new() });
                    self.own = None;
                    // One that a person wanted to go on is there as before.
                    if self.until.is_none() && RunFolder::open(&folder).is_ok() {
                        self.follow(&folder, true);
                    }
                    return;
                }
                TrainSessionEvent::Failed => {
                    let Some(own) = &self.own else { return };
                    if let RunPhase::Failed(failure) = &own.view.phase {
                        ::log::error!("{}: {}", own.view.name, failure.text);
                        app.failed(own.view.name.clone(), failure.text.clone(), false);
                        app.toasts
                            .bad(format!("{} has failed. What to do stands above Start.", own.view.name));
                    }
                    self.banner = banner_of_failure(&own.view);
                    self.shelf.look(&self.root.path(), &self.wake);
                    return;
                }
                TrainSessionEvent::Finished => {
                    let Some(own) = &self.own else { return };
                    ::log::info!("{} has ended after {} steps", own.view.name, own.view.done);
                    match own.view.is_complete() {
                        true => app.toasts.good(format!("{} has finished.", own.view.name)),
                        false => app.toasts.info(format!("{} is saved and can go on.", own.view.name)),
                    }
                    if own.view.improvement().is_some() && self.until.is_none() {
                        self.before_after.open(&own.view.folder, &self.wake);
                    }
                    self.shelf.look(&self.root.path(), &self.wake);
                    return;
                }
                TrainSessionEvent::Checkpoint(step) => {
                    if std::mem::take(&mut self.asked_checkpoint) {
                        app.toasts.good(format!("Checkpoint after {step} steps"));
                    }
                }
                TrainSessionEvent::Wrong => {
                    let Some(own) = &self.own else { return };
                    let why = own.view.health.as_ref().map(|health| health.sentences.join(" "));
                    ::log::warn!("{}: {}", own.view.name, why.unwrap_or_default());
                    app.toasts.watch(format!("{} is going wrong: the Run panel says why.", own.view.name));
                }
                TrainSessionEvent::Warning(text) => {
                    ::log::warn!("{text}");
                    if !text.starts_with("skipped ") {
                        app.toasts.watch(text);
                    }
                }
            }
        }
    }

    /// Lets go of what was to be followed and is no run: it says so, and shows what there was before.
    pub(in crate::studio::train) fn forget_absent(&mut self, app: &mut AppContext) {
        while let Some(at) = self.followed.iter().position(|followed| followed.absent.is_some()) {
            let followed = self.followed.remove(at);
            let (folder, reason) = (followed.view.folder.clone(), followed.absent.unwrap_or_default());
            ::log::warn!("{reason}");
            app.failed(folder.display().to_string(), reason.clone(), true);
            app.toasts.bad(reason);
            if self.focus == RunSelection::Followed(folder) {
                self.set_focus(RunSelection::Own);
            }
        }
    }

    /// Whether a run that was asked for is not there yet.
    pub(in crate::studio::train) fn is_reading(&self) -> bool {
        self.unpacking.is_some() || self.followed.iter().any(|followed| !followed.heard)
    }

    /// Whether a run shows that has not failed.
    pub fn shows(&self) -> bool {
        self.view().is_some_and(|view| !matches!(view.phase, RunPhase::Failed(_)))
    }

    /// Whether what was ordered has been done and shows.
    pub(in crate::studio::train) fn arrived(&mut self) {
        let Some((until, drawn)) = &mut self.until else { return };
        let done = self.own.as_ref().is_none_or(|own| own.view.done > *until || !own.is_going());
        // Only a frame that was drawn since then knows what pictures are missing.
        let shown = done && *drawn && !self.watched.sheet_cache.busy();
        *drawn = done;
        if shown {
            self.until = None;
        }
    }
}

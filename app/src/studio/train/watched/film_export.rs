//! The past of the watched pictures as a film to hand on: a GIF, or its pictures one by one.

use std::path::PathBuf;
use std::sync::Arc;

use dinoscope_core::data::Picture;
use dinoscope_core::train::film::{export_gif, export_pngs, frames};
use dinoscope_core::train::run::RunFolder;
use dinoscope_core::train::watch::WatchFrameKind;
use dinoscope_core::train::watch::beside::BesideFilm;
use egui::Ui;

use crate::platform::HAS_DISK;
use crate::platform::dialogs::DialogPurpose;
use crate::platform::names;
use crate::platform::tasks::Wake;
use crate::studio::background::task::{BackgroundTask, TaskEventSender};
use crate::studio::theme::{icons, space};
use crate::studio::toasts::ToastQueue;
use crate::studio::train::actions::TrainAction;
use crate::studio::widgets;

/// Longest side of a film.
const LONGEST: u32 = 800;

enum TimelapseExportEvent {
    Done(usize, usize),
    Over(Result<String, String>),
}

/// A film on its way to disk.
pub struct TimelapseExport {
    kind: WatchFrameKind,
    per_second: u8,
    /// With the model that is shown beside the run.
    with_beside: bool,
    work: Option<BackgroundTask<TimelapseExportEvent>>,
    progress: (usize, usize),
}

impl Default for TimelapseExport {
    fn default() -> Self {
        Self { kind: WatchFrameKind::Pca, per_second: 5, with_beside: true, work: None, progress: (0, 0) }
    }
}

impl TimelapseExport {
    /// Writes a GIF.
    pub fn write_gif(
        &mut self,
        run: Option<PathBuf>,
        mut file: PathBuf,
        beside: Option<Arc<Picture>>,
        wake: &Wake,
    ) {
        if file.extension().is_none() {
            file.set_extension("gif");
        }
        let frame_ms = 1000 / u32::from(self.per_second.max(1));
        let beside = beside.filter(|_| self.shows_beside());
        self.start(run, wake, move |films, events, stopped| {
            let total = films.len();
            let mut progress = |done| {
                events.say(TimelapseExportEvent::Done(done, total));
                !stopped()
            };
            let made = match beside {
                Some(other) => BesideFilm { frames: &films, other: &other }.export_gif(
                    &file,
                    frame_ms,
                    2 * LONGEST,
                    &mut progress,
                ),
                None => export_gif(&films, &file, frame_ms, LONGEST, &mut progress),
            };
            made.map(|()| format!("Film saved as {}", names::saved(&file))).map_err(|e| e.to_string())
        });
    }

    /// Copies the pictures into a folder.
    pub fn copy_pictures(
        &mut self,
        run: Option<PathBuf>,
        folder: PathBuf,
        beside: Option<Arc<Picture>>,
        wake: &Wake,
    ) {
        let beside = beside.filter(|_| self.shows_beside());
        self.start(run, wake, move |films, events, stopped| {
            let total = films.len();
            let mut progress = |done| {
                events.say(TimelapseExportEvent::Done(done, total));
                !stopped()
            };
            let made = match beside {
                Some(other) => {
                    BesideFilm { frames: &films, other: &other }.export_pngs(&folder, &mut progress)
                }
                None => export_pngs(&films, &folder, &mut progress),
            };
            made.map(|()| format!("{total} pictures saved in {}", folder.display()))
                .map_err(|e| e.to_string())
        });
    }

    fn start(
        &mut self,
        run: Option<PathBuf>,
        wake: &Wake,
        make: impl FnOnce(
            Vec<(u64, PathBuf)>,
            &TaskEventSender<TimelapseExportEvent>,
            &dyn Fn() -> bool,
        ) -> Result<String, String>
        + Send
        + 'static,
    ) {
        let Some(run) = run else { return };
        let kind = self.kind;
        self.progress = (0, 0);
        self.work = Some(BackgroundTask::start("film", wake, move |events, stop| {
            let made = RunFolder::open(&run).map_err(|e| e.to_string()).and_then(|run| {
                let stopped = || stop.asked();
                make(frames(&run, kind), events, &stopped)
            });
            let told = if stop.asked() { Ok("The film was given up.".to_owned()) } else { made };
            events.say(TimelapseExportEvent::Over(told));
        }));
    }

    /// Takes in how far it is.
    pub fn listen(&mut self, toasts: &mut ToastQueue) {
        let Some(work) = &mut self.work else { return };
        while let Some(said) = work.receive() {
            match said {
                TimelapseExportEvent::Done(done, total) => self.progress = (done, total),
                TimelapseExportEvent::Over(Ok(told)) => toasts.good(told),
                TimelapseExportEvent::Over(Err(reason)) => toasts.bad(reason),
            }
        }
        if work.over() {
            self.work = None;
        }
    }

    /// Whether the film has another model beside the run: both show components.
    fn shows_beside(&self) -> bool {
        self.with_beside && self.kind == WatchFrameKind::Pca
    }

    /// The button and, while a film is being made, how far it is. `beside` is the model that is shown beside the run.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        (run, there): (&str, bool),
        beside: Option<&str>,
        actions: &mut Vec<TrainAction>,
    ) {
        let button = |ui: &mut Ui| widgets::icon_button(ui, icons::MAKE_FILM, "Save as a film");
        let response = ui.add_enabled_ui(there && self.work.is_none(), button).inner;
        widgets::menu(&response).close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside).show(|ui| {
            ui.set_min_width(240.0);
            widgets::segmented(
                ui,
                "What the film shows",
                &mut self.kind,
                &[
                    (WatchFrameKind::View, "Picture"),
                    (WatchFrameKind::Pca, "PCA"),
                    (WatchFrameKind::Attention, "Attention"),
                ],
            );
            widgets::segmented(
                ui,
                "Pictures a second",
                &mut self.per_second,
                &crate::studio::train::timeline::SPEEDS,
            );
            if let Some(beside) = beside {
                let with = format!("With {beside} beside it");
                ui.add_enabled_ui(self.kind == WatchFrameKind::Pca, |ui| {
                    widgets::switch(ui, &with, &mut self.with_beside);
                });
            }
            ui.add_space(space::XS);
            if widgets::button(ui, icons::FILM, "GIF …").clicked() {
                actions.push(TrainAction::Ask(
                    DialogPurpose::SaveFilm,
                    format!("{run}-{}.gif", self.kind.name()),
                ));
                ui.close();
            }
            // A page is given no folder to put them into.
            if HAS_DISK && widgets::button(ui, icons::IMAGES, "PNG pictures …").clicked() {
                actions.push(TrainAction::Ask(DialogPurpose::SaveFrames, String::new()));
                ui.close();
            }
        });
    }

    /// How far the film is, with a way out.
    pub fn progress_ui(&self, ui: &mut Ui) {
        let Some(work) = &self.work else { return };
        let (done, total) = self.progress;
        let share = (total > 0).then(|| done as f32 / total as f32);
        if widgets::progress_with_cancel(ui, share, &format!("Film: {done} of {total} pictures")) {
            work.stop();
        }
    }
}

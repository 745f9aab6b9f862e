//! The panels of the workspace, and what the bar at the top says of a run.

use dinoscope_core::device::DeviceChoice;

use super::actions::TrainAction;
use super::follow::FollowedRun;
use super::session::TrainSession;
use super::state::{RunPhase, RunView};
use super::watched::WatchedPaneContext;
use super::{RunSelection, TrainWorkspace, controls, curves, plot_data, recipe_pane, run_pane, words};
use crate::studio::app_context::{AppContext, ComputeDevices};
use crate::studio::theme;

impl TrainWorkspace {
    /// The run in a line, for the bar at the top.
    pub fn brief_ui(&mut self, ui: &mut egui::Ui) {
        let Some(own) = &self.own else { return };
        let t = theme::tokens(ui);
        let view = &own.view;
        let (word, tone) = run_pane::phase_word(view, true);
        ui.label(
            egui::RichText::new(run_pane::phase_icon(view))
                .font(theme::fonts::icon(16.0))
                .color(tone.colour(&t)),
        )
        .on_hover_text(word);
        ui.add(egui::Label::new(brief(view)).truncate()).on_hover_text(format!("{}: {word}", view.name));
    }

    /// Pictures, preset, recipe, start.
    pub fn recipe_ui(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        self.keys(ui);
        let obstacle = self.start_blocker();
        let recipe = self.drafted();
        let limit = limit(&app.devices);
        let footer = controls::TrainFooterContext {
            recipe: recipe.as_deref(),
            own: self.own.as_ref().map(|own| &own.view),
            banner: self.banner.as_ref(),
            limit,
            obstacle: obstacle.as_ref(),
            locked: self.locked(),
        };
        let mut actions = Vec::new();
        let mut text = self.root.text.clone();
        egui::Panel::bottom("start").resizable(false).frame(egui::Frame::new()).show(ui, |ui| {
            controls::ui(ui, &footer, &mut text, &mut actions);
        });
        self.root.text = text;
        let gallery = self.gallery.clone();
        let going = self.going();
        let locked = self.locked().map(str::to_owned);
        egui::Frame::new().show(ui, |ui| {
            let (draft, lookup) = (&mut self.draft, &mut self.lookup);
            let (gallery, runs) = (gallery.as_deref(), &self.shelf.runs);
            let of = recipe_pane::RecipePaneContext { going, run: locked.as_deref(), gallery, runs };
            self.recipe.ui(ui, draft, lookup, &of, &self.wake, &mut actions);
        });
        self.actions.extend(actions);
    }

    /// Space pauses and goes on, when nothing else has the keyboard.
    fn keys(&mut self, ui: &egui::Ui) {
        let free = ui.memory(|memory| memory.focused().is_none());
        if !free || !ui.input_mut(|input| input.consume_shortcut(&controls::SPACE)) {
            return;
        }
        match self.own.as_ref().map(|own| &own.view.phase) {
            Some(RunPhase::Running) => self.actions.push(TrainAction::Pause),
            Some(RunPhase::Paused) => self.actions.push(TrainAction::Resume),
            _ => {}
        }
    }

    /// The watched pictures and the timeline.
    pub fn watched_ui(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        let seen = seen(&self.own, &self.followed, &self.focus);
        self.watched.ui(ui, seen.as_ref(), app, &mut self.actions);
    }

    /// Losses and schedules.
    pub fn curves_ui(&mut self, ui: &mut egui::Ui, _: &mut AppContext) {
        let first = seen(&self.own, &self.followed, &self.focus).map(|seen| seen.view);
        let beside: Vec<&FollowedRun> = self.followed.iter().filter(|followed| followed.shown).collect();
        let own = self.own.iter().map(|own| &own.view);
        let others = own.chain(beside.iter().map(|followed| &followed.view));
        let others = others.filter(|view| first.is_none_or(|first| first.folder != view.folder));
        let shown = curves::CurvesPaneContext {
            runs: first.into_iter().chain(others).collect(),
            shelf: &self.shelf,
            beside: beside.iter().map(|followed| followed.view.folder.as_path()).collect(),
        };
        self.curves.ui(ui, &shown, &mut self.actions);
    }

    /// What the figures mean.
    pub fn health_ui(&mut self, ui: &mut egui::Ui, _: &mut AppContext) {
        let own = self.own.iter().map(|own| (RunSelection::Own, own.view.name.clone()));
        let followed = self.followed.iter().map(|followed| {
            let view = &followed.view;
            (RunSelection::Followed(view.folder.clone()), format!("{} (followed)", view.name))
        });
        let of = self.followed.iter().find(|f| self.focus == RunSelection::Followed(f.view.folder.clone()));
        let shown = run_pane::RunPaneContext {
            view: self.view(),
            own: self.focus == RunSelection::Own,
            trouble: of.and_then(|followed| followed.trouble.as_deref()),
            written: of.is_some_and(FollowedRun::is_written),
            focus: self.focus.clone(),
            all: own.chain(followed).collect(),
            going: self.going(),
            shelf: self.shelf.runs.iter().map(|run| (run.path.clone(), run.name.clone())).collect(),
        };
        let mut actions = Vec::new();
        run_pane::ui(ui, &shown, &mut actions);
        self.actions.extend(actions);
    }
}

/// The run that the panels show.
pub(super) fn seen<'a>(
    own: &'a Option<TrainSession>,
    followed: &'a [FollowedRun],
    focus: &RunSelection,
) -> Option<WatchedPaneContext<'a>> {
    let ours = || own.as_ref().map(|own| WatchedPaneContext { view: &own.view, look: own.look.as_ref() });
    match focus {
        RunSelection::Own => ours(),
        RunSelection::Followed(folder) => {
            let found = followed.iter().find(|followed| followed.view.folder == *folder);
            found.map(|followed| WatchedPaneContext { view: &followed.view, look: None }).or_else(ours)
        }
    }
}

/// What the chosen GPU can bind at once.
fn limit(devices: &ComputeDevices) -> Option<u64> {
    let adapter = match devices.choice {
        DeviceChoice::Cpu => None,
        DeviceChoice::Gpu(index) => devices.adapters.get(index),
        DeviceChoice::Auto => devices.adapters.iter().find(|adapter| adapter.is_hardware()),
    };
    adapter.map(|adapter| adapter.max_binding)
}

/// `step 120/240 · loss 5.43 · 2 min left`
fn brief(view: &RunView) -> String {
    if view.phase == RunPhase::Preparing {
        return "preparing".to_owned();
    }
    let mut text = match &view.aside {
        // Before the first step this is all that happens.
        Some(aside) if view.done == 0 => aside.text(),
        _ => format!("step {}/{}", words::count(view.done), words::count(view.total)),
    };
    if let Some(loss) = view.history("loss").and_then(plot_data::MetricHistory::last) {
        text += &format!(" · loss {}", words::figure(loss));
    }
    match (&view.phase, view.left()) {
        (RunPhase::Running, Some(left)) => text += &format!(" · {} left", words::duration(left)),
        (RunPhase::Pausing, _) => text += " · pausing",
        (RunPhase::Paused, _) => text += " · paused",
        (RunPhase::Stopping, _) => text += " · stopping",
        (RunPhase::Failed(_), _) => text += " · failed",
        _ => {}
    }
    text
}

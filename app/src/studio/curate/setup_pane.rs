//! The setup pane: which pictures, whose features, what each picture has to have; its foot begins, and trains on what stays.

use dinoscope_curate::heap::RowFate;
use egui::{Label, Ui};

use super::{CurateWorkspace, SetUse};
use crate::platform::dialogs::DialogPurpose;
use crate::studio::app_context::AppContext;
use crate::studio::models::source_menu;
use crate::studio::theme::{self, icons, space};
use crate::studio::train::words;
use crate::studio::widgets::{self, SliderScale};

/// What asks for weights: a file, a run.
const DIALOGS: [DialogPurpose; 2] = [DialogPurpose::CuratedWeights, DialogPurpose::CuratedRun];
/// Beyond this the longer side may be as long as it likes.
const ANY_ASPECT: f32 = 10.0;

impl CurateWorkspace {
    /// Draws the pane.
    pub fn setup_ui(&mut self, ui: &mut Ui, app: &mut AppContext) {
        egui::Panel::bottom("curate foot").resizable(false).frame(egui::Frame::new()).show(ui, |ui| {
            self.foot_ui(ui, app);
        });
        egui::Frame::new().show(ui, |ui| {
            widgets::scroll(ui, "curate setup", |ui| {
                widgets::section(ui, "Pictures", true, |ui| self.pictures_section(ui, app));
                widgets::section(ui, "Quality", true, |ui| self.quality_ui(ui));
            });
        });
    }

    fn pictures_section(&mut self, ui: &mut Ui, app: &AppContext) {
        let before = self.setup.usual_set();
        if widgets::path_row(ui, "Folder", &mut self.setup.pictures, "").changed()
            && (self.setup.set.trim().is_empty() || self.setup.set == before)
        {
            self.setup.set = self.setup.usual_set();
        }
        ui.horizontal_wrapped(|ui| {
            if widgets::button(ui, icons::FOLDER_OPEN, "A folder…").clicked() {
                app.dialogs.ask(DialogPurpose::CuratedPictures, "");
            }
            let gallery = self.gallery.clone();
            let offer = |ui: &mut Ui| widgets::button(ui, icons::GALLERY, "Explore's");
            let response = ui.add_enabled_ui(gallery.is_some(), offer).inner;
            if let Some(folder) =
                gallery.filter(|_| response.on_hover_text("The folder of Explore's pictures").clicked())
            {
                self.setup.take_pictures(&folder);
            }
        });
        widgets::hint(
            ui,
            "A folder with all that is in it, a list, an archive, or several: [\"/photos\", \"/scans.zip\"].",
        );
        ui.add_space(space::XS);
        let usual = self.setup.usual_set();
        widgets::path_row(ui, "Keep the set in", &mut self.setup.set, &usual);
        if widgets::button(ui, icons::FOLDER, "Open a set…").clicked() {
            app.dialogs.ask(DialogPurpose::CuratedSet, "");
        }
        ui.add_space(space::XS);
        let name = self.setup.source().to_string();
        let button = egui::Button::new(format!("{}  {name}", icons::MODEL))
            .truncate()
            .min_size(egui::vec2(ui.available_width(), theme::button(ui)));
        let response = ui.add(button);
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::ComboBox, true, format!("Features of: {name}"))
        });
        if let Some(source) = source_menu(&response, app, DIALOGS) {
            self.setup.weights = Some(source);
        }
        if let Some(heap) = &self.heap {
            widgets::hint(
                ui,
                &format!("{} holds features of {}.", heap.folder.display(), heap.origin.weights),
            );
        }
        if let Some(note) = &self.note {
            let text = theme::small(crate::platform::names::known(note)).color(theme::tokens(ui).watch);
            ui.add(Label::new(text).wrap());
        }
    }

    fn quality_ui(&mut self, ui: &mut Ui) {
        let limits = &mut self.decisions.quality;
        let mut side = limits.min_side.unwrap_or(0);
        let scale = SliderScale::new(0.0..=1024.0).step(1.0).unit("px");
        if widgets::slider_row(ui, "Shorter side", &mut side, &scale)
            .on_hover_text("Pixels of the shorter side at least.")
            .changed()
        {
            limits.min_side = (side > 0).then_some(side);
        }
        let mut aspect = limits.max_aspect.unwrap_or(ANY_ASPECT);
        let scale = SliderScale::new(1.0..=ANY_ASPECT).step(0.1);
        if widgets::slider_row(ui, "Longer by shorter", &mut aspect, &scale)
            .on_hover_text("How many times the shorter side the longer one may be; at the end any.")
            .changed()
        {
            limits.max_aspect = (aspect < ANY_ASPECT).then_some(aspect);
        }
        let mut blur = limits.min_blur.unwrap_or(0.0);
        let scale = SliderScale::new(0.0..=500.0).step(1.0);
        if widgets::slider_row(ui, "Sharpness", &mut blur, &scale)
            .on_hover_text("Variance of the Laplacian at least: low where a picture is blurred.")
            .changed()
        {
            limits.min_blur = (blur > 0.0).then_some(blur);
        }
        let mut darkness = limits.max_darkness.unwrap_or(1.0);
        let scale = SliderScale::new(0.0..=1.0).percent();
        if widgets::slider_row(ui, "Darkness", &mut darkness, &scale)
            .on_hover_text("At most: 100 % is black all over.")
            .changed()
        {
            limits.max_darkness = (darkness < 1.0).then_some(darkness);
        }
        let poor = self.outcome.count(RowFate::Poor);
        widgets::hint(ui, &format!("Leaves out {}.", words::some(poor, "picture", "pictures")));
    }

    fn foot_ui(&mut self, ui: &mut Ui, app: &mut AppContext) {
        ui.add_space(space::S);
        self.trouble_ui(ui);
        if let Some(job) = &mut self.job {
            let (what, done, all) = job.at.clone();
            let share = (all > 0).then(|| done as f32 / all as f32);
            let text = if all > 0 { format!("{what}: {done} of {all}") } else { what };
            widgets::progress(ui, share, &text);
            ui.add_space(space::XS);
            let label = if job.stopping { "Stopping" } else { "Stop" };
            let stopping = job.stopping;
            if ui.add_enabled_ui(!stopping, |ui| widgets::button(ui, icons::STOP, label)).inner.clicked() {
                job.stop();
            }
            return;
        }
        let blocker = self.setup.start_blocker();
        let t = theme::tokens(ui);
        let text = match (&self.heap, blocker) {
            (Some(_), _) => {
                let snapshot = self.snapshot();
                format!(
                    "{} of {} stay",
                    words::count(snapshot.kept as u64),
                    words::some(snapshot.pictures, "picture", "pictures")
                )
            }
            (None, Some(reason)) => reason.to_owned(),
            (None, None) => format!(
                "Features are computed by {}, once; nothing is moved or deleted.",
                app.devices.chosen.name
            ),
        };
        let colour = if self.heap.is_none() && blocker.is_some() { t.watch } else { t.muted };
        ui.add(Label::new(theme::small(text).color(colour)).wrap());
        ui.add_space(space::XS);
        ui.horizontal(|ui| {
            if self.heap.is_none() {
                let embed = |ui: &mut Ui| widgets::primary_button(ui, icons::PLAY, "Look at all of them");
                if ui.add_enabled_ui(blocker.is_none(), embed).inner.clicked() {
                    self.begin(app);
                }
                return;
            }
            let some = self.outcome.count(RowFate::Kept) > 0 && self.saving.is_none();
            ui.add_enabled_ui(some, |ui| {
                if widgets::primary_button(ui, icons::PLAY, "Train on this").clicked() {
                    self.save(SetUse::Train);
                }
                if widgets::icon_button(ui, icons::SAVE, "Save the set").clicked() {
                    self.save(SetUse::Keep);
                }
            });
            let again = |ui: &mut Ui| widgets::icon_button(ui, icons::REFRESH, "Look for new pictures");
            if ui.add_enabled_ui(blocker.is_none(), again).inner.clicked() {
                self.begin(app);
            }
        });
    }

    /// What went wrong. It stays until it is put away, or begun again.
    fn trouble_ui(&mut self, ui: &mut Ui) {
        let Some(trouble) = self.trouble.clone() else { return };
        let t = theme::tokens(ui);
        let frame = egui::Frame::new().fill(t.bad_soft).corner_radius(theme::RADIUS).inner_margin(8);
        let away = frame.show(ui, |ui| {
            ui.set_width(ui.available_width());
            let text = egui::RichText::new(crate::platform::names::known(&trouble)).color(t.text);
            ui.add(Label::new(text).selectable(true).wrap());
            widgets::button(ui, "", "Put away").clicked()
        });
        if away.inner {
            self.trouble = None;
        }
        ui.add_space(space::S);
    }
}

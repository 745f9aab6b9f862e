//! Nothing is open yet: ways to open something, and a sample of what one will see.

use egui::vec2;

use super::ExploreWorkspace;
use crate::platform::HAS_DISK;
use crate::platform::camera;
use crate::platform::dialogs::DialogPurpose;
use crate::platform::typed;
use crate::studio::app_context::AppContext;
use crate::studio::theme::{self, icons, space};
use crate::studio::{touch, widgets};

/// What stands in the middle without the sample, in points.
const HEIGHT: f32 = 300.0;
/// Below this height there is no room for an icon.
const SMALL: f32 = 520.0;

/// A way to open something.
#[derive(Clone, Copy, PartialEq)]
enum OpeningWay {
    Pictures,
    Folder,
    Paste,
    Scenes,
    Camera,
}

impl OpeningWay {
    /// The icon and the name of its button.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Pictures => (icons::FILE_IMAGE, "Open pictures"),
            Self::Folder => (icons::FOLDER_OPEN, "Open a folder"),
            Self::Paste => (icons::PASTE, "Paste"),
            Self::Scenes => (icons::WAND, "Built-in scenes"),
            Self::Camera => (icons::CAMERA, "Camera"),
        }
    }
}

/// All ways that there are here.
fn ways() -> impl Iterator<Item = OpeningWay> {
    use OpeningWay::{Camera, Folder, Paste, Pictures, Scenes};
    [Pictures, Folder, Paste, Scenes, Camera].into_iter().filter(|way| *way != Camera || camera::available())
}

/// The widest line of their buttons in a place that is `room` wide.
fn widest_line(ui: &egui::Ui, room: f32) -> f32 {
    let gap = ui.spacing().item_spacing.x;
    let (mut widest, mut line) = (0.0f32, 0.0f32);
    for way in ways() {
        let (icon, name) = way.words();
        let width = widgets::button_width(ui, icon, name);
        let longer = if line > 0.0 { line + gap + width } else { width };
        line = if longer <= room { longer } else { width };
        widest = widest.max(line);
    }
    widest.min(room)
}

impl ExploreWorkspace {
    /// The panel while nothing is open.
    pub(super) fn invitation(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        let height = ui.available_height();
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.vertical_centered(|ui| self.invite(ui, app, height));
        });
    }

    fn invite(&mut self, ui: &mut egui::Ui, app: &mut AppContext, height: f32) {
        if self.gallery.walking > 0 {
            ui.add_space((height * 0.5 - 24.0).max(space::M));
            ui.spinner();
            ui.label("Looking for pictures…");
            return;
        }
        let small = height < SMALL;
        let texts = if small { 0.7 * HEIGHT } else { HEIGHT };
        let least = if small { 112.0 } else { 0.0 };
        let room = match self.sample_expected() {
            true => (height - texts - 3.0 * space::M).clamp(least, 224.0),
            false => 0.0,
        };
        ui.add_space((0.5 * (height - texts - room)).max(space::S));
        let before = ui.cursor().top();
        if room > 0.0 {
            self.sample_ui(ui, room - space::S);
            ui.add_space((room - (ui.cursor().top() - before)).max(0.0));
        }
        let ctx = ui.ctx().clone();
        let title = touch::words(&ctx, "Look at your pictures", "Drop pictures here");
        let hint = touch::words(
            &ctx,
            "See what a model sees in them. Nothing leaves this device.",
            "See what a model sees in them. Files, folders, or Ctrl+V; nothing leaves this computer.",
        );
        if small {
            widgets::heading(ui, title);
            widgets::hint(ui, hint);
        } else {
            widgets::empty_state(ui, icons::IMAGES, title, hint);
        }
        ui.add_space(space::M);
        let room = (ui.available_width() - 2.0 * space::M).max(120.0);
        // As wide as they are, so that they stand in the middle.
        let width = widest_line(ui, room);
        ui.allocate_ui(vec2(width, 40.0), |ui| {
            ui.horizontal_wrapped(|ui| {
                self.open_buttons(ui, app);
            });
        });
        ui.add_space(space::S);
        ui.allocate_ui(vec2(room.min(420.0), 32.0), |ui| self.path_field(ui, app));
        ui.add_space(space::S);
    }

    /// Ways to open something.
    pub(super) fn open_buttons(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        for way in ways() {
            let (icon, name) = way.words();
            if !widgets::button(ui, icon, name).clicked() {
                continue;
            }
            match way {
                OpeningWay::Pictures => app.dialogs.ask(DialogPurpose::OpenPictures, ""),
                OpeningWay::Folder => app.dialogs.ask(DialogPurpose::OpenFolder, ""),
                OpeningWay::Paste => self.ask_paste(ui.ctx()),
                OpeningWay::Scenes => self.add_scenes(),
                OpeningWay::Camera => self.toggle_camera(app),
            }
        }
    }

    /// A path that can be typed, where there is no dialog or no mouse.
    pub(super) fn path_field(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        let field = egui::TextEdit::singleline(&mut self.path)
            .hint_text(match HAS_DISK {
                true => "… or type the path of a picture or folder",
                false => "… or type the address of a picture",
            })
            .align(egui::Align2::LEFT_CENTER)
            .desired_width(f32::INFINITY);
        let size = [ui.available_width(), theme::row(ui)];
        let response = widgets::with_border(ui, |ui| ui.add_sized(size, field));
        response.widget_info(|| {
            egui::WidgetInfo::labeled(
                egui::Role::TextInput,
                true,
                if HAS_DISK { "Path to open" } else { "Address to open" },
            )
        });
        let entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        if entered && !self.path.trim().is_empty() {
            let text = self.path.clone();
            // What is not there stays to be mended.
            match HAS_DISK && !typed::path(&text).exists() {
                true => response.request_focus(),
                false => self.path.clear(),
            }
            match HAS_DISK {
                true => self.dropped(app, vec![typed::path(&text)]),
                false => self.pasted_text(app, &text),
            }
        }
    }
}

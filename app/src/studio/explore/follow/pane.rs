//! The panel: what is open and what is followed above, the frame in the middle, the strip and its buttons below.

use egui::{Ui, vec2};

use super::{FollowMode, FollowPanel, MaskTool};
use crate::platform::dialogs::DialogPurpose;
use crate::platform::pictures::VIDEOS;
use crate::studio::app_context::AppContext;
use crate::studio::explore::ExploreWorkspace;
use crate::studio::theme::{self, icons, space};
use crate::studio::{touch, widgets};

/// Least height of the frame.
const LEAST: f32 = 72.0;
/// Below this width there is no room for two things in a line.
const NARROW: f32 = 420.0;
/// Below this height there is no room for an icon.
const SMALL: f32 = 420.0;

impl ExploreWorkspace {
    /// The panel.
    pub fn follow_ui(&mut self, ui: &mut Ui, app: &mut AppContext) {
        self.follow.drawn = true;
        if self.follow.is_empty() && !self.follow.live.on {
            egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                ui.vertical_centered(|ui| self.follow_invitation(ui, app));
            });
            return;
        }
        self.follow.keys(ui.ctx());
        ui.spacing_mut().item_spacing.y = space::S;
        self.follow_toolbar(ui, app);
        let gap = ui.spacing().item_spacing.y;
        let live = self.follow.live.on;
        let strip = if live { 0.0 } else { super::strip::height(ui) + gap };
        // Where there is little room, what is painted with has a line of its own, in either mode, so that nothing moves.
        let narrow = ui.available_width() < NARROW;
        let lines = if narrow { 3.0 } else { 2.0 };
        let foot = lines * (theme::row(ui) + gap) + strip;
        let size = vec2(ui.available_width(), (ui.available_height() - foot).max(LEAST));
        if live {
            let id = self.live.as_ref().and_then(|live| live.picture());
            let texture = id.and_then(|id| self.gallery.texture(id));
            self.follow.live_ui(ui, size, texture);
        } else if self.follow.loader.frames.is_empty() {
            ui.allocate_ui(size, |ui| {
                ui.set_min_size(size);
                ui.centered_and_justified(|ui| ui.spinner());
            });
        } else {
            self.follow.frame_ui(ui, size);
        }
        self.follow_tools(ui);
        if !live {
            self.follow.strip_ui(ui);
        }
        self.follow_status(ui);
    }

    fn follow_invitation(&mut self, ui: &mut Ui, app: &mut AppContext) {
        let small = ui.available_height() < SMALL;
        ui.add_space((0.5 * (ui.available_height() - if small { 180.0 } else { 280.0 })).max(space::S));
        let title = "Follow something through frames";
        let hint = if VIDEOS.is_empty() {
            "Open the frames of a video: an animated GIF, WebP or PNG, or pictures in the order of their names. \
             Then click what is to be followed, or paint it."
        } else {
            "Open a video, an animated GIF, WebP or PNG, or pictures in the order of their names. \
             Then click what is to be followed, or paint it."
        };
        if small {
            widgets::heading(ui, title);
            widgets::hint(ui, hint);
        } else {
            widgets::empty_state(ui, icons::FILM, title, hint);
        }
        ui.add_space(space::M);
        let count = self.gallery_frames().len();
        // As wide as they are, so that they stand in the middle.
        let room = (ui.available_width() - 2.0 * space::M).max(120.0);
        let gallery = gallery_words(count);
        let mut buttons = vec![(icons::FILE_IMAGE, "Open frames"), (icons::FOLDER_OPEN, "Folder of frames")];
        buttons.extend((count > 1).then_some((icons::IMAGES, gallery.as_str())));
        buttons.extend(Self::has_camera().then_some((icons::VIDEO, "Follow in the camera")));
        let width = widest_line(ui, &buttons, room);
        ui.allocate_ui(vec2(width, 40.0), |ui| {
            ui.horizontal_wrapped(|ui| {
                if widgets::button(ui, icons::FILE_IMAGE, "Open frames").clicked() {
                    app.dialogs.ask(DialogPurpose::FollowFrames, "");
                }
                if widgets::button(ui, icons::FOLDER_OPEN, "Folder of frames").clicked() {
                    app.dialogs.ask(DialogPurpose::FollowFolder, "");
                }
                if count > 1 && widgets::button(ui, icons::IMAGES, gallery.as_str()).clicked() {
                    self.follow_gallery(app);
                }
                if Self::has_camera() && widgets::button(ui, icons::VIDEO, "Follow in the camera").clicked() {
                    self.follow_camera(true, app);
                }
            });
        });
    }

    /// What is followed, and what is open.
    fn follow_toolbar(&mut self, ui: &mut Ui, app: &mut AppContext) {
        ui.horizontal(|ui| {
            if !self.follow.live.on {
                let modes = [(FollowMode::Place, "Place"), (FollowMode::Mask, "Mask")];
                widgets::segmented(ui, "What is followed", &mut self.follow.mode, &modes);
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if widgets::icon_button(ui, icons::CLOSE, "Close the frames").clicked() {
                    self.follow_close(app);
                }
                let (place, mask) = (!self.follow.track.is_empty(), !self.follow.masks.is_empty());
                if !self.follow.live.on {
                    self.follow.export.menu_ui(ui, place, mask, &app.dialogs);
                }
                self.follow_open_menu(ui, app);
                let any = place || mask || !self.follow.live.way.is_empty();
                let again = |ui: &mut Ui| widgets::icon_button(ui, icons::UNDO, "Follow nothing");
                if ui.add_enabled_ui(any, again).inner.clicked() {
                    self.follow.track.clear();
                    self.follow.masks.clear();
                    self.follow.live.clear();
                }
            });
        });
    }

    fn follow_open_menu(&mut self, ui: &mut Ui, app: &mut AppContext) {
        let response = widgets::icon_button(ui, icons::FOLDER_OPEN, "Open other frames");
        let count = self.gallery_frames().len();
        let (mut gallery, mut camera) = (false, false);
        widgets::menu(&response).show(|ui| {
            ui.set_min_width(240.0);
            let entry = |ui: &mut Ui, text: &str| {
                let clicked = ui.button(text).clicked();
                if clicked {
                    ui.close();
                }
                clicked
            };
            if entry(ui, "Pictures or an animation…") {
                app.dialogs.ask(DialogPurpose::FollowFrames, "");
            }
            if entry(ui, "A folder of frames…") {
                app.dialogs.ask(DialogPurpose::FollowFolder, "");
            }
            gallery = count > 1 && entry(ui, &gallery_words(count));
            camera = Self::has_camera() && entry(ui, "Camera");
        });
        if gallery {
            self.follow_gallery(app);
        }
        if camera {
            self.follow.reset();
            self.follow.loader.close();
            self.follow_camera(true, app);
        }
    }

    fn follow_close(&mut self, app: &AppContext) {
        if self.follow.live.on {
            self.follow_camera(false, app);
        }
        self.follow.reset();
        self.follow.loader.close();
    }

    /// The line below the frame: how it is followed, or what is painted with; two where there is little room.
    fn follow_tools(&mut self, ui: &mut Ui) {
        let (width, row) = (ui.available_width(), theme::row(ui));
        let masks = self.follow.mode == FollowMode::Mask && !self.follow.live.on;
        let line = |ui: &mut Ui, width: f32, add: &mut dyn FnMut(&mut Ui)| {
            let layout = egui::Layout::left_to_right(egui::Align::Center);
            ui.allocate_ui_with_layout(vec2(width, row), layout, |ui| {
                ui.set_min_size(vec2(width, row));
                add(ui);
            });
        };
        let follow = &mut self.follow;
        if width < NARROW {
            line(ui, width, &mut |ui| match masks {
                true => follow.tools_ui(ui),
                false => {
                    let text = touch::words(
                        ui,
                        "Tap in any frame to correct it from there.",
                        "Click in any frame to correct it from there.",
                    );
                    let colour = theme::tokens(ui).muted;
                    ui.add(egui::Label::new(theme::small(text).color(colour)).truncate());
                }
            });
            line(ui, width, &mut |ui| follow.number_ui(ui, masks));
            return;
        }
        ui.horizontal(|ui| {
            if masks {
                line(ui, 0.5 * width, &mut |ui| follow.tools_ui(ui));
            }
            let rest = ui.available_width();
            line(ui, rest, &mut |ui| follow.number_ui(ui, masks));
        });
    }

    /// The lowest line: buttons of a player, where one is, how far looking is.
    fn follow_status(&mut self, ui: &mut Ui) {
        ui.horizontal(|ui| {
            let follow = &mut self.follow;
            if !follow.live.on {
                ui.add_enabled_ui(follow.loader.frames.len() > 1, |ui| follow.player_ui(ui));
            }
            let looks = self.model.is_some();
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                follow.progress_ui(ui, looks);
                ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                    let (text, bad) = follow.words(ui);
                    let t = theme::tokens(ui);
                    let colour = if bad { t.bad } else { t.text };
                    ui.add(egui::Label::new(theme::small(&text).color(colour)).truncate());
                });
            });
        });
    }
}

impl FollowPanel {
    fn tools_ui(&mut self, ui: &mut Ui) {
        let tools = [(MaskTool::Object, "Object"), (MaskTool::Paint, "Paint"), (MaskTool::Erase, "Erase")];
        widgets::segmented(ui, "What the pointer does", &mut self.tool, &tools);
    }

    /// The width of the brush, or the threshold. A name before its number, in one line however narrow it is.
    fn number_ui(&mut self, ui: &mut Ui, masks: bool) {
        let brush = masks && self.tool != MaskTool::Object;
        let (name, hint) = match (brush, masks) {
            (true, _) => ("Brush", "Radius of the brush, in patches."),
            (false, true) => (
                "Threshold",
                "Patches around the one that is clicked belong to the object while they are at least so similar to it.",
            ),
            (false, false) => {
                ("Threshold", "Where the best match is less similar than this, the place is lost.")
            }
        };
        let scale = match brush {
            true => widgets::SliderScale::new(0.5..=8.0).step(0.5),
            false => widgets::SliderScale::new(0.0..=1.0).step(0.01),
        };
        let mut value = f64::from(if brush { self.brush } else { self.threshold });
        let changed = widgets::slider_row(ui, name, &mut value, &scale).on_hover_text(hint).changed();
        match brush {
            true => self.brush = value as f32,
            false => self.threshold = value as f32,
        }
        if changed && !brush {
            self.track.again();
        }
    }

    fn player_ui(&mut self, ui: &mut Ui) {
        if widgets::icon_button(ui, icons::FIRST, "First frame").clicked() {
            self.go(0);
        }
        let (icon, label) = match self.playing {
            Some(_) => (icons::PAUSE, "Hold"),
            None => (icons::PLAY, "Play the frames"),
        };
        if widgets::icon_button(ui, icon, label).clicked() {
            self.toggle_play();
        }
    }

    fn toggle_play(&mut self) {
        self.playing = match self.playing {
            Some(_) => None,
            None => {
                if self.at + 1 >= self.loader.frames.len() {
                    self.at = 0;
                }
                Some(0.0)
            }
        };
    }

    /// Where one is, and what is known of it; whether that is an error.
    fn words(&self, ui: &Ui) -> (String, bool) {
        if self.live.on {
            let said = match self.live.way.back() {
                Some(found) if found.place.seen => format!("Seen, {:.2}", found.place.similarity),
                Some(found) => format!("Lost, {:.2}", found.place.similarity),
                None => touch::words(ui, "Tap what is to be followed.", "Click what is to be followed.")
                    .to_owned(),
            };
            return (said, false);
        }
        let failed = match self.mode {
            FollowMode::Place => &self.track.failed,
            FollowMode::Mask => &self.masks.failed,
        };
        if let Some(reason) = failed.as_ref().or(self.failed.as_ref()) {
            return (reason.clone(), true);
        }
        let count = self.loader.frames.len();
        let at = format!("{} of {count}", self.at + 1);
        let said = match self.mode {
            FollowMode::Place => match self.track.at(self.at) {
                Some(found) if found.place.seen => format!("seen, {:.2}", found.place.similarity),
                Some(found) => format!("lost, {:.2}", found.place.similarity),
                None if self.track.is_empty() => {
                    touch::words(ui, "tap what is to be followed", "click what is to be followed").to_owned()
                }
                None => String::new(),
            },
            FollowMode::Mask => match (self.masks.is_empty(), self.masks.at(self.at)) {
                (true, _) => {
                    touch::words(ui, "tap an object, or paint it", "click an object, or paint it").to_owned()
                }
                (false, Some(shares)) => {
                    let inside = shares.iter().filter(|share| **share > super::drawing::INSIDE).count();
                    format!("{:.0} % of the frame", 100.0 * inside as f32 / shares.len().max(1) as f32)
                }
                (false, None) => String::new(),
            },
        };
        let more = if self.loader.more { format!(" (the first {count})") } else { String::new() };
        let gap = if said.is_empty() { "" } else { "   " };
        (format!("{at}{more}{gap}{said}"), false)
    }

    /// How far looking, masks or files are, with a way to stop; in a line from right to left.
    fn progress_ui(&mut self, ui: &mut Ui, looks: bool) {
        let count = self.loader.frames.len();
        if self.live.on {
            return;
        }
        if self.export.busy() {
            if widgets::icon_button(ui, icons::STOP, "Stop saving").clicked() {
                self.export.stop();
            }
            let text = match self.export.progress {
                Some((done, total)) => format!("Saving {done} of {total}"),
                None => "Saving".to_owned(),
            };
            widgets::hint(ui, &text);
            return;
        }
        let looked = self.looked();
        if looked < count || self.loader.busy() {
            if self.is_full() {
                widgets::hint(ui, &format!("{looked} of {count} looked at")).on_hover_text(
                    "The features of more frames do not fit into memory: frames behind them are not followed. \
                     `dinoscope follow` has no such limit.",
                );
                return;
            }
            let (icon, label) = match self.stopped {
                true => (icons::PLAY, "Go on looking"),
                false => (icons::STOP, "Stop looking"),
            };
            if widgets::icon_button(ui, icon, label).clicked() {
                self.stopped = !self.stopped;
            }
            let text = match (self.stopped, looks) {
                (true, _) => format!("Stopped at {looked} of {count}"),
                (false, true) => format!("Looking {looked} of {count}"),
                (false, false) => "No model yet".to_owned(),
            };
            widgets::hint(ui, &text);
        } else if self.masks.busy(&self.features) {
            widgets::hint(ui, &format!("Masks {} of {count}", self.masks.done()));
        } else if self.track.done() > 0 && self.mode == FollowMode::Place {
            let seen = self.track.all().filter(|(_, found)| found.place.seen).count();
            widgets::hint(ui, &format!("Seen in {seen} of {}", self.track.done()));
        }
    }

    /// Space plays and holds, where nothing else has the keyboard.
    pub(super) fn keys(&mut self, ctx: &egui::Context) {
        let in_front =
            egui::Popup::is_any_open(ctx) || ctx.memory(|memory| memory.top_modal_layer().is_some());
        let focused = ctx.memory(|memory| memory.focused().is_some());
        if in_front || focused || ctx.egui_wants_keyboard_input() || self.loader.frames.len() < 2 {
            return;
        }
        if ctx.input_mut(|input| input.consume_key(egui::Modifiers::NONE, egui::Key::Space)) {
            self.toggle_play();
        }
    }
}

/// The widest line of buttons in a place that is `room` wide.
fn widest_line(ui: &Ui, buttons: &[(&str, &str)], room: f32) -> f32 {
    let gap = ui.spacing().item_spacing.x;
    let (mut widest, mut line) = (0.0f32, 0.0f32);
    for (icon, name) in buttons {
        let width = widgets::button_width(ui, icon, name);
        let longer = if line > 0.0 { line + gap + width } else { width };
        line = if longer <= room { longer } else { width };
        widest = widest.max(line);
    }
    widest.min(room)
}

fn gallery_words(count: usize) -> String {
    format!("The gallery's {count} pictures")
}

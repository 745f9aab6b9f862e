//! The bar at the top: what one is doing, on which device, and the house's own switches.

use dinoscope_core::device::DeviceChoice;
use egui::{Key, KeyboardShortcut, Modifiers};

use super::app_context::AppContext;
use super::evaluate::EvaluateWorkspace;
use super::layout::StudioLayout;
use super::panels::Workspace;
use super::phone;
use super::theme::{self, icons, space};
use super::train::TrainWorkspace;
use super::widgets;

const EXPLORE: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Num1);
const TRAIN: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Num2);
const EVALUATE: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Num3);
const LOG: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::L);

/// Points from which there is room for the program's name.
const ROOMY: f32 = 760.0;
/// Switches at the right end of the bar.
const SWITCHES: f32 = 5.0;
/// Points from which there is room for the device's name.
const DEVICE: f32 = 150.0;

/// Draws the bar.
pub fn ui(
    ui: &mut egui::Ui,
    app: &mut AppContext,
    layout: &mut StudioLayout,
    train: &mut TrainWorkspace,
    evaluate: &EvaluateWorkspace,
) {
    let ctx = ui.ctx().clone();
    let places = [(EXPLORE, Workspace::Explore), (TRAIN, Workspace::Train), (EVALUATE, Workspace::Evaluate)];
    for (shortcut, workspace) in places {
        if ctx.input_mut(|input| input.consume_shortcut(&shortcut)) {
            layout.workspace = workspace;
        }
    }
    if ctx.input_mut(|input| input.consume_shortcut(&LOG)) {
        layout.toggle_log();
    }
    let t = theme::tokens(&ctx);
    let frame = egui::Frame::new().fill(t.panel).inner_margin(egui::Margin::symmetric(12, 8));
    egui::Panel::top("top bar").frame(frame).show(ui, |ui| {
        let width = ui.available_width();
        let narrow = width < phone::WIDEST;
        ui.horizontal(|ui| {
            // A page that is enlarged twice, or a small tablet: what can be worked comes first.
            if width >= ROOMY {
                ui.label(theme::heading("Dinoscope"));
                ui.add_space(space::M);
            }
            let places = [
                (Workspace::Explore, "Explore"),
                (Workspace::Train, "Train"),
                (Workspace::Evaluate, "Evaluate"),
            ];
            widgets::segmented(ui, "Workspace", &mut layout.workspace, &places);
            if !narrow {
                ui.add_space(space::S);
                // The switches at the right stay in reach, however much there is to say.
                let room = ui.available_width() - SWITCHES * (theme::row(ui) + ui.spacing().item_spacing.x);
                ui.scope(|ui| {
                    ui.set_max_width(room.max(0.0));
                    if room > 120.0 {
                        train.brief_ui(ui);
                        evaluate.brief_ui(ui);
                    }
                });
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if widgets::icon_button(ui, icons::INFO, "About Dinoscope").clicked() {
                    app.about = !app.about;
                }
                if !narrow {
                    let mut log = layout.has_log();
                    if widgets::toggle_icon(ui, icons::LOG, "Log", &mut log).clicked() {
                        layout.toggle_log();
                    }
                    if widgets::icon_button(ui, icons::LAYOUT, "Panels as they were at first").clicked() {
                        let back = layout.reset();
                        let said = "The panels are where they were at first.";
                        app.offer_undo(said, move |parts| back(parts.layout));
                    }
                }
                theme_button(ui);
                device_menu(ui, app, narrow);
            });
        });
    });
}

fn theme_button(ui: &mut egui::Ui) {
    let dark = ui.ctx().theme() == egui::Theme::Dark;
    let (icon, label) = if dark { (icons::SUN, "Light theme") } else { (icons::MOON, "Dark theme") };
    if widgets::icon_button(ui, icon, label).clicked() {
        ui.ctx().set_theme(if dark { egui::Theme::Light } else { egui::Theme::Dark });
    }
}

/// Which device computes, and which others could.
fn device_menu(ui: &mut egui::Ui, app: &mut AppContext, narrow: bool) {
    let room = ui.available_width() - space::M;
    let devices = &app.devices;
    let icon = if devices.on_gpu() { icons::GPU } else { icons::CPU };
    let mut choice = None;
    let name = devices.chosen.name.clone();
    let short: String =
        if name.chars().count() > 28 { name.chars().take(27).chain(['…']).collect() } else { name.clone() };
    // What else there is decides: the name is in the tooltip, and is read aloud.
    let text = if narrow || room < DEVICE { icon.to_owned() } else { format!("{icon}  {short}") };
    let response = ui.scope(|ui| {
        ui.set_max_width(room.max(theme::row(ui)));
        ui.add(egui::Button::new(text).truncate())
    });
    let response = response.inner;
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Device: {name}")));
    widgets::menu(&response).show(|ui| {
        ui.set_min_width(280.0);
        widgets::hint(ui, "What computes. What is running stays where it is.");
        let mut line = |ui: &mut egui::Ui, value: DeviceChoice, text: String| {
            if ui.selectable_label(devices.choice == value, text).clicked() {
                choice = Some(value);
                // A key closes no menu by itself.
                ui.close();
            }
        };
        line(ui, DeviceChoice::Auto, "Automatic".to_owned());
        for adapter in &devices.adapters {
            let text = format!("{} ({}, {})", adapter.name, adapter.kind, adapter.backend);
            line(ui, DeviceChoice::Gpu(adapter.index), text);
        }
        line(ui, DeviceChoice::Cpu, "Processor".to_owned());
    });
    response.on_hover_text(format!("Computing on {name}"));
    if let Some(choice) = choice {
        app.choose_device(choice);
    }
}

//! The bar at the top: what one is doing, on which device, and the house's own switches.

use dinoscope_core::device::DeviceChoice;
use egui::{Key, KeyboardShortcut, Modifiers, Rect};

use super::app_context::AppContext;
use super::curate::CurateWorkspace;
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
const CURATE: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Num4);
const LOG: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::L);

/// Points from which there is room for the program's name.
const ROOMY: f32 = 760.0;
/// Switches at the right end of the bar, without the device.
const SWITCHES: usize = 4;
/// The same where the window is narrow.
const FEW_SWITCHES: usize = 2;
/// Points from which there is room for the device's name.
const DEVICE: f32 = 150.0;

/// Draws the bar.
pub fn ui(
    ui: &mut egui::Ui,
    app: &mut AppContext,
    layout: &mut StudioLayout,
    train: &mut TrainWorkspace,
    evaluate: &EvaluateWorkspace,
    curate: &CurateWorkspace,
) {
    let ctx = ui.ctx().clone();
    for (shortcut, (workspace, _)) in [EXPLORE, TRAIN, EVALUATE, CURATE].iter().zip(Workspace::offered()) {
        if ctx.input_mut(|input| input.consume_shortcut(shortcut)) {
            layout.workspace = *workspace;
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
                widgets::heading(ui, "Dinoscope");
                ui.add_space(space::M);
            }
            widgets::segmented(ui, "Workspace", &mut layout.workspace, Workspace::offered());
            let free = ui.cursor().left();
            if !narrow {
                ui.add_space(space::S);
                // The switches at the right stay in reach, however much there is to say.
                let switch = theme::row(ui) + ui.spacing().item_spacing.x;
                let room = ui.available_width() - (SWITCHES + 1) as f32 * switch;
                ui.scope(|ui| {
                    ui.set_max_width(room.max(0.0));
                    if room > 120.0 {
                        train.brief_ui(ui);
                        evaluate.brief_ui(ui);
                        curate.brief_ui(ui);
                    }
                });
            }
            device_menu(ui, app, narrow, free);
            theme_button(ui);
            if !narrow {
                if widgets::icon_button(ui, icons::LAYOUT, "Panels as they were at first").clicked() {
                    let back = layout.reset();
                    let said = "The panels are where they were at first.";
                    app.offer_undo(said, move |parts| back(parts.layout));
                }
                let mut log = layout.has_log();
                if widgets::toggle_icon(ui, icons::LOG, "Log", &mut log).clicked() {
                    layout.toggle_log();
                }
            }
            if widgets::icon_button(ui, icons::INFO, "About Dinoscope").clicked() {
                app.about = !app.about;
            }
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

/// Which device computes, and which others could. It ends where the switches begin that follow; from `free` up to it
/// there is room for what happened.
fn device_menu(ui: &mut egui::Ui, app: &mut AppContext, narrow: bool, free: f32) {
    let switches = if narrow { FEW_SWITCHES } else { SWITCHES };
    let follows = switches as f32 * (theme::row(ui) + ui.spacing().item_spacing.x);
    let room = ui.available_width() - follows - space::M;
    let icon = if app.devices.on_gpu() { icons::GPU } else { icons::CPU };
    let mut choice = None;
    let name = app.devices.chosen.name.clone();
    let short: String =
        if name.chars().count() > 28 { name.chars().take(27).chain(['…']).collect() } else { name.clone() };
    // What else there is decides: the name is in the tooltip, and is read aloud.
    let text = if narrow || room < DEVICE { icon.to_owned() } else { format!("{icon}  {short}") };
    let most = room.max(theme::row(ui));
    let inside = most - 2.0 * ui.spacing().button_padding.x;
    let font = egui::TextStyle::Button;
    let galley =
        egui::WidgetText::from(&text).into_galley(ui, Some(egui::TextWrapMode::Truncate), inside, font);
    let width = (galley.size().x + 2.0 * ui.spacing().button_padding.x).min(most);
    ui.add_space((ui.available_width() - follows - width).max(0.0));
    let right = ui.cursor().left();
    app.toasts.stand_in(Rect::from_x_y_ranges(free..=right, ui.max_rect().y_range()));
    let response = ui.scope(|ui| {
        ui.set_max_width(most);
        ui.add(egui::Button::new(text).truncate())
    });
    let response = response.inner;
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Device: {name}")));
    let devices = &app.devices;
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

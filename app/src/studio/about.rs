//! What this program is, what it runs on, and within which limits.

use dinoscope_core::bytes;

use super::app_context::AppContext;
use super::{kept, theme, widgets};
use crate::platform::{models, storage};

/// Draws the panel when it is open.
pub fn ui(ctx: &egui::Context, app: &mut AppContext) {
    if !app.about {
        models::forget_kept();
        return;
    }
    let frame = egui::Frame::window(&ctx.global_style());
    let response = egui::Modal::new(egui::Id::unique("about")).frame(frame).show(ctx, |ui| {
        ui.set_width(440.0_f32.min(ctx.content_rect().width() - 64.0));
        widgets::heading(ui, "Dinoscope");
        ui.label(
            "Self-supervised vision that anyone can train, distil and look into, on any GPU, without Python.",
        );
        ui.add_space(theme::space::S);
        widgets::property(ui, "Version", env!("CARGO_PKG_VERSION"));
        widgets::property(ui, "Computes on", &app.devices.chosen.name);
        widgets::property(ui, "Drawn by", &app.drawing.name());
        widgets::property(ui, "One device for both", if app.devices.draws { "yes" } else { "no" });
        if let Some(gpu) = &app.drawing.gpu {
            let limits = gpu.device.limits();
            widgets::property(ui, "Largest buffer", &bytes::shown(limits.max_buffer_size));
            widgets::property(ui, "Largest binding", &bytes::shown(limits.max_storage_buffer_binding_size));
            let info = gpu.adapter.get_info();
            widgets::property(ui, "Driver", format!("{} {}", info.driver, info.driver_info).trim());
        }
        for (name, version) in [("burn", "0.22.1"), ("wgpu", "30"), ("egui", "0.37")] {
            widgets::property(ui, name, version);
        }
        match storage::settings_place() {
            _ if app.fresh => _ = widgets::property(ui, "Settings", "not kept"),
            Some(place) => _ = widgets::property(ui, "Settings", &place),
            None => {}
        }
        if let Some(models) = models::kept(&app.wake) {
            let removed = kept::ui(ui, &models);
            if !removed.is_empty() {
                models::remove_kept(removed, &app.wake);
            }
        }
        ui.add_space(theme::space::S);
        widgets::hint(
            ui,
            "MIT or Apache 2.0. DINOv2: Oquab et al. 2023. Inter: SIL OFL. Icons: Phosphor, MIT.",
        );
        ui.add_space(theme::space::S);
        if widgets::button(ui, "", "Close").clicked() {
            ui.close();
        }
    });
    if response.should_close() {
        app.about = false;
    }
}

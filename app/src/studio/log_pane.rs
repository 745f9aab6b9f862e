//! The panel that shows what happened.

use ::log::Level;

use super::theme::{self, icons, space};
use super::widgets;
use crate::log_ring::lines;

/// The panel.
pub fn ui(ui: &mut egui::Ui) {
    let lines = lines();
    ui.horizontal(|ui| {
        widgets::hint(ui, &format!("{} lines", lines.len()));
        // At the left: news stands in the corner at the right.
        if widgets::icon_button(ui, icons::COPY, "Copy the log").clicked() {
            let text: String =
                lines.iter().map(|l| format!("{:9.2} {:5} {}\n", l.at, l.level, l.text)).collect();
            ui.ctx().copy_text(text);
        }
    });
    let t = theme::tokens(ui.ctx());
    let height = ui.text_style_height(&egui::TextStyle::Monospace) + space::XS;
    egui::ScrollArea::both().auto_shrink(false).stick_to_bottom(true).show_rows(
        ui,
        height,
        lines.len(),
        |ui, rows| {
            for line in &lines[rows] {
                let colour = match line.level {
                    Level::Error => t.bad,
                    Level::Warn => t.watch,
                    _ => t.muted,
                };
                let text = format!("{:9.2}  {}", line.at, line.text.replace('\n', " · "));
                let text = egui::RichText::new(text).text_style(egui::TextStyle::Monospace).color(colour);
                ui.add(egui::Label::new(text).selectable(true).wrap_mode(egui::TextWrapMode::Extend));
            }
        },
    );
}

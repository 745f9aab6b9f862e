//! The values of a chart, in places that do not move: what is what, and how large it is at the step that is pointed at.

use egui::{Align2, FontId, Ui, pos2, vec2};
use egui_plot::LineStyle;

use crate::studio::theme::{self, fonts, space};
use crate::studio::train::plot::{colour, style};
use crate::studio::train::traces::TrainChartSeries;
use crate::studio::train::words;

/// Height of a line.
pub const LINE: f32 = 18.0;
/// Narrowest place of a value with its name.
const NARROWEST: f32 = 132.0;

/// How many lines the values take in this width.
pub fn lines(count: usize, width: f32) -> usize {
    count.div_ceil(columns(width)).max(1)
}

fn columns(width: f32) -> usize {
    ((width / NARROWEST).floor() as usize).max(1)
}

/// Draws the values.
pub fn ui(ui: &mut Ui, traces: &[TrainChartSeries], by_run: bool, unit: &str) {
    let t = theme::tokens(ui);
    let width = ui.available_width();
    let columns = columns(width);
    let each = (width / columns as f32).floor();
    let height = LINE * lines(traces.len(), width) as f32;
    let (rect, _) = ui.allocate_exact_size(vec2(width, height), egui::Sense::hover());
    let font = FontId::proportional(fonts::SMALL);
    for (i, trace) in traces.iter().enumerate() {
        let left = rect.left() + (i % columns) as f32 * each;
        let top = rect.top() + (i / columns) as f32 * LINE;
        let place = egui::Rect::from_min_size(pos2(left, top), vec2(each - space::S, LINE));
        let middle = place.center().y;
        let stroke = egui::Stroke::new(2.0, colour(trace, by_run, &t));
        let (from, to) = (pos2(left, middle), pos2(left + 14.0, middle));
        match style(trace, by_run) {
            LineStyle::Solid => {
                ui.painter().line_segment([from, to], stroke);
            }
            LineStyle::Dashed { .. } => {
                ui.painter().extend(egui::Shape::dashed_line(&[from, to], stroke, 4.0, 2.0))
            }
            LineStyle::Dotted { .. } => {
                ui.painter().extend(egui::Shape::dotted_line(&[from, to], stroke.color, 4.0, 1.2))
            }
        };
        let value = trace.value.map_or("–".to_owned(), words::figure);
        let value = if unit.is_empty() { value } else { format!("{value} {unit}") };
        let number = ui.painter().layout_no_wrap(value.clone(), font.clone(), t.text);
        let number_at = pos2(place.right() - number.size().x, middle - number.size().y / 2.0);
        let room = number_at.x - (left + 20.0) - space::XS;
        let name = egui::WidgetText::from(theme::small(&trace.label)).into_galley(
            ui,
            Some(egui::TextWrapMode::Truncate),
            room.max(0.0),
            font.clone(),
        );
        let name_at = pos2(left + 20.0, middle - name.size().y / 2.0);
        ui.painter().galley_with_override_text_color(name_at, name, t.muted);
        ui.painter().galley(number_at, number, t.text);
        let id = ui.scope_id().with(("value", i, &trace.label));
        let response = ui.interact(place, id, egui::Sense::hover());
        let label = format!("{}: {value}", trace.label);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::accesskit::Role::Label, true, &label));
    }
}

/// The title of a chart, and the step of its values at the right.
pub fn title(ui: &mut Ui, title: &str, note: &str, step: &str) {
    let t = theme::tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), egui::Sense::hover());
    let font = FontId::new(fonts::BODY, fonts::semibold());
    ui.painter().text(rect.left_center(), Align2::LEFT_CENTER, title, font, t.text);
    let small = FontId::proportional(fonts::SMALL);
    ui.painter().text(rect.right_center(), Align2::RIGHT_CENTER, step, small, t.muted);
    let label = format!("{title}, {step}");
    response.widget_info(|| egui::WidgetInfo::labeled(egui::accesskit::Role::Label, true, &label));
    if !note.is_empty() {
        response.on_hover_text(note);
    }
}

//! All figures of a finding in rows, their columns aligned, numbers at the right of theirs.

use std::sync::Arc;

use dinoscope_core::eval::outcome::EvalReport;
use egui::accesskit::Role;
use egui::text::{LayoutJob, TextFormat};
use egui::{Color32, FontFamily, FontId, Galley, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::studio::evaluate::history::{figure_names, parts, row_text};
use crate::studio::theme::{self, ThemeTokens, fonts, space};

/// Height of a row.
const HIGH: f32 = 24.0;

/// Draws it; wider than its place, it moves from side to side.
pub fn ui(ui: &mut Ui, outcome: &EvalReport) {
    let t = theme::tokens(ui);
    let names = figure_names(outcome);
    let mut lines: Vec<Vec<Arc<Galley>>> = Vec::new();
    let mut head = vec![note(ui, "", &t), note(ui, "", &t)];
    head.extend(names.iter().map(|name| note(ui, name, &t)));
    lines.push(head);
    for (number, row) in outcome.rows.iter().enumerate() {
        let first = number == 0;
        let mut line = vec![word(ui, &row.subject, first, t.text), word(ui, &row.setting, false, t.muted)];
        line.extend(names.iter().map(|name| match row.figures.iter().find(|figure| figure.name == *name) {
            Some(figure) => {
                let (number, interval) = parts(figure);
                cell(ui, &number, &interval, first, &t)
            }
            None => word(ui, "–", false, t.muted),
        }));
        lines.push(line);
    }
    let columns = names.len() + 2;
    let widest = |column: usize| lines.iter().map(|line| line[column].size().x.ceil()).fold(0.0, f32::max);
    let widths: Vec<f32> = (0..columns).map(widest).collect();
    let gap = |column: usize| if widths[column] > 0.0 { space::M } else { 0.0 };
    let total = (0..columns).map(|column| widths[column] + gap(column)).sum::<f32>();
    egui::ScrollArea::horizontal().id_salt("table").auto_shrink([false, true]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        for (number, line) in lines.iter().enumerate() {
            let width = total.max(ui.available_width());
            let (rect, response) = ui.allocate_exact_size(vec2(width, HIGH), Sense::hover());
            if let Some(row) = number.checked_sub(1).and_then(|row| outcome.rows.get(row)) {
                response.widget_info(|| WidgetInfo::labeled(Role::Label, true, row_text(row)));
            }
            if !ui.is_rect_visible(rect) {
                continue;
            }
            if number > 0 {
                ui.painter().hline(rect.x_range(), rect.top(), egui::Stroke::new(1.0, t.outline));
            }
            let mut left = rect.left();
            for (column, galley) in line.iter().enumerate() {
                // Words begin, numbers end at the same place.
                let aside = if column < 2 { 0.0 } else { widths[column] - galley.size().x };
                let top = rect.center().y - 0.5 * galley.size().y;
                ui.painter().galley(pos2(left + aside, top), galley.clone(), t.text);
                left += widths[column] + gap(column);
            }
        }
    });
}

fn font(heavy: bool) -> FontId {
    FontId::new(fonts::BODY, if heavy { fonts::semibold() } else { FontFamily::Proportional })
}

fn note(ui: &Ui, text: &str, t: &ThemeTokens) -> Arc<Galley> {
    let small = FontId::new(fonts::SMALL, FontFamily::Proportional);
    ui.painter().layout_no_wrap(text.to_owned(), small, t.muted)
}

fn word(ui: &Ui, text: &str, heavy: bool, colour: Color32) -> Arc<Galley> {
    ui.painter().layout_no_wrap(text.to_owned(), font(heavy), colour)
}

/// A number with its interval behind it, smaller.
fn cell(ui: &Ui, number: &str, interval: &str, heavy: bool, t: &ThemeTokens) -> Arc<Galley> {
    let mut job = LayoutJob::default();
    job.append(number, 0.0, TextFormat::simple(font(heavy), t.text));
    if !interval.is_empty() {
        let small = FontId::new(fonts::SMALL, FontFamily::Proportional);
        job.append(interval, 6.0, TextFormat::simple(small, t.muted));
    }
    ui.painter().layout_job(job)
}

/// The table as text for a spreadsheet or a report: tabs between columns.
pub fn text(outcome: &EvalReport) -> String {
    let names = figure_names(outcome);
    let head = ["judged", "setting"].into_iter().chain(names.iter().map(String::as_str));
    let mut lines = vec![head.collect::<Vec<_>>().join("\t")];
    for row in &outcome.rows {
        let figure = |name: &String| {
            row.figures.iter().find(|figure| figure.name == *name).map_or(String::new(), |f| f.text())
        };
        let words = [row.subject.clone(), row.setting.clone()].into_iter();
        lines.push(words.chain(names.iter().map(figure)).collect::<Vec<_>>().join("\t"));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::studio::evaluate::history::tests::finding;

    #[test]
    fn tables_go_into_spreadsheets() {
        let outcome = finding("a", &[("weights", 0.5), ("raw pixels", 0.25)]).outcome;
        let wanted = "judged\tsetting\ttop-1\ttop-5\nweights\tk 20\t50.0 %\t25.0 %\nraw pixels\tk 20\t25.0 %\t12.5 %\n";
        assert_eq!(text(&outcome), wanted);
    }
}

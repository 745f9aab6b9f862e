//! Figures as bars with their intervals, one under the other: what is better is seen before a number is read.

use dinoscope_core::eval::outcome::EvalMetric;
use egui::accesskit::Role;
use egui::{Align2, Color32, FontFamily, FontId, Rect, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use crate::studio::evaluate::history::{EvaluationBar, Id, parts};
use crate::studio::theme::{self, ThemeTokens, fonts, space};

/// Height of a bar.
const THICK: f32 = 10.0;
/// Half the height of the marks at an interval's ends.
const MARK: f32 = 4.0;
/// Share of the width that names have.
const NAMES: f32 = 0.36;
/// Most points that names have.
const WIDEST: f32 = 240.0;

/// Draws them; the finding that a person chose, if one was. `chosen` is the one that shows.
pub fn ui(ui: &mut Ui, bars: &[EvaluationBar], chosen: Option<Id>) -> Option<Id> {
    let (low, high) = range(bars.iter().map(|bar| &bar.figure));
    let font = FontId::new(fonts::BODY, FontFamily::Proportional);
    let small = FontId::new(fonts::SMALL, FontFamily::Proportional);
    let width = ui.available_width();
    let names = (NAMES * width).min(WIDEST);
    let measure = |ui: &Ui, text: &str| {
        ui.painter().layout_no_wrap(text.to_owned(), font.clone(), Color32::WHITE).size().x
    };
    let numbers = bars.iter().map(|bar| measure(ui, &parts(&bar.figure).0)).fold(0.0, f32::max).ceil();
    let t = theme::tokens(ui);
    let mut next = None;
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        for bar in bars {
            let on = bar.finding.is_some() && bar.finding == chosen;
            let sense = if bar.finding.is_some() { Sense::click() } else { Sense::hover() };
            let (rect, response) = ui.allocate_exact_size(vec2(width, theme::row(ui)), sense);
            let said = format!("{}: {} {}", bar.name, bar.figure.name, bar.figure.text());
            response.widget_info(|| match bar.finding {
                Some(_) => WidgetInfo::selected(Role::RadioButton, ui.is_enabled(), on, &said),
                None => WidgetInfo::labeled(Role::Label, ui.is_enabled(), &said),
            });
            if response.clicked() {
                next = bar.finding;
            }
            if !ui.is_rect_visible(rect) {
                continue;
            }
            let wide = rect.expand2(vec2(space::S, 0.0));
            let ground = match (on, bar.finding.is_some() && response.hovered()) {
                (true, _) => t.accent_soft,
                (false, true) => t.hovered,
                (false, false) => Color32::TRANSPARENT,
            };
            ui.painter().rect_filled(wide, theme::RADIUS, ground);
            let colour = match (on, bar.finding) {
                (true, _) => t.accent,
                (false, Some(_)) => t.text,
                (false, None) => t.muted,
            };
            let name = egui::WidgetText::from(bar.name.as_str()).into_galley(
                ui,
                Some(egui::TextWrapMode::Truncate),
                names,
                font.clone(),
            );
            let top = rect.center().y - 0.5 * name.size().y;
            let cut = name.elided;
            ui.painter().galley_with_override_text_color(pos2(rect.left(), top), name, colour);
            let rail = Rect::from_x_y_ranges(
                rect.left() + names + space::S..=rect.right() - numbers - space::S,
                rect.y_range(),
            );
            draw(ui, rail, &bar.figure, (low, high), fill(bar, on, &t), &t);
            ui.painter().text(
                rect.right_center(),
                Align2::RIGHT_CENTER,
                parts(&bar.figure).0,
                font.clone(),
                if bar.finding.is_some() { t.text } else { t.muted },
            );
            if response.has_focus() {
                let ring = Stroke::new(theme::RING, t.accent);
                ui.painter().rect_stroke(wide, theme::RADIUS, ring, egui::StrokeKind::Inside);
            }
            let interval = parts(&bar.figure).1;
            if cut || !interval.is_empty() {
                response.on_hover_text(match interval.as_str() {
                    "" => bar.name.clone(),
                    interval => format!("{}\n95 % interval: {interval}", bar.name),
                });
            }
        }
        // The ends of the scale: a bar's length says little without them.
        let (rect, _) = ui.allocate_exact_size(vec2(width, 16.0), Sense::hover());
        if let Some(bar) = bars.first() {
            let end = |value| parts(&EvalMetric { value, interval: None, ..bar.figure.clone() }).0;
            let left = pos2(rect.left() + names + space::S, rect.center().y);
            let right = pos2(rect.right() - numbers - space::S, rect.center().y);
            ui.painter().text(left, Align2::LEFT_CENTER, end(low), small.clone(), t.muted);
            ui.painter().text(right, Align2::RIGHT_CENTER, end(high), small.clone(), t.muted);
        }
    });
    next
}

fn fill(bar: &EvaluationBar, on: bool, t: &ThemeTokens) -> Color32 {
    match (on, bar.finding) {
        (true, _) => t.accent,
        (false, Some(_)) => t.accent.lerp_to_gamma(t.muted, 0.45),
        (false, None) => t.border,
    }
}

fn draw(ui: &Ui, rail: Rect, figure: &EvalMetric, (low, high): (f64, f64), colour: Color32, t: &ThemeTokens) {
    if rail.width() < 8.0 || !figure.value.is_finite() {
        return;
    }
    let at = |value: f64| {
        let share = ((value - low) / (high - low)).clamp(0.0, 1.0) as f32;
        rail.left() + share * rail.width()
    };
    let middle = rail.center().y;
    let groove = Rect::from_x_y_ranges(rail.x_range(), middle - 0.5 * THICK..=middle + 0.5 * THICK);
    ui.painter().rect_filled(groove, 2.0, t.raised);
    let (from, to) = (at(0.0), at(figure.value));
    let bar = Rect::from_x_y_ranges(from.min(to)..=from.max(to), groove.y_range());
    ui.painter().rect_filled(bar, 2.0, colour);
    if let Some((from, to)) = figure.interval.filter(|(a, b)| a.is_finite() && b.is_finite()) {
        let stroke = Stroke::new(1.5, t.text);
        ui.painter().hline(at(from)..=at(to), middle, stroke);
        for end in [at(from), at(to)] {
            ui.painter().vline(end, middle - MARK..=middle + MARK, stroke);
        }
    }
}

/// The ends of the scale: nought and everything with its interval, to a round number.
fn range<'a>(figures: impl Iterator<Item = &'a EvalMetric>) -> (f64, f64) {
    let ends = |figure: &EvalMetric| figure.interval.map_or([figure.value; 2], |(low, high)| [low, high]);
    let all = figures.flat_map(|figure| ends(figure).into_iter().chain([figure.value]));
    let finite = all.filter(|value| value.is_finite());
    let (low, high) = finite.fold((0.0f64, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
    if low == high {
        return (0.0, 1.0);
    }
    // Not minus nought, which would be written so.
    (0.0 - round_up(-low), round_up(high))
}

/// The next of 1, 1.5, 2, 3, 4, 5, 6, 8, 10 at the number's own power of ten; nought for what is not above it.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let power = value.log10().floor() as i32;
    // Divided by a whole power, 6 becomes 0.6 and not the number beside it.
    let scaled = |step: f64| if power < 0 { step / 10f64.powi(-power) } else { step * 10f64.powi(power) };
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.map(scaled).into_iter().find(|end| *end >= value * (1.0 - 1e-9)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use dinoscope_core::eval::outcome::EvalMetricUnit;

    use super::*;

    #[test]
    fn scales_begin_at_nought_and_end_at_round_numbers() {
        let of = |values: &[(f64, Option<(f64, f64)>)]| {
            let figure = |(value, interval): &(f64, Option<(f64, f64)>)| EvalMetric {
                name: String::new(),
                value: *value,
                interval: *interval,
                unit: EvalMetricUnit::More,
            };
            range(values.iter().map(figure).collect::<Vec<_>>().iter())
        };
        assert_eq!(of(&[(0.42, None), (0.1, Some((0.05, 0.55)))]), (0.0, 0.6));
        assert_eq!(of(&[(0.97, Some((0.93, 0.99)))]), (0.0, 1.0));
        assert_eq!(of(&[(-3.1, None), (-1.0, None)]), (-4.0, 0.0));
        assert_eq!(of(&[(f64::NAN, None)]), (0.0, 1.0));
        assert_eq!(of(&[(127.0, None)]), (0.0, 150.0));
        assert!(of(&[(0.5, None)]).0.is_sign_positive());
    }
}

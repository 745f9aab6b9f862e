//! Rows of a form: a name at the left, at the right what one may change. All rows of a panel share one edge.

use egui::accesskit::Role;
use egui::{
    Align, ComboBox, FontFamily, FontId, Id, Layout, Rect, Response, Sense, Stroke, StrokeKind, Ui,
    UiBuilder, WidgetInfo, lerp, pos2, vec2,
};

use super::{WidgetLabel, paint};
use crate::studio::theme::{self, fonts, icons, space};

/// Wider, and the eye loses the way from name to value.
const WIDEST: f32 = 480.0;
/// Narrower, and the name goes above the value.
const NARROWEST: f32 = 200.0;

/// Where names end and values begin in a row of `width`.
pub(super) fn columns(width: f32) -> (f32, f32) {
    let width = width.min(WIDEST);
    if width < NARROWEST {
        return (width, width);
    }
    let name = (0.4 * width).clamp(88.0, 160.0).round();
    (name, width - name - space::S)
}

/// A row with `label` in front of whatever `add` puts into it; inputs without a name of their own are called `label`.
/// `add` is told the width it has.
///
/// A name that is too long for its column stands above the value instead: it is never cut.
pub fn row<'a, R>(ui: &mut Ui, label: impl Into<WidgetLabel<'a>>, add: impl FnOnce(&mut Ui, f32) -> R) -> R {
    row_for(ui, label.into(), 0.0, add)
}

/// A row whose value has the whole width, below the name.
pub fn wide_row<'a, R>(
    ui: &mut Ui,
    label: impl Into<WidgetLabel<'a>>,
    add: impl FnOnce(&mut Ui, f32) -> R,
) -> R {
    row_for(ui, label.into(), f32::INFINITY, add)
}

/// A row whose value needs some width; where its column has less, it goes below the name.
pub(super) fn row_for<R>(
    ui: &mut Ui,
    label: WidgetLabel<'_>,
    needs: f32,
    add: impl FnOnce(&mut Ui, f32) -> R,
) -> R {
    let (mut name, mut value) = columns(ui.available_width());
    if width_of(ui, label.text) > name || needs > value {
        let width = ui.available_width().min(WIDEST);
        (name, value) = (width, width);
    }
    let stacked = name == value;
    let height = theme::row(ui);
    let body = |ui: &mut Ui| {
        let id = name_cell(ui, label, name, if stacked { 20.0 } else { height });
        ui.allocate_ui_with_layout(vec2(value, height), Layout::left_to_right(Align::Center), |ui| {
            ui.set_min_size(vec2(value, height));
            ui.label_inputs_by(id, |ui| add(ui, value))
        })
        .inner
    };
    if stacked {
        ui.scope(|ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            body(ui)
        })
        .inner
    } else {
        ui.horizontal(body).inner
    }
}

/// Width of a line of text, whole points.
pub(super) fn width_of(ui: &Ui, text: &str) -> f32 {
    let font = FontId::new(fonts::BODY, FontFamily::Proportional);
    let colour = theme::tokens(ui).text;
    ui.painter().layout_no_wrap(text.to_owned(), font, colour).size().x.floor()
}

fn name_cell(ui: &mut Ui, label: WidgetLabel<'_>, width: f32, height: f32) -> Id {
    let (rect, response) = ui.allocate_exact_size(vec2(width, height), Sense::hover());
    let galley = paint::line(ui, label.text, width, FontId::new(fonts::BODY, FontFamily::Proportional));
    let cut = galley.elided;
    paint::text_at(ui, galley, rect.left(), rect, theme::tokens(ui).text);
    response.widget_info(|| WidgetInfo::labeled(Role::Label, ui.is_enabled(), label.text));
    label.explain(response, cut).id
}

/// What the button of a list takes beside its text.
const CARET: f32 = 36.0;

/// One of several, from a list that opens.
pub fn choice_row<'a, T: PartialEq + Clone>(
    ui: &mut Ui,
    label: impl Into<WidgetLabel<'a>>,
    value: &mut T,
    items: &[(T, String)],
) -> Response {
    let label = label.into();
    let shown = items.iter().find(|(item, _)| item == value).map_or("", |(_, text)| text.as_str());
    let longest = items.iter().map(|(_, text)| width_of(ui, text)).fold(0.0, f32::max);
    row_for(ui, label, longest + CARET, |ui, width| {
        let mut changed = false;
        let mut response = ComboBox::from_id_salt(("choice", label.text))
            .selected_text(shown)
            .width(width)
            .truncate()
            .icon(|ui, rect, _, _| paint::icon(ui, icons::CARET_UP_DOWN, rect, 14.0, theme::tokens(ui).muted))
            .show_ui(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                for (item, text) in items {
                    changed |= super::list_entry(ui, value, item.clone(), text);
                }
            })
            .response;
        super::give_back(&response);
        if changed {
            response.mark_changed();
        }
        response
    })
}

/// Leaves free what a line has more than `count` icon buttons take, so that they end at its right edge. They are drawn in
/// the order in which they are read, which is also the keyboard's.
pub fn icons_at_end(ui: &mut Ui, count: usize) {
    let gaps = count.saturating_sub(1) as f32 * ui.spacing().item_spacing.x;
    let free = ui.available_width() - count as f32 * theme::row(ui) - gaps;
    ui.add_space(free.max(0.0));
}

/// On or off. The whole row can be clicked.
pub fn switch<'a>(ui: &mut Ui, label: impl Into<WidgetLabel<'a>>, on: &mut bool) -> Response {
    let label = label.into();
    let width = ui.available_width().min(WIDEST);
    let (rect, mut response) = ui.allocate_exact_size(vec2(width, theme::row(ui)), Sense::click());
    if response.clicked() {
        *on = !*on;
        response.mark_changed();
    }
    response.widget_info(|| WidgetInfo::selected(Role::Switch, ui.is_enabled(), *on, label.text));
    let track = Rect::from_center_size(pos2(rect.right() - 17.0, rect.center().y), vec2(34.0, 20.0));
    let room = track.left() - rect.left() - space::S;
    let galley = paint::line(ui, label.text, room, FontId::new(fonts::BODY, FontFamily::Proportional));
    let cut = galley.elided;
    if ui.is_rect_visible(rect) {
        let t = theme::tokens(ui);
        let way = ui.animate_bool_responsive(response.id, *on);
        paint::text_at(ui, galley, rect.left(), rect, t.text);
        let off = paint::ground(&response, t.raised, &t);
        ui.painter().rect_filled(track, 10.0, off.lerp_to_gamma(t.accent, way));
        let rim = Stroke::new(1.0, t.border.lerp_to_gamma(t.accent, way));
        ui.painter().rect_stroke(track, 10.0, rim, StrokeKind::Inside);
        let x = lerp(track.left() + 10.0..=track.right() - 10.0, way);
        let knob = t.border.lerp_to_gamma(t.on_accent, way);
        ui.painter().circle_filled(pos2(x, track.center().y), lerp(5.0..=6.0, way), knob);
        if response.has_focus() {
            let ring = Stroke::new(theme::RING, t.accent);
            ui.painter().rect_stroke(track.expand(2.0), 12.0, ring, StrokeKind::Outside);
        }
    }
    label.explain(response, cut)
}

/// A `Ui` whose text fields have a border that can be found.
pub fn with_border<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    ui.scope_builder(UiBuilder::new(), |ui| {
        let t = theme::tokens(ui);
        let widgets = &mut ui.visuals_mut().widgets;
        widgets.inactive.bg_stroke = Stroke::new(1.0, t.border);
        widgets.hovered.bg_stroke = Stroke::new(1.0, t.muted);
        add(ui)
    })
    .inner
}

#[cfg(test)]
mod tests {
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable as _;

    use super::*;
    use crate::studio::widgets::text_row;

    #[test]
    fn a_name_is_never_cut_for_a_value_beside_it() {
        let texts = (String::new(), String::new());
        let mut harness = Harness::builder()
            .with_context_setup(theme::install)
            .with_size(vec2(275.0, 200.0))
            .build_ui_state(
                |ui, (short, long): &mut (String, String)| {
                    text_row(ui, "Steps", short, "");
                    text_row(ui, "Heads alone for, in steps", long, "");
                },
                texts,
            );
        harness.run_steps(3);
        let places = |name: &str| {
            let label = harness.get_by_role_and_label(Role::Label, name).rect();
            (label, harness.get_by_role_and_label(Role::TextInput, name).rect())
        };
        let (label, value) = places("Steps");
        assert!(value.left() > label.right() && value.center().y == label.center().y, "{label} {value}");
        let (label, value) = places("Heads alone for, in steps");
        assert!(value.top() >= label.bottom() && label.width() > 160.0, "{label} {value}");
    }
}

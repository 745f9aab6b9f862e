//! A number on a rail, with the number itself beside it to type.

use std::ops::RangeInclusive;

use egui::accesskit::{Action, ActionData, Role};
use egui::emath::{Numeric, smart_aim};
use egui::{
    DragValue, EventFilter, Key, Pos2, Rect, Response, Sense, Stroke, Ui, Vec2, WidgetInfo, lerp, pos2, vec2,
};

use super::WidgetLabel;
use super::row::row;
use crate::studio::theme::{self, ThemeTokens, space};
use crate::studio::touch;

/// Radius of the knob.
const KNOB: f32 = 7.0;
/// Width of the number.
const NUMBER: f32 = 72.0;

/// Which numbers a slider has, how they lie on the rail and how they are written.
#[derive(Clone, Debug)]
pub struct SliderScale {
    range: RangeInclusive<f64>,
    step: Option<f64>,
    unit: &'static str,
    log: bool,
    percent: bool,
}

impl SliderScale {
    /// Numbers of `range`, evenly spread.
    pub fn new<N: Numeric>(range: RangeInclusive<N>) -> Self {
        let (start, end) = (range.start().to_f64(), range.end().to_f64());
        Self { range: start..=end, step: N::INTEGRAL.then_some(1.0), unit: "", log: false, percent: false }
    }

    /// Only the start of the range and whole steps from there.
    pub fn step(mut self, step: f64) -> Self {
        self.step = (step > 0.0).then_some(step);
        self
    }

    /// Written after the number.
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// Each factor of ten has the same share of the rail. Only for ranges above zero.
    pub fn log(mut self) -> Self {
        self.log = *self.range.start() > 0.0 && *self.range.end() > 0.0;
        self
    }

    /// A part of one, written in per cent.
    pub fn percent(mut self) -> Self {
        self.percent = true;
        self
    }

    /// Where `value` is on the rail, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let (start, end) = (*self.range.start(), *self.range.end());
        let place = if self.log {
            (value.max(f64::MIN_POSITIVE) / start).ln() / (end / start).ln()
        } else {
            (value - start) / (end - start)
        };
        // A range of one number, or a value that is none.
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The number at `place`, in whole steps.
    fn value(&self, place: f64) -> f64 {
        let (start, end) = (*self.range.start(), *self.range.end());
        let place = place.clamp(0.0, 1.0);
        let value = if self.log { start * (end / start).powf(place) } else { start + (end - start) * place };
        self.rounded(value)
    }

    fn rounded(&self, value: f64) -> f64 {
        let (start, end) = (*self.range.start(), *self.range.end());
        let value = match self.step {
            Some(step) => start + ((value - start) / step).round() * step,
            None => value,
        };
        value.clamp(start.min(end), start.max(end))
    }

    /// The roundest number within half a point of the pointer.
    fn aimed(&self, place: f64, point: f64) -> f64 {
        if self.step.is_some() {
            return self.value(place);
        }
        self.rounded(smart_aim::best_in_range_f64(
            self.value(place - 0.5 * point),
            self.value(place + 0.5 * point),
        ))
    }

    /// `value` moved by `steps` presses of an arrow key.
    fn moved(&self, value: f64, steps: f64) -> f64 {
        match self.step {
            Some(step) if !self.log => self.rounded(value + step * steps),
            // A log scale of whole numbers moves by at least one of them.
            Some(step) => {
                let to = self.value(self.place(value) + 0.02 * steps);
                let to = if to == value { value + step * steps.signum() } else { to };
                self.rounded(to)
            }
            None => self.aimed(self.place(value) + 0.01 * steps, 0.005),
        }
    }

    /// `value` as it is written, without the unit.
    fn written(&self, value: f64) -> String {
        if self.percent {
            return trimmed(100.0 * value, 1);
        }
        if let Some(step) = self.step {
            return trimmed(value, decimals(step));
        }
        let size = value.abs();
        if size != 0.0 && !(1e-3..1e6).contains(&size) {
            let text = format!("{value:.2e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let digits = if digits.contains('.') {
                digits.trim_end_matches('0').trim_end_matches('.')
            } else {
                digits
            };
            return format!("{digits}e{exponent}");
        }
        let before = if size < 1.0 { 0 } else { size.log10() as usize + 1 };
        // Three digits that say something; leading zeros do not.
        let zeros = if size > 0.0 && size < 1.0 { (-size.log10()).floor() as usize } else { 0 };
        trimmed(value, 3usize.saturating_sub(before) + zeros)
    }

    fn suffix(&self) -> String {
        match (self.percent, self.unit) {
            (true, _) => "\u{a0}%".to_owned(),
            (false, "") => String::new(),
            (false, unit) => format!("\u{a0}{unit}"),
        }
    }
}

/// How many decimals `step` needs.
fn decimals(step: f64) -> usize {
    (0..6)
        .find(|n| {
            let scaled = step * 10f64.powi(*n as i32);
            (scaled - scaled.round()).abs() < 1e-6
        })
        .unwrap_or(6)
}

fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A row with a slider and its number. Arrow keys move it, with Shift ten times as far; Home and End go to the ends.
pub fn slider_row<'a, N: Numeric>(
    ui: &mut Ui,
    label: impl Into<WidgetLabel<'a>>,
    value: &mut N,
    scale: &SliderScale,
) -> Response {
    let label = label.into();
    let mut number = value.to_f64();
    let response = row(ui, label, |ui, width| {
        let rail = rail(ui, label.text, &mut number, scale, (width - NUMBER - space::S).max(2.0 * KNOB));
        rail | field(ui, &mut number, scale)
    });
    if response.changed() {
        *value = N::from_f64(number);
    }
    response
}

fn field(ui: &mut Ui, number: &mut f64, scale: &SliderScale) -> Response {
    let (start, end) = (*scale.range.start(), *scale.range.end());
    let point = (scale.value(scale.place(*number) + 0.005) - scale.value(scale.place(*number) - 0.005)).abs();
    let part = if scale.percent { 100.0 } else { 1.0 };
    let field = DragValue::new(number)
        .range(start..=end)
        .speed(scale.step.unwrap_or(0.0).max(point) * 0.25)
        .suffix(scale.suffix())
        .custom_formatter(|value, _| scale.written(value))
        .custom_parser(move |text| {
            let text =
                text.trim().trim_end_matches(scale.unit).trim_end_matches('%').trim().replace(',', ".");
            text.parse::<f64>().ok().map(|value| scale.rounded(value / part))
        })
        .update_while_editing(false);
    let response = ui.add_sized([NUMBER, theme::row(ui)], field);
    // egui calls it by its unit; what it is stands in front of it.
    ui.accesskit_node_builder(response.id, |node| node.clear_label());
    response
}

/// Points after which it is clear whether a finger goes along a rail or across it.
const DECIDED: f32 = 8.0;

fn rail(ui: &mut Ui, label: &str, number: &mut f64, scale: &SliderScale, width: f32) -> Response {
    let (rect, mut response) = ui.allocate_exact_size(vec2(width, theme::row(ui)), Sense::click_and_drag());
    let (from, to) = (rect.left() + KNOB, rect.right() - KNOB);
    let before = *number;
    if let Some(pointer) = pointed(ui, &response) {
        let points = f64::from((to - from).max(1.0));
        *number = scale.aimed(f64::from(pointer.x - from) / points, 1.0 / points);
    }
    if let Some(asked) = by_keys(ui, &response, *number, scale) {
        *number = asked;
    }
    if *number != before {
        response.mark_changed();
    }
    let shown = *number;
    let text = format!("{}{}", scale.written(shown), scale.suffix());
    say_slider(ui, &response, label, shown, (&scale.range, scale.step), text);
    if ui.is_rect_visible(rect) {
        let x = lerp(from..=to, scale.place(shown) as f32);
        paint_rail(ui, &response, rect, x, &theme::tokens(ui));
    }
    response
}

/// Where the knob is to go. A finger that goes up or down on a rail means what scrolls around it, and moves that.
fn pointed(ui: &Ui, response: &Response) -> Option<Pos2> {
    let pointer = response.interact_pointer_pos()?;
    if !touch::is(ui.ctx()) {
        return Some(pointer);
    }
    let (origin, moved) = ui.input(|input| (input.pointer.press_origin(), input.pointer.delta().y));
    // Once it is clear what is meant it stays so until the finger is lifted.
    let known = response.id.with("along the rail");
    let way = origin.map_or(Vec2::ZERO, |origin| pointer - origin);
    let along = match ui.data(|data| data.get_temp::<bool>(known)) {
        Some(along) => Some(along),
        None => (way.length() > DECIDED).then_some(way.x.abs() >= way.y.abs()),
    };
    match along.filter(|_| !response.drag_stopped() && !response.clicked()) {
        Some(along) => ui.data_mut(|data| _ = data.insert_temp(known, along)),
        None => ui.data_mut(|data| data.remove::<bool>(known)),
    }
    match along {
        Some(true) => Some(pointer),
        Some(false) => {
            ui.scroll_with_delta(vec2(0.0, moved));
            None
        }
        None => response.clicked().then_some(pointer),
    }
}

/// What the keyboard or assistive technology asks for.
fn by_keys(ui: &Ui, response: &Response, number: f64, scale: &SliderScale) -> Option<f64> {
    let id = response.id;
    // Asked before: what reads egui's input may not ask egui anything else.
    let focused = response.has_focus();
    if focused {
        let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
    }
    ui.input(|input| {
        let presses = |key| if focused { input.num_presses(key) as f64 } else { 0.0 };
        let asked = |action| input.num_accesskit_action_requests(id, action) as f64;
        let ten = if input.modifiers.shift { 10.0 } else { 1.0 };
        let steps = ten * (presses(Key::ArrowRight) - presses(Key::ArrowLeft))
            + 10.0 * (presses(Key::PageUp) - presses(Key::PageDown))
            + asked(Action::Increment)
            - asked(Action::Decrement);
        let set =
            input.accesskit_action_requests(id, Action::SetValue).find_map(|request| match request.data {
                Some(ActionData::NumericValue(value)) => Some(scale.rounded(value)),
                _ => None,
            });
        if set.is_some() {
            set
        } else if presses(Key::Home) > 0.0 {
            Some(*scale.range.start())
        } else if presses(Key::End) > 0.0 {
            Some(*scale.range.end())
        } else {
            (steps != 0.0).then(|| scale.moved(number, steps))
        }
    })
}

fn paint_rail(ui: &Ui, response: &Response, rect: Rect, x: f32, t: &ThemeTokens) {
    let y = rect.center().y;
    let bar = |from: f32, to: f32| Rect::from_min_max(pos2(from, y - 2.0), pos2(to, y + 2.0));
    let painter = ui.painter();
    painter.rect_filled(bar(rect.left(), rect.right()), 2.0, t.pressed);
    painter.rect_filled(bar(rect.left(), x), 2.0, t.accent);
    let held = response.hovered() || response.dragged();
    let colour = if held { t.accent_hovered } else { t.accent };
    painter.circle(pos2(x, y), KNOB, colour, Stroke::new(2.0, t.panel));
    if response.has_focus() {
        painter.circle_stroke(pos2(x, y), KNOB + 3.0, Stroke::new(theme::RING, t.accent));
    }
}

/// What is read aloud of a slider, whoever draws it: its name, its value as a number between the ends of `range` and in words, and
/// that it can be moved.
pub fn say_slider(
    ui: &Ui,
    response: &Response,
    name: &str,
    value: f64,
    (range, step): (&RangeInclusive<f64>, Option<f64>),
    text: String,
) {
    response.widget_info(|| {
        let mut info = WidgetInfo::slider(ui.is_enabled(), value, name);
        info.role = Role::Slider;
        info
    });
    ui.accesskit_node_builder(response.id, |node| {
        node.set_min_numeric_value(*range.start());
        node.set_max_numeric_value(*range.end());
        if let Some(step) = step {
            node.set_numeric_value_step(step);
        }
        node.set_value(text);
        node.add_action(Action::SetValue);
        node.add_action(Action::Increment);
        node.add_action(Action::Decrement);
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn places_and_values_are_inverse() {
        for scale in [
            SliderScale::new(-2.0..=6.0),
            SliderScale::new(1e-6..=1.0).log(),
            SliderScale::new(0.0..=1.0).percent(),
        ] {
            for place in [0.0, 0.25, 0.5, 1.0] {
                assert!((scale.place(scale.value(place)) - place).abs() < 1e-9);
            }
        }
        assert!((SliderScale::new(1e-6..=1e-2).log().value(0.5) - 1e-4).abs() < 1e-9);
    }

    #[test]
    fn a_finger_that_goes_up_or_down_leaves_the_value() {
        use egui_kittest::kittest::Queryable as _;
        let build = |ui: &mut Ui, value: &mut f64| {
            touch::set(ui.ctx(), true);
            rail(ui, "Size", value, &SliderScale::new(0.0..=1.0), 200.0);
        };
        let mut harness = egui_kittest::Harness::builder()
            .with_step_dt(0.02)
            .with_context_setup(theme::install)
            .build_ui_state(build, 0.0);
        harness.step();
        let middle = harness.get_by_label("Size").rect().center();
        let mut swipe = |way: Vec2| {
            let press = |pos, pressed| egui::Event::PointerButton {
                pos,
                button: egui::PointerButton::Primary,
                pressed,
                modifiers: egui::Modifiers::NONE,
            };
            harness.event(egui::Event::PointerMoved(middle));
            harness.event(press(middle, true));
            harness.step();
            for part in 1..=4 {
                harness.event(egui::Event::PointerMoved(middle + way * part as f32 / 4.0));
                harness.step();
            }
            harness.event(press(middle + way, false));
            harness.step();
            *harness.state()
        };
        assert_eq!(swipe(vec2(3.0, 60.0)), 0.0, "what is around it is scrolled");
        let along = swipe(vec2(40.0, 5.0));
        assert!(along > 0.6, "{along}");
        let tapped = swipe(Vec2::ZERO);
        assert!((tapped - 0.5).abs() < 0.05, "{tapped}");
    }

    #[test]
    fn steps_are_whole() {
        let scale = SliderScale::new(112..=672).step(14.0);
        assert_eq!(scale.value(0.5), 392.0);
        assert_eq!(scale.rounded(230.0), 224.0);
        assert_eq!(scale.moved(224.0, 1.0), 238.0);
        assert_eq!(scale.moved(672.0, 5.0), 672.0);
        assert_eq!(SliderScale::new(1..=1000).log().moved(1.0, 1.0), 2.0);
    }

    #[test]
    fn strange_ranges_and_values_stay_on_the_rail() {
        assert_eq!(SliderScale::new(3.0..=3.0).place(3.0), 0.0);
        assert_eq!(SliderScale::new(0.0..=1.0).place(f64::NAN), 0.0);
        assert_eq!(SliderScale::new(0.0..=1.0).log().value(0.5), 0.5, "no logarithm of nothing");
        assert_eq!(SliderScale::new(1e-6..=1.0).log().place(-1.0), 0.0);
    }

    #[test]
    fn numbers_are_written_with_what_they_say() {
        let plain = SliderScale::new(0.0..=1.0);
        assert_eq!(plain.written(0.5), "0.5");
        assert_eq!(plain.written(0.0005), "5e-4");
        assert_eq!(plain.written(0.00512), "0.00512");
        assert_eq!(plain.written(12.3456), "12.3");
        assert_eq!(plain.written(0.0), "0");
        assert_eq!(plain.written(1234.5), "1234");
        assert_eq!(SliderScale::new(0.0..=1.0).percent().written(0.455), "45.5");
        assert_eq!(SliderScale::new(0..=10).written(3.0), "3");
        assert_eq!(SliderScale::new(0.0..=1.0).step(0.05).written(0.15), "0.15");
    }
}

//! One chart: its lines, its axes, and the mouse that moves over it.

use egui::{Color32, Stroke, Ui, vec2};
use egui_plot::{FilledArea, GridInput, GridMark, HLine, Line, LineStyle, Plot, PlotPoints, VLine};

use crate::studio::theme::{self, ThemeTokens};
use crate::studio::train::traces::TrainChartSeries;
use crate::studio::train::words;

/// Which part of the steps and of the values is seen; all of it without.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlotRange {
    /// First and last step.
    pub steps: Option<(f64, f64)>,
    /// Lowest and highest value, as drawn.
    pub values: Option<(f64, f64)>,
}

/// What a chart is drawn from.
pub struct PlotSpec<'a> {
    /// Tells plots apart.
    pub id: &'a str,
    /// What is read aloud.
    pub title: &'a str,
    /// Lines, the most important first.
    pub traces: &'a [TrainChartSeries],
    /// All steps that there are.
    pub extent: (f64, f64),
    /// Values by powers of ten.
    pub log: bool,
    /// Behind the values.
    pub unit: &'a str,
    /// Where a run stands, drawn as an upright line.
    pub now: Option<f64>,
    /// The step under the pointer, in whichever chart it is.
    pub pointed: Option<f64>,
    /// Many runs: curves of one kind have one colour, each run a style of line.
    pub by_run: bool,
    /// Width and height.
    pub size: egui::Vec2,
}

/// What the mouse did.
pub struct PlotInteraction {
    /// The step under the pointer.
    pub pointed: Option<f64>,
}

/// The colour of a line.
pub fn colour(trace: &TrainChartSeries, by_run: bool, t: &ThemeTokens) -> Color32 {
    if trace.level {
        return t.muted;
    }
    let index = if by_run { trace.run } else { trace.curve };
    t.series.get(index % t.series.len()).copied().unwrap_or(t.accent)
}

/// How the line of a run is drawn beside those of others.
pub fn style(trace: &TrainChartSeries, by_run: bool) -> LineStyle {
    match (trace.level, by_run, trace.run % 3) {
        (true, ..) => LineStyle::Dashed { length: 4.0 },
        (_, true, _) | (_, _, 0) => LineStyle::Solid,
        (_, _, 1) => LineStyle::Dashed { length: 8.0 },
        _ => LineStyle::Dotted { spacing: 5.0 },
    }
}

/// Lowest and highest of what is drawn, with a little air.
fn heights(drawing: &PlotSpec<'_>) -> (f64, f64) {
    let values = drawing.traces.iter().flat_map(|trace| {
        let band = trace.band.iter().flat_map(|b| [b[1], b[2]]);
        let level = trace.level.then_some(trace.value).flatten();
        trace.line.iter().chain(&trace.raw).map(|p| p[1]).chain(band).chain(level)
    });
    let drawn = values.filter_map(|v| place(v, drawing.log));
    let (low, high) = drawn.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let air = if high > low { 0.06 * (high - low) } else { (0.1 * high.abs()).max(1e-6) };
    // Nought is a floor worth seeing when it is near.
    let floor = if !drawing.log && low >= 0.0 && low < 0.35 * high { 0.0 } else { low - air };
    (floor, high + air)
}

/// The height of a value; none for what can't be drawn.
fn place(value: f64, log: bool) -> Option<f64> {
    let height = if log { (value > 0.0).then(|| value.log10())? } else { value };
    height.is_finite().then_some(height)
}

fn points(line: &[[f64; 2]], log: bool) -> Vec<[f64; 2]> {
    line.iter().filter_map(|[step, value]| Some([*step, place(*value, log)?])).collect()
}

/// Draws a chart and lets the mouse change what is seen: dragging moves, the wheel zooms in time, with Ctrl in height,
/// a double click shows everything again.
pub fn show(ui: &mut Ui, drawing: &PlotSpec<'_>, window: &mut PlotRange) -> PlotInteraction {
    let t = theme::tokens(ui);
    let steps = window.steps.unwrap_or(drawing.extent);
    let values = window.values.unwrap_or_else(|| heights(drawing));
    let (log, unit) = (drawing.log, drawing.unit.to_owned());
    let plot = Plot::new(drawing.id)
        .width(drawing.size.x)
        .height(drawing.size.y)
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_axis_zoom_drag(false)
        .allow_double_click_reset(false)
        .show_x(false)
        .show_y(false)
        .show_crosshair(false)
        .label_formatter(|_| None)
        .grid_color(t.border.gamma_multiply(0.35))
        .grid_fade(0.0)
        .set_margin_fraction(vec2(0.0, 0.0))
        .y_axis_min_width(48.0)
        .y_grid_spacer(move |input| if log { decades(&input) } else { even(&input, 36.0) })
        .x_grid_spacer(|input| even(&input, 84.0))
        .x_axis_formatter(|mark, _| step_text(mark.value))
        .y_axis_formatter(move |mark, _| {
            let value = if log { 10f64.powf(mark.value) } else { mark.value };
            if unit == "%" { format!("{}%", tick(value)) } else { tick(value) }
        });
    let response = plot.show(ui, |plot| {
        plot.set_plot_bounds_x(steps.0..=steps.1.max(steps.0 + 1e-9));
        plot.set_plot_bounds_y(values.0..=values.1.max(values.0 + 1e-12));
        // The first of them is drawn last, over the others.
        for trace in drawing.traces.iter().rev() {
            draw(plot, trace, drawing, &t);
        }
        if let Some(now) = drawing.now {
            plot.vline(VLine::new("", now).color(t.muted).width(1.0).allow_hover(false));
        }
        if let Some(step) = drawing.pointed {
            plot.vline(VLine::new("", step).color(t.border).width(1.0).allow_hover(false));
        }
    });
    let plot = response.response;
    plot.widget_info(|| {
        let role = egui::accesskit::Role::Figure;
        egui::WidgetInfo::labeled(role, true, drawing.title)
    });
    let at = |pos: egui::Pos2| response.transform.value_from_position(pos);
    let hovered = plot.hover_pos().filter(|pos| response.transform.frame().contains(*pos)).map(at);
    let frame = response.transform.frame().size();
    let per_point = (
        (steps.1 - steps.0) / f64::from(frame.x.max(1.0)),
        (values.1 - values.0) / f64::from(frame.y.max(1.0)),
    );
    if plot.double_clicked() {
        *window = PlotRange::default();
    } else if plot.dragged_by(egui::PointerButton::Primary) {
        let delta = plot.drag_delta();
        let by = -f64::from(delta.x) * per_point.0;
        window.steps = Some(within((steps.0 + by, steps.1 + by), drawing.extent));
        if let Some((low, high)) = window.values {
            let by = f64::from(delta.y) * per_point.1;
            window.values = Some((low + by, high + by));
        }
    }
    if let Some(pointer) = hovered {
        let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta, input.zoom_delta()));
        if pinch != 1.0 {
            window.values = Some(zoomed(values, pointer.y, 1.0 / f64::from(pinch)));
        } else if scroll.y != 0.0 {
            let factor = (-f64::from(scroll.y) * 0.005).exp();
            let seen = zoomed(steps, pointer.x, factor);
            let whole = drawing.extent.1 - drawing.extent.0;
            window.steps = (seen.1 - seen.0 < whole).then(|| within(seen, drawing.extent));
            // A list around the charts must not move with it.
            ui.input_mut(|input| input.smooth_scroll_delta.y = 0.0);
        }
    }
    PlotInteraction { pointed: hovered.map(|point| point.x) }
}

fn draw(plot: &mut egui_plot::PlotUi<'_>, trace: &TrainChartSeries, drawing: &PlotSpec<'_>, t: &ThemeTokens) {
    let colour = colour(trace, drawing.by_run, t);
    let style = style(trace, drawing.by_run);
    if trace.level {
        if let Some(y) = trace.value.and_then(|value| place(value, drawing.log)) {
            plot.hline(HLine::new("", y).stroke(Stroke::new(1.0, colour)).style(style).allow_hover(false));
        }
        return;
    }
    if !trace.band.is_empty() {
        let seen: Vec<[f64; 3]> = trace
            .band
            .iter()
            .filter_map(|[step, low, high]| {
                Some([*step, place(*low, drawing.log)?, place(*high, drawing.log)?])
            })
            .collect();
        let column = |i: usize| seen.iter().map(|row| row[i]).collect::<Vec<f64>>();
        let area = FilledArea::new("", &column(0), &column(1), &column(2));
        plot.add(area.fill_color(colour.gamma_multiply(0.2)).allow_hover(false));
    }
    if !trace.raw.is_empty() {
        let raw = PlotPoints::new(points(&trace.raw, drawing.log));
        plot.line(Line::new("", raw).color(colour.gamma_multiply(0.3)).width(1.0).allow_hover(false));
    }
    let line = points(&trace.line, drawing.log);
    let few = trace.line.len() <= 24 && !trace.band.is_empty() || line.len() == 1;
    if few {
        let dots = egui_plot::Points::new("", PlotPoints::new(line.clone()));
        plot.points(dots.radius(2.5).color(colour).allow_hover(false));
    }
    plot.line(Line::new("", PlotPoints::new(line)).color(colour).width(1.8).style(style).allow_hover(false));
}

/// A range, nearer or further around a place.
fn zoomed((low, high): (f64, f64), around: f64, factor: f64) -> (f64, f64) {
    (around - (around - low) * factor, around + (high - around) * factor)
}

/// A range moved so that it lies in another, if it fits.
fn within((low, high): (f64, f64), (first, last): (f64, f64)) -> (f64, f64) {
    let width = (high - low).min(last - first);
    let low = low.clamp(first, (last - width).max(first));
    (low, low + width)
}

/// Points that egui_plot means by its `base_step_size`.
const BASE: f64 = 8.0;

/// Round marks, some five of them, but each `apart` points from the next.
fn even(input: &GridInput, apart: f64) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let rough = ((high - low) / 5.0).max(input.base_step_size * apart / BASE);
    if !rough.is_finite() || rough <= 0.0 {
        return Vec::new();
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|s| s * power).into_iter().find(|s| *s >= rough).unwrap_or(rough);
    let first = (low / step).ceil();
    let marks = (0..12).map(|i| (first + f64::from(i)) * step).take_while(|v| *v <= high);
    marks.map(|value| GridMark { value, step_size: step }).collect()
}

/// Powers of ten, with 2 and 5 between them where there is room.
fn decades(input: &GridInput) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let parts: &[f64] = if high - low < 1.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let stride = ((high - low) / 5.0).ceil().max(1.0) as usize;
    let (from, to) = (low.floor().max(-300.0) as i32, high.ceil().min(300.0) as i32);
    let marks =
        (from..=to).step_by(stride).flat_map(|power| parts.iter().map(move |p| f64::from(power) + p.log10()));
    marks.filter(|v| (low..=high).contains(v)).map(|value| GridMark { value, step_size: 1.0 }).collect()
}

fn step_text(step: f64) -> String {
    match step {
        _ if step < 0.0 || step.fract().abs() > 1e-6 => String::new(),
        _ if step >= 1e6 => format!("{} M", short(step / 1e6)),
        _ if step >= 1e4 => format!("{} k", short(step / 1e3)),
        _ => format!("{step:.0}"),
    }
}

fn short(x: f64) -> String {
    let text = format!("{x:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A value at the axis, no longer than it has to be.
fn tick(value: f64) -> String {
    let size = value.abs();
    if size >= 1e4 {
        return words::short(value);
    }
    if size != 0.0 && size < 1e-3 {
        return format!("{value:.0e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_stays_within_what_there_is() {
        assert_eq!(within((-5.0, 5.0), (0.0, 100.0)), (0.0, 10.0));
        assert_eq!(within((95.0, 105.0), (0.0, 100.0)), (90.0, 100.0));
        assert_eq!(within((-50.0, 500.0), (0.0, 100.0)), (0.0, 100.0));
        assert_eq!(zoomed((0.0, 10.0), 4.0, 0.5), (2.0, 7.0));
    }

    #[test]
    fn marks_are_round_and_few() {
        let marks = |bounds, log: bool| {
            let input = GridInput { bounds, base_step_size: 1e-9 };
            let marks = if log { decades(&input) } else { even(&input, 84.0) };
            marks.into_iter().map(|mark| mark.value).collect::<Vec<f64>>()
        };
        assert_eq!(marks((0.0, 240.0), false), [0.0, 50.0, 100.0, 150.0, 200.0]);
        assert_eq!(marks((-0.1, 3.2), true), [0.0, 1.0, 2.0, 3.0]);
        assert!(marks((0.0, f64::NAN), false).is_empty());
        assert!(marks((-300.0, 300.0), true).len() < 10);
        let shown = [0.0, 5000.0, 20_000.0, 1_500_000.0, 0.5].map(step_text);
        assert_eq!(shown, ["0", "5000", "20 k", "1.5 M", ""]);
        assert_eq!([0.02, 1e-5, 130.0, 0.25].map(tick), ["0.02", "1e-5", "130", "0.25"]);
    }

    #[test]
    fn heights_have_air_and_a_floor_at_nought_when_it_is_near() {
        let line = |values: &[f64]| TrainChartSeries {
            line: values.iter().enumerate().map(|(i, v)| [i as f64, *v]).collect(),
            ..TrainChartSeries::default()
        };
        let of = |trace: TrainChartSeries, log| {
            heights(&PlotSpec {
                id: "",
                title: "",
                traces: &[trace],
                extent: (0.0, 1.0),
                log,
                unit: "",
                now: None,
                pointed: None,
                by_run: false,
                size: vec2(1.0, 1.0),
            })
        };
        assert_eq!(of(line(&[0.5, 5.0]), false).0, 0.0);
        assert!(of(line(&[4.5, 5.0]), false).0 > 4.0);
        let (low, high) = of(line(&[0.0, 0.1, 100.0]), true);
        assert!((-1.3..=-1.0).contains(&low) && (2.0..2.3).contains(&high), "{low} {high}");
        assert_eq!(of(line(&[]), false), (0.0, 1.0));
        let (low, high) = of(line(&[3.0, 3.0]), false);
        assert!(low < 3.0 && high > 3.0);
    }
}

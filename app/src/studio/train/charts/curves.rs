//! The curves pane: groups of charts, how they are drawn, and which runs they show.

use std::path::Path;

use dinoscope_core::train::Recipe;
use dinoscope_core::train::figures::{FigureChart, FigureGroup};
use egui::{Align, Layout, Ui, vec2};

use crate::studio::theme::{self, icons, space};
use crate::studio::train::actions::TrainAction;
use crate::studio::train::charts::{GROUPS, TrainChartAnnotation, extra};
use crate::studio::train::follow::RunList;
use crate::studio::train::plot::{self, PlotRange, PlotSpec};
use crate::studio::train::recipe_pane::fields_ui;
use crate::studio::train::state::RunView;
use crate::studio::train::traces::{self, SeriesCache, TrainSeriesOptions};
use crate::studio::train::{readout, runs_menu, words};
use crate::studio::widgets::{self, SliderScale};

/// Lowest that a plot is still read.
const LOWEST: f32 = 96.0;
/// Narrowest that a plot is still read.
const NARROWEST: f32 = 280.0;

/// What the pane keeps.
pub struct CurvesPane {
    group: FigureGroup,
    /// Which chart of the group, where there is no room for all.
    chart: usize,
    smoothing: f64,
    log: bool,
    /// What is seen of the steps; the same in all charts of a group.
    steps: Option<(f64, f64)>,
    /// What is seen of the values, by chart.
    values: Vec<Option<(f64, f64)>>,
    pointed: Option<f64>,
    smoother: SeriesCache,
}

impl Default for CurvesPane {
    fn default() -> Self {
        Self {
            group: FigureGroup::Loss,
            chart: 0,
            smoothing: 0.8,
            log: false,
            steps: None,
            values: Vec::new(),
            pointed: None,
            smoother: SeriesCache::default(),
        }
    }
}

/// What the pane shows.
pub struct CurvesPaneContext<'a> {
    /// Runs, that of the other panels first.
    pub runs: Vec<&'a RunView>,
    /// Runs of the folder of runs.
    pub shelf: &'a RunList,
    /// Folders of the runs whose curves are shown beside the first.
    pub beside: Vec<&'a Path>,
}

/// The charts of a group of which there are figures; all of them while there are none at all. A run has either the
/// terms of pre-training or those of a distillation.
fn charts(group: FigureGroup, shown: &CurvesPaneContext<'_>) -> Vec<&'static FigureChart> {
    let reported = |chart: &&FigureChart| {
        extra(chart) == TrainChartAnnotation::Schedule
            || shown.runs.iter().any(|run| chart.figures.iter().any(|c| run.history(c.key).is_some()))
    };
    let some: Vec<&FigureChart> = group.charts().filter(reported).collect();
    if some.is_empty() { group.charts().filter(|chart| !chart.rare).collect() } else { some }
}

/// Why a run never measures what a chart shows, and which field turns it on.
fn unmeasured(chart: &FigureChart, recipe: Option<&Recipe>) -> Option<String> {
    let recipe = recipe.filter(|_| chart.group == FigureGroup::Evaluation)?;
    let field = |key: &str, section: &str| format!("{} ({section})", fields_ui::label(key));
    if recipe.train.evaluate_every == 0 {
        let every = field("train.evaluate_every", "Training");
        return Some(format!("This run does not measure it: {every} is 0. Every other number turns it on."));
    }
    if chart.figures.iter().any(|figure| figure.key == "knn_top1")
        && !recipe.data.labels
        && !recipe.data.path.has_builtin()
    {
        let labels = field("data.labels", "Pictures");
        return Some(format!(
            "This run does not measure it: its pictures have no classes. {labels} turns it on."
        ));
    }
    None
}

impl CurvesPane {
    /// Draws the pane.
    pub fn ui(&mut self, ui: &mut Ui, shown: &CurvesPaneContext<'_>, actions: &mut Vec<TrainAction>) {
        let before = self.group;
        widgets::segmented(ui, "Figures", &mut self.group, &GROUPS);
        if before != self.group {
            (self.steps, self.chart) = (None, 0);
            self.values.clear();
        }
        let charts = charts(self.group, shown);
        self.values.resize(charts.len(), None);
        let columns = ((ui.available_width() / NARROWEST).floor() as usize).clamp(1, 2).min(charts.len());
        let rows = charts.len().div_ceil(columns);
        // All of them, if there is room for them below the tools.
        let each = (ui.available_height() - theme::row(ui) - space::S) / rows as f32;
        let all = each >= LOWEST + 20.0 + 2.0 * readout::LINE + space::S;
        self.tools(ui, shown, &charts, all, actions);
        if shown.runs.is_empty() {
            ui.add_space(ui.available_height() * 0.1);
            widgets::empty_state(ui, icons::CURVES, "No curves yet", "They grow while a run goes on.");
            return;
        }
        let area = ui.available_size();
        let mut pointed = None;
        if all {
            let width = (area.x - space::M * (columns - 1) as f32) / columns as f32;
            let size = vec2(width, area.y / rows as f32 - space::S);
            for row in 0..rows {
                ui.horizontal_top(|ui| {
                    ui.spacing_mut().item_spacing.x = space::M;
                    for number in (row * columns..(row + 1) * columns).take_while(|n| *n < charts.len()) {
                        ui.allocate_ui_with_layout(size, egui::Layout::top_down(egui::Align::Min), |ui| {
                            ui.set_width(size.x);
                            pointed = self.chart(ui, shown, charts[number], number, size.y).or(pointed);
                        });
                    }
                });
            }
        } else {
            let height = ui.available_height();
            let number = self.chart.min(charts.len() - 1);
            pointed = self.chart(ui, shown, charts[number], number, height);
        }
        if self.pointed != pointed {
            self.pointed = pointed;
            ui.ctx().request_repaint();
        }
    }

    /// Which chart, where there is room for one only; how curves are drawn; which runs.
    fn tools(
        &mut self,
        ui: &mut Ui,
        shown: &CurvesPaneContext<'_>,
        charts: &[&FigureChart],
        all: bool,
        actions: &mut Vec<TrainAction>,
    ) {
        ui.horizontal(|ui| {
            let inline = all && ui.available_width() >= 360.0;
            let buttons = if inline { 3 } else { 4 };
            let width = ui.available_width() - buttons as f32 * (theme::row(ui) + space::S);
            ui.allocate_ui_with_layout(vec2(width, theme::row(ui)), Layout::top_down(Align::Min), |ui| {
                ui.set_width(width);
                if inline {
                    self.smoothing(ui);
                } else if !all {
                    self.choose(ui, charts, width);
                }
            });
            if !inline {
                let button = widgets::icon_button(ui, icons::SLIDERS, "Smoothing of the curves");
                let popup = widgets::menu(&button);
                popup.close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside).show(|ui| {
                    ui.set_width(280.0);
                    self.smoothing(ui);
                });
            }
            widgets::toggle_icon(ui, icons::CURVE_UP, "Logarithmic values", &mut self.log);
            let zoomed = self.steps.is_some() || self.values.iter().any(Option::is_some);
            let whole = |ui: &mut Ui| widgets::icon_button(ui, icons::ZOOM_FIT, "Show the whole run");
            if ui.add_enabled_ui(zoomed, whole).inner.clicked() {
                self.steps = None;
                self.values.fill(None);
            }
            runs_menu::ui(ui, shown, actions);
        });
    }

    fn smoothing(&mut self, ui: &mut Ui) {
        // Schedules and single evaluations have nothing to smooth.
        let some = !matches!(self.group, FigureGroup::Schedule | FigureGroup::Evaluation);
        ui.add_enabled_ui(some, |ui| {
            let scale = SliderScale::new(0.0..=0.99).step(0.01);
            widgets::slider_row(ui, "Smoothing", &mut self.smoothing, &scale);
        });
    }

    /// One of the charts of the group.
    fn choose(&mut self, ui: &mut Ui, charts: &[&FigureChart], width: f32) {
        let title = charts.get(self.chart).map_or("", |chart| chart.title);
        let name = format!("Chart: {title}");
        let arrow = |ui: &Ui, rect: egui::Rect, _: &_, _: bool| {
            let (middle, font) = (egui::Align2::CENTER_CENTER, theme::fonts::icon(14.0));
            ui.painter().text(rect.center(), middle, icons::CARET_UP_DOWN, font, theme::tokens(ui).muted);
        };
        let shown =
            egui::ComboBox::from_id_salt("chart").selected_text(title).width(width).truncate().icon(arrow);
        let response = shown.show_ui(ui, |ui| {
            for (i, chart) in charts.iter().enumerate() {
                widgets::list_entry(ui, &mut self.chart, i, chart.title);
            }
        });
        let response = response.response;
        widgets::give_back(&response);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::accesskit::Role::ComboBox, true, &name));
    }

    /// One chart with its title and its values. The step that is pointed at in it.
    fn chart(
        &mut self,
        ui: &mut Ui,
        shown: &CurvesPaneContext<'_>,
        chart: &FigureChart,
        number: usize,
        height: f32,
    ) -> Option<f64> {
        ui.spacing_mut().item_spacing.y = space::XS;
        let extent = traces::extent(chart, &shown.runs);
        let width = ui.available_width();
        let look = TrainSeriesOptions {
            smoothing: self.smoothing,
            seen: self.steps.unwrap_or(extent),
            columns: (width.max(32.0) as usize).min(4000),
            pointed: self.pointed,
        };
        let all = traces::traces(chart, &shown.runs, &mut self.smoother, &look);
        let by_run = shown.runs.len() > 1 && chart.figures.len() == 1;
        let step = match (self.pointed, extra(chart)) {
            (Some(step), _) => format!("step {}", words::count(step.max(0.0).round() as u64)),
            (None, TrainChartAnnotation::Schedule) => "now".to_owned(),
            (None, _) => "newest".to_owned(),
        };
        let top = ui.cursor().top();
        readout::title(ui, chart.title, chart.note, &step);
        readout::ui(ui, &all, by_run, chart.unit);
        let room = height - (ui.cursor().top() - top);
        if all.iter().all(|trace| trace.line.is_empty()) {
            let why = unmeasured(chart, shown.runs.first().and_then(|run| run.recipe.as_deref()));
            let why = why.unwrap_or_else(|| "Nothing was reported yet.".to_owned());
            ui.allocate_ui(vec2(width, room.max(24.0)), |ui| widgets::hint(ui, &why));
            return None;
        }
        let mut window = PlotRange { steps: self.steps, values: self.values.get(number).copied().flatten() };
        let now = shown
            .runs
            .first()
            .filter(|_| extra(chart) == TrainChartAnnotation::Schedule)
            .map(|run| run.done as f64);
        let title = format!("{} by step", chart.title);
        let touched = plot::show(
            ui,
            &PlotSpec {
                id: chart.title,
                title: &title,
                traces: &all,
                extent,
                log: self.log,
                unit: chart.unit,
                now,
                pointed: self.pointed,
                by_run,
                size: vec2(width, room.max(48.0)),
            },
            &mut window,
        );
        self.steps = window.steps;
        if let Some(values) = self.values.get_mut(number) {
            *values = window.values;
        }
        touched.pointed
    }
}

//! What a chart draws of the runs: curves of figures, baselines and bands, thinned to what can be seen.

use std::collections::HashMap;
use std::path::PathBuf;

use dinoscope_core::eval::Accuracy;
use dinoscope_core::train::figures::FigureChart;
use dinoscope_core::train::schedule::TrainSchedules;

use crate::studio::train::charts::{TrainChartAnnotation, extra};
use crate::studio::train::plot_data::{MetricHistory, thin};
use crate::studio::train::state::RunView;

/// One line of a chart.
#[derive(Clone, Debug, Default)]
pub struct TrainChartSeries {
    /// What it is called.
    pub label: String,
    /// Which run it belongs to, 0 for the one that the other panels show.
    pub run: usize,
    /// Which curve of the chart it is.
    pub curve: usize,
    /// As it was reported; empty where the smoothed line says all.
    pub raw: Vec<[f64; 2]>,
    /// Smoothed.
    pub line: Vec<[f64; 2]>,
    /// Below and above: step, low, high.
    pub band: Vec<[f64; 3]>,
    /// A level that does not change, drawn from edge to edge.
    pub level: bool,
    /// The value under the pointer, or the newest.
    pub value: Option<f64>,
}

/// How curves are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainSeriesOptions {
    /// Weight of what came before, 0 to 1.
    pub smoothing: f64,
    /// First and last step that can be seen.
    pub seen: (f64, f64),
    /// Columns of the plot.
    pub columns: usize,
    /// The step under the pointer.
    pub pointed: Option<f64>,
}

/// As much of a history as can be seen, kept until that changes.
#[derive(Default)]
struct DecimatedSeries {
    /// First and last step that can be seen, and columns of the plot.
    seen: Option<((f64, f64), usize)>,
    points: Vec<[f64; 2]>,
}

impl DecimatedSeries {
    fn of(&mut self, steps: &[f64], values: &[f64], look: &TrainSeriesOptions) -> Vec<[f64; 2]> {
        let seen = Some((look.seen, look.columns));
        if self.seen != seen {
            *self = Self { seen, points: thin(steps, values, look.seen, look.columns) };
        }
        self.points.clone()
    }
}

/// What is drawn of a history, kept until it changes.
#[derive(Default)]
struct SeriesCacheEntry {
    /// Version and length of the history.
    of: (u64, usize),
    raw: DecimatedSeries,
    /// Weight of what came before, smoothed values, and the line through them.
    smooth: Option<(f64, Vec<f64>, DecimatedSeries)>,
}

impl SeriesCacheEntry {
    fn raw(&mut self, history: &MetricHistory, look: &TrainSeriesOptions) -> Vec<[f64; 2]> {
        self.raw.of(history.steps(), history.values(), look)
    }

    fn smooth(&mut self, history: &MetricHistory, weight: f64, look: &TrainSeriesOptions) -> Vec<[f64; 2]> {
        let (_, values, line) = match self.smooth.take_if(|(kept, ..)| *kept == weight) {
            Some(kept) => self.smooth.insert(kept),
            None => self.smooth.insert((weight, history.smoothed(weight), DecimatedSeries::default())),
        };
        line.of(history.steps(), values, look)
    }
}

/// What is drawn of all histories.
#[derive(Default)]
pub struct SeriesCache {
    kept: HashMap<(PathBuf, &'static str), SeriesCacheEntry>,
}

impl SeriesCache {
    fn of(&mut self, run: &RunView, metric: &'static str, history: &MetricHistory) -> &mut SeriesCacheEntry {
        // Two hundred curves are many; then they are smoothed anew.
        if self.kept.len() > 200 {
            self.kept.clear();
        }
        let of = (history.version(), history.len());
        let kept = self.kept.entry((run.folder.clone(), metric)).or_default();
        if kept.of != of {
            *kept = SeriesCacheEntry { of, ..SeriesCacheEntry::default() };
        }
        kept
    }
}

/// Fewer figures than this are not smoothed: there is nothing to see through.
const FEW: usize = 8;

/// All lines of a chart. The first of the runs is the one that the other panels show.
pub fn traces(
    chart: &FigureChart,
    runs: &[&RunView],
    smoother: &mut SeriesCache,
    look: &TrainSeriesOptions,
) -> Vec<TrainChartSeries> {
    let mut all = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        for (curve, about) in chart.figures.iter().enumerate() {
            let label = match (chart.figures.len(), runs.len()) {
                (_, 1) => about.label.to_owned(),
                (1, _) => run.name.clone(),
                (_, _) if number == 0 => about.label.to_owned(),
                // The colour says which curve.
                (_, _) => run.name.clone(),
            };
            let base = TrainChartSeries { label, run: number, curve, ..TrainChartSeries::default() };
            let trace = match extra(chart) {
                TrainChartAnnotation::Schedule => {
                    run.schedules.as_ref().map(|s| schedule(s, run, about.key, base, look))
                }
                _ => measured(chart, run, about.key, base, smoother, look),
            };
            all.extend(trace);
        }
        if number == 0 {
            levels(chart, run, &mut all);
        }
    }
    // Curves of one kind beside each other.
    all.sort_by_key(|trace| (trace.curve, trace.run));
    all
}

fn measured(
    chart: &FigureChart,
    run: &RunView,
    metric: &'static str,
    base: TrainChartSeries,
    smoother: &mut SeriesCache,
    look: &TrainSeriesOptions,
) -> Option<TrainChartSeries> {
    let history = run.history(metric)?;
    let by = |mut points: Vec<[f64; 2]>| {
        points.iter_mut().for_each(|p| p[1] *= chart.factor);
        points
    };
    let drawn = smoother.of(run, metric, history);
    let raw = by(drawn.raw(history, look));
    let smoothing = if extra(chart) == TrainChartAnnotation::Accuracy || history.len() < FEW {
        0.0
    } else {
        look.smoothing
    };
    let at = |values: &[f64]| match look.pointed {
        Some(step) => history.nearest(step).and_then(|i| values.get(i).copied()),
        None => history.last(),
    };
    let mut trace = base;
    if smoothing > 0.0 {
        trace.line = by(drawn.smooth(history, smoothing, look));
        // Beside others the raw values of a run would only be in the way.
        trace.raw = if trace.run == 0 { raw } else { Vec::new() };
    } else {
        trace.line = raw;
    }
    trace.value = at(history.values()).map(|value| value * chart.factor);
    if extra(chart) == TrainChartAnnotation::Accuracy {
        trace.band = band(run, accuracy_name(metric), chart.factor);
    }
    Some(trace)
}

/// What the figures of an accuracy begin with: `knn` of `knn_top1`.
fn accuracy_name(metric: &str) -> &str {
    metric.strip_suffix("_top1").unwrap_or(metric)
}

/// The 95 % interval of every evaluation.
fn band(run: &RunView, name: &str, factor: f64) -> Vec<[f64; 3]> {
    let [correct, total] = ["correct", "total"].map(|what| run.history(&format!("{name}_{what}")));
    let (Some(correct), Some(total)) = (correct, total) else { return Vec::new() };
    let interval = |((step, correct), total): ((&f64, &f64), &f64)| {
        let (low, high) = Accuracy { correct: *correct as usize, total: *total as usize }.wilson95();
        [*step, factor * low, factor * high]
    };
    correct.steps().iter().zip(correct.values()).zip(total.values()).map(interval).collect()
}

/// What does not change through the run.
fn levels(chart: &FigureChart, run: &RunView, all: &mut Vec<TrainChartSeries>) {
    let mut add = |label: &str, value: Option<f64>| {
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        let curve = chart.figures.len() + all.iter().filter(|trace| trace.level).count();
        let level = TrainChartSeries {
            label: label.to_owned(),
            curve,
            level: true,
            value: Some(value),
            ..TrainChartSeries::default()
        };
        all.push(level);
    };
    match extra(chart) {
        TrainChartAnnotation::Accuracy => {
            let first =
                |name: &str| run.history(name).and_then(MetricHistory::first).map(|v| v * chart.factor);
            let key = chart.figures.first().map_or("", |figure| figure.key);
            add("Raw pixels", first(&format!("{}_raw_pixels_top1", accuracy_name(key))));
            let before = run.history(key).filter(|h| h.steps().first() == Some(&0.0));
            let began = if run.begins_with_weights() { "As it began" } else { "Untrained" };
            add(began, before.and_then(MetricHistory::first).map(|v| v * chart.factor));
        }
        TrainChartAnnotation::LargestEntropy => {
            add("Largest, ln K", run.recipe.as_ref().map(|r| (r.head.prototypes as f64).ln()));
        }
        TrainChartAnnotation::Nothing | TrainChartAnnotation::Schedule => {}
    }
}

/// A scheduled value over the steps that can be seen, also those to come.
fn schedule(
    schedules: &TrainSchedules,
    run: &RunView,
    metric: &str,
    base: TrainChartSeries,
    look: &TrainSeriesOptions,
) -> TrainChartSeries {
    let at = |step: f64| {
        let now = schedules.at(step as u64);
        match metric {
            "lr" => now.lr,
            "last_layer_lr" => now.last_layer_lr,
            "weight_decay" => now.weight_decay,
            "momentum" => now.momentum,
            _ => now.teacher_temperature,
        }
    };
    let total = run.total as f64;
    let (first, last) = (look.seen.0.max(0.0).floor(), look.seen.1.min(total - 1.0).ceil());
    let stride = ((last - first) / look.columns.max(1) as f64).max(1.0);
    let mut line = Vec::with_capacity(look.columns + 2);
    let mut step = first;
    while step < last {
        line.push([step, at(step.round())]);
        step += stride;
    }
    if last >= first {
        line.push([last, at(last)]);
    }
    let pointed = look.pointed.unwrap_or(run.done as f64).clamp(0.0, (total - 1.0).max(0.0));
    TrainChartSeries { line, value: (total > 0.0).then(|| at(pointed.round())), ..base }
}

/// First and last step of everything that a chart shows of the runs.
pub fn extent(chart: &FigureChart, runs: &[&RunView]) -> (f64, f64) {
    let ends = runs.iter().flat_map(|run| {
        let planned = (extra(chart) == TrainChartAnnotation::Schedule).then_some(run.total as f64);
        let seen = chart.figures.iter().filter_map(|curve| run.history(curve.key));
        planned.into_iter().chain(seen.filter_map(|history| history.steps().last().copied()))
    });
    (0.0, ends.fold(1.0, f64::max))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use dinoscope_core::train::Recipe;
    use dinoscope_core::train::run::MetricsLine;

    use super::*;
    use crate::studio::train::state::RunPhase;
    use dinoscope_core::train::figures::FigureGroup;

    fn run(name: &str, steps: u64) -> RunView {
        let mut run = RunView::new(Path::new(name), RunPhase::Running);
        run.set_recipe(Recipe::preset("nano").unwrap());
        for i in 0..steps {
            let values = [("loss", i as f64), ("teacher_entropy", 1.0), ("student_entropy", 2.0)];
            let values = values.iter().map(|(k, v)| ((*k).to_owned(), Some(*v))).collect();
            run.take_line(&MetricsLine { iteration: i, values });
        }
        run
    }

    fn look(pointed: Option<f64>) -> TrainSeriesOptions {
        TrainSeriesOptions { smoothing: 0.9, seen: (0.0, 100.0), columns: 200, pointed }
    }

    #[test]
    fn a_chart_has_the_lines_of_its_runs_and_its_levels() {
        let (a, b) = (run("a", 100), run("b", 50));
        let entropy = FigureGroup::Health.charts().next().unwrap();
        let mut smoother = SeriesCache::default();
        let alone = traces(entropy, &[&a], &mut smoother, &look(None));
        let labels: Vec<&str> = alone.iter().map(|trace| trace.label.as_str()).collect();
        assert_eq!(labels, ["Teacher", "Student", "Largest, ln K"]);
        assert!((alone[2].value.unwrap() - 128f64.ln()).abs() < 1e-12);
        let loss = FigureGroup::Loss.charts().next().unwrap();
        let both = traces(loss, &[&a, &b], &mut smoother, &look(Some(9.6)));
        assert_eq!((both[0].label.as_str(), both[1].label.as_str()), ("a", "b"));
        // Step 10 is the tenth figure, 9.
        assert_eq!((both[0].value, both[1].value), (Some(9.0), Some(9.0)));
        assert!(both[0].raw.len() == 100 && both[1].raw.is_empty(), "one run's noise is enough");
        assert_eq!(extent(loss, &[&b, &a]), (0.0, 100.0));
        // Smoothed values follow their history.
        let longer = run("a", 120);
        assert_eq!(traces(loss, &[&longer], &mut smoother, &look(None))[0].line.len(), 101);
    }

    #[test]
    fn what_is_kept_is_of_this_view_and_this_weight() {
        let (run, mut kept) = (run("a", 100), SeriesCache::default());
        let loss = FigureGroup::Loss.charts().next().unwrap();
        let drawn = |look: &TrainSeriesOptions, smoother: &mut SeriesCache| {
            let all = traces(loss, &[&run], smoother, look);
            (all[0].raw.clone(), all[0].line.clone())
        };
        let usual = look(None);
        let others = [
            usual,
            TrainSeriesOptions { seen: (10.0, 20.0), ..usual },
            TrainSeriesOptions { columns: 7, ..usual },
            TrainSeriesOptions { smoothing: 0.5, ..usual },
            TrainSeriesOptions { smoothing: 0.0, ..usual },
            usual,
        ];
        for look in others {
            assert_eq!(drawn(&look, &mut kept), drawn(&look, &mut SeriesCache::default()), "{look:?}");
        }
    }

    #[test]
    fn crops_that_are_found_again_have_their_interval_and_what_they_are_beside() {
        let mut run = run("a", 0);
        let weights = ["start.weights=starter".to_owned()];
        for (began, pairs) in [("Untrained", &weights[..0]), ("As it began", &weights)] {
            run.set_recipe(Recipe::preset("nano").unwrap().with_overrides(pairs).unwrap());
            for (iteration, correct) in [(0, 30.0), (40, 60.0)] {
                let values =
                    [("crops_top1", correct / 90.0), ("crops_correct", correct), ("crops_total", 90.0)];
                let raw = [("crops_raw_pixels_top1", 0.1)];
                let values = values.iter().chain(&raw).map(|(k, v)| ((*k).to_owned(), Some(*v))).collect();
                run.take_line(&MetricsLine { iteration, values });
            }
            let chart =
                FigureGroup::Evaluation.charts().find(|chart| chart.title == "Crop retrieval").unwrap();
            let all = traces(chart, &[&run], &mut SeriesCache::default(), &look(None));
            let labels: Vec<&str> = all.iter().map(|trace| trace.label.as_str()).collect();
            assert_eq!(labels, ["Model", "Raw pixels", began]);
            assert_eq!(all[0].band.len(), 2);
            assert!(all[0].band[1][1] < 66.7 && all[0].band[1][2] > 66.6, "{:?}", all[0].band);
            assert_eq!((all[1].value, all[2].value.map(f64::round)), (Some(10.0), Some(33.0)));
            run.go_back(0);
            run.histories.clear();
        }
    }

    #[test]
    fn schedules_are_drawn_to_the_end_of_the_run() {
        let run = run("a", 3);
        let rate = FigureGroup::Schedule.charts().next().unwrap();
        assert_eq!(extent(rate, &[&run]), (0.0, 240.0));
        let seen = TrainSeriesOptions { seen: (0.0, 240.0), ..look(Some(0.0)) };
        let all = traces(rate, &[&run], &mut SeriesCache::default(), &seen);
        assert_eq!((all[0].value, all[0].line.first().unwrap()[1]), (Some(0.0), 0.0));
        assert_eq!(all[0].line.last().unwrap()[0], 239.0);
        let peak = all[0].line.iter().map(|p| p[1]).fold(0.0, f64::max);
        assert!((peak - run.recipe.as_ref().unwrap().peak_lr()).abs() < 1e-9);
    }
}

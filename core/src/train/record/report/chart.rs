//! Curves as inline SVG: the lines stretch with the page, the text around them stays text.
//!
//! The drawing has 1000 × 1000 units and no fixed proportions; labels are HTML placed in per cent.
//! The script behind the page reads values back from the coordinates, so nothing is stored twice.

use std::fmt::Write;

use super::format::{count, escape, number};
use super::{ReportAxisScale, ReportSeries};

/// Columns into which a long series is gathered; each keeps its smallest and largest value.
const COLUMNS: usize = 300;
/// Series with fewer points are drawn as they are, without a smoothed line.
const SMOOTH_FROM: usize = 40;

/// One figure with all series that share it.
pub(super) fn figure(title: &str, series: &[&ReportSeries], (first, last): (u64, u64)) -> String {
    let axis = ReportChartAxis::new(series);
    let x = |step: u64| 1000.0 * (step - first) as f64 / (last - first).max(1) as f64;
    let (mut faint, mut strong, mut keys) = (String::new(), String::new(), String::new());
    for (i, s) in series.iter().enumerate() {
        let smooth = smoothed(&s.points, axis.log);
        let style = i.min(3);
        let line = if smooth.is_empty() { &s.points } else { &smooth };
        if !smooth.is_empty() {
            let _ = write!(faint, "<path class=\"raw s{style}\" d=\"{}\"/>", path(&s.points, &axis, &x));
        }
        let name = escape(&s.name);
        // The first series is drawn last, over the others.
        let d = path(line, &axis, &x);
        strong = format!("<path class=\"line s{style}\" data-name=\"{name}\" d=\"{d}\"/>{strong}");
        let value = line.iter().rev().find(|(_, v)| v.is_finite()).map_or(f64::NAN, |(_, v)| *v);
        let swatch =
            if series.len() > 1 { format!("<i class=\"s{style}\"></i>{name} ") } else { String::new() };
        let _ = write!(keys, "<span>{swatch}<b>{}</b></span>", with_unit(value, &s.unit));
    }
    let mut grid = String::new();
    let mut labels = String::new();
    for tick in axis.ticks() {
        if let Some(y) = axis.place(tick) {
            let _ = write!(grid, "<path class=\"grid\" d=\"M0 {y:.1}H1000\"/>");
            let _ = write!(labels, "<span style=\"top:{:.1}%\">{}</span>", y / 10.0, number(tick));
        }
    }
    let heading = escape(title);
    let note = series.iter().map(|s| s.note.as_str()).find(|n| !n.is_empty()).unwrap_or("");
    let note =
        if note.is_empty() { String::new() } else { format!("<p class=\"note\">{}</p>", escape(note)) };
    let log = if axis.log { " <small>log</small>" } else { "" };
    let unit = escape(series.first().map_or("", |s| &s.unit));
    format!(
        "<figure class=\"chart\"><figcaption><h3>{heading}{log}</h3><div class=\"keys\">{keys}</div></figcaption>\
         <div class=\"plot\"><div class=\"ys\">{labels}</div>\
         <div class=\"area\" data-x=\"{first} {last}\" data-y=\"{} {}\" data-log=\"{}\" data-unit=\"{unit}\">\
         <svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{heading} by step\">\
         {grid}{faint}{strong}</svg></div>\
         <div class=\"xs\"><span>{}</span><span>{} steps</span></div></div>{note}</figure>",
        axis.lo,
        axis.hi,
        u8::from(axis.log),
        count(first),
        count(last),
    )
}

/// A value with its unit, escaped.
pub(super) fn with_unit(value: f64, unit: &str) -> String {
    if unit.is_empty() { number(value) } else { format!("{} {}", number(value), escape(unit)) }
}

/// Metrics come from f32; what is outside could only overflow the arithmetic of the axes.
const LARGEST: f64 = 1e100;
const SMALLEST: f64 = 1e-100;

fn drawable(value: f64) -> bool {
    value.is_finite() && value.abs() < LARGEST
}

/// Height of values; `lo` is at the bottom.
struct ReportChartAxis {
    lo: f64,
    hi: f64,
    log: bool,
}

impl ReportChartAxis {
    fn new(series: &[&ReportSeries]) -> Self {
        let values = || series.iter().flat_map(|s| &s.points).map(|p| p.1).filter(|v| drawable(*v));
        let (lo, hi) = range(values());
        let (positive, _) = range(values().filter(|v| *v > SMALLEST));
        let log = match series.first().map_or(ReportAxisScale::Auto, |s| s.scale) {
            ReportAxisScale::Linear => false,
            ReportAxisScale::Log => positive.is_finite(),
            ReportAxisScale::Auto => lo > 0.0 && hi / lo > 100.0,
        };
        if log {
            // A little air, in decades.
            let air = ((hi / positive).log10() * 0.05).max(0.05);
            return Self { lo: positive * 10f64.powf(-air), hi: hi * 10f64.powf(air), log };
        }
        if !lo.is_finite() {
            return Self { lo: 0.0, hi: 1.0, log };
        }
        // A flat line runs through the middle, with a range that suits its size.
        let span = if hi > lo { (hi - lo) * 0.06 } else { (hi.abs() * 0.1).max(f64::MIN_POSITIVE.sqrt()) };
        // Zero is a floor worth seeing when it is near.
        let floor = if lo >= 0.0 && lo < 0.3 * hi { 0.0 } else { lo - span };
        Self { lo: floor, hi: hi + span, log }
    }

    /// From the top, 0 to 1000; `None` for what can't be drawn.
    fn place(&self, value: f64) -> Option<f64> {
        let share = if self.log {
            (value / self.lo).ln() / (self.hi / self.lo).ln()
        } else {
            (value - self.lo) / (self.hi - self.lo)
        };
        let fits = drawable(value) && share.is_finite() && (!self.log || value > SMALLEST);
        fits.then(|| 1000.0 - 1000.0 * share.clamp(0.0, 1.0))
    }

    /// Three to six round values.
    fn ticks(&self) -> Vec<f64> {
        if self.log {
            let decades = (self.hi / self.lo).log10();
            let first = self.lo.log10().floor() as i32;
            let last = self.hi.log10().ceil() as i32;
            let stride = (decades / 4.0).ceil().max(1.0) as usize;
            let steps: &[f64] = if decades < 1.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
            return (first..=last)
                .step_by(stride)
                .flat_map(|power| steps.iter().map(move |s| s * 10f64.powi(power)))
                .filter(|t| (self.lo..=self.hi).contains(t))
                .collect();
        }
        let rough = (self.hi - self.lo) / 4.0;
        let power = 10f64.powf(rough.log10().floor());
        let Some(step) = [1.0, 2.0, 2.5, 5.0, 10.0].map(|s| s * power).into_iter().find(|s| *s >= rough)
        else {
            return Vec::new();
        };
        let first = (self.lo / step).ceil() as i64;
        (0..8).map(|i| (first + i) as f64 * step).take_while(|t| *t <= self.hi).collect()
    }
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)))
}

/// SVG path data; values that are not finite leave gaps, single points become dots.
fn path(points: &[(u64, f64)], axis: &ReportChartAxis, x: &dyn Fn(u64) -> f64) -> String {
    let mut out = String::new();
    let mut pen = false;
    for (step, value) in thinned(points) {
        match axis.place(value) {
            Some(y) => {
                // The zero-length line makes a dot of a point that stays alone.
                let _ = if pen {
                    write!(out, "L{:.1} {y:.1}", x(step))
                } else {
                    write!(out, "M{:.1} {y:.1}h0", x(step))
                };
                pen = true;
            }
            None => pen = false,
        }
    }
    out
}

/// At most two points a column, the smallest and the largest, and a gap where there was one.
fn thinned(points: &[(u64, f64)]) -> Vec<(u64, f64)> {
    if points.len() <= 2 * COLUMNS {
        return points.to_vec();
    }
    let mut out = Vec::with_capacity(3 * COLUMNS);
    for column in 0..COLUMNS {
        let part = &points[column * points.len() / COLUMNS..(column + 1) * points.len() / COLUMNS];
        let finite = || part.iter().copied().filter(|p| p.1.is_finite());
        let lo = finite().reduce(|a, b| if b.1 < a.1 { b } else { a });
        let hi = finite().reduce(|a, b| if b.1 > a.1 { b } else { a });
        let mut pair: Vec<(u64, f64)> = lo.into_iter().chain(hi).collect();
        pair.sort_by_key(|p| p.0);
        pair.dedup();
        out.extend(pair);
        out.extend(part.iter().find(|p| !p.1.is_finite()));
    }
    // The last value is the one that counts.
    if let Some(last) = points.last() {
        out.extend((out.last() != Some(last)).then_some(*last));
    }
    out.sort_by_key(|p| p.0);
    out
}

/// The mean of exponential averages from both sides, which lags behind neither; empty where
/// smoothing would hide nothing.
///
/// On a logarithmic axis logarithms are averaged, so that the line runs through the middle of what is seen.
fn smoothed(points: &[(u64, f64)], log: bool) -> Vec<(u64, f64)> {
    // A curve that changes direction all the time is noisy; a schedule is not.
    let turns = points.windows(3).filter(|w| (w[1].1 - w[0].1) * (w[2].1 - w[1].1) < 0.0).count();
    if points.len() < SMOOTH_FROM || turns * 10 < points.len() {
        return Vec::new();
    }
    let keep = 1.0 - 1.0 / (points.len() as f64 / 80.0).max(3.0);
    let seen = |value: f64| if log { value.ln() } else { value };
    // Sum and weight of the values up to each place, so that the start pulls nowhere.
    let pass = |values: &mut dyn Iterator<Item = f64>| -> Vec<(f64, f64)> {
        let mut state = (0.0, 0.0);
        values
            .map(|value| {
                if seen(value).is_finite() {
                    state = (keep * state.0 + seen(value), keep * state.1 + 1.0);
                }
                state
            })
            .collect()
    };
    let before = pass(&mut points.iter().map(|p| p.1));
    let mut after = pass(&mut points.iter().rev().map(|p| p.1));
    after.reverse();
    points
        .iter()
        .zip(before.iter().zip(&after))
        .map(|((step, value), (a, b))| {
            if !seen(*value).is_finite() {
                return (*step, f64::NAN);
            }
            // The value itself is in both.
            let mean = (a.0 + b.0 - seen(*value)) / (a.1 + b.1 - 1.0);
            (*step, if log { mean.exp() } else { mean })
        })
        .collect()
}

/// The course of a series without axes, for a card.
pub(super) fn sparkline(series: &ReportSeries) -> String {
    let axis = ReportChartAxis::new(&[series]);
    let smooth = smoothed(&series.points, axis.log);
    let line = if smooth.is_empty() { &series.points } else { &smooth };
    let (Some((first, _)), Some((last, _))) = (line.first(), line.last()) else { return String::new() };
    let x = |step: u64| 1000.0 * (step - first) as f64 / (last - first).max(1) as f64;
    format!(
        "<div class=\"area spark\"><svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <path class=\"line s0\" d=\"{}\"/></svg></div>",
        path(line, &axis, &x)
    )
}

/// What a noisy series says at its end: the last smoothed value, or the last one.
pub(super) fn final_smoothed_value(series: &ReportSeries) -> Option<f64> {
    let smooth = smoothed(&series.points, false);
    let line = if smooth.is_empty() { &series.points } else { &smooth };
    line.iter().rev().map(|p| p.1).find(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: Vec<(u64, f64)>) -> ReportSeries {
        ReportSeries { name: "x".into(), points, ..ReportSeries::default() }
    }

    #[test]
    fn gaps_and_dots() {
        let s =
            series(vec![(0, 1.0), (1, 2.0), (2, f64::NAN), (3, 1.5), (4, f64::INFINITY), (5, 1.0), (6, 1.0)]);
        let axis = ReportChartAxis::new(&[&s]);
        let d = path(&s.points, &axis, &|step| step as f64);
        assert_eq!(d.matches('M').count(), 3, "{d}");
        assert!(!d.contains("NaN") && !d.contains("inf"));
    }

    #[test]
    fn awkward_ranges() {
        for points in [
            vec![],
            vec![(5, f64::NAN)],
            vec![(0, 0.0), (1, 0.0)],
            vec![(7, 3.0)],
            vec![(0, -1e300), (1, 1e300)],
            vec![(0, 1e-300), (1, 1e300)],
            vec![(0, 1e17), (1, 1e17 + 32.0)],
        ] {
            for scale in [ReportAxisScale::Linear, ReportAxisScale::Log, ReportAxisScale::Auto] {
                let s = ReportSeries { scale, ..series(points.clone()) };
                let html = figure("t", &[&s], (0, 7));
                assert!(!html.contains("NaN") && !html.contains("inf"), "{points:?} {scale:?}: {html}");
                assert!(ReportChartAxis::new(&[&s]).ticks().len() < 12);
            }
        }
    }

    #[test]
    fn ticks_are_round_and_few() {
        let ticks = |lo, hi, log| ReportChartAxis { lo, hi, log }.ticks();
        assert_eq!(ticks(0.0, 1.06, false), [0.0, 0.5, 1.0]);
        assert_eq!(ticks(-3.0, 11.0, false), [0.0, 5.0, 10.0]);
        assert_eq!(ticks(0.9e-4, 1.1e-1, true).len(), 4);
        assert_eq!(ticks(0.8, 6.0, true), [1.0, 2.0, 5.0]);
    }

    #[test]
    fn thinning_keeps_peaks_gaps_and_the_end() {
        let mut points: Vec<(u64, f64)> = (0..100_000).map(|i| (i, (i as f64 * 0.01).sin())).collect();
        points[5000].1 = 50.0;
        points[70_000].1 = f64::NAN;
        let thin = thinned(&points);
        assert!(thin.len() <= 3 * COLUMNS + 1);
        assert!(thin.contains(&(5000, 50.0)) && thin.iter().any(|p| p.1.is_nan()));
        assert!(thin.is_sorted_by_key(|p| p.0) && thin.last() == points.last());
    }

    #[test]
    fn smoothing_is_for_noise() {
        let smooth = |points: Vec<(u64, f64)>| {
            let s = series(points);
            smoothed(&s.points, false)
        };
        assert!(smooth((0..500).map(|i| (i, i as f64)).collect()).is_empty());
        let noisy = smooth((0..500).map(|i| (i, 5.0 + if i % 2 == 0 { 1.0 } else { -1.0 })).collect());
        assert!((noisy[499].1 - 5.0).abs() < 0.1);
    }
}

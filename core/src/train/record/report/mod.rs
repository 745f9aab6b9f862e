//! The report of a run: one HTML file that opens anywhere, with its pictures and curves inside.
//!
//! Nothing is loaded from elsewhere and nothing needs a script; a short one adds values under the
//! pointer. Every text that comes from outside is escaped.

mod catalogue;
mod change;
mod chart;
mod format;

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::eval::Accuracy;
use crate::train::figures::FigureGroup;
pub use change::ReportChange;
pub(in crate::train) use format::escape;
use format::{count, number, percent};

const CSS: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("hover.js");

/// Frames of one label that a page can show before it grows too heavy; more are thinned evenly.
const FILM_FRAMES: usize = 8;

/// Width of the page's content, in which a film takes at most [`FILM_ROWS`] rows.
const PAGE_WIDTH: usize = 1120;
const FILM_ROWS: usize = 2;

/// How values become heights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportAxisScale {
    /// Logarithmic for positive values that span more than two decades, else linear.
    #[default]
    Auto,
    /// Evenly.
    Linear,
    /// By powers of ten; what is not positive is left out.
    Log,
}

/// A curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportSeries {
    /// What it is called; the title of its chart when it has one of its own.
    pub name: String,
    /// Series of one group with the same chart share it; empty for a chart of its own.
    pub chart: String,
    /// The part of the page.
    pub group: FigureGroup,
    /// Behind values; may be empty.
    pub unit: String,
    /// One sentence under the chart; may be empty.
    pub note: String,
    /// How values become heights; the first series of a chart decides.
    pub scale: ReportAxisScale,
    /// Step and value, in rising order of steps. Values that are not finite leave gaps.
    pub points: Vec<(u64, f64)>,
}

/// A picture from the course of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelapseFrame {
    /// Steps done.
    pub iteration: u64,
    /// What it shows; frames with the same label make one strip.
    pub label: String,
    /// The bytes of a PNG file.
    pub png: Vec<u8>,
}

/// One line of a comparison by k-NN, or by crops that are found again.
#[derive(Clone, Debug, PartialEq)]
pub struct KnnRow {
    /// Whose features, for instance "trained", "untrained", "raw pixels".
    pub name: String,
    /// How many pictures were right.
    pub accuracy: Accuracy,
    /// The line that the report is about.
    pub highlighted: bool,
}

/// How a sentence about the run is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictLevel {
    /// All is well.
    Fine,
    /// Worth a look.
    Watch,
    /// The run went wrong.
    Wrong,
}

/// Everything that the report shows. Parts that are empty are left out.
#[derive(Clone, Debug)]
pub struct RunReport<'a> {
    /// Name of the run.
    pub title: &'a str,
    /// The health of the run in a sentence.
    pub verdict: Option<(VerdictLevel, &'a str)>,
    /// Name and value: device, data, steps, duration, model.
    pub facts: &'a [(String, String)],
    /// All curves.
    pub series: &'a [ReportSeries],
    /// PCA and attention of the watched pictures.
    pub film: &'a [TimelapseFrame],
    /// Accuracy of these and other features on the same pictures.
    pub knn: &'a [KnnRow],
    /// How the accuracy was measured, in a sentence; may be empty.
    pub knn_note: &'a str,
    /// How often crops of one picture find each other, by these and other features.
    pub crops: &'a [KnnRow],
    /// How that was measured, in a sentence; may be empty.
    pub crops_note: &'a str,
    /// The first moment beside the newest.
    pub change: Option<&'a ReportChange>,
    /// Every value of the recipe.
    pub recipe_toml: &'a str,
    /// What went wrong on the way, in order.
    pub warnings: &'a [String],
}

impl RunReport<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let title = escape(self.title);
        let change = self.change.map_or(String::new(), ReportChange::html);
        let parts =
            [self.header(), self.cards(), change, self.film(), self.curves(), self.warnings(), self.recipe()];
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\">\
             <title>{title} · Dinoscope</title>\n<style>\n{CSS}</style></head>\n<body><main>\n{}\
             </main>\n<script>\n{SCRIPT}</script></body></html>\n",
            parts.concat()
        )
    }

    fn header(&self) -> String {
        // Nine patches, three of them one object.
        let mark: String = (0..9)
            .map(|i| {
                let object = if [1, 3, 4].contains(&i) { " class=\"on\"" } else { "" };
                format!(
                    "<rect{object} x=\"{}\" y=\"{}\" width=\"6\" height=\"6\" rx=\"1.5\"/>",
                    i % 3 * 8,
                    i / 3 * 8
                )
            })
            .collect();
        let mut out = format!(
            "<header><p class=\"brand\"><svg viewBox=\"0 0 22 22\" aria-hidden=\"true\">{mark}</svg>\
             Dinoscope <span>training report</span></p><h1>{}</h1>",
            escape(self.title)
        );
        if let Some((tone, text)) = self.verdict {
            let class = match tone {
                VerdictLevel::Fine => "fine",
                VerdictLevel::Watch => "watch",
                VerdictLevel::Wrong => "wrong",
            };
            let _ = write!(out, "<p class=\"verdict {class}\">{}</p>", escape(text));
        }
        if !self.facts.is_empty() {
            out.push_str("<dl class=\"facts\">");
            for (name, value) in self.facts {
                let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value));
            }
            out.push_str("</dl>");
        }
        out + "</header>\n"
    }

    fn cards(&self) -> String {
        let mut out = accuracy_card("k-NN accuracy", self.knn, self.knn_note, "test pictures");
        out += &accuracy_card("Crop retrieval", self.crops, self.crops_note, "pictures");
        let mut card = |label: &str, value: String, note: String, series: &ReportSeries| {
            let _ = write!(
                out,
                "<div class=\"card\"><h2>{label}</h2><p class=\"value\">{value}</p><p class=\"note\">{note}</p>{}</div>",
                chart::sparkline(series),
            );
        };
        let of_group = |group| self.series.iter().find(|s| s.group == group);
        if let Some(loss) = of_group(FigureGroup::Loss)
            && let Some(last) = chart::final_smoothed_value(loss)
        {
            let first = loss.points.iter().find(|p| p.1.is_finite()).map_or(f64::NAN, |p| p.1);
            card("Final loss", number(last), format!("from {} at the start", number(first)), loss);
        }
        if let Some(speed) = of_group(FigureGroup::Speed) {
            let mut values: Vec<f64> = speed.points.iter().map(|p| p.1).filter(|v| v.is_finite()).collect();
            values.sort_by(f64::total_cmp);
            if let Some(median) = values.get(values.len() / 2) {
                card(&escape(&speed.name), number(*median), "median over the run".to_owned(), speed);
            }
        }
        if out.is_empty() { out } else { format!("<section class=\"cards\">{out}</section>\n") }
    }

    fn film(&self) -> String {
        let mut labels: Vec<&str> = Vec::new();
        for frame in self.film {
            if !labels.contains(&frame.label.as_str()) {
                labels.push(&frame.label);
            }
        }
        let mut out = String::new();
        for label in labels {
            let mut frames: Vec<&TimelapseFrame> = self.film.iter().filter(|f| f.label == label).collect();
            frames.sort_by_key(|f| f.iteration);
            let _ = write!(out, "<h3>{}</h3><div class=\"film\">", escape(label));
            let frames = evenly(&frames, FILM_FRAMES);
            let height = frame_height(&frames);
            for frame in frames {
                let _ = write!(
                    out,
                    "<figure><img style=\"height:{height}px\" alt=\"{} at step {}\" src=\"data:image/png;base64,{}\">\
                     <figcaption>step {}</figcaption></figure>",
                    escape(label),
                    frame.iteration,
                    BASE64.encode(&frame.png),
                    count(frame.iteration),
                );
            }
            out.push_str("</div>");
        }
        section(
            "Features forming",
            "Colours are three principal components, aligned from step to step.",
            &out,
        )
    }

    fn curves(&self) -> String {
        let steps = || self.series.iter().flat_map(|s| &s.points).map(|p| p.0);
        let span = (steps().min().unwrap_or(0), steps().max().unwrap_or(0));
        let sections: [(&str, &[FigureGroup]); 3] = [
            ("Learning", &[FigureGroup::Loss, FigureGroup::Evaluation]),
            ("Health", &[FigureGroup::Health]),
            ("Schedules and speed", &[FigureGroup::Schedule, FigureGroup::Speed]),
        ];
        let mut out = String::new();
        for (title, groups) in sections {
            let mut charts: Vec<(&str, Vec<&ReportSeries>)> = Vec::new();
            let of = |group: FigureGroup| self.series.iter().filter(move |s| s.group == group);
            for s in groups.iter().copied().flat_map(of).filter(|s| !s.points.is_empty()) {
                match charts.iter_mut().find(|(name, _)| !s.chart.is_empty() && *name == s.chart) {
                    Some((_, shared)) => shared.push(s),
                    None => charts.push((if s.chart.is_empty() { &s.name } else { &s.chart }, vec![s])),
                }
            }
            let figures: String = charts.iter().map(|(name, s)| chart::figure(name, s, span)).collect();
            let body =
                if figures.is_empty() { figures } else { format!("<div class=\"charts\">{figures}</div>") };
            out += &section(title, "", &body);
        }
        out
    }

    fn warnings(&self) -> String {
        let items: String = self.warnings.iter().map(|w| format!("<li>{}</li>", escape(w))).collect();
        let body = if items.is_empty() { items } else { format!("<ul class=\"warnings\">{items}</ul>") };
        section("Warnings", "", &body)
    }

    fn recipe(&self) -> String {
        if self.recipe_toml.is_empty() {
            return String::new();
        }
        let toml = escape(self.recipe_toml);
        format!("<section><details><summary>Recipe</summary><pre>{toml}</pre></details></section>\n")
    }
}

/// Accuracies below each other, that of the run large.
fn accuracy_card(title: &str, all: &[KnnRow], note: &str, of: &str) -> String {
    if all.is_empty() {
        return String::new();
    }
    let main = all.iter().find(|r| r.highlighted).unwrap_or(&all[0]);
    // Room for the widest interval, in steps of ten per cent.
    let top = all.iter().map(|r| r.accuracy.wilson95().1).fold(0.1, f64::max);
    let top = ((top * 10.0).ceil() / 10.0).min(1.0);
    let mut rows = String::new();
    for row in all {
        let (lo, hi) = row.accuracy.wilson95();
        let class = if row == main { "row on" } else { "row" };
        let at = |share: f64| 100.0 * share / top;
        let _ = write!(
            rows,
            "<div class=\"{class}\"><span class=\"name\">{}</span>\
                 <span class=\"track\"><i class=\"bar\" style=\"width:{:.2}%\"></i>\
                 <i class=\"interval\" style=\"left:{:.2}%;width:{:.2}%\"></i></span>\
                 <span class=\"number\">{}</span><small>{} – {}</small></div>",
            escape(&row.name),
            at(row.accuracy.value()),
            at(lo),
            at(hi - lo),
            percent(row.accuracy.value()),
            percent(lo).trim_end_matches(" %"),
            percent(hi),
        );
    }
    let note = if note.is_empty() { String::new() } else { format!("{} ", escape(note)) };
    format!(
        "<div class=\"card wide\"><h2>{title}</h2><p class=\"value\">{}</p>{rows}\
             <p class=\"note\">{note}Bars end at {:.0} %; lines and small numbers are 95 % intervals for {} {of}.</p></div>",
        percent(main.accuracy.value()),
        100.0 * top,
        count(main.accuracy.total as u64),
    )
}

/// A part of the page with its heading; nothing where there is nothing to show.
fn section(title: &str, note: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    let note = if note.is_empty() { String::new() } else { format!("<p class=\"note\">{note}</p>") };
    format!("<section><h2>{title}</h2>{note}{body}</section>\n")
}

/// At most `most` items, the first and the last among them.
fn evenly<T: Copy>(items: &[T], most: usize) -> Vec<T> {
    if items.len() <= most {
        return items.to_vec();
    }
    (0..most).map(|i| items[i * (items.len() - 1) / (most - 1)]).collect()
}

/// Pixels for each frame such that all are in sight, the last as well as the first: large where they are few.
fn frame_height(frames: &[&TimelapseFrame]) -> usize {
    let sizes = || frames.iter().filter_map(|f| png_size(&f.png)).filter(|(_, height)| *height > 0);
    let widest = sizes().map(|(width, height)| f64::from(width) / f64::from(height)).fold(0.25, f64::max);
    let fits = |height: &usize| {
        let per_row = (PAGE_WIDTH + 8) / ((widest * *height as f64) as usize + 8);
        per_row * FILM_ROWS >= frames.len()
    };
    (96..=320).rev().find(fits).unwrap_or(96)
}

/// Width and height from the head of a PNG file.
fn png_size(png: &[u8]) -> Option<(u32, u32)> {
    let word = |at: usize| png.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    (png.get(12..16)? == b"IHDR").then(|| Some((word(16)?, word(20)?))).flatten()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

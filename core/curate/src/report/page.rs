//! The page: one HTML file with all that it shows inside, light and dark, without a script. Every text that comes from outside
//! is escaped.

use std::fmt::Write;

use super::counts::{GroupCount, StepCounts};
use super::examples::{ExampleGroup, ExamplePicture};
use super::histogram::CurationHistogram;
use super::thumbnails::PageThumbnails;
use crate::CurationStep;

const CSS: &str = include_str!("page.css");

/// Text that HTML shows as it is, in elements and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters have no place in HTML, not even escaped.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A whole number with its thousands apart.
pub fn whole(value: usize) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && digits.len() > 4 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    out
}

fn percent(part: usize, all: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / all.max(1) as f64)
}

/// What a step says on the page.
pub struct StepSection {
    /// Its counts.
    pub counts: StepCounts,
    /// Its examples.
    pub examples: Vec<ExampleGroup>,
}

/// All that the page shows.
pub struct CurationPage<'a> {
    /// The name of the folder.
    pub title: &'a str,
    /// How pictures were embedded.
    pub made: &'a str,
    /// Pictures of the heap, and those of them that can be used.
    pub pictures: (usize, usize),
    /// In their order.
    pub steps: &'a [StepSection],
    /// Of all pictures, and those that stay in the end.
    pub measures: &'a [CurationHistogram],
    /// What is not on the page, and why.
    pub warnings: &'a [String],
}

impl CurationPage<'_> {
    /// The file.
    pub fn html(&self, thumbnails: &mut PageThumbnails) -> String {
        let title = escape(self.title);
        let mut body = format!(
            "<header><p class=\"brand\">Dinoscope<span>curation report</span></p><h1>{title}</h1><p class=\"lead\">{}</p>",
            self.lead()
        );
        for warning in self.warnings {
            let _ = write!(body, "<p class=\"warning\">{}</p>", escape(warning));
        }
        body += &self.flow();
        body += "</header>\n";
        for step in self.steps {
            body += &section(step, thumbnails);
        }
        let charts: String = self.measures.iter().filter(|m| !m.is_empty()).map(histogram).collect();
        if !charts.is_empty() {
            let _ = writeln!(
                body,
                "<section><h2>Before and after</h2><p class=\"note\">All pictures that can be used, and those that stay in the \
                 end.</p><div class=\"charts\">{charts}</div></section>"
            );
        }
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\">\
             <title>{title} · Dinoscope</title>\n<style>\n{CSS}</style></head>\n<body><main>\n{body}</main></body></html>\n"
        )
    }

    fn lead(&self) -> String {
        let (all, usable) = self.pictures;
        let kept = self.steps.last().map_or(usable, |step| step.counts.after);
        let lost = all - usable;
        let lost = if lost > 0 { format!(", of which {} can't be read", whole(lost)) } else { String::new() };
        format!(
            "{} of {} pictures stay{lost}. Nothing was deleted. {}.",
            whole(kept),
            whole(all),
            escape(&sentence(self.made))
        )
    }

    /// How many there were after each step.
    fn flow(&self) -> String {
        let (all, usable) = self.pictures;
        let mut rows = vec![("embed", usable, all)];
        rows.extend(
            self.steps.iter().map(|step| (step.counts.step.name(), step.counts.after, step.counts.before)),
        );
        let row = |(name, after, before): (&str, usize, usize)| {
            let share = |count: usize| 100.0 * count as f64 / all.max(1) as f64;
            format!(
                "<div><span>{name}</span><span class=\"track\"><i style=\"width:{:.2}%\"></i><i class=\"on\" \
                 style=\"width:{:.2}%\"></i></span><b>{}</b><small>{} left out</small></div>",
                share(before),
                share(after),
                whole(after),
                whole(before - after)
            )
        };
        format!("<div class=\"flow\">{}</div>", rows.into_iter().map(row).collect::<String>())
    }
}

/// A sentence begins with a capital.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn section(step: &StepSection, thumbnails: &mut PageThumbnails) -> String {
    let counts = &step.counts;
    let (title, words) = match counts.step {
        CurationStep::Quality => ("Quality", "Pictures that are too small, too long, blurred or dark."),
        CurationStep::Copies => ("Copies", "One picture of each component stays."),
        CurationStep::Retrieve => ("Retrieval", "Pictures that resemble those of the queries."),
        CurationStep::Balance => ("Balance", "Clusters of clusters each give their share."),
    };
    let bounds: Vec<String> =
        counts.settings.iter().map(|(name, value)| format!("{} {value}", name.replace('_', " "))).collect();
    let bounds = if bounds.is_empty() { String::new() } else { format!(" With {}.", bounds.join(", ")) };
    let mut out = format!("<section><h2>{title}</h2><p class=\"note\">{words}{}</p>", escape(&bounds));
    let mut reasons: Vec<(&String, &usize)> = counts.reasons.iter().collect();
    reasons.sort_by_key(|(why, count)| (std::cmp::Reverse(**count), (*why).clone()));
    let rows: String = reasons
        .into_iter()
        .map(|(why, count)| {
            let share = percent(*count, counts.before);
            format!("<div><span>{}</span><b>{}</b><small>{share}</small></div>", escape(why), whole(*count))
        })
        .collect();
    if !rows.is_empty() {
        let _ =
            write!(out, "<h3 class=\"examples\">Left out because</h3><div class=\"reasons\">{rows}</div>");
    }
    let mut charts = String::new();
    if !counts.similarity.is_empty() {
        charts += &histogram(&counts.similarity);
    }
    let components = counts.largest_components();
    if counts.step == CurationStep::Copies && !components.is_empty() {
        charts += &sizes("Sizes of components", components.iter().map(|(_, count)| *count));
    }
    for (name, groups) in [
        ("finest clusters", &counts.finest),
        ("coarsest clusters", &counts.coarsest),
        ("classes", &counts.labels),
    ] {
        // One that holds all has nothing to share.
        if groups.len() > 1 {
            charts += &shares(name, groups.values());
        }
    }
    if !charts.is_empty() {
        let _ = write!(out, "<div class=\"charts\">{charts}</div>");
    }
    for group in &step.examples {
        let _ = write!(out, "<h3 class=\"examples\">{}</h3><div class=\"groups\">", escape(&group.title));
        for pictures in group.pictures.iter().filter(|pictures| !pictures.is_empty()) {
            let class = if pictures.len() == 2 { "group pair" } else { "group" };
            let figures: String = pictures.iter().map(|picture| figure(picture, thumbnails)).collect();
            let _ = write!(out, "<div class=\"{class}\">{figures}</div>");
        }
        out += "</div>";
    }
    out + "</section>\n"
}

fn figure(picture: &ExamplePicture, thumbnails: &mut PageThumbnails) -> String {
    let key = escape(&picture.key);
    let shown = match thumbnails.address(&picture.key) {
        Some(address) => format!("<img alt=\"{key}\" title=\"{key}\" src=\"{address}\">"),
        None => format!("<span title=\"{key}\">not there</span>"),
    };
    let class = if picture.stays { "" } else { " class=\"left\"" };
    format!("<figure{class}>{shown}<figcaption>{}</figcaption></figure>", escape(&picture.caption))
}

/// Bars of all pictures, and before them those of the ones that stay.
fn histogram(histogram: &CurationHistogram) -> String {
    let bins = histogram.before.len();
    let top = histogram.before.iter().copied().max().unwrap_or(1).max(1) as f64;
    let mut bars = String::new();
    for (class, counts) in [("", &histogram.before), (" class=\"on\"", &histogram.after)] {
        for (i, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            // What there is little of is still seen.
            let height = (1000.0 * *count as f64 / top).max(6.0);
            let (x, width) = (1000.0 * i as f64 / bins as f64, 1000.0 / bins as f64);
            let _ = write!(
                bars,
                "<rect{class} x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                x + 0.05 * width,
                1000.0 - height,
                0.9 * width
            );
        }
    }
    let mut keys = "<span><i></i>before</span><span><i class=\"on\"></i>after</span>".to_owned();
    if let Some(bound) = histogram.bound {
        let x = 1000.0 * histogram.place(bound);
        let _ = write!(bars, "<path class=\"bound\" d=\"M{x:.1} 0V1000\"/>");
        let _ = write!(keys, "<span><i class=\"bound\"></i>bound {}</span>", short(bound));
    }
    let labels: String = [0.0, 0.25, 0.5, 0.75, 1.0]
        .map(|place: f32| {
            format!("<span style=\"left:{:.0}%\">{}</span>", 100.0 * place, short(histogram.value(place)))
        })
        .concat();
    let note = format!("{} Highest: {} pictures.", histogram.note, whole(top as usize));
    chart(histogram.title, &bars, &labels, &keys, &note)
}

fn chart(title: &str, drawn: &str, labels: &str, keys: &str, note: &str) -> String {
    format!(
        "<div class=\"chart\"><h3>{title}</h3><svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{title}\"><path class=\"axis\" d=\"M0 1000H1000\"/>{drawn}</svg><div class=\"xs\">{labels}</div>\
         <div class=\"keys\">{keys}</div><p class=\"note\">{}</p></div>",
        escape(note)
    )
}

/// A number in three digits or so.
fn short(value: f32) -> String {
    let text = if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// How many groups there are of each size: 2, 3 to 4, 5 to 8 and so on.
fn sizes(title: &str, all: impl Iterator<Item = usize>) -> String {
    let mut counts: Vec<usize> = Vec::new();
    for size in all {
        let class = size.max(2).next_power_of_two().trailing_zeros() as usize - 1;
        counts.resize(counts.len().max(class + 1), 0);
        counts[class] += 1;
    }
    let top = counts.iter().copied().max().unwrap_or(1).max(1);
    // A few wide bars would say more than they know.
    let places = counts.len().max(6) as f64;
    let (mut bars, mut labels) = (String::new(), String::new());
    for (i, count) in counts.iter().enumerate() {
        let (x, width) = (1000.0 * i as f64 / places, 1000.0 / places);
        let height = if *count > 0 { (1000.0 * *count as f64 / top as f64).max(6.0) } else { 0.0 };
        let _ = write!(
            bars,
            "<rect class=\"on\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            x + 0.1 * width,
            1000.0 - height,
            0.8 * width
        );
        let (from, to) = ((1 << i) + 1, 1usize << (i + 1));
        let name = if from == to { to.to_string() } else { format!("{from}–{to}") };
        let left = (x + width / 2.0) / 10.0;
        let _ = write!(labels, "<span style=\"left:{left:.1}%;transform:translateX(-50%)\">{name}</span>");
    }
    chart(
        title,
        &bars,
        &labels,
        "",
        &format!("Components by how many pictures they have. Highest: {}.", whole(top)),
    )
}

/// Which share of all pictures the largest groups hold together, before and after.
fn shares<'a>(name: &str, groups: impl Iterator<Item = &'a GroupCount>) -> String {
    let groups: Vec<GroupCount> = groups.copied().collect();
    let curve = |of: fn(&GroupCount) -> usize| {
        let mut counts: Vec<usize> = groups.iter().map(of).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let all = counts.iter().sum::<usize>().max(1) as f64;
        // As many points as can be seen.
        let stride = counts.len().div_ceil(200).max(1);
        let (mut sum, mut path) = (0usize, "M0 1000".to_owned());
        for (i, count) in counts.iter().enumerate() {
            sum += count;
            if (i + 1) % stride == 0 || i + 1 == counts.len() {
                let (x, y) =
                    (1000.0 * (i + 1) as f64 / counts.len() as f64, 1000.0 - 1000.0 * sum as f64 / all);
                let _ = write!(path, "L{x:.1} {y:.1}");
            }
        }
        path
    };
    let drawn = format!(
        "<path class=\"axis\" d=\"M0 1000L1000 0\"/><path class=\"before\" d=\"{}\"/><path d=\"{}\"/>",
        curve(|group| group.before),
        curve(|group| group.after)
    );
    let labels = "<span style=\"left:0%\">the largest</span><span style=\"left:100%\">all</span>";
    let keys = "<span>dashed: before</span><span>line: after</span><span>diagonal: all alike</span>";
    let ends = |of: fn(&GroupCount) -> usize| {
        let counts = groups.iter().map(of);
        (counts.clone().max().unwrap_or(0), counts.min().unwrap_or(0))
    };
    let (before, after) = (ends(|group| group.before), ends(|group| group.after));
    let note = format!(
        "{} {name}. The largest held {} pictures and gives {}, the smallest {} and {}.",
        whole(groups.len()),
        whole(before.0),
        whole(after.0),
        whole(before.1),
        whole(after.1)
    );
    chart(&format!("Share of pictures in the {name}"), &drawn, labels, keys, &note)
}

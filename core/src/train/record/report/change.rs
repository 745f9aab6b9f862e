//! The part of the report that shows a run's first moment beside its newest.

use std::fmt::Write;

use base64::Engine;

use super::{BASE64, escape, png_size, section};
use crate::train::improvement::{AccuracyChange, ChangeVerdict, percent};

/// Widest that one of two or three pictures beside each other is shown, in pixels of the page.
const WIDEST: u32 = 436;

/// A picture with what it shows: the bytes of a PNG file.
pub type CaptionedPng = (String, Vec<u8>);

/// What a run has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportChange {
    /// Whether it made the features better, in plain words; of a run that goes on from weights.
    pub sentence: Option<String>,
    /// Figures of before and after, each with its name.
    pub figures: Vec<(String, AccuracyChange)>,
    /// Pictures beside each other under a title: before, and after.
    pub pairs: Vec<(String, Vec<CaptionedPng>)>,
}

impl ReportChange {
    /// Its part of the page.
    pub(super) fn html(&self) -> String {
        let mut out = String::new();
        if let Some(sentence) = &self.sentence {
            let is_better = self.figures.first().is_some_and(|(_, c)| c.verdict() == ChangeVerdict::Better);
            let class = if is_better { "fine" } else { "watch" };
            let _ = write!(out, "<p class=\"verdict {class}\">{}</p>", escape(sentence));
        }
        if !self.figures.is_empty() {
            out.push_str("<dl class=\"facts\">");
            for (name, change) in &self.figures {
                let _ = write!(
                    out,
                    "<div><dt>{}</dt><dd>{} → {}</dd></div>",
                    escape(name),
                    percent(change.before),
                    percent(change.after)
                );
            }
            out.push_str("</dl>");
        }
        for (title, pictures) in &self.pairs {
            let _ = write!(out, "<h3>{}</h3><div class=\"film\">", escape(title));
            let each = (super::PAGE_WIDTH / pictures.len().max(1)).saturating_sub(8) as u32;
            for (caption, png) in pictures {
                let width = png_size(png).map_or(WIDEST, |(width, _)| width).min(WIDEST).min(each);
                let _ = write!(
                    out,
                    "<figure><img style=\"width:{width}px\" alt=\"{title}, {caption}\" \
                     src=\"data:image/png;base64,{}\"><figcaption>{caption}</figcaption></figure>",
                    BASE64.encode(png),
                    title = escape(title),
                    caption = escape(caption),
                );
            }
            out.push_str("</div>");
        }
        section("Before and after", "Figures with their 95 % intervals.", &out)
    }
}

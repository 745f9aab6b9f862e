//! Progress of long work: a bar on a terminal, now and then a line elsewhere, nothing beside JSON.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::cli::device_note;
use crate::cli::terminal::{self, note, warning};
use indicatif::{ProgressBar, ProgressStyle};

/// Where progress goes.
pub enum CliProgress {
    /// A bar with rate, time left and a message.
    Bar(ProgressBar),
    /// Lines, not more than one every few seconds.
    Lines {
        /// Steps in all.
        total: u64,
        /// When the last line was written.
        last: Option<Instant>,
    },
    /// Nothing: someone reads JSON.
    Silent,
}

const BETWEEN_LINES: Duration = Duration::from_secs(5);

impl CliProgress {
    /// Progress over `total` of `unit`.
    pub fn new(total: u64, unit: &str, json: bool) -> Self {
        // Now something is done, and takes a while.
        device_note::say();
        if json || !terminal::shows_notes() {
            return Self::Silent;
        }
        // What libraries have to say would tear a bar apart.
        if !std::io::stderr().is_terminal() || terminal::is_verbose() {
            return Self::Lines { total, last: None };
        }
        let bar = ProgressBar::new(total);
        let colours = if terminal::has_colours() { ".cyan/dim" } else { "" };
        let template = format!("{{bar:32{colours}}} {{pos}}/{{len}} {unit}  {{msg}}  {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self::Bar(bar)
    }

    /// The bar counts from here, so that its time left is right after a start in the middle.
    pub fn start_at(&mut self, position: u64) {
        if let Self::Bar(bar) = self {
            bar.set_position(position);
            bar.reset_eta();
        }
    }

    /// `position` done; `message` says how it stands.
    pub fn set(&mut self, position: u64, message: String) {
        match self {
            Self::Bar(bar) => {
                bar.set_position(position);
                bar.set_message(message);
            }
            Self::Lines { total, last } => {
                if last.is_none_or(|at| at.elapsed() >= BETWEEN_LINES) || position == *total {
                    note!("{position}/{total}  {message}");
                    *last = Some(Instant::now());
                }
            }
            Self::Silent => {}
        }
    }

    /// What is done beside the steps that are counted. Where lines are written, it is one of them if it is `news`.
    pub fn set_aside(&mut self, message: &str, news: bool) {
        match self {
            Self::Bar(bar) => bar.set_message(message.to_owned()),
            Self::Lines { last, .. } => {
                let silent = last.is_some_and(|at| at.elapsed() >= BETWEEN_LINES);
                if news || silent {
                    note!("{message}");
                    *last = Some(Instant::now());
                }
            }
            Self::Silent => {}
        }
    }

    /// A line that stays, above the bar.
    pub fn say(&self, line: &str) {
        match self {
            Self::Bar(bar) => bar.suspend(|| note!("{line}")),
            Self::Lines { .. } => note!("{line}"),
            Self::Silent => {}
        }
    }

    /// A line about what went wrong, also where no progress is shown; those who read JSON get it as an event.
    pub fn warn(&self, line: &str) {
        match self {
            Self::Bar(bar) => bar.suspend(|| warning!("{line}")),
            Self::Lines { .. } | Self::Silent => warning!("{line}"),
        }
    }

    /// Prints something else above the bar.
    pub fn aside(&self, print: impl FnOnce()) {
        match self {
            Self::Bar(bar) => bar.suspend(print),
            Self::Lines { .. } | Self::Silent => print(),
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

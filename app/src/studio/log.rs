//! What happened, newest last: a ring of lines that the whole program writes to, and the panel that shows it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock};

use ::log::{Level, LevelFilter, Log, Metadata, Record};

use super::theme::{self, icons, space};
use super::{names, widgets};

/// Lines that are kept.
const KEPT: usize = 2000;

/// One line.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// How serious it is.
    pub level: Level,
    /// Seconds since the program started.
    pub at: f64,
    /// What was said.
    pub text: String,
}

struct LogRingBuffer {
    lines: Mutex<VecDeque<LogLine>>,
    start: web_time::Instant,
}

fn ring() -> &'static LogRingBuffer {
    static RING: OnceLock<LogRingBuffer> = OnceLock::new();
    RING.get_or_init(|| LogRingBuffer { lines: Mutex::default(), start: web_time::Instant::now() })
}

/// Who else hears every line.
static ALSO: OnceLock<fn(&Record<'_>)> = OnceLock::new();

/// Has every line heard by `hear` too, those of [`QUIET`] modules as well.
pub fn also(hear: fn(&Record<'_>)) {
    let _ = ALSO.set(hear);
}

/// Modules whose news is for their own developers.
const QUIET: [&str; 8] = ["wgpu", "naga", "cubecl", "burn", "zbus", "winit", "calloop", "accesskit"];

thread_local! {
    static DIALOG_FAILED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a dialog of the system has failed in this thread since the last time one asked. What shows them says so here
/// and nowhere else: it gives the answer of a person who has changed their mind.
pub fn dialog_failed() -> bool {
    DIALOG_FAILED.take()
}

impl Log for LogRingBuffer {
    fn enabled(&self, metadata: &Metadata) -> bool {
        let quiet = QUIET.iter().any(|name| metadata.target().starts_with(name));
        metadata.level() <= if quiet { Level::Warn } else { Level::Info }
    }

    fn log(&self, record: &Record) {
        if let Some(hear) = ALSO.get() {
            hear(record);
        }
        if !self.enabled(record.metadata()) {
            return;
        }
        if record.level() == Level::Error && record.target().starts_with("rfd") {
            DIALOG_FAILED.set(true);
        }
        let at = self.start.elapsed().as_secs_f64();
        let line = LogLine {
            level: record.level(),
            at,
            text: names::known(&record.args().to_string()).into_owned(),
        };
        if let Ok(mut lines) = self.lines.lock() {
            if lines.len() == KEPT {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    }

    fn flush(&self) {}
}

/// From now on everything that is logged is kept for the panel.
pub fn listen() {
    if ::log::set_logger(ring()).is_ok() {
        ::log::set_max_level(LevelFilter::Info);
    }
}

/// Everything that is kept, oldest first.
pub fn lines() -> Vec<LogLine> {
    ring().lines.lock().map(|lines| lines.iter().cloned().collect()).unwrap_or_default()
}

/// The panel.
pub fn ui(ui: &mut egui::Ui) {
    let lines = lines();
    ui.horizontal(|ui| {
        widgets::hint(ui, &format!("{} lines", lines.len()));
        // At the left: news stands in the corner at the right.
        if widgets::icon_button(ui, icons::COPY, "Copy the log").clicked() {
            let text: String =
                lines.iter().map(|l| format!("{:9.2} {:5} {}\n", l.at, l.level, l.text)).collect();
            ui.ctx().copy_text(text);
        }
    });
    let t = theme::tokens(ui.ctx());
    let height = ui.text_style_height(&egui::TextStyle::Monospace) + space::XS;
    egui::ScrollArea::both().auto_shrink(false).stick_to_bottom(true).show_rows(
        ui,
        height,
        lines.len(),
        |ui, rows| {
            for line in &lines[rows] {
                let colour = match line.level {
                    Level::Error => t.bad,
                    Level::Warn => t.watch,
                    _ => t.muted,
                };
                let text = format!("{:9.2}  {}", line.at, line.text.replace('\n', " · "));
                let text = egui::RichText::new(text).text_style(egui::TextStyle::Monospace).color(colour);
                ui.add(egui::Label::new(text).selectable(true).wrap_mode(egui::TextWrapMode::Extend));
            }
        },
    );
}

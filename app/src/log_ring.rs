//! What happened, newest last: a ring of lines that the whole program writes to.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock};

use ::log::{Level, LevelFilter, Log, Metadata, Record};

use crate::platform::dialogs::dialog_has_failed;
use crate::platform::names;

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

/// Has every line heard by `listener` too, those of [`QUIET`] modules as well.
pub fn also(listener: fn(&Record<'_>)) {
    let _ = ALSO.set(listener);
}

/// Modules whose news is for their own developers.
const QUIET: [&str; 8] = ["wgpu", "naga", "cubecl", "burn", "zbus", "winit", "calloop", "accesskit"];

impl Log for LogRingBuffer {
    fn enabled(&self, metadata: &Metadata) -> bool {
        let quiet = QUIET.iter().any(|name| metadata.target().starts_with(name));
        metadata.level() <= if quiet { Level::Warn } else { Level::Info }
    }

    fn log(&self, record: &Record) {
        if let Some(listener) = ALSO.get() {
            listener(record);
        }
        if !self.enabled(record.metadata()) {
            return;
        }
        if record.level() == Level::Error && record.target().starts_with("rfd") {
            dialog_has_failed();
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

//! Ctrl-C for work that goes on where it was stopped.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::cli::terminal::warning;

/// Whether the person has asked to stop.
#[derive(Clone, Copy)]
pub struct StopFlag(&'static AtomicBool);

impl StopFlag {
    /// Listens from now on: the first Ctrl-C asks to stop, the second ends the program at once.
    pub fn listen() -> Result<Self> {
        static ASKED: AtomicBool = AtomicBool::new(false);
        static LISTENS: OnceLock<Result<(), String>> = OnceLock::new();
        let start = || {
            ctrlc::set_handler(|| {
                if ASKED.swap(true, Ordering::SeqCst) {
                    std::process::exit(130);
                }
                warning!("\nstopping, what is done is kept (Ctrl-C again to end at once)");
            })
            .map_err(|error| error.to_string())
        };
        LISTENS.get_or_init(start).clone().map_err(anyhow::Error::msg).context("can't listen for Ctrl-C")?;
        Ok(Self(&ASKED))
    }

    /// Whether to stop.
    pub fn is_set(self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

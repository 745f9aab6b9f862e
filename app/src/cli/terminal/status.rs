//! How the program ends, as a number for the shell and as lines for what could not be done.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::terminal::{out, warning};

/// How a command ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum CliExitStatus {
    /// All of it is done.
    #[default]
    Done = 0,
    /// Something failed that the person can't help.
    Fault = 1,
    /// The person can mend it by asking for something else.
    Mistake = 2,
    /// Some of it is done; what is not was named.
    Partly = 3,
    /// It was stopped before its end, and what was done is kept. (128 and the number of the signal, as shells have it.)
    Interrupted = 130,
}

impl From<()> for CliExitStatus {
    fn from((): ()) -> Self {
        Self::Done
    }
}

impl From<CliExitStatus> for ExitCode {
    fn from(status: CliExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Inputs that could not be used. Each is said at once: on standard error, and as a JSON object where those are read.
#[derive(Debug)]
pub struct FailedInputs {
    count: usize,
    json: bool,
}

impl FailedInputs {
    /// None so far; `json` where a program reads the output.
    pub fn new(json: bool) -> Self {
        Self { count: 0, json }
    }

    /// Says that `input` could not be used, and why. The reason names the input where it has to.
    pub fn add(&mut self, input: &str, reason: &str) {
        self.count += 1;
        let named = reason.contains(input);
        if named {
            warning!("left out: {reason}");
        } else {
            warning!("left out: {input}: {reason}");
        }
        if self.json {
            out!("{}", json!({ "event": "failed", "input": input, "reason": reason }));
        }
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.count
    }

    /// [`CliExitStatus::Partly`] when there were some.
    pub fn status(&self) -> CliExitStatus {
        if self.count > 0 { CliExitStatus::Partly } else { CliExitStatus::Done }
    }
}

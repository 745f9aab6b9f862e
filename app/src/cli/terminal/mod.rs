//! What is written on the terminal: results on standard output, everything else on standard error.
//!
//! A reader that goes away (`| head -1`) or a full disk must never end the program by a panic: the standard library's
//! print macros do, so they are forbidden here (`clippy.toml`) and these take their place.

pub(super) mod device_note;
pub(super) mod history;
pub(super) mod interrupt;
pub(super) mod json;
pub(super) mod progress;
pub(super) mod runtime_folder;
pub(super) mod status;

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// How much is said beside the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Verbosity {
    /// Results, and what went wrong.
    Quiet,
    /// Progress and notes as well.
    Usual,
    /// Also what the libraries below have to say.
    Verbose,
}

static VERBOSITY: AtomicU8 = AtomicU8::new(Verbosity::Usual as u8);
static WORK_GOES_ON: AtomicBool = AtomicBool::new(false);
static READER_GONE: AtomicBool = AtomicBool::new(false);
static OUTPUT_FAILED: AtomicBool = AtomicBool::new(false);

/// Sets how much is said, for the whole program.
pub fn set_verbosity(verbosity: Verbosity) {
    VERBOSITY.store(verbosity as u8, Ordering::Relaxed);
}

/// Whether notes and progress are shown.
pub fn shows_notes() -> bool {
    VERBOSITY.load(Ordering::Relaxed) >= Verbosity::Usual as u8
}

/// Whether everything is said that can be.
pub fn is_verbose() -> bool {
    VERBOSITY.load(Ordering::Relaxed) >= Verbosity::Verbose as u8
}

/// Whether standard error may be coloured: not where `NO_COLOR` says anything (<https://no-color.org>).
pub fn has_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|said| said.is_empty())
}

/// A line of the log, for `--verbose`.
pub fn write_log(record: &log::Record<'_>) {
    let level = record.level().as_str().to_lowercase();
    write_error(format_args!("{level}: {}: {}\n", record.target(), record.args()));
}

/// From here on the work is worth more than what is printed of it: it goes on when nobody can read that any more.
///
/// Without this a command ends, quietly when its reader has seen enough, with an error when the output can't be kept.
pub fn ignore_output_errors() {
    WORK_GOES_ON.store(true, Ordering::Relaxed);
}

/// Whether results that were printed are lost for another reason than that their reader has gone.
pub fn output_failed() -> bool {
    OUTPUT_FAILED.load(Ordering::Relaxed)
}

/// Writes to standard output; see [`out!`].
pub fn write_out(text: fmt::Arguments<'_>) {
    if READER_GONE.load(Ordering::Relaxed) || OUTPUT_FAILED.load(Ordering::Relaxed) {
        return;
    }
    let mut stdout = io::stdout().lock();
    let Err(error) = stdout.write_fmt(text).and_then(|()| stdout.flush()) else { return };
    drop(stdout);
    lost(&error);
}

/// Standard output can't be written to: ends the command, unless the work goes on without.
pub fn lost(error: &io::Error) {
    let reader_gone = error.kind() == ErrorKind::BrokenPipe;
    let lost = if reader_gone { &READER_GONE } else { &OUTPUT_FAILED };
    lost.store(true, Ordering::Relaxed);
    if WORK_GOES_ON.load(Ordering::Relaxed) {
        write_error(format_args!("standard output is lost ({error}): going on without it\n"));
    } else if reader_gone {
        std::process::exit(0);
    } else {
        write_error(format_args!("dinoscope: can't write to standard output: {error}\n"));
        std::process::exit(1);
    }
}

/// Writes to standard error, where it can be written to.
pub fn write_error(text: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// A line of the result, on standard output.
macro_rules! out {
    () => { $crate::cli::terminal::write_out(format_args!("\n")) };
    ($($text:tt)+) => { $crate::cli::terminal::write_out(format_args!("{}\n", format_args!($($text)+))) };
}

/// A part of a line of the result, on standard output.
macro_rules! out_part {
    ($($text:tt)+) => { $crate::cli::terminal::write_out(format_args!($($text)+)) };
}

/// A line that may be worth knowing, on standard error; not with `--quiet`.
macro_rules! note {
    ($($text:tt)+) => {
        if $crate::cli::terminal::shows_notes() {
            $crate::cli::terminal::write_error(format_args!("{}\n", format_args!($($text)+)))
        }
    };
}

/// A line about what went wrong, on standard error, always.
macro_rules! warning {
    ($($text:tt)+) => { $crate::cli::terminal::write_error(format_args!("{}\n", format_args!($($text)+))) };
}

pub(crate) use {note, out, out_part, warning};

//! `metrics.jsonl`, line by line: read as a stream, since a long run's is larger than memory should be, and kept byte for
//! byte.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::files::{self, File};
use crate::train::metrics::Values;
use crate::train::run::{RunError, io, unused};

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricsLine {
    /// The step, counted from 0, that the figures belong to; for evaluations the steps done.
    pub iteration: u64,
    /// Figures by name. A figure that is not finite is written as null.
    #[serde(flatten)]
    pub values: std::collections::BTreeMap<String, Option<f64>>,
}

impl MetricsLine {
    /// A line for some figures.
    pub fn new(iteration: u64, values: &Values) -> Self {
        let finite = |v: &f64| v.is_finite().then_some(*v);
        Self { iteration, values: values.iter().map(|(k, v)| (k.clone(), finite(v))).collect() }
    }

    /// A line as it was written; `None` for anything else.
    ///
    /// Numbers are those that were written, to the last bit.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<IgnoredAny>(bytes).ok()?;
        let mut rest = std::str::from_utf8(bytes).ok()?.trim().strip_prefix('{')?;
        let mut line = Self { iteration: 0, values: std::collections::BTreeMap::new() };
        let mut numbered = false;
        // It is known to be JSON: only what kind of value stands where is left to be seen.
        while !rest.trim_start().starts_with('}') {
            let (name, after) = name(rest.trim_start().trim_start_matches(',').trim_start())?;
            let after = after.trim_start().strip_prefix(':')?.trim_start();
            let end = after.find([',', '}', ' ', '\t', '\r', '\n'])?;
            let (value, after) = after.split_at(end);
            rest = after;
            if name == "iteration" {
                line.iteration = value.parse().ok()?;
                numbered = true;
                continue;
            }
            // The standard library's numbers are exact, serde_json's are not.
            let value = if value == "null" { None } else { Some(value.parse().ok()?) };
            line.values.insert(name, value);
        }
        numbered.then_some(line)
    }

    /// Whether it belongs to what was done in the first `iteration` steps: step lines carry the step's own number,
    /// evaluations the number of steps done.
    pub fn is_within(&self, iteration: u64) -> bool {
        self.iteration < iteration || (self.iteration == iteration && !self.is_step())
    }

    /// Whether these are figures of a step.
    pub fn is_step(&self) -> bool {
        self.values.contains_key("loss")
    }
}

/// The string that JSON begins with, and what follows it.
fn name(json: &str) -> Option<(String, &str)> {
    let mut escaped = false;
    let end = json.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    let (quoted, rest) = json.split_at(end?.0 + 1);
    Some((serde_json::from_str(quoted).ok()?, rest))
}

/// Lines are shorter than this; what is longer is none of ours.
const LONGEST: u64 = 1 << 20;

/// A line of a file, whatever is in it.
struct RawLine<'a> {
    /// All of it, with its end.
    bytes: &'a [u8],
    /// Whether it has an end, and is no longer than lines are.
    whole: bool,
}

/// Reads a file line by line.
struct RawLineReader {
    reader: BufReader<File>,
    bytes: Vec<u8>,
}

impl RawLineReader {
    /// `None` where there is no file.
    fn open(file: &Path) -> std::io::Result<Option<Self>> {
        match File::open(file) {
            Ok(file) => Ok(Some(Self { reader: BufReader::with_capacity(1 << 16, file), bytes: Vec::new() })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn next(&mut self) -> std::io::Result<Option<RawLine<'_>>> {
        self.bytes.clear();
        let read = self.reader.by_ref().take(LONGEST).read_until(b'\n', &mut self.bytes)?;
        if read == 0 {
            return Ok(None);
        }
        let whole = self.bytes.last() == Some(&b'\n');
        if !whole && read as u64 == LONGEST {
            self.skip()?;
        }
        Ok(Some(RawLine { bytes: &self.bytes, whole }))
    }

    /// Passes over the rest of a line.
    fn skip(&mut self) -> std::io::Result<()> {
        loop {
            let seen = self.reader.fill_buf()?;
            let end = seen.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let (length, over) = (end.unwrap_or(seen.len()), end.is_some() || seen.is_empty());
            self.reader.consume(length);
            if over {
                return Ok(());
            }
        }
    }
}

/// Calls `each` for every line of a file that can be read. Without a file there are none.
///
/// # Errors
/// When the file can't be read.
pub(in crate::train) fn each(file: &Path, mut each: impl FnMut(MetricsLine)) -> Result<(), RunError> {
    let read = |error| io("read", file)(error);
    let Some(mut lines) = RawLineReader::open(file).map_err(read)? else { return Ok(()) };
    while let Some(raw) = lines.next().map_err(read)? {
        if let Some(line) = MetricsLine::parse(raw.bytes) {
            each(line);
        }
    }
    Ok(())
}

/// What [`rewind`] found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::train) struct RewindIssues {
    /// Lines that could not be kept: how many, and the first of them, counted from 1.
    pub damaged: usize,
    /// See above.
    pub first: usize,
    /// Where the file lies as it was.
    pub kept_as: Option<PathBuf>,
    /// Steps without figures at the end, the first and the last of them.
    pub gap: Option<(u64, u64)>,
}

impl RewindIssues {
    /// In sentences.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if let (Some(kept_as), 1..) = (&self.kept_as, self.damaged) {
            let (what, verb) = if self.damaged == 1 { ("line", "is") } else { ("lines", "are") };
            sentences.push(format!(
                "{} {what} of metrics.jsonl {verb} damaged or out of order (the first is line {}) and left out; the \
                 file as it was is kept as {}",
                self.damaged,
                self.first,
                kept_as.display()
            ));
        }
        if let Some((from, to)) = self.gap {
            sentences.push(format!("metrics.jsonl holds no figures of the steps {from} to {to}"));
        }
        sentences
    }
}

/// Takes out of `file` what came after `iteration` steps, and what can't be read. The rest stays as it is, byte for byte;
/// a file with nothing to take out is not written at all. Where something was damaged a copy of the file is kept.
/// Reports that are further apart than `apart` and than any that were kept are a gap.
///
/// # Errors
/// When the disk refuses.
pub(in crate::train) fn rewind(file: &Path, iteration: u64, apart: u64) -> Result<RewindIssues, RunError> {
    let mut wrong = RewindIssues::default();
    let partial = files::partial(file);
    let read = |error| io("read", file)(error);
    let write = |error| io("write", &partial)(error);
    let mut reports = ReportIntervalTracker::default();
    let changed = {
        let mut out = BufWriter::new(File::create(&partial).map_err(write)?);
        let mut lines = RawLineReader::open(file).map_err(read)?;
        // Lines of later steps, which a run that goes on writes again, as long as no earlier one follows.
        let (mut later, mut cut, mut number) = (0, false, 0);
        while let Some(raw) = lines.as_mut().map(RawLineReader::next).transpose().map_err(read)?.flatten() {
            number += 1;
            let damaged = match MetricsLine::parse(raw.bytes) {
                Some(line) if line.is_within(iteration) => {
                    let out_of_order = std::mem::take(&mut later);
                    reports.take(&line);
                    out.write_all(raw.bytes).map_err(write)?;
                    if !raw.whole {
                        // Nothing but its end is missing.
                        out.write_all(b"\n").map_err(write)?;
                        cut = true;
                    }
                    if out_of_order > 0 && wrong.damaged == 0 {
                        wrong.first = number - out_of_order;
                    }
                    out_of_order
                }
                Some(_) => {
                    later += 1;
                    0
                }
                // A process that was killed leaves half a line at the end.
                None if !raw.whole && raw.bytes.len() < LONGEST as usize => {
                    cut = true;
                    0
                }
                None => {
                    if wrong.damaged == 0 {
                        wrong.first = number;
                    }
                    1
                }
            };
            wrong.damaged += damaged;
        }
        let changed = lines.is_none() || wrong.damaged > 0 || later > 0 || cut;
        let out = out.into_inner().map_err(|failed| write(failed.into_error()))?;
        if changed {
            out.sync_all().map_err(write)?;
        }
        changed
    };
    wrong.gap = reports.gap(iteration, apart);
    if wrong.damaged > 0 {
        wrong.kept_as = Some(keep(file)?);
    }
    match changed {
        true => {
            files::rename(&partial, file).map_err(io("rename", &partial))?;
            file.parent().into_iter().for_each(files::sync_folder);
        }
        false => files::remove_file(&partial).map_err(io("remove", &partial))?,
    }
    Ok(wrong)
}

/// Copies a file to `NAME.bak`, or with a number where there is one already.
fn keep(file: &Path) -> Result<PathBuf, RunError> {
    let free = unused(file, "bak");
    let mut from = File::open(file).map_err(io("read", file))?;
    files::fill_and_rename(&free, |out| std::io::copy(&mut from, out).map(drop))
        .map_err(io("write", &free))?;
    Ok(free)
}

/// How far apart the reports of steps are.
#[derive(Default)]
struct ReportIntervalTracker {
    last: Option<u64>,
    widest: u64,
}

impl ReportIntervalTracker {
    fn take(&mut self, line: &MetricsLine) {
        if line.is_step() {
            let apart = self.last.map_or(0, |last| line.iteration.saturating_sub(last));
            self.widest = self.widest.max(apart);
            self.last = Some(line.iteration);
        }
    }

    /// Steps before `iteration` of which there should have been a report.
    fn gap(&self, iteration: u64, apart: u64) -> Option<(u64, u64)> {
        let from = self.last.map_or(0, |last| last + 1);
        let missing = iteration.saturating_sub(from);
        (missing > 0 && missing >= apart.max(self.widest)).then(|| (from, iteration - 1))
    }
}

#[cfg(test)]
#[path = "metrics_lines_tests.rs"]
mod tests;

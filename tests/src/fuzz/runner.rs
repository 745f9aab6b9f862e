//! Hands changed files to a reader and counts what it makes of them.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use super::mutate::FuzzMutator;
use super::{FuzzReader, FuzzTarget, memory};

/// How long a target is tried, and where from.
#[derive(Clone, Debug)]
pub struct FuzzPlan {
    /// What all changes follow from.
    pub seed: u64,
    /// At most so many executions.
    pub executions: u64,
    /// At most so long.
    pub time: Option<Duration>,
}

/// An input that a reader panicked over.
#[derive(Clone, Debug)]
pub struct FuzzPanic {
    /// Which execution it was.
    pub number: u64,
    /// What the panic said.
    pub message: String,
    /// The input.
    pub input: Vec<u8>,
}

/// What came of a target.
#[derive(Clone, Debug, Default)]
pub struct FuzzTally {
    /// Inputs that were handed over.
    pub executions: u64,
    /// Those that were read in spite of their changes.
    pub read: u64,
    /// Those that a decoder of another crate panicked over, caught by us and told as damage.
    pub caught: u64,
    /// Different answers, numbers in them left out.
    pub answers: usize,
    /// Those that nobody caught, one for each message.
    pub panics: Vec<FuzzPanic>,
    /// Longest that an input took.
    pub slowest: Duration,
    /// Most memory that an input took, in bytes; 0 where nobody counts.
    pub peak: usize,
    /// How long it all took.
    pub time: Duration,
}

/// How our own code tells that a decoder panicked.
const CAUGHT: &str = "breaks down over";

/// Inputs that are kept because the reader had not answered so before.
const KEPT: usize = 256;

/// Tries a reader. `before` sees every input first, so that one that ends the whole program is known.
///
/// # Errors
/// When a valid file can't be made or is not read.
pub fn run(
    target: &FuzzTarget,
    plan: &FuzzPlan,
    folder: &Path,
    mut before: impl FnMut(u64, &[u8]),
) -> anyhow::Result<FuzzTally> {
    let mut reader = (target.open)(folder)?;
    let mut corpus = reader.corpus();
    let valid = corpus.len();
    anyhow::ensure!(valid > 0, "{} has no valid file to begin with", target.name);
    for (at, valid) in corpus.iter().enumerate() {
        let read = reader.read(valid);
        read.map_err(|error| anyhow::anyhow!("{} does not read its own file {at}: {error}", target.name))?;
    }
    let mut tally = FuzzTally::default();
    let mut answers = BTreeSet::new();
    // Where it lies is another folder each time.
    let place = folder.display().to_string();
    let start = Instant::now();
    for number in 0..plan.executions {
        if plan.time.is_some_and(|time| start.elapsed() >= time) {
            break;
        }
        let mut mutator = FuzzMutator::new(plan.seed, target.name, number);
        // Those that were kept are refused, most of them: half of the time a valid one is changed.
        let choice = if mutator.once_in(2) { valid } else { corpus.len() };
        let from = corpus[mutator.below(choice)].clone();
        let changed = mutator.change(from, &corpus, reader.words());
        let input = reader.sealed(&mut mutator, changed.clone());
        before(number, &input);
        let answer = try_once(&mut *reader, &input, &mut tally);
        tally.executions += 1;
        match answer {
            Ok(Ok(())) => tally.read += 1,
            Ok(Err(message)) => {
                tally.caught += u64::from(message.contains(CAUGHT));
                // What is new leads further.
                if answers.insert(plain(&message.replace(&place, ""))) && corpus.len() < KEPT {
                    corpus.push(changed);
                }
            }
            Err(message) => {
                if !tally.panics.iter().any(|known| plain(&known.message) == plain(&message)) {
                    tally.panics.push(FuzzPanic { number, message, input });
                }
                // It may have left the reader in the middle of something.
                reader = (target.open)(folder)?;
            }
        }
    }
    tally.answers = answers.len();
    tally.time = start.elapsed();
    Ok(tally)
}

/// One input: what the reader says, or what its panic said.
fn try_once(
    reader: &mut dyn FuzzReader,
    input: &[u8],
    tally: &mut FuzzTally,
) -> Result<Result<(), String>, String> {
    let live = memory::restart();
    let start = Instant::now();
    let answer = catch_unwind(AssertUnwindSafe(|| reader.read(input)));
    tally.slowest = tally.slowest.max(start.elapsed());
    tally.peak = tally.peak.max(memory::peak().saturating_sub(live));
    answer.map_err(|panic| said(&*panic))
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".into())
}

/// A message without its numbers and without what it quotes, so that two of a kind are the same.
fn plain(message: &str) -> String {
    let mut plain = String::new();
    let mut quoted = false;
    for c in message.chars().filter(|c| !c.is_ascii_digit()).take(400) {
        match c {
            '"' | '`' | '\'' => quoted = !quoted,
            _ if !quoted => plain.push(c),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that goes wrong where its first byte is large.
    struct BrokenReader;

    impl FuzzReader for BrokenReader {
        fn corpus(&self) -> Vec<Vec<u8>> {
            vec![vec![1; 16]]
        }

        fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
            match bytes.first() {
                Some(first) if *first > 200 => panic!("out of bounds: {first}"),
                Some(first) if *first > 100 => Err(format!("its decoder breaks down over ({first})")),
                Some(1) => Ok(()),
                _ => Err(format!("it has {} bytes", bytes.len())),
            }
        }
    }

    #[test]
    fn a_panic_is_found_once_with_its_input() {
        let target = FuzzTarget { name: "broken", reads: "nothing", open: |_| Ok(Box::new(BrokenReader)) };
        let plan = FuzzPlan { seed: 1, executions: 3000, time: None };
        let tried = |plan| run(&target, plan, Path::new("."), |_, _| {}).unwrap();
        let tally = tried(&plan);
        assert_eq!(tally.executions, 3000);
        assert_eq!(tally.panics.len(), 1, "{:?}", tally.panics);
        assert!(tally.panics[0].input[0] > 200 && tally.panics[0].message.starts_with("out of bounds"));
        assert!(tally.read > 100 && tally.caught > 0);
        assert_eq!(tally.answers, 2);
        assert_eq!(tried(&plan).panics[0].number, tally.panics[0].number);
    }

    #[test]
    fn numbers_and_quotes_make_no_other_answer() {
        assert_eq!(plain("`a.b` has 3 parts"), plain("`c` has 12 parts"));
        assert_ne!(plain("too long"), plain("too short"));
    }
}

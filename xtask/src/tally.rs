//! How many cases passed, read from what test runners print.

use std::fmt;
use std::ops::AddAssign;

/// Cases counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Passed.
    pub passed: u64,
    /// Did not.
    pub failed: u64,
}

/// Whose lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// `CliRunSummary [ 1.2s] 5 tests run: 4 passed (1 slow), 1 failed, 2 skipped`
    Nextest,
    /// `test result: ok. 4 passed; 0 failed; 0 ignored; …`, one for each test program.
    Cargo,
    /// `4 passed, 1 failed`
    Plain,
}

impl Tally {
    /// Adds what `line` says, if it is a closing line of `runner`.
    pub fn hear(&mut self, runner: Runner, line: &str) {
        let line = line.trim();
        match runner {
            Runner::Nextest if line.starts_with("Summary [") => {
                let [passed, run] = [before(line, "passed"), before(line, "test").or(before(line, "tests"))];
                if let Some(run) = run {
                    let passed = passed.unwrap_or(0);
                    *self += Self { passed, failed: run.saturating_sub(passed) };
                }
            }
            Runner::Cargo if line.starts_with("test result:") => self.add(line),
            Runner::Plain if line.ends_with("failed") && line.split(' ').count() == 4 => self.add(line),
            _ => {}
        }
    }

    fn add(&mut self, line: &str) {
        if let (Some(passed), Some(failed)) = (before(line, "passed"), before(line, "failed")) {
            *self += Self { passed, failed };
        }
    }
}

/// The number in front of `word`; of `25/30`, a run cut short, the first.
fn before(line: &str, word: &str) -> Option<u64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is = |with: &str| with.trim_end_matches([',', ';', ':']) == word;
    words.windows(2).find(|pair| is(pair[1])).and_then(|pair| pair[0].split('/').next()?.parse().ok())
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(runner: Runner, lines: &[&str]) -> (u64, u64) {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.hear(runner, line));
        (tally.passed, tally.failed)
    }

    #[test]
    fn nextest() {
        let one = "     Summary [   0.012s] 1 test run: 1 passed, 0 skipped";
        assert_eq!(heard(Runner::Nextest, &[one]), (1, 0));
        let short = "     Summary [   2.345s] 5/30 tests run: 4 passed, 1 failed, 0 skipped";
        assert_eq!(heard(Runner::Nextest, &[short]), (4, 1));
        let many =
            "     Summary [  12.345s] 25 tests run: 22 passed (3 slow), 2 failed, 1 timed out, 4 skipped";
        assert_eq!(heard(Runner::Nextest, &[many, "test result: FAILED. 0 passed; 1 failed;"]), (22, 3));
    }

    #[test]
    fn cargo() {
        let result =
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let other = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(heard(Runner::Cargo, &[result, "running 3 tests", other]), (4, 2));
    }

    #[test]
    fn plain() {
        assert_eq!(heard(Runner::Plain, &["web: opens", "7 passed, 1 failed", "nothing failed"]), (7, 1));
        assert_eq!(Tally { passed: 7, failed: 1 }.to_string(), "7 passed, 1 failed");
    }
}

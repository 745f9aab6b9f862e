//! What a step's table says, in counts: read piece by piece, so that nothing grows with the heap but a few bytes for each picture.

use std::collections::BTreeMap;
use std::path::Path;

use super::histogram::{CurationHistogram, HistogramScale};
use crate::table::{CuratedPicture, CurationTable};
use crate::{CurateError, CurationStep};

/// Most reasons that are told apart.
const MOST_REASONS: usize = 24;
/// Most classes and clusters that are counted.
const MOST_GROUPS: usize = 200_000;

/// How many of a class or cluster there were, and how many stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupCount {
    /// Before the step.
    pub before: usize,
    /// Those that stay.
    pub after: usize,
}

/// What a step took and left.
#[derive(Clone, Debug)]
pub struct StepCounts {
    /// Which step.
    pub step: CurationStep,
    /// How its table was made.
    pub made: String,
    /// Bounds that it was made with.
    pub settings: Vec<(String, f32)>,
    /// Pictures before it.
    pub before: usize,
    /// Those that stay.
    pub after: usize,
    /// Reasons without their numbers, with how many pictures were left out for each.
    pub reasons: BTreeMap<String, usize>,
    /// Pictures by their similarity.
    pub similarity: CurationHistogram,
    /// The component of each row; `u32::MAX` where there is none.
    pub components: Vec<u32>,
    /// By the finest cluster.
    pub finest: BTreeMap<String, GroupCount>,
    /// By the coarsest cluster.
    pub coarsest: BTreeMap<String, GroupCount>,
    /// By class.
    pub labels: BTreeMap<String, GroupCount>,
    /// Which rows stay.
    pub stays: Vec<bool>,
}

impl StepCounts {
    /// Reads a table; `stood` says which rows stayed before it. `seen` is shown every row that stood, with its number.
    ///
    /// # Errors
    /// When it can't be read, does not have as many rows, or `seen` says stop.
    pub fn read(
        step: CurationStep,
        path: &Path,
        stood: &[bool],
        seen: &mut dyn FnMut(usize, &CuratedPicture, bool) -> Result<(), CurateError>,
    ) -> Result<Self, CurateError> {
        let title = match step {
            CurationStep::Balance => ("Cosine to the cluster's centre", "Of each picture, before and after."),
            CurationStep::Retrieve => {
                ("Cosine to the nearest query", "Of each picture that was near one, before and after.")
            }
            _ => (
                "Cosine to the nearest picture",
                "Those to the right of the bound are copies by their features alone.",
            ),
        };
        let mut counts = Self {
            step,
            made: String::new(),
            settings: Vec::new(),
            before: 0,
            after: 0,
            reasons: BTreeMap::new(),
            similarity: CurationHistogram::new(title, HistogramScale::Linear, (0.0, 1.0), 100),
            components: Vec::new(),
            finest: BTreeMap::new(),
            coarsest: BTreeMap::new(),
            labels: BTreeMap::new(),
            stays: Vec::with_capacity(stood.len()),
        };
        let table = CurationTable::visit(path, &mut |first, rows| {
            for (at, row) in (first..).zip(rows.iter()) {
                let stood = stood.get(at).copied().unwrap_or(false);
                let stays = stood && row.kept != Some(false);
                counts.stays.push(stays);
                let component = row.component.filter(|_| stood).and_then(|row| u32::try_from(row).ok());
                counts.components.push(component.unwrap_or(u32::MAX));
                if stood {
                    counts.take(row, stays);
                    seen(at, row, stays)?;
                }
            }
            Ok(())
        })?;
        if counts.stays.len() != stood.len() {
            let (name, rows, all) = (step.name(), counts.stays.len(), stood.len());
            let reason =
                format!("it has {rows} rows where there are {all} pictures: run `curate {name}` again");
            return Err(CurateError::unfit(path, reason));
        }
        counts.made = table.made.unwrap_or_default();
        counts.settings = table.settings;
        if step == CurationStep::Copies {
            counts.similarity.bound = counts.setting("threshold");
        }
        Ok(counts)
    }

    fn take(&mut self, row: &CuratedPicture, stays: bool) {
        self.before += 1;
        self.after += usize::from(stays);
        if step_measures(self.step) {
            self.similarity.count(row.similarity, stays);
        }
        if !stays {
            let reason = row.why.as_deref().map_or_else(|| "no reason is told".to_owned(), without_numbers);
            let is_full = self.reasons.len() >= MOST_REASONS && !self.reasons.contains_key(&reason);
            let reason = if is_full { "other reasons".to_owned() } else { reason };
            *self.reasons.entry(reason).or_default() += 1;
        }
        let group = |groups: &mut BTreeMap<String, GroupCount>, name: &str| {
            if let Some(group) = groups.get_mut(name) {
                group.before += 1;
                group.after += usize::from(stays);
            } else if groups.len() < MOST_GROUPS {
                groups.insert(name.to_owned(), GroupCount { before: 1, after: usize::from(stays) });
            }
        };
        if let Some(cluster) = row.cluster.as_deref().filter(|_| self.step == CurationStep::Balance) {
            group(&mut self.finest, cluster);
            group(&mut self.coarsest, coarsest(cluster));
        }
        if let Some(label) = &row.label {
            group(&mut self.labels, label);
        }
    }

    /// A bound that the step was given.
    pub fn setting(&self, name: &str) -> Option<f32> {
        self.settings.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Components of more than one picture, the largest first: the row that each is called by, and its pictures.
    pub fn largest_components(&self) -> Vec<(u32, usize)> {
        let mut counts = vec![0u32; self.components.len()];
        for component in &self.components {
            if let Some(count) = counts.get_mut(*component as usize) {
                *count += 1;
            }
        }
        let all = counts.into_iter().enumerate().filter(|(_, count)| *count > 1);
        let mut all: Vec<(u32, usize)> = all.map(|(row, count)| (row as u32, count as usize)).collect();
        all.sort_by_key(|(row, count)| (std::cmp::Reverse(*count), *row));
        all
    }
}

/// Whether a step's similarities are its own.
fn step_measures(step: CurationStep) -> bool {
    step != CurationStep::Quality
}

/// The coarsest cluster of a path of them.
pub fn coarsest(cluster: &str) -> &str {
    cluster.split('/').next().unwrap_or(cluster)
}

/// A reason without its numbers, which differ from picture to picture.
fn without_numbers(why: &str) -> String {
    let mut out = String::with_capacity(why.len());
    let mut chars = why.chars().peekable();
    while let Some(c) = chars.next() {
        if !c.is_ascii_digit() {
            out.push(c);
            continue;
        }
        out.push('…');
        // A point belongs to a number where a digit follows.
        while let Some(next) = chars.peek().copied() {
            let mut ahead = chars.clone();
            ahead.next();
            let is_point = next == '.' && ahead.peek().is_some_and(char::is_ascii_digit);
            if !next.is_ascii_digit() && !is_point {
                break;
            }
            chars.next();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_apart_by_their_words() {
        for (why, wanted) in [
            ("a copy: its nearest has a cosine of 0.981", "a copy: its nearest has a cosine of …"),
            ("drawn: its cluster gives 3 of 70.", "drawn: its cluster gives … of …."),
            ("it can't be read", "it can't be read"),
            ("1.2.3", "…"),
            ("", ""),
        ] {
            assert_eq!(without_numbers(why), wanted);
        }
        assert_eq!((coarsest("3/17/204"), coarsest("9")), ("3", "9"));
    }
}

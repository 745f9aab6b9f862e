//! What was done, one line of JSON after the other, so that a second run goes on where the first one ended.
//!
//! The first line says what all results have in common. A line that does not fit, or was cut off, is as good as none.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::cli::UsageError;

/// What all results in a journal were made with; results of anything else are made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalProvenance {
    /// The program's version.
    pub dinoscope: String,
    /// SHA-256 of the weights.
    pub weights: String,
    /// Shorter side of the views.
    pub resolution: usize,
    /// Black and white of deep files.
    pub depth_range: String,
    /// What factors of matrix products were rounded to; empty for not at all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub matmul_precision: String,
}

/// What was done for a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Below the folder of results.
    #[serde(serialize_with = "as_text")]
    pub stem: PathBuf,
    /// The file.
    #[serde(serialize_with = "as_text")]
    pub image: PathBuf,
    /// Its size and time, by which a file that has changed is known.
    pub stamp: String,
    /// What was written.
    pub made: BTreeSet<String>,
    /// Patches down, across, and numbers of each.
    pub shape: [usize; 3],
    /// Pixels across and down.
    pub size: (usize, usize),
    /// CLS and mean patch, as the bits of each number, where a table was asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub row: String,
}

/// A path as text. One that is no text is not known again, and its picture made again.
fn as_text<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum JournalRecord {
    MadeWith(JournalProvenance),
    Picture(JournalEntry),
    /// A picture that could not be used.
    Failed {
        stem: PathBuf,
        stamp: String,
    },
    /// The pictures whose colours were fitted together.
    Colours(String),
}

/// A journal, open for more, which no other process writes.
pub struct FeatureJournal {
    path: PathBuf,
    file: File,
    /// Where the newest line of each picture begins.
    places: HashMap<PathBuf, u64>,
    entries: HashMap<PathBuf, JournalEntry>,
    failed: HashMap<PathBuf, String>,
    colours: Option<String>,
}

impl FeatureJournal {
    /// Opens the journal, or begins a new one when there is none, it is of other weights or options, or `again`.
    pub fn open(path: &Path, made_with: &JournalProvenance, again: bool) -> Result<Self> {
        let refused = |e: std::io::Error| UsageError(format!("can't write {}: {e}", path.display()));
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(refused)?;
        match file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => bail!(UsageError(format!(
                "another process writes these results ({} is in use): wait for it, or choose another --out",
                path.display()
            ))),
            // Some file systems have no locks.
            Ok(()) | Err(std::fs::TryLockError::Error(_)) => {}
        }
        let (places, entries, failed, colours) = Default::default();
        let mut journal = Self { path: path.to_owned(), file, places, entries, failed, colours };
        let end = if again { None } else { journal.read(made_with)? };
        let end = end.unwrap_or_default();
        journal.file.set_len(end).and_then(|()| journal.file.seek(SeekFrom::Start(end))).map_err(refused)?;
        if end == 0 {
            journal.write(&JournalRecord::MadeWith(made_with.clone()))?;
        }
        Ok(journal)
    }

    /// Reads the lines; where the last whole one ends, or `None` for results of something else.
    fn read(&mut self, made_with: &JournalProvenance) -> Result<Option<u64>> {
        let told = || self.path.display().to_string();
        let mut reader = BufReader::new(self.file.try_clone().with_context(told)?);
        let (mut at, mut bytes) = (0, Vec::new());
        loop {
            bytes.clear();
            let length =
                reader.read_until(b'\n', &mut bytes).with_context(|| self.path.display().to_string())?;
            if !bytes.ends_with(b"\n") {
                return Ok((at > 0).then_some(at));
            }
            match serde_json::from_slice(&bytes) {
                Ok(JournalRecord::MadeWith(found)) if at == 0 && found == *made_with => {}
                _ if at == 0 => return Ok(None),
                Ok(JournalRecord::Picture(mut entry)) => {
                    // Numbers are many: they are read again when they are needed.
                    let row = !std::mem::take(&mut entry.row).is_empty();
                    self.take(entry, row.then_some(at));
                }
                Ok(JournalRecord::Failed { stem, stamp }) => {
                    self.failed.insert(stem, stamp);
                }
                Ok(JournalRecord::Colours(found)) => self.colours = Some(found),
                Ok(JournalRecord::MadeWith(_)) | Err(_) => {}
            }
            at += length as u64;
        }
    }

    /// Takes in an entry, and where its line begins if that holds numbers.
    fn take(&mut self, mut entry: JournalEntry, place: Option<u64>) {
        match self.entries.get(&entry.stem) {
            // What was made of the same file before is there as well.
            Some(before) if (&before.image, &before.stamp) == (&entry.image, &entry.stamp) => {
                entry.made.extend(before.made.iter().cloned());
            }
            _ => {
                self.places.remove(&entry.stem);
            }
        }
        if let Some(place) = place {
            self.places.insert(entry.stem.clone(), place);
        }
        self.entries.insert(entry.stem.clone(), entry);
    }

    /// What was done for a picture.
    pub fn entry(&self, stem: &Path) -> Option<&JournalEntry> {
        self.entries.get(stem)
    }

    /// Whether a picture's numbers are known.
    pub fn has_row(&self, stem: &Path) -> bool {
        self.places.contains_key(stem)
    }

    /// A picture's numbers.
    pub fn row(&mut self, stem: &Path) -> Result<Vec<f32>> {
        let lost = || format!("{} no longer holds {}", self.path.display(), stem.display());
        let at = *self.places.get(stem).with_context(lost)?;
        let end = self.file.stream_position()?;
        self.file.seek(SeekFrom::Start(at))?;
        let mut line = Vec::new();
        BufReader::new((&self.file).take(end - at)).read_until(b'\n', &mut line)?;
        self.file.seek(SeekFrom::Start(end))?;
        let JournalRecord::Picture(entry) = serde_json::from_slice(&line).with_context(lost)? else {
            bail!(lost())
        };
        numbers(&entry.row).with_context(lost)
    }

    /// Notes what was done for a picture.
    pub fn done(&mut self, entry: JournalEntry, row: Option<&[f32]>) -> Result<()> {
        let bits = |row: &[f32]| row.iter().map(|v| format!("{:08x}", v.to_bits())).collect();
        let at = self.file.stream_position()?;
        self.write(&JournalRecord::Picture(JournalEntry {
            row: row.map(bits).unwrap_or_default(),
            ..entry.clone()
        }))?;
        self.take(entry, row.map(|_| at));
        Ok(())
    }

    /// Whether a file could not be used when it was as it is now.
    pub fn has_failed(&self, stem: &Path, stamp: &str) -> bool {
        self.failed.get(stem).is_some_and(|found| found == stamp)
    }

    /// Notes that a file can't be used.
    pub fn fail(&mut self, stem: &Path, stamp: &str) -> Result<()> {
        if self.has_failed(stem, stamp) {
            return Ok(());
        }
        self.failed.insert(stem.to_owned(), stamp.to_owned());
        self.write(&JournalRecord::Failed { stem: stem.to_owned(), stamp: stamp.to_owned() })
    }

    /// Whether colours were fitted to these pictures and no others.
    pub fn has_colours(&self, of: &str) -> bool {
        self.colours.as_deref() == Some(of)
    }

    /// Notes that colours were fitted and drawn.
    pub fn coloured(&mut self, of: String) -> Result<()> {
        self.write(&JournalRecord::Colours(of))
    }

    fn write(&mut self, line: &JournalRecord) -> Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        // In one piece, so that a line is whole or none.
        self.file.write_all(&bytes).with_context(|| format!("can't write {}", self.path.display()))
    }

    /// Removes the file: what it told is of no use any more.
    pub fn remove(self) -> Result<()> {
        let Self { path, file, .. } = self;
        // Some systems remove no open file.
        drop(file);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e).with_context(|| path.display().to_string()),
            _ => Ok(()),
        }
    }
}

fn numbers(bits: &str) -> Option<Vec<f32>> {
    let number =
        |bits: &[u8]| Some(f32::from_bits(u32::from_str_radix(str::from_utf8(bits).ok()?, 16).ok()?));
    bits.as_bytes().chunks(8).map(number).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn made_with(weights: &str) -> JournalProvenance {
        let text = str::to_owned;
        JournalProvenance {
            dinoscope: text("1"),
            weights: text(weights),
            resolution: 64,
            depth_range: text("fixed"),
            matmul_precision: String::new(),
        }
    }

    fn entry(stem: &str, made: &[&str]) -> JournalEntry {
        JournalEntry {
            stem: stem.into(),
            image: format!("{stem}.jpg").into(),
            stamp: "1 2".to_owned(),
            made: made.iter().map(|key| (*key).to_owned()).collect(),
            shape: [2, 3, 4],
            size: (20, 30),
            row: String::new(),
        }
    }

    #[test]
    fn a_journal_goes_on_and_adds_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.jsonl");
        let mut journal = FeatureJournal::open(&path, &made_with("a"), false).unwrap();
        let second = FeatureJournal::open(&path, &made_with("a"), false).err().unwrap().to_string();
        assert!(second.contains("another process"), "{second}");
        journal.done(entry("x/1", &["npy"]), None).unwrap();
        journal.done(entry("2", &["npy"]), Some(&[0.1, -0.0, f32::MAX])).unwrap();
        journal.coloured("these".to_owned()).unwrap();
        (0..2).for_each(|_| journal.fail(Path::new("4"), "5 6").unwrap());
        drop(journal);
        // A crash in the middle of a line.
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"{\"picture\":{\"stem\":\"3\""].concat()).unwrap();

        let mut journal = FeatureJournal::open(&path, &made_with("a"), false).unwrap();
        assert!(journal.has_colours("these") && !journal.has_colours("those"));
        assert!(journal.has_failed(Path::new("4"), "5 6") && !journal.has_failed(Path::new("4"), "5 7"));
        journal.done(entry("2", &["attention"]), None).unwrap();
        assert_eq!(journal.entry(Path::new("2")).unwrap(), &entry("2", &["npy", "attention"]));
        assert!(journal.has_row(Path::new("2")) && !journal.has_row(Path::new("x/1")));
        assert_eq!(journal.row(Path::new("2")).unwrap(), [0.1, -0.0, f32::MAX]);
        // A file that changed is another one.
        let changed = JournalEntry { stamp: "7 8".to_owned(), ..entry("x/1", &["attention"]) };
        journal.done(changed.clone(), Some(&[3.0])).unwrap();
        assert_eq!(journal.entry(Path::new("x/1")), Some(&changed));
        assert_eq!(journal.row(Path::new("x/1")).unwrap(), [3.0]);
        assert!(journal.entry(Path::new("3")).is_none());
        drop(journal);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 7);
        FeatureJournal::open(&path, &made_with("a"), false).unwrap().remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn other_weights_and_what_is_no_journal_begin_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.jsonl");
        for before in ["", "something else\n", "{\"picture\":{}}\n"] {
            std::fs::write(&path, before).unwrap();
            let mut journal = FeatureJournal::open(&path, &made_with("a"), false).unwrap();
            journal.done(entry("1", &["npy"]), None).unwrap();
            drop(journal);
            assert!(
                FeatureJournal::open(&path, &made_with("a"), false).unwrap().entry(Path::new("1")).is_some()
            );
        }
        assert!(FeatureJournal::open(&path, &made_with("a"), true).unwrap().entry(Path::new("1")).is_none());
        FeatureJournal::open(&path, &made_with("a"), false).unwrap().done(entry("1", &[]), None).unwrap();
        assert!(FeatureJournal::open(&path, &made_with("b"), false).unwrap().entry(Path::new("1")).is_none());
    }
}

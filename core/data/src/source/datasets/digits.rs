//! scikit-learn's handwritten digits: a packed table of 64 levels from 0 to 16 and a digit in every line.

use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::super::PictureSource;
use super::super::idx::IdxSplit;
use crate::{DataError, Picture};
use dinoscope_base::files::File;

/// Pixels a side.
const SIDE: usize = 8;
/// The lightest level.
const WHITE: u8 = 16;
/// Most bytes that the file may unpack to; it has 270 KB.
const MOST: u64 = 16 << 20;

/// One half of the digits, held in memory.
#[derive(Debug)]
pub struct DigitsSource {
    /// Levels of each picture, and its digit.
    rows: Vec<([u8; SIDE * SIDE], u8)>,
    /// The line of the first one, from 0.
    first: usize,
    classes: Vec<String>,
}

impl DigitsSource {
    /// Reads one half of `digits.csv.gz`. The first two thirds of the lines are to learn from (1198 pictures), the others
    /// to test (599): the lines follow the people who wrote, so that those of the test wrote hardly anything of what is
    /// learned from.
    ///
    /// # Errors
    /// When the file can't be read, or a line is no picture.
    pub fn open(path: &Path, split: IdxSplit) -> Result<Self, DataError> {
        let name = || path.display().to_string();
        let file = File::open(path).map_err(|source| DataError::Read { path: name(), source })?;
        let problem = |reason: String| DataError::Source {
            path: name(),
            reason: reason + "; install scikit-learn again",
        };
        let mut text = String::new();
        let unpacked = MultiGzDecoder::new(BufReader::new(file)).take(MOST).read_to_string(&mut text);
        unpacked.map_err(|error| problem(format!("it is damaged or incomplete ({error})")))?;
        let lines = text.lines().filter(|line| !line.trim().is_empty()).enumerate();
        let rows = lines.map(|(i, line)| row(line).ok_or(i)).collect::<Result<Vec<_>, usize>>();
        let mut rows = rows.map_err(|i| {
            problem(format!("line {} is not 64 levels from 0 to {WHITE} and a digit from 0 to 9", i + 1))
        })?;
        let learned = rows.len() * 2 / 3;
        let test = rows.split_off(learned);
        let (rows, first) = match split {
            IdxSplit::Train => (rows, 0),
            IdxSplit::Test => (test, learned),
        };
        if rows.is_empty() {
            return Err(problem("it holds too few pictures".to_owned()));
        }
        Ok(Self { rows, first, classes: (0..10).map(|digit| digit.to_string()).collect() })
    }
}

/// Levels and digit of a line.
fn row(line: &str) -> Option<([u8; SIDE * SIDE], u8)> {
    let mut numbers = line.split(',').map(|number| number.trim().parse::<u8>().ok());
    let mut levels = [0; SIDE * SIDE];
    for level in &mut levels {
        *level = numbers.next()?.filter(|level| *level <= WHITE)?;
    }
    let digit = numbers.next()?.filter(|digit| *digit < 10)?;
    numbers.next().is_none().then_some((levels, digit))
}

impl PictureSource for DigitsSource {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn name(&self, index: usize) -> String {
        format!("digit {}", self.first + index)
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.rows.get(index).map(|(_, digit)| usize::from(*digit))
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn load(&self, index: usize) -> Result<Picture, DataError> {
        let grey = |level: &u8| [((u32::from(*level) * 255 + 8) / u32::from(WHITE)) as u8; 3];
        let rgb = self.rows[index].0.iter().flat_map(grey).collect();
        Ok(Picture::of_rgb(SIDE, SIDE, rgb))
    }
}

//! Numbers of more than 8 bits as 8-bit levels: which become black and which white.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What becomes black and white in a file of more than 8 bits a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum IntensityRange {
    /// 0 and 65535 of 16 bits; 0 and 1 of floats that stay within them. Where there is no such range (other floats,
    /// signed numbers, 32 bits), the lowest and the highest number of each file.
    #[default]
    Fixed,
    /// The lowest and the highest number of each file.
    File,
    /// These numbers, in all files.
    Between {
        /// Black.
        low: f64,
        /// White; above `low`.
        high: f64,
    },
}

impl FromStr for IntensityRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|v| v.is_finite());
        match text.trim() {
            "fixed" => Ok(Self::Fixed),
            "file" => Ok(Self::File),
            other => other
                .split_once("..")
                .and_then(|(low, high)| Some((number(low)?, number(high)?)))
                .filter(|(low, high)| low < high)
                .map(|(low, high)| Self::Between { low, high })
                .ok_or_else(|| {
                    format!("{text:?} is no depth range: fixed, file, or two numbers such as 0..4095")
                }),
        }
    }
}

impl fmt::Display for IntensityRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed => f.write_str("fixed"),
            Self::File => f.write_str("file"),
            Self::Between { low, high } => write!(f, "{low}..{high}"),
        }
    }
}

impl TryFrom<String> for IntensityRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<IntensityRange> for String {
    fn from(range: IntensityRange) -> Self {
        range.to_string()
    }
}

/// How a file stores a sample of more than 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleKind {
    /// 8 bits, in a file that holds no usual picture.
    Bytes,
    /// 16 bits, from 0.
    Words,
    /// Whole numbers below 0 too, or of more than 16 bits.
    Whole,
    /// Floats.
    Floats,
}

/// What a file of more than 8 bits a sample held, and how it was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntensityMapping {
    /// How it stores them.
    pub samples: SampleKind,
    /// The lowest and the highest number of its colours; those that are not finite are left out.
    pub found: (f64, f64),
    /// The numbers that became black and white.
    pub shown: (f64, f64),
}

impl IntensityMapping {
    /// Numbers between the two of `found`, read as `range` says.
    pub(super) fn new(samples: SampleKind, found: (f64, f64), range: IntensityRange) -> Self {
        let found = if found.0 <= found.1 { found } else { (0.0, 0.0) };
        let shown = match (range, samples) {
            // There is nothing to choose.
            (_, SampleKind::Bytes) => (0.0, 255.0),
            (IntensityRange::Between { low, high }, _) => (low, high),
            (IntensityRange::Fixed, SampleKind::Words) => (0.0, 65_535.0),
            (IntensityRange::Fixed, SampleKind::Floats) if found.0 >= 0.0 && found.1 <= 1.0 => (0.0, 1.0),
            (IntensityRange::Fixed | IntensityRange::File, _) => found,
        };
        Self { samples, found, shown }
    }

    /// Where a number stands between black, 0, and white, 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        let (low, high) = self.shown;
        // What is no number, and everything in a file without differences, is black.
        let share = (value - low) / (high - low);
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// The 8-bit level of a number.
    pub(super) fn level(&self, value: f64) -> u8 {
        (255.0 * self.share(value)).round() as u8
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_words_or_two_numbers() {
        for text in ["fixed", "file", "0..4095", "-1000..3000", "0.5..2.25"] {
            let range: IntensityRange = text.parse().unwrap();
            assert_eq!(range.to_string(), text);
        }
        for text in ["", "deep", "0..", "5..5", "9..1", "nan..1", "0..inf", "1...2"] {
            assert!(text.parse::<IntensityRange>().unwrap_err().contains("0..4095"), "{text}");
        }
    }

    #[test]
    fn what_is_shown_depends_on_numbers_and_choice() {
        let shown = |samples, found, range| IntensityMapping::new(samples, found, range).shown;
        let between = IntensityRange::Between { low: 1.0, high: 9.0 };
        let (fixed, file) = (IntensityRange::Fixed, IntensityRange::File);
        assert_eq!(shown(SampleKind::Words, (3.0, 4000.0), fixed), (0.0, 65_535.0));
        assert_eq!(shown(SampleKind::Words, (3.0, 4000.0), file), (3.0, 4000.0));
        assert_eq!(shown(SampleKind::Words, (3.0, 4000.0), between), (1.0, 9.0));
        assert_eq!(shown(SampleKind::Floats, (0.2, 0.9), fixed), (0.0, 1.0));
        assert_eq!(shown(SampleKind::Floats, (0.2, 0.9), file), (0.2, 0.9));
        assert_eq!(shown(SampleKind::Floats, (-0.1, 0.9), fixed), (-0.1, 0.9));
        assert_eq!(shown(SampleKind::Whole, (-1000.0, 2000.0), fixed), (-1000.0, 2000.0));
        assert_eq!(shown(SampleKind::Bytes, (7.0, 9.0), file), (0.0, 255.0));
    }

    #[test]
    fn numbers_outside_and_none_at_all_have_a_level() {
        let depth = IntensityMapping::new(SampleKind::Floats, (-10.0, 10.0), IntensityRange::Fixed);
        assert_eq!(
            [-99.0, -10.0, 0.0, 10.0, 99.0, f64::NAN].map(|v| depth.level(v)),
            [0, 0, 128, 255, 255, 0]
        );
        let flat = IntensityMapping::new(SampleKind::Whole, (5.0, 5.0), IntensityRange::File);
        assert_eq!([flat.level(5.0), flat.level(4.0)], [0, 0]);
        // Nothing finite was found.
        assert_eq!(
            IntensityMapping::new(
                SampleKind::Floats,
                (f64::INFINITY, f64::NEG_INFINITY),
                IntensityRange::File
            )
            .found,
            (0.0, 0.0)
        );
    }
}

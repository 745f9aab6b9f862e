//! Which depths count, and whether those of the pictures lie there at all: in another unit they don't.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::EvalProtocolError;
use dinoscope_data::source::dense::DepthUnit;

/// The least and largest depth that count, in metres; pixels outside do not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum DepthEvalRange {
    /// 0.001 to 10, as published for rooms.
    Nyu,
    /// 0.001 to 80, as published for streets.
    Kitti,
    /// From the first to the second.
    Between(f64, f64),
}

impl DepthEvalRange {
    /// Least and largest.
    pub fn bounds(self) -> (f64, f64) {
        match self {
            Self::Nyu => (1e-3, 10.0),
            Self::Kitti => (1e-3, 80.0),
            Self::Between(min, max) => (min, max),
        }
    }

    /// What a step of the PNG files is worth in which those depths are handed out.
    pub fn unit(self) -> DepthUnit {
        match self {
            Self::Kitti => DepthUnit::Kitti,
            Self::Nyu | Self::Between(..) => DepthUnit::Millimetres,
        }
    }
}

impl FromStr for DepthEvalRange {
    type Err = String;

    /// `nyu`, `kitti` or `MIN,MAX`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_lowercase().as_str() {
            "nyu" => Ok(Self::Nyu),
            "kitti" => Ok(Self::Kitti),
            text => text
                .split_once(',')
                .and_then(|(min, max)| {
                    Some(Self::Between(min.trim().parse().ok()?, max.trim().parse().ok()?))
                })
                .ok_or_else(|| "expected nyu, kitti or MIN,MAX, for instance 0.001,10".to_owned()),
        }
    }
}

/// Known depths of the pictures that are learned from, before any is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct DepthRangeStats {
    pub pixels: usize,
    pub inside: usize,
    pub largest: f32,
}

/// A share of depths in the range below which the unit is wrong, or the range.
const NONE: f64 = 0.02;
/// A share below which that is worth a sentence.
const FEW: f64 = 0.5;
/// Depths that all lie in such a part of the range are worth a sentence too.
const NEAR: f64 = 0.02;

impl DepthRangeStats {
    /// Counts the depths of a picture.
    pub fn add(&mut self, depths: &[f32], (min, max): (f64, f64)) {
        for depth in depths.iter().filter(|depth| **depth > 0.0) {
            self.pixels += 1;
            self.inside += usize::from(super::inside(*depth, (min, max)));
            self.largest = self.largest.max(*depth);
        }
    }

    /// A sentence when few depths lie in the range, or all far below its end. `measure` says how they were read.
    ///
    /// # Errors
    /// When hardly any does.
    pub fn check_range(
        &self,
        (min, max): (f64, f64),
        measure: Option<&str>,
        unit: &str,
    ) -> Result<Option<String>, EvalProtocolError> {
        let Self { pixels, inside, largest } = *self;
        if pixels == 0 {
            return Ok(None);
        }
        let share = inside as f64 / pixels as f64;
        let percent = 100.0 * share;
        let read = measure.map_or(String::new(), |measure| format!(" ({measure})"));
        let way = if measure.is_some() { "is --unit right, or --range" } else { "is --range right" };
        let told = format!(
            "{percent:.1} % of the known depths lie between {min} and {max} {unit}; the largest is {largest:.3}{read}: {way}?"
        );
        match share {
            share if share < NONE => Err(EvalProtocolError::Range(told)),
            share if share < FEW => Ok(Some(told)),
            _ if f64::from(largest) < NEAR * max => {
                Ok(Some(format!("the largest depth is {largest:.3} {unit}{read}, far below {max}: {way}?")))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_names_and_units() {
        assert_eq!("nyu".parse(), Ok(DepthEvalRange::Nyu));
        assert_eq!("KITTI".parse(), Ok(DepthEvalRange::Kitti));
        assert_eq!("0.5, 20".parse(), Ok(DepthEvalRange::Between(0.5, 20.0)));
        assert!("far".parse::<DepthEvalRange>().is_err());
        assert_eq!(
            (DepthEvalRange::Nyu.bounds(), DepthEvalRange::Kitti.bounds()),
            ((0.001, 10.0), (0.001, 80.0))
        );
        assert_eq!(DepthEvalRange::Kitti.unit(), DepthUnit::Kitti);
        assert_eq!(DepthEvalRange::Nyu.unit(), DepthUnit::Millimetres);
        assert_eq!(DepthEvalRange::Between(0.001, 80.0).unit(), DepthUnit::Millimetres);
    }

    #[test]
    fn depths_outside_the_range_are_told_with_the_unit() {
        let range = DepthEvalRange::Nyu.bounds();
        let of = |depths: &[f32]| {
            let mut known = DepthRangeStats::default();
            known.add(depths, range);
            known.check_range(range, Some("depth from 16-bit PNG at 1 cm"), "metres")
        };
        assert_eq!(of(&[0.0, 1.0, 9.0, 40.0]).unwrap(), None);
        let said = of(&[0.0, 40.0, 52.0]).unwrap_err().to_string();
        assert!(said.starts_with("0.0 % of the known depths lie between 0.001 and 10 metres"), "{said}");
        assert!(
            said.contains("the largest is 52.000 (depth from 16-bit PNG at 1 cm): is --unit right"),
            "{said}"
        );
        assert!(of(&[2.0, 40.0, 40.0]).unwrap().unwrap().starts_with("33.3 %"));
        assert!(of(&[0.1, 0.15]).unwrap().unwrap().contains("far below 10"));
        assert_eq!(of(&[0.0]).unwrap(), None);
    }
}

//! How files of truths are to be read, where they do not say so themselves.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::decode::DecodeOptions;

/// How files of truths are read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DenseReadOptions {
    /// Labels tell an object from what is behind it: 0 is the background, and every other value, 255 too, the object.
    /// Without it 255 is no class: such a pixel does not count.
    pub binary: bool,
    /// What a step of a 16-bit depth PNG is worth.
    pub unit: DepthUnit,
    /// How pictures are decoded.
    pub decode: DecodeOptions,
}

/// What a step of a 16-bit depth PNG or TIFF is worth. Files of numbers (`.npy`, TIFF of floats) are in metres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum DepthUnit {
    /// As in NYU and ScanNet, and as most cameras write it.
    #[default]
    Millimetres,
    /// As game engines write it.
    Centimetres,
    /// 1/256 m, as in KITTI.
    Kitti,
    /// So many metres.
    Metres(f64),
}

impl DepthUnit {
    /// Metres of a step.
    pub fn metres(self) -> f64 {
        match self {
            Self::Millimetres => 1e-3,
            Self::Centimetres => 1e-2,
            Self::Kitti => 1.0 / 256.0,
            Self::Metres(metres) => metres,
        }
    }
}

impl fmt::Display for DepthUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millimetres => f.write_str("1 mm"),
            Self::Centimetres => f.write_str("1 cm"),
            Self::Kitti => f.write_str("1/256 m"),
            Self::Metres(metres) => write!(f, "{metres} m"),
        }
    }
}

impl FromStr for DepthUnit {
    type Err = String;

    /// `mm`, `cm`, `m`, `1/256`, or metres as a number or a fraction, with or without their unit: `0.0002`, `1/5000 m`.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_lowercase();
        let wrong = || {
            format!(
                "expected mm, cm, m, or the metres of a step, for instance 1/256 or 0.0002; found {text:?}"
            )
        };
        let number = |text: &str| -> Option<f64> {
            match text.split_once('/') {
                Some((a, b)) => Some(a.trim().parse::<f64>().ok()? / b.trim().parse::<f64>().ok()?),
                None => text.trim().parse().ok(),
            }
        };
        let (count, unit) = match text.find(char::is_alphabetic) {
            // 1e-4
            Some(at) if number(&text).is_none() => text.split_at(at),
            _ => (text.as_str(), "m"),
        };
        let unit = match unit.trim() {
            "mm" | "millimetre" | "millimetres" | "millimeter" | "millimeters" => 1e-3,
            "cm" | "centimetre" | "centimetres" | "centimeter" | "centimeters" => 1e-2,
            "m" | "metre" | "metres" | "meter" | "meters" => 1.0,
            _ => return Err(wrong()),
        };
        if text.is_empty() {
            return Err(wrong());
        }
        let count = if count.trim().is_empty() { 1.0 } else { number(count).ok_or_else(wrong)? };
        let metres = count * unit;
        if !(metres > 0.0 && metres.is_finite()) {
            return Err(wrong());
        }
        let known = [Self::Millimetres, Self::Centimetres, Self::Kitti];
        let near = |unit: &Self| (unit.metres() / metres - 1.0).abs() < 1e-9;
        Ok(known.into_iter().find(near).unwrap_or(Self::Metres(metres)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn units_have_names_numbers_and_fractions() {
        for (text, want) in [
            ("mm", DepthUnit::Millimetres),
            ("Millimetres", DepthUnit::Millimetres),
            ("0.001", DepthUnit::Millimetres),
            ("1e-3", DepthUnit::Millimetres),
            ("1/1000", DepthUnit::Millimetres),
            ("cm", DepthUnit::Centimetres),
            ("0.01 m", DepthUnit::Centimetres),
            ("10 mm", DepthUnit::Centimetres),
            ("1/256", DepthUnit::Kitti),
            ("1/256 m", DepthUnit::Kitti),
            ("0.00390625", DepthUnit::Kitti),
            ("m", DepthUnit::Metres(1.0)),
            ("1/5000", DepthUnit::Metres(1.0 / 5000.0)),
            ("0.25mm", DepthUnit::Metres(0.25e-3)),
        ] {
            assert_eq!(text.parse::<DepthUnit>(), Ok(want), "{text}");
        }
        for text in ["", "far", "0", "-1", "1/0", "nan", "inches", "1 m m", "1/256/2"] {
            let said = text.parse::<DepthUnit>().unwrap_err();
            assert!(said.contains("1/256"), "{text}: {said}");
        }
        assert_eq!(DepthUnit::Kitti.to_string(), "1/256 m");
        assert_eq!(DepthUnit::Metres(0.0002).to_string(), "0.0002 m");
        assert_eq!(DepthUnit::default().metres(), 0.001);
    }
}

//! What pictures are normalised by, as a recipe says it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::data::channels::ChannelStatistics;

/// What pictures are normalised by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PixelChoice {
    /// ImageNet's mean and deviation for pictures of colours; for others those that are measured on them as a run begins.
    #[default]
    Auto,
    /// These.
    Given(ChannelStatistics),
}

impl FromStr for PixelChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "auto" {
            return Ok(Self::Auto);
        }
        let numbers = |text: &str| -> Option<Vec<f32>> {
            text.split_whitespace().map(|number| number.parse().ok()).collect()
        };
        let given = text.split_once('/').and_then(|(mean, deviation)| {
            Some(ChannelStatistics { mean: numbers(mean)?, deviation: numbers(deviation)? })
        });
        given.filter(ChannelStatistics::is_sound).map(Self::Given).ok_or_else(|| {
            format!(
                "{text:?} is nothing to normalise by: auto, or a mean for each channel and behind a stroke as many deviations, \
                 such as \"0.45 0.31 / 0.22 0.19\""
            )
        })
    }
}

impl fmt::Display for PixelChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Given(ChannelStatistics { mean, deviation }) = self else { return f.write_str("auto") };
        let joined = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(" ");
        write!(f, "{} / {}", joined(mean), joined(deviation))
    }
}

impl TryFrom<String> for PixelChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PixelChoice> for String {
    fn from(choice: PixelChoice) -> Self {
        choice.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_a_word_or_two_lists() {
        for text in ["auto", "0.45 / 0.22", "0.1 0.2 0.3 0.4 / 1 0.5 0.25 0.125"] {
            assert_eq!(text.parse::<PixelChoice>().unwrap().to_string(), text);
        }
        for text in ["", "0.5", "0.5 / ", "0.5 0.5 / 0.2", "0.5 / 0", "a / b", "nan / 1"] {
            assert!(text.parse::<PixelChoice>().unwrap_err().contains("0.45 0.31 / 0.22 0.19"), "{text}");
        }
    }
}

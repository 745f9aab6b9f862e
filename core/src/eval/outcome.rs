//! What an evaluation found, in one form for the terminal, JSON, the report and the studio.

use serde::{Deserialize, Serialize};

use super::Accuracy;
use crate::data::Picture;

/// An evaluation's findings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was measured: `Linear probe`.
    pub title: String,
    /// On what, in words: `1200 pictures to learn from, 600 to judge, 12 classes`.
    pub data: String,
    /// A line for each thing that was judged in each setting; what is looked at first comes first.
    pub rows: Vec<Row>,
    /// Pictures where people would rather look. Not part of the JSON: they are files beside it.
    #[serde(skip)]
    pub pictures: Vec<Shown>,
    /// What a person should know: pictures left out, settings chosen.
    pub notes: Vec<String>,
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was judged: `weights`, `untrained`, `raw pixels`.
    pub subject: String,
    /// In which setting: `k 20`, `4 blocks, lr 0.01`; empty where there is one only.
    pub setting: String,
    /// The figures; the first is the one to quote.
    pub figures: Vec<Figure>,
}

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Its name in the field's words: `top-1`, `mIoU`, `RMSE`.
    pub name: String,
    /// The number itself; shares are 0 to 1.
    pub value: f64,
    /// 95 % interval, where there is one.
    pub interval: Option<(f64, f64)>,
    /// How it is read.
    pub unit: Unit,
}

/// How a figure is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// 0 to 1, shown in per cent; more is better.
    Share,
    /// A number; more is better.
    More,
    /// A number; less is better.
    Less,
}

/// A picture with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Name of its file, without an extension: `confusion`.
    pub name: String,
    /// What one sees, in a sentence.
    pub caption: String,
    /// The picture.
    pub picture: Picture,
}

impl Figure {
    /// An accuracy with Wilson's interval.
    pub fn accuracy(name: &str, accuracy: Accuracy) -> Self {
        Self {
            name: name.to_owned(),
            value: accuracy.value(),
            interval: Some(accuracy.wilson95()),
            unit: Unit::Share,
        }
    }

    /// A number without an interval.
    pub fn plain(name: &str, value: f64, unit: Unit) -> Self {
        Self { name: name.to_owned(), value, interval: None, unit }
    }

    /// `72.1 % (68.4–75.6)`, `0.413`
    pub fn text(&self) -> String {
        let number = |value: f64| match self.unit {
            Unit::Share => format!("{:.1}", 100.0 * value),
            Unit::More | Unit::Less => format!("{value:.3}"),
        };
        let unit = if self.unit == Unit::Share { " %" } else { "" };
        let interval =
            self.interval.map_or(String::new(), |(a, b)| format!(" ({}–{})", number(a), number(b)));
        format!("{}{unit}{interval}", number(self.value))
    }
}

impl Outcome {
    /// The figure to quote: the first of the first row.
    pub fn headline(&self) -> Option<&Figure> {
        self.rows.first()?.figures.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        let right = Figure::accuracy("top-1", Accuracy { correct: 8, total: 10 });
        assert_eq!(right.text(), "80.0 % (49.0–94.3)");
        assert_eq!(Figure::plain("RMSE", 0.4129, Unit::Less).text(), "0.413");
    }
}

//! What an evaluation found, in one form for the terminal, JSON, the report and the studio.

use serde::{Deserialize, Serialize};

use super::Accuracy;
use dinoscope_analysis::canvas::Place;
use dinoscope_data::Picture;

/// An evaluation's findings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalReport {
    /// What was measured: `Linear probe`.
    pub title: String,
    /// On what, in words: `1200 pictures to learn from, 600 to test, 12 classes`.
    pub data: String,
    /// A line for each thing that was judged in each setting; what is looked at first comes first.
    pub rows: Vec<EvalTableRow>,
    /// Pictures where people would rather look. Not part of the JSON: they are files beside it.
    #[serde(skip)]
    pub pictures: Vec<CaptionedPicture>,
    /// What a person should know: settings chosen, features kept.
    pub notes: Vec<String>,
    /// What could not be used.
    #[serde(default)]
    pub left_out: Vec<UnusableInput>,
}

/// An input that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusableInput {
    /// Its name: the path of a picture in the folder that was named.
    pub input: String,
    /// Why.
    pub reason: String,
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalTableRow {
    /// What was judged: `weights`, `untrained`, `raw pixels`.
    pub subject: String,
    /// In which setting: `k 20`, `4 blocks, lr 0.01`; empty where there is one only.
    pub setting: String,
    /// The figures; the first is the one to quote.
    pub figures: Vec<EvalMetric>,
}

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalMetric {
    /// Its name in the field's words: `top-1`, `mIoU`, `RMSE`.
    pub name: String,
    /// The number itself; shares are 0 to 1.
    pub value: f64,
    /// 95 % interval, where there is one.
    pub interval: Option<(f64, f64)>,
    /// How it is read.
    pub unit: EvalMetricUnit,
}

/// How a figure is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvalMetricUnit {
    /// 0 to 1, shown in per cent; more is better.
    Share,
    /// A number; more is better.
    More,
    /// A number; less is better.
    Less,
}

/// A picture with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionedPicture {
    /// Name of its file, without an extension: `confusion`.
    pub name: String,
    /// What one sees, in a sentence.
    pub caption: String,
    /// The picture, on white paper.
    pub picture: Picture,
    /// Parts of it that keep their colours where it is shown on another ground: photographs and keys of colours.
    pub kept: Vec<Place>,
}

impl EvalMetric {
    /// An accuracy with Wilson's interval.
    pub fn accuracy(name: &str, accuracy: Accuracy) -> Self {
        Self {
            name: name.to_owned(),
            value: accuracy.value(),
            interval: Some(accuracy.wilson95()),
            unit: EvalMetricUnit::Share,
        }
    }

    /// A number without an interval.
    pub fn plain(name: &str, value: f64, unit: EvalMetricUnit) -> Self {
        Self { name: name.to_owned(), value, interval: None, unit }
    }

    /// `72.1 % (68.4–75.6)`, `0.413`
    pub fn text(&self) -> String {
        let number = |value: f64| match self.unit {
            EvalMetricUnit::Share => format!("{:.1}", 100.0 * value),
            EvalMetricUnit::More | EvalMetricUnit::Less => format!("{value:.3}"),
        };
        let unit = if self.unit == EvalMetricUnit::Share { " %" } else { "" };
        let interval =
            self.interval.map_or(String::new(), |(a, b)| format!(" ({}–{})", number(a), number(b)));
        format!("{}{unit}{interval}", number(self.value))
    }
}

impl UnusableInput {
    /// From name and reason.
    pub fn new((input, reason): (String, String)) -> Self {
        Self { input, reason }
    }

    /// `left out a.png: it is damaged`, at most `most` of them and how many more there are.
    pub fn words(all: &[Self], most: usize) -> Vec<String> {
        let mut words: Vec<String> = all
            .iter()
            .take(most)
            .map(|Self { input, reason }| format!("left out {input}: {reason}"))
            .collect();
        if all.len() > most {
            words.push(format!("left out {} more", all.len() - most));
        }
        words
    }
}

impl EvalReport {
    /// One that is yet to be filled.
    pub fn of(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            data: String::new(),
            rows: Vec::new(),
            pictures: Vec::new(),
            notes: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// The figure to quote: the first of the first row.
    pub fn headline(&self) -> Option<&EvalMetric> {
        self.rows.first()?.figures.first()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        let right = EvalMetric::accuracy("top-1", Accuracy { correct: 8, total: 10 });
        assert_eq!(right.text(), "80.0 % (49.0–94.3)");
        assert_eq!(EvalMetric::plain("RMSE", 0.4129, EvalMetricUnit::Less).text(), "0.413");
    }

    #[test]
    fn what_is_left_out_is_part_of_the_json_and_old_files_have_none() {
        let left = |input: &str| UnusableInput::new((input.to_owned(), "torn".to_owned()));
        let outcome = EvalReport { left_out: vec![left("a.png"), left("b.png")], ..EvalReport::of("Map") };
        let json = serde_json::to_value(&outcome).unwrap();
        assert_eq!(json["left_out"][1], serde_json::json!({ "input": "b.png", "reason": "torn" }));
        assert_eq!(serde_json::from_value::<EvalReport>(json.clone()).unwrap(), outcome);
        let mut old = json;
        old.as_object_mut().unwrap().remove("left_out");
        assert!(serde_json::from_value::<EvalReport>(old).unwrap().left_out.is_empty());
        assert_eq!(UnusableInput::words(&outcome.left_out, 1), ["left out a.png: torn", "left out 1 more"]);
    }
}

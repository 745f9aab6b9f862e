//! Figures of a whole run, for its last lines on the terminal: what came before it was resumed stands in its folder.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use dinoscope_core::engine::RunEvent;
use dinoscope_core::eval::Accuracy;
use dinoscope_core::eval::run::headline;
pub use dinoscope_core::train::improvement::percent;
use dinoscope_core::train::improvement::{self, AccuracyChange};
use dinoscope_core::train::run::MetricsLine;

/// First and last figures, each with its step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunMetricsSummary {
    /// Loss of the first report, and its step, counted from 1.
    pub first_loss: Option<(u64, f64)>,
    /// The same of the last.
    pub last_loss: Option<(u64, f64)>,
    /// k-NN before the first step.
    pub untrained: Option<Accuracy>,
    /// The newest k-NN, and the steps that had been done.
    pub trained: Option<(u64, Accuracy)>,
    /// k-NN on raw pixels.
    pub raw_pixels: Option<Accuracy>,
    /// Crops that were found again before the first step.
    pub crops_before: Option<Accuracy>,
    /// The newest of them, and the steps that had been done.
    pub crops_after: Option<(u64, Accuracy)>,
    /// Crops that were found again by raw pixels.
    pub crops_raw: Option<Accuracy>,
}

impl RunMetricsSummary {
    /// What a run's `metrics.jsonl` says, read line by line: such a file may be long.
    pub fn read(metrics: &Path) -> Self {
        let mut history = Self::default();
        let Ok(file) = File::open(metrics) else { return history };
        let mut newest = None;
        for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
            // Of the many lines with losses, the first and the last.
            let is_loss = contains(&line, b"\"loss\":");
            if !is_loss || history.first_loss.is_none() {
                history.take_line(&line);
            } else {
                newest = Some(line);
            }
        }
        if let Some(line) = newest {
            history.take_line(&line);
        }
        history
    }

    fn take_line(&mut self, line: &[u8]) {
        let Ok(line) = serde_json::from_slice::<MetricsLine>(line) else { return };
        let value = |name: &str| line.values.get(name).copied().flatten();
        if let Some(loss) = value("loss") {
            self.take_loss(line.iteration + 1, loss);
        }
        let accuracy = |of: &str| {
            let count = |what: &str| value(&format!("{of}_{what}")).map(|count| count as usize);
            Some(Accuracy { correct: count("correct")?, total: count("total")? })
        };
        self.take_accuracy(line.iteration, accuracy("knn"), accuracy("knn_raw_pixels"));
        self.take_crops(line.iteration, accuracy("crops"), accuracy("crops_raw_pixels"));
    }

    fn take_loss(&mut self, step: u64, loss: f64) {
        self.first_loss.get_or_insert((step, loss));
        self.last_loss = Some((step, loss));
    }

    fn take_accuracy(&mut self, done: u64, own: Option<Accuracy>, raw_pixels: Option<Accuracy>) {
        match done {
            0 => self.untrained = own.or(self.untrained),
            _ => self.trained = own.map(|own| (done, own)).or(self.trained),
        }
        self.raw_pixels = raw_pixels.or(self.raw_pixels);
    }

    fn take_crops(&mut self, done: u64, own: Option<Accuracy>, raw_pixels: Option<Accuracy>) {
        match done {
            0 => self.crops_before = own.or(self.crops_before),
            _ => self.crops_after = own.map(|own| (done, own)).or(self.crops_after),
        }
        self.crops_raw = raw_pixels.or(self.crops_raw);
    }

    /// Takes in what happens now.
    pub fn take(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Step(step) => {
                if let Some(loss) = step.values.get("loss") {
                    self.take_loss(step.iteration + 1, *loss);
                }
            }
            RunEvent::Evaluation { iteration, accuracy, raw_pixels, .. } => {
                let raw = raw_pixels.as_ref().and_then(headline).map(|score| score.top1);
                self.take_accuracy(*iteration, headline(accuracy).map(|score| score.top1), raw);
            }
            RunEvent::Crops { iteration, accuracy, raw_pixels } => {
                self.take_crops(*iteration, Some(*accuracy), *raw_pixels);
            }
            _ => {}
        }
    }

    /// `loss 5.811 in step 1 → 5.465 in step 95`
    pub fn loss(&self) -> Option<String> {
        let ((first, before), (last, after)) = (self.first_loss?, self.last_loss?);
        Some(match first == last {
            true => format!("loss {after:.3} in step {last}"),
            false => format!("loss {before:.3} in step {first} → {after:.3} in step {last}"),
        })
    }

    /// `k-NN accuracy after 60 steps 72.1 % (68.4–75.6), untrained 50.8 % (38.8–62.7)`
    ///
    /// `began` is what the model is called before its first step.
    pub fn accuracy(&self, began: &str) -> Option<String> {
        let untrained = self.untrained.map(|accuracy| format!("{began} {}", percent(accuracy)));
        Some(match (self.trained, untrained) {
            (Some((done, accuracy)), untrained) => {
                let beside = untrained.map_or(String::new(), |untrained| format!(", {untrained}"));
                format!("k-NN accuracy after {done} steps {}{beside}", percent(accuracy))
            }
            (None, Some(untrained)) => format!("k-NN accuracy {untrained}; not measured since"),
            (None, None) => return None,
        })
    }

    /// Crops that were found again, a line for each of what they were sought by; nothing where none were sought. `began` is
    /// what the model is called before its first step.
    pub fn crops(&self, began: &str) -> Vec<String> {
        let after = self.crops_after.map(|(done, crops)| (format!("after {done} steps"), crops));
        let before = self.crops_before.map(|crops| (began.to_owned(), crops));
        let raw = self.crops_raw.map(|crops| ("raw pixels".to_owned(), crops));
        let rows: Vec<(String, Accuracy)> = [after, before, raw].into_iter().flatten().collect();
        let Some((_, first)) = rows.first() else { return Vec::new() };
        let wide = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let head = format!(
            "crops that find the other one of their picture, {} pictures, 95 % interval",
            first.total
        );
        let row = |(name, crops): &(String, Accuracy)| format!("  {name:wide$}  {}", percent(*crops));
        std::iter::once(head).chain(rows.iter().map(row)).collect()
    }

    /// Whether the features became better, in plain words; `None` where that was not measured twice.
    pub fn improvement(&self) -> Option<String> {
        let change = |before: Option<Accuracy>, after: Option<(u64, Accuracy)>| {
            let ((steps, after), before) = (after?, before?);
            Some(AccuracyChange { before, after, steps })
        };
        let crops = change(self.crops_before, self.crops_after)?;
        Some(improvement::sentence(&crops, change(self.untrained, self.trained).as_ref()))
    }
}

fn contains(line: &[u8], what: &[u8]) -> bool {
    line.windows(what.len()).any(|part| part == what)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_goes_on_is_told_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("metrics.jsonl");
        let mut bytes = b"{\"iteration\":0,\"knn_correct\":1.0,\"knn_total\":4.0,\"knn_raw_pixels_correct\":2.0,\
            \"knn_raw_pixels_total\":4.0}\n{\"iteration\":0,\"loss\":5.5}\n\xff broken \"loss\":\n{\"iteration\":1,\"loss\":5.25}\n\
            {\"iteration\":2,\"loss\":5.0}\n"
            .to_vec();
        std::fs::write(&file, &bytes).unwrap();
        let history = RunMetricsSummary::read(&file);
        assert_eq!(history.loss().unwrap(), "loss 5.500 in step 1 → 5.000 in step 3");
        assert_eq!(history.raw_pixels.map(|a| a.value()), Some(0.5));
        let said = history.accuracy("untrained").unwrap();
        assert!(
            said.starts_with("k-NN accuracy untrained 25.0 %") && said.ends_with("not measured since"),
            "{said}"
        );

        bytes.extend(b"{\"iteration\":60,\"knn_correct\":3.0,\"knn_total\":4.0}\n");
        std::fs::write(&file, &bytes).unwrap();
        let said = RunMetricsSummary::read(&file).accuracy("as it began").unwrap();
        assert!(
            said.starts_with("k-NN accuracy after 60 steps 75.0 % (")
                && said.contains(", as it began 25.0 %"),
            "{said}"
        );
        assert!(RunMetricsSummary::read(&file).crops("untrained").is_empty());

        bytes.extend(
            b"{\"iteration\":0,\"crops_correct\":1.0,\"crops_total\":9.0,\"crops_raw_pixels_correct\":0.0,\
            \"crops_raw_pixels_total\":9.0}\n{\"iteration\":60,\"crops_correct\":2.0,\"crops_total\":9.0}\n",
        );
        std::fs::write(&file, &bytes).unwrap();
        let history = RunMetricsSummary::read(&file);
        let table = history.crops("as it began");
        assert!(
            table[0].contains("9 pictures") && table[1].starts_with("  after 60 steps  22.2 % ("),
            "{table:?}"
        );
        assert!(
            table[2].starts_with("  as it began     11.1 % (") && table[3].contains("raw pixels"),
            "{table:?}"
        );
        let said = history.improvement().unwrap();
        assert!(
            said.contains("may have made the features better") && said.contains("k-NN on their classes"),
            "{said}"
        );
        assert_eq!(RunMetricsSummary::read(&dir.path().join("none")), RunMetricsSummary::default());
        assert_eq!(
            (RunMetricsSummary::default().loss(), RunMetricsSummary::default().accuracy("untrained")),
            (None, None)
        );
    }
}

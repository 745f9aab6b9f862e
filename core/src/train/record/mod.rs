//! What a run writes down: metrics, TensorBoard events, pictures, and the report at its end.

pub(super) mod curves;
pub mod figures;
pub mod health;
pub mod improvement;
pub mod metrics;
pub mod metrics_lines;
pub mod report;
pub mod summary;
pub mod tensorboard;

use crate::files;
use std::collections::VecDeque;
use std::fmt::Display;
use std::path::PathBuf;

use super::film;
use super::protocol::{EngineError, TrainJob};
use super::run::{MetricsLine, MetricsLog, RunError, RunFolder, io, replace};
use super::watch::{WatchSnapshot, neighbours};
use crate::analysis::image_out::{png, write_png};
use crate::analysis::{AnalysisError, write_atomic};
use crate::data::Picture;
use crate::eval::Accuracy;
use crate::eval::agreement::TeacherAgreement;
use crate::eval::catalogue::EvaluationKind;
use crate::eval::knn::KnnResult;
use crate::eval::outcome::EvalReport;
use crate::eval::run::headline;
use health::{HealthAlarm, RunHealth};
use metrics::Values;
use tensorboard::TensorboardWriter;

/// Most lines of figures that wait in memory for a disk that refuses them.
const WAITING: usize = 10_000;

/// Writes a run's folder; does nothing for a run without one.
///
/// All of it is beside the run itself: what can't be written is said once, in [`RunRecorder::warnings`], and the run goes on.
pub(super) struct RunRecorder {
    open: Option<RecorderOutputs>,
    alarm: HealthAlarm,
    warnings: Vec<String>,
}

struct RecorderOutputs {
    folder: RunFolder,
    metrics: MetricsLog,
    /// Lines that the disk refused; they are tried again with the next.
    waiting: VecDeque<MetricsLine>,
    /// Outputs that are still written; each ends with its first failure.
    board: Option<TensorboardWriter>,
    pictures: bool,
    outcomes: bool,
}

impl RunRecorder {
    /// Opens the folder to go on after `iteration` steps.
    ///
    /// # Errors
    /// When the figures of the steps can't be kept: that is known before anything is lost.
    pub fn open(folder: Option<&RunFolder>, iteration: u64) -> Result<Self, EngineError> {
        let mut warnings = Vec::new();
        let open = match folder {
            None => None,
            Some(folder) => Some(RecorderOutputs {
                metrics: folder.metrics_from(iteration)?,
                waiting: VecDeque::new(),
                board: keep(board(folder, iteration), "TensorBoard's events", &mut warnings),
                pictures: true,
                outcomes: true,
                folder: folder.clone(),
            }),
        };
        Ok(Self { open, alarm: HealthAlarm::default(), warnings })
    }

    /// What could not be written since this was last asked.
    pub fn warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// What a person should know of the figures that were there.
    pub fn notes(&self) -> &[String] {
        self.open.as_ref().map_or(&[], |open| open.metrics.notes())
    }

    /// Figures of a step.
    pub fn figures(&mut self, iteration: u64, values: &Values) {
        let Some(open) = &mut self.open else { return };
        open.line(iteration, values, &mut self.warnings);
    }

    /// Has the figures on the disk, also for a power cut.
    pub fn sync(&mut self) {
        let Some(open) = &mut self.open else { return };
        open.write_waiting(&mut self.warnings);
        if let Err(failed) = open.metrics.sync() {
            self.warnings.push(format!("{failed}. The run goes on"));
        }
    }

    /// k-NN accuracies after `iteration` steps, and what student and frozen teacher have in common.
    pub fn accuracy(
        &mut self,
        iteration: u64,
        accuracy: &KnnResult,
        raw_pixels: Option<&KnnResult>,
        agreement: Option<&TeacherAgreement>,
    ) {
        let Some(open) = &mut self.open else { return };
        let mut values = Values::new();
        if let Some(agreement) = agreement {
            values.insert("agreement_cls".to_owned(), agreement.cls_cosine);
            values.insert("agreement_patches".to_owned(), agreement.patch_cosine);
            values.insert("agreement_neighbours".to_owned(), agreement.neighbours);
        }
        for (name, result) in [("knn", Some(accuracy)), ("knn_raw_pixels", raw_pixels)] {
            if let Some(score) = result.and_then(headline) {
                insert_accuracy(&mut values, name, score.top1);
            }
        }
        open.line(iteration, &values, &mut self.warnings);
    }

    /// How often crops of one picture found each other after `iteration` steps.
    pub fn crops(&mut self, iteration: u64, accuracy: Accuracy, raw_pixels: Option<Accuracy>) {
        let Some(open) = &mut self.open else { return };
        let mut values = Values::new();
        insert_accuracy(&mut values, "crops", accuracy);
        if let Some(raw) = raw_pixels {
            insert_accuracy(&mut values, "crops_raw_pixels", raw);
        }
        open.line(iteration, &values, &mut self.warnings);
    }

    /// Whether pictures are written down.
    pub fn keeps_pictures(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.pictures)
    }

    /// The nearest neighbours of a few pictures: `pictures/000100-neighbours.png`. Of the first moment and the newest
    /// there is one, and none of those in between.
    pub fn neighbours(&mut self, iteration: u64, sheet: &Picture) {
        let Some(open) = self.open.as_mut().filter(|open| open.pictures) else { return };
        let written = write_png(&neighbours::file(&open.folder, iteration), sheet);
        if keep(written, "pictures", &mut self.warnings).is_none() {
            open.pictures = false;
            return;
        }
        let all = neighbours::files(&open.folder);
        for (_, between) in all.iter().filter(|(step, _)| *step != 0 && *step < iteration) {
            // One that stays is no harm.
            let _ = files::remove_file(between);
        }
    }

    /// What else was measured after `iteration` steps: a figure among the metrics, and in `evaluations/` the newest
    /// outcome with its pictures.
    pub fn outcome(&mut self, iteration: u64, kind: EvaluationKind, outcome: &EvalReport) {
        let Some(open) = &mut self.open else { return };
        let Some(figure) = outcome.headline() else { return };
        if let Some(key) = kind.entry().run_figure {
            let values = Values::from([(key.to_owned(), figure.value)]);
            open.line(iteration, &values, &mut self.warnings);
        }
        if open.outcomes {
            let written = open.outcome(kind.id(), outcome);
            open.outcomes = keep(written, "evaluations", &mut self.warnings).is_some();
        }
    }

    /// Whether this judgement of the run is news: it goes wrong in a way that was not said yet.
    pub fn newly_wrong(&mut self, health: &RunHealth) -> bool {
        self.alarm.is_news(health)
    }

    /// The watched pictures: `pictures/000100.png` with all of a moment, and one file for each kind.
    pub fn pictures(&mut self, look: &WatchSnapshot) -> Option<PathBuf> {
        let open = self.open.as_mut().filter(|open| open.pictures)?;
        let written = open.look(look);
        let Some((path, size, encoded)) = keep(written, "pictures", &mut self.warnings) else {
            open.pictures = false;
            return None;
        };
        if let Some(board) = &mut open.board {
            let written = board.image(look.iteration, now(), "watched pictures", size, &encoded);
            if keep(written, "TensorBoard's events", &mut self.warnings).is_none() {
                open.board = None;
            }
        }
        Some(path)
    }

    /// Writes `report.html` and `film.png` from everything the folder holds.
    pub fn report(
        &mut self,
        job: &TrainJob,
        iteration: u64,
        skipped: &[(String, String)],
    ) -> Option<PathBuf> {
        let open = self.open.as_mut()?;
        open.write_waiting(&mut self.warnings);
        if !open.waiting.is_empty() {
            let lost =
                format!("{} lines of metrics.jsonl could not be written and are lost", open.waiting.len());
            self.warnings.push(lost);
        }
        if let Some(board) = &mut open.board {
            keep(board.flush(), "TensorBoard's events", &mut self.warnings);
        }
        if let Some(film) = summary::film(&open.folder) {
            keep(write_png(&open.folder.path().join("film.png"), &film), "the film", &mut self.warnings);
        }
        let path = open.folder.report_file();
        let written =
            summary::report(&open.folder, job, iteration, skipped).and_then(|html| replace(&path, &html));
        keep(written, "the report", &mut self.warnings).map(|()| path)
    }
}

/// The figures of an accuracy: its value, and what its interval is computed from.
fn insert_accuracy(values: &mut Values, name: &str, accuracy: Accuracy) {
    values.insert(format!("{name}_top1"), accuracy.value());
    values.insert(format!("{name}_correct"), accuracy.correct as f64);
    values.insert(format!("{name}_total"), accuracy.total as f64);
}

/// What was written, or `None` and a warning: from then on the run does without.
fn keep<T>(written: Result<T, impl Display>, what: &str, warnings: &mut Vec<String>) -> Option<T> {
    written.map_err(|failed| warnings.push(format!("{failed}. The run goes on without {what}"))).ok()
}

/// A sheet of pictures that was written: its path, size and content.
type Sheet = (PathBuf, (usize, usize), Vec<u8>);

impl RecorderOutputs {
    /// A line of `metrics.jsonl`, and the same for TensorBoard.
    fn line(&mut self, iteration: u64, values: &Values, warnings: &mut Vec<String>) {
        self.waiting.push_back(MetricsLine::new(iteration, values));
        self.write_waiting(warnings);
        if let Some(board) = &mut self.board {
            let finite = values.iter().filter(|(_, v)| v.is_finite()).map(|(k, v)| (k.as_str(), *v));
            let written = board.scalars(iteration, now(), finite);
            if keep(written, "TensorBoard's events", warnings).is_none() {
                self.board = None;
            }
        }
    }

    /// Writes the lines that wait, oldest first. Said once, until they could be written again.
    fn write_waiting(&mut self, warnings: &mut Vec<String>) {
        // With more than the line that just came, it was said before.
        let said = self.waiting.len() > 1;
        while let Some(line) = self.waiting.front() {
            if let Err(failed) = self.metrics.append(line) {
                if !said {
                    warnings.push(format!(
                        "{failed}. The run goes on, and it is tried again with the next figures"
                    ));
                }
                break;
            }
            self.waiting.pop_front();
        }
        if self.waiting.len() > WAITING {
            self.waiting.pop_front();
        }
    }

    /// The newest outcome of an evaluation.
    fn outcome(&self, name: &str, outcome: &EvalReport) -> Result<(), EngineError> {
        let folder = self.folder.path().join("evaluations");
        let json = serde_json::to_vec_pretty(outcome).unwrap_or_default();
        files::create_dir_all(&folder).map_err(io("create", &folder))?;
        write_atomic(&folder.join(format!("{name}.json")), &json)?;
        for shown in &outcome.pictures {
            write_png(&folder.join(format!("{name}-{}.png", shown.name)), &shown.picture)?;
        }
        Ok(())
    }

    /// Pictures of a look.
    fn look(&self, look: &WatchSnapshot) -> Result<Sheet, AnalysisError> {
        let sheet = look.sheet()?;
        let path = self.folder.pictures().join(format!("{:06}.png", look.iteration));
        let encoded = png(&sheet)?;
        write_atomic(&path, &encoded)?;
        for kind in look.kinds() {
            write_png(&film::file(&self.folder, look.iteration, kind), &look.grid(kind)?)?;
        }
        Ok((path, (sheet.width, sheet.height), encoded))
    }
}

/// A fresh event file that says what `metrics.jsonl` still says: a run that goes on repeats no step.
fn board(folder: &RunFolder, iteration: u64) -> Result<TensorboardWriter, RunError> {
    let dir = folder.tensorboard();
    let io = |source| RunError::Io { action: "clear", path: dir.display().to_string(), source };
    if files::exists(&dir) {
        files::remove_dir_all(&dir).map_err(io)?;
    }
    let mut board = TensorboardWriter::create(&dir, now()).map_err(RunError::from)?;
    let mut failed = None;
    folder.each_line(|line| {
        if line.iteration <= iteration && failed.is_none() {
            let values = line.values.iter().filter_map(|(k, v)| Some((k.as_str(), (*v)?)));
            failed = board.scalars(line.iteration, now(), values).err();
        }
    })?;
    failed.map_or(Ok(board), |error| Err(error.into()))
}

/// Seconds since 1970.
fn now() -> f64 {
    web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::train::Recipe;
    use metrics::of_pairs as values;

    fn folder(dir: &std::path::Path) -> RunFolder {
        RunFolder::create(&dir.join("run"), &Recipe::preset("nano").unwrap()).unwrap()
    }

    #[test]
    fn a_disk_that_refuses_figures_gets_them_later() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path());
        let mut record = RunRecorder::open(Some(&folder), 0).unwrap();
        let log = std::mem::replace(
            &mut record.open.as_mut().unwrap().metrics,
            MetricsLog::at(std::path::Path::new("/dev/full")).unwrap(),
        );
        for step in 0..3 {
            record.figures(step, &values(&[("loss", step as f64)]));
        }
        let said = record.warnings();
        assert!(said.len() == 1 && said[0].contains("tried again"), "{said:?}");
        record.open.as_mut().unwrap().metrics = log;
        record.figures(3, &values(&[("loss", 3.0)]));
        assert!(record.warnings().is_empty());
        let kept: Vec<u64> = folder.lines().iter().map(|line| line.iteration).collect();
        assert_eq!(kept, [0, 1, 2, 3]);
    }

    #[test]
    fn events_that_can_not_be_written_are_warned_of_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path());
        std::fs::remove_dir_all(folder.tensorboard()).unwrap();
        std::fs::write(folder.tensorboard(), "in the way").unwrap();
        let mut record = RunRecorder::open(Some(&folder), 0).unwrap();
        let said = record.warnings();
        assert!(said.len() == 1 && said[0].contains("without TensorBoard's events"), "{said:?}");
        record.figures(0, &values(&[("loss", 1.0)]));
        assert_eq!((record.warnings().len(), folder.lines().len()), (0, 1));
    }
}

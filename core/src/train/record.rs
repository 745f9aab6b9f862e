//! What a run writes down: metrics, TensorBoard events, pictures, and the report at its end.

use crate::files;
use std::path::PathBuf;

use super::film;
use super::health::{Health, Level};
use super::metrics::Values;
use super::probes;
use super::run::{Line, MetricsLog, RunError, RunFolder, replace};
use super::summary;
use super::tensorboard::TensorboardWriter;
use super::watch::Look;
use crate::analysis::image_out::{png, write_png};
use crate::analysis::write_atomic;
use crate::engine::{EngineError, Job};
use crate::eval::agreement::Agreement;
use crate::eval::knn::KnnResult;
use crate::eval::outcome::Outcome;
use crate::eval::run::headline;

/// Writes a run's folder; does nothing for a run without one.
pub(super) struct Record {
    open: Option<Open>,
    last_level: Level,
}

struct Open {
    folder: RunFolder,
    metrics: MetricsLog,
    board: TensorboardWriter,
}

impl Record {
    /// Opens the folder to go on after `iteration` steps.
    pub fn open(folder: Option<&RunFolder>, iteration: u64) -> Result<Self, EngineError> {
        let open = match folder {
            None => None,
            Some(folder) => Some(Open {
                metrics: folder.metrics_from(iteration)?,
                board: board(folder, iteration)?,
                folder: folder.clone(),
            }),
        };
        Ok(Self { open, last_level: Level::Fine })
    }

    /// Figures of a step.
    pub fn figures(&mut self, iteration: u64, values: &Values) -> Result<(), EngineError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.metrics.append(&Line::new(iteration, values))?;
        Ok(open.scalars(iteration, values)?)
    }

    /// k-NN accuracies after `iteration` steps, and what student and frozen teacher have in common.
    pub fn accuracy(
        &mut self,
        iteration: u64,
        accuracy: &KnnResult,
        raw_pixels: Option<&KnnResult>,
        agreement: Option<&Agreement>,
    ) -> Result<(), EngineError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut values = Values::new();
        if let Some(agreement) = agreement {
            values.insert("agreement_cls".to_owned(), agreement.cls_cosine);
            values.insert("agreement_patches".to_owned(), agreement.patch_cosine);
            values.insert("agreement_neighbours".to_owned(), agreement.neighbours);
        }
        for (name, result) in [("knn", Some(accuracy)), ("knn_raw_pixels", raw_pixels)] {
            if let Some(score) = result.and_then(headline) {
                values.insert(format!("{name}_top1"), score.top1.value());
                values.insert(format!("{name}_correct"), score.top1.correct as f64);
                values.insert(format!("{name}_total"), score.top1.total as f64);
            }
        }
        open.metrics.append(&Line::new(iteration, &values))?;
        Ok(open.scalars(iteration, &values)?)
    }

    /// What else was measured after `iteration` steps: a figure among the metrics, and in `evaluations/` the newest
    /// outcome with its pictures.
    pub fn outcome(&mut self, iteration: u64, name: &str, outcome: &Outcome) -> Result<(), EngineError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let Some(figure) = outcome.headline() else { return Ok(()) };
        let values = Values::from([(probes::metric(name).to_owned(), figure.value)]);
        open.metrics.append(&Line::new(iteration, &values))?;
        open.scalars(iteration, &values)?;
        let folder = open.folder.path().join("evaluations");
        let json = serde_json::to_vec_pretty(outcome).unwrap_or_default();
        files::create_dir_all(&folder).map_err(|source| RunError::Io {
            action: "create",
            path: folder.display().to_string(),
            source,
        })?;
        write_atomic(&folder.join(format!("{name}.json")), &json)?;
        for shown in &outcome.pictures {
            write_png(&folder.join(format!("{name}-{}.png", shown.name)), &shown.picture)?;
        }
        Ok(())
    }

    /// Whether a run that was fine before went wrong with this judgement.
    pub fn newly_wrong(&mut self, health: &Health) -> bool {
        let before = std::mem::replace(&mut self.last_level, health.level);
        health.level == Level::Wrong && before != Level::Wrong
    }

    /// The watched pictures: `pictures/000100.png` with all of a moment, and one file for each kind.
    pub fn pictures(&mut self, look: &Look) -> Result<Option<PathBuf>, EngineError> {
        let Some(open) = &mut self.open else { return Ok(None) };
        let sheet = look.sheet()?;
        let path = open.folder.pictures().join(format!("{:06}.png", look.iteration));
        let encoded = png(&sheet)?;
        write_atomic(&path, &encoded)?;
        for kind in look.kinds() {
            write_png(&film::file(&open.folder, look.iteration, kind), &look.grid(kind)?)?;
        }
        let size = (sheet.width, sheet.height);
        open.board
            .image(look.iteration, now(), "watched pictures", size, &encoded)
            .map_err(RunError::from)?;
        Ok(Some(path))
    }

    /// Writes `report.html` and `film.png` from everything the folder holds.
    pub fn report(
        &mut self,
        job: &Job,
        iteration: u64,
        skipped: &[(String, String)],
    ) -> Result<Option<PathBuf>, EngineError> {
        let Some(open) = &mut self.open else { return Ok(None) };
        open.board.flush().map_err(RunError::from)?;
        if let Some(film) = summary::film(&open.folder) {
            write_png(&open.folder.path().join("film.png"), &film)?;
        }
        let html = summary::report(&open.folder, job, iteration, skipped)?;
        let path = open.folder.report_file();
        replace(&path, &html)?;
        Ok(Some(path))
    }
}

impl Open {
    fn scalars(&mut self, iteration: u64, values: &Values) -> Result<(), RunError> {
        let finite = values.iter().filter(|(_, v)| v.is_finite()).map(|(k, v)| (k.as_str(), *v));
        self.board.scalars(iteration, now(), finite).map_err(RunError::from)
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
    for line in folder.lines().iter().filter(|l| l.iteration <= iteration) {
        let values = line.values.iter().filter_map(|(k, v)| Some((k.as_str(), (*v)?)));
        board.scalars(line.iteration, now(), values).map_err(RunError::from)?;
    }
    Ok(board)
}

/// Seconds since 1970.
fn now() -> f64 {
    web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

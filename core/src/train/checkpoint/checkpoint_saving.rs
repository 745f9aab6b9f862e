//! Checkpoints on the way and at the end of a run, and what is said when one can't be written.

use crate::data::DataError;
use crate::train::checkpoint::{self, CheckpointError};
use crate::train::protocol::{EngineError, RunCompletion, RunEvent};
use crate::train::trainer::Trainer;
use crate::train::unusable_pictures::{GONE, gone};

impl Trainer<'_> {
    /// Keeps the state while the run goes on. A disk that is full now may have room at the next checkpoint: that is a
    /// warning, once until one is written again. What is not finite, or a run whose folder has gone, ends it.
    pub(in crate::train) async fn save_midway(&mut self) -> Result<(), EngineError> {
        match self.save().await {
            Err(EngineError::Checkpoint(
                error @ (CheckpointError::NoRoom { .. } | CheckpointError::Io { .. }),
            )) => {
                if !std::mem::replace(&mut self.unsaved, true) {
                    let message =
                        format!("{error}. The run goes on, and it is tried again at the next checkpoint");
                    self.port.emit(RunEvent::Warning(message)).await;
                }
                Ok(())
            }
            other => other,
        }
    }

    /// Keeps the state, unless it is kept already. Only the first rank writes; the others have to ask too, for their parts of it.
    pub(in crate::train) async fn save(&mut self) -> Result<(), EngineError> {
        let due = self.job.folder.is_some() && self.saved_at != Some(self.state.iteration);
        if due {
            self.ensure_folder()?;
            // What the checkpoint stands on outlasts a power cut as it does.
            self.record.sync();
        }
        let shared = match &self.state.shards {
            Some(shards) if self.first_decides(due)? => Some(shards.whole_state(&self.state, due)),
            _ => None,
        };
        let Some(folder) = self.job.folder.as_ref().filter(|_| due) else { return Ok(()) };
        let (keep, recipe) = (self.job.recipe.train.keep_checkpoints, &self.job.recipe);
        let path = match checkpoint::save(&self.state, shared, recipe, &folder.checkpoints(), keep).await {
            Ok(path) => path,
            Err(CheckpointError::NotFinite { found }) => return Err(self.weights_not_finite(&found)),
            Err(other) => return Err(other.into()),
        };
        self.checkpoint = Some(path.clone());
        self.saved_at = Some(self.state.iteration);
        self.unsaved = false;
        self.port.emit(RunEvent::Checkpoint { iteration: self.state.iteration, path }).await;
        Ok(())
    }

    /// An error where the run's folder was moved or deleted, or another process took it: nothing may be put in its place.
    pub(in crate::train) fn ensure_folder(&self) -> Result<(), EngineError> {
        self.job.folder.as_ref().map_or(Ok(()), |folder| folder.ensure_ours().map_err(EngineError::from))
    }

    /// The error for numbers that no loss has seen yet, noticed after the steps done so far.
    pub(in crate::train) fn weights_not_finite(&self, found: &str) -> EngineError {
        let health = format!(
            "Not finite: {found}. Try a lower optim.base_lr, a longer optim.warmup or a smaller optim.clip (0 is none)."
        );
        self.not_finite(self.state.iteration.saturating_sub(1), health)
    }

    pub(in crate::train) fn not_finite(&self, iteration: u64, health: String) -> EngineError {
        let kept = match &self.checkpoint {
            Some(path) => format!("The last good checkpoint is {}.", path.display()),
            None => "No checkpoint had been written yet.".to_owned(),
        };
        EngineError::NotFinite { iteration, health, kept }
    }

    /// Ends a run for which no batch could be made.
    pub(in crate::train) async fn without_batch(&mut self, error: &DataError) -> EngineError {
        let why = match gone(&self.job.recipe) {
            true => GONE.to_owned(),
            false => format!("{error}; mend that"),
        };
        self.without_pictures(why).await
    }

    /// Ends a run that gets no more pictures, with what it has learned so far kept; `why` says what would help. The first rank says
    /// it.
    pub(in crate::train) async fn without_pictures(&mut self, why: String) -> EngineError {
        let iteration = self.state.iteration;
        let kept = match iteration {
            0 => Ok(String::new()),
            _ => self.save().await.map(|()| {
                let path = self.checkpoint.as_ref().map(|path| path.display().to_string());
                format!(" What was learned is kept in {}.", path.unwrap_or_default())
            }),
        };
        if self.job.folder.is_none() {
            // A rank that is not the first, or a run that is not kept.
            return self.job.ranks.ends(self.no_pictures(&why, ""));
        }
        let kept = match kept {
            Ok(kept) => kept,
            Err(error @ EngineError::NotFinite { .. }) => return error,
            Err(error) => format!(" What was learned since the last checkpoint is lost: {error}."),
        };
        self.no_pictures(&why, &kept)
    }

    fn no_pictures(&self, why: &str, kept: &str) -> EngineError {
        let iteration = self.state.iteration;
        let reason =
            format!("{why}, then go on with --resume. The run stopped after {iteration} steps.{kept}");
        EngineError::Data(DataError::Source { path: self.job.recipe.data.path.to_string(), reason })
    }

    /// The last checkpoint and the report.
    pub(in crate::train) async fn finish(mut self, stopped: bool) -> Result<RunCompletion, EngineError> {
        self.save().await?;
        let skipped = std::mem::take(&mut self.failing).into_all();
        let report = self.record.report(&self.job, self.state.iteration, &skipped);
        self.tell().await?;
        let iteration = self.state.iteration;
        Ok(RunCompletion { iteration, stopped, checkpoint: self.checkpoint, report, skipped })
    }
}

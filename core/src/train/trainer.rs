//! A whole run: batches in, steps, reports, pictures, evaluations and checkpoints out.

use std::path::PathBuf;

use super::batch::MicroBatch;
use super::checkpoint;
use super::feed::{BatchFeeder, pixel_statistics};
use super::fields;
use super::frozen_teacher::FrozenTeacher;
use super::gram_teacher::GramTeacher;
use super::health::diagnose;
use super::metrics::{DeviceMetrics, Values};
use super::preparation::{cautions, draw_masks, has_numbers, no_room, other_products, workers};
use super::protocol::{
    CommandsClosed, EngineError, RunChannels, RunCommand, RunCompletion, RunEvent, StepReport, TrainJob,
};
use super::ranks::{AskedOfAll, ensure_equal, own_masks, same_checkpoint};
use super::recipe::Recipe;
use super::record::RunRecorder;
use super::resume::{self, TrainDataFingerprint};
use super::resume_point::{self, ResumePoint};
use super::run_notes;
use super::schedule::{ScheduledValues, TrainSchedules};
use super::start;
use super::state::TrainerState;
use super::step::step;
use super::teacher_cache::{TeacherCache, TeacherCacheError};
use super::unusable_pictures::PictureFailures;
use super::watch::WatchedImages;
use crate::data::loader::BatchShare;
use crate::eval::agreement::AgreementProbe;

/// What happens between two steps.
pub(super) enum StepControl {
    Go,
    Stop,
}

/// A run on its way.
pub(super) struct Trainer<'a> {
    pub(super) job: TrainJob,
    pub(super) port: &'a RunChannels,
    pub(super) state: TrainerState,
    schedules: TrainSchedules,
    feed: BatchFeeder,
    /// What this process has of each batch.
    share: BatchShare,
    /// A recipe that the other ranks have yet to take over.
    pub(super) changed: Option<Recipe>,
    /// What the first rank is told to do, and all have to take part in.
    pub(super) asked: AskedOfAll,
    pub(super) record: RunRecorder,
    pub(super) watched: WatchedImages,
    /// What a frozen teacher said of views that never change.
    told: Option<TeacherCache>,
    /// Asks student and frozen teacher the same; made at the first evaluation.
    pub(super) probe: Option<AgreementProbe>,
    pub(super) failing: PictureFailures,
    /// The newest that was written or gone on from.
    pub(super) checkpoint: Option<PathBuf>,
    pub(super) saved_at: Option<u64>,
    /// Whether the last try to write one failed.
    pub(super) unsaved: bool,
    since_report: ThroughputSample,
}

/// Time since the last report.
struct ThroughputSample {
    start: web_time::Instant,
    waited: f64,
    /// Seconds that this rank has waited for others.
    waited_for_ranks: f64,
    iteration: u64,
}

/// Runs a job to its end.
///
/// # Errors
/// See [`EngineError`]; the newest checkpoint is kept in every case.
pub(crate) async fn run(job: TrainJob, port: &RunChannels) -> Result<RunCompletion, EngineError> {
    let mut job = job;
    let measured = pixel_statistics::settle(&mut job)?;
    let mut trainer = Trainer::set_up(job, port).await?;
    if let Some(measured) = measured {
        port.emit(RunEvent::Warning(measured)).await;
    }
    let total = trainer.job.recipe.train.iterations;
    let mut stopped = false;
    if trainer.state.iteration == 0 {
        trainer.look(true, true).await?;
    }
    while trainer.state.iteration < total {
        if let StepControl::Stop = trainer.between_steps().await? {
            stopped = true;
            break;
        }
        trainer.step().await?;
        port.yield_now().await;
    }
    trainer.finish(stopped).await
}

impl<'a> Trainer<'a> {
    async fn set_up(job: TrainJob, port: &'a RunChannels) -> Result<Self, EngineError> {
        let recipe = &job.recipe;
        let (device, ranks) = (&job.device.device, &job.ranks);
        let share = ranks.share(recipe)?;
        has_numbers(recipe.train.precision, device)?;
        let moved = |error| resume::moved_weights(&job, error);
        let frozen = FrozenTeacher::open(recipe, device).map_err(moved)?;
        let teacher = frozen.as_ref().map(|frozen| frozen.fingerprint.clone());
        let found = match (&job.folder, job.resume) {
            (Some(folder), true) => {
                resume_point::newest(recipe, frozen.as_ref(), &folder.checkpoints(), device)?
            }
            _ => None,
        };
        let first = found.as_ref().and_then(|found| found.path.clone());
        let load = |path: PathBuf| Ok(checkpoint::load(recipe, frozen.clone(), &path, device)?);
        let found = found.or(same_checkpoint(ranks, first, load)?.map(ResumePoint::fresh));
        let found = match found {
            Some(found) => found,
            None => {
                let mut fresh = TrainerState::distilling(recipe, frozen, device);
                fresh.gram = GramTeacher::open(recipe, device).map_err(moved)?;
                ResumePoint::fresh(start::fill(fresh, recipe, device).map_err(moved)?)
            }
        };
        let data = || TrainDataFingerprint::of(job.sources.train.as_ref(), teacher.as_deref());
        ensure_equal(ranks, &found.state, recipe, data).await?;
        let mut notes = Vec::new();
        if let Some(folder) = &job.folder {
            notes = resume::prepare_run_folder(folder, &job, teacher.as_deref(), found.state.iteration)?;
            let damage = found.set_aside();
            let kept = run_notes::add(folder, found.state.iteration, &damage);
            // The report does without; the person is told now in any case.
            notes.extend(damage.into_iter().chain(kept.err().map(|failed| failed.to_string())));
        }
        let ResumePoint { mut state, path: latest, .. } = found;
        state.pictures = job.sources.train.len();
        let group = ranks.group.with_wire(recipe.train.wire);
        let told = match (&state.frozen, &job.folder) {
            // Of the pictures of other ranks it would know nothing, and they would wait for whoever asks.
            (Some(frozen), Some(folder)) if recipe.distill.fixed_views && ranks.group.is_alone() => {
                let data = format!("{} {}", recipe.data.path, job.sources.description);
                let opened = TeacherCache::open(folder.path(), frozen, recipe, &data);
                Some(opened.map_err(TeacherCacheError::from)?)
            }
            _ => None,
        };
        let record = RunRecorder::open(job.folder.as_ref(), state.iteration)?;
        notes.extend(record.notes().iter().cloned());
        let parameters = {
            let mut count = 0;
            crate::model::params::visit(&state.student, |seen| count += seen.shape.iter().product::<usize>());
            count
        };
        port.emit(RunEvent::Started {
            recipe: Box::new(recipe.clone()),
            device: Self::device_name(&job.device.name, ranks),
            data: job.sources.description.clone(),
            parameters,
            iteration: state.iteration,
        })
        .await;
        notes.extend(job.folder.as_ref().and_then(|folder| no_room(folder, parameters)));
        let cautions = cautions(recipe, device, job.sources.train.as_ref(), share).into_iter();
        let cautions = cautions.chain(other_products(recipe, job.device.gpu));
        for caution in job.device.note.iter().cloned().chain(cautions).chain(notes) {
            port.emit(RunEvent::Warning(caution)).await;
        }
        let train = job.sources.train.clone();
        let feed = BatchFeeder::start(train, recipe, share, state.iteration, workers(recipe), device);
        state.share_out(recipe.train.shard, &group);
        let mut job = job;
        job.ranks.group = group;
        let recipe = &job.recipe;
        let (iteration, colours) = (state.iteration, state.colours.clone());
        Ok(Self {
            port,
            schedules: TrainSchedules::new(recipe),
            state,
            feed,
            share,
            changed: None,
            record,
            watched: WatchedImages::new(job.watch.clone(), recipe).following(colours),
            asked: AskedOfAll::default(),
            told,
            probe: None,
            failing: PictureFailures::default(),
            checkpoint: latest,
            saved_at: (iteration > 0).then_some(iteration),
            unsaved: false,
            since_report: ThroughputSample {
                start: web_time::Instant::now(),
                waited: 0.0,
                waited_for_ranks: job.ranks.group.waited(),
                iteration,
            },
            job,
        })
    }

    /// Carries out waiting commands, up to one that all ranks have to take part in; holds while paused, without polling.
    pub(super) async fn handle_commands(&mut self) -> Result<StepControl, EngineError> {
        if self.port.take_held() {
            self.since_report = self.pace();
        }
        loop {
            let command = if self.port.paused.get() {
                match self.port.next_command().await {
                    Ok(command) => command,
                    Err(CommandsClosed) => return Ok(StepControl::Stop), // whoever paused is gone
                }
            } else {
                match self.port.command() {
                    Ok(Some(command)) => command,
                    Ok(None) => return Ok(StepControl::Go),
                    Err(CommandsClosed) => return Ok(StepControl::Stop), // whoever started it is gone
                }
            };
            match command {
                RunCommand::Pause if !self.port.paused.get() => {
                    self.port.paused.set(true);
                    self.port.emit(RunEvent::Paused).await;
                }
                RunCommand::Resume if self.port.paused.get() => {
                    self.port.paused.set(false);
                    self.since_report = self.pace();
                    self.port.emit(RunEvent::Resumed).await;
                }
                RunCommand::Pause | RunCommand::Resume => {}
                RunCommand::Stop => return Ok(StepControl::Stop),
                RunCommand::Checkpoint => {
                    // Who asks for it hears of it.
                    self.unsaved = false;
                    self.asked.save = true;
                    return Ok(StepControl::Go);
                }
                RunCommand::Watch(pictures) => {
                    let colours = self.watched.colours();
                    self.watched = WatchedImages::new(pictures, &self.job.recipe).following(colours);
                    self.asked.pictures = true;
                    return Ok(StepControl::Go);
                }
                RunCommand::Change(wanted) => self.change(&wanted).await,
            }
        }
    }

    /// Takes over the live fields of another recipe.
    pub(super) async fn change(&mut self, wanted: &Recipe) {
        let (recipe, needs_restart) = match fields::take_over(&self.job.recipe, wanted) {
            Ok(taken) => taken,
            Err(refused) => return self.port.emit(RunEvent::Warning(refused.to_string())).await,
        };
        let before = std::mem::replace(&mut self.job.recipe, recipe);
        self.job.recipe.data.measured.clone_from(&before.data.measured);
        let recipe = &self.job.recipe;
        if recipe.train.workers != before.train.workers {
            let (train, device) = (self.job.sources.train.clone(), &self.job.device.device);
            self.feed =
                BatchFeeder::start(train, recipe, self.share, self.state.iteration, workers(recipe), device);
            self.since_report.waited = 0.0;
        }
        self.changed = Some(recipe.clone());
        // The run itself does not need the file: it goes on.
        if let Some(Err(failed)) = self.job.folder.as_ref().map(|folder| folder.write_recipe(recipe)) {
            self.port.emit(RunEvent::Warning(failed.to_string())).await;
        }
        self.port.emit(RunEvent::Changed { recipe: Box::new(recipe.clone()), needs_restart }).await;
    }

    /// One step of the method and whatever is due after it.
    async fn step(&mut self) -> Result<(), EngineError> {
        let iteration = self.state.iteration;
        let masks = own_masks(draw_masks(&self.job.recipe, iteration), self.share);
        let taken = self.feed.next(&self.job.recipe, &masks);
        let (mut parts, skipped) = self.agreed_batch(taken).await?;
        let pictures = self.job.sources.train.len();
        let news = self.failing.add(skipped, iteration, &self.job.recipe, pictures);
        let mut verdict = self.failing.verdict(&self.job.recipe, pictures);
        if self.failing.has_some() {
            verdict = self.first_says(verdict)?;
        }
        if let Some(why) = verdict {
            return Err(self.without_pictures(why).await);
        }
        for news in news {
            self.port.emit(RunEvent::Warning(news)).await;
        }
        self.ask_teacher(&mut parts).await?;
        let now = self.schedules.at(iteration);
        let metrics = step(&mut self.state, &parts, &self.job.recipe, &now, &self.job.ranks.group, |_| ());

        let done = self.state.iteration;
        let train = &self.job.recipe.train;
        let last = done == train.iterations;
        let due = |every: u64| every > 0 && done.is_multiple_of(every);
        let save = due(train.checkpoint_every) || last;
        let report = iteration == 0 || due(train.report_every) || save;
        let pictures = due(train.picture_every) || last;
        let evaluate = (due(train.evaluate_every) || last) && train.evaluate_every > 0;
        if report {
            self.report(iteration, metrics, now).await?;
        }
        self.look(pictures, evaluate).await?;
        // After what was reported at this step, so that a run that goes on repeats nothing. The last is kept at the end.
        if save && !last {
            self.save_midway().await?;
        }
        Ok(())
    }

    /// What a frozen teacher says of views that never change. Where that can't be kept, it is asked each time.
    async fn ask_teacher(&mut self, parts: &mut [MicroBatch]) -> Result<(), EngineError> {
        let (Some(told), Some(frozen)) = (&mut self.told, &self.state.frozen) else { return Ok(()) };
        for part in parts {
            match told.told(frozen, part, &self.job.recipe, &self.job.device.device).await {
                Ok(told) => part.told = Some(told),
                Err(failed @ TeacherCacheError::Io(_)) => {
                    self.told = None;
                    self.port.emit(RunEvent::Warning(failed.to_string())).await;
                    return Ok(());
                }
                Err(failed) => return Err(failed.into()),
            }
        }
        Ok(())
    }

    async fn report(
        &mut self,
        iteration: u64,
        metrics: DeviceMetrics,
        schedule: ScheduledValues,
    ) -> Result<(), EngineError> {
        let recipe = &self.job.recipe;
        let failed = |e: burn::tensor::ExecutionError| EngineError::Device {
            reason: e.to_string(),
            hint: super::memory::hint(recipe),
        };
        let mut values = self.over_ranks(metrics.read().await.map_err(failed)?)?;
        let health = diagnose(&values, recipe, iteration);
        let finite = values.get("loss").is_some_and(|loss| loss.is_finite());

        let pace = self.pace();
        let seconds = (pace.start - self.since_report.start).as_secs_f64().max(1e-9);
        let steps = (pace.iteration - self.since_report.iteration) as f64;
        let waited = ((pace.waited - self.since_report.waited) / seconds).clamp(0.0, 1.0);
        let for_ranks = (pace.waited_for_ranks - self.since_report.waited_for_ranks) / seconds;
        self.since_report = pace;
        scheduled_values(&schedule, &mut values);
        values.insert("steps_per_second".to_owned(), steps / seconds);
        let images_per_second = steps * recipe.train.batch as f64 / seconds;
        values.insert("images_per_second".to_owned(), images_per_second);
        values.insert("waited".to_owned(), waited);
        values.extend(self.rank_figures(images_per_second, for_ranks.clamp(0.0, 1.0))?);
        let memory = super::memory::in_use(&self.job.device.device);
        if let Some(memory) = &memory {
            values.insert("memory_used".to_owned(), memory.used as f64);
        }
        self.record.figures(iteration, &values);
        self.tell().await?;
        if !finite {
            let error = self.not_finite(iteration, health.sentences.join(" "));
            return Err(self.job.ranks.ends(error));
        }
        let event = StepReport {
            iteration,
            total: self.job.recipe.train.iterations,
            values,
            schedule,
            steps_per_second: steps / seconds,
            images_per_second,
            waited,
            health,
            memory,
        };
        if self.record.newly_wrong(&event.health) {
            self.port.emit(RunEvent::Warning(event.health.sentences.join(" "))).await;
        }
        self.port.emit(RunEvent::Step(Box::new(event))).await;
        Ok(())
    }

    fn pace(&self) -> ThroughputSample {
        ThroughputSample {
            start: web_time::Instant::now(),
            waited: self.feed.waited(),
            waited_for_ranks: self.job.ranks.group.waited(),
            iteration: self.state.iteration,
        }
    }

    /// Passes on what could not be written down: that ends a run only where its folder is gone altogether.
    pub(super) async fn tell(&mut self) -> Result<(), EngineError> {
        let warnings = self.record.warnings();
        if !warnings.is_empty() {
            self.ensure_folder()?;
        }
        for warning in warnings {
            self.port.emit(RunEvent::Warning(warning)).await;
        }
        Ok(())
    }
}

fn scheduled_values(schedule: &ScheduledValues, values: &mut Values) {
    for (name, value) in [
        ("lr", schedule.lr),
        ("last_layer_lr", schedule.last_layer_lr),
        ("weight_decay", schedule.weight_decay),
        ("momentum", schedule.momentum),
        ("teacher_temperature", schedule.teacher_temperature),
    ] {
        values.insert(name.to_owned(), value);
    }
}

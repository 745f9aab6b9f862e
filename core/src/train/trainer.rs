//! A whole run: batches in, steps, reports, pictures, evaluations and checkpoints out.

use std::collections::BTreeMap;

use async_channel::TryRecvError;
use burn::tensor::{DType, Device};

use super::checkpoint;
use super::feed::Feed;
use super::fields;
use super::frozen::Frozen;
use super::health::{Health, judge};
use super::metrics::{DeviceMetrics, Values};
use super::probes;
use super::recipe::{Blur, Numbers, Recipe};
use super::record::Record;
use super::schedule::{Scheduled, Schedules};
use super::start;
use super::state::State;
use super::step::step;
use super::teacher_cache::{CacheError, TeacherCache};
use super::watch::Watched;
use crate::data::augment::{BlurProbability, CropRecipe};
use crate::data::loader::Skipped;
use crate::engine::{Command, EngineError, Event, Finished, Job, Port, Step};
use crate::eval::agreement::{Agreement, Probe};
use crate::eval::run::{EvaluationError, knn_of_backbone, knn_of_pixels};
use crate::eval::suite::{self, Options};
use crate::rng::stream;
use crate::ssl::{Masks, OneProcess};

/// Pictures that an evaluation passes through the backbone at once.
const EVALUATION_BATCH: usize = 64;

/// Multi-crop as the recipe says.
pub fn crop_recipe(recipe: &Recipe) -> CropRecipe {
    let c = &recipe.crops;
    CropRecipe {
        global_size: c.global_size,
        local_size: c.local_size,
        locals: c.locals,
        global_scale: (c.global_scale[0], c.global_scale[1]),
        local_scale: (c.local_scale[0], c.local_scale[1]),
        blur: match c.blur {
            Blur::Official => BlurProbability::OFFICIAL,
            Blur::Intended => BlurProbability::INTENDED,
            Blur::None => BlurProbability::NONE,
        },
        brightness: c.brightness,
        contrast: c.contrast,
        saturation: c.saturation,
        hue: c.hue,
        grayscale: c.grayscale,
        solarize: c.solarize,
        fixed: recipe.distill.fixed_views,
        ..CropRecipe::default()
    }
}

/// Patches of a step's global crops that iBOT is taken on; the same for the same seed and iteration. In pre-training
/// they are hidden from the student, in distillation they are not.
pub fn draw_masks(recipe: &Recipe, iteration: u64) -> Masks {
    let grid = recipe.crops.global_size / recipe.model.patch;
    let rng = &mut stream(recipe.train.seed, "mask", iteration, 0);
    if recipe.distill.is_on() {
        return Masks::share(recipe.distill.patches, 2 * recipe.train.batch, grid * grid, rng);
    }
    Masks::draw(&recipe.mask, 2 * recipe.train.batch, grid, grid, rng)
}

/// Rows that masked patches are padded to in each part of a batch: the next multiple of this, so that a GPU meets few
/// shapes and nobody computes the method's upper bound, which is half again as much as is masked on average.
pub const MASK_ROWS: usize = 64;

/// Worker threads that keep the device busy: all cores but one, at most eight, unless the recipe says. A browser has none.
fn workers(recipe: &Recipe) -> usize {
    if cfg!(target_family = "wasm") {
        return 0;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if recipe.train.workers > 0 { recipe.train.workers } else { (cores - 1).clamp(1, 8) }
}

/// Whether the device can compute with the recipe's numbers.
fn has_numbers(numbers: Numbers, device: &Device) -> Result<(), EngineError> {
    let (name, dtype) = match numbers {
        Numbers::F32 => return Ok(()),
        Numbers::F16 => ("f16", DType::F16),
        Numbers::Bf16 => ("bf16", DType::BF16),
    };
    if device.supports_dtype(dtype) {
        return Ok(());
    }
    let hint = "train.precision = \"f32\" runs everywhere.".to_owned();
    Err(EngineError::Device { reason: format!("it has no {name} numbers"), hint })
}

/// What happens between two steps.
enum Flow {
    Go,
    Stop,
}

/// A run on its way.
struct Trainer<'a> {
    job: Job,
    port: &'a Port,
    state: State,
    schedules: Schedules,
    feed: Feed,
    record: Record,
    watched: Watched,
    /// What a frozen teacher said of views that never change.
    told: Option<TeacherCache>,
    /// Asks student and frozen teacher the same; made at the first evaluation.
    probe: Option<Probe>,
    skipped: BTreeMap<String, String>,
    checkpoint: Option<std::path::PathBuf>,
    saved_at: Option<u64>,
    since_report: Pace,
}

/// Time since the last report.
struct Pace {
    start: web_time::Instant,
    waited: f64,
    iteration: u64,
}

/// Runs a job to its end.
///
/// # Errors
/// See [`EngineError`]; the newest checkpoint is kept in every case.
pub(crate) async fn run(job: Job, port: &Port) -> Result<Finished, EngineError> {
    let mut trainer = Trainer::set_up(job, port).await?;
    let total = trainer.job.recipe.train.iterations;
    let mut stopped = false;
    if trainer.state.iteration == 0 {
        trainer.pictures().await?;
        trainer.evaluate().await?;
    }
    while trainer.state.iteration < total {
        if let Flow::Stop = trainer.obey().await? {
            stopped = true;
            break;
        }
        trainer.step().await?;
        port.breathe().await;
    }
    trainer.finish(stopped).await
}

impl<'a> Trainer<'a> {
    async fn set_up(job: Job, port: &'a Port) -> Result<Self, EngineError> {
        let recipe = &job.recipe;
        let device = &job.device.device;
        has_numbers(recipe.train.precision, device)?;
        let latest = match (&job.folder, job.resume) {
            (Some(folder), true) => folder.latest_checkpoint(),
            _ => None,
        };
        let frozen = Frozen::open(recipe, device)?;
        let mut state = match &latest {
            Some((_, path)) => checkpoint::load(recipe, frozen, path, device)?,
            None => start::fill(State::distilling(recipe, frozen, device), recipe, device)?,
        };
        state.pictures = job.sources.train.len();
        let told = match (&state.frozen, &job.folder) {
            (Some(frozen), Some(folder)) if recipe.distill.fixed_views => {
                let data = format!("{} {}", recipe.data.path, job.sources.description);
                let opened = TeacherCache::open(folder.path(), frozen, recipe, &data);
                Some(opened.map_err(CacheError::from)?)
            }
            _ => None,
        };
        let record = Record::open(job.folder.as_ref(), state.iteration)?;
        let feed = Feed::start(job.sources.train.clone(), recipe, state.iteration, workers(recipe), device);
        let parameters = {
            let mut count = 0;
            crate::model::params::visit(&state.student, |seen| count += seen.shape.iter().product::<usize>());
            count
        };
        port.emit(Event::Started {
            recipe: Box::new(recipe.clone()),
            device: job.device.name.clone(),
            data: job.sources.description.clone(),
            parameters,
            iteration: state.iteration,
        })
        .await;
        if let Some(note) = &job.device.note {
            port.emit(Event::Warning(note.clone())).await;
        }
        let iteration = state.iteration;
        Ok(Self {
            port,
            schedules: Schedules::new(recipe),
            state,
            feed,
            record,
            watched: Watched::new(job.watch.clone(), recipe),
            told,
            probe: None,
            job,
            skipped: BTreeMap::new(),
            checkpoint: latest.map(|(_, path)| path),
            saved_at: (iteration > 0).then_some(iteration),
            since_report: Pace { start: web_time::Instant::now(), waited: 0.0, iteration },
        })
    }

    /// Carries out waiting commands; holds while paused, without polling.
    async fn obey(&mut self) -> Result<Flow, EngineError> {
        let mut paused = false;
        loop {
            let command = if paused {
                match self.port.commands.recv().await {
                    Ok(command) => command,
                    Err(_) => return Ok(Flow::Stop), // whoever paused is gone
                }
            } else {
                match self.port.commands.try_recv() {
                    Ok(command) => command,
                    Err(TryRecvError::Empty) => return Ok(Flow::Go),
                    Err(TryRecvError::Closed) => return Ok(Flow::Stop), // whoever started it is gone
                }
            };
            match command {
                Command::Pause if !paused => {
                    paused = true;
                    self.port.emit(Event::Paused).await;
                }
                Command::Resume if paused => {
                    paused = false;
                    self.since_report = self.pace();
                    self.port.emit(Event::Resumed).await;
                }
                Command::Pause | Command::Resume => {}
                Command::Stop => return Ok(Flow::Stop),
                Command::Checkpoint => self.save().await?,
                Command::Watch(pictures) => {
                    self.watched = Watched::new(pictures, &self.job.recipe);
                    self.pictures().await?;
                }
                Command::Change(wanted) => self.change(&wanted).await,
            }
        }
    }

    /// Takes over the live fields of another recipe.
    async fn change(&mut self, wanted: &Recipe) {
        let (recipe, needs_restart) = match fields::take_over(&self.job.recipe, wanted) {
            Ok(taken) => taken,
            Err(refused) => return self.port.emit(Event::Warning(refused.to_string())).await,
        };
        let before = std::mem::replace(&mut self.job.recipe, recipe);
        let recipe = &self.job.recipe;
        if recipe.train.workers != before.train.workers {
            let (train, device) = (self.job.sources.train.clone(), &self.job.device.device);
            self.feed = Feed::start(train, recipe, self.state.iteration, workers(recipe), device);
            self.since_report.waited = 0.0;
        }
        // The run itself does not need the file: it goes on.
        if let Some(Err(failed)) = self.job.folder.as_ref().map(|folder| folder.write_recipe(recipe)) {
            self.port.emit(Event::Warning(failed.to_string())).await;
        }
        self.port.emit(Event::Changed { recipe: Box::new(recipe.clone()), needs_restart }).await;
    }

    /// One step of the method and whatever is due after it.
    async fn step(&mut self) -> Result<(), EngineError> {
        let iteration = self.state.iteration;
        let masks = draw_masks(&self.job.recipe, iteration);
        let (mut parts, skipped) = self.feed.next(&self.job.recipe, &masks)?;
        self.warn_of_skipped(skipped).await;
        if let (Some(told), Some(frozen)) = (&mut self.told, &self.state.frozen) {
            for part in &mut parts {
                part.told = Some(told.told(frozen, part, &self.job.recipe, &self.job.device.device).await?);
            }
        }
        let now = self.schedules.at(iteration);
        let metrics = step(&mut self.state, &parts, &self.job.recipe, &now, &OneProcess, |_| ());

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
        if pictures {
            self.pictures().await?;
        }
        if evaluate {
            self.evaluate().await?;
        }
        // After what was reported at this step, so that a run that goes on repeats nothing.
        if save {
            self.save().await?;
        }
        Ok(())
    }

    async fn report(
        &mut self,
        iteration: u64,
        metrics: DeviceMetrics,
        schedule: Scheduled,
    ) -> Result<(), EngineError> {
        let recipe = &self.job.recipe;
        let failed = |e: burn::tensor::ExecutionError| EngineError::Device {
            reason: e.to_string(),
            hint: super::memory::hint(recipe),
        };
        let mut values = metrics.read().await.map_err(failed)?;
        let health = judge(&values, recipe, iteration);
        let finite = values.get("loss").is_some_and(|loss| loss.is_finite());

        let pace = self.pace();
        let seconds = (pace.start - self.since_report.start).as_secs_f64().max(1e-9);
        let steps = (pace.iteration - self.since_report.iteration) as f64;
        let waited = ((pace.waited - self.since_report.waited) / seconds).clamp(0.0, 1.0);
        self.since_report = pace;
        scheduled_values(&schedule, &mut values);
        values.insert("steps_per_second".to_owned(), steps / seconds);
        values.insert("images_per_second".to_owned(), steps * recipe.train.batch as f64 / seconds);
        values.insert("waited".to_owned(), waited);
        let memory = super::memory::in_use(&self.job.device.device);
        if let Some(memory) = &memory {
            values.insert("memory_used".to_owned(), memory.used as f64);
        }
        self.record.figures(iteration, &values)?;
        if !finite {
            return Err(self.not_finite(iteration, &health));
        }
        let event = Step {
            iteration,
            total: recipe.train.iterations,
            values,
            schedule,
            steps_per_second: steps / seconds,
            images_per_second: steps * recipe.train.batch as f64 / seconds,
            waited,
            health,
            memory,
        };
        if self.record.newly_wrong(&event.health) {
            self.port.emit(Event::Warning(event.health.sentences.join(" "))).await;
        }
        self.port.emit(Event::Step(Box::new(event))).await;
        Ok(())
    }

    fn not_finite(&self, iteration: u64, health: &Health) -> EngineError {
        let kept = match &self.checkpoint {
            Some(path) => format!("The last good checkpoint is {}.", path.display()),
            None => "No checkpoint had been written yet.".to_owned(),
        };
        EngineError::NotFinite { iteration, health: health.sentences.join(" "), kept }
    }

    fn pace(&self) -> Pace {
        Pace { start: web_time::Instant::now(), waited: self.feed.waited(), iteration: self.state.iteration }
    }

    async fn warn_of_skipped(&mut self, skipped: Vec<Skipped>) {
        for skipped in skipped {
            if self.skipped.insert(skipped.name.clone(), skipped.reason.clone()).is_none() {
                let message = format!("skipped {}: {}", skipped.name, skipped.reason);
                self.port.emit(Event::Warning(message)).await;
            }
        }
    }

    /// PCA and attention of the watched pictures, from the teacher.
    async fn pictures(&mut self) -> Result<(), EngineError> {
        if self.watched.is_empty() {
            return Ok(());
        }
        let iteration = self.state.iteration;
        let (backbone, device) = (&self.state.teacher.backbone, &self.job.device.device);
        let breathe = async || self.port.breathe().await;
        let frozen = self.state.frozen.as_ref().map(|frozen| &frozen.backbone);
        let look = self.watched.look(backbone, frozen, iteration, device, breathe).await?;
        let path = self.record.pictures(&look)?;
        self.port.show(look);
        self.port.emit(Event::Pictures { iteration, path }).await;
        Ok(())
    }

    /// k-NN of the teacher's CLS features, where there are labels.
    async fn evaluate(&mut self) -> Result<(), EngineError> {
        let recipe = &self.job.recipe;
        let Some(labelled) = self.job.sources.labelled.as_ref().filter(|_| recipe.train.evaluate_every > 0)
        else {
            return Ok(());
        };
        let size = recipe.crops.global_size;
        let device = &self.job.device.device;
        let backbone = &self.state.teacher.backbone;
        let breathe = async |_, _| self.port.breathe().await;
        let evaluated = knn_of_backbone(backbone, labelled, size, EVALUATION_BATCH, device, breathe).await?;
        self.skipped.extend(evaluated.skipped);
        let accuracy = evaluated.result;
        let raw_pixels = match self.state.iteration {
            0 => Some(knn_of_pixels(labelled, size)?.result),
            _ => None,
        };
        let iteration = self.state.iteration;
        let agreement = self.agreement().await?;
        self.record.accuracy(iteration, &accuracy, raw_pixels.as_ref(), agreement.as_ref())?;
        self.port.emit(Event::Evaluation { iteration, accuracy, raw_pixels, agreement }).await;
        self.judge().await
    }

    /// What the recipe asks for beside k-NN. What can't be measured is a warning: the run goes on.
    async fn judge(&mut self) -> Result<(), EngineError> {
        let iteration = self.state.iteration;
        let recipe = &self.job.recipe;
        let device = &self.job.device.device;
        for (name, task) in probes::tasks(recipe, self.job.sources.labelled.as_ref()) {
            let outcome = match task {
                Ok(task) => {
                    let options = Options { alone: true, ..Options::new(recipe.crops.global_size) };
                    let backbone = &self.state.teacher.backbone;
                    let mut hear = async |_| {
                        self.port.breathe().await;
                        true
                    };
                    suite::evaluate(&task, backbone, &options, device, &mut hear)
                        .await
                        .map_err(|e| e.to_string())
                }
                Err(reason) => Err(reason),
            };
            match outcome {
                Ok(outcome) => {
                    self.record.outcome(iteration, name, &outcome)?;
                    self.port
                        .emit(Event::Judged { iteration, name: name.to_owned(), outcome: Box::new(outcome) })
                        .await;
                }
                Err(reason) => self.port.emit(Event::Warning(format!("{name}: {reason}"))).await,
            }
        }
        Ok(())
    }

    /// What the student, in the average that is kept, has in common with a frozen teacher, on pictures that are judged.
    async fn agreement(&mut self) -> Result<Option<Agreement>, EngineError> {
        let (Some(frozen), Some(labelled)) = (&self.state.frozen, &self.job.sources.labelled) else {
            return Ok(None);
        };
        let (recipe, device) = (&self.job.recipe, &self.job.device.device);
        let breathe = async || self.port.breathe().await;
        let failed = |e| EngineError::Evaluation(EvaluationError::Device(e));
        if self.probe.is_none() {
            let (source, patch) = (labelled.test.as_ref(), recipe.model.patch);
            let size = recipe.crops.global_size;
            self.probe =
                Probe::new(&frozen.backbone, source, size, patch, device, breathe).await.map_err(failed)?;
        }
        let breathe = async || self.port.breathe().await;
        match &self.probe {
            Some(probe) => {
                let student = &self.state.teacher.backbone;
                Ok(Some(probe.agreement(student, device, breathe).await.map_err(failed)?))
            }
            None => Ok(None),
        }
    }

    async fn save(&mut self) -> Result<(), EngineError> {
        let Some(folder) = &self.job.folder else { return Ok(()) };
        if self.saved_at == Some(self.state.iteration) {
            return Ok(());
        }
        let keep = self.job.recipe.train.keep_checkpoints;
        let path = checkpoint::save(&self.state, &self.job.recipe, &folder.checkpoints(), keep).await?;
        self.checkpoint = Some(path.clone());
        self.saved_at = Some(self.state.iteration);
        self.port.emit(Event::Checkpoint { iteration: self.state.iteration, path }).await;
        Ok(())
    }

    async fn finish(mut self, stopped: bool) -> Result<Finished, EngineError> {
        self.save().await?;
        let skipped: Vec<(String, String)> = self.skipped.into_iter().collect();
        let report = self.record.report(&self.job, self.state.iteration, &skipped)?;
        Ok(Finished {
            iteration: self.state.iteration,
            stopped,
            checkpoint: self.checkpoint,
            report,
            skipped,
        })
    }
}

fn scheduled_values(schedule: &Scheduled, values: &mut Values) {
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

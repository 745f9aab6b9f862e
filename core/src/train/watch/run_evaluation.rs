//! What is looked at while a run goes on: the watched pictures, k-NN, crops that are found again, and what the recipe asks
//! for beside them.

use crate::analysis::AnalysisError;
use crate::eval::EvalProtocolError;
use crate::eval::agreement::{AgreementProbe, TeacherAgreement};
use crate::eval::catalogue;
use crate::eval::crops::{CropPairs, MOST_PICTURES};
use crate::eval::run::{EvaluationError, knn_of_backbone, knn_of_pixels};
use crate::eval::suite::{self, EvalOptions};
use crate::train::preparation::crop_recipe;
use crate::train::probes;
use crate::train::protocol::{EngineError, RunEvent};
use crate::train::side_task::{SideTask, SideTaskReporter};
use crate::train::trainer::Trainer;
use crate::train::watch::neighbours;

/// Pictures that an evaluation passes through the backbone at once.
const EVALUATION_BATCH: usize = 64;

/// Whether what is measured next is to be measured.
enum EvaluationFlow {
    GoesOn,
    /// The run is to stop.
    Stopped,
}

impl Trainer<'_> {
    /// The watched pictures and all evaluations, where they are due: the first rank's, for which all bring the teacher together
    /// where they share it.
    pub(in crate::train) async fn look(&mut self, pictures: bool, evaluate: bool) -> Result<(), EngineError> {
        let evaluate = evaluate && self.job.recipe.train.evaluate_every > 0;
        if !pictures && !evaluate {
            return Ok(());
        }
        let whole = self.state.whole_teacher(self.job.ranks.group.is_first());
        let shared = std::mem::replace(&mut self.state.teacher, whole);
        if pictures {
            self.pictures().await?;
        }
        if evaluate {
            self.evaluate().await?;
        }
        if self.state.shards.is_some() {
            self.state.teacher = shared;
        }
        Ok(())
    }

    /// PCA and attention of the watched pictures, from the teacher.
    async fn pictures(&mut self) -> Result<(), EngineError> {
        if self.watched.is_empty() || !self.job.ranks.group.is_first() {
            return Ok(());
        }
        let iteration = self.state.iteration;
        let (backbone, device) = (&self.state.teacher.backbone, &self.job.device.device);
        let mut reporter = SideTaskReporter::new(self.port, &self.job.recipe, iteration, SideTask::Watched);
        let on_progress = async |done, total| {
            reporter.progress(done, total).await;
        };
        let frozen = self.state.frozen.as_ref().map(|frozen| &frozen.backbone);
        let look = match self.watched.look(backbone, frozen, iteration, device, on_progress).await {
            Ok(look) => look,
            Err(EngineError::Analysis(AnalysisError::NotFinite { .. })) => {
                return Err(self.weights_not_finite("features of the watched pictures"));
            }
            // What can't be shown is no reason to end.
            Err(EngineError::Analysis(error)) => {
                self.port.emit(RunEvent::Warning(format!("pictures after {iteration} steps: {error}"))).await;
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        self.state.colours = self.watched.colours();
        let path = self.record.pictures(&look);
        self.tell().await?;
        self.port.show(look);
        self.port.emit(RunEvent::Pictures { iteration, path }).await;
        Ok(())
    }

    /// All that is measured of the teacher's CLS features: k-NN where there are labels, crops that find each other on any
    /// pictures, and what the recipe asks for.
    async fn evaluate(&mut self) -> Result<(), EngineError> {
        if !self.job.ranks.group.is_first() {
            return Ok(());
        }
        if let EvaluationFlow::Stopped = self.knn().await? {
            return Ok(());
        }
        if let EvaluationFlow::Stopped = self.crops().await? {
            return Ok(());
        }
        match self.job.sources.labelled {
            Some(_) => self.other_evaluations().await,
            None => Ok(()),
        }
    }

    /// k-NN, where there are labels.
    async fn knn(&mut self) -> Result<EvaluationFlow, EngineError> {
        let recipe = &self.job.recipe;
        let Some(labelled) = self.job.sources.labelled.as_ref() else { return Ok(EvaluationFlow::GoesOn) };
        let size = recipe.crops.global_size;
        let device = &self.job.device.device;
        let backbone = &self.state.teacher.backbone;
        let iteration = self.state.iteration;
        let mut reporter = SideTaskReporter::new(self.port, recipe, iteration, SideTask::Knn);
        reporter.progress(0, labelled.train.len() + labelled.test.len()).await;
        let on_progress = async |done, total| reporter.progress(done, total).await;
        let measured = async {
            let own =
                knn_of_backbone(backbone, labelled, size, EVALUATION_BATCH, device, on_progress).await?;
            let raw = if iteration == 0 && self.port.goes_on().await {
                Some(knn_of_pixels(labelled, size)?.result)
            } else {
                None
            };
            Ok::<_, EvaluationError>((own, raw))
        };
        let (evaluated, raw_pixels) = match measured.await {
            Ok(measured) => measured,
            Err(EvaluationError::Protocol(EvalProtocolError::NotFinite { .. })) => {
                return Err(self.weights_not_finite("features of the labelled pictures"));
            }
            Err(error @ EvaluationError::Device(_)) => return Err(error.into()),
            Err(error) if error.is_stopped() => return Ok(EvaluationFlow::Stopped),
            // What can't be measured is no reason to end: the run goes on.
            Err(error) => {
                self.port.emit(RunEvent::Warning(format!("k-NN after {iteration} steps: {error}"))).await;
                return Ok(EvaluationFlow::GoesOn);
            }
        };
        self.failing.add_judged(evaluated.skipped);
        let accuracy = evaluated.result;
        let agreement = self.agreement().await?;
        self.record.accuracy(iteration, &accuracy, raw_pixels.as_ref(), agreement.as_ref());
        self.tell().await?;
        self.port.emit(RunEvent::Evaluation { iteration, accuracy, raw_pixels, agreement }).await;
        Ok(EvaluationFlow::GoesOn)
    }

    /// How often two crops of one picture find each other, and who the neighbours of a few pictures are. What training can't
    /// load it says itself, so that nothing is said of it here.
    async fn crops(&mut self) -> Result<EvaluationFlow, EngineError> {
        let (recipe, device) = (&self.job.recipe, &self.job.device.device);
        let (source, backbone) = (self.job.sources.train.as_ref(), &self.state.teacher.backbone);
        let iteration = self.state.iteration;
        let pairs = CropPairs::new(source, crop_recipe(recipe), recipe.train.seed, MOST_PICTURES);
        let sheet = self.record.keeps_pictures();
        let all = pairs.len() * if sheet { 2 } else { 1 };
        let mut reporter = SideTaskReporter::new(self.port, recipe, iteration, SideTask::Crops);
        let measured = async {
            let own = async |done, _| reporter.progress(done, all).await;
            let own = pairs.of_backbone(backbone, EVALUATION_BATCH, device, own).await?;
            let raw = match iteration {
                0 => pairs.of_pixels(async |_, _| self.port.goes_on().await).await?.accuracy(),
                _ => None,
            };
            let neighbours = match sheet {
                true => {
                    let progress = async |done| reporter.progress(pairs.len() + done, all).await;
                    neighbours::sheet(backbone, source, recipe.crops.global_size, device, progress).await?
                }
                false => None,
            };
            Ok::<_, EvaluationError>((own.accuracy(), raw, neighbours))
        };
        let (accuracy, raw_pixels, neighbours) = match measured.await {
            Ok(measured) => measured,
            Err(EvaluationError::Protocol(EvalProtocolError::NotFinite { .. })) => {
                return Err(self.weights_not_finite("features of the pictures' crops"));
            }
            Err(error @ EvaluationError::Device(_)) => return Err(error.into()),
            Err(error) if error.is_stopped() => return Ok(EvaluationFlow::Stopped),
            Err(error) => {
                let said = format!("crop retrieval after {iteration} steps: {error}");
                self.port.emit(RunEvent::Warning(said)).await;
                return Ok(EvaluationFlow::GoesOn);
            }
        };
        if let Some(sheet) = &neighbours {
            self.record.neighbours(iteration, sheet);
        }
        let Some(accuracy) = accuracy else { return Ok(EvaluationFlow::GoesOn) };
        self.record.crops(iteration, accuracy, raw_pixels);
        self.tell().await?;
        self.port.emit(RunEvent::Crops { iteration, accuracy, raw_pixels }).await;
        Ok(EvaluationFlow::GoesOn)
    }

    /// What the recipe asks for beside k-NN. What can't be measured is a warning: the run goes on.
    async fn other_evaluations(&mut self) -> Result<(), EngineError> {
        let iteration = self.state.iteration;
        let (recipe, device) = (self.job.recipe.clone(), self.job.device.device.clone());
        for (kind, task) in probes::tasks(&recipe, self.job.sources.labelled.as_ref()) {
            let outcome = match task {
                Ok(task) => {
                    let options = EvalOptions { alone: true, ..EvalOptions::new(recipe.crops.global_size) };
                    let backbone = &self.state.teacher.backbone;
                    let mut reporter =
                        SideTaskReporter::new(self.port, &recipe, iteration, SideTask::Evaluation);
                    let mut on_progress =
                        async |at: suite::EvalProgress| reporter.progress(at.done, at.total).await;
                    match catalogue::evaluate(&task, backbone, &options, &device, &mut on_progress).await {
                        Err(stopped) if stopped.is_stopped() => return Ok(()),
                        outcome => outcome.map_err(|error| error.to_string()),
                    }
                }
                Err(reason) => Err(reason),
            };
            match outcome {
                Ok(outcome) => {
                    self.record.outcome(iteration, kind, &outcome);
                    self.tell().await?;
                    self.port
                        .emit(RunEvent::Judged {
                            iteration,
                            name: kind.id().to_owned(),
                            outcome: Box::new(outcome),
                        })
                        .await;
                }
                Err(reason) => self.port.emit(RunEvent::Warning(format!("{}: {reason}", kind.id()))).await,
            }
        }
        Ok(())
    }

    /// What the student, in the average that is kept, has in common with a frozen teacher, on pictures that are judged.
    async fn agreement(&mut self) -> Result<Option<TeacherAgreement>, EngineError> {
        let (Some(frozen), Some(labelled)) = (&self.state.frozen, &self.job.sources.labelled) else {
            return Ok(None);
        };
        let (recipe, device) = (&self.job.recipe, &self.job.device.device);
        let between = async || {
            self.port.goes_on().await;
        };
        let failed = |e| EngineError::Evaluation(EvaluationError::Device(e));
        if self.probe.is_none() {
            let (source, patch) = (labelled.test.as_ref(), recipe.model.patch);
            let size = recipe.crops.global_size;
            self.probe = AgreementProbe::new(&frozen.backbone, source, size, patch, device, between)
                .await
                .map_err(failed)?;
        }
        match &self.probe {
            Some(probe) => {
                let student = &self.state.teacher.backbone;
                Ok(Some(probe.agreement(student, device, between).await.map_err(failed)?))
            }
            None => Ok(None),
        }
    }
}

//! What the words of `eval` share: which model, which pictures, and how an evaluation is heard.

use std::path::PathBuf;

use anyhow::{Result, bail};
use dinoscope_core::data::decode::DecodeOptions;
use dinoscope_core::data::decode::depth::IntensityRange;
use dinoscope_core::data::source::LabelledSplit;
use dinoscope_core::data::source::builtin::BuiltinPictures;
use dinoscope_core::data::source::scenes::SceneKind;
use dinoscope_core::device::{SelectedDevice, block_on};
use dinoscope_core::eval::cache::FeatureDiskCache;
use dinoscope_core::eval::catalogue::{self, EvalTask};
use dinoscope_core::eval::data::{balanced, limited, scenes};
use dinoscope_core::eval::outcome::EvalReport;
use dinoscope_core::eval::pictures;
use dinoscope_core::eval::run::EvaluationError;
use dinoscope_core::eval::suite::{self, EvalOptions};
use dinoscope_core::model::Vit;

use crate::cli::progress::CliProgress;
use crate::cli::terminal::note;
use crate::cli::{UsageError, load};

/// Which model is evaluated, and how it computes.
#[derive(clap::Args)]
pub struct EvalModelArgs {
    /// A weights file, a Hugging Face folder, a run (its folder or .zip), a checkpoint, the name of a pulled model, or
    /// `starter`.
    #[arg(long)]
    pub weights: PathBuf,
    /// Of several backbones in a file, the one with this prefix or word in it, such as teacher, student or ema
    /// [default: a teacher or another average]. `FILE#NAME` means the same.
    #[arg(long, value_name = "NAME")]
    pub part: Option<String>,
    /// Attention heads of weights that do not say how many they have. `FILE#heads=N` means the same.
    #[arg(long, value_name = "N", value_parser = load::heads)]
    pub heads: Option<usize>,
    /// Side of the centre crop; a multiple of the patch [default: that of the stored position grid, at most 224].
    #[arg(long)]
    pub size: Option<usize>,
    /// Measure the weights alone, not the untrained model, raw pixels, colour histograms and oriented gradients (HOG).
    #[arg(long)]
    pub alone: bool,
    /// Pictures that pass through the model at once.
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
    /// Seed of the untrained model and of random choices.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// auto, cpu, gpu or gpu:N [default: as `dinoscope config` shows; auto at first].
    #[arg(long)]
    pub device: Option<String>,
    /// Where features are kept for the next evaluation [default: the program's cache folder].
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    pub cache: Option<PathBuf>,
    /// Computes all features anew and keeps none.
    #[arg(long)]
    pub no_cache: bool,
}

/// Labelled pictures.
#[derive(clap::Args)]
pub struct LabelledDataArgs {
    /// Labelled pictures: a folder with a subfolder per class, or with train/ and val/ of that kind (training, valid, test,
    /// … in any case), a table FILE.csv or FILE.parquet with the columns path and label, a list or a pattern, an IDX images file or folder,
    /// built-in scenes: `scenes`, which are varied, or `scenes:easy`; or `fashion-mnist`, `digits` or `stamps` where they are
    /// installed. Given again, all of them together: classes are joined by name.
    #[arg(long, value_name = "PLACE", required = true)]
    data: Vec<PathBuf>,
    /// Pictures to predict, as --data; classes are matched by name [default: val/ or test/ in --data, the IDX pair's test
    /// half, other scenes, or a fifth of --data].
    #[arg(long, value_name = "PLACE")]
    test: Vec<PathBuf>,
    /// At most this many pictures to learn from, chosen at random.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// At most this many pictures to predict, chosen at random.
    #[arg(long, value_name = "N")]
    limit_test: Option<usize>,
    /// Draws as many pictures of each class as of any other for --limit and --limit-test.
    #[arg(long)]
    balanced: bool,
    /// Writes the features and labels that are evaluated into this folder, as train_features.npy, train_labels.npy,
    /// test_features.npy and test_labels.npy.
    #[arg(long, value_name = "DIR")]
    pub dump: Option<PathBuf>,
    /// Black and white of files of more than 8 bits: fixed, file, or two numbers such as 0..4095.
    #[arg(long, value_name = "RANGE", default_value_t)]
    depth_range: IntensityRange,
}

/// A model that is ready to be evaluated.
pub struct LoadedEvalModel {
    /// The backbone.
    pub backbone: Vit,
    /// Where it is.
    pub chosen: SelectedDevice,
    /// What all evaluations have in common.
    pub options: EvalOptions,
    /// Nothing but the result is printed.
    quiet: bool,
}

impl EvalModelArgs {
    /// Opens the model; `quiet` beside JSON.
    pub fn open(&self, quiet: bool) -> Result<LoadedEvalModel> {
        let chosen = load::device(self.device.as_deref(), quiet)?;
        let weights = load::with_part(&self.weights, self.part.as_deref(), self.heads);
        let backbone = load::backbone(&weights, &chosen.device, false)?;
        let config = &backbone.config;
        let size = load::crop_side(self.size, config)?;
        let cache = match &self.cache {
            _ if self.no_cache => FeatureDiskCache::off(),
            Some(folder) => FeatureDiskCache::in_folder(folder, FeatureDiskCache::LIMIT),
            None => FeatureDiskCache::of_program(),
        };
        let options = EvalOptions {
            batch: self.batch.max(1),
            seed: self.seed,
            alone: self.alone,
            cache,
            ..EvalOptions::new(size)
        };
        Ok(LoadedEvalModel { backbone, chosen, options, quiet })
    }
}

impl LoadedEvalModel {
    /// Channels of the pictures that it takes.
    pub fn channels(&self) -> usize {
        self.backbone.config.channels()
    }

    /// Makes an evaluation, showing how it goes on.
    pub fn evaluate(&self, task: &EvalTask) -> Result<EvalReport> {
        let mut bars = EvalProgressBars::new(self.quiet);
        let Self { backbone, chosen, options, .. } = self;
        let mut on_progress = async |at| bars.on_progress(at);
        block_on(catalogue::evaluate(task, backbone, options, &chosen.device, &mut on_progress))
            .map_err(fault)
    }
}

/// How an evaluation goes on: a bar for each part of it. What is left of the last one goes when this is dropped.
pub struct EvalProgressBars {
    shown: Option<(suite::EvalProgress, CliProgress)>,
    quiet: bool,
}

impl EvalProgressBars {
    /// Nothing is shown when `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self { shown: None, quiet }
    }

    /// Shows how far it is, and has it go on.
    pub fn on_progress(&mut self, at: suite::EvalProgress) -> bool {
        let same = |before: &suite::EvalProgress| (before.subject, before.doing) == (at.subject, at.doing);
        if !self.shown.as_ref().is_some_and(|(before, _)| same(before)) {
            if let Some((_, bar)) = self.shown.take() {
                bar.finish();
            }
            self.shown = Some((at, CliProgress::new(at.total as u64, at.doing, self.quiet)));
        }
        if let Some((_, bar)) = &mut self.shown {
            bar.set(at.done as u64, format!("{}: {}", at.subject, at.doing));
        }
        true
    }
}

impl Drop for EvalProgressBars {
    fn drop(&mut self) {
        if let Some((_, bar)) = &self.shown {
            bar.finish();
        }
    }
}

/// An evaluation's error; what the person can mend is their mistake.
pub fn fault(error: EvaluationError) -> anyhow::Error {
    match error {
        EvaluationError::Protocol(error) => UsageError(error.to_string()).into(),
        EvaluationError::Data(error) => error.into(),
        other => other.into(),
    }
}

impl LabelledDataArgs {
    /// Evaluates a task on these pictures with a model.
    pub fn evaluate(
        &self,
        model: &EvalModelArgs,
        quiet: bool,
        task: impl FnOnce(LabelledSplit) -> EvalTask,
    ) -> Result<EvalReport> {
        let mut opened = model.open(quiet)?;
        let labelled = self.open(model.seed, opened.channels())?;
        opened.options.dump.clone_from(&self.dump);
        opened.evaluate(&task(labelled))
    }

    /// Whether the program draws them itself.
    pub fn are_scenes(&self) -> Result<bool> {
        Ok(builtin(&self.data)?.is_some())
    }

    /// What is learned from and what is predicted, as pictures of so many channels.
    pub fn open(&self, seed: u64, channels: usize) -> Result<LabelledSplit> {
        let decode = DecodeOptions { channels, ..self.depth_range.into() };
        let LabelledSplit { train, test } = match builtin(&self.data)? {
            Some(BuiltinPictures::Scenes(kind)) => {
                pictures::fitted(scenes(kind.unwrap_or(SceneKind::Varied)), decode)
            }
            Some(BuiltinPictures::Procedural) => {
                bail!(UsageError("--data procedural: these pictures have no classes; name scenes".to_owned()))
            }
            None => pictures::labelled(&self.data, &self.test, seed, decode)?,
        };
        train.file_notes().iter().for_each(|said| note!("{said}"));
        if self.balanced && self.limit.or(self.limit_test).is_none() {
            bail!(UsageError(
                "--balanced says how --limit and --limit-test draw: give one of them".to_owned()
            ));
        }
        let some = if self.balanced { balanced } else { limited };
        Ok(LabelledSplit {
            train: some(train, self.limit.unwrap_or(usize::MAX), seed),
            test: some(test, self.limit_test.unwrap_or(usize::MAX), seed),
        })
    }
}

/// The built-in pictures that are meant, which are mixed with no others here.
pub fn builtin(data: &[PathBuf]) -> Result<Option<BuiltinPictures>> {
    let named = |place: &PathBuf| {
        let place = place.to_string_lossy();
        BuiltinPictures::named(&place).map_err(|said| UsageError(format!("--data {place}: {said}")))
    };
    let found = data.iter().map(named).collect::<Result<Vec<_>, _>>()?;
    let builtin = found.iter().flatten().next();
    if let Some(builtin) = builtin
        && found.iter().any(|other| other.as_ref() != Some(builtin))
    {
        bail!(UsageError(format!(
            "--data {builtin} stands alone: built-in pictures are not evaluated with others"
        )));
    }
    Ok(builtin.copied())
}

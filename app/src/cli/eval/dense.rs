//! What `segment`, `depth` and `masks` share: pictures with a truth for every pixel, and how a head learns.

use std::path::PathBuf;

use anyhow::{Result, bail};
use dinoscope_core::data::decode::DecodeOptions;
use dinoscope_core::data::decode::depth::IntensityRange;
use dinoscope_core::data::source::builtin::BuiltinPictures;
use dinoscope_core::data::source::datasets::PublicDataset;
use dinoscope_core::data::source::dense::{DenseFolder, DenseReadOptions, DenseSplit, DenseTruthKind};
use dinoscope_core::data::source::scenes::SceneKind;
use dinoscope_core::eval::dense::{DenseTrainingOptions, default_window};

use super::data::{LoadedEvalModel, builtin};
use crate::cli::{UsageError, load};

/// Pictures with a truth for every pixel.
#[derive(clap::Args)]
pub struct DenseDataArgs {
    /// `scenes`, which the program draws itself and which are varied, `scenes:easy`, or a folder with images/ and labels/ or depth/, or with train/ and val/ of
    /// that kind. Otherwise a fifth, chosen by --seed, is evaluated.
    #[arg(long, default_value = "scenes")]
    data: PathBuf,
    /// At most this many pictures to learn from, chosen at random [default for scenes: 240].
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// At most this many pictures to evaluate, chosen at random [default for scenes: 120].
    #[arg(long, value_name = "N")]
    limit_test: Option<usize>,
    /// Black and white of pictures of more than 8 bits: fixed, file, or two numbers such as 0..4095.
    #[arg(long, value_name = "RANGE", default_value_t)]
    depth_range: IntensityRange,
}

/// Scenes without a wish.
const SCENES: (usize, usize) = (240, 120);

impl DenseDataArgs {
    /// Opens them for one truth, as pictures of so many channels; scenes are drawn `side` pixels wide.
    pub fn open(
        &self,
        truth: DenseTruthKind,
        reading: DenseReadOptions,
        side: usize,
        (seed, channels): (u64, usize),
    ) -> Result<DenseSplit> {
        if let Some(kind) = self.scenes()? {
            load::colours_alone(channels, "--data scenes", "name a folder")?;
            let (train, test) = (self.limit.unwrap_or(SCENES.0), self.limit_test.unwrap_or(SCENES.1));
            return Ok(DenseSplit::scenes(kind, train, test, side));
        }
        if let Some(set) = PublicDataset::at(&self.data) {
            bail!(UsageError(format!(
                "--data {set}: nothing is known of its pixels; name scenes or a folder"
            )));
        }
        let reading =
            DenseReadOptions { decode: DecodeOptions { channels, ..self.depth_range.into() }, ..reading };
        let split = DenseFolder::split(&self.data, truth, reading, seed)?;
        Ok(split.limited(self.limit, self.limit_test, seed))
    }

    /// The kind of scenes, where the program draws them itself.
    pub fn scenes(&self) -> Result<Option<SceneKind>> {
        match builtin(std::slice::from_ref(&self.data))? {
            Some(BuiltinPictures::Scenes(kind)) => Ok(Some(kind.unwrap_or(SceneKind::Varied))),
            Some(BuiltinPictures::Procedural) => {
                bail!(UsageError(
                    "--data procedural: nothing is known of their pixels; name scenes".to_owned()
                ))
            }
            None => Ok(None),
        }
    }
}

/// How a head learns.
#[derive(clap::Args)]
pub struct HeadTrainingArgs {
    /// Steps in which the head learns; 40000 as published.
    #[arg(long, value_name = "N")]
    iterations: Option<usize>,
    /// Views of a step.
    #[arg(long, value_name = "N")]
    views: Option<usize>,
    /// The head's learning rate at its highest.
    #[arg(long)]
    lr: Option<f64>,
    /// The head's weight decay.
    #[arg(long)]
    weight_decay: Option<f64>,
    /// Memory for features; what does not fit is computed again in every step.
    #[arg(long, value_name = "MB", default_value_t = 1000)]
    memory: usize,
    /// Takes the padding off before patches become pixels; the published code stretches the padded grid.
    #[arg(long)]
    exact_padding: bool,
    /// Test pictures that are shown in the picture of examples.
    #[arg(long, value_name = "N", default_value_t = 6)]
    show: usize,
}

impl HeadTrainingArgs {
    /// What was asked for in place of `usual`.
    pub fn training(&self, usual: DenseTrainingOptions) -> DenseTrainingOptions {
        DenseTrainingOptions {
            iterations: self.iterations.unwrap_or(usual.iterations),
            batch: self.views.unwrap_or(usual.batch),
            lr: self.lr.unwrap_or(usual.lr),
            weight_decay: self.weight_decay.unwrap_or(usual.weight_decay),
        }
    }

    /// Bytes that features may fill, whether padding is taken off exactly, how many pictures are shown.
    pub fn rest(&self) -> (usize, bool, usize) {
        (self.memory * 1_000_000, self.exact_padding, self.show)
    }
}

/// The side of windows: what was asked for, or what suits the model.
pub fn window(asked: Option<usize>, size: Option<usize>, opened: &LoadedEvalModel) -> usize {
    asked.or(size).unwrap_or_else(|| default_window(&opened.backbone.config))
}

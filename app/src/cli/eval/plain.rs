//! Evaluations without options of their own: their words are made from the table of evaluations.

use anyhow::{Context as _, Result};
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};
use dinoscope_core::eval::catalogue::{EvaluationEntry, LabelRequirement, TaskChoices};
use dinoscope_core::eval::data::EvaluationData;
use dinoscope_core::eval::dense::default_window;

use super::collection::ImageSetArgs;
use super::data::{EvalModelArgs, LabelledDataArgs};
use super::show::{EvalOutputArgs, show};
use crate::cli::status::CliExitStatus;

/// An evaluation of the table on pictures, as the table has it.
pub struct PlainEval {
    entry: &'static EvaluationEntry,
    model: EvalModelArgs,
    pictures: PlainPictures,
    output: EvalOutputArgs,
}

/// Pictures as the evaluation needs them.
enum PlainPictures {
    Labelled(LabelledDataArgs),
    All(ImageSetArgs),
}

/// Its word, with what all words have.
pub fn command(entry: &EvaluationEntry) -> Command {
    let command = EvalModelArgs::augment_args(Command::new(entry.id).about(entry.hint));
    EvalOutputArgs::augment_args(match entry.needs {
        LabelRequirement::Labels => LabelledDataArgs::augment_args(command),
        _ => ImageSetArgs::augment_args(command),
    })
}

impl PlainEval {
    /// What was asked for at its word.
    ///
    /// # Errors
    /// When an argument is missing or cannot be read.
    pub fn read(entry: &'static EvaluationEntry, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let pictures = match entry.needs {
            LabelRequirement::Labels => PlainPictures::Labelled(LabelledDataArgs::from_arg_matches(matches)?),
            _ => PlainPictures::All(ImageSetArgs::from_arg_matches(matches)?),
        };
        let (model, output) =
            (EvalModelArgs::from_arg_matches(matches)?, EvalOutputArgs::from_arg_matches(matches)?);
        Ok(Self { entry, model, pictures, output })
    }

    /// Measures and shows.
    pub fn run(&self) -> Result<CliExitStatus> {
        let Self { entry, model, pictures, output } = self;
        let mut opened = model.open(output.json)?;
        let (seed, channels) = (model.seed, opened.channels());
        let (data, scenes) = match pictures {
            PlainPictures::Labelled(pictures) => {
                (EvaluationData::Labelled(pictures.open(seed, channels)?), pictures.are_scenes()?)
            }
            PlainPictures::All(pictures) => {
                (EvaluationData::All(pictures.open(seed, channels)?), pictures.are_scenes()?)
            }
        };
        if let PlainPictures::Labelled(pictures) = pictures {
            opened.options.dump.clone_from(&pictures.dump);
        }
        let config = &opened.backbone.config;
        let choices =
            TaskChoices { config, window: default_window(config), shots: None, range: None, scenes };
        let task =
            (entry.task)(&data, &choices).context("this evaluation needs something known of each pixel")?;
        show(&opened.evaluate(&task)?, entry.kind, output)
    }
}

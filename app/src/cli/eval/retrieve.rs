//! `dinoscope eval retrieve`: pictures of the same thing, found by their likeness.

use std::path::PathBuf;

use anyhow::{Result, bail};
use dinoscope_core::eval::retrieve::{GroundTruth, RetrieveTask, Sought};
use dinoscope_core::eval::suite::Task;

use super::collection::Collection;
use super::data::Model;
use super::show::{Output, show};
use crate::cli::Mistake;
use crate::cli::status::Status;

/// Retrieval.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    pictures: Collection,
    #[command(flatten)]
    output: Output,
    /// Which pictures of --data are right for which query: gnd_roxford5k.pkl or gnd_rparis6k.pkl as JSON, for instance by
    /// python3 -c "import json, pickle; json.dump(pickle.load(open('gnd_roxford5k.pkl', 'rb')), open('gnd.json', 'w'),
    /// default=lambda v: v.tolist())". Without it those of the same class are right, and --limit applies.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Looks at whole pictures, their shorter side --size long, instead of the square in the middle.
    #[arg(long)]
    whole: bool,
}

/// Measures and shows.
pub fn run(arguments: &Arguments) -> Result<Status> {
    let Arguments { model, pictures, output, .. } = arguments;
    let sought = match &arguments.truth {
        Some(file) => match pictures.data.as_slice() {
            [folder] => Sought::Listed(GroundTruth::open(file, folder)?),
            _ => bail!(Mistake("--truth counts the pictures of one folder: name one --data".to_owned())),
        },
        None => Sought::SameClass(pictures.open(model.seed)?),
    };
    let task = Task::Retrieve(RetrieveTask { sought, whole: arguments.whole });
    show(&model.open(output.json)?.evaluate(&task)?, "retrieve", output)
}

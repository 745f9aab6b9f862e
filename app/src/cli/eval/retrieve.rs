//! `dinoscope eval retrieve`: pictures of the same thing, found by their likeness.

use std::path::PathBuf;

use anyhow::{Result, bail};
use dinoscope_core::eval::catalogue::EvalTask;
use dinoscope_core::eval::catalogue::EvaluationKind;
use dinoscope_core::eval::retrieve::{RetrievalBenchmark, RetrievalTarget, RetrieveTask};

use super::collection::ImageSetArgs;
use super::data::EvalModelArgs;
use super::show::{EvalOutputArgs, show};
use crate::cli::UsageError;
use crate::cli::status::CliExitStatus;

/// Retrieval.
#[derive(clap::Args)]
pub struct RetrievalArgs {
    #[command(flatten)]
    model: EvalModelArgs,
    #[command(flatten)]
    pictures: ImageSetArgs,
    #[command(flatten)]
    output: EvalOutputArgs,
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
pub fn run(arguments: &RetrievalArgs) -> Result<CliExitStatus> {
    let RetrievalArgs { model, pictures, output, .. } = arguments;
    let opened = model.open(output.json)?;
    let channels = opened.channels();
    let sought = match &arguments.truth {
        Some(file) => match pictures.data.as_slice() {
            [folder] => RetrievalTarget::Listed(RetrievalBenchmark::open(file, folder)?),
            _ => bail!(UsageError("--truth counts the pictures of one folder: name one --data".to_owned())),
        },
        None => RetrievalTarget::SameClass(pictures.open(model.seed, channels)?),
    };
    let task = EvalTask::Retrieve(RetrieveTask { sought, whole: arguments.whole });
    show(&opened.evaluate(&task)?, EvaluationKind::Retrieve, output)
}

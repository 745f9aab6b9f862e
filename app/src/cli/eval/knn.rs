//! `dinoscope eval knn`: weighted nearest neighbours.

use anyhow::Result;
use dinoscope_core::eval::catalogue::EvalTask;
use dinoscope_core::eval::catalogue::EvaluationKind;
use dinoscope_core::eval::knn::KnnOptions;
use dinoscope_core::eval::whole::knn::{FewShotOptions, KnnTask};

use super::data::{EvalModelArgs, LabelledDataArgs};
use super::show::{EvalOutputArgs, show};
use crate::cli::status::CliExitStatus;

/// Weighted nearest neighbours.
#[derive(clap::Args)]
pub struct KnnArgs {
    #[command(flatten)]
    model: EvalModelArgs,
    #[command(flatten)]
    pictures: LabelledDataArgs,
    #[command(flatten)]
    output: EvalOutputArgs,
    /// Numbers of neighbours that vote, such as 10,20.
    #[arg(long, value_name = "K,K", value_delimiter = ',', default_values_t = KnnOptions::default().ks)]
    k: Vec<usize>,
    /// Only N pictures of each class to look up, drawn at random several times.
    #[arg(long, value_name = "N")]
    few_shot: Option<usize>,
    /// How often --few-shot draws.
    #[arg(long, default_value_t = 5, requires = "few_shot")]
    tries: usize,
}

/// Measures and shows.
pub fn run(arguments: &KnnArgs) -> Result<CliExitStatus> {
    let KnnArgs { model, pictures, output, .. } = arguments;
    let few = arguments.few_shot.map(|per_class| FewShotOptions { per_class, tries: arguments.tries });
    let options = KnnOptions { ks: arguments.k.clone(), ..KnnOptions::default() };
    let task = KnnTask { options, few };
    let outcome = pictures.evaluate(model, output.json, |labelled| EvalTask::Knn(labelled, task))?;
    show(&outcome, EvaluationKind::Knn, output)
}

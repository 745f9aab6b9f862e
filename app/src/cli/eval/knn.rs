//! `dinoscope eval knn`: weighted nearest neighbours.

use anyhow::Result;
use dinoscope_core::eval::knn::KnnOptions;
use dinoscope_core::eval::suite::Task;
use dinoscope_core::eval::whole::knn::{FewShot, KnnTask};

use super::data::{Model, Pictures};
use super::show::{Output, show};
use crate::cli::status::Status;

/// Weighted nearest neighbours.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    pictures: Pictures,
    #[command(flatten)]
    output: Output,
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
pub fn run(arguments: &Arguments) -> Result<Status> {
    let Arguments { model, pictures, output, .. } = arguments;
    let few = arguments.few_shot.map(|per_class| FewShot { per_class, tries: arguments.tries });
    let options = KnnOptions { ks: arguments.k.clone(), ..KnnOptions::default() };
    let task = KnnTask { options, few };
    let outcome = pictures.judge(model, output.json, |labelled| Task::Knn(labelled, task))?;
    show(&outcome, "knn", output)
}

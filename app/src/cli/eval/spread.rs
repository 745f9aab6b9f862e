//! `dinoscope eval spread`: how features are spread over their space.

use anyhow::Result;
use dinoscope_core::eval::spread::SpreadTask;
use dinoscope_core::eval::suite::Task;

use super::collection::Collection;
use super::data::Model;
use super::show::{Output, show};
use crate::cli::status::Status;

/// Rank, alignment and uniformity.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    pictures: Collection,
    #[command(flatten)]
    output: Output,
}

/// Measures and shows.
pub fn run(arguments: &Arguments) -> Result<Status> {
    let Arguments { model, pictures, output } = arguments;
    let task = Task::Spread(SpreadTask { source: pictures.open(model.seed)? });
    show(&model.open(output.json)?.evaluate(&task)?, "spread", output)
}

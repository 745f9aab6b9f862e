//! `dinoscope eval`: how good features are, without training the backbone on anything.

mod data;
mod knn;
mod show;

use anyhow::Result;

/// Judge features on labelled pictures.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Weighted nearest neighbours on CLS features, against raw pixels and the untrained model.
    Knn(knn::Arguments),
}

/// Measures and shows.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Knn(arguments) => knn::run(&arguments),
    }
}

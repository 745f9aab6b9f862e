//! `dinoscope eval`: how good features are, without training the backbone on anything.

mod collection;
mod data;
mod dense;
mod depth;
mod knn;
mod linear;
mod logistic;
mod map;
mod retrieve;
mod segment;
mod show;
mod spread;

use anyhow::Result;

use super::status::CliExitStatus;

/// Evaluate features on labelled pictures.
#[derive(clap::Subcommand)]
pub enum EvalCommand {
    /// Weighted nearest neighbours on CLS features, against raw pixels and the untrained model.
    Knn(knn::KnnArgs),
    /// The linear probe: heads on the last blocks' tokens at many learning rates.
    Linear(linear::LinearProbeArgs),
    /// Logistic regression on CLS features.
    Logistic(logistic::LogisticArgs),
    /// What every pixel shows, with a linear head on patch features.
    Segment(segment::SegmentationArgs),
    /// How far away every pixel is, with a linear head on patch features.
    Depth(depth::DepthArgs),
    /// How many of the pictures that look most alike show the same thing.
    Retrieve(retrieve::RetrievalArgs),
    /// Rank, alignment and uniformity of features; needs no labels.
    Spread(spread::FeatureStatisticsArgs),
    /// Features as points in the plane, for the eye.
    Map(map::ProjectionArgs),
}

/// Measures and shows.
pub fn run(command: EvalCommand) -> Result<CliExitStatus> {
    match command {
        EvalCommand::Knn(arguments) => knn::run(&arguments),
        EvalCommand::Linear(arguments) => linear::run(&arguments),
        EvalCommand::Logistic(arguments) => logistic::run(&arguments),
        EvalCommand::Segment(arguments) => segment::run(&arguments),
        EvalCommand::Depth(arguments) => depth::run(&arguments),
        EvalCommand::Retrieve(arguments) => retrieve::run(&arguments),
        EvalCommand::Spread(arguments) => spread::run(&arguments),
        EvalCommand::Map(arguments) => map::run(&arguments),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Subcommand as _;
    use dinoscope_core::eval::catalogue::EVALUATIONS;

    use super::*;

    #[test]
    fn every_evaluation_has_its_word() {
        let command = EvalCommand::augment_subcommands(clap::Command::new("eval"));
        let words: BTreeSet<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        let ids: BTreeSet<&str> = EVALUATIONS.iter().map(|entry| entry.id).collect();
        assert_eq!(words, ids);
    }
}

//! `dinoscope eval`: how good features are, without training the backbone on anything.

mod collection;
mod data;
mod dense;
mod depth;
mod follow;
mod knn;
mod linear;
mod logistic;
mod map;
mod masks;
mod plain;
mod retrieve;
mod segment;
mod show;

use anyhow::Result;
use clap::{ArgMatches, Command, FromArgMatches, Subcommand};
use dinoscope_core::eval::catalogue::{EVALUATIONS, EvaluationKind};

use super::status::CliExitStatus;

/// Evaluate features on labelled pictures.
pub enum EvalCommand {
    /// One with options of its own.
    Own(OwnEvalCommand),
    /// One as the table of evaluations has it.
    Plain(plain::PlainEval),
}

/// Evaluations with options of their own.
#[derive(clap::Subcommand)]
pub enum OwnEvalCommand {
    /// Weighted nearest neighbours on CLS features, against the untrained model and what needs no learning.
    Knn(knn::KnnArgs),
    /// The linear probe: heads on the last blocks' tokens at many learning rates.
    Linear(linear::LinearProbeArgs),
    /// Logistic regression on CLS features.
    Logistic(logistic::LogisticArgs),
    /// What every pixel shows, with a linear head on patch features.
    Segment(segment::SegmentationArgs),
    /// How far away every pixel is, with a linear head on patch features.
    Depth(depth::DepthArgs),
    /// Which pixels are the object, without any training: first component and attention.
    Masks(masks::MasksArgs),
    /// Whether a place of an object, and its mask, are found again as things move.
    Follow(follow::FollowEvalArgs),
    /// How many of the pictures that look most alike show the same thing.
    Retrieve(retrieve::RetrievalArgs),
    /// Features as points in the plane, for the eye.
    Map(map::ProjectionArgs),
}

impl FromArgMatches for EvalCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some((word, own)) if !OwnEvalCommand::has_subcommand(word) => {
                let unknown = || clap::Error::new(clap::error::ErrorKind::InvalidSubcommand);
                Ok(Self::Plain(plain::PlainEval::read(
                    EvaluationKind::with_id(word).ok_or_else(unknown)?.entry(),
                    own,
                )?))
            }
            _ => Ok(Self::Own(OwnEvalCommand::from_arg_matches(matches)?)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for EvalCommand {
    fn augment_subcommands(command: Command) -> Command {
        let plain = EVALUATIONS.iter().filter(|entry| !OwnEvalCommand::has_subcommand(entry.id));
        OwnEvalCommand::augment_subcommands(command).subcommands(plain.map(plain::command))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(word: &str) -> bool {
        EvaluationKind::with_id(word).is_some()
    }
}

/// Measures and shows.
pub fn run(command: EvalCommand) -> Result<CliExitStatus> {
    let command = match command {
        EvalCommand::Own(command) => command,
        EvalCommand::Plain(evaluation) => return evaluation.run(),
    };
    match command {
        OwnEvalCommand::Knn(arguments) => knn::run(&arguments),
        OwnEvalCommand::Linear(arguments) => linear::run(&arguments),
        OwnEvalCommand::Logistic(arguments) => logistic::run(&arguments),
        OwnEvalCommand::Segment(arguments) => segment::run(&arguments),
        OwnEvalCommand::Depth(arguments) => depth::run(&arguments),
        OwnEvalCommand::Masks(arguments) => masks::run(&arguments),
        OwnEvalCommand::Follow(arguments) => follow::run(&arguments),
        OwnEvalCommand::Retrieve(arguments) => retrieve::run(&arguments),
        OwnEvalCommand::Map(arguments) => map::run(&arguments),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_evaluation_has_its_word() {
        let command = EvalCommand::augment_subcommands(clap::Command::new("eval"));
        let words: BTreeSet<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        let ids: BTreeSet<&str> = EVALUATIONS.iter().map(|entry| entry.id).collect();
        assert_eq!(words, ids);
    }
}

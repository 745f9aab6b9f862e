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

use super::status::Status;

/// Judge features on labelled pictures.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Weighted nearest neighbours on CLS features, against raw pixels and the untrained model.
    Knn(knn::Arguments),
    /// The linear probe: heads on the last blocks' tokens at many learning rates.
    Linear(linear::Arguments),
    /// Logistic regression on CLS features.
    Logistic(logistic::Arguments),
    /// What every pixel shows, with a linear head on patch features.
    Segment(segment::Arguments),
    /// How far away every pixel is, with a linear head on patch features.
    Depth(depth::Arguments),
    /// How many of the pictures that look most alike show the same thing.
    Retrieve(retrieve::Arguments),
    /// Rank, alignment and uniformity of features; needs no labels.
    Spread(spread::Arguments),
    /// Features as points in the plane, for the eye.
    Map(map::Arguments),
}

/// Measures and shows.
pub fn run(command: Command) -> Result<Status> {
    match command {
        Command::Knn(arguments) => knn::run(&arguments),
        Command::Linear(arguments) => linear::run(&arguments),
        Command::Logistic(arguments) => logistic::run(&arguments),
        Command::Segment(arguments) => segment::run(&arguments),
        Command::Depth(arguments) => depth::run(&arguments),
        Command::Retrieve(arguments) => retrieve::run(&arguments),
        Command::Spread(arguments) => spread::run(&arguments),
        Command::Map(arguments) => map::run(&arguments),
    }
}

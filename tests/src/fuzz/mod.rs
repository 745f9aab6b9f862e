//! Readers that are given files which were changed at random: `cargo xtask fuzz`.
//!
//! Needs nothing but stable Rust. [`mutate`] changes files, [`runner`] hands them to a reader and watches what it does,
//! [`corpus`] makes the valid files that it begins with, [`files`], [`folders`], [`archives`] and [`pictures`] are the readers, one
//! [`FuzzTarget`] each, [`memory`] counts what they take. Inputs follow from a seed and from what the reader said of
//! those before, so that the same seed finds the same again.

mod archives;
pub mod corpus;
mod files;
mod folders;
pub mod memory;
pub mod mutate;
mod pictures;
pub mod runner;

use mutate::FuzzMutator;

/// Something that reads what comes from outside.
pub trait FuzzReader {
    /// Valid files that changes begin with.
    fn corpus(&self) -> Vec<Vec<u8>>;

    /// Words that its format consists of.
    fn words(&self) -> &'static [&'static [u8]] {
        &[]
    }

    /// Puts right what would have a changed file refused at once, such as a checksum.
    fn sealed(&self, _mutator: &mut FuzzMutator, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    /// Reads.
    ///
    /// # Errors
    /// What a person would be told. A panic is what is looked for.
    fn read(&mut self, bytes: &[u8]) -> Result<(), String>;
}

/// A reader by its name.
#[derive(Clone, Copy)]
pub struct FuzzTarget {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it reads, for a person.
    pub reads: &'static str,
    /// The reader, and the folder that it may write to.
    pub open: fn(&std::path::Path) -> anyhow::Result<Box<dyn FuzzReader>>,
}

/// All readers.
pub fn targets() -> Vec<FuzzTarget> {
    [files::TARGETS, folders::TARGETS, archives::TARGETS, pictures::TARGETS].concat()
}

/// An error of any kind as a person reads it.
fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

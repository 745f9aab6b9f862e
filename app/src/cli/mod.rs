//! The command line: one file for each word.

mod bench;
mod compare;
mod config;
mod curate;
mod demo;
mod devices;
mod distill;
mod eval;
mod explore;
mod features;
mod follow;
mod load;
mod ranks;
mod run;
mod settings;
mod shell;
mod terminal;
mod train;
mod verify;
mod weights;

use terminal::{device_note, history, interrupt, json, progress, runtime_folder, status};

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
pub use runtime_folder::have_runtime_folder;
use status::CliExitStatus;
use terminal::Verbosity;

/// What `--help` says last.
const ENDS: &str = "\
Exit status: 0 done, 1 a fault, 2 a mistake in what was asked, 3 done in part, 130 interrupted.
Flags come before variables (DINOSCOPE_DEVICE, …), variables before the configuration file: `dinoscope config`.";

/// Train, distil and look into DINOv2 models on any GPU, without Python.
#[derive(Parser)]
#[command(name = "dinoscope", version, after_help = ENDS)]
struct Cli {
    #[command(flatten)]
    volume: VerbosityArgs,
    /// Without a word the studio opens.
    #[command(subcommand)]
    command: Option<CliCommand>,
}

/// How much is said.
#[derive(clap::Args)]
struct VerbosityArgs {
    /// Say nothing but results and what went wrong: no progress, no notes.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: what the libraries below have to tell.
    #[arg(short, long, global = true)]
    verbose: bool,
}

impl VerbosityArgs {
    fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Usual,
        }
    }
}

#[derive(Subcommand)]
enum CliCommand {
    /// Open the studio: drop pictures in, see what a model sees, watch one learn.
    Explore(explore::ExploreArgs),
    /// Train a small model on pictures that the program draws itself, and write a report. Needs nothing.
    Demo(demo::DemoArgs),
    /// Train a model on your pictures.
    Train(train::TrainArgs),
    /// Teach a small model what a large one has learned.
    Distill(distill::DistillArgs),
    /// PCA pictures, attention maps, raw features and tables of pictures.
    ///
    /// Pictures pass one by one: memory does not grow with their number, and results are written as they come. What is
    /// there already, made with the same weights and options from a file that has not changed, is left as it is, so
    /// that a command that was stopped goes on when it is given again.
    Features(features::FeaturesArgs),
    /// Follow a place, or a mask, of the first frame through a film, an animation or a folder of pictures.
    Follow(follow::FollowArgs),
    /// Compare two models on the same pictures: how far they agree, and their colours side by side.
    Compare(compare::CompareArgs),
    /// Evaluate features on labelled pictures.
    #[command(subcommand)]
    Eval(eval::EvalCommand),
    /// From a heap of pictures to a data set: features once, copies, tables that are trained from.
    #[command(subcommand)]
    Curate(curate::CurateCommand),
    /// Look into, verify, convert and download weights.
    #[command(subcommand)]
    Weights(weights::WeightsCommand),
    /// Measure speed and memory on this machine.
    Bench(bench::BenchArgs),
    /// List the devices that can compute.
    Devices(devices::DevicesArgs),
    /// Show what holds where no flag says otherwise: variables, the configuration file.
    Config(config::ConfigArgs),
    /// Write what a shell needs to complete words and flags: bash, zsh, fish, elvish, powershell.
    Completions(shell::CompletionsArgs),
    /// Write the manual page.
    Man(shell::ManPageArgs),
}

/// What is wrong with what the person asked for: [`CliExitStatus::UsageError`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UsageError(String);

/// Runs the program; [`CliExitStatus`] says how it ended.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(words(std::env::args_os())) {
        Ok(cli) => cli,
        Err(answer) => return told(&answer),
    };
    terminal::set_verbosity(cli.volume.verbosity());
    if terminal::is_verbose() {
        crate::log_ring::listen();
        crate::log_ring::also(terminal::write_log);
    }
    let command = cli.command.unwrap_or_else(|| CliCommand::Explore(explore::ExploreArgs::default()));
    ranks::leave(match carry_out(command) {
        // The work is done, but what was said of it is lost.
        Ok(CliExitStatus::Done) if terminal::output_failed() => Ok(CliExitStatus::Partly),
        Ok(status) => {
            device_note::say();
            Ok(status)
        }
        Err(error) => {
            let status = if is_mistake(&error) { CliExitStatus::Mistake } else { CliExitStatus::Fault };
            Err((error, status))
        }
    })
}

/// The words of the command line. Where the first is no command but is there on the disk, it is explored, as where a picture
/// is dropped on the program.
fn words(given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = given.into_iter().collect();
    let explored = words.get(1).is_some_and(|first| {
        let known = first.to_str().is_some_and(CliCommand::has_subcommand);
        !known && !first.as_encoded_bytes().starts_with(b"-") && Path::new(first).exists()
    });
    if explored {
        words.insert(1, "explore".into());
    }
    words
}

/// Help, the version, or what is wrong with the words: where they belong, and how that ends.
fn told(answer: &clap::Error) -> ExitCode {
    match answer.print() {
        Err(error) if !answer.use_stderr() => {
            terminal::lost(&error);
            CliExitStatus::Fault.into()
        }
        _ if answer.use_stderr() => CliExitStatus::Mistake.into(),
        _ => CliExitStatus::Done.into(),
    }
}

/// Does what one of the words says.
fn carry_out(command: CliCommand) -> anyhow::Result<CliExitStatus> {
    // What a shell asks for has nothing to do with what was settled.
    if !matches!(command, CliCommand::Completions(_) | CliCommand::Man(_)) {
        settings::load()?;
    }
    match command {
        CliCommand::Explore(arguments) => explore::run(arguments),
        CliCommand::Demo(arguments) => demo::run(arguments),
        CliCommand::Train(arguments) => train::run(arguments),
        CliCommand::Distill(arguments) => distill::run(arguments),
        CliCommand::Features(arguments) => features::run(arguments),
        CliCommand::Follow(arguments) => follow::run(&arguments),
        CliCommand::Compare(arguments) => compare::run(&arguments),
        CliCommand::Eval(command) => eval::run(command),
        CliCommand::Curate(command) => curate::run(command),
        CliCommand::Weights(command) => weights::run(command),
        CliCommand::Bench(arguments) => bench::run(arguments).map(CliExitStatus::from),
        CliCommand::Devices(arguments) => devices::run(arguments).map(CliExitStatus::from),
        CliCommand::Config(arguments) => config::run(&arguments).map(CliExitStatus::from),
        CliCommand::Completions(arguments) => shell::completions(&arguments).map(CliExitStatus::from),
        CliCommand::Man(arguments) => shell::man(&arguments).map(CliExitStatus::from),
    }
}

/// An error with its causes, none said twice.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Whether the person can mend it by asking for something else.
fn is_mistake(error: &anyhow::Error) -> bool {
    use crate::desktop::WindowError;
    use dinoscope_core::bench::BenchError;
    use dinoscope_core::explore::ModelError;
    use dinoscope_core::train::archive::ArchiveError;
    use dinoscope_core::train::start::WeightInitError;
    use dinoscope_core::weights::WeightsError;
    use dinoscope_core::{data::DataError, device::DeviceError, engine::EngineError};
    use dinoscope_core::{train::RecipeError, train::checkpoint::CheckpointError, train::run::RunError};
    use dinoscope_curate::CurateError;
    error.chain().any(|cause| {
        cause.is::<UsageError>()
            || cause.is::<RecipeError>()
            || cause.is::<DataError>()
            || cause.is::<DeviceError>()
            || cause.is::<WeightsError>()
            || cause.is::<ModelError>()
            || cause.is::<RunError>()
            || cause.is::<WeightInitError>()
            || cause.is::<ArchiveError>()
            || cause.is::<dinoscope_mpi::MpiError>()
            || matches!(
                cause.downcast_ref::<CurateError>(),
                Some(CurateError::Data(_) | CurateError::Unfit { .. } | CurateError::Option(_))
            )
            || matches!(cause.downcast_ref::<WindowError>(), Some(WindowError::NoDisplay(_)))
            || matches!(cause.downcast_ref::<BenchError>(), Some(BenchError::Mistake(_)))
            || matches!(
                cause.downcast_ref::<EngineError>(),
                Some(
                    EngineError::Data(_)
                        | EngineError::Run(_)
                        | EngineError::Start(_)
                        | EngineError::Shares { .. }
                        | EngineError::Apart { .. }
                        | EngineError::Checkpoint(
                            CheckpointError::Content { .. } | CheckpointError::NoneWhole { .. }
                        )
                )
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_alone_is_explored() {
        let of = |given: &[&str]| words(given.iter().map(OsString::from));
        let here = env!("CARGO_MANIFEST_DIR");
        assert_eq!(of(&["dinoscope", here, "--device", "cpu"])[1..3], ["explore", here]);
        for plain in
            [&["dinoscope"][..], &["dinoscope", "train"], &["dinoscope", "--help"], &["dinoscope", "trian"]]
        {
            assert_eq!(of(plain), plain);
        }
    }
}

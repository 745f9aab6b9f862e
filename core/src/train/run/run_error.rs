//! What can be wrong with a run's folder.

use crate::train::recipe::RecipeError;
use crate::train::tensorboard::TensorboardError;

/// Why a run's folder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The disk refused.
    #[error("can't {action} {path}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// TensorBoard's event file.
    #[error(transparent)]
    Tensorboard(#[from] TensorboardError),
    /// Another process trains the run.
    #[error(
        "another process, {by}, goes on with this run ({path}): wait until it has ended, or stop it{way_out}"
    )]
    Taken {
        /// The run's folder.
        path: String,
        /// Which process.
        by: String,
        /// What to do when it has ended and the folder does not know.
        way_out: String,
    },
    /// A new run would overwrite what is no run.
    #[error("{path} holds no run, but a run would overwrite {what} there: choose another --out, or --force")]
    Overwrites {
        /// The folder.
        path: String,
        /// What lies there.
        what: String,
    },
    /// The lock was lost while the run was trained.
    #[error(
        "{path} was deleted or replaced while this run was trained, and {by} trains it now: it ends here so that nothing is \
         mixed; go on with --resume when the other one has ended"
    )]
    LostLock {
        /// The lock's file.
        path: String,
        /// Which process has it.
        by: String,
    },
    /// Fewer steps than are done.
    #[error(
        "{path}: {done} steps are done, so train.iterations = {wanted} is not possible; more go on from there"
    )]
    Shorter {
        /// The run's folder.
        path: String,
        /// Steps done.
        done: u64,
        /// Steps of the whole run that was asked for.
        wanted: u64,
    },
    /// What the run needs is not where it was.
    #[error("{reason}\nIf it has moved: {way_out}")]
    Moved {
        /// Why it can't be opened.
        reason: String,
        /// How to go on from where it is now.
        way_out: String,
    },
    /// What was named is not what the run learned from.
    #[error("{path}: {reason}")]
    Other {
        /// The run's folder.
        path: String,
        /// How it differs, and what to do.
        reason: String,
    },
    /// A new run would overwrite an old one.
    #[error("{0} already holds a run: go on with --resume, or choose another --out")]
    Occupied(String),
    /// There is nothing to go on from.
    #[error("{0} holds no run that could go on: start it without --resume")]
    Empty(String),
    /// A folder without a run.
    #[error("{0} holds no run: there is no recipe.toml in it")]
    NoRun(String),
    /// The folder was there before.
    #[error("{0} is gone: the run was moved or deleted")]
    Gone(String),
    /// The run on disk was made with other values.
    #[error(
        "{path} was made with another recipe: {field} differs; go on without changing it, or choose another --out"
    )]
    Changed {
        /// The run's folder.
        path: String,
        /// The first field that differs.
        field: String,
    },
    /// The recipe on disk can't be read.
    #[error("{path}: {source}")]
    Recipe {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: RecipeError,
    },
}

//! What can go wrong between processes.

/// Why processes can't work together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MpiError {
    /// No library was found.
    #[error(
        "{wanted}, but no MPI was found (tried {tried}): load your cluster's MPI module, or set DINOSCOPE_MPI to the file of its \
         library; DINOSCOPE_MPI=off trains in one process"
    )]
    NotFound {
        /// Why one is needed.
        wanted: String,
        /// Names that were tried.
        tried: String,
    },
    /// A file can't be opened, or is no MPI that is known.
    #[error("{path} can't be used as MPI: {reason}; DINOSCOPE_MPI names another one")]
    Library {
        /// The file or name.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The launcher started several processes that do not know of each other.
    #[error(
        "{launcher} speaks of {size} processes, but {library} sees one alone: the launcher and the library belong to different \
         MPIs. {way_out}; DINOSCOPE_MPI=off trains in one process"
    )]
    Alone {
        /// Who started the process.
        launcher: String,
        /// How many it says there are.
        size: String,
        /// The library that was taken.
        library: String,
        /// What helps.
        way_out: String,
    },
    /// A call failed.
    #[error("{call} failed: {reason}")]
    Call {
        /// Its name.
        call: &'static str,
        /// What the library says.
        reason: String,
    },
    /// The thread that makes the calls is gone.
    #[error("the connection to the other processes is closed")]
    Closed,
}

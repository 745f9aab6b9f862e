//! An MPI that is found while the program runs: the few calls that training over several processes needs.
//!
//! Nothing is linked and no header is read, so that one program runs on a laptop without any MPI and on a cluster with
//! whatever is installed there. Everything travels as bytes, and sums are made by who asks for them: no reduction of the
//! library is used, whose order of additions nobody promises.
//!
//! * [`launcher`]: whether a launcher (Slurm, `mpiexec`) started this process as one of several.
//! * [`MpiWorld`]: all processes of the job. One thread of its own makes every call, as `MPI_THREAD_FUNNELED` asks.
//! * [`found`]: which MPI would be taken.
//!
//! A library speaks one of three binary interfaces, tried in this order where `DINOSCOPE_MPI` names none:
//!
//! 1. the standard ABI of MPI 5 (`libmpi_abi.so.1`: MPICH from 5.0, Open MPI from 6.0, `mpi_abi_wrapper`),
//! 2. Open MPI 4 and 5 (`libmpi.so.40`), whose handles are addresses of exported symbols,
//! 3. MPICH and Intel MPI (`libmpi.so.12`), whose handles are 32-bit integers.
//!
//! Under Open MPI's own launcher its library is tried first: another one can't talk to that launcher.
#![cfg(not(target_family = "wasm"))]

mod calls;
mod error;
pub mod launcher;
mod library;
mod pieces;
mod world;

pub use error::MpiError;
pub use library::{VARIABLE, found};
pub use world::{LARGEST_CALL, MpiWorld, PendingCall, RankFacts};

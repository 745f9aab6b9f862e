//! The runs that the studio knows: its own, those that it follows on the disk, and those that travel as one file.

pub(super) mod follow;
pub(super) mod run_file;
pub(super) mod run_messages;
pub(super) mod session;
pub(super) mod state;

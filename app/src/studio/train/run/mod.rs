//! The runs that the studio knows: its own, those that it follows on the disk, and those that travel as one file.

pub(super) mod follow;
pub(super) mod hearing;
pub(super) mod pack;
pub(super) mod session;
pub(super) mod state;

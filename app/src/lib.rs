//! Dinoscope's face: the command line, and the window that desktop and web share.

pub mod cli;

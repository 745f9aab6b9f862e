//! Dinoscope's face: the command line, and the window that desktop and web share.

#[cfg(not(target_family = "wasm"))]
pub mod cli;
#[cfg(not(target_family = "wasm"))]
pub mod desktop;
pub mod studio;

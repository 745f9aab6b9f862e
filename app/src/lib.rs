//! Dinoscope's face: the command line, and the window that desktop and web share.
#![cfg_attr(target_family = "wasm", deny(warnings))]

#[cfg(not(target_family = "wasm"))]
pub mod cli;
#[cfg(not(target_family = "wasm"))]
pub mod desktop;
pub mod log_ring;
pub mod platform;
pub mod studio;
#[cfg(target_family = "wasm")]
pub mod tab;
pub mod wire;

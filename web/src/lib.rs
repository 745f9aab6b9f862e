//! Dinoscope in a browser tab: what the page and its workers call, compiled to WebAssembly.
//!
//! The studio is `dinoscope::tab`, the page itself is in `page/`, its tests in `tests/`; `cargo xtask web` puts them
//! together.
#![cfg_attr(target_family = "wasm", deny(warnings))]

#[cfg(target_family = "wasm")]
mod bindings;
pub mod programs;

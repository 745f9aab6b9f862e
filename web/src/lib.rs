//! Dinoscope in a browser tab: what the page calls, compiled to WebAssembly.
//!
//! The page itself is in `page/`, its test in `tests/`; `cargo xtask web` puts them together.

#[cfg(target_family = "wasm")]
mod bindings;
pub mod look;
pub mod programs;

//! DINOv2 features for JavaScript and TypeScript: the WebAssembly inside the npm package.
//!
//! `src/*.js` is the package's own face: it fetches, reads pixels, and keeps this program in a worker. `build.mjs` puts
//! both together. What computes is plain Rust (`model`, `palette`, `pixels`), so that it is tested without a browser.

// What only the web compiles is not seen by the lint stage.
#![cfg_attr(target_family = "wasm", deny(warnings))]

#[cfg(target_family = "wasm")]
mod bindings;
#[cfg(target_family = "wasm")]
mod device;
pub mod failure;
pub mod model;
#[cfg(target_family = "wasm")]
mod object;
pub mod palette;
pub mod pixels;

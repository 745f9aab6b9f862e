//! The studio in a browser's tab: drawn by WebGPU or WebGL, with workers for what takes long.
//!
//! The counterpart of `desktop`. What a page does otherwise than a desktop is in [`crate::platform::web`]; what JavaScript
//! (`web/page`) calls here is in the crate `web`.

pub mod address;
pub mod edges;
pub mod given;
pub mod inspect;
pub mod window;
pub mod worker;

//! The studio in a browser's tab: drawn by WebGPU or WebGL, with workers for what takes long.
//!
//! The counterpart of `desktop`. JavaScript (`web/page`) does what only it can and is called through [`host`]; what it
//! calls in turn is in the crate `web`.

pub mod address;
pub mod baggage;
pub mod camera;
pub mod edges;
pub mod eye;
pub mod fetch;
pub mod files;
pub mod host;
pub mod inspect;
pub mod kept;
pub mod office;
pub mod run;
pub mod staff;
pub mod turns;
pub mod window;

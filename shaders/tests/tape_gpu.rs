//! The CubeCL programs of a training step against plain references in f64, on awkward sizes and values.
//!
//! Needs an adapter; a software one will do. Without any the tests say so and pass.
#![allow(clippy::unwrap_used)]

#[path = "tape/mod.rs"]
mod tape;

//! GELU and SwiGLU with the bias of the linear layer before them, forward and backward.
//!
//! - `hidden`: `[rows, width]`, output of the matrix product without its bias (`[rows, 2 width]` for SwiGLU, gate first).
//! - `bias`: as wide as `hidden`.
//!
//! The backward pass returns the gradient of `hidden`, its column sums (the bias's gradient), and the activation
//! itself once more, so that nobody has to keep it.

pub mod cpu;
pub mod gpu;

//! Teacher logits to targets: Sinkhorn–Knopp with one global shift, and softmax centering.
//!
//! - `logits`: `[rows, K]`; `weights`: `[rows]`, 1 for rows that take part and 0 for padding.

pub mod cpu;
pub mod gpu;

//! Nearest neighbour of every row under the dot product, for KoLeo.
//!
//! - `x`: `[rows, dim]`, L2-normalised; the result is `[rows]` indices; a row's product with itself counts as -1.
//!   The first of equals wins.

pub mod cpu;
pub mod gpu;

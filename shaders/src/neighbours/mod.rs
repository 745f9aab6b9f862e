//! Nearest neighbours and how far away they are, for KoLeo (Sablayrolles et al. 2019).
//!
//! - `y`: `[views * per_view, dim]`, L2-normalised. A row's neighbour is the row of its own view with the largest dot
//!   product; its product with itself counts as -1, and the first of equals wins.
//! - `distance`: `[rows]`, `|y - y[nearest] + epsilon|`, with epsilon added to every value as PyTorch's `PairwiseDistance`
//!   does. Gradients flow into both ends of each pair; which rows are neighbours is a constant.

pub mod cpu;
pub mod gpu;

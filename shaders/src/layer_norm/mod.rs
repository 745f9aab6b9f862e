//! LayerNorm of chosen rows, forward and backward.
//!
//! Batch-subset stochastic depth normalises only the crops it keeps: `rows` names them, so that gathering costs
//! no pass of its own. On the way back the branch's gradient is scattered into the one that went past it.
//!
//! - `x`: `[tokens, dim]`; `rows`: `[kept]` ascending indices into it, or none for all.
//! - `y`: `[kept, dim]`; `stats`: `[kept, 2]`, mean and 1 / standard deviation.

pub mod cpu;
pub mod gpu;

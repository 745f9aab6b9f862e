//! Self-attention inside each sequence of a packed batch, forward and backward, without the matrix of scores.
//!
//! Source: Dao et al. 2022 (FlashAttention) over the packed sequences of Oquab et al. 2023, section 5. Kept for the
//! backward pass is one log-sum-exp a query and head, so that memory grows with tokens and not with their square.
//!
//! - `qkv`: `[tokens, 3, heads, width]`, the output of the fused projection; queries are not scaled yet.
//! - `out`: `[tokens, heads, width]`.
//! - `lse`: `[tokens, heads]`, `log Σ exp(q·k / √width)` over the keys of the query's sequence.
//! - `starts`: `[sequences + 1]`, first token of each sequence and the end of the last (`cu_seqlens`).

pub mod cpu;
pub mod gpu;

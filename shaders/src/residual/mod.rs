//! The end of a residual branch: `out = x`, `out[rows] += scale · gamma · (branch + bias)` in one pass.
//!
//! - `x`: `[tokens, dim]`; `branch`: `[kept, dim]`, output of the last matrix product without its bias.
//! - `gamma`: `[dim]`, LayerScale, or none; `rows`: `[kept]`, or none for all tokens; `scale`: `[kept]`.
//!
//! On the way back the branch sees `scale · gradient[rows]`.

pub mod cpu;
pub mod gpu;

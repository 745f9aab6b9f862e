//! AdamW, clipping and the teacher's moving average over all parameters together.
//!
//! Per parameter value: `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g²`,
//! `p = p (1 - lr decay) - lr / (1 - b1^t) m / (√v / √(1 - b2^t) + eps)`, `t = momentum t + (1 - momentum) p`.

pub mod cpu;
pub mod gpu;

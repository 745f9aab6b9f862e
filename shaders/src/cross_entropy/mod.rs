//! Cross-entropy of a student against the teacher's targets over many prototypes.
//!
//! - `z`: `[rows, bottleneck]`, L2-normalised head outputs; `directions`: `[K, bottleneck]`.
//! - `targets`: `[target rows, K]`, probabilities; every student row meets one of them or two (`first`, `second`, where
//!   -1 is none).
//! - `loss`: `[rows]`, `-Σ_targets Σ_k t_k log softmax(z · directionsᵀ / temperature)_k`; `lse`: `[rows]`;
//!   `entropy`: `[rows]`, of the student's softmax.
//!
//! The student's logits exist one chunk of rows at a time; the backward pass computes them again.

pub mod cpu;
pub mod gpu;

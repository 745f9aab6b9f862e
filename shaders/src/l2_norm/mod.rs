//! Rows divided by their length, and multiplied with a gain of their own: the heads' L2 normalisation, KoLeo's, and weight
//! normalisation of the prototypes (Salimans & Kingma 2016).
//!
//! `y = gain · x / max(|x|, epsilon)`: `x`, `y` `[rows, dim]`; `gain` `[rows]`, or none for 1; `inverse` `[rows]`, one over the
//! length, is kept for the way back. A row no longer than `epsilon` is only scaled, so that its gradient stays finite.

pub mod cpu;
pub mod gpu;

//! The frozen teacher of a distillation, and what it has said before.

pub mod frozen;
pub mod teacher_cache;

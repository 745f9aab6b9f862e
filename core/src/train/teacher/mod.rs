//! The frozen teacher of a distillation, and what it has said before.

pub mod frozen_teacher;
pub mod teacher_cache;

//! Teachers beside the student's moving average: the frozen one of a distillation with what it has said before, and that of
//! the Gram loss.

pub mod frozen_teacher;
pub mod gram_teacher;
pub mod teacher_cache;

//! Work beside the frames: one task that says things and can be stopped, or a queue that several hands take from.

pub mod task;
pub mod work_queue;

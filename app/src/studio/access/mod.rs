//! Everybody's way in: fingers, narrow screens, frames that take long, and those who hear what is drawn.

pub mod phone;
pub mod press;
pub mod spoken;
pub mod touch;

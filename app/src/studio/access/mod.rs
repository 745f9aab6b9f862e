//! Everybody's way in: fingers, narrow screens, frames that take long, and those who hear what is drawn.

pub mod aria_tree;
pub mod long_press;
pub mod phone;
pub mod touch;

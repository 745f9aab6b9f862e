//! The camera: the desktop has no way to one.

use dinoscope_core::data::Picture;

use super::tasks::Wake;

/// Whether there is one to ask for.
pub fn available() -> bool {
    false
}

/// Asks for it.
pub fn start(_: Wake) {}

/// Gives it back.
pub fn stop() {}

/// Why it can't be used, once it is known.
pub fn trouble() -> Option<String> {
    None
}

/// Its newest picture, no larger than `side`.
pub fn frame(_: usize) -> Option<Picture> {
    None
}

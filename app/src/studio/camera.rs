//! The camera, where there is a way to it: in a browser.

#[cfg(not(target_family = "wasm"))]
mod none {
    use dinoscope_core::data::Picture;

    use crate::studio::hands::Wake;

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
    /// Its newest picture.
    pub fn frame(_: usize) -> Option<Picture> {
        None
    }
}

#[cfg(not(target_family = "wasm"))]
pub use none::{available, frame, start, stop, trouble};

#[cfg(target_family = "wasm")]
pub use crate::tab::camera::{available, frame, start, stop, trouble};

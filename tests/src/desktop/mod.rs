//! Using a program's window as a person would: a screen of its own, a mouse, a keyboard, files dropped on it.
//!
//! A [`Display`] is an X server that draws into memory. [`Display::open`] starts a program there and waits until it
//! shows something; the [`PlotRange`] it gives takes clicks, keys and dropped files, and says what is to be seen. The
//! program is told nothing of the test: what arrives is what the X server would send for a real hand.
//!
//! Whatever goes wrong panics, as in any test. A window that is dropped by a panic leaves its last picture in
//! `pictures/` beside those that the test took, and prints what the program wrote.

mod display;
mod drag;
mod input;
mod keys;
mod picture;
mod selection;
mod window;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

pub use display::Display;
pub use drag::FileDrag;
pub use input::{At, Button};
pub use picture::{Region, bounds, colours, differing, mean, save};
pub use window::{Ended, Window};

/// How long a test waits for what should come at once: software drivers on a busy machine take their time.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Where pictures of a test run are kept: `target/pictures`.
pub fn pictures() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    // target/release/deps/test-… → target/pictures
    here.ancestors().nth(3).map(PathBuf::from).unwrap_or_default().join("pictures")
}

/// Asks until there is an answer; `None` when there is none within `patience`.
fn poll<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let answer = ask();
        if answer.is_some() || start.elapsed() > patience {
            return answer;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

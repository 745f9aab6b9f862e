//! Work beside the frames: on threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use dinoscope_core::device;

/// Draws the window again; from anywhere.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Does work beside the frames.
///
/// # Errors
/// No thread could be started.
pub fn spawn_task(name: &str, work: impl AsyncFnOnce() + Send + 'static) -> Result<(), String> {
    let run = move || device::block_on(work());
    let thread = std::thread::Builder::new().name(format!("dinoscope-{name}"));
    thread.spawn(run).map(|_| ()).map_err(|error| format!("no thread could be started: {error}"))
}

/// Does work that may panic, as a device does deep inside a driver.
///
/// # Errors
/// What the panic said.
pub async fn catch_panic(work: impl AsyncFnOnce()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| device::block_on(work()))).map_err(device::panic_text)
}

/// Waits. This holds up the thread that calls, so it has to be one of [`spawn_task`].
pub async fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// Lets frames be drawn in between, where they share the thread with work that has taken its time: not here.
pub async fn yield_now() {}

//! The studio in a window of the desktop: drawn by a GPU, or by the processor where there is none.

pub mod headless;
pub mod software;
mod window;

use dinoscope_core::device::{self, DeviceChoice, GpuAdapter};
use dinoscope_core::explore::ModelSource;
use window::WindowOutcome;
use winit::event_loop::EventLoop;

use crate::platform::storage;
use crate::studio::app_context::{RenderBackend, WindowGeometry};
use crate::studio::settings_store::SettingsStore;
use crate::studio::{AppFrontend, StartupOptions, StudioApp};

/// Why there is no window.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// The GPU or the display refused.
    #[error("the window could not be opened: {0}")]
    Open(String),
    /// Nothing here shows windows.
    #[error(
        "there is no display to open a window on ({0}). Without one, `dinoscope explore … --screenshot OUT.png` draws the \
         window into a file, and `dinoscope demo` and `dinoscope train` work in the terminal"
    )]
    NoDisplay(String),
}

/// What a library says, without the place in its source where it says so.
fn plain(said: &dyn std::fmt::Display) -> String {
    let said = said.to_string();
    let without = said.split_once("os error at ").and_then(|(before, rest)| {
        let (_, text) = rest.split_once(": ")?;
        Some(format!("{before}{text}"))
    });
    without.unwrap_or(said)
}

/// Whether there is a display, where variables say which.
#[cfg(all(unix, not(target_os = "macos")))]
fn find_display() -> Result<(), WindowError> {
    let names = ["WAYLAND_DISPLAY", "WAYLAND_SOCKET", "DISPLAY"];
    if names.iter().any(|name| std::env::var_os(name).is_some_and(|display| !display.is_empty())) {
        return Ok(());
    }
    Err(WindowError::NoDisplay("neither WAYLAND_DISPLAY nor DISPLAY is set".to_owned()))
}

/// The system's own.
#[cfg(not(all(unix, not(target_os = "macos"))))]
fn find_display() -> Result<(), WindowError> {
    Ok(())
}

/// Size of the first window, in points; later ones are as the last was.
const SIZE: [f32; 2] = [1280.0, 800.0];
/// Size that it keeps at least.
const MIN_SIZE: [f32; 2] = [720.0, 480.0];
const TITLE: &str = "Dinoscope";

/// How the window is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RendererChoice {
    /// A GPU, or the one that was chosen to compute; else the processor, which draws many times as fast as a program
    /// that acts as a GPU.
    #[default]
    Auto,
    /// The first adapter, be it a program that acts as a GPU.
    Gpu,
    /// The processor, whatever there is.
    Processor,
}

fn icon() -> Option<egui::IconData> {
    let decoded = image::load_from_memory(dinoscope_assets::ICON).ok()?.into_rgba8();
    let (width, height) = decoded.dimensions();
    Some(egui::IconData { rgba: decoded.into_raw(), width, height })
}

/// The adapter that draws: the one that computes if a GPU was asked for, else the first.
fn drawing_adapter(adapters: &[GpuAdapter], choice: DeviceChoice) -> Option<&GpuAdapter> {
    match choice {
        DeviceChoice::Gpu(index) => adapters.get(index).or(adapters.first()),
        _ => adapters.first(),
    }
}

/// Opens the window and runs until it is closed.
///
/// # Errors
/// There is no display, or it refuses a window.
pub fn run(startup: StartupOptions, draw: RendererChoice) -> Result<(), WindowError> {
    find_display()?;
    crate::log_ring::listen();
    let adapters = device::adapters();
    let choice = startup.device.unwrap_or_default();
    let adapter = drawing_adapter(&adapters, choice).filter(|adapter| match draw {
        RendererChoice::Auto => adapter.is_hardware() || matches!(choice, DeviceChoice::Gpu(_)),
        RendererChoice::Gpu => true,
        RendererChoice::Processor => false,
    });
    let failed = |error: &dyn std::fmt::Display| WindowError::Open(plain(error));
    // One loop for both: a process can have no second one.
    let event_loop = EventLoop::<eframe::UserEvent>::with_user_event().build();
    let mut event_loop = event_loop.map_err(|error| WindowError::NoDisplay(plain(&error)))?;
    let kept = (!startup.fresh).then(storage::settings_file).flatten();
    let frame = WindowGeometry::remembered(&SettingsStore::open(kept), SIZE, MIN_SIZE);
    if let Some(adapter) = adapter {
        let outcome = window::run(&mut event_loop, TITLE, frame, icon(), adapter, startup.clone());
        match outcome.map_err(|error| failed(&error))? {
            WindowOutcome::Closed => return Ok(()),
            WindowOutcome::Lost(lost) => return again(&lost).map_err(|error| failed(&error)),
            WindowOutcome::NoGpu => {
                ::log::warn!("{} can't draw the window: the processor does", adapter.name)
            }
        }
    }
    let build = |ctx: &egui::Context| -> Box<dyn AppFrontend> {
        ctx.send_viewport_cmd(egui::ViewportCommand::MinInnerSize(MIN_SIZE.into()));
        Box::new(StudioApp::new(ctx, RenderBackend::default(), startup))
    };
    software::run_on(&mut event_loop, TITLE, frame, icon(), build).map_err(|error| failed(&error))
}

/// Starts the program once more, with the processor drawing: an event loop that a driver has thrown out of can't be used
/// again, nor can the driver be trusted.
fn again(lost: &StartupOptions) -> std::io::Result<()> {
    let mut program = std::process::Command::new(std::env::current_exe()?);
    program.args(["explore", "--draw", "processor", "--device", "cpu"]);
    if let Some(note) = &lost.note {
        program.arg("--note").arg(note);
    }
    if let Some(run) = &lost.run {
        program.arg("--run").arg(run);
    }
    match &lost.weights {
        Some(ModelSource::Path(path)) => drop(program.arg("--weights").arg(path)),
        Some(ModelSource::Released(name)) => drop(program.arg("--weights").arg(name)),
        _ => {}
    }
    // Command lines have an end; a folder of thousands is opened again by hand.
    program.arg("--").args(lost.pictures.iter().take(256));
    program.spawn().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_shown_where_a_library_was_built() {
        let said =
            "os error at /home/x/.cargo/registry/src/winit-0.30.13/src/event_loop.rs:88: no compositor: gone";
        assert_eq!(plain(&said), "no compositor: gone");
        assert_eq!(
            plain(&format!("Could not open a window: {said}")),
            "Could not open a window: no compositor: gone"
        );
        assert_eq!(plain(&"not supported"), "not supported");
    }
}

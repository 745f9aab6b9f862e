//! The studio in a window of the desktop: drawn by a GPU, or by the processor where there is none.

pub mod headless;
pub mod raster;
pub mod software;
mod window;

use dinoscope_core::device::{self, Adapter, DeviceChoice};

use crate::studio::house::Drawing;
use crate::studio::{Beginning, Stage, Studio};

/// Why there is no window.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// The GPU or the display refused.
    #[error("the window could not be opened: {0}")]
    Open(String),
}

/// Size of the first window, in points.
const SIZE: [f32; 2] = [1280.0, 800.0];
const TITLE: &str = "Dinoscope";

/// How the window is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Draw {
    /// A GPU if there is an adapter, software Vulkan included, else the processor.
    #[default]
    Auto,
    /// The processor, whatever there is.
    Software,
}

fn icon() -> Option<egui::IconData> {
    let decoded = image::load_from_memory(include_bytes!("../../../assets/icon/icon-256.png")).ok()?.into_rgba8();
    let (width, height) = decoded.dimensions();
    Some(egui::IconData { rgba: decoded.into_raw(), width, height })
}

/// The adapter that draws: the one that computes if a GPU was asked for, else the first.
fn drawing_adapter(adapters: &[Adapter], choice: DeviceChoice) -> Option<&Adapter> {
    match choice {
        DeviceChoice::Gpu(index) => adapters.get(index).or(adapters.first()),
        _ => adapters.first(),
    }
}

/// Opens the window and runs until it is closed.
///
/// # Errors
/// There is no display, or it refuses a window.
pub fn run(beginning: Beginning, draw: Draw) -> Result<(), WindowError> {
    crate::studio::log::listen();
    let adapters = device::adapters();
    let adapter = drawing_adapter(&adapters, beginning.device.unwrap_or_default()).cloned();
    match adapter.filter(|_| draw == Draw::Auto) {
        Some(adapter) => match window::run(TITLE, SIZE, icon(), &adapter, beginning.clone()) {
            Err(window::OpenError::Gpu(reason)) => {
                ::log::warn!("{} can't draw the window ({reason}): the processor does", adapter.name);
                software(beginning)
            }
            Err(window::OpenError::Other(reason)) => Err(WindowError::Open(reason)),
            Ok(()) => Ok(()),
        },
        None => software(beginning),
    }
}

fn software(beginning: Beginning) -> Result<(), WindowError> {
    let build = |ctx: &egui::Context| -> Box<dyn Stage> {
        Box::new(Studio::new(ctx, Drawing::default(), beginning))
    };
    software::run(TITLE, SIZE, icon(), build).map_err(|error| WindowError::Open(error.to_string()))
}

//! What a desktop and a page do differently, under one set of names.
//!
//! The studio asks here and knows neither: `desktop` and `web` have the same modules with the same functions, and the
//! compiler takes one of them. Nothing here knows the studio: who opens a window (`desktop`, `tab`) brings
//! both together.

pub mod curation_request;
pub mod dialogs;
pub mod model_address;
pub mod model_download;
pub mod names;
pub mod typed;

#[cfg(not(target_family = "wasm"))]
mod desktop;
#[cfg(target_family = "wasm")]
pub mod web;

#[cfg(not(target_family = "wasm"))]
use desktop::dialogs as system_dialogs;
#[cfg(not(target_family = "wasm"))]
pub use desktop::{
    HAS_DISK, camera, clipboard, curation, devices, explorer, models, network, pictures, runs, storage, tasks,
};
#[cfg(target_family = "wasm")]
use web::dialogs as system_dialogs;
#[cfg(target_family = "wasm")]
pub use web::{
    HAS_DISK, camera, clipboard, curation, devices, explorer, models, network, pictures, runs, storage, tasks,
};

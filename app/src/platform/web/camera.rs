//! The browser's camera.

use std::cell::RefCell;

use dinoscope_core::data::Picture;
use js_sys::Uint8Array;
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::JsFuture;

use super::host;
use super::tasks::{self, Wake};

thread_local! {
    static TROUBLE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Whether there is one to ask for.
pub fn available() -> bool {
    host::get().is_some_and(|host| host.has_camera())
}

/// Asks for it; the browser asks the person.
pub fn start(wake: Wake) {
    TROUBLE.set(None);
    let Some(host) = host::get() else { return };
    tasks::spawn(async move {
        if let Err(thrown) = JsFuture::from(host.start_camera()).await {
            TROUBLE.set(Some(host::words(&thrown)));
        }
        wake();
    });
}

/// Gives it back.
pub fn stop() {
    if let Some(host) = host::get() {
        host.stop_camera();
    }
}

/// Why it can't be used, once it is known.
pub fn trouble() -> Option<String> {
    TROUBLE.with_borrow(Clone::clone)
}

/// Its newest picture, no larger than `side`.
pub fn frame(side: usize) -> Option<Picture> {
    let parts = host::get()?.frame(side as u32)?;
    let number = |at: u32| parts.get(at).as_f64().map(|side| side as usize);
    let (width, height) = (number(0)?, number(1)?);
    let rgba = parts.get(2).dyn_into::<Uint8Array>().ok()?.to_vec();
    let rgb: Vec<u8> = rgba.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    (width > 0 && rgb.len() == width * height * 3).then_some(Picture::of_rgb(width, height, rgb))
}

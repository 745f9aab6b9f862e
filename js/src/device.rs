//! The browser's GPU, opened once, and who hears that something ended for good.

use std::cell::RefCell;

use burn::tensor::Device;
use js_sys::Function;
use wasm_bindgen::JsValue;

use crate::failure::JsApiError;

thread_local! {
    /// The device with the adapter's name. One for all models: burn opens the browser's only once.
    static GPU: RefCell<Option<(Device, String)>> = const { RefCell::new(None) };
    /// Hears what ends everything.
    static LISTENER: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Calls `listener` with a code and a message when the program panics or loses its device.
pub fn listen(listener: Function) {
    LISTENER.with(|slot| *slot.borrow_mut() = Some(listener));
    std::panic::set_hook(Box::new(|panic| {
        console_error_panic_hook::hook(panic);
        say("crash", &panic.to_string());
    }));
}

fn say(code: &str, message: &str) {
    // Whoever panics while this is borrowed is heard by nobody, and better so than a second panic.
    let listener = LISTENER.with(|slot| slot.try_borrow().ok().and_then(|listener| listener.clone()));
    if let Some(listener) = listener {
        let _ = listener.call2(&JsValue::NULL, &code.into(), &message.into());
    }
}

/// The GPU, and its name, which browsers may keep to themselves.
///
/// # Errors
/// When the browser gives none.
pub async fn gpu() -> Result<(Device, String), JsApiError> {
    if let Some(opened) = GPU.with(|slot| slot.borrow().clone()) {
        return Ok(opened);
    }
    let opened = Device::wgpu_options().init_with_setup_async().await;
    let (device, setup) = opened.map_err(|error| JsApiError::Open(error.to_string()))?;
    setup.device.set_device_lost_callback(|reason, message| say("lost", &format!("{reason:?}: {message}")));
    let opened = (device, setup.adapter.get_info().name);
    GPU.with(|slot| *slot.borrow_mut() = Some(opened.clone()));
    Ok(opened)
}

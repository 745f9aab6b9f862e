//! The functions that the page's JavaScript sees.

use wasm_bindgen::prelude::*;

use crate::{look, programs};

#[wasm_bindgen]
extern "C" {
    /// Milliseconds since the page was opened.
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

/// Runs once, when the page has loaded the program: panics go to the console with their place in the source.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}

/// Computes features of a small picture, on the GPU too if `gpu`, and compares; a [`look::Report`] as JSON.
///
/// # Errors
/// Throws when the CPU cannot compute. What goes wrong on the GPU is in the report.
#[wasm_bindgen]
pub async fn look(gpu: bool) -> Result<String, JsError> {
    let report = look::look(gpu, now).await?;
    Ok(serde_json::to_string(&report)?)
}

/// Compares the GPU programs with their CPU twins: a list of [`programs::Row`] as JSON.
///
/// # Errors
/// Throws when there is no WebGPU or a program can't run.
#[wasm_bindgen]
pub async fn programs() -> Result<String, JsError> {
    Ok(serde_json::to_string(&programs::programs().await?)?)
}

//! The functions that the page's JavaScript sees.

use dinoscope::platform::web::host::{Host, Page};
use dinoscope::tab::given::{BrowserFile, arrived as take};
use dinoscope::tab::worker::WorkerServer;
use dinoscope::tab::{address, edges, inspect, window};
use dinoscope_core::{constructors, files};
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::programs;

/// Runs once, when the page or a worker has loaded the program: panics go to the console with their place in the source.
#[wasm_bindgen(start)]
pub fn begin() {
    constructors::run_constructors();
    console_error_panic_hook::set_once();
}

/// Puts a file into the studio's file system.
///
/// # Errors
/// Throws where it can't lie.
#[wasm_bindgen]
pub fn place(path: &str, bytes: &[u8]) -> Result<(), JsError> {
    Ok(files::write(path, bytes)?)
}

/// Draws the studio on a canvas. `wishes` is a [`window::UrlQuery`] as JSON.
///
/// # Errors
/// Throws when the canvas can't be drawn on that way.
#[wasm_bindgen]
pub async fn start(
    host: Host,
    canvas: web_sys::HtmlCanvasElement,
    wishes: String,
    webgpu: bool,
) -> Result<(), JsError> {
    let wishes = serde_json::from_str(&wishes)?;
    window::start(host, canvas, wishes, webgpu).await.map_err(|reason| JsError::new(&reason))
}

/// Files were dropped, pasted, or `chosen` in a dialog. `contents` has nothing for those that stay in the browser.
#[wasm_bindgen]
pub fn arrived(chosen: bool, roots: Vec<String>, paths: Vec<String>, sizes: Vec<f64>, contents: Array) {
    let given =
        paths.into_iter().zip(sizes).zip(contents.iter()).map(|((path, size), content)| BrowserFile {
            path: path.into(),
            size: size as u64,
            content: content.dyn_into::<Uint8Array>().ok().map(|bytes| bytes.to_vec()),
        });
    take(chosen, roots.into_iter().map(Into::into).collect(), given.collect());
}

/// Something went wrong in the page's JavaScript that a person should know.
#[wasm_bindgen]
pub fn trouble(text: String) {
    window::with(|studio| studio.show_error(text));
}

/// A font for columns, and for scripts that the studio's own has no letters of.
#[wasm_bindgen]
pub fn font(bytes: Vec<u8>) {
    if let Some(ctx) = window::context() {
        dinoscope::studio::theme::fonts::add(&ctx, "Hack", bytes);
    }
}

/// The page is hidden, or seen again.
#[wasm_bindgen]
pub fn hidden(hidden: bool) {
    window::with(|studio| studio.hidden(hidden));
}

/// Asks for something to be done with a widget: see [`inspect::ask`].
#[wasm_bindgen]
pub fn act(id: &str, act: &str, value: Option<String>) {
    if let Some(ctx) = window::context() {
        inspect::ask(&ctx, id, act, value.as_deref());
    }
}

/// The keyboard comes onto the canvas, from before it or from behind.
#[wasm_bindgen]
pub fn enter(forward: bool) {
    if let Some(ctx) = window::context() {
        edges::enter(&ctx, forward);
    }
}

/// The person goes to another place in the browser's history: a [`dinoscope::studio::url_state::StudioUrlState`] as JSON.
#[wasm_bindgen]
pub fn go(place: &str) {
    if let Ok(place) = serde_json::from_str(place) {
        address::go(place);
    }
}

/// Fingers work the page, or a pointer that is finer.
#[wasm_bindgen]
pub fn touch(fingers: bool) {
    if let Some(ctx) = window::context() {
        dinoscope::studio::touch::set(&ctx, fingers);
    }
}

/// How everything stands, as JSON.
#[wasm_bindgen]
pub fn snapshot() -> String {
    window::ask(|studio| studio.snapshot()).unwrap_or_default().to_string()
}

/// What is drawn on the canvas, as JSON: see [`inspect::WidgetSnapshot`].
#[wasm_bindgen]
pub fn widgets() -> String {
    let drawn = window::context().map(|ctx| inspect::drawn(&ctx));
    serde_json::to_string(&drawn.unwrap_or_default()).unwrap_or_default()
}

/// Compares the GPU programs with their CPU twins: a list of [`programs::KernelCheckResult`] as JSON.
///
/// # Errors
/// Throws when there is no WebGPU or a program can't run.
#[wasm_bindgen(js_name = programs)]
pub async fn compare_programs() -> Result<String, JsError> {
    Ok(serde_json::to_string(&programs::programs().await?)?)
}

/// A worker, from the inside.
#[wasm_bindgen]
pub struct Worker(WorkerServer);

/// Works for the page.
#[wasm_bindgen]
pub fn start_worker(page: Page) -> Worker {
    Worker(WorkerServer::new(page))
}

#[wasm_bindgen]
impl Worker {
    /// Takes a message of the page's.
    pub fn on_message(&self, message: &[u8]) {
        self.0.on_message(message);
    }
}

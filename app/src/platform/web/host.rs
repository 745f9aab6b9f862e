//! What the page's JavaScript does for the studio (`web/page/host.js`): workers, files that a person has given, saving,
//! what is remembered, the camera.

use std::cell::RefCell;

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// The page.
    #[derive(Clone)]
    pub type Host;

    /// A worker that answers with `heard`, and says with `failed` why it has ended.
    #[wasm_bindgen(method)]
    pub fn hire(
        this: &Host,
        heard: &Closure<dyn FnMut(Uint8Array)>,
        failed: &Closure<dyn FnMut(String)>,
    ) -> Hand;

    /// Saves a file where downloads go.
    #[wasm_bindgen(method)]
    pub fn save(this: &Host, name: &str, bytes: Uint8Array);

    /// Lets a person choose files; they arrive as what was dropped does, for `purpose`.
    #[wasm_bindgen(method)]
    pub fn pick(this: &Host, purpose: &str, kinds: &str, folder: bool);

    /// What was kept with [`Host::keep`], be it of another day.
    #[wasm_bindgen(method)]
    pub fn kept(this: &Host) -> Option<String>;

    /// Keeps a text in this browser.
    #[wasm_bindgen(method)]
    pub fn keep(this: &Host, text: &str);

    /// Fetches a file. `progress` hears of bytes so far, in all (0 where that is not known) and of trouble on the way, and
    /// may say no.
    #[wasm_bindgen(method)]
    pub fn fetch(
        this: &Host,
        address: &str,
        progress: &Closure<dyn FnMut(f64, f64, String) -> bool>,
    ) -> Promise<Uint8Array>;

    /// The same of a model, which the page may have kept; `starter` for the one that comes along.
    #[wasm_bindgen(method, js_name = fetchModel)]
    pub fn fetch_model(
        this: &Host,
        address: &str,
        progress: &Closure<dyn FnMut(f64, f64, String) -> bool>,
    ) -> Promise<Uint8Array>;

    /// Whether what was fetched last from an address is a model: then it is kept, else forgotten.
    #[wasm_bindgen(method)]
    pub fn opened(this: &Host, address: &str, good: bool);

    /// The models that are kept, as pairs of address and bytes.
    #[wasm_bindgen(method)]
    pub fn models(this: &Host) -> Promise<Array>;

    /// Removes a model that is kept.
    #[wasm_bindgen(method, js_name = removeModel)]
    pub fn remove_model(this: &Host, address: &str) -> Promise;

    /// Whether this browser has a camera to ask for.
    #[wasm_bindgen(method, js_name = hasCamera)]
    pub fn has_camera(this: &Host) -> bool;

    /// Starts the camera; rejected with the reason where that can't be.
    #[wasm_bindgen(method, js_name = startCamera)]
    pub fn start_camera(this: &Host) -> Promise;

    /// Stops it.
    #[wasm_bindgen(method, js_name = stopCamera)]
    pub fn stop_camera(this: &Host);

    /// The camera's newest picture, no larger than `side`: width, height, RGBA. Nothing while there is no new one.
    #[wasm_bindgen(method)]
    pub fn frame(this: &Host, side: u32) -> Option<Array>;

    /// Frames of a video that was given to the page: its width and height, theirs (no side longer than `side`), and the RGBA of at
    /// most `most` of them, spread over all of it. Rejected with the reason where the browser can't play it.
    #[wasm_bindgen(method, js_name = videoFrames)]
    pub fn video_frames(this: &Host, path: &str, side: u32, most: u32) -> Promise;

    /// What the browser's tab is called.
    #[wasm_bindgen(method, js_name = setTitle)]
    pub fn set_title(this: &Host, title: &str);

    /// Says in place of the studio why it can't go on, with the ways on.
    #[wasm_bindgen(method)]
    pub fn stopped(this: &Host, reason: &str);

    /// A canvas in place of the last one, which a lost GPU has left unusable.
    #[wasm_bindgen(method, js_name = freshCanvas)]
    pub fn fresh_canvas(this: &Host) -> web_sys::HtmlCanvasElement;

    /// Opens pictures from the clipboard, as far as the browser allows.
    #[wasm_bindgen(method)]
    pub fn paste(this: &Host);

    /// Whether the page asks before it is closed.
    #[wasm_bindgen(method)]
    pub fn guard(this: &Host, on: bool);

    /// Tells what has changed of what is drawn: an `AriaTreeUpdate` of the studio as JSON.
    #[wasm_bindgen(method)]
    pub fn describe(this: &Host, changes: &str);

    /// The keyboard goes on to what comes after the canvas, or before it.
    #[wasm_bindgen(method)]
    pub fn leave(this: &Host, forward: bool);

    /// What shows has changed: a `StudioUrlState` of the studio as JSON. With `again` it takes the last one's place in
    /// the browser's history.
    #[wasm_bindgen(method)]
    pub fn moved(this: &Host, place: &str, again: bool);

    /// A worker.
    #[derive(Clone)]
    pub type Hand;

    /// Sends a message, with the files that lie at or below `paths`.
    #[wasm_bindgen(method)]
    pub fn post(this: &Hand, message: Uint8Array, paths: Array);

    /// Ends it, in the middle of whatever it does.
    #[wasm_bindgen(method)]
    pub fn end(this: &Hand);

    /// The page, as a worker sees it (`web/page/worker.js`).
    #[derive(Clone)]
    pub type Page;

    /// Sends an answer.
    #[wasm_bindgen(method, js_name = post)]
    pub fn answer(this: &Page, message: Uint8Array);

    /// Says that the worker has panicked, which ends it.
    #[wasm_bindgen(method)]
    pub fn panicked(this: &Page, reason: &str);

    /// The content of a file that came along, or the reason why it can't be read.
    #[wasm_bindgen(method, catch)]
    pub fn read(this: &Page, path: &str) -> Result<Uint8Array, JsValue>;
}

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// Makes the page's JavaScript known.
pub fn set(host: Host) {
    HOST.set(Some(host));
}

/// The page's JavaScript. Nothing in a worker.
pub fn get() -> Option<Host> {
    HOST.with_borrow(Clone::clone)
}

/// What JavaScript threw, in words.
pub fn words(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => thrown.as_string().unwrap_or_else(|| format!("{thrown:?}")),
    }
}

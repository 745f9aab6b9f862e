//! Work beside the frames: tasks of the browser's event loop that take turns with them. What takes long goes to a worker.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use dinoscope_core::engine::YieldNow;
use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Milliseconds that work may take before frames get a turn: half of one at 60 frames a second.
const TURN: f64 = 8.0;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(then: &Function, milliseconds: f64);

    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;

    type MessageChannel;
    #[wasm_bindgen(constructor)]
    fn new() -> MessageChannel;
    #[wasm_bindgen(method, getter)]
    fn port1(this: &MessageChannel) -> MessagePort;
    #[wasm_bindgen(method, getter)]
    fn port2(this: &MessageChannel) -> MessagePort;

    type MessagePort;
    #[wasm_bindgen(method, setter)]
    fn set_onmessage(this: &MessagePort, then: &Function);
    #[wasm_bindgen(method, js_name = postMessage)]
    fn post_message(this: &MessagePort, message: &JsValue);
    #[wasm_bindgen(method)]
    fn close(this: &MessagePort);
}

thread_local! {
    /// When the event loop had its last turn.
    static LAST: Cell<f64> = const { Cell::new(0.0) };
}

/// Draws the page again; from anywhere.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Does work beside the frames: after the one that is being drawn.
///
/// # Errors
/// Never; on the desktop a thread may be refused.
pub fn spawn_task(_: &str, work: impl AsyncFnOnce() + 'static) -> Result<(), String> {
    spawn(async move {
        turn().await;
        work().await;
    });
    Ok(())
}

/// Does work that may panic; here a panic ends the program, and the page says so.
///
/// # Errors
/// Never here.
pub async fn catch_panic(work: impl AsyncFnOnce()) -> Result<(), String> {
    work().await;
    Ok(())
}

/// Runs a future as a task of the event loop.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(future);
}

/// Lets the event loop turn once. A message to oneself, because timers that follow timers are held back, and promises
/// alone let nothing be drawn.
pub async fn turn() {
    let channel = MessageChannel::new();
    let (to, from) = (channel.port2(), channel.port1());
    let promise = Promise::new(&mut |done, _| {
        from.set_onmessage(&done);
        to.post_message(&JsValue::NULL);
    });
    // A promise that nobody can reject.
    let _ = JsFuture::from(promise).await;
    from.close();
    LAST.set(now());
}

/// Lets the event loop turn if it has waited for long.
pub async fn yield_now() {
    if now() - LAST.get() > TURN {
        turn().await;
    }
}

/// A turn, as the engine takes one.
pub fn engine_turn() -> YieldNow {
    Arc::new(|| Box::pin(turn()))
}

/// Waits; the page goes on.
pub async fn sleep(time: Duration) {
    let promise = Promise::new(&mut |done, _| set_timeout(&done, time.as_secs_f64() * 1e3));
    let _ = JsFuture::from(promise).await;
    LAST.set(now());
}

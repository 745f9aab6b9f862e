//! The page's workers, from the page: one decodes pictures, one looks where no GPU does, one trains.
//!
//! Each is hired when there is something to do for it. One that fails answers everything that was asked of it with the
//! reason, and another is hired the next time.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use async_channel::Sender;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use super::host::{self, Hand};
use crate::wire::{self, WorkerEnvelope, WorkerRequest, WorkerResponse};

/// Who waits for answers, by the number of the question.
type Waiting = Rc<RefCell<HashMap<u32, Sender<Result<WorkerResponse, String>>>>>;

/// A worker, from the page.
pub struct WorkerClient {
    hand: Hand,
    waiting: Waiting,
    next: Cell<u32>,
    failed: Rc<RefCell<Option<String>>>,
    /// Called by JavaScript as long as the worker is there.
    _callbacks: (Closure<dyn FnMut(Uint8Array)>, Closure<dyn FnMut(String)>),
}

impl WorkerClient {
    /// Hires one. `unasked` hears what answers no question, and at last why it failed, if it did.
    pub fn spawn(unasked: impl Fn(Result<WorkerResponse, String>) + 'static) -> Result<Rc<Self>, String> {
        let host = host::get().ok_or("only a page has workers")?;
        let (waiting, failed) = (Waiting::default(), Rc::new(RefCell::new(None::<String>)));
        let unasked = Rc::new(unasked);
        let heard = {
            let (waiting, unasked) = (waiting.clone(), unasked.clone());
            Closure::new(move |message: Uint8Array| match wire::decode::<WorkerResponse>(&message.to_vec()) {
                Ok(WorkerEnvelope { number: 0, content }) => unasked(Ok(content)),
                Ok(WorkerEnvelope { number, content }) => {
                    if let Some(waits) = waiting.borrow_mut().remove(&number) {
                        let _ = waits.try_send(Ok(content));
                    }
                }
                Err(reason) => unasked(Err(reason)),
            })
        };
        let ended = {
            let (waiting, failed) = (waiting.clone(), failed.clone());
            Closure::new(move |reason: String| {
                ::log::error!("a worker failed: {reason}");
                *failed.borrow_mut() = Some(reason.clone());
                for (_, waits) in waiting.borrow_mut().drain() {
                    let _ = waits.try_send(Err(reason.clone()));
                }
                unasked(Err(reason));
            })
        };
        let hand = host.hire(&heard, &ended);
        Ok(Rc::new(Self { hand, waiting, next: Cell::new(1), failed, _callbacks: (heard, ended) }))
    }

    /// Whether it can't be asked any more.
    pub fn has_failed(&self) -> bool {
        self.failed.borrow().is_some()
    }

    /// Says something that has no answer, with the files at or below `paths` that a person has given.
    ///
    /// # Errors
    /// It can't be sent.
    pub fn tell(&self, order: WorkerRequest, paths: &[&Path]) -> Result<(), String> {
        self.send(0, order, paths)
    }

    fn send(&self, number: u32, order: WorkerRequest, paths: &[&Path]) -> Result<(), String> {
        let message = wire::encode(number, order)?;
        let paths: Array = paths.iter().map(|path| JsValue::from(path.display().to_string())).collect();
        self.hand.post(Uint8Array::from(message.as_slice()), paths);
        Ok(())
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The worker failed, for instance for lack of memory.
    pub async fn ask(&self, order: WorkerRequest, paths: &[&Path]) -> Result<WorkerResponse, String> {
        if let Some(reason) = self.failed.borrow().clone() {
            return Err(reason);
        }
        let number = self.next.get();
        self.next.set(number.wrapping_add(1).max(1));
        let (out, answer) = async_channel::bounded(1);
        self.waiting.borrow_mut().insert(number, out);
        self.send(number, order, paths)?;
        answer.recv().await.unwrap_or_else(|_| Err("the worker was dismissed".to_owned()))
    }
}

impl Drop for WorkerClient {
    fn drop(&mut self) {
        self.hand.end();
    }
}

/// One worker that is hired when it is needed, and again after it failed.
#[derive(Default)]
pub struct WorkerSlot(RefCell<Option<Rc<WorkerClient>>>);

impl WorkerSlot {
    /// The worker, and whether it is a new one.
    ///
    /// # Errors
    /// There can't be one.
    pub fn worker(&self) -> Result<(Rc<WorkerClient>, bool), String> {
        let mut held = self.0.borrow_mut();
        if let Some(worker) = held.as_ref().filter(|worker| !worker.has_failed()) {
            return Ok((worker.clone(), false));
        }
        let worker = WorkerClient::spawn(|_| ())?;
        *held = Some(worker.clone());
        Ok((worker, true))
    }
}

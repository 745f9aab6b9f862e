//! Work beside the frames: on threads where there are threads, between the frames in a page.
//!
//! A page has one thread for everything that is drawn. What takes long there goes to a worker of its own
//! (`tab`); what is left takes turns with the frames.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};

/// Draws the window again; from anywhere.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Does work beside the frames.
///
/// # Errors
/// No thread could be started.
#[cfg(not(target_family = "wasm"))]
pub fn go(name: &str, work: impl AsyncFnOnce() + Send + 'static) -> Result<(), String> {
    let run = move || dinoscope_core::device::block_on(work());
    let thread = std::thread::Builder::new().name(format!("dinoscope-{name}"));
    thread.spawn(run).map(|_| ()).map_err(|error| format!("no thread could be started: {error}"))
}

/// Does work beside the frames: after the one that is being drawn.
///
/// # Errors
/// Never; on the desktop a thread may be refused.
#[cfg(target_family = "wasm")]
pub fn go(_: &str, work: impl AsyncFnOnce() + 'static) -> Result<(), String> {
    crate::tab::turns::spawn(async move {
        crate::tab::turns::turn().await;
        work().await;
    });
    Ok(())
}

/// Waits. On the desktop this holds up the thread that calls, so it has to be one of [`go`].
pub async fn rest(time: Duration) {
    #[cfg(not(target_family = "wasm"))]
    std::thread::sleep(time);
    #[cfg(target_family = "wasm")]
    crate::tab::turns::rest(time).await;
}

/// Lets frames be drawn in between, where they share the thread with work that has taken its time.
pub async fn breathe() {
    #[cfg(target_family = "wasm")]
    crate::tab::turns::breathe().await;
}

/// What is to be done, which may be changed until a hand takes it.
pub struct SharedWorkQueue<T> {
    todo: Arc<Mutex<T>>,
    bells: Vec<Sender<()>>,
}

impl<T: Send + 'static> SharedWorkQueue<T> {
    /// A desk without hands.
    pub fn new(todo: T) -> Self {
        Self { todo: Arc::new(Mutex::new(todo)), bells: Vec::new() }
    }

    /// A hand that takes what `next` finds most urgent and does it, until the desk is gone.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn hand<J>(
        &mut self,
        name: &str,
        next: impl FnMut(&mut T) -> Option<J> + Send + 'static,
        work: impl AsyncFnMut(J) + Send + 'static,
    ) -> Result<(), String> {
        let (bell, rung) = bounded(1);
        let todo = self.todo.clone();
        self.bells.push(bell);
        go(name, async move || serve(&todo, &rung, next, work).await)
    }

    /// Changes what is to be done.
    pub fn write(&self, change: impl FnOnce(&mut T)) {
        if let Ok(mut todo) = self.todo.lock() {
            change(&mut todo);
        }
        for bell in &self.bells {
            // One ring is enough: who hears it looks at everything.
            let _ = bell.try_send(());
        }
    }
}

async fn serve<T, J>(
    todo: &Mutex<T>,
    rung: &Receiver<()>,
    mut next: impl FnMut(&mut T) -> Option<J>,
    mut work: impl AsyncFnMut(J),
) {
    while !rung.is_closed() {
        let job = todo.lock().ok().and_then(|mut todo| next(&mut todo));
        match job {
            Some(job) => {
                work(job).await;
                breathe().await;
            }
            None if rung.recv().await.is_err() => return,
            None => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hands_do_what_is_most_urgent_and_end_with_the_desk() {
        let (out, done) = async_channel::unbounded();
        let mut desk = SharedWorkQueue::new(Vec::<u32>::new());
        desk.write(|todo| todo.extend([1, 2, 3]));
        desk.hand("test", Vec::pop, async move |job| out.send(job).await.unwrap()).unwrap();
        let heard: Vec<u32> = (0..3).map(|_| done.recv_blocking().unwrap()).collect();
        assert_eq!(heard, [3, 2, 1]);
        desk.write(|todo| todo.push(9));
        assert_eq!(done.recv_blocking(), Ok(9));
        drop(desk);
        assert!(done.recv_blocking().is_err(), "the hand has gone with its end of the channel");
    }
}

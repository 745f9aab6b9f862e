//! Work that several hands take from one place, the most urgent first.

use std::sync::{Arc, Mutex};

use async_channel::{Receiver, Sender, bounded, unbounded};

use crate::platform::tasks::{Wake, spawn_task, yield_now};

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
    pub fn spawn_worker<J>(
        &mut self,
        name: &str,
        next: impl FnMut(&mut T) -> Option<J> + Send + 'static,
        work: impl AsyncFnMut(J) + Send + 'static,
    ) -> Result<(), String> {
        let (bell, wake_receiver) = bounded(1);
        let todo = self.todo.clone();
        self.bells.push(bell);
        spawn_task(name, async move || serve(&todo, &wake_receiver, next, work).await)
    }

    /// A desk with one hand, whose results come out of the receiver; `wake` is called after each. Where no hand can be had,
    /// `failed` is said in the log: nothing comes then.
    pub fn with_results<J, R: Send + 'static>(
        todo: T,
        (name, failed): (&str, &str),
        next: impl FnMut(&mut T) -> Option<J> + Send + 'static,
        mut work: impl FnMut(J) -> R + Send + 'static,
        wake: Wake,
    ) -> (Self, Receiver<R>) {
        let mut queue = Self::new(todo);
        let (out, results) = unbounded();
        let work = async move |job| {
            // Nobody listens any more: then nobody misses it.
            let _ = out.try_send(work(job));
            wake();
        };
        if let Err(error) = queue.spawn_worker(name, next, work) {
            ::log::error!("{failed}, {error}");
        }
        (queue, results)
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
    wake_receiver: &Receiver<()>,
    mut next: impl FnMut(&mut T) -> Option<J>,
    mut work: impl AsyncFnMut(J),
) {
    while !wake_receiver.is_closed() {
        let job = todo.lock().ok().and_then(|mut todo| next(&mut todo));
        match job {
            Some(job) => {
                work(job).await;
                yield_now().await;
            }
            None if wake_receiver.recv().await.is_err() => return,
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
        let mut queue = SharedWorkQueue::new(Vec::<u32>::new());
        queue.write(|todo| todo.extend([1, 2, 3]));
        queue.spawn_worker("test", Vec::pop, async move |job| out.send(job).await.unwrap()).unwrap();
        let heard: Vec<u32> = (0..3).map(|_| done.recv_blocking().unwrap()).collect();
        assert_eq!(heard, [3, 2, 1]);
        queue.write(|todo| todo.push(9));
        assert_eq!(done.recv_blocking(), Ok(9));
        drop(queue);
        assert!(done.recv_blocking().is_err(), "the hand has gone with its end of the channel");
    }
}

//! Work that would hold up a frame, done beside it: files, folders, decoding, starting a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use crate::platform::tasks::{Wake, spawn_task};

/// Whether nobody wants the result any more.
#[derive(Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Asks the work to end.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to end.
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the work can say while it is at it.
pub struct TaskEventSender<T> {
    out: Sender<T>,
    wake: Wake,
}

impl<T> TaskEventSender<T> {
    /// Hands something over and draws the window again.
    pub fn say(&self, news: T) {
        // Nobody listens any more: then nobody misses it.
        let _ = self.out.send(news);
        (self.wake)();
    }
}

/// Work beside the frames that says things of type `T`. Dropped, it is asked to end.
pub struct BackgroundTask<T> {
    news: Receiver<T>,
    stop: CancelFlag,
    over: bool,
    /// Why it never began, where no thread could be started.
    refused: Option<String>,
}

impl<T: Send + 'static> BackgroundTask<T> {
    /// Starts it. Where no thread can be started the work is over before it began.
    pub fn start(
        name: &str,
        wake: &Wake,
        work: impl FnOnce(&TaskEventSender<T>, &CancelFlag) + Send + 'static,
    ) -> Self {
        Self::start_async(name, wake, async move |events: TaskEventSender<T>, stop: CancelFlag| {
            work(&events, &stop)
        })
    }

    /// [`BackgroundTask::start`] for work that waits in between.
    pub fn start_async(
        name: &str,
        wake: &Wake,
        work: impl AsyncFnOnce(TaskEventSender<T>, CancelFlag) + Send + 'static,
    ) -> Self {
        let (out, news) = channel();
        let stop = CancelFlag::default();
        let (events, asked) = (TaskEventSender { out, wake: wake.clone() }, stop.clone());
        let wake = wake.clone();
        let run = async move || {
            // The end is news too: whoever waits for the last word learns that there is none.
            work(events, asked).await;
            wake();
        };
        let refused = spawn_task(name, run).err();
        if let Some(error) = &refused {
            ::log::warn!("{name}: {error}");
        }
        Self { news, stop, over: false, refused }
    }

    /// Starts work that has one answer.
    pub fn ask(name: &str, wake: &Wake, work: impl FnOnce(&CancelFlag) -> T + Send + 'static) -> Self {
        Self::start(name, wake, move |events, stop| events.say(work(stop)))
    }

    /// [`BackgroundTask::ask`] for work that waits in between.
    pub fn ask_async(name: &str, wake: &Wake, work: impl AsyncFnOnce() -> T + Send + 'static) -> Self {
        Self::start_async(name, wake, async move |events: TaskEventSender<T>, _| events.say(work().await))
    }

    /// The answer once it is there; an error when the work has ended without one.
    pub fn answer(&mut self) -> Option<Result<T, TaskFailedError>> {
        match self.receive() {
            Some(answer) => Some(Ok(answer)),
            None => self.over.then_some(Err(TaskFailedError)),
        }
    }

    /// What was said next, if anything was.
    pub fn receive(&mut self) -> Option<T> {
        match self.news.try_recv() {
            Ok(news) => Some(news),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.over = true;
                None
            }
        }
    }

    /// Whether nothing more will be said: it has ended, in order or not, and everything was heard.
    pub fn over(&self) -> bool {
        self.over
    }

    /// Why it never began, where no thread could be started.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Asks it to end; what it says until then is still heard.
    pub fn stop(&self) {
        self.stop.ask();
    }
}

/// Work that has ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskFailedError;

impl<T> Drop for BackgroundTask<T> {
    fn drop(&mut self) {
        self.stop.ask();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "no answer");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn answers_come_and_the_end_is_known() {
        let woken = CancelFlag::default();
        let wake: Wake = {
            let woken = woken.clone();
            Arc::new(move || woken.ask())
        };
        let mut work = BackgroundTask::ask("test", &wake, |_| 7);
        assert_eq!(until(|| work.receive()), 7);
        assert!(woken.asked());
        until(|| {
            assert_eq!(work.receive(), None);
            work.over().then_some(())
        });
    }

    #[test]
    fn work_that_panics_is_over_and_work_that_is_dropped_is_asked_to_end() {
        let wake: Wake = Arc::new(|| ());
        let mut lost = BackgroundTask::<u8>::ask("test", &wake, |_| panic!("a picture too many"));
        until(|| (lost.receive().is_none() && lost.over()).then_some(()));
        assert_eq!(lost.answer(), Some(Err(TaskFailedError)));
        let mut waits = BackgroundTask::ask_async("test", &wake, async || 7);
        assert_eq!(until(|| waits.answer()), Ok(7));
        let (seen, ended) = channel();
        let endless = BackgroundTask::<u8>::start("test", &wake, move |_, stop| {
            while !stop.asked() {
                std::thread::yield_now();
            }
            seen.send(()).unwrap();
        });
        drop(endless);
        ended.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}

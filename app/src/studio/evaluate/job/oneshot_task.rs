//! Work beside the frames that has one answer.

use async_channel::{Receiver, TryRecvError, bounded};

use crate::platform::tasks::{Wake, go};

/// One answer that is on its way. Dropped, nobody waits for it any more.
pub struct OneshotTask<T>(Receiver<T>);

impl<T: Send + 'static> OneshotTask<T> {
    /// Starts the work; the window is drawn again when it has ended.
    pub fn start(name: &str, wake: &Wake, work: impl AsyncFnOnce() -> T + Send + 'static) -> Self {
        let (out, answer) = bounded(1);
        let wake = wake.clone();
        let run = async move || {
            // Nobody may wait for it any more.
            let _ = out.try_send(work().await);
            drop(out);
            wake();
        };
        if let Err(error) = go(name, run) {
            ::log::warn!("{name}: {error}");
        }
        Self(answer)
    }

    /// The answer once it is there; an error when the work has ended without one.
    pub fn hear(&self) -> Option<Result<T, TaskFailedError>> {
        match self.0.try_recv() {
            Ok(answer) => Some(Ok(answer)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(Err(TaskFailedError)),
        }
    }
}

/// Work that has ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskFailedError;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;

    fn until<T: Send + 'static>(work: &OneshotTask<T>) -> Result<T, TaskFailedError> {
        let start = Instant::now();
        loop {
            if let Some(answer) = work.hear() {
                return answer;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "no answer");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn answers_come_and_work_that_panics_is_lost() {
        let wake: Wake = Arc::new(|| ());
        assert_eq!(until(&OneshotTask::start("test", &wake, async || 7)), Ok(7));
        let lost = OneshotTask::<u8>::start("test", &wake, async || panic!("a picture too many"));
        assert_eq!(until(&lost), Err(TaskFailedError));
    }
}

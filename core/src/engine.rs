//! Training from the outside: a run on a thread of its own, or as a task of a page.
//!
//! The command line, the window, the page and the tests start runs here and are consumers of the same stream of events
//! ([`protocol`](crate::train::protocol)).

#[cfg(not(target_family = "wasm"))]
use std::sync::Arc;

#[cfg(not(target_family = "wasm"))]
use crate::ssl::ranks::RankFailure;
use crate::train::protocol::channels;
#[cfg(target_family = "wasm")]
pub use crate::train::protocol::{Breath, YieldNow};
pub use crate::train::protocol::{
    EngineError, RunCommand, RunCompletion, RunEvent, RunHandle, SerializableEngineError, Slot, StepReport,
    TrainJob, Wake,
};
pub use crate::train::ranks::RunRanks;
use crate::train::trainer;

/// Starts a run on a thread of its own, which does all work of the device.
#[cfg(not(target_family = "wasm"))]
pub fn start(job: TrainJob) -> RunHandle {
    start_with(job, Arc::new(|| ()))
}

/// [`start`] for someone who sleeps in between: `wake` is called after every event and when there are new pictures.
#[cfg(not(target_family = "wasm"))]
pub fn start_with(job: TrainJob, wake: Wake) -> RunHandle {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::device::block_on;

    let (handle, port) = channels(wake.clone());
    let hint = crate::train::memory::hint(&job.recipe);
    let work = move || {
        // burn panics when the device is lost or out of memory: turn that into the stream's last item.
        let outcome = catch_unwind(AssertUnwindSafe(|| block_on(trainer::run(job, &port))));
        let last = match outcome {
            Ok(Ok(finished)) => Ok(RunEvent::Finished(Box::new(finished))),
            Ok(Err(error)) => Err(error),
            // Sums over ranks stand in the middle of steps: see `RankFailure`.
            Err(panic) => Err(match panic.downcast::<RankFailure>() {
                Ok(lost) => EngineError::Ranks(*lost),
                Err(panic) => EngineError::Device { reason: crate::device::panic_text(panic), hint },
            }),
        };
        block_on(port.send(last));
    };
    let spawned =
        std::thread::Builder::new().name("dinoscope-engine".to_owned()).stack_size(32 << 20).spawn(work);
    if let Err(error) = spawned {
        let (unheard, port) = channels(wake);
        let reason = format!("no thread could be started: {error}");
        block_on(port.send(Err(EngineError::Device { reason, hint: String::new() })));
        return unheard;
    }
    handle
}

/// Starts a run as a task of the browser's event loop; `spawn` puts the future there.
///
/// `wake` is called after every event and when there are new pictures. What `yield_now` gives is awaited after every step,
/// between the batches of an evaluation and between watched pictures.
#[cfg(target_family = "wasm")]
pub fn start_with(
    job: TrainJob,
    wake: Wake,
    yield_now: YieldNow,
    spawn: impl FnOnce(std::pin::Pin<Box<dyn Future<Output = ()>>>),
) -> RunHandle {
    let (handle, port) = channels(wake, yield_now);
    spawn(Box::pin(async move {
        let last = trainer::run(job, &port).await.map(|finished| RunEvent::Finished(Box::new(finished)));
        port.send(last).await;
    }));
    handle
}

#[cfg(all(test, not(target_family = "wasm")))]
#[path = "engine_tests.rs"]
mod tests;

#[cfg(all(test, not(target_family = "wasm")))]
#[path = "engine_fault_tests.rs"]
mod fault_tests;

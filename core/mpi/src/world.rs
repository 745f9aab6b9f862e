//! All processes of a job, from one of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytemuck::Pod;

use crate::calls::MpiCalls;
use crate::error::MpiError;
use crate::launcher::{self, LaunchedJob};
use crate::library::{self, OpenedMpi, VARIABLE};
use crate::pieces::pieces;

/// Most bytes that one call moves, over all processes: a count is a 32-bit integer, and some libraries multiply counts.
pub const LARGEST_CALL: usize = 1 << 30;

/// How long a process that waits for others only lets the system run something else; later it sleeps.
const AWAKE: Duration = Duration::from_micros(100);

/// The shortest and the longest sleep.
const SLEEP: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(2)];

/// One process of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankFacts {
    /// Its number, from 0.
    pub rank: usize,
    /// How many there are.
    pub ranks: usize,
    /// Name of its machine.
    pub host: String,
    /// Which MPI it is: `Open MPI v4.1.4 (libmpi.so.40)`.
    pub library: String,
}

/// Something that the thread of MPI does.
type Job = Box<dyn FnOnce(&dyn MpiCalls) + Send>;

/// The job that this process is part of. Clones are the same; dropping the last one leaves the job.
///
/// A thread of its own opens the library and makes every call. All processes have to make the same calls in the same
/// order, with the same lengths.
#[derive(Clone, Debug)]
pub struct MpiWorld {
    inner: Arc<WorldInner>,
}

#[derive(Debug)]
struct WorldInner {
    facts: RankFacts,
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    largest: usize,
    /// Nanoseconds that this process has waited for others.
    waited: Arc<AtomicU64>,
}

/// Something that all processes do together and that is not over yet.
#[derive(Debug)]
pub struct PendingCall<R> {
    /// What came of it, and how long the others were waited for.
    hears: Receiver<(Result<R, MpiError>, Duration)>,
    waited: Arc<AtomicU64>,
}

impl<R> PendingCall<R> {
    /// Waits until it is over.
    ///
    /// # Errors
    /// The library's.
    pub fn wait(self) -> Result<R, MpiError> {
        let began = Instant::now();
        let (result, waited) = self.hears.recv().map_err(|_| MpiError::Closed)?;
        // What went on beside other work was no waiting.
        let nanoseconds = waited.min(began.elapsed()).as_nanos();
        self.waited.fetch_add(u64::try_from(nanoseconds).unwrap_or(u64::MAX), Ordering::Relaxed);
        result
    }
}

impl MpiWorld {
    /// Joins the job where there is one: where the launcher speaks of several processes, or `DINOSCOPE_MPI` names a
    /// library. `None`, with nothing opened, for a program that was started alone or is told `DINOSCOPE_MPI=off`.
    ///
    /// # Errors
    /// No library can be used, or the launcher speaks of several processes and the library sees one.
    pub fn of_launcher() -> Result<Option<Self>, MpiError> {
        let named = std::env::var(VARIABLE).unwrap_or_default();
        let job = launcher::job();
        if named == "off" || (named.is_empty() && job.is_none()) {
            return Ok(None);
        }
        let wanted = match &job {
            Some(LaunchedJob { launcher, size: Some(size), .. }) => {
                format!("{launcher} speaks of {size} processes")
            }
            Some(LaunchedJob { launcher, .. }) => format!("{launcher} speaks of several processes"),
            None => format!("{VARIABLE} asks for several processes"),
        };
        let world = Self::open(&wanted, LARGEST_CALL)?;
        let facts = world.facts();
        match job {
            Some(job) if is_torn(&job, facts.ranks) => Err(MpiError::Alone {
                launcher: job.launcher.to_owned(),
                size: job.size.map_or_else(|| "several".to_owned(), |size| size.to_string()),
                library: facts.library.clone(),
                way_out: job.way_out.to_owned(),
            }),
            _ => Ok(Some(world)),
        }
    }

    /// Joins with the library that is found; `wanted` says why, should there be none. A call moves at most `largest` bytes
    /// over all processes.
    ///
    /// # Errors
    /// No library can be used, or it does not start.
    pub fn open(wanted: &str, largest: usize) -> Result<Self, MpiError> {
        let (said, hears) = channel();
        let (jobs, todo) = channel::<Job>();
        let wanted = wanted.to_owned();
        let work = move || {
            let (calls, facts) = match join(&wanted) {
                Ok(joined) => joined,
                Err(error) => return drop(said.send(Err(error))),
            };
            if said.send(Ok(facts)).is_ok() {
                carry_out(&*calls, &todo);
            }
        };
        let no_thread =
            |error| MpiError::Call { call: "MPI_Init_thread", reason: format!("no thread for it: {error}") };
        let thread = std::thread::Builder::new().name("mpi".to_owned()).spawn(work).map_err(no_thread)?;
        let facts = hears.recv().map_err(|_| MpiError::Closed)??;
        let inner = WorldInner {
            facts,
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
            largest,
            waited: Arc::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// This process.
    pub fn facts(&self) -> &RankFacts {
        &self.inner.facts
    }

    /// Seconds that this process has waited for others so far.
    pub fn waited(&self) -> f64 {
        Duration::from_nanos(self.inner.waited.load(Ordering::Relaxed)).as_secs_f64()
    }

    /// What all processes have, in the order of ranks. Each has as many values.
    ///
    /// # Errors
    /// The library's.
    pub fn all_gather<T: Pod + Send>(&self, own: Vec<T>) -> Result<Vec<T>, MpiError> {
        self.start_all_gather(own)?.wait()
    }

    /// [`all_gather`](Self::all_gather), on its way while this process does something else.
    ///
    /// # Errors
    /// The job was left.
    pub fn start_all_gather<T: Pod + Send>(&self, own: Vec<T>) -> Result<PendingCall<Vec<T>>, MpiError> {
        let (ranks, most) = (self.facts().ranks, self.values_at_once::<T>());
        self.start_together(move |calls| {
            let mut all = vec![T::zeroed(); own.len() * ranks];
            // Nothing is not sent: where an empty slice points to may mean something to the library (MPI_IN_PLACE is 1).
            if (1..=most).contains(&own.len()) {
                calls.all_gather(bytemuck::cast_slice(&own), bytemuck::cast_slice_mut(&mut all))?;
                return Ok(all);
            }
            for piece in pieces(own.len(), most) {
                let mut part = vec![T::zeroed(); piece.len() * ranks];
                let sent = bytemuck::cast_slice(&own[piece.clone()]);
                calls.all_gather(sent, bytemuck::cast_slice_mut(&mut part))?;
                for (rank, values) in part.chunks_exact(piece.len()).enumerate() {
                    all[rank * own.len() + piece.start..][..piece.len()].copy_from_slice(values);
                }
            }
            Ok(all)
        })
    }

    /// Part `i` of `own`, cut into as many equal parts as there are processes, goes to process `i`. Gives what the others
    /// have for this one, in the order of ranks.
    ///
    /// # Errors
    /// The library's, and when `own` can't be cut so.
    pub fn all_to_all<T: Pod + Send>(&self, own: Vec<T>) -> Result<Vec<T>, MpiError> {
        self.start_all_to_all(own)?.wait()
    }

    /// [`all_to_all`](Self::all_to_all), on its way while this process does something else.
    ///
    /// # Errors
    /// The job was left, or `own` can't be cut so.
    pub fn start_all_to_all<T: Pod + Send>(&self, own: Vec<T>) -> Result<PendingCall<Vec<T>>, MpiError> {
        let (ranks, most) = (self.facts().ranks, self.values_at_once::<T>());
        if !own.len().is_multiple_of(ranks) {
            let reason = format!("{} values can't be shared out to {ranks}", own.len());
            return Err(MpiError::Call { call: "MPI_Alltoall", reason });
        }
        self.start_together(move |calls| {
            let mut all = vec![T::zeroed(); own.len()];
            let each = own.len() / ranks;
            if (1..=most).contains(&each) {
                calls.all_to_all(bytemuck::cast_slice(&own), bytemuck::cast_slice_mut(&mut all), ranks)?;
                return Ok(all);
            }
            for piece in pieces(each, most) {
                let of_rank = |rank: usize| rank * each + piece.start..rank * each + piece.end;
                let sent: Vec<T> = (0..ranks).flat_map(|rank| own[of_rank(rank)].iter().copied()).collect();
                let mut part = vec![T::zeroed(); sent.len()];
                calls.all_to_all(bytemuck::cast_slice(&sent), bytemuck::cast_slice_mut(&mut part), ranks)?;
                for (rank, values) in part.chunks_exact(piece.len()).enumerate() {
                    all[of_rank(rank)].copy_from_slice(values);
                }
            }
            Ok(all)
        })
    }

    /// What process 0 has; the others give as many values, which are replaced.
    ///
    /// # Errors
    /// The library's.
    pub fn broadcast<T: Pod + Send>(&self, mut values: Vec<T>) -> Result<Vec<T>, MpiError> {
        let most = self.values_at_once::<T>();
        let pending = self.start_together(move |calls| {
            for piece in pieces(values.len(), most) {
                calls.broadcast(bytemuck::cast_slice_mut(&mut values[piece]))?;
            }
            Ok(values)
        })?;
        pending.wait()
    }

    /// Ends all processes of the job, this one as well, with a status. Does not come back.
    pub fn abort(&self, status: i32) -> ! {
        let _ = self.run(move |calls| {
            calls.abort(status);
            Ok(())
        });
        // Where the library could not: the launcher sees one that ended without leaving, and ends the others.
        std::process::exit(status)
    }

    /// Leaves the job once all others do; nothing can be sent after it.
    pub fn leave(&self) {
        self.inner.leave();
    }

    fn values_at_once<T>(&self) -> usize {
        (self.inner.largest / self.facts().ranks / size_of::<T>()).max(1)
    }

    /// Has the thread of MPI do what all processes do together. An MPI's own calls ask without a pause whether the others are there
    /// yet; this waits for them asleep, and calls when they are.
    fn start_together<R: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn MpiCalls) -> Result<R, MpiError> + Send + 'static,
    ) -> Result<PendingCall<R>, MpiError> {
        let alone = self.facts().ranks == 1;
        let hears = self.send(move |calls| {
            let began = Instant::now();
            let met = if alone { Ok(()) } else { calls.meet(&mut || pause(began.elapsed())) };
            let waited = began.elapsed();
            (met.and_then(|()| work(calls)), waited)
        })?;
        Ok(PendingCall { hears, waited: self.inner.waited.clone() })
    }

    /// Has the thread of MPI do something, and waits for it.
    fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn MpiCalls) -> Result<R, MpiError> + Send + 'static,
    ) -> Result<R, MpiError> {
        self.send(work)?.recv().map_err(|_| MpiError::Closed)?
    }

    /// Has the thread of MPI do something once it has done what it was sent before.
    fn send<R: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn MpiCalls) -> R + Send + 'static,
    ) -> Result<Receiver<R>, MpiError> {
        let (said, hears) = channel();
        let job: Job = Box::new(move |calls| drop(said.send(work(calls))));
        let jobs = self.inner.jobs.lock().map_err(|_| MpiError::Closed)?;
        jobs.as_ref().ok_or(MpiError::Closed)?.send(job).map_err(|_| MpiError::Closed)?;
        Ok(hears)
    }
}

impl WorldInner {
    fn leave(&self) {
        // The thread leaves the job once nobody can send it anything.
        if let Ok(mut jobs) = self.jobs.lock() {
            jobs.take();
        }
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread {
            // A panic there was the end of the thread's work in any case.
            let _ = thread.join();
        }
    }
}

impl Drop for WorldInner {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A pause of who has waited so long: an eighth of that, so that nobody comes much too late.
fn pause(waited: Duration) {
    match waited < AWAKE {
        true => std::thread::yield_now(),
        false => std::thread::sleep((waited / 8).clamp(SLEEP[0], SLEEP[1])),
    }
}

/// Opens the library and joins; on the thread that makes all calls from then on.
fn join(wanted: &str) -> Result<(Box<dyn MpiCalls>, RankFacts), MpiError> {
    let opened: OpenedMpi = library::open(wanted)?;
    let library = opened.description();
    let calls = opened.stay();
    calls.init()?;
    let (rank, ranks) = calls.rank_and_size()?;
    let host = calls.processor_name()?;
    Ok((calls, RankFacts { rank, ranks, host, library }))
}

/// Does what it is sent until nobody can send any more, then leaves the job.
fn carry_out(calls: &dyn MpiCalls, todo: &Receiver<Job>) {
    while let Ok(job) = todo.recv() {
        job(calls);
    }
    // Nobody is left who could be told that it failed.
    let _ = calls.finalize();
}

/// Whether the launcher speaks of others whom the library does not see. `PMIX_RANK` alone does not say how many there are,
/// and a job of one is none.
fn is_torn(job: &LaunchedJob, ranks: usize) -> bool {
    ranks == 1 && job.size.is_some_and(|size| size > 1)
}

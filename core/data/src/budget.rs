//! Memory that decoded pictures may take while a batch is made of them, for all loading threads together.
//!
//! Photographs of 100 megapixels take 300 MB each: eight threads with one each, and a batch of them that waits for a
//! GPU, would be more than many machines have. A thread waits until what is in use leaves room, or until its batch is
//! the one that training waits for: then it goes on in any case, so that nothing ever stands still.

use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageReader};

use crate::archive;
use dinoscope_base::files::File;

/// What all loading threads may hold together.
pub const ROOM: u64 = 1 << 30;

/// Memory that is shared out among loading threads.
#[derive(Debug)]
pub struct LoaderBudget {
    room: u64,
    state: Mutex<LoaderBudgetState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LoaderBudgetState {
    used: u64,
    /// The iteration whose batch is delivered next.
    wanted: u64,
}

/// Memory that was given to a thread; it is given back when this is dropped.
#[derive(Debug)]
pub struct LoaderPermit {
    budget: Arc<LoaderBudget>,
    bytes: u64,
}

impl LoaderBudget {
    /// Room for `room` bytes; the batch of iteration `first` is delivered first.
    pub fn new(room: u64, first: u64) -> Arc<Self> {
        Arc::new(Self {
            room,
            state: Mutex::new(LoaderBudgetState { used: 0, wanted: first }),
            changed: Condvar::new(),
        })
    }

    /// Waits until there is room for `bytes`, for a picture of the batch of `iteration`. `None` once `stop` is set.
    ///
    /// Whatever its size, a picture is let in when nothing else is held, or when its batch is the next one.
    pub fn hold(self: &Arc<Self>, bytes: u64, iteration: u64, stop: &AtomicBool) -> Option<LoaderPermit> {
        let mut state = self.lock();
        while !stop.load(Ordering::Relaxed) {
            if state.used == 0 || state.used.saturating_add(bytes) <= self.room || iteration <= state.wanted {
                state.used = state.used.saturating_add(bytes);
                return Some(LoaderPermit { budget: self.clone(), bytes });
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// The batch of `iteration` is needed now: who makes it waits no more.
    pub fn want(&self, iteration: u64) {
        self.lock().wanted = iteration;
        self.changed.notify_all();
    }

    /// Wakes who waits, to see that it is to stop.
    pub fn wake(&self) {
        // Nobody is between looking and waiting while this is held.
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Bytes that are held now.
    pub fn used(&self) -> u64 {
        self.lock().used
    }

    fn lock(&self) -> MutexGuard<'_, LoaderBudgetState> {
        // A thread that panicked left numbers behind, and nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoaderPermit {
    /// Gives back all but `bytes`: a picture that is decoded takes less than its decoding.
    pub fn shrink(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.bytes -= less;
        self.budget.lock().used -= less;
        self.budget.changed.notify_all();
    }
}

impl Drop for LoaderPermit {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

/// Bytes that decoding a picture file takes at once, told from its header: the file, which decoders copy, its pixels as
/// they come, and again as they are wanted. 0 where the header can't be read: the decoder will say why.
pub fn decoding(path: &Path) -> u64 {
    if let Some(member) = archive::read(path, 1 << 30) {
        return member.map_or(0, |bytes| needed(Cursor::new(&bytes), bytes.len() as u64));
    }
    let Ok(file) = File::open(path) else { return 0 };
    let length = file.metadata().map_or(0, |about| about.len());
    needed(BufReader::new(file), length)
}

fn needed(file: impl BufRead + Seek, length: u64) -> u64 {
    let reader = ImageReader::new(file).with_guessed_format();
    let Some(mut decoder) = reader.ok().and_then(|reader| reader.into_decoder().ok()) else { return 0 };
    let (width, height) = decoder.dimensions();
    let rgb = 3 * u64::from(width) * u64::from(height);
    let as_is = decoder.color_type() == ColorType::Rgb8
        && decoder.orientation().is_ok_and(|turned| turned == Orientation::NoTransforms);
    let copy = if as_is { 0 } else { rgb };
    decoder.total_bytes().max(rgb).saturating_add(copy).saturating_add(2 * length)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn one_is_always_let_in_and_others_as_far_as_there_is_room() {
        let budget = LoaderBudget::new(100, 0);
        let go = AtomicBool::new(false);
        let large = budget.hold(1000, 5, &go).unwrap();
        let (said, heard) = channel();
        std::thread::scope(|scope| {
            let (budget, go) = (&budget, &go);
            scope.spawn(move || {
                let held = budget.hold(60, 6, go);
                said.send(held.is_some()).unwrap();
            });
            assert!(heard.try_recv().is_err(), "it waits for the large one");
            drop(large);
            assert!(heard.recv().unwrap());
        });
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_batch_that_is_waited_for_goes_on_whatever_is_held() {
        let budget = LoaderBudget::new(100, 3);
        let go = AtomicBool::new(false);
        let mut ahead = budget.hold(90, 4, &go).unwrap();
        let next = budget.hold(90, 3, &go).unwrap();
        assert_eq!(budget.used(), 180);
        drop(next);
        ahead.shrink(30);
        assert_eq!(budget.used(), 30);
        let (said, heard) = channel();
        std::thread::scope(|scope| {
            let (budget, go) = (&budget, &go);
            scope.spawn(move || said.send(budget.hold(90, 5, go).is_some()).unwrap());
            budget.want(5);
            assert!(heard.recv().unwrap());
        });
    }

    #[test]
    fn who_waits_stops_when_told_to() {
        let budget = LoaderBudget::new(100, 0);
        let stop = AtomicBool::new(false);
        let _held = budget.hold(100, 0, &stop).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.hold(1, 9, &stop).is_none());
            stop.store(true, Ordering::Relaxed);
            budget.wake();
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn a_header_tells_what_decoding_takes() {
        let dir = tempfile::tempdir().unwrap();
        let [plain, clear, none] = ["plain.png", "clear.png", "none.png"].map(|name| dir.path().join(name));
        image::RgbImage::new(30, 20).save(&plain).unwrap();
        image::RgbaImage::new(30, 20).save(&clear).unwrap();
        std::fs::write(&none, "no picture").unwrap();
        let beside = |path: &Path| decoding(path) - 2 * std::fs::metadata(path).unwrap().len();
        assert_eq!((beside(&plain), beside(&clear)), (30 * 20 * 3, 30 * 20 * 7));
        assert_eq!((decoding(&none), decoding(&dir.path().join("missing"))), (0, 0));
    }
}

//! How much memory a piece of work holds at most.
//!
//! On the CPU every allocation is counted, by [`CountingAllocator`] in the program that installs it. On a GPU the pools of the
//! device are emptied before the work and read after it: what they then hold beyond what was there is what the work
//! needed, pages that are not full included.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use burn::tensor::Device;
use serde::Serialize;

use crate::bench::BenchError;
use crate::train::memory::of_process;

/// Bytes in use now, and the most there were since the last start.
struct AllocCounters {
    live: AtomicU64,
    peak: AtomicU64,
}

static TALLY: AllocCounters = AllocCounters::new();

impl AllocCounters {
    const fn new() -> Self {
        Self { live: AtomicU64::new(0), peak: AtomicU64::new(0) }
    }

    fn grown(&self, bytes: usize) {
        let live = self.live.fetch_add(bytes as u64, Relaxed) + bytes as u64;
        // Looked at first: new maxima are rare, and a plain load is cheaper.
        if live > self.peak.load(Relaxed) {
            self.peak.fetch_max(live, Relaxed);
        }
    }

    fn shrunk(&self, bytes: usize) {
        self.live.fetch_sub(bytes as u64, Relaxed);
    }

    /// Forgets the largest value; returns what is in use.
    fn restart(&self) -> u64 {
        let live = self.live.load(Relaxed);
        self.peak.store(live, Relaxed);
        live
    }
}

/// The system's allocator, with a count of the bytes that are in use and of the most there ever were.
///
/// A program installs it with `#[global_allocator] static ALLOCATOR: CountingAllocator = CountingAllocator;`. It costs one or two
/// uncontended atomic additions for each allocation.
#[derive(Debug)]
pub struct CountingAllocator;

// SAFETY: every call is handed on to the system's allocator as it came; only counters are touched beside it.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises about `layout` are those that `System` asks for.
        let at = unsafe { System.alloc(layout) };
        if !at.is_null() {
            TALLY.grown(layout.size());
        }
        at
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let at = unsafe { System.alloc_zeroed(layout) };
        if !at.is_null() {
            TALLY.grown(layout.size());
        }
        at
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        TALLY.shrunk(layout.size());
        // SAFETY: `at` came from `System` through this allocator, with this layout.
        unsafe { System.dealloc(at, layout) };
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`; `size` is the caller's promise.
        let moved = unsafe { System.realloc(at, layout, size) };
        if !moved.is_null() {
            TALLY.grown(size);
            TALLY.shrunk(layout.size());
        }
        moved
    }
}

/// Memory of a piece of work, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryUse {
    /// In use when it started: weights, optimizer state, inputs.
    pub before: u64,
    /// The most that was in use at any time of it.
    pub peak: u64,
    /// The most that the process had in the machine's memory, where the system tells (Linux, CPU).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident: Option<u64>,
}

impl MemoryUse {
    /// Without `others` bytes that were there for something else.
    pub fn without(self, others: u64) -> Self {
        let less = |bytes: u64| bytes.saturating_sub(others);
        Self { before: less(self.before), peak: less(self.peak), ..self }
    }

    /// What the work itself needed.
    pub fn own(&self) -> u64 {
        self.peak.saturating_sub(self.before)
    }
}

/// Bytes in use now; 0 where nobody counts.
pub fn in_use(device: &Device) -> u64 {
    device.memory_pool_usage().map_or_else(|| TALLY.live.load(Relaxed), |usage| usage.bytes_in_use)
}

/// Does the work once and says how much memory that took; `None` where nobody counts.
///
/// # Errors
/// When the device fails.
pub fn of(device: &Device, work: &mut dyn FnMut()) -> Result<Option<MemoryUse>, BenchError> {
    device.memory_cleanup();
    let before = device.memory_pool_usage();
    let live = TALLY.restart();
    restart_resident();
    work();
    device.sync()?;
    Ok(match (before, device.memory_pool_usage()) {
        (Some(before), Some(after)) => Some(MemoryUse {
            before: before.bytes_in_use,
            peak: (before.bytes_in_use + after.bytes_reserved).saturating_sub(before.bytes_reserved),
            resident: None,
        }),
        _ if live == 0 => None,
        _ => Some(MemoryUse { before: live, peak: TALLY.peak.load(Relaxed), resident: resident() }),
    })
}

/// Lets the kernel's record of the largest resident size start anew; does nothing where there is none.
fn restart_resident() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Largest resident size since [`restart_resident`], in bytes.
fn resident() -> Option<u64> {
    of_process("VmHWM:")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_is_kept_until_the_next_start() {
        let tally = AllocCounters::new();
        tally.grown(50);
        tally.shrunk(20);
        assert_eq!((tally.peak.load(Relaxed), tally.restart(), tally.peak.load(Relaxed)), (50, 30, 30));
        tally.grown(10);
        assert_eq!(tally.peak.load(Relaxed), 40);
    }

    #[test]
    fn every_byte_that_is_allocated_is_freed() {
        // Not installed in tests: used by hand, beside nothing else that counts.
        let live = || TALLY.live.load(Relaxed);
        let layout = Layout::from_size_align(1 << 20, 8).unwrap();
        let larger = Layout::from_size_align(3 << 20, 8).unwrap();
        let before = live();
        // SAFETY: every block is freed once, with the layout that it has then.
        unsafe {
            let at = CountingAllocator.alloc(layout);
            assert_eq!(live() - before, 1 << 20);
            let at = CountingAllocator.realloc(at, layout, 3 << 20);
            assert_eq!(live() - before, 3 << 20);
            CountingAllocator.dealloc(at, larger);
        }
        assert_eq!(live(), before);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_resident_size_is_that_of_this_process() {
        let now = resident().unwrap();
        assert!((1 << 20..1 << 40).contains(&now), "{now}");
    }
}

//! Work on all cores; in a browser, which has one thread for us, on that.

use std::marker::PhantomData;
use std::ops::Range;

/// Threads that [`blocks`] spreads work over (`RAYON_NUM_THREADS` changes it).
pub fn threads() -> usize {
    #[cfg(not(target_family = "wasm"))]
    return rayon::current_num_threads();
    #[cfg(target_family = "wasm")]
    1
}

/// Calls `f` with `0..block`, `block..2 block`, … up to `count`, on all cores.
///
/// The blocks do not depend on how many cores there are, so that sums made block by block are the same everywhere.
pub fn blocks(count: usize, block: usize, f: impl Fn(Range<usize>) + Sync) {
    let block = block.max(1);
    let run = |i: usize| f(i * block..((i + 1) * block).min(count));
    let n = count.div_ceil(block);
    #[cfg(not(target_family = "wasm"))]
    if n > 1 {
        use rayon::prelude::*;
        (0..n).into_par_iter().for_each(run);
        return;
    }
    (0..n).for_each(run);
}

/// Rows of `width` values that make a block worth a thread's while.
pub fn chunk_rows(width: usize) -> usize {
    (16_384 / width.max(1)).max(1)
}

/// A slice whose parts several threads write at once.
pub struct DisjointSlice<'a, T> {
    start: *mut T,
    len: usize,
    of: PhantomData<&'a mut [T]>,
}

// SAFETY: the only access is `part`, whose callers promise that parts do not overlap.
unsafe impl<T: Send> Sync for DisjointSlice<'_, T> {}

impl<'a, T> DisjointSlice<'a, T> {
    /// Takes the slice for as long as it is shared.
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), of: PhantomData }
    }

    /// A part of the slice.
    ///
    /// # Safety
    /// No two parts that are alive at once may overlap.
    #[expect(clippy::mut_from_ref, reason = "that is what it is for; the caller keeps parts apart")]
    pub unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        // SAFETY: inside the slice, and the caller keeps parts apart.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// Length of the whole slice.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Where the slice begins, for strided access.
    pub fn pointer(&self) -> *mut T {
        self.start
    }
}

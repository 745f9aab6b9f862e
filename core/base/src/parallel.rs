//! Loops over the processor's cores, where there are threads.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Cores that this process may use; 0 for all that the system gives it.
static SHARE: AtomicUsize = AtomicUsize::new(0);

/// How many cores this process computes on.
pub fn cores() -> usize {
    match SHARE.load(Ordering::Relaxed) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        share => share,
    }
}

/// Computes on so many cores from here on, where several processes share a machine. Has to come before the first loop;
/// `RAYON_NUM_THREADS` goes before it.
#[cfg(not(target_family = "wasm"))]
pub fn take_share(cores: usize) {
    SHARE.store(cores.max(1), Ordering::Relaxed);
    if std::env::var_os("RAYON_NUM_THREADS").is_none() {
        // Where threads were started already, they stay as they are.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(cores.max(1)).build_global();
    }
}

/// `f(i, chunk i)` for chunks of `size`, in parallel where there are threads.
pub fn for_chunks<T: Send>(data: &mut [T], size: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        data.par_chunks_mut(size).enumerate().for_each(|(i, chunk)| f(i, chunk));
    }
    #[cfg(target_family = "wasm")]
    data.chunks_mut(size).enumerate().for_each(|(i, chunk)| f(i, chunk));
}

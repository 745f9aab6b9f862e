//! Loops over the processor's cores, where there are threads.

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

//! The `dinoscope` program.

/// Counts what is allocated, for `dinoscope bench`.
#[global_allocator]
static ALLOCATOR: dinoscope_core::bench::memory::CountingAllocator =
    dinoscope_core::bench::memory::CountingAllocator;

fn main() -> std::process::ExitCode {
    // SAFETY: this is the first thing the program does; no other thread exists that could read the environment.
    unsafe { dinoscope::cli::have_runtime_folder() };
    dinoscope::cli::main()
}

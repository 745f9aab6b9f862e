//! The `dinoscope` program.

/// Counts what is allocated, for `dinoscope bench`.
#[global_allocator]
static ALLOCATOR: dinoscope_core::bench::memory::Counting = dinoscope_core::bench::memory::Counting;

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    have_runtime_folder();
    dinoscope::cli::main()
}

/// Vulkan drivers complain on the terminal, several times, where a session without a desktop has no runtime folder.
#[cfg(target_os = "linux")]
fn have_runtime_folder() {
    const NAME: &str = "XDG_RUNTIME_DIR";
    if std::env::var_os(NAME).is_some() {
        return;
    }
    // SAFETY: this is the first thing the program does; no other thread exists that could read the environment.
    unsafe { std::env::set_var(NAME, std::env::temp_dir()) };
}

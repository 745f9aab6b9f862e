//! The `dinoscope` program.

fn main() -> std::process::ExitCode {
    dinoscope::cli::main()
}

//! The built `dinoscope` program, for tests that use it as a person would.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where the program is: built in the same profile as this test.
///
/// # Panics
/// With what to build, when it is not there.
pub fn path() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    // target/release/deps/test-… → target/release/dinoscope
    let folder = here.parent().and_then(Path::parent).map(Path::to_path_buf).unwrap_or_default();
    let program = folder.join(format!("dinoscope{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is not built: cargo build --release --package dinoscope",
        program.display()
    );
    program
}

/// The program with some arguments, on the CPU backend, run in `dir`.
pub fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(path());
    command.args(arguments).current_dir(dir).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
///
/// # Panics
/// When it can't be started.
pub fn run(dir: &Path, arguments: &[&str]) -> Output {
    match command(dir, arguments).output() {
        Ok(output) => output,
        Err(error) => panic!("can't start dinoscope: {error}"),
    }
}

/// Runs the program and insists that it ends well; returns what it printed.
///
/// # Panics
/// With what it printed, when it does not.
pub fn ok(dir: &Path, arguments: &[&str]) -> String {
    let output = run(dir, arguments);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "dinoscope {arguments:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// Flags of a run so small that a step takes a few milliseconds.
pub const TINY: [&str; 20] = [
    "--set",
    "model.depth=2",
    "--set",
    "model.dim=48",
    "--set",
    "crops.global_size=32",
    "--set",
    "crops.local_size=16",
    "--set",
    "crops.locals=2",
    "--set",
    "train.batch=4",
    "--set",
    "head.prototypes=64",
    "--set",
    "head.hidden=32",
    "--set",
    "data.scene_size=32",
    "--set",
    "data.scenes=24",
];

/// `loss` of every step in a run's `metrics.jsonl`, in order.
///
/// # Panics
/// When the file can't be read.
pub fn losses(run: &Path) -> Vec<(u64, f64)> {
    let folder = match dinoscope_core::train::run::RunFolder::open(run) {
        Ok(folder) => folder,
        Err(error) => panic!("{error}"),
    };
    folder
        .lines()
        .into_iter()
        .filter_map(|line| Some((line.iteration, line.values.get("loss").copied().flatten()?)))
        .collect()
}

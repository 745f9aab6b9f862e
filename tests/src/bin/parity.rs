//! `parity DIR [--device cpu|gpu:N]`: checks every reference case in a folder and prints a line for each.
#![allow(clippy::print_stdout, clippy::print_stderr)] // It is a program.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use dinoscope_core::device::{DeviceChoice, choose};
use dinoscope_tests::parity;

/// Checks every reference case in a folder.
#[derive(Parser)]
struct Arguments {
    /// Folder with `step/`, `weights/` and `augment.safetensors`.
    dir: PathBuf,
    /// auto, cpu, gpu or gpu:N.
    #[arg(long, default_value = "cpu")]
    device: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let device = match arguments.device.parse::<DeviceChoice>().and_then(choose) {
        Ok(chosen) => chosen,
        Err(error) => {
            eprintln!("parity: {error}");
            return ExitCode::from(2);
        }
    };
    println!("parity of {} on {}", arguments.dir.display(), device.name);
    let cases = parity::find(&arguments.dir);
    if cases.is_empty() {
        eprintln!(
            "parity: no case in {}: expected step/*.safetensors, weights/*.pth, weights/*/config.json or \
             augment.safetensors",
            arguments.dir.display()
        );
        return ExitCode::FAILURE;
    }
    let mut failed = 0;
    for case in &cases {
        let outcome = parity::check(case, &device.device);
        println!("{outcome}");
        failed += usize::from(!outcome.passed());
    }
    println!("{} passed, {failed} failed", cases.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

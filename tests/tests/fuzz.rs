//! A short round of changed files for every reader; `cargo xtask fuzz` goes on for as long as one likes.

use std::process::Command;

use dinoscope_tests::fuzz::targets;

/// Files for each reader, in the gate.
const FILES: u64 = 1_500;

#[test]
fn no_reader_panics_over_a_changed_file_or_takes_memory_without_limit() {
    let out = tempfile::tempdir().unwrap();
    let mut fuzz = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    fuzz.args(["--json", "--seed", "1", "--executions", &FILES.to_string(), "--out"]).arg(out.path());
    // What pictures may take; by default a gigabyte, which is a test of the machine's patience.
    fuzz.env("DINOSCOPE_MAX_PICTURE_MIB", "32");
    let output = fuzz.output().unwrap();
    let (told, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{wrong}");
    let lines: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), targets().len(), "{told}");
    for line in &lines {
        let name = line["target"].as_str().unwrap();
        assert_eq!(line["executions"].as_u64().unwrap(), FILES, "{line}");
        assert_eq!(line["panics"].as_u64().unwrap(), 0, "{line}");
        // Changes get past the first check of a format, or nothing was tried.
        assert!(line["answers"].as_u64().unwrap() >= 2, "{name} has few answers: {line}");
        // A picture of 32 MiB and a copy of it.
        assert!(line["peak"].as_u64().unwrap() < 64 << 20, "{line}");
    }
}

#[test]
fn a_reader_that_there_is_not_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_fuzz")).args(["pth2", "--seconds", "1"]).output().unwrap();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{wrong}");
    assert!(wrong.contains("pth2") && wrong.contains("safetensors"), "{wrong}");
}

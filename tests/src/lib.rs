//! Cases that cross crates: parity with the reference implementation, and helpers of the tests in `tests/`.

#[cfg(target_os = "linux")]
pub mod desktop;
pub mod fuzz;
pub mod parity;
pub mod program;

//! Cases that cross crates: parity with the reference implementation, and helpers of the tests in `tests/`.

pub mod copied;
#[cfg(target_os = "linux")]
pub mod desktop;
pub mod fuzz;
pub mod long_tail;
pub mod parity;
pub mod program;

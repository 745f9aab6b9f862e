//! Cases that cross crates: parity with the reference implementation, and helpers of the tests in `tests/`.

pub mod parity;
pub mod program;

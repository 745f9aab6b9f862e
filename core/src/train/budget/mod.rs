//! What a run takes, reckoned before it starts: memory, operations, time.

pub mod flops;
#[cfg(not(target_family = "wasm"))]
pub mod forecast;
pub mod memory;
pub mod state_bytes;

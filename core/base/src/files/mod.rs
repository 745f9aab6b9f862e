//! Files by `std::fs`'s names: on the desktop they are that, in a page they lie in memory.
//!
//! A page has no disk. Run folders, weights and collections of pictures are paths all the same: [`memory`] answers for
//! them there. Code that runs in both uses this module in place of `std::fs`, and its [`exists`], [`is_file`],
//! [`is_dir`] and [`is_absolute`] in place of `Path`'s.

pub mod memory;
mod replace;

#[cfg(not(target_family = "wasm"))]
mod disk;
#[cfg(any(target_family = "wasm", test))]
pub mod page;

#[cfg(not(target_family = "wasm"))]
pub use disk::*;
pub use memory::FileChange;
#[cfg(target_family = "wasm")]
pub use page::*;
pub use replace::{fill_and_rename, partial, write_and_rename, write_synced};

//! Everything that crosses crates, in one program: linking is most of what building a test program takes.
#![allow(clippy::unwrap_used)]

mod bench;
mod channels;
mod comparing;
mod corrupted;
mod curating;
mod curating_heap;
mod data_folders;
mod docs;
mod features;
mod following;
mod fuzz;
mod going_on;
mod journeys;
mod judging;
mod parity;
#[cfg(unix)]
mod ranks;
mod reliability;
mod resume;
mod run_folder;
mod shapes;
#[cfg(target_os = "linux")]
mod studio;
mod terminal;
mod training;
mod weights_files;
#[cfg(target_os = "linux")]
mod window;

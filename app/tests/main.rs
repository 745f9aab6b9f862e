//! The studio as a person uses it, in one program: linking is most of what building a test program takes.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod absent;
mod app_ui;
mod common;
mod compare_ui;
mod curate_ui;
mod drop_speed;
mod evaluate_ui;
mod explore_ui;
mod explore_values_ui;
mod follow_ui;
mod hover_speed;
mod names_ui;
mod reach_ui;
mod sample_ui;
mod smooth;
mod snapshots;
mod train_ui;

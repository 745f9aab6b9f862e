//! Every GPU program against its CPU twin, in one program: linking is most of what building a test program takes.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod adapter;
mod attention;
mod augment;
mod display;
mod noise;
mod pca_colour;
mod tape;
mod twins;
mod validate;

//! Programs that run on the GPU, each beside a CPU twin of the same name that defines what is right.
//!
//! The twin is also what runs where there is no GPU. Every program has a test that validates its
//! WGSL and a test that compares the two on awkward sizes and values.

pub mod activation;
pub mod adamw;
pub mod attention;
pub mod augment;
pub mod check;
pub mod cpu;
pub mod cross_entropy;
pub mod cube;
pub mod dispatch;
pub mod display;
pub mod l2_norm;
pub mod launch;
pub mod layer_norm;
pub mod neighbours;
pub mod readback;
pub mod residual;
pub mod rope;
pub mod sinkhorn;

pub use display::pca_colour::{BackgroundMode, ColourRange, PcaColourProgram, pca_colour_cpu};

/// Why a GPU program could not run.
#[derive(Debug, thiserror::Error)]
pub enum ShaderError {
    /// The input is larger than the device can bind or dispatch at once.
    #[error("{program}: {count} elements need {needed}, this device allows {allowed}; split the input")]
    TooLarge {
        /// The program.
        program: &'static str,
        /// Elements asked for.
        count: usize,
        /// What they need, with its unit.
        needed: String,
        /// What there is, with its unit.
        allowed: String,
    },
    /// Inputs that belong together have different lengths.
    #[error("{program}: {what} has {found} elements, expected {expected}")]
    Length {
        /// The program.
        program: &'static str,
        /// Which input.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length it should have.
        expected: usize,
    },
    /// A part of a buffer does not start at a whole word.
    #[error("{program}: {what} starts {offset} bytes into its buffer, expected a multiple of 4")]
    Offset {
        /// The program.
        program: &'static str,
        /// Which input.
        what: &'static str,
        /// Where it starts, in bytes.
        offset: u64,
    },
    /// The device or the program can't do this at all.
    #[error("{program}: no support for {what}")]
    Unsupported {
        /// The program.
        program: &'static str,
        /// What it can't do.
        what: String,
    },
    /// GPU memory could not be read back; the device is usually lost when this happens.
    #[error("can't read results back from the GPU: {0}")]
    Readback(String),
}

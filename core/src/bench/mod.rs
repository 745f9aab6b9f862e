//! Measuring: how fast, with how much memory, and against what the device can do at best.
//!
//! Machines are shared and noisy. Ways of doing the same thing are therefore run in turn and compared run by run;
//! what is reported is the median of those ratios, and each way's own median with its quartiles.

pub mod attention;
pub mod drop;
pub mod forward;
pub mod growth;
pub mod launches;
pub mod loader;
pub mod measure;
pub mod packing;
pub mod prepared;
pub mod programs;
pub mod step;
pub mod student;
pub mod unfused;

pub use measure::{memory, peak, row};

use std::path::PathBuf;

use crate::data::DataError;
use crate::train::{Recipe, RecipeError};

pub use dinoscope_shaders::cpu::threads;
pub use measure::{BenchRunner, RepeatPolicy, TimingStats};
pub use row::BenchResult;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The device failed, for instance for want of memory.
    #[error("the device failed while it was measured: {0}")]
    Device(String),
    /// The pictures for the loader can't be used.
    #[error("measuring the loader")]
    Data(#[source] DataError),
    /// A size that is not possible.
    #[error("measuring")]
    Recipe(#[source] RecipeError),
    /// A name or a size that is not known.
    #[error("{0}")]
    Mistake(String),
}

impl From<burn::tensor::ExecutionError> for BenchError {
    fn from(error: burn::tensor::ExecutionError) -> Self {
        Self::Device(error.to_string())
    }
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BenchmarkKind {
    /// A backbone looking at pictures, without a graph.
    Forward,
    /// A whole training step.
    Step,
    /// The student's packed pass, forward and backward.
    Student,
    /// The parts of a step, one by one.
    Programs,
    /// What a step launches on a GPU, and what that costs the host; no GPU is needed.
    Launches,
    /// Self-attention over one long sequence, forward and backward.
    Attention,
    /// One packed pass against one pass for each crop size.
    Packing,
    /// Stochastic depth at 0.4 against none.
    Drop,
    /// Pictures to crops.
    Loader,
    /// A step as its sizes double.
    Growth,
}

impl BenchmarkKind {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 10] = [
        Self::Forward,
        Self::Step,
        Self::Student,
        Self::Programs,
        Self::Launches,
        Self::Attention,
        Self::Packing,
        Self::Drop,
        Self::Loader,
        Self::Growth,
    ];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Step => "step",
            Self::Student => "student",
            Self::Programs => "programs",
            Self::Launches => "launches",
            Self::Attention => "attention",
            Self::Packing => "packing",
            Self::Drop => "drop",
            Self::Loader => "loader",
            Self::Growth => "growth",
        }
    }

    /// The subject called `name`.
    ///
    /// # Errors
    /// [`BenchError::UsageError`] with the names that exist.
    pub fn parse(name: &str) -> Result<Self, BenchError> {
        Self::ALL.into_iter().find(|s| s.name() == name.trim()).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            BenchError::Mistake(format!("nothing to measure is called `{name}`; there are {names}"))
        })
    }
}

/// The sizes that are measured.
#[derive(Clone, Debug)]
pub struct BenchSizes {
    /// Backbone of `forward`, by its name in [`crate::model::presets`].
    pub backbone: String,
    /// Side of its pictures in pixels.
    pub resolution: usize,
    /// How many at once.
    pub images: usize,
    /// Recipe of `step`, `student`, `programs`, `launches`, `packing` and `drop`.
    pub step: Recipe,
    /// Recipe that `growth` starts from.
    pub growth: Recipe,
    /// How often `growth` doubles each size.
    pub doublings: u32,
    /// Tokens of the sequences of `attention`.
    pub tokens: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of a head.
    pub width: usize,
    /// Sequences at once.
    pub sequences: usize,
    /// Pictures of `loader`; `None` draws some.
    pub data: Option<PathBuf>,
    /// Seconds of one run of `loader`.
    pub loader_seconds: f64,
}

impl BenchSizes {
    /// What is measured unless somebody asks for something else, with `key=value` pairs applied to both recipes.
    ///
    /// `step` takes the `tiny` preset (ViT-T/8; two crops of 96 pixels and six of 48; K = 4096) with a batch of 16
    /// and without stochastic depth, which PyTorch's side would have to compute and throw away. `growth` takes `nano`
    /// with a batch of 8, so that three doublings still end soon on a laptop.
    ///
    /// # Errors
    /// When a recipe refuses one of the pairs.
    pub fn new(overrides: &[String]) -> Result<Self, BenchError> {
        let recipe = |preset: &str, own: &[&str]| {
            let own = own.iter().map(|pair| (*pair).to_owned());
            let all: Vec<String> = own.chain(overrides.iter().cloned()).collect();
            Recipe::preset(preset).and_then(|recipe| recipe.with_overrides(&all)).map_err(BenchError::Recipe)
        };
        Ok(Self {
            backbone: "vits14".to_owned(),
            resolution: 224,
            images: 8,
            step: recipe("tiny", &["train.batch=16", "model.drop_path=0.0"])?,
            growth: recipe("nano", &["train.batch=8", "head.prototypes=1024"])?,
            doublings: 3,
            tokens: 1370,
            heads: 6,
            width: 64,
            sequences: 1,
            data: None,
            loader_seconds: 3.0,
        })
    }
}

/// Measures one subject.
///
/// # Errors
/// See [`BenchError`].
pub fn run(
    subject: BenchmarkKind,
    sizes: &BenchSizes,
    bench: &mut BenchRunner,
) -> Result<Vec<BenchResult>, BenchError> {
    match subject {
        BenchmarkKind::Forward => forward::run(sizes, bench),
        BenchmarkKind::Step => step::run(&sizes.step, bench),
        BenchmarkKind::Student => student::run(&sizes.step, bench),
        BenchmarkKind::Programs => programs::run(&sizes.step, bench),
        BenchmarkKind::Launches => launches::run(&sizes.step, bench),
        BenchmarkKind::Attention => attention::run(sizes, bench),
        BenchmarkKind::Packing => packing::run(&sizes.step, bench),
        BenchmarkKind::Drop => drop::run(&sizes.step, bench),
        BenchmarkKind::Loader => loader::run(sizes, bench),
        BenchmarkKind::Growth => growth::run(&sizes.growth, sizes.doublings, bench),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_back() {
        assert!(BenchmarkKind::ALL.iter().all(|s| BenchmarkKind::parse(s.name()).unwrap() == *s));
        assert!(BenchmarkKind::parse("sleep").unwrap_err().to_string().contains("forward, step"));
    }

    #[test]
    fn overrides_reach_both_recipes() {
        let sizes = BenchSizes::new(&["model.depth=2".into()]).unwrap();
        assert_eq!((sizes.step.model.depth, sizes.growth.model.depth), (2, 2));
        assert_eq!((sizes.step.train.batch, sizes.step.model.dim), (16, 192));
        assert!(BenchSizes::new(&["model.depht=2".into()]).is_err());
    }
}

//! A line of the report.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::bench::measure::{BenchMeasurement, BenchRunner, TimingStats};
use crate::bench::memory::MemoryUse;

/// One way of one subject, with everything that was measured of it.
#[derive(Clone, Debug, Serialize)]
pub struct BenchResult {
    /// Name of the subject.
    pub subject: &'static str,
    /// What was done, in words.
    pub what: String,
    /// In which way: `model` is what Dinoscope does.
    pub way: String,
    /// Everything that another program needs in order to do the same.
    pub sizes: Map<String, Value>,
    /// How long one run took.
    pub seconds: TimingStats,
    /// Median ratio of this way's seconds to those of the first way of the subject.
    pub ratio: f64,
    /// Runs per second.
    pub per_second: f64,
    /// Pictures per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images_per_second: Option<f64>,
    /// Tokens through a backbone per second; those of the teacher count too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// Operations of one run (see [`crate::bench::flops`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flops: Option<u64>,
    /// Operations per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flops_per_second: Option<f64>,
    /// That, as a share of what the device reaches on one large matrix product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_of_peak: Option<f64>,
    /// The most memory that one run held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryUse>,
    /// Figures of this subject alone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<&'static str, f64>,
}

/// What one run does; zeros are left out of the report.
#[derive(Clone, Copy, Debug, Default)]
pub struct BenchWorkload {
    /// Pictures.
    pub images: usize,
    /// Tokens.
    pub tokens: usize,
    /// Operations.
    pub flops: u64,
}

impl BenchResult {
    /// Puts together what was measured and what was done.
    pub fn new(
        subject: &'static str,
        what: impl Into<String>,
        sizes: Value,
        measured: BenchMeasurement,
        work: BenchWorkload,
        bench: &BenchRunner,
    ) -> Self {
        let rate = 1.0 / measured.seconds.median;
        let some = |count: usize| (count > 0).then_some(count as f64 * rate);
        let flops = (work.flops > 0).then_some(work.flops);
        let flops_per_second = flops.map(|flops| flops as f64 * rate);
        Self {
            subject,
            what: what.into(),
            way: measured.way.to_owned(),
            sizes: match sizes {
                Value::Object(sizes) => sizes,
                _ => Map::new(),
            },
            seconds: measured.seconds,
            ratio: measured.ratio,
            per_second: rate,
            images_per_second: some(work.images),
            tokens_per_second: some(work.tokens),
            flops,
            flops_per_second,
            share_of_peak: flops_per_second.zip(bench.peak).map(|(own, peak)| own / peak),
            memory: measured.memory,
            figures: BTreeMap::new(),
        }
    }

    /// Adds a figure of this subject alone.
    pub fn with(mut self, name: &'static str, value: f64) -> Self {
        self.figures.insert(name, value);
        self
    }
}

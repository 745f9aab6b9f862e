//! A look into a weights file without using it: what it is, what is in it, and whether the numbers are sound.

use super::sidecar::SidecarFiles;
use super::source::{WeightsReader, elements};
use super::{KeyLayout, WeightsError, WeightsLoadOptions, open, plan};
use dinoscope_model::config::VitConfig;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorSummary {
    /// The file's own key.
    pub name: String,
    /// Extent of each dimension.
    pub shape: Vec<usize>,
    /// Number type as stored (`f32`, `f16`, …).
    pub dtype: String,
    /// What its values look like; `None` if they are no floats.
    pub values: Option<ValueSummary>,
}

/// Statistics of a tensor's finite values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ValueSummary {
    /// Smallest.
    pub min: f32,
    /// Largest.
    pub max: f32,
    /// Average.
    pub mean: f64,
    /// L2 norm.
    pub norm: f64,
    /// How many values are NaN or infinite; a sound file has none.
    pub non_finite: usize,
}

/// What a weights file holds.
#[derive(Clone, Debug, Serialize)]
pub struct WeightsSummary {
    /// The file.
    pub file: String,
    /// Whose names it uses; `None` if it cannot be loaded.
    pub layout: Option<KeyLayout>,
    /// Shape of the backbone; `None` if it cannot be loaded.
    pub config: Option<VitConfig>,
    /// Why it cannot be loaded, if so; the tensors are listed nevertheless.
    pub problem: Option<String>,
    /// Values in the backbone.
    pub parameters: usize,
    /// Number of tensors of each type, over the whole file.
    pub dtypes: BTreeMap<String, usize>,
    /// Values in each head.
    pub heads: BTreeMap<String, usize>,
    /// Every tensor in the file, in order of the keys.
    pub tensors: Vec<TensorSummary>,
    /// Values over all tensors that are NaN or infinite.
    pub non_finite: usize,
    /// String metadata of a safetensors file.
    pub metadata: BTreeMap<String, String>,
    /// Guesses made and tensors not used.
    pub notes: Vec<String>,
}

/// Look into the file or folder at `path`, one tensor in memory at a time.
///
/// # Errors
/// If it is not a weights file, or a tensor's numbers cannot be read. A file that is one but holds no usable backbone
/// gives an [`WeightsSummary`] with a `problem`.
pub fn inspect(path: &Path) -> Result<WeightsSummary, WeightsError> {
    inspect_part(path, None)
}

/// [`inspect`] that looks at the backbone called `part`, as [`super::load_as`] reads it; the tensors are those of the
/// whole file.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_part(path: &Path, part: Option<&str>) -> Result<WeightsSummary, WeightsError> {
    let (mut source, beside) = open::path(path)?;
    look(&mut *source, &beside, part)
}

/// [`inspect`] for bytes in memory.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_bytes(name: &str, bytes: &[u8]) -> Result<WeightsSummary, WeightsError> {
    inspect_bytes_part(name, bytes, None)
}

/// [`inspect_part`] for bytes in memory.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_bytes_part(
    name: &str,
    bytes: &[u8],
    part: Option<&str>,
) -> Result<WeightsSummary, WeightsError> {
    look(&mut *open::bytes(name, bytes)?, &SidecarFiles::default(), part)
}

fn look(
    source: &mut dyn WeightsReader,
    beside: &SidecarFiles,
    part: Option<&str>,
) -> Result<WeightsSummary, WeightsError> {
    let mut seen = WeightsSummary {
        file: source.file().into(),
        layout: None,
        config: None,
        problem: None,
        parameters: 0,
        dtypes: BTreeMap::new(),
        heads: BTreeMap::new(),
        tensors: Vec::new(),
        non_finite: 0,
        metadata: source.metadata().clone(),
        notes: Vec::new(),
    };
    match plan::resolve(source, beside, WeightsLoadOptions { part, ..WeightsLoadOptions::default() }) {
        Ok(plan) => {
            seen.parameters = plan.config.parameters();
            let count =
                |key: &String| source.entries().get(key).and_then(|e| elements(&e.shape)).unwrap_or(0);
            seen.heads = plan
                .heads
                .iter()
                .map(|(head, keys)| (head.clone(), keys.values().map(count).sum()))
                .collect();
            (seen.layout, seen.config, seen.notes) = (Some(plan.layout), Some(plan.made()), plan.notes);
        }
        Err(problem) => seen.problem = Some(problem.to_string()),
    }
    let entries = source.entries().clone();
    for (name, entry) in entries {
        *seen.dtypes.entry(entry.dtype.name().into()).or_default() += 1;
        let values = match entry.dtype.is_weight() {
            true => Some(summary(&source.read(&name)?.data)),
            false => None,
        };
        seen.non_finite += values.map_or(0, |v| v.non_finite);
        seen.tensors.push(TensorSummary {
            name,
            shape: entry.shape,
            dtype: entry.dtype.name().into(),
            values,
        });
    }
    Ok(seen)
}

/// Statistics of `values`; zeros if none is finite.
fn summary(values: &[f32]) -> ValueSummary {
    let (mut min, mut max, mut sum, mut squares, mut finite) =
        (f32::INFINITY, f32::NEG_INFINITY, 0.0, 0.0, 0usize);
    for &value in values.iter().filter(|v| v.is_finite()) {
        (min, max) = (min.min(value), max.max(value));
        sum += f64::from(value);
        squares += f64::from(value) * f64::from(value);
        finite += 1;
    }
    let non_finite = values.len() - finite;
    if finite == 0 {
        return ValueSummary { min: 0.0, max: 0.0, mean: 0.0, norm: 0.0, non_finite };
    }
    ValueSummary { min, max, mean: sum / finite as f64, norm: squares.sqrt(), non_finite }
}

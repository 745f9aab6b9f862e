//! Reading reference files and measuring errors.

use std::collections::BTreeMap;
use std::path::Path;

use dinoscope_core::burn::tensor::{Device, Tensor, TensorData};
use dinoscope_core::device::block_on;
use dinoscope_core::model::params::read;
use dinoscope_core::weights::{HostTensor, StateDict};
use safetensors::{Dtype, SafeTensors};

use super::Check;

/// A reference file in memory.
pub struct Reference {
    tensors: StateDict,
    metadata: BTreeMap<String, String>,
}

impl Reference {
    /// Reads a safetensors file of f32 and u8 tensors.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let fail = |e: safetensors::SafeTensorError| format!("{}: {e}", path.display());
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(fail)?;
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let file = SafeTensors::deserialize(&bytes).map_err(fail)?;
        let mut tensors = StateDict::new();
        for (name, view) in file.tensors() {
            let data = match view.dtype() {
                Dtype::F32 => view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
                Dtype::U8 | Dtype::BOOL => view.data().iter().map(|b| f32::from(*b)).collect(),
                other => return Err(format!("{name}: {other:?} is not expected")),
            };
            tensors.insert(name, HostTensor::new(view.shape().to_vec(), data));
        }
        Ok(Self { tensors, metadata })
    }

    /// A metadata entry that may be there, as a number.
    pub fn number(&self, key: &str) -> Result<Option<usize>, String> {
        let parse = |text: &String| text.parse().map_err(|e| format!("metadata {key}: {e}"));
        self.metadata.get(key).map(parse).transpose()
    }

    /// A metadata entry as JSON.
    pub fn json(&self, key: &str) -> Result<serde_json::Value, String> {
        let text = self.metadata.get(key).ok_or_else(|| format!("metadata has no {key}"))?;
        serde_json::from_str(text).map_err(|e| format!("metadata {key}: {e}"))
    }

    /// A tensor by name.
    pub fn get(&self, name: &str) -> Result<&HostTensor, String> {
        self.tensors.get(name).ok_or_else(|| format!("tensor {name} is missing"))
    }

    /// A tensor by name on a device.
    pub fn on<const D: usize>(&self, name: &str, device: &Device) -> Result<Tensor<D>, String> {
        let t = self.get(name)?;
        let shape: [usize; D] =
            t.shape.clone().try_into().map_err(|s: Vec<usize>| format!("{name} has shape {s:?}"))?;
        Ok(Tensor::from_data(TensorData::new(t.data.clone(), shape), device))
    }

    /// All tensors below a prefix, without it.
    pub fn below(&self, prefix: &str) -> StateDict {
        self.tensors
            .iter()
            .filter_map(|(k, v)| Some((k.strip_prefix(prefix)?.to_owned(), v.clone())))
            .collect()
    }
}

/// Values of a tensor.
pub fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, String> {
    block_on(read(tensor)).map_err(|e| e.to_string())
}

/// Largest absolute difference; infinite where lengths differ or something is not finite.
pub fn absolute(got: &[f32], want: &[f32]) -> f64 {
    if got.len() != want.len() {
        return f64::INFINITY;
    }
    got.iter().zip(want).fold(0.0, |worst, (g, w)| {
        let d = f64::from((g - w).abs());
        if d.is_finite() { worst.max(d) } else { f64::INFINITY }
    })
}

/// L2 norm of the difference over the L2 norm of the reference.
pub fn relative_l2(got: &[f32], want: &[f32]) -> f64 {
    if got.len() != want.len() {
        return f64::INFINITY;
    }
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut got.iter().zip(want).map(|(g, w)| f64::from(*g) - f64::from(*w)));
    let size = norm(&mut want.iter().map(|w| f64::from(*w)));
    match size == 0.0 {
        true => difference,
        false => difference / size,
    }
}

/// The worst of several named errors as one check; NaN counts as infinite.
pub fn worst(what: &str, errors: impl IntoIterator<Item = (String, f64)>, tolerance: f64) -> Check {
    let (place, error) = errors
        .into_iter()
        .map(|(place, e)| (place, if e.is_nan() { f64::INFINITY } else { e }))
        .fold((String::new(), -1.0), |a, b| if b.1 > a.1 { b } else { a });
    // Nothing compared is a failure, not a pass.
    let error = if error < 0.0 { f64::INFINITY } else { error };
    Check { what: format!("{what} ({place})"), error, tolerance }
}

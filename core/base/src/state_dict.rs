//! A checkpoint in memory: tensors by official key name.

use std::collections::BTreeMap;

/// A float32 tensor on the host, row-major, in PyTorch's layout (`Linear` weights are `[out, in]`).
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Extent of each dimension; empty for a scalar.
    pub shape: Vec<usize>,
    /// `shape.iter().product()` values.
    pub data: Vec<f32>,
}

impl HostTensor {
    /// A tensor of `shape` that holds `data`.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        let shape = shape.into();
        debug_assert_eq!(shape.iter().product::<usize>(), data.len());
        Self { shape, data }
    }
}

/// Tensors by key, in byte order of the keys.
pub type StateDict = BTreeMap<String, HostTensor>;

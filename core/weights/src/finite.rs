//! Weights that are numbers: NaN and infinities are counted as tensors are read, and turned down by name.

use super::source::WeightsReader;
use super::{HostTensor, WeightsError};

/// Tensors that an error names.
const NAMED: usize = 3;

/// How many values are NaN or infinite.
pub(super) fn count(values: &[f32]) -> usize {
    values.iter().filter(|value| !value.is_finite()).count()
}

/// What was read, and how much of it is no number.
#[derive(Default)]
pub(super) struct NonFiniteCounter {
    tensors: usize,
    broken: Vec<(String, usize)>,
}

impl NonFiniteCounter {
    /// Read a tensor and look at its values.
    pub fn read(&mut self, source: &mut dyn WeightsReader, key: &str) -> Result<HostTensor, WeightsError> {
        let tensor = source.read(key)?;
        self.tensors += 1;
        let values = count(&tensor.data);
        if values > 0 {
            self.broken.push((key.into(), values));
        }
        Ok(tensor)
    }

    /// Fails when one of the tensors held NaN or infinities.
    pub fn check(self, file: &str) -> Result<(), WeightsError> {
        if self.broken.is_empty() {
            return Ok(());
        }
        Err(WeightsError::NotFinite {
            file: file.into(),
            values: self.broken.iter().map(|(_, values)| values).sum(),
            broken: self.broken.len(),
            tensors: self.tensors,
            first: self.broken.into_iter().take(NAMED).map(|(key, _)| key).collect(),
        })
    }
}

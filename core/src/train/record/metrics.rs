//! Figures of a step: computed on the device, read only when they are reported.

use std::collections::BTreeMap;

use burn::tensor::{ExecutionError, Tensor};

use crate::model::params::read;

/// Figures by name, on the host.
pub type Values = BTreeMap<String, f64>;

/// Figures written out, for tests.
#[cfg(test)]
pub(crate) fn of_pairs(pairs: &[(&str, f64)]) -> Values {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect()
}

/// Works out some figures, `[1]` each.
type Deferred = Box<dyn FnOnce() -> Vec<Tensor<1>> + Send>;

/// Figures of one step, still on the device, and some of them still to be worked out: of a step that is not reported nobody
/// reads them.
#[derive(Default)]
pub struct DeviceMetrics {
    parts: Vec<(Vec<String>, Deferred)>,
}

impl DeviceMetrics {
    /// Adds a figure, `[1]`.
    pub fn push(&mut self, name: impl Into<String>, value: Tensor<1>) {
        let value = value.without_autodiff();
        self.push_deferred([name], move || vec![value]);
    }

    /// Adds figures that are worked out when they are read. What `work` holds stays in memory until then.
    pub fn push_deferred(
        &mut self,
        names: impl IntoIterator<Item = impl Into<String>>,
        work: impl FnOnce() -> Vec<Tensor<1>> + Send + 'static,
    ) {
        self.parts.push((names.into_iter().map(Into::into).collect(), Box::new(work)));
    }

    /// Brings all figures to the host in one read.
    ///
    /// # Errors
    /// When the device fails to hand over its memory.
    pub async fn read(self) -> Result<Values, ExecutionError> {
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (of_part, work) in self.parts {
            names.extend(of_part);
            values.extend(work());
        }
        if values.is_empty() {
            return Ok(Values::new());
        }
        let values = read(Tensor::cat(values, 0)).await?;
        Ok(names.into_iter().zip(values.into_iter().map(f64::from)).collect())
    }
}

/// Participation ratio of the features' spectrum: `(tr C)² / tr C²` with `C` their covariance, `[1]`.
///
/// Between 1 (all features on a line) and the smaller of rows and dim (spread evenly): a rank without an SVD.
pub fn feature_rank(features: Tensor<2>) -> Tensor<1> {
    let x = features.clone() - features.mean_dim(0);
    let [rows, dim] = x.dims();
    let trace = x.clone().square().sum();
    // XᵀX and XXᵀ have the same trace of squares; take the smaller one.
    let gram = if rows < dim { x.clone().matmul(x.transpose()) } else { x.clone().transpose().matmul(x) };
    trace.square() / gram.square().sum().clamp_min(1e-30)
}

/// Mean cosine of CLS with the patches of its crop, `[1]`; `tokens` `[crops, tokens, dim]` after the final norm, patches from
/// `prefix` on.
///
/// Its rise over a long run goes along with the decay of dense features (Siméoni et al. 2025, section 4.1).
pub fn cls_patch_cosine(tokens: Tensor<3>, prefix: usize) -> Tensor<1> {
    let [crops, length, dim] = tokens.dims();
    let unit = |x: Tensor<3>| {
        let size = x.clone().square().sum_dim(2).sqrt().clamp_min(1e-12);
        x / size
    };
    let cls = unit(tokens.clone().narrow(1, 0, 1));
    let patches = unit(tokens.narrow(1, prefix, length - prefix));
    let cosines = patches * cls.expand([crops, length - prefix, dim]);
    cosines.sum_dim(2).mean().reshape([1])
}

/// Share of the prototypes in use: `exp(H(mean target)) / K`, `[1]`. 1 when all are used equally, 1 / K for one.
pub fn prototype_use(targets: Tensor<2>) -> Tensor<1> {
    let k = targets.dims()[1];
    crate::ssl::entropy(targets.mean_dim(0)).exp().div_scalar(k as f64).reshape([1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::spread::FeatureSpectrum;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn rank_counts_directions() {
        let device = Device::flex();
        let line = Tensor::<2>::from_floats([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]], &device);
        let rank: f32 = feature_rank(line).into_scalar();
        assert!((rank - 1.0).abs() < 1e-4, "{rank}");
        let cross = Tensor::<2>::from_floats([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], &device);
        let rank: f32 = feature_rank(cross).into_scalar();
        assert!((rank - 2.0).abs() < 1e-4, "{rank}");
    }

    #[test]
    fn rank_is_the_participation_ratio_of_the_evaluation() {
        let (rows, dim) = (40, 7);
        let value = |i: usize| ((i * 37 % 101) as f32 / 50.0 - 1.0) * (1 + i % dim) as f32 + 2.0;
        let features: Vec<f32> = (0..rows * dim).map(value).collect();
        let tensor = Tensor::from_data(TensorData::new(features.clone(), [rows, dim]), &Device::flex());
        let wanted: f32 = feature_rank(tensor).into_scalar();
        let found = FeatureSpectrum::of(&features, dim).unwrap().participation();
        assert!((found - f64::from(wanted)).abs() < 1e-4 * found, "{found} for {wanted}");
    }

    #[test]
    fn cosines_are_of_cls_with_each_patch() {
        let device = Device::flex();
        // CLS, a register, two patches; as CLS, and square to it; then against it, and a patch of nothing.
        let crops = [
            [[2.0, 0.0], [0.0, 9.0], [5.0, 0.0], [0.0, 3.0]],
            [[0.0, 1.0], [7.0, 7.0], [0.0, -4.0], [0.0, 0.0]],
        ];
        let cosine: f32 = cls_patch_cosine(Tensor::<3>::from_floats(crops, &device), 2).into_scalar();
        assert!((cosine - 0.0).abs() < 1e-6, "{cosine}");
        let first: f32 = cls_patch_cosine(Tensor::<3>::from_floats([crops[0]], &device), 2).into_scalar();
        assert!((first - 0.5).abs() < 1e-6, "{first}");
    }

    #[test]
    fn use_is_one_for_even_targets() {
        let device = Device::flex();
        let even: f32 = prototype_use(Tensor::<2>::full([3, 8], 0.125, &device)).into_scalar();
        assert!((even - 1.0).abs() < 1e-5, "{even}");
        let one = Tensor::<2>::from_floats([[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]], &device);
        let one: f32 = prototype_use(one).into_scalar();
        assert!((one - 0.25).abs() < 1e-5, "{one}");
    }
}

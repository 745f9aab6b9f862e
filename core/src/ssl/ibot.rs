//! The iBOT loss on masked patches (Zhou et al. 2022).

use burn::tensor::Tensor;

use crate::fused::TargetPairs;

/// Each masked patch meets the teacher's target of the same patch.
pub fn pairs(rows: usize) -> TargetPairs {
    TargetPairs { first: (0..rows as i32).collect(), second: vec![-1; rows] }
}

/// `sum_m w_m CE_m / crops`, `[1]`: the mean over crops of each crop's mean over masked patches.
///
/// * `rows` `[rows]`: cross-entropies of the masked patches; padding rows may hold anything finite.
/// * `weights` `[rows]`: 1 / (masked patches of the row's crop), 0 for padding.
/// * `crops`: all global crops of the step, the unmasked ones included.
///
/// The recipe doubles and halves this value; the total weight is 1, and the displayed loss is half of it.
pub fn ibot_loss(rows: Tensor<1>, weights: Tensor<1>, crops: usize) -> Tensor<1> {
    (rows * weights).sum().mul_scalar(1.0 / crops as f64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fused::cross_entropy;
    use crate::ssl::STUDENT_TEMPERATURE;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn matches_the_reference() {
        let matrix = |v: &[f32], rows: usize| {
            Tensor::<2>::from_data(TensorData::new(v.to_vec(), [rows, v.len() / rows]), &Device::flex())
        };
        // Mask rows [1,1,0,0] and [0,0,0,0]: two tokens of one crop, two crops. A third row is padding.
        let s = matrix(&[0.2, 0.1, -0.3, 0.0, 0.5, 0.1, 9.0, 0.0, 0.0], 3);
        let t = matrix(&[0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.3, 0.3, 0.4], 3);
        let unit = Tensor::eye(3, &Device::flex());
        let rows = cross_entropy(s, unit, t, Arc::new(pairs(3)), STUDENT_TEMPERATURE).loss;
        let got: f32 = ibot_loss(rows, matrix(&[0.5, 0.5, 0.0], 1).reshape([3]), 2).into_scalar();
        assert!((got - 0.485730).abs() < 1e-5, "{got}");
    }
}

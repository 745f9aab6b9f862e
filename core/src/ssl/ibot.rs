//! The iBOT loss on masked patches (Zhou et al. 2022).

use burn::tensor::Tensor;

/// `sum_m w_m CE(target_m, student_m) / crops`, `[1]`: the mean over crops of each crop's mean over masked patches.
///
/// * `targets` `[rows, K]`: teacher probabilities of the masked patches; padding rows may hold anything finite.
/// * `student` `[rows, K]`: the student's log-probabilities of the same patches.
/// * `weights` `[rows, 1]`: 1 / (masked patches of the row's crop), 0 for padding.
/// * `crops`: all global crops of the step, the unmasked ones included.
///
/// The recipe doubles and halves this value; the total weight is 1, and the displayed loss is half of it.
pub fn ibot_loss(targets: Tensor<2>, student: Tensor<2>, weights: Tensor<2>, crops: usize) -> Tensor<1> {
    ((targets * student).sum_dim(1) * weights).sum().mul_scalar(-1.0 / crops as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssl::student_log_probabilities;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn matches_the_reference() {
        let matrix = |v: &[f32], rows: usize| {
            Tensor::<2>::from_data(TensorData::new(v.to_vec(), [rows, v.len() / rows]), &Device::flex())
        };
        // Mask rows [1,1,0,0] and [0,0,0,0]: two tokens of one crop, two crops. A third row is padding.
        let s = student_log_probabilities(matrix(&[0.2, 0.1, -0.3, 0.0, 0.5, 0.1, 9.0, 0.0, 0.0], 3));
        let t = matrix(&[0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.3, 0.3, 0.4], 3);
        let got: f32 = ibot_loss(t, s, matrix(&[0.5, 0.5, 0.0], 3), 2).into_scalar();
        assert!((got - 0.485730).abs() < 1e-5, "{got}");
    }
}

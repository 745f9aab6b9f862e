//! The DINO loss between CLS tokens of different crops (Caron et al. 2021).

use burn::tensor::Tensor;

/// The two parts of the DINO loss, each `[1]`, already divided by the number of crop pairs.
#[derive(Clone, Debug)]
pub struct DinoLoss {
    /// Every local crop of the student against both global crops of the teacher.
    pub local: Tensor<1>,
    /// Each global crop of the student against the other global crop of the teacher.
    pub global: Tensor<1>,
}

/// Cross-entropy over all crop pairs of `images` images.
///
/// * `targets` `[2 images, K]`: teacher probabilities, crop 1 of all images, then crop 2.
/// * `local` `[locals images, K]`, `global` `[2 images, K]`: student log-probabilities, crop-major.
/// * `locals`: local crops per image. Pairs are `2 + 2 locals`: global pairs are cross-view only.
pub fn dino_loss(
    targets: Tensor<2>,
    local: Option<Tensor<2>>,
    global: Tensor<2>,
    locals: usize,
    images: usize,
) -> DinoLoss {
    let [_, k] = targets.dims();
    let pairs = (2 + 2 * locals) as f64;
    let first = targets.clone().narrow(0, 0, images);
    let second = targets.narrow(0, images, images);
    // Row i of the student's crop 1 meets the teacher's crop 2, and the other way round.
    let swapped = Tensor::cat(vec![second.clone(), first.clone()], 0);
    let per_image = 1.0 / (images as f64 * pairs);
    let global_loss = (swapped * global).sum().mul_scalar(-per_image);
    let local_loss = match local {
        // Both teacher crops meet the same student row, so their targets can be added first.
        Some(local) => {
            let both = (first + second).reshape([1, images, k]);
            (local.reshape([locals, images, k]) * both).sum().mul_scalar(-per_image)
        }
        None => global_loss.clone().zeros_like(),
    };
    DinoLoss { local: local_loss, global: global_loss }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssl::student_log_probabilities;
    use burn::tensor::{Device, TensorData};

    fn matrix(values: &[f32], rows: usize) -> Tensor<2> {
        let shape = [rows, values.len() / rows];
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
    }

    #[test]
    fn global_cross_entropy_matches_the_reference() {
        // One image: student crops s0, s1 against targets t; cross pairing swaps the targets back.
        let s = student_log_probabilities(matrix(&[0.2, 0.1, -0.3, 0.0, 0.5, 0.1], 2));
        let t = matrix(&[0.1, 0.8, 0.1, 0.7, 0.2, 0.1], 2);
        let loss = dino_loss(t, None, s, 0, 1);
        let got: f32 = loss.global.into_scalar();
        // 0.971460 is the mean over the two rows; two pairs, one image: the sum of rows over 2.
        assert!((got - 0.971460).abs() < 1e-5, "{got}");
    }

    #[test]
    fn local_loss_meets_both_teacher_crops() {
        let values: Vec<f32> = (0..12).map(|i| (i as f32 * 0.7).sin()).collect();
        let local = student_log_probabilities(matrix(&values, 4)); // 2 locals x 2 images
        let t = matrix(&[0.5, 0.3, 0.2, 0.1, 0.1, 0.8, 0.6, 0.2, 0.2, 0.3, 0.3, 0.4], 4);
        let g = student_log_probabilities(matrix(&values, 4));
        let got: f32 = dino_loss(t.clone(), Some(local.clone()), g, 2, 2).local.into_scalar();
        let (l, t): (Vec<f32>, Vec<f32>) =
            (local.into_data().iter::<f32>().collect(), t.into_data().iter::<f32>().collect());
        let mut want = 0.0;
        for crop in 0..2 {
            for view in 0..2 {
                for image in 0..2 {
                    for k in 0..3 {
                        want -= t[(view * 2 + image) * 3 + k] * l[(crop * 2 + image) * 3 + k] / 2.0 / 6.0;
                    }
                }
            }
        }
        assert!((got - want).abs() < 1e-5, "{got} is not {want}");
    }
}

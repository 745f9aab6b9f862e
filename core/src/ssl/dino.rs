//! The DINO loss between CLS tokens of different crops (Caron et al. 2021).

use burn::tensor::Tensor;

use crate::fused::TargetPairs;

/// The two parts of the DINO loss, each `[1]`, already divided by the number of crop pairs.
#[derive(Clone, Debug)]
pub struct DinoLossParts {
    /// Every local crop of the student against both global crops of the teacher.
    pub local: Tensor<1>,
    /// Each global crop of the student against the other global crop of the teacher.
    pub global: Tensor<1>,
}

/// Which teacher crops each student row meets: global crops (crop 1 of all images, then crop 2), then local crops,
/// crop-major. A global crop meets the other global crop of its image; a local crop meets both.
pub fn pairs(images: usize, locals: usize) -> TargetPairs {
    let swapped = (0..2 * images).map(|row| (row + images) % (2 * images));
    let first = swapped.chain((0..locals * images).map(|row| row % images));
    let second =
        (0..2 * images).map(|_| -1).chain((0..locals * images).map(|row| (images + row % images) as i32));
    TargetPairs { first: first.map(|row| row as i32).collect(), second: second.collect() }
}

/// The mean over all crop pairs, `2 + 2 locals` a picture: `[1]`.
///
/// `rows` `[(2 + locals) images]`: cross-entropies of the student's rows against their [`pairs`].
pub fn dino_loss(rows: Tensor<1>, locals: usize, images: usize) -> Tensor<1> {
    rows.sum().mul_scalar(share(locals, images))
}

/// What local and global crops have to do with [`dino_loss`].
pub fn dino_loss_parts(rows: Tensor<1>, locals: usize, images: usize) -> DinoLossParts {
    let global = dino_loss(rows.clone().narrow(0, 0, 2 * images), locals, images);
    let local = match locals {
        0 => global.clone().zeros_like(),
        _ => dino_loss(rows.narrow(0, 2 * images, locals * images), locals, images),
    };
    DinoLossParts { local, global }
}

/// One over the crop pairs of `images` pictures.
fn share(locals: usize, images: usize) -> f64 {
    1.0 / (images * (2 + 2 * locals)) as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fused::cross_entropy;
    use crate::ssl::STUDENT_TEMPERATURE;
    use burn::tensor::{Device, TensorData};

    fn matrix(values: &[f32], rows: usize) -> Tensor<2> {
        let shape = [rows, values.len() / rows];
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
    }

    /// Losses of logits against targets: with unit prototypes the head's output is the logits.
    fn loss(logits: &[f32], targets: &[f32], locals: usize, images: usize) -> DinoLossParts {
        let rows = (2 + locals) * images;
        let pairs = Arc::new(pairs(images, locals));
        let unit = Tensor::eye(3, &Device::flex());
        let targets = matrix(targets, 2 * images);
        let rows = cross_entropy(matrix(logits, rows), unit, targets, pairs, STUDENT_TEMPERATURE).loss;
        let parts = dino_loss_parts(rows.clone(), locals, images);
        let whole: f32 = dino_loss(rows, locals, images).into_scalar();
        let sum: f32 = (parts.local.clone() + parts.global.clone()).into_scalar();
        assert!((whole - sum).abs() < 1e-5, "{whole} is not {sum}");
        parts
    }

    #[test]
    fn global_cross_entropy_matches_the_reference() {
        // One image: student crops s0, s1 against targets t; cross pairing swaps the targets back.
        let loss = loss(&[0.2, 0.1, -0.3, 0.0, 0.5, 0.1], &[0.1, 0.8, 0.1, 0.7, 0.2, 0.1], 0, 1);
        let got: f32 = loss.global.into_scalar();
        // 0.971460 is the mean over the two rows; two pairs, one image: the sum of rows over 2.
        assert!((got - 0.971460).abs() < 1e-5, "{got}");
        assert_eq!(loss.local.into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn local_loss_meets_both_teacher_crops() {
        let logits: Vec<f32> = (0..24).map(|i| (i as f32 * 0.7).sin()).collect(); // 2 globals, 2 locals x 2 images
        let t = [0.5, 0.3, 0.2, 0.1, 0.1, 0.8, 0.6, 0.2, 0.2, 0.3, 0.3, 0.4];
        let got: f32 = loss(&logits, &t, 2, 2).local.into_scalar();
        let log_probability = |row: usize, k: usize| {
            let row = &logits[row * 3..row * 3 + 3];
            row[k] / 0.1 - row.iter().map(|l| (l / 0.1).exp()).sum::<f32>().ln()
        };
        let mut want = 0.0;
        for crop in 0..2 {
            for view in 0..2 {
                for image in 0..2 {
                    for k in 0..3 {
                        let row = 4 + crop * 2 + image;
                        want -= t[(view * 2 + image) * 3 + k] * log_probability(row, k) / 2.0 / 6.0;
                    }
                }
            }
        }
        assert!((got - want).abs() < 1e-5, "{got} is not {want}");
    }
}

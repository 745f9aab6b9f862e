//! Gram anchoring: how alike the patches of a crop are to each other stays as an earlier teacher had it (Siméoni et al.
//! 2025, section 4.2).

use burn::tensor::Tensor;

use crate::fused::l2_norm;
use crate::model::PosEmbedInterpolation;
use crate::model::pos_embed::resize_weights;
use crate::ssl::square_maps::resize_square_maps;

/// Below this a patch counts as having no direction, as in PyTorch's `normalize`.
const EPS: f64 = 1e-12;

/// `‖X_s X_sᵀ − X_g X_gᵀ‖²` with rows of length 1, mean over crops and pairs of patches, `[1]`.
///
/// `student` is `[crops, patches, dim]`, `teacher` `[crops, patches, any]`, both after the final norm: only similarities
/// are compared, so that the two may differ in width.
pub fn gram_loss(student: Tensor<3>, teacher: Tensor<3>) -> Tensor<1> {
    (gram(student) - gram(teacher)).square().mean()
}

/// Cosines of all pairs of patches, `[crops, patches, patches]`.
fn gram(patches: Tensor<3>) -> Tensor<3> {
    let [crops, count, dim] = patches.dims();
    let unit = l2_norm(patches.reshape([crops * count, dim]), EPS).reshape([crops, count, dim]);
    unit.clone().matmul(unit.transpose())
}

/// Patch tokens `[crops, from², dim]` of a square grid on another, `[crops, to², dim]`: bicubic without antialias, which is how
/// the features of larger crops are brought to the student's grid (section 4.3).
pub fn resample_patches(patches: Tensor<3>, from: usize, to: usize) -> Tensor<3> {
    if from == to {
        return patches;
    }
    let [crops, _, dim] = patches.dims();
    let rule = PosEmbedInterpolation { offset: 0.0, antialias: false };
    let maps = patches.reshape([crops, from, from, dim]);
    resize_square_maps(maps, to, resize_weights(from, to, rule)).reshape([crops, to * to, dim])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{normal, stream};
    use burn::tensor::{Device, TensorData};

    fn draws(shape: [usize; 3], slot: u64) -> (Vec<f32>, TensorData) {
        let rng = &mut stream(3, "gram test", slot, 0);
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| normal(rng)).collect();
        (values.clone(), TensorData::new(values, shape))
    }

    /// The formula by loops, in f64.
    fn by_hand(student: &[f64], teacher: &[f64], crops: usize, patches: usize) -> f64 {
        let cosine = |x: &[f64], crop: usize, a: usize, b: usize| {
            let dim = x.len() / crops / patches;
            let row = |p: usize| &x[(crop * patches + p) * dim..][..dim];
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            dot(row(a), row(b)) / (dot(row(a), row(a)) * dot(row(b), row(b))).sqrt()
        };
        let mut sum = 0.0;
        for crop in 0..crops {
            for (a, b) in (0..patches).flat_map(|a| (0..patches).map(move |b| (a, b))) {
                sum += (cosine(student, crop, a, b) - cosine(teacher, crop, a, b)).powi(2);
            }
        }
        sum / (crops * patches * patches) as f64
    }

    #[test]
    fn it_is_the_formula_whatever_the_widths_and_its_gradient_that_of_differences() {
        let (crops, patches) = (2, 5);
        let ((student, s), (teacher, t)) = (draws([crops, patches, 4], 0), draws([crops, patches, 7], 1));
        let wide = |x: &[f32]| x.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let (student, teacher) = (wide(&student), wide(&teacher));
        let device = Device::flex();
        let x = Tensor::<3>::from_data(s, &device.clone().autodiff()).require_grad();
        let loss = gram_loss(x.clone(), Tensor::from_data(t, &device));
        let found: f32 = loss.clone().into_scalar();
        let wanted = by_hand(&student, &teacher, crops, patches);
        assert!((f64::from(found) - wanted).abs() < 1e-6 * wanted, "{found} for {wanted}");

        let gradient = x.grad(&loss.backward()).map(|g| g.into_data().iter::<f32>().collect::<Vec<f32>>());
        let gradient = gradient.unwrap_or_default();
        for at in 0..student.len() {
            let moved = |by: f64| {
                let mut student = student.clone();
                student[at] += by;
                by_hand(&student, &teacher, crops, patches)
            };
            let wanted = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let found = f64::from(gradient[at]);
            assert!((found - wanted).abs() < 1e-6 + 1e-4 * wanted.abs(), "{at}: {found} for {wanted}");
        }
    }

    #[test]
    fn lengths_and_turns_do_not_count_and_a_patch_of_zeros_is_finite() {
        let device = Device::flex();
        let x = Tensor::<3>::from_floats([[[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]]], &device);
        let turned = Tensor::<3>::from_floats([[[0.0, 5.0], [-8.0, 6.0], [-1.0, 0.0]]], &device);
        let loss: f32 = gram_loss(x.clone(), turned).into_scalar();
        assert!(loss.abs() < 1e-12, "{loss}");
        let none = Tensor::<3>::zeros([1, 3, 2], &device.clone().autodiff()).require_grad();
        let loss = gram_loss(none.clone(), x);
        assert!(loss.clone().into_scalar::<f32>().is_finite());
        let gradient = none.grad(&loss.backward()).map(|g| g.into_data().iter::<f32>().collect::<Vec<f32>>());
        assert!(gradient.is_some_and(|g| g.iter().all(|v| v.is_finite())));
    }

    /// `torch.nn.functional.interpolate(x, 2, mode="bicubic", align_corners=False)` of the 4 × 4 grid of squares 0, 1, 4, … 225.
    #[test]
    fn grids_are_halved_as_pytorch_does() {
        let squares: Vec<f32> = (0..16).map(|i| (i * i) as f32).collect();
        let patches = Tensor::<3>::from_data(TensorData::new(squares, [1, 16, 1]), &Device::flex());
        let same: Vec<f32> = resample_patches(patches.clone(), 4, 4).into_data().iter::<f32>().collect();
        assert_eq!(same[15], 225.0);
        let halved: Vec<f32> = resample_patches(patches, 4, 2).into_data().iter::<f32>().collect();
        for (found, wanted) in halved.iter().zip(HALVED) {
            assert!((found - wanted).abs() < 1e-4, "{halved:?}");
        }
    }

    const HALVED: [f32; 4] = [5.039_062_5, 18.710_938, 117.148_44, 169.101_56];
}

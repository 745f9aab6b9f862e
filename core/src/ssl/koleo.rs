//! The KoLeo regulariser: pushes the features of a batch apart (Sablayrolles et al. 2019).

use burn::tensor::Tensor;

use crate::fused::{NeighbourViews, neighbour_distances};

/// KoLeo of several views' CLS tokens.
#[derive(Clone, Debug)]
pub struct KoleoLoss {
    /// Sum over the views of `-mean log(distance to the nearest neighbour)`, `[1]`.
    pub loss: Tensor<1>,
    /// Distance to the nearest neighbour on the unit sphere, `[views * images]`.
    pub distance: Tensor<1>,
}

const EPS: f64 = 1e-8;

/// KoLeo over the first `views * images` rows of `[rows, dim]` backbone features (after the final norm, before the head),
/// view by view.
///
/// The nearest neighbour is a constant of the step; gradients flow into both ends of each pair.
pub fn koleo(features: Tensor<2>, views: usize, images: usize) -> KoleoLoss {
    let distance = neighbour_distances(features, NeighbourViews { views, per_view: images, eps: EPS });
    let loss = distance.clone().add_scalar(EPS).log().sum().mul_scalar(-1.0 / images as f64);
    KoleoLoss { loss, distance }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn loss(values: &[f32]) -> f32 {
        let shape = [values.len() / 2, 2];
        let x = Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &Device::flex());
        koleo(x, 1, values.len() / 2).loss.into_scalar()
    }

    #[test]
    fn matches_the_reference() {
        let got = loss(&[1.0, 0.0, 0.0, 1.0, 0.6, 0.8, -1.0, 0.0]);
        assert!((got - 0.170322).abs() < 1e-5, "{got}");
        let scaled = loss(&[5.0, 0.0, 0.0, 1.0, 0.6, 0.8, -0.1, 0.0]);
        assert!((got - scaled).abs() < 1e-5, "rows may have any length");
    }

    #[test]
    fn duplicates_and_single_rows_are_finite() {
        assert!((loss(&[1.0, 0.0, 1.0, 0.0, 0.6, 0.8]) - 17.5 * 2.0 / 3.0).abs() < 0.5);
        assert!(loss(&[1.0, 0.0]).is_finite());
    }

    #[test]
    fn gradient_is_finite_at_duplicates() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_floats([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], &device).require_grad();
        let grads = koleo(x.clone(), 1, 3).loss.backward();
        let g: Vec<f32> = x.grad(&grads).map(|g| g.into_data().iter::<f32>().collect()).unwrap_or_default();
        assert!(g.len() == 6 && g.iter().all(|v| v.is_finite()), "{g:?}");
    }

    #[test]
    fn views_are_apart_and_other_rows_do_not_count() {
        let (a, b) = ([1.0, 0.0, 0.0, 1.0, 0.6, 0.8], [0.0, 1.0, -1.0, 0.0, 0.8, -0.6]);
        let rest = [0.3, 0.4, 5.0, -2.0];
        let device = Device::flex().autodiff();
        let all = [&a[..], &b, &rest].concat();
        let x = Tensor::<2>::from_data(TensorData::new(all, [8, 2]), &device).require_grad();
        let both = koleo(x.clone(), 2, 3);
        let sum: f32 = both.loss.clone().into_scalar();
        assert!((sum - loss(&a) - loss(&b)).abs() < 1e-5, "{sum}");
        let gradient = x.grad(&both.loss.backward()).map(|g| g.into_data().iter::<f32>().collect());
        let gradient: Vec<f32> = gradient.unwrap_or_default();
        assert!(gradient[12..].iter().all(|v| *v == 0.0) && gradient[..12].iter().any(|v| *v != 0.0));
    }
}

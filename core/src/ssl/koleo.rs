//! The KoLeo regulariser: pushes the features of a batch apart (Sablayrolles et al. 2019).

use burn::tensor::Tensor;

use crate::fused::{l2_norm, nearest};

/// KoLeo of one view's CLS tokens.
#[derive(Clone, Debug)]
pub struct KoleoLoss {
    /// `-mean log(distance to the nearest neighbour)`, `[1]`.
    pub loss: Tensor<1>,
    /// Distance to the nearest neighbour on the unit sphere, `[rows, 1]`.
    pub distance: Tensor<2>,
}

const EPS: f64 = 1e-8;

/// KoLeo over `[rows, dim]` backbone features (after the final norm, before the head).
///
/// The nearest neighbour is a constant of the step; gradients flow into both ends of each pair.
pub fn koleo(features: Tensor<2>) -> KoleoLoss {
    let [rows, dim] = features.dims();
    let x = l2_norm(features, EPS);
    let neighbours = nearest(x.clone());
    let neighbours = x.clone().gather(0, neighbours.reshape([rows, 1]).expand([rows, dim]));
    let distance = (x - neighbours).add_scalar(EPS).square().sum_dim(1).sqrt();
    KoleoLoss { loss: distance.clone().add_scalar(EPS).log().mean().neg(), distance }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn loss(values: &[f32]) -> f32 {
        let shape = [values.len() / 2, 2];
        let x = Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &Device::flex());
        koleo(x).loss.into_scalar()
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
        let grads = koleo(x.clone()).loss.backward();
        let g: Vec<f32> = x.grad(&grads).map(|g| g.into_data().iter::<f32>().collect()).unwrap_or_default();
        assert!(g.len() == 6 && g.iter().all(|v| v.is_finite()), "{g:?}");
    }
}

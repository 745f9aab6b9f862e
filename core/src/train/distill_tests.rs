//! Cases for `distill.rs`, beside it for their length.
#![allow(clippy::unwrap_used)]

use burn::tensor::Device;

use super::*;

fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[test]
fn divergence_by_hand() {
    // Softmax of (0, ln 3) is (1/4, 3/4), of (0, 0) it is (1/2, 1/2).
    let (teacher, student) = (tensor(&[0.0, 3f32.ln()], [1, 2]), tensor(&[0.0, 0.0], [1, 2]));
    let found = host(divergence(teacher.clone(), student, 1.0))[0];
    let wanted = 0.25 * 0.5f32.ln() + 0.75 * 1.5f32.ln();
    assert!((found - wanted).abs() < 1e-6, "{found} is not {wanted}");
    assert!(host(divergence(teacher.clone(), teacher, 0.07))[0].abs() < 1e-6, "nothing between equals");
}

#[test]
fn the_queue_keeps_the_newest() {
    let rows = |values: &[f32]| tensor(values, [values.len(), 1]);
    let queue = refilled(None, rows(&[1.0, 2.0]), 5);
    let queue = refilled(Some(queue), rows(&[3.0, 4.0]), 5);
    assert_eq!(host(queue.clone()), [3.0, 4.0, 1.0, 2.0]);
    assert_eq!(host(refilled(Some(queue), rows(&[5.0, 6.0]), 5)), [5.0, 6.0, 3.0, 4.0, 1.0]);
    let recipe = Recipe::preset("nano").unwrap();
    assert_eq!([40, 51, 1200, 20_001].map(|n| queue_size(&recipe, n)), [16, 32, 512, 8192]);
}

#[test]
fn maps_are_resized_as_pytorch_does() {
    // torch.nn.functional.interpolate([[0, 1], [2, 3]], size=3, mode="bilinear") and size=1.
    let map = tensor(&[0.0, 1.0, 2.0, 3.0], [1, 2, 2, 1]);
    let large = host(resize_square_maps(map.clone(), 3, bilinear_weights(2, 3)));
    let wanted = [0.0, 0.5, 1.0, 1.0, 1.5, 2.0, 2.0, 2.5, 3.0];
    assert!(large.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{large:?}");
    assert_eq!(host(resize_square_maps(map, 1, bilinear_weights(2, 1))), [1.5]);
}

/// The gradient of both losses against finite differences, through projection, resize and normalisation.
#[test]
fn gradients_are_right() {
    let device = Device::flex();
    let noise = |count: usize, slot: u64| -> Vec<f32> {
        let mut draw = stream(1, "test", slot, 0);
        (0..count).map(|_| crate::rng::normal(&mut draw)).collect()
    };
    let queue = l2_norm(tensor(&noise(5 * 3, 1), [5, 3]), EPS);
    let (cls_t, patches_t) = (tensor(&noise(2 * 3, 2), [2, 3]), tensor(&noise(2 * 9 * 3, 3), [2, 9, 3]));
    let loss = |x: Tensor<3>, similarity: bool| -> Tensor<1> {
        // A map of two by two, resized to the teacher's three by three, and its mean in place of a class token.
        let map =
            resize_square_maps(x.clone().reshape([2, 2, 2, 3]), 3, bilinear_weights(2, 3)).reshape([2, 9, 3]);
        let cls: Tensor<2> = x.mean_dim(1).reshape([2, 3]);
        if !similarity {
            return (cls - cls_t.clone()).square().mean() + (map - patches_t.clone()).square().mean();
        }
        let to_queue = |x: Tensor<2>| l2_norm(x, EPS).matmul(queue.clone().transpose());
        let alike = |x: Tensor<3>| {
            let x = l2_norm(x.reshape([18, 3]), EPS).reshape([2, 9, 3]);
            x.clone().matmul(x.swap_dims(1, 2)).reshape([18, 9])
        };
        divergence(to_queue(cls_t.clone()), to_queue(cls), 0.5)
            + divergence(alike(patches_t.clone()), alike(map), 0.5)
    };
    let at = noise(2 * 4 * 3, 4);
    for similarity in [false, true] {
        let x: Tensor<3> =
            Tensor::from_data(TensorData::new(at.clone(), [2, 4, 3]), &device.clone().autodiff())
                .require_grad();
        let gradient = host(x.grad(&loss(x.clone(), similarity).backward()).unwrap());
        for (i, found) in gradient.iter().enumerate() {
            let moved = |by: f32| {
                let mut values = at.clone();
                values[i] += by;
                host(loss(tensor(&values, [2, 4, 3]), similarity))[0]
            };
            let wanted = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!(
                (found - wanted).abs() < 2e-3 * (1.0 + wanted.abs()),
                "{similarity} {i}: {found} is not {wanted}"
            );
        }
    }
}

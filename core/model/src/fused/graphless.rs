//! Operations through which no gradient flows: the teacher's targets. They have no place on the tape.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchTensor, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;
use dinoscope_shaders::sinkhorn;
use dinoscope_shaders::sinkhorn::gpu::SinkhornLogits;

use super::composed::{as_matrix, as_row, full, sides};
use super::{cpu, gpu};

/// Sinkhorn–Knopp over `logits` `[rows, K]`; `weights` `[rows]` marks padding with 0. All on the device.
pub fn sinkhorn(logits: Tensor<2>, weights: Tensor<1>, temperature: f64, iterations: usize) -> Tensor<2> {
    let (logits, weights) = (graphless(logits), graphless(weights));
    Tensor::from_dispatch(<Dispatch as GraphlessOps>::sinkhorn(logits, weights, temperature, iterations))
}

/// `softmax((logits - center) / temperature)`: `logits` `[rows, K]`, `center` `[K]`. All on the device.
pub fn softmax_center(logits: Tensor<2>, center: Tensor<1>, temperature: f64) -> Tensor<2> {
    let (logits, center) = (graphless(logits), graphless(center));
    Tensor::from_dispatch(<Dispatch as GraphlessOps>::softmax_center(logits, center, temperature))
}

fn graphless<const D: usize>(tensor: Tensor<D>) -> DispatchTensor {
    tensor.without_autodiff().into_dispatch()
}

/// The operations as every device has them; call the functions above. The default of each is composed of burn's
/// operations and is what the others are compared with.
#[backend_extension(Cube, Flex)]
pub trait GraphlessOps: Backend {
    /// See [`sinkhorn`].
    fn sinkhorn(
        logits: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        temperature: f64,
        iterations: usize,
    ) -> FloatTensor<Self> {
        composed_sinkhorn::<Self>(logits, weights, temperature, iterations)
    }

    /// See [`softmax_center`].
    fn softmax_center(
        logits: FloatTensor<Self>,
        center: FloatTensor<Self>,
        temperature: f64,
    ) -> FloatTensor<Self> {
        composed_softmax_center::<Self>(logits, center, temperature)
    }
}

fn composed_sinkhorn<B: Backend>(
    logits: FloatTensor<B>,
    weights: FloatTensor<B>,
    temperature: f64,
    iterations: usize,
) -> FloatTensor<B> {
    let [rows, k] = sides::<B>(&logits);
    // Smallest normal f32: a prototype or row without any mass gets zeros, not 0 / 0.
    let tiny = f32::MIN_POSITIVE;
    let weights = as_matrix::<B>(weights, rows, 1);
    let one = |x| as_matrix::<B>(x, 1, 1);
    let total = B::float_clamp_min(one(B::float_sum(weights.clone())), 1.0.into());
    let shifted = B::float_sub(logits.clone(), one(B::float_max(logits)));
    let q = B::float_exp(B::float_mul_scalar(shifted, (1.0 / temperature).into()));
    let q = B::float_mul(q, weights.clone());
    let mut u = weights.clone();
    let mut v = as_row::<B>(B::float_sum_dim(q.clone(), 0));
    for _ in 0..iterations {
        let column = B::float_matmul(B::float_swap_dims(u, 0, 1), q.clone());
        let column = B::float_mul_scalar(column, (k as f64).into());
        v = B::float_recip(B::float_clamp_min(column, tiny.into()));
        let row = B::float_matmul(q.clone(), B::float_swap_dims(v.clone(), 0, 1));
        u = B::float_div(weights.clone(), B::float_clamp_min(B::float_mul(row, total.clone()), tiny.into()));
    }
    B::float_mul(B::float_mul(q, v), B::float_mul(u, total))
}

fn composed_softmax_center<B: Backend>(
    logits: FloatTensor<B>,
    center: FloatTensor<B>,
    temperature: f64,
) -> FloatTensor<B> {
    let centred = B::float_sub(logits, as_row::<B>(center));
    B::softmax(B::float_mul_scalar(centred, (1.0 / temperature).into()), 1)
}

impl GraphlessOps for CubeBackend {
    fn sinkhorn(
        logits: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        temperature: f64,
        iterations: usize,
    ) -> FloatTensor<Self> {
        let [rows, k] = sides::<Self>(&logits);
        let (logits, weights) = (gpu::plain(logits), gpu::plain(weights));
        let (from, t) = (SinkhornLogits::Kept(&logits.handle), temperature as f32);
        let weights = Some(&weights.handle);
        let out = sinkhorn::gpu::sinkhorn(&logits.client, from, weights, rows, k, t, iterations);
        gpu::floats(&logits, gpu::done(out), [rows, k])
    }

    fn softmax_center(
        logits: FloatTensor<Self>,
        center: FloatTensor<Self>,
        temperature: f64,
    ) -> FloatTensor<Self> {
        let [rows, k] = sides::<Self>(&logits);
        let (logits, center) = (gpu::plain(logits), gpu::plain(center));
        let (from, t) = (SinkhornLogits::Kept(&logits.handle), temperature as f32);
        let out = sinkhorn::gpu::softmax_center(&logits.client, from, &center.handle, rows, k, t);
        gpu::floats(&logits, gpu::done(out), [rows, k])
    }
}

impl GraphlessOps for Flex {
    fn sinkhorn(
        logits: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        temperature: f64,
        iterations: usize,
    ) -> FloatTensor<Self> {
        let shape = sides::<Self>(&logits);
        let (logits, weights) = (full::<Self>(logits), full::<Self>(weights));
        let (logits, weights) = (cpu::values(&logits), cpu::values(&weights));
        cpu::array(sinkhorn::cpu::sinkhorn(&logits, &weights, temperature as f32, iterations), shape)
    }

    fn softmax_center(
        logits: FloatTensor<Self>,
        center: FloatTensor<Self>,
        temperature: f64,
    ) -> FloatTensor<Self> {
        let shape = sides::<Self>(&logits);
        let (logits, center) = (full::<Self>(logits), full::<Self>(center));
        let (logits, center) = (cpu::values(&logits), cpu::values(&center));
        cpu::array(sinkhorn::cpu::softmax_center(&logits, &center, temperature as f32), shape)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData, Tolerance};

    use burn::backend::tensor::FloatTensor;
    use dinoscope_base::rng::{normal, stream};

    use super::*;

    /// What requires a gradient may be asked; nothing of it is on the tape afterwards.
    #[test]
    fn a_tape_is_left_behind() {
        let device = Device::flex().autodiff();
        let logits = Tensor::<2>::from_data([[0.1, 0.0, -0.1], [0.2, 0.1, 0.0]], &device).require_grad();
        let plain = Tensor::<2>::from_data([[0.1, 0.0, -0.1], [0.2, 0.1, 0.0]], &Device::flex());
        let (center, weights) = (Tensor::<1>::zeros([3], &device), Tensor::<1>::ones([2], &device));
        let (center_plain, weights_plain) =
            (center.clone().without_autodiff(), weights.clone().without_autodiff());
        let near = Tolerance::<f32>::absolute(1e-6);
        let got = softmax_center(logits.clone(), center, 0.07);
        got.into_data()
            .assert_approx_eq(&softmax_center(plain.clone(), center_plain, 0.07).into_data(), near);
        let got = sinkhorn(logits.clone(), weights, 0.07, 3);
        got.into_data().assert_approx_eq(&sinkhorn(plain.clone(), weights_plain, 0.07, 3).into_data(), near);
    }

    /// What a device does better is what is composed of burn's operations, on awkward sizes.
    #[test]
    fn the_references_say_the_same() {
        let rng = &mut stream(3, "graphless", 0, 0);
        for (rows, k) in [(1, 1), (2, 3), (37, 65), (130, 17)] {
            let mut draw = |n: usize, shape: Vec<usize>| -> FloatTensor<Flex> {
                let values: Vec<f32> = (0..n).map(|_| normal(rng)).collect();
                FloatTensor::<Flex>::from_data(TensorData::new(values, shape))
            };
            let (logits, center) = (draw(rows * k, vec![rows, k]), draw(k, vec![k]));
            let weights: Vec<f32> = (0..rows).map(|row| f32::from(u8::from(row % 5 != 4))).collect();
            let weights = FloatTensor::<Flex>::from_data(TensorData::new(weights, [rows]));
            let near = Tolerance::<f32>::absolute(1e-5);
            let got = Flex::sinkhorn(logits.clone(), weights.clone(), 0.5, 3).into_data();
            got.assert_approx_eq(
                &composed_sinkhorn::<Flex>(logits.clone(), weights, 0.5, 3).into_data(),
                near,
            );
            let got = Flex::softmax_center(logits.clone(), center.clone(), 0.5).into_data();
            let want = composed_softmax_center::<Flex>(logits.clone(), center, 0.5).into_data();
            got.assert_approx_eq(&want, near);
        }
    }
}

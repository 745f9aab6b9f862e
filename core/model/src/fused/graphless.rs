//! Operations through which no gradient flows: the teacher's targets, and neighbours. They have no place on the tape.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, DType, Flex, backend_extension};
use burn::tensor::TensorData;
use burn_cubecl::CubeBackend;
use dinoscope_shaders::sinkhorn::gpu::SinkhornLogits;
use dinoscope_shaders::{neighbours, sinkhorn};

use super::composed::{self, full, sides};
use super::{cpu, gpu};

/// The operations as every device has them; call the functions of [`super`]. The default of each is composed of burn's
/// operations and is what the others are compared with.
#[backend_extension(Cube, Flex)]
pub trait GraphlessOps: Backend {
    /// See [`super::sinkhorn`].
    fn sinkhorn(
        logits: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        temperature: f64,
        iterations: usize,
    ) -> FloatTensor<Self> {
        composed::sinkhorn::<Self>(logits, weights, temperature, iterations)
    }

    /// See [`super::softmax_center`].
    fn softmax_center(
        logits: FloatTensor<Self>,
        center: FloatTensor<Self>,
        temperature: f64,
    ) -> FloatTensor<Self> {
        composed::softmax_center::<Self>(logits, center, temperature)
    }

    /// See [`super::nearest`].
    fn nearest(x: FloatTensor<Self>) -> IntTensor<Self> {
        composed::nearest::<Self>(x)
    }
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

    fn nearest(x: FloatTensor<Self>) -> IntTensor<Self> {
        let [rows, dim] = sides::<Self>(&x);
        let x = gpu::plain(x);
        let found = neighbours::gpu::nearest(&x.client, &x.handle, rows, dim);
        gpu::array(&x, gpu::done(found), [rows], DType::I32)
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

    fn nearest(x: FloatTensor<Self>) -> IntTensor<Self> {
        let [rows, dim] = sides::<Self>(&x);
        let x = full::<Self>(x);
        let found = neighbours::cpu::nearest(&cpu::values(&x), dim);
        IntTensor::<Self>::from_data(TensorData::new(found, [rows]))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::{Device, Tensor, Tolerance};

    use super::super::{nearest, sinkhorn, softmax_center};

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
        nearest(logits).into_data().assert_eq(&nearest(plain).into_data(), true);
    }
}

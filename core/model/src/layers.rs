//! The small parts that every block is made of, with PyTorch's parameter names and layouts.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, activation::gelu};

use crate::fused;
use dinoscope_base::rng::{self, RngExt, Stream};

/// Where initial weights come from.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of them while a model is made")]
pub enum WeightInit {
    /// Drawn at random.
    Random(Stream),
    /// Nowhere: others take their place, and drawing millions of numbers in vain takes seconds.
    Zeros,
}

/// A fully connected layer: `y = x Wᵀ + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// Weights from a normal distribution of standard deviation 0.02 (the ViT's initialisation), bias 0.
    pub fn init(input: usize, output: usize, bias: bool, draw: &mut WeightInit, device: &Device) -> Self {
        Self {
            weight: normal([output, input], 0.02, draw, device),
            bias: bias.then(|| constant([output], 0.0, device)),
        }
    }

    /// `[rows, in]` to `[rows, out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.bias {
            Some(bias) => fused::linear(x, self.weight.val(), bias.val()),
            None => x.matmul(self.weight.val().transpose()),
        }
    }

    /// `gelu` of it: `[rows, in]` to `[rows, out]`. The exact GELU (erf), not the tanh approximation.
    pub fn forward_gelu(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.bias {
            Some(bias) => fused::linear_gelu(x, self.weight.val(), bias.val()),
            None => gelu(x.matmul(self.weight.val().transpose())),
        }
    }
}

/// Layer normalisation over the last dimension.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[dim]`
    pub weight: Param<Tensor<1>>,
    /// `[dim]`
    pub bias: Param<Tensor<1>>,
    eps: f64,
}

impl LayerNorm {
    /// Gain 1, bias 0; `eps` is added to the variance.
    pub fn init(dim: usize, eps: f64, device: &Device) -> Self {
        Self { weight: constant([dim], 1.0, device), bias: constant([dim], 0.0, device), eps }
    }

    /// What is added to the variance.
    pub fn eps(&self) -> f64 {
        self.eps
    }

    /// `[rows, dim]` to `[rows, dim]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        fused::layer_norm(x, self.weight.val(), self.bias.val(), self.eps)
    }
}

/// A learned gain per channel on a residual branch (Touvron et al. 2021).
#[derive(Module, Debug)]
pub struct LayerScale {
    /// `[dim]`
    pub gamma: Param<Tensor<1>>,
}

impl LayerScale {
    /// All gains `value` (1e-5 when training from scratch).
    pub fn init(dim: usize, value: f32, device: &Device) -> Self {
        Self { gamma: constant([dim], value, device) }
    }
}

/// A parameter that holds `value` everywhere.
pub(super) fn constant<const D: usize>(shape: [usize; D], value: f32, device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::full(shape, value, device))
}

/// A parameter from a normal distribution. Upstream truncates at ±2, a hundred standard deviations away.
pub(super) fn normal<const D: usize>(
    shape: [usize; D],
    std: f32,
    draw: &mut WeightInit,
    device: &Device,
) -> Param<Tensor<D>> {
    match draw {
        WeightInit::Random(rng) => from_fn(shape, device, || std * rng::normal(rng)),
        WeightInit::Zeros => constant(shape, 0.0, device),
    }
}

/// A parameter from a uniform distribution over ±`bound` (PyTorch's default for convolutions and linears).
pub(super) fn uniform<const D: usize>(
    shape: [usize; D],
    bound: f32,
    draw: &mut WeightInit,
    device: &Device,
) -> Param<Tensor<D>> {
    match draw {
        WeightInit::Random(rng) => from_fn(shape, device, || bound * (2.0 * rng.random::<f32>() - 1.0)),
        WeightInit::Zeros => constant(shape, 0.0, device),
    }
}

fn from_fn<const D: usize>(
    shape: [usize; D],
    device: &Device,
    mut value: impl FnMut() -> f32,
) -> Param<Tensor<D>> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| value()).collect();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
}

//! The optimiser's update over all parameters at once.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DispatchKindConversion, DispatchTensor, Flex};
use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;

use super::programs::Programs;

/// What all parameters share in an update.
#[derive(Clone, Debug)]
pub struct Rates {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Updates so far, this one included.
    pub steps: u64,
    /// Momentum of the teacher.
    pub momentum: f64,
    /// Whether a gradient factor that is not finite leaves parameter and moments as they were (loss scaling).
    pub skip_not_finite: bool,
}

impl Rates {
    /// `1 - beta1^steps`
    pub fn correction1(&self) -> f64 {
        1.0 - self.beta1.powf(self.steps as f64)
    }

    /// `√(1 - beta2^steps)`
    pub fn correction2(&self) -> f64 {
        (1.0 - self.beta2.powf(self.steps as f64)).sqrt()
    }
}

/// A parameter on its way through an update; all tensors are `[n]`.
#[derive(Clone, Debug)]
pub struct Updated<T> {
    /// The student's value.
    pub value: T,
    /// The teacher's value.
    pub teacher: T,
    /// Mean of gradients.
    pub first: T,
    /// Mean of squared gradients.
    pub second: T,
    /// The gradient and a factor on it, `[1]`; none where the loss did not reach: then only the teacher moves.
    pub gradient: Option<(T, T)>,
    /// Learning rate of this parameter.
    pub lr: f64,
    /// Weight decay of this parameter.
    pub decay: f64,
}

/// Updates all parameters and their teacher, all on one device. Gradients are used up.
pub fn adamw(parameters: Vec<Updated<Tensor<1>>>, rates: &Rates) -> Vec<Updated<Tensor<1>>> {
    match parameters.first() {
        Some(p) if on::<Flex>(&p.value) => adamw_on::<Flex>(parameters, rates),
        _ => adamw_on::<CubeBackend>(parameters, rates),
    }
}

/// Σ x² over all tensors, `[1]`; `None` without tensors.
pub fn squared_norm(tensors: Vec<Tensor<1>>) -> Option<Tensor<1>> {
    let first = tensors.first()?;
    Some(match on::<Flex>(first) {
        true => squared_norm_on::<Flex>(tensors),
        false => squared_norm_on::<CubeBackend>(tensors),
    })
}

/// Whether a backend holds a tensor.
fn on<B: Backend>(tensor: &Tensor<1>) -> bool
where
    DispatchTensor: DispatchKindConversion<B>,
{
    tensor.clone().try_into_primitive::<B>().is_ok()
}

/// # Panics
/// When a tensor is elsewhere, which would be a fault of this program.
fn primitive<B: Backend>(tensor: Tensor<1>) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    match tensor.try_into_primitive::<B>() {
        Ok(primitive) => primitive,
        Err(e) => panic!("the optimiser's tensors are not all on one device: {e:?}"),
    }
}

fn squared_norm_on<B: Programs>(tensors: Vec<Tensor<1>>) -> Tensor<1>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    Tensor::from_primitive::<B>(B::squared_norm(tensors.into_iter().map(primitive::<B>).collect()))
}

fn adamw_on<B: Programs>(parameters: Vec<Updated<Tensor<1>>>, rates: &Rates) -> Vec<Updated<Tensor<1>>>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    let inside = parameters.into_iter().map(|p| p.map(primitive::<B>)).collect();
    B::adamw(inside, rates).into_iter().map(|p| p.map(Tensor::from_primitive::<B>)).collect()
}

impl<T> Updated<T> {
    fn map<U>(self, f: impl Fn(T) -> U) -> Updated<U> {
        Updated {
            value: f(self.value),
            teacher: f(self.teacher),
            first: f(self.first),
            second: f(self.second),
            gradient: self.gradient.map(|(gradient, factor)| (f(gradient), f(factor))),
            lr: self.lr,
            decay: self.decay,
        }
    }
}

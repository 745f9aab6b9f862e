//! The optimiser's update over all parameters at once.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DispatchKindConversion, DispatchTensor, Flex, TensorMetadata};
use burn::tensor::{Device, Tensor};
use burn_cubecl::CubeBackend;

use super::composed;
use super::programs::KernelOps;

/// What all parameters share in an update.
#[derive(Clone, Debug)]
pub struct UpdateHyperparams {
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
    /// Largest gradient norm of a sub-module; 0 for no limit.
    pub clip: f64,
    /// Whether gradients that are not finite leave everything as it was; GPUs always do so.
    pub skip_not_finite: bool,
}

/// Sub-modules that are clipped each on its own.
pub const MODULES: usize = 3;

/// What an update found out about its gradients; all of it stays on the device.
#[derive(Clone, Debug)]
pub struct GradNorms<T> {
    /// Gradient norms of the sub-modules, without a loss scale and before clipping, `[1]` each.
    pub norms: Vec<T>,
    /// More than 0 where a norm is not finite, `[1]`.
    pub overflow: T,
}

/// Memory that a device keeps from one update to the next, so that all parameters are one buffer to its programs.
///
/// Parameters, teacher and moments that an update returns are views of it: the next update changes them in place.
#[derive(Clone, Debug, Default)]
pub struct UpdateArenas(pub(super) Option<super::optimiser::ArenaState>);

impl UpdateHyperparams {
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
pub struct ParamUpdate<T> {
    /// The student's value.
    pub value: T,
    /// The teacher's value.
    pub teacher: T,
    /// Mean of gradients.
    pub first: T,
    /// Mean of squared gradients.
    pub second: T,
    /// The gradient; none where the loss did not reach: then only the teacher moves.
    pub gradient: Option<T>,
    /// Number of the sub-module that it is clipped with.
    pub module: usize,
    /// Learning rate of this parameter.
    pub lr: f64,
    /// Weight decay of this parameter.
    pub decay: f64,
}

/// Clips each sub-module's gradients alone, updates all parameters by AdamW (Loshchilov & Hutter 2019) and lets the
/// teacher follow.
///
/// All tensors are on one device. `loss_scale` `[1]` divides the gradients first.
pub fn optimise(
    parameters: Vec<ParamUpdate<Tensor<1>>>,
    loss_scale: Option<Tensor<1>>,
    rates: &UpdateHyperparams,
    arenas: &mut UpdateArenas,
) -> (Vec<ParamUpdate<Tensor<1>>>, GradNorms<Tensor<1>>) {
    match parameters.first() {
        Some(p) if on::<Flex>(&p.value) => optimise_on::<Flex>(parameters, loss_scale, rates, arenas),
        _ => optimise_on::<CubeBackend>(parameters, loss_scale, rates, arenas),
    }
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

fn optimise_on<B: KernelOps>(
    parameters: Vec<ParamUpdate<Tensor<1>>>,
    loss_scale: Option<Tensor<1>>,
    rates: &UpdateHyperparams,
    arenas: &mut UpdateArenas,
) -> (Vec<ParamUpdate<Tensor<1>>>, GradNorms<Tensor<1>>)
where
    DispatchTensor: DispatchKindConversion<B>,
{
    let inside = parameters.into_iter().map(|p| p.map(primitive::<B>)).collect();
    let (updated, found) = B::optimise(inside, loss_scale.map(primitive::<B>), rates, arenas);
    let outside = Tensor::from_primitive::<B>;
    let found = GradNorms {
        norms: found.norms.into_iter().map(outside).collect(),
        overflow: outside(found.overflow),
    };
    (updated.into_iter().map(|p| p.map(outside)).collect(), found)
}

/// What an update in portions multiplies gradients with; see [`update_clipped`].
#[derive(Clone, Debug)]
pub struct ClipFactors {
    factors: Vec<Tensor<1>>,
    /// What was found out about the gradients.
    pub found: GradNorms<Tensor<1>>,
}

/// Squared norms of gradients by sub-module, `[1]` each, on `device`: of what this process holds of them.
pub fn squared_norms(gradients: Vec<(usize, Tensor<1>)>, device: &Device) -> Vec<Tensor<1>> {
    let of = |module: usize| {
        let own: Vec<_> =
            gradients.iter().filter(|(of, _)| *of == module).map(|(_, gradient)| gradient.clone()).collect();
        match own.first() {
            None => Tensor::zeros([1], device),
            Some(first) if on::<Flex>(first) => squared_norm_on::<Flex>(own),
            Some(_) => squared_norm_on::<CubeBackend>(own),
        }
    };
    (0..MODULES).map(of).collect()
}

fn squared_norm_on<B: KernelOps>(tensors: Vec<Tensor<1>>) -> Tensor<1>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    let inside: Vec<_> = tensors.into_iter().map(primitive::<B>).collect();
    let device = inside[0].device();
    Tensor::from_primitive::<B>(B::squared_norm(inside, &device))
}

impl ClipFactors {
    /// Out of squared norms over all that is updated, wherever it is held, `[1]` for each sub-module.
    pub fn new(squares: Vec<Tensor<1>>, loss_scale: Option<Tensor<1>>, rates: &UpdateHyperparams) -> Self {
        match squares.first() {
            Some(first) if on::<Flex>(first) => Self::on::<Flex>(squares, loss_scale, rates),
            _ => Self::on::<CubeBackend>(squares, loss_scale, rates),
        }
    }

    fn on<B: KernelOps>(
        squares: Vec<Tensor<1>>,
        loss_scale: Option<Tensor<1>>,
        rates: &UpdateHyperparams,
    ) -> Self
    where
        DispatchTensor: DispatchKindConversion<B>,
    {
        let squares = squares.into_iter().map(primitive::<B>).collect();
        let (factors, found) = composed::clip::<B>(squares, loss_scale.map(primitive::<B>), rates);
        let outside = |list: Vec<FloatTensor<B>>| list.into_iter().map(Tensor::from_primitive::<B>).collect();
        let overflow = Tensor::from_primitive::<B>(found.overflow);
        Self { factors: outside(factors), found: GradNorms { norms: outside(found.norms), overflow } }
    }
}

/// What [`optimise`] does to a portion of the parameters, with the factors for all of them.
pub fn update_clipped(
    parameters: Vec<ParamUpdate<Tensor<1>>>,
    clip: &ClipFactors,
    rates: &UpdateHyperparams,
) -> Vec<ParamUpdate<Tensor<1>>> {
    match parameters.first() {
        None => Vec::new(),
        Some(p) if on::<Flex>(&p.value) => update_clipped_on::<Flex>(parameters, clip, rates),
        Some(_) => update_clipped_on::<CubeBackend>(parameters, clip, rates),
    }
}

fn update_clipped_on<B: KernelOps>(
    parameters: Vec<ParamUpdate<Tensor<1>>>,
    clip: &ClipFactors,
    rates: &UpdateHyperparams,
) -> Vec<ParamUpdate<Tensor<1>>>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    let inside = parameters.into_iter().map(|p| p.map(primitive::<B>)).collect();
    let factors: Vec<_> = clip.factors.iter().cloned().map(primitive::<B>).collect();
    let updated = B::adamw(inside, &factors, rates);
    updated.into_iter().map(|p| p.map(Tensor::from_primitive::<B>)).collect()
}

impl<T> ParamUpdate<T> {
    pub(super) fn map<U>(self, f: impl Fn(T) -> U) -> ParamUpdate<U> {
        ParamUpdate {
            value: f(self.value),
            teacher: f(self.teacher),
            first: f(self.first),
            second: f(self.second),
            gradient: self.gradient.map(&f),
            module: self.module,
            lr: self.lr,
            decay: self.decay,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::TensorData;
    use dinoscope_base::device::{DeviceChoice, choose};

    use super::*;

    fn host(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    /// What a device makes of two portions: norms, overflow, and the first one's values, teacher and moments.
    fn updated(device: &Device, broken: bool) -> Vec<Vec<f32>> {
        let of = |from: usize, by: f32| {
            let values: Vec<f32> = (0..37).map(|i| by * ((from + 7 * i) % 23) as f32 - 0.3).collect();
            Tensor::<1>::from_data(TensorData::new(values, [37]), device)
        };
        let gradient = |at: usize| of(at, 0.1).mul_scalar(if broken { f32::INFINITY } else { 1.0 });
        let rates = UpdateHyperparams {
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            steps: 2,
            momentum: 0.9,
            clip: 1.0,
            skip_not_finite: true,
        };
        let squares = squared_norms(vec![(0, gradient(1)), (1, gradient(2))], device);
        let scale = Tensor::full([1], 4.0, device);
        let clip = ClipFactors::new(squares, Some(scale), &rates);
        let parameter = ParamUpdate {
            value: of(3, 0.2),
            teacher: of(4, 0.2),
            first: of(5, 0.01),
            second: of(6, 0.01).square(),
            gradient: Some(gradient(1)),
            module: 0,
            lr: 0.01,
            decay: 0.1,
        };
        let ParamUpdate { value, teacher, first, second, .. } =
            update_clipped(vec![parameter], &clip, &rates).swap_remove(0);
        let GradNorms { norms, overflow } = clip.found;
        norms.into_iter().chain([overflow, value, teacher, first, second]).map(host).collect()
    }

    #[test]
    fn portions_are_updated_alike_on_a_gpu() {
        let Ok(gpu) = choose(DeviceChoice::Gpu(0)) else { return };
        for broken in [false, true] {
            let (one, other) = (updated(&Device::flex(), broken), updated(&gpu.device, broken));
            for (at, (a, b)) in one.iter().zip(&other).enumerate() {
                let near = |(a, b): (&f32, &f32)| a == b || (a - b).abs() < 1e-4 * a.abs().max(0.01);
                // A norm that is none, and what it would be, are not compared.
                assert!(broken && at < MODULES || a.iter().zip(b).all(near), "{broken} {at}: {a:?} {b:?}");
            }
            assert_eq!(one[MODULES][0] > 0.0, broken);
        }
    }
}

//! Keeps the gradients of 16-bit numbers in range (Micikevicius et al. 2018).
//!
//! The loss is multiplied before the backward pass and the gradients divided after it. A step whose gradients
//! overflow is skipped and halves the scale; a long time without doubles it. All of it stays on the device.

use burn::tensor::{Device, Tensor};

use crate::train::recipe::TrainPrecision;

/// Where the scale begins. The residual stream is f32, so that only gradients inside of branches need room; PyTorch's
/// start at 65,536 overflows them, and the first steps would be lost until it has halved often enough.
const START: f64 = 1024.0;
/// Steps without overflow after which the scale doubles.
const PATIENCE: f64 = 2000.0;
/// Beyond this an f32 loss itself could overflow.
const LARGEST: f64 = 16_777_216.0;

/// Whether a scale and the steps since its last change are such as a run comes to.
pub(in crate::train) fn is_possible(scale: f32, calm: f32) -> bool {
    (1.0..=LARGEST).contains(&f64::from(scale)) && (0.0..PATIENCE).contains(&f64::from(calm))
}

/// The scale of the loss, where there is one.
#[derive(Clone, Debug)]
pub struct LossScale(Option<LossScaleState>);

#[derive(Clone, Debug)]
struct LossScaleState {
    /// `[1]`
    scale: Tensor<1>,
    /// Steps since the last change, `[1]`.
    calm: Tensor<1>,
}

impl LossScale {
    /// None: numbers with the range of f32 need none.
    pub const OFF: Self = Self(None);

    /// On for f16 alone.
    pub fn new(numbers: TrainPrecision, device: &Device) -> Self {
        Self((numbers == TrainPrecision::F16).then(|| LossScaleState {
            scale: Tensor::full([1], START, device),
            calm: Tensor::zeros([1], device),
        }))
    }

    /// Scale and steps since its last change, `[2]`, for a checkpoint.
    pub fn saved(&self) -> Option<Tensor<1>> {
        self.0.as_ref().map(|s| Tensor::cat(vec![s.scale.clone(), s.calm.clone()], 0))
    }

    /// Goes on from what [`saved`](Self::saved) gave; off stays off.
    pub fn restored(self, saved: Tensor<1>) -> Self {
        Self(
            self.0.map(|_| LossScaleState {
                scale: saved.clone().narrow(0, 0, 1),
                calm: saved.narrow(0, 1, 1),
            }),
        )
    }

    /// Whether overflowing steps are to be skipped.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The loss, `[1]`, times the scale.
    pub fn applied(&self, loss: Tensor<1>) -> Tensor<1> {
        match self.value() {
            None => loss,
            Some(scale) => loss * scale,
        }
    }

    /// The scale, `[1]`, where there is one.
    pub fn value(&self) -> Option<Tensor<1>> {
        self.0.as_ref().map(|s| s.scale.clone())
    }

    /// Moves the scale after a step; `overflow` `[1]` is more than 0 where its gradients were not finite.
    ///
    /// Returns the scale that the step was made with, where there is one.
    pub fn observe(&mut self, overflow: Tensor<1>) -> Option<Tensor<1>> {
        let LossScaleState { scale, calm } = self.0.as_mut()?;
        let before = scale.clone();
        let overflow = overflow.greater_scalar(0.0);
        let waited = calm.clone().add_scalar(1.0);
        let ready = waited.clone().greater_equal_scalar(PATIENCE);
        let grown =
            before.clone().mask_where(ready.clone(), before.clone().mul_scalar(2.0)).clamp_max(LARGEST);
        let halved = before.clone().mul_scalar(0.5).clamp_min(1.0);
        *scale = grown.mask_where(overflow.clone(), halved);
        *calm = waited.mask_fill(ready, 0.0).mask_fill(overflow, 0.0);
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(t: &Tensor<1>) -> f32 {
        t.clone().into_scalar()
    }

    #[test]
    fn overflow_halves_and_patience_doubles() {
        let device = Device::flex();
        let mut scale = LossScale::new(TrainPrecision::F16, &device);
        let (good, bad) = (Tensor::<1>::zeros([1], &device), Tensor::<1>::ones([1], &device));
        scale.observe(good.clone());
        assert_eq!(scale.observe(bad).map(|s| read(&s)), Some(1024.0));
        let Some(LossScaleState { scale: now, calm }) = &scale.0 else { unreachable!("f16 has a scale") };
        assert_eq!((read(now), read(calm)), (512.0, 0.0));
        let halved = LossScale::new(TrainPrecision::F16, &device)
            .restored(scale.saved().unwrap_or_else(|| good.clone()));
        assert_eq!(halved.value().map(|s| read(&s)), Some(512.0));
        for _ in 0..2000 {
            scale.observe(good.clone());
        }
        let Some(LossScaleState { scale: now, calm }) = &scale.0 else { unreachable!("f16 has a scale") };
        assert_eq!((read(now), read(calm)), (1024.0, 0.0));
        assert!(!LossScale::new(TrainPrecision::Bf16, &device).is_on());
    }
}

//! Keeps the gradients of 16-bit numbers in range (Micikevicius et al. 2018).
//!
//! The loss is multiplied before the backward pass and the gradients divided after it. A step whose gradients
//! overflow is skipped and halves the scale; a long time without doubles it. All of it stays on the device.

use burn::tensor::{Device, Tensor};

use super::recipe::Numbers;
use crate::model::params::Named;

/// Where the scale begins.
const START: f64 = 65_536.0;
/// Steps without overflow after which the scale doubles.
const PATIENCE: f64 = 2000.0;
/// Beyond this an f32 loss itself could overflow.
const LARGEST: f64 = 16_777_216.0;

/// The scale of the loss.
#[derive(Clone, Debug)]
pub enum LossScale {
    /// Numbers with the range of f32 need none.
    Off,
    /// For f16.
    On {
        /// `[1]`
        scale: Tensor<1>,
        /// Steps since the last change, `[1]`.
        calm: Tensor<1>,
    },
}

impl LossScale {
    /// On for f16 alone.
    pub fn new(numbers: Numbers, device: &Device) -> Self {
        match numbers {
            Numbers::F16 => {
                Self::On { scale: Tensor::full([1], START, device), calm: Tensor::zeros([1], device) }
            }
            Numbers::F32 | Numbers::Bf16 => Self::Off,
        }
    }

    /// Whether overflowing steps are to be skipped.
    pub fn is_on(&self) -> bool {
        matches!(self, Self::On { .. })
    }

    /// The loss, `[1]`, times the scale.
    pub fn applied(&self, loss: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Off => loss,
            Self::On { scale, .. } => loss * scale.clone(),
        }
    }

    /// The gradients without the scale.
    pub fn removed(&self, gradients: Named) -> Named {
        match self {
            Self::Off => gradients,
            Self::On { scale, .. } => {
                gradients.into_iter().map(|(name, g)| (name, g / scale.clone())).collect()
            }
        }
    }

    /// Moves the scale after a step whose factors on the gradients are these (NaN where they overflowed).
    ///
    /// An overflow in one sub-module skips the step in all: their factors become NaN too. Returns the scale that
    /// the step was made with, where there is one.
    pub fn observe(&mut self, factors: &mut [(&'static str, Tensor<1>)]) -> Option<Tensor<1>> {
        let Self::On { scale, calm } = self else { return None };
        let before = scale.clone();
        let none = factors.iter().map(|(_, factor)| factor.clone().mul_scalar(0.0)).reduce(|a, b| a + b)?;
        for (_, factor) in factors.iter_mut() {
            *factor = factor.clone() + none.clone();
        }
        let overflow = none.is_nan();
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
        let mut scale = LossScale::new(Numbers::F16, &device);
        let mut good =
            [("backbone", Tensor::ones([1], &device)), ("dino_head", Tensor::full([1], 0.5, &device))];
        let mut bad =
            [("backbone", Tensor::ones([1], &device)), ("dino_head", Tensor::full([1], f32::NAN, &device))];
        scale.observe(&mut good);
        assert_eq!(scale.observe(&mut bad).map(|s| read(&s)), Some(65_536.0));
        assert!(bad.iter().all(|(_, factor)| read(factor).is_nan()), "no sub-module moves alone");
        let LossScale::On { scale: now, calm } = &scale else { unreachable!("f16 has a scale") };
        assert_eq!((read(now), read(calm)), (32_768.0, 0.0));
        for _ in 0..2000 {
            scale.observe(&mut good);
        }
        let LossScale::On { scale: now, calm } = &scale else { unreachable!("f16 has a scale") };
        assert_eq!((read(now), read(calm)), (65_536.0, 0.0));
        assert!(!LossScale::new(Numbers::Bf16, &device).is_on());
    }
}

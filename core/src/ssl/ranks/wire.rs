//! The numbers that long lists travel in between ranks: gradients and shared weights.

use serde::{Deserialize, Serialize};

use super::{Pending, RankTransport};

/// Numbers on the way between ranks. Sums are made in f32 whatever they were on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RankWire {
    /// As they are.
    #[default]
    F32,
    /// Rounded to 8 bits of mantissa, half as many bytes: also what a rank has itself, so that all see the same.
    Bf16,
}

impl RankWire {
    /// [`RankTransport::start_gather_floats`] in these numbers.
    pub(super) fn start_gather(self, transport: &dyn RankTransport, own: Vec<f32>) -> Pending<f32> {
        match self {
            Self::F32 => transport.start_gather_floats(own),
            Self::Bf16 => widening(transport.start_gather_halves(rounded(&own))),
        }
    }

    /// [`RankTransport::start_exchange_floats`] in these numbers.
    pub(super) fn start_exchange(self, transport: &dyn RankTransport, own: Vec<f32>) -> Pending<f32> {
        match self {
            Self::F32 => transport.start_exchange_floats(own),
            Self::Bf16 => widening(transport.start_exchange_halves(rounded(&own))),
        }
    }
}

fn widening(pending: Pending<u16>) -> Pending<f32> {
    Box::new(move || Ok(widened(&pending()?)))
}

/// The nearest bf16, the even one of two.
fn rounded(values: &[f32]) -> Vec<u16> {
    let round = |value: &f32| {
        let bits = value.to_bits();
        match value.is_nan() {
            // Rounding could carry it over to an infinity.
            true => (bits >> 16) as u16 | 0x40,
            false => ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16,
        }
    };
    values.iter().map(round).collect()
}

fn widened(values: &[u16]) -> Vec<f32> {
    values.iter().map(|value| f32::from_bits(u32::from(*value) << 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_the_nearest() {
        let there_and_back = |value: f32| widened(&rounded(&[value]))[0];
        for exact in [0.0, -0.0, 1.0, -3.5, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(there_and_back(exact).to_bits(), exact.to_bits());
        }
        // Eight bits of mantissa: the step above 1 is 2^-7.
        let step = 1.0 / 128.0;
        assert_eq!(there_and_back(1.0 + 0.4 * step), 1.0);
        assert_eq!(there_and_back(1.0 + 0.6 * step), 1.0 + step);
        assert_eq!(there_and_back(1.0 + 0.5 * step), 1.0, "half way goes to the even one");
        assert_eq!(there_and_back(1.0 + 1.5 * step), 1.0 + 2.0 * step);
        assert!(there_and_back(f32::NAN).is_nan() && there_and_back(f32::from_bits(0x7f80_0001)).is_nan());
        assert_eq!(there_and_back(f32::MAX), f32::INFINITY);
        for value in [1e-30_f32, 0.37, 12345.678] {
            assert!((there_and_back(value) - value).abs() <= value / 256.0);
        }
    }
}

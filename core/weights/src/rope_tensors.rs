//! What official files of DINOv3 hold beside weights: the periods of rotary positions, and which biases count.

use crate::backbone_keys::BackboneKeys;
use crate::official::{BIAS_MASK, PERIODS};
use crate::shapes::wrong_shape;
use crate::source::WeightsReader;
use crate::{StateDict, WeightsError};
use dinoscope_model::config::VitConfig;

/// Where in a file they are, by the file's keys.
#[derive(Debug, Default)]
pub(super) struct RopeTensors {
    /// `[heads' width / 4]`
    pub periods: Option<String>,
    /// `[3 dim]`, one a block: what `attn.qkv.bias` is multiplied by.
    masks: Vec<String>,
}

impl RopeTensors {
    /// Looks for them, and takes the number of heads from how many periods there are.
    ///
    /// # Errors
    /// If periods are not those of any number of heads.
    pub fn find(
        source: &dyn WeightsReader,
        found: &BackboneKeys,
        config: &mut VitConfig,
    ) -> Result<Self, WeightsError> {
        if config.rope.is_none() {
            return Ok(Self::default());
        }
        let masks = found.inside.iter().filter(|(name, _)| name.ends_with(BIAS_MASK));
        let masks = masks.map(|(_, key)| key.clone()).collect();
        let Some(key) = found.inside.get(PERIODS) else { return Ok(Self { periods: None, masks }) };
        let shape = source.entries().get(key).map_or(&[][..], |entry| &entry.shape);
        let heads = match shape {
            [quarter] if *quarter > 0 && config.dim.is_multiple_of(quarter.saturating_mul(4)) => {
                config.dim / (4 * quarter)
            }
            _ => {
                let expected = [(config.dim / config.heads.max(1) / 4).max(1)];
                return Err(wrong_shape(source.file(), key, &expected, shape));
            }
        };
        config.heads = heads;
        Ok(Self { periods: Some(key.clone()), masks })
    }

    /// Fails where heads have no pairs to turn, or the file's periods are of heads of another width.
    ///
    /// # Errors
    /// Names both.
    pub fn check(&self, file: &str, config: &VitConfig) -> Result<(), WeightsError> {
        if config.rope.is_none() || config.head_width().is_multiple_of(4) && config.head_width() > 0 {
            return Ok(());
        }
        let reason = format!(
            "{} attention heads of a width of {} have {} dimensions each; rotary positions need a multiple of 4",
            config.heads,
            config.dim,
            config.head_width()
        );
        Err(WeightsError::Unsupported { file: file.into(), reason })
    }

    /// Reads periods into `config` where they are not those of its base, and takes biases away that do not count.
    ///
    /// # Errors
    /// If they cannot be read, or hold what no DINOv3 computes with.
    pub fn read(
        self,
        source: &mut dyn WeightsReader,
        backbone: &mut StateDict,
        config: &mut VitConfig,
    ) -> Result<(), WeightsError> {
        let width = config.head_width();
        if let (Some(key), Some(rope)) = (&self.periods, &mut config.rope) {
            let periods = source.read(key)?.data;
            if periods.len() != width / 4 {
                // A person says other heads than the file's.
                rope.periods = None;
            } else if periods.iter().any(|period| !period.is_finite() || *period == 0.0) {
                let reason = format!("`{key}` holds a period of 0, or no number");
                return Err(WeightsError::format(source.file(), reason));
            } else {
                rope.periods = (periods != rope.formula(width)).then_some(periods);
            }
        }
        if !config.key_bias && config.qkv_bias {
            self.check_masks(source, config.dim)?;
            for block in 0..config.depth {
                if let Some(bias) = backbone.get_mut(&format!("blocks.{block}.attn.qkv.bias")) {
                    bias.data[config.dim..2 * config.dim].fill(0.0);
                }
            }
        }
        Ok(())
    }

    /// Masks are 1 for queries and values and 0 for keys, or were never filled in, when they hold no numbers.
    fn check_masks(&self, source: &mut dyn WeightsReader, dim: usize) -> Result<(), WeightsError> {
        for key in &self.masks {
            let mask = source.read(key)?.data;
            let is_plain = |(i, value): (usize, &f32)| {
                value.is_nan() || *value == if (dim..2 * dim).contains(&i) { 0.0 } else { 1.0 }
            };
            if mask.len() != 3 * dim || !mask.iter().enumerate().all(is_plain) {
                let reason = format!("`{key}` masks other biases than those of keys");
                return Err(WeightsError::format(source.file(), reason));
            }
        }
        Ok(())
    }
}

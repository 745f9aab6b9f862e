//! What a model takes for a pixel: `preprocessor_config.json` of Hugging Face, `mean` and `std` of timm.
//!
//! Dinoscope gives every model pictures normalised by ImageNet's statistics. A model that learned from others is
//! brought to these by its patch embedding, which is linear and sees no border: gain and shift of each channel go into
//! its weights and bias, and the features stay what they were.

use super::{StateDict, WeightsError};
use dinoscope_data::augment::{MEAN, STD};
use serde_json::Value;

/// How a channel between 0 and 1 becomes what the model takes: `value * gain + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PixelNormalization {
    gain: [f64; 3],
    shift: [f64; 3],
    /// In words, for a note.
    mean: [f64; 3],
    std: [f64; 3],
}

impl PixelNormalization {
    /// From a mean and a standard deviation of values between 0 and 1.
    fn normalised(mean: [f64; 3], std: [f64; 3], scale: f64) -> Self {
        let each = |f: &dyn Fn(usize) -> f64| [f(0), f(1), f(2)];
        Self { gain: each(&|c| scale / std[c]), shift: each(&|c| -mean[c] / std[c]), mean, std }
    }

    /// What DINOv3's satellite models take: their own mean and deviation, which no official file says.
    pub fn satellite() -> Self {
        Self::normalised([0.430, 0.411, 0.296], [0.213, 0.156, 0.143], 1.0)
    }

    /// What timm's `mean` and `std` say, if they say anything.
    pub fn timm(config: &Value, file: &str) -> Result<Option<Self>, WeightsError> {
        let of = |field| triple(config.get(field), field, "config.json", file);
        Ok(of("mean")?.zip(of("std")?).map(|(mean, std)| Self::normalised(mean, std, 1.0)))
    }

    /// What a `preprocessor_config.json` says, if it says anything.
    pub fn hugging_face(json: &[u8], file: &str) -> Result<Option<Self>, WeightsError> {
        const NAME: &str = "preprocessor_config.json";
        let json: Value = serde_json::from_slice(json).map_err(|e| {
            WeightsError::format(file, format!("the {NAME} beside it is not valid JSON: {e}"))
        })?;
        let of = |field| triple(json.get(field), field, NAME, file);
        let off = |field: &str| json.get(field) == Some(&Value::Bool(false));
        let rescale = match json.get("rescale_factor") {
            _ if off("do_rescale") => 1.0,
            None | Some(Value::Null) => 1.0 / 255.0,
            Some(factor) => factor.as_f64().filter(|f| f.is_finite() && *f != 0.0).ok_or_else(|| {
                refused(file, NAME, "rescale_factor", factor, "a number such as 0.00392156862745098")
            })?,
        };
        // From 0 to 1, which is what a picture is here, to the processor's own scale.
        let scale = 255.0 * rescale;
        if off("do_normalize") {
            return Ok(Some(Self::normalised([0.0; 3], [1.0; 3], scale)));
        }
        Ok(of("image_mean")?.zip(of("image_std")?).map(|(mean, std)| Self::normalised(mean, std, scale)))
    }

    /// Gain and shift of each channel that bring ImageNet's normalisation to this one; `None` where that is the same.
    fn beside_image_net(&self) -> Option<[(f64, f64); 3]> {
        let of = |c: usize| {
            let (mean, std) = (f64::from(MEAN[c]), f64::from(STD[c]));
            (std * self.gain[c], mean * self.gain[c] + self.shift[c])
        };
        let all = [of(0), of(1), of(2)];
        let same = |(gain, shift): &(f64, f64)| (gain - 1.0).abs() < 1e-5 && shift.abs() < 1e-5;
        (!all.iter().all(same)).then_some(all)
    }

    /// What a person should know, if this is not what Dinoscope does anyway.
    pub fn note(&self, whose: &str) -> Option<String> {
        self.beside_image_net()?;
        let Self { mean, std, gain, .. } = self;
        let scale = gain[0] * std[0];
        let from =
            if (scale - 1.0).abs() < 1e-5 { String::new() } else { format!(" of values up to {scale}") };
        Some(format!(
            "{whose} normalises pictures by mean {mean:?} and std {std:?}{from}; that is in the patch embedding now, which \
             takes pictures normalised by ImageNet's, as everything here"
        ))
    }

    /// Brings the patch embedding of `backbone` to pictures that are normalised by ImageNet's statistics.
    pub fn fold(&self, backbone: &mut StateDict) {
        let Some(channels) = self.beside_image_net() else { return };
        let Some(weight) = backbone.get_mut("patch_embed.proj.weight") else { return };
        let [_, 3, height, width] = weight.shape[..] else { return };
        let mut shifts = Vec::new();
        for output in weight.data.chunks_exact_mut(3 * height * width) {
            let mut shift_of_output = 0.0;
            for (kernel, (gain, shift)) in output.chunks_exact_mut(height * width).zip(channels) {
                shift_of_output += shift * kernel.iter().map(|v| f64::from(*v)).sum::<f64>();
                kernel.iter_mut().for_each(|v| *v = (f64::from(*v) * gain) as f32);
            }
            shifts.push(shift_of_output);
        }
        if let Some(bias) = backbone.get_mut("patch_embed.proj.bias") {
            bias.data.iter_mut().zip(shifts).for_each(|(b, shift)| *b = (f64::from(*b) + shift) as f32);
        }
    }
}

/// A number for each channel, or one for all of them.
fn triple(
    value: Option<&Value>,
    field: &str,
    whose: &str,
    file: &str,
) -> Result<Option<[f64; 3]>, WeightsError> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let numbers = match value {
        Value::Array(all) => all.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>(),
        one => one.as_f64().map(|one| vec![one; 3]),
    };
    let usable = |v: &f64| v.is_finite() && (!field.ends_with("std") || *v > 0.0);
    match numbers.as_deref() {
        Some([r, g, b]) if [r, g, b].into_iter().all(usable) => Ok(Some([*r, *g, *b])),
        _ => Err(refused(file, whose, field, value, "three numbers, one for each of red, green and blue")),
    }
}

fn refused(file: &str, whose: &str, field: &str, value: &Value, wanted: &str) -> WeightsError {
    let reason = format!("the {whose} beside it has {field} {value}; expected {wanted}");
    WeightsError::Unsupported { file: file.into(), reason }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::HostTensor;

    /// One output of a patch of one pixel: `w · pixel + b`.
    fn embedding() -> StateDict {
        let mut state = StateDict::new();
        state.insert("patch_embed.proj.weight".into(), HostTensor::new([1, 3, 1, 1], vec![2.0, -3.0, 0.5]));
        state.insert("patch_embed.proj.bias".into(), HostTensor::new([1], vec![0.25]));
        state
    }

    fn embed(state: &StateDict, pixel: [f64; 3]) -> f64 {
        let weight = &state["patch_embed.proj.weight"].data;
        let product: f64 = weight.iter().zip(pixel).map(|(w, p)| f64::from(*w) * p).sum();
        product + f64::from(state["patch_embed.proj.bias"].data[0])
    }

    #[test]
    fn a_folded_embedding_of_our_pixels_is_the_models_of_its_own() {
        let picture = [0.2, 0.9, 0.55];
        let ours = [0, 1, 2].map(|c| (picture[c] - f64::from(MEAN[c])) / f64::from(STD[c]));
        for (json, theirs) in [
            (r#"{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.25, 0.2]}"#, [-0.6, 2.0, 1.25]),
            (r#"{"image_mean": 0.5, "image_std": 0.5}"#, [-0.6, 0.8, 0.1]),
            (r#"{"do_normalize": false, "image_mean": [9, 9, 9]}"#, picture),
            (r#"{"do_normalize": false, "do_rescale": false}"#, picture.map(|v| v * 255.0)),
            (r#"{"image_mean": 0, "image_std": 2, "rescale_factor": 0.0078431372549}"#, picture),
        ] {
            let (mut state, model) = (embedding(), embedding());
            let pixels = PixelNormalization::hugging_face(json.as_bytes(), "a").unwrap().unwrap();
            assert!(pixels.note("x").unwrap().contains("patch embedding"));
            pixels.fold(&mut state);
            let (found, wanted) = (embed(&state, ours), embed(&model, theirs));
            assert!((found - wanted).abs() < 1e-5 * wanted.abs().max(1.0), "{json}: {found} is not {wanted}");
        }
    }

    #[test]
    fn image_nets_own_changes_nothing() {
        let json = r#"{"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
            "rescale_factor": 0.00392156862745098}"#;
        let pixels = PixelNormalization::hugging_face(json.as_bytes(), "a").unwrap().unwrap();
        let mut state = embedding();
        pixels.fold(&mut state);
        assert_eq!((state, pixels.note("x")), (embedding(), None));
        assert_eq!(PixelNormalization::hugging_face(b"{}", "a").unwrap(), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (json, named) in [
            (r#"{"image_mean": [0.5, 0.5], "image_std": 1}"#, "image_mean"),
            (r#"{"image_mean": 0.5, "image_std": [1, 0, 1]}"#, "image_std"),
            (r#"{"image_mean": 0.5, "image_std": "1"}"#, "image_std"),
            (r#"{"rescale_factor": 0, "image_std": 1, "image_mean": 0}"#, "rescale_factor"),
            ("{", "preprocessor_config.json"),
        ] {
            let error = PixelNormalization::hugging_face(json.as_bytes(), "a.bin").unwrap_err().to_string();
            assert!(error.contains("a.bin") && error.contains(named), "{error}");
        }
    }
}

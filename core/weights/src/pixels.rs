//! What a model takes for a pixel: `preprocessor_config.json` of Hugging Face, `mean` and `std` of timm.
//!
//! Dinoscope gives every model of colours pictures normalised by ImageNet's statistics. A model that learned from others is
//! brought to these by its patch embedding, which is linear and sees no border: gain and shift of each channel go into
//! its weights and bias, and the features stay what they were. Models of other channels keep their own statistics.

use super::{StateDict, WeightsError};
use dinoscope_data::RGB;
use dinoscope_data::channels::ChannelStatistics;
use serde_json::Value;

/// How a channel between 0 and 1 becomes what the model takes: `(value * scale - mean) / std`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PixelNormalization {
    mean: Vec<f64>,
    std: Vec<f64>,
    /// The largest value that a picture has there: 1, or 255.
    scale: f64,
}

impl PixelNormalization {
    /// What DINOv3's satellite models take: their own mean and deviation, which no official file says.
    pub fn satellite() -> Self {
        Self { mean: vec![0.430, 0.411, 0.296], std: vec![0.213, 0.156, 0.143], scale: 1.0 }
    }

    /// What timm's `mean` and `std` say, if they say anything of so many channels.
    pub fn timm(config: &Value, channels: usize, file: &str) -> Result<Option<Self>, WeightsError> {
        let of = |field| numbers(config.get(field), field, channels, "config.json", file);
        Ok(of("mean")?.zip(of("std")?).map(|(mean, std)| Self { mean, std, scale: 1.0 }))
    }

    /// What a `preprocessor_config.json` says, if it says anything of so many channels.
    pub fn hugging_face(json: &[u8], channels: usize, file: &str) -> Result<Option<Self>, WeightsError> {
        const NAME: &str = "preprocessor_config.json";
        let json: Value = serde_json::from_slice(json).map_err(|e| {
            WeightsError::format(file, format!("the {NAME} beside it is not valid JSON: {e}"))
        })?;
        let of = |field| numbers(json.get(field), field, channels, NAME, file);
        let off = |field: &str| json.get(field) == Some(&Value::Bool(false));
        let rescale = match json.get("rescale_factor") {
            _ if off("do_rescale") => 1.0,
            None | Some(Value::Null) => 1.0 / 255.0,
            Some(factor) => factor.as_f64().filter(|f| f.is_finite() && *f != 0.0).ok_or_else(|| {
                let wanted = "a number such as 0.00392156862745098";
                refused(file, NAME, "rescale_factor", factor, wanted)
            })?,
        };
        // From 0 to 1, which is what a picture is here, to the processor's own scale.
        let scale = 255.0 * rescale;
        if off("do_normalize") {
            return Ok(Some(Self { mean: vec![0.0; channels], std: vec![1.0; channels], scale }));
        }
        Ok(of("image_mean")?.zip(of("image_std")?).map(|(mean, std)| Self { mean, std, scale }))
    }

    /// Mean and deviation of values between 0 and 1.
    pub fn statistics(&self) -> ChannelStatistics {
        let of = |values: &[f64]| values.iter().map(|value| (value / self.scale) as f32).collect();
        ChannelStatistics { mean: of(&self.mean), deviation: of(&self.std) }
    }

    /// What a person should know, if this is not what Dinoscope does anyway.
    pub fn note(&self, whose: &str) -> Option<String> {
        if self.mean.len() != RGB {
            return None;
        }
        gains(&self.statistics(), &ChannelStatistics::image_net())?;
        let Self { mean, std, scale } = self;
        let from =
            if (scale - 1.0).abs() < 1e-5 { String::new() } else { format!(" of values up to {scale}") };
        Some(format!(
            "{whose} normalises pictures by mean {mean:?} and std {std:?}{from}; that is in the patch embedding now, which \
             takes pictures normalised by ImageNet's, as everything here"
        ))
    }
}

/// Gain and shift of each channel that bring pictures normalised by `to` to what they are by `from`; `None` where that is
/// the same, or the channels are others.
fn gains(from: &ChannelStatistics, to: &ChannelStatistics) -> Option<Vec<(f64, f64)>> {
    let of = |c: usize| {
        let [old, new] = [from, to].map(|it| (f64::from(it.mean[c]), f64::from(it.deviation[c])));
        (new.1 / old.1, (new.0 - old.0) / old.1)
    };
    let all: Vec<_> = (0..from.channels().min(to.channels())).map(of).collect();
    let same = |(gain, shift): &(f64, f64)| (gain - 1.0).abs() < 1e-5 && shift.abs() < 1e-5;
    (from.channels() == to.channels() && !all.iter().all(same)).then_some(all)
}

/// Brings the patch embedding of a backbone (official names) whose pictures were normalised by `from` to pictures that are
/// normalised by `to`: its features stay what they were.
pub fn renormalize(backbone: &mut StateDict, from: &ChannelStatistics, to: &ChannelStatistics) {
    let Some(gains) = gains(from, to) else { return };
    let shifts = with_kernels(backbone, gains.len(), |kernels| {
        let mut shifted = 0.0;
        for (kernel, (gain, shift)) in kernels.iter_mut().zip(&gains) {
            shifted += shift * kernel.iter().map(|v| f64::from(*v)).sum::<f64>();
            kernel.iter_mut().for_each(|v| *v = (f64::from(*v) * gain) as f32);
        }
        shifted
    });
    add_to_bias(backbone, &shifts);
}

/// Makes a backbone of colours (official names; normalised by `pixels`) one of `channels` channels, and returns what its
/// pictures are normalised by then.
///
/// For grey its kernels are summed, so that a grey picture has the features that it had as a picture of three equal colours.
/// For any other number they are repeated in turn and scaled down, so that the tokens keep their size (as timm does it).
pub fn change_channels(
    backbone: &mut StateDict,
    pixels: &ChannelStatistics,
    channels: usize,
) -> ChannelStatistics {
    let of = |values: &[f32]| match channels {
        1 => vec![values.iter().sum::<f32>() / values.len().max(1) as f32],
        _ => values.iter().copied().cycle().take(channels).collect(),
    };
    let made = ChannelStatistics { mean: of(&pixels.mean), deviation: of(&pixels.deviation) };
    if channels == 1 {
        // Three equal colours, each normalised as grey is.
        let three = |values: &[f32]| vec![values[0]; RGB];
        let grey = ChannelStatistics { mean: three(&made.mean), deviation: three(&made.deviation) };
        renormalize(backbone, pixels, &grey);
    }
    let Some(weight) = backbone.get_mut("patch_embed.proj.weight") else { return made };
    let [dim, RGB, height, width] = weight.shape[..] else { return made };
    let area = height * width;
    let mut data = Vec::with_capacity(dim * channels * area);
    for output in weight.data.chunks_exact(RGB * area) {
        if channels == 1 {
            data.extend((0..area).map(|at| (0..RGB).map(|c| output[c * area + at]).sum::<f32>()));
            continue;
        }
        let share = RGB as f32 / channels as f32;
        let kernels = (0..channels).map(|c| &output[(c % RGB) * area..][..area]);
        data.extend(kernels.flatten().map(|value| value * share));
    }
    (weight.shape, weight.data) = (vec![dim, channels, height, width], data);
    made
}

/// What `work` returns for each output's kernels, one kernel for each channel.
fn with_kernels(
    backbone: &mut StateDict,
    channels: usize,
    mut work: impl FnMut(&mut [&mut [f32]]) -> f64,
) -> Vec<f64> {
    let Some(weight) = backbone.get_mut("patch_embed.proj.weight") else { return Vec::new() };
    let [_, found, height, width] = weight.shape[..] else { return Vec::new() };
    if found != channels {
        return Vec::new();
    }
    let area = (height * width).max(1);
    let outputs = weight.data.chunks_exact_mut(channels * area);
    outputs.map(|output| work(&mut output.chunks_exact_mut(area).collect::<Vec<_>>())).collect()
}

fn add_to_bias(backbone: &mut StateDict, shifts: &[f64]) {
    if let Some(bias) = backbone.get_mut("patch_embed.proj.bias") {
        bias.data.iter_mut().zip(shifts).for_each(|(b, shift)| *b = (f64::from(*b) + shift) as f32);
    }
}

/// A number for each channel, or one for all of them; `None` for three that stand beside a model of other channels, as the
/// model that it was made from had them.
fn numbers(
    value: Option<&Value>,
    field: &str,
    channels: usize,
    whose: &str,
    file: &str,
) -> Result<Option<Vec<f64>>, WeightsError> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let numbers = match value {
        Value::Array(all) => all.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>(),
        one => one.as_f64().map(|one| vec![one; channels]),
    };
    let usable = |v: &f64| v.is_finite() && (!field.ends_with("std") || *v > 0.0);
    match numbers {
        Some(all) if all.len() == channels && all.iter().all(usable) => Ok(Some(all)),
        Some(all) if all.len() == RGB && channels != RGB => Ok(None),
        _ if channels == RGB => {
            Err(refused(file, whose, field, value, "three numbers, one for each of red, green and blue"))
        }
        _ => {
            let wanted = format!("{channels} numbers, one for each channel");
            Err(refused(file, whose, field, value, &wanted))
        }
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
    use dinoscope_data::augment::{MEAN, STD};

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
            let pixels = PixelNormalization::hugging_face(json.as_bytes(), RGB, "a").unwrap().unwrap();
            assert!(pixels.note("x").unwrap().contains("patch embedding"));
            renormalize(&mut state, &pixels.statistics(), &ChannelStatistics::image_net());
            let (found, wanted) = (embed(&state, ours), embed(&model, theirs));
            assert!((found - wanted).abs() < 1e-5 * wanted.abs().max(1.0), "{json}: {found} is not {wanted}");
        }
    }

    #[test]
    fn image_nets_own_changes_nothing() {
        let json = r#"{"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
            "rescale_factor": 0.00392156862745098}"#;
        let pixels = PixelNormalization::hugging_face(json.as_bytes(), RGB, "a").unwrap().unwrap();
        let mut state = embedding();
        renormalize(&mut state, &pixels.statistics(), &ChannelStatistics::image_net());
        assert_eq!((state, pixels.note("x")), (embedding(), None));
        assert_eq!(PixelNormalization::hugging_face(b"{}", RGB, "a").unwrap(), None);
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
            let error =
                PixelNormalization::hugging_face(json.as_bytes(), RGB, "a.bin").unwrap_err().to_string();
            assert!(error.contains("a.bin") && error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_grey_picture_has_the_features_that_it_had_as_three_colours() {
        let (mut grey, colours) = (embedding(), embedding());
        let pixels = change_channels(&mut grey, &ChannelStatistics::image_net(), 1);
        assert_eq!(grey["patch_embed.proj.weight"].shape, [1, 1, 1, 1]);
        for value in [0.0, 0.3, 1.0] {
            let ours = (value - f64::from(pixels.mean[0])) / f64::from(pixels.deviation[0]);
            let found = f64::from(grey["patch_embed.proj.weight"].data[0]) * ours
                + f64::from(grey["patch_embed.proj.bias"].data[0]);
            let wanted = embed(&colours, [0, 1, 2].map(|c| (value - f64::from(MEAN[c])) / f64::from(STD[c])));
            assert!((found - wanted).abs() < 1e-5, "{found} is not {wanted}");
        }
    }

    #[test]
    fn more_channels_repeat_the_kernels_of_three() {
        let mut state = embedding();
        let pixels = change_channels(&mut state, &ChannelStatistics::image_net(), 5);
        let weight = &state["patch_embed.proj.weight"];
        assert_eq!((&weight.shape[..], weight.data.len()), (&[1, 5, 1, 1][..], 5));
        let wanted = [2.0, -3.0, 0.5, 2.0, -3.0].map(|v: f32| v * 0.6);
        assert!(weight.data.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", weight.data);
        assert_eq!((pixels.mean[3], pixels.deviation[4]), (MEAN[0], STD[1]));
    }

    #[test]
    fn other_channels_have_their_own_numbers() {
        let of = |json: &str, channels| PixelNormalization::hugging_face(json.as_bytes(), channels, "a");
        let grey = of(r#"{"image_mean": [0.5], "image_std": 0.25}"#, 1).unwrap().unwrap();
        assert_eq!(grey.statistics(), ChannelStatistics { mean: vec![0.5], deviation: vec![0.25] });
        assert_eq!(grey.note("x"), None);
        // Those of the model of colours that it was made from.
        assert_eq!(of(r#"{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.4, 0.3]}"#, 5).unwrap(), None);
        let error = of(r#"{"image_mean": [0.5, 0.4], "image_std": 1}"#, 5).unwrap_err().to_string();
        assert!(error.contains("5 numbers"), "{error}");
    }
}

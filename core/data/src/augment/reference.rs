//! Comparison with what torchvision computed: operations by name, and a file of them with their results.

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::Value;

use super::{CropBox, MEAN, STD};
use super::{
    brightness, contrast, flip_horizontal, gaussian_blur, grayscale, hue, resized_crop, saturation, solarize,
};
use crate::Picture;

/// An operation as a reference file describes it.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum ReferenceAugmentation {
    ResizedCropBicubicAntialias {
        top: usize,
        left: usize,
        height: usize,
        width: usize,
        size: usize,
    },
    Hflip,
    Brightness {
        factor: f32,
    },
    Contrast {
        factor: f32,
    },
    Saturation {
        factor: f32,
    },
    Hue {
        factor: f32,
    },
    Grayscale,
    #[serde(rename = "gaussian_blur_k9")]
    GaussianBlur {
        sigma: f32,
    },
    #[serde(rename = "solarize_128")]
    Solarize,
}

#[derive(Deserialize)]
struct ReferenceNormalization {
    mean: [f32; 3],
    std: [f32; 3],
}

/// Applies one operation, described as `{"op": "contrast", "factor": 0.6}`, to a copy of `input`.
///
/// # Errors
/// Says what is wrong with the description.
pub fn apply_named(op: &Value, input: &Picture) -> Result<Picture, String> {
    let operation = ReferenceAugmentation::deserialize(op).map_err(|e| format!("augmentation {op}: {e}"))?;
    let mut picture = input.clone();
    match operation {
        ReferenceAugmentation::ResizedCropBicubicAntialias { top, left, height, width, size } => {
            let fits = |start: usize, len: usize, all| {
                len > 0 && start.checked_add(len).is_some_and(|end| end <= all)
            };
            if size == 0 || !fits(left, width, input.width) || !fits(top, height, input.height) {
                return Err(format!(
                    "augmentation {op}: no such crop of {} × {} pixels",
                    input.width, input.height
                ));
            }
            return Ok(resized_crop(input, CropBox { left, top, width, height }, size, size));
        }
        ReferenceAugmentation::Hflip => flip_horizontal(&mut picture),
        ReferenceAugmentation::Brightness { factor } => brightness(&mut picture, factor),
        ReferenceAugmentation::Contrast { factor } => contrast(&mut picture, factor),
        ReferenceAugmentation::Saturation { factor } => saturation(&mut picture, factor),
        ReferenceAugmentation::Hue { factor } => hue(&mut picture, factor),
        ReferenceAugmentation::Grayscale => grayscale(&mut picture),
        ReferenceAugmentation::GaussianBlur { sigma } => gaussian_blur(&mut picture, sigma),
        ReferenceAugmentation::Solarize => solarize(&mut picture, 128),
    }
    Ok(picture)
}

/// Compares every operation of a reference file with the result stored beside it.
///
/// `bytes` is a safetensors file: `input` `[height, width, 3]` u8, metadata `operations` (a JSON list; each
/// names its operation, parameters and the result's tensor) and `normalize` (JSON: mean and std). Returns, per
/// case, a description, the mean and the largest absolute difference in 1/255, and whether both are within what
/// float implementations reach: mean 1.5 and maximum 6; for hue, whose reference is coarse, mean 3 alone.
///
/// # Errors
/// Says what is wrong with the file.
pub fn check_oracle(bytes: &[u8]) -> Result<Vec<(String, f64, f64, bool)>, String> {
    let describe = |e: &dyn std::fmt::Display| format!("augmentation reference: {e}");
    let file = SafeTensors::deserialize(bytes).map_err(|e| describe(&e))?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| describe(&e))?;
    let metadata = |key: &str| {
        let text = header.metadata().as_ref().and_then(|all| all.get(key));
        text.ok_or_else(|| describe(&format!("no metadata `{key}`")))
    };
    let operations: Vec<Value> = serde_json::from_str(metadata("operations")?).map_err(|e| describe(&e))?;
    let input = picture(&file, "input")?;

    let mut cases = Vec::with_capacity(operations.len() + 1);
    for op in &operations {
        let name = op["tensor"].as_str().ok_or_else(|| describe(&format!("{op} names no tensor")))?;
        let expected = picture(&file, name)?;
        let found = apply_named(op, &input)?;
        if (found.width, found.height) != (expected.width, expected.height) {
            return Err(describe(&format!("{op} has a result of another size")));
        }
        let limits = if op["op"] == "hue" { (3.0, 255.0) } else { (1.5, 6.0) };
        let errors = found.rgb.iter().zip(&expected.rgb).map(|(a, b)| f64::from(a.abs_diff(*b)));
        cases.push(case(op.to_string(), errors, limits));
    }
    let expected: ReferenceNormalization =
        serde_json::from_str(metadata("normalize")?).map_err(|e| describe(&e))?;
    let pairs = MEAN.iter().chain(&STD).zip(expected.mean.iter().chain(&expected.std));
    let errors = pairs.map(|(a, b)| 255.0 * f64::from((a - b).abs()));
    cases.push(case("normalize: mean and std".to_owned(), errors, (1e-3, 1e-3)));
    Ok(cases)
}

fn case(
    name: String,
    errors: impl Iterator<Item = f64>,
    (mean_limit, max_limit): (f64, f64),
) -> (String, f64, f64, bool) {
    let (count, sum, max) =
        errors.fold((0u32, 0.0, 0.0f64), |(count, sum, max), error| (count + 1, sum + error, max.max(error)));
    let mean = sum / f64::from(count.max(1));
    (name, mean, max, mean <= mean_limit && max <= max_limit)
}

fn picture(file: &SafeTensors, name: &str) -> Result<Picture, String> {
    let tensor = file.tensor(name).map_err(|e| format!("augmentation reference: `{name}`: {e}"))?;
    match (tensor.dtype(), tensor.shape()) {
        (Dtype::U8, &[height, width, 3]) if height > 0 && width > 0 => {
            Ok(Picture::of_rgb(width, height, tensor.data().to_vec()))
        }
        (dtype, shape) => {
            Err(format!("augmentation reference: `{name}` is {dtype:?} {shape:?}, not a picture"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_agrees_with_the_reference() {
        let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        let path = format!("{folder}/../../tests/fixtures/augment.safetensors");
        let cases = check_oracle(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(cases.len(), 19);
        for (name, mean, max, ok) in cases {
            assert!(ok, "{name}: mean {mean:.3}, maximum {max}");
        }
    }

    #[test]
    fn what_can_not_be_applied_is_explained() {
        let input = Picture::of_rgb(4, 4, vec![0; 48]);
        let crop = serde_json::json!(
            {"op": "resized_crop_bicubic_antialias", "top": 2, "left": 0, "height": 3, "width": 4, "size": 8}
        );
        for op in [serde_json::json!({"op": "sharpen"}), serde_json::json!({"op": "hue"}), crop] {
            let message = apply_named(&op, &input).unwrap_err();
            assert!(message.contains(op["op"].as_str().unwrap()), "{message}");
        }
        assert!(check_oracle(b"no file").is_err());
    }
}

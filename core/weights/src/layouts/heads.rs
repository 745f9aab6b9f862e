//! Projection heads that come with training files: names old and new, and whether their sizes fit together.

use crate::shapes::{Shapes, parse_index};
use std::collections::BTreeMap;

/// The heads that a training file may have.
pub(crate) const NAMES: [&str; 2] = ["dino_head", "ibot_head"];

/// The name this project uses for a head's tensor, or `None` if heads have no such tensor.
///
/// Newer weight normalisation calls the gain `original0` and the direction `original1`.
pub(crate) fn official(name: &str) -> Option<String> {
    match name {
        "last_layer.parametrizations.weight.original0" => return Some("last_layer.weight_g".into()),
        "last_layer.parametrizations.weight.original1" => return Some("last_layer.weight_v".into()),
        "last_layer.weight_g" | "last_layer.weight_v" | "mlp.weight" | "mlp.bias" => {
            return Some(name.into());
        }
        _ => {}
    }
    let (index, field) = name.strip_prefix("mlp.")?.split_once('.')?;
    (parse_index(index).is_some() && matches!(field, "weight" | "bias")).then(|| name.into())
}

/// Fails, with the reason, unless the layers of a head chain from `dim` to its prototypes. `origin` gives the file's own
/// key.
pub(crate) fn check(
    shapes: &Shapes,
    origin: &BTreeMap<String, String>,
    head: &str,
    dim: usize,
) -> Result<(), String> {
    let need = |key: &str, expected: &[usize]| {
        let in_file = origin.get(key).cloned().unwrap_or_else(|| format!("{head}.{key}"));
        match shapes.get(key) {
            None => Err(format!("key `{in_file}` with shape {expected:?} is missing")),
            Some(found) if found != expected => {
                Err(format!("key `{in_file}` has shape {found:?}, but the head needs {expected:?}"))
            }
            Some(_) => Ok(()),
        }
    };
    let index = |key: &String| parse_index(key.strip_prefix("mlp.")?.split_once('.')?.0);
    let mut layers: Vec<usize> = shapes.keys().filter_map(index).collect();
    layers.sort_unstable();
    layers.dedup();
    let layers: Vec<String> = match layers.is_empty() {
        // A head of one layer is a Linear by itself.
        true => vec!["mlp".into()],
        false => layers.into_iter().map(|layer| format!("mlp.{layer}")).collect(),
    };
    let mut width = dim;
    for layer in layers {
        let weight = format!("{layer}.weight");
        let out = shapes.get(&weight).and_then(|shape| shape.first()).copied().unwrap_or(0);
        need(&weight, &[out, width])?;
        need(&format!("{layer}.bias"), &[out])?;
        width = out;
    }
    let direction = "last_layer.weight_v";
    let prototypes = shapes.get(direction).and_then(|shape| shape.first()).copied().unwrap_or(0);
    need(direction, &[prototypes, width])?;
    need("last_layer.weight_g", &[prototypes, 1])
}

//! How a step's time and memory grow as one of its sizes doubles and the others stay.

use super::measure::Bench;
use super::row::Row;
use super::{BenchError, step};
use crate::train::Recipe;

/// What is doubled.
const AXES: [&str; 5] = ["tokens", "batch", "depth", "prototypes", "locals"];

/// Measures a step of `recipe` and, for every axis, `doublings` larger ones.
///
/// # Errors
/// As [`step::run`].
pub fn run(recipe: &Recipe, doublings: u32, bench: &mut Bench) -> Result<Vec<Row>, BenchError> {
    let mut rows = Vec::new();
    let base = step::measure("growth", recipe, bench)?;
    for axis in AXES {
        for doubling in 0..=doublings {
            let larger = grown(recipe, axis, doubling);
            let mut row = match doubling {
                0 => base.clone(),
                _ => step::measure("growth", &larger, bench)?,
            };
            row.way = format!("{axis} {}", value(&larger, axis));
            row.ratio = row.seconds.median / base.seconds.median;
            let value = value(&larger, axis) as f64;
            rows.push(row.with("value", value).with("times", value / self::value(recipe, axis) as f64));
        }
    }
    Ok(rows)
}

/// The recipe with one of its sizes doubled `doublings` times; sides of crops as close to that as patches allow.
fn grown(recipe: &Recipe, axis: &str, doublings: u32) -> Recipe {
    let mut larger = recipe.clone();
    let factor = 1usize << doublings;
    match axis {
        "tokens" => {
            let patch = recipe.model.patch;
            let side = |pixels: usize| {
                let patches = (pixels / patch) as f64 * (factor as f64).sqrt();
                (patches.round() as usize).max(1) * patch
            };
            larger.crops.global_size = side(recipe.crops.global_size);
            larger.crops.local_size = side(recipe.crops.local_size);
        }
        "batch" => larger.train.batch *= factor,
        "depth" => larger.model.depth *= factor,
        "prototypes" => {
            larger.head.prototypes *= factor;
            larger.head.ibot_prototypes *= factor;
        }
        _ => larger.crops.locals = recipe.crops.locals.max(1) * factor,
    }
    larger
}

/// The size itself; for `tokens` those of a global crop.
fn value(recipe: &Recipe, axis: &str) -> usize {
    match axis {
        "tokens" => recipe.backbone().prefix() + (recipe.crops.global_size / recipe.model.patch).pow(2),
        "batch" => recipe.train.batch,
        "depth" => recipe.model.depth,
        "prototypes" => recipe.head.prototypes,
        _ => recipe.crops.locals,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_axis_doubles_alone() {
        let recipe = Recipe::preset("nano").unwrap();
        for axis in AXES {
            assert_eq!(grown(&recipe, axis, 0), recipe, "{axis}");
            let larger = grown(&recipe, axis, 2);
            let times = value(&larger, axis) as f64 / value(&recipe, axis) as f64;
            assert!((times / 4.0 - 1.0).abs() < 0.05, "{axis}: {times}");
            for other in AXES.iter().filter(|other| **other != axis) {
                assert_eq!(value(&larger, other), value(&recipe, other), "{axis} moves {other}");
            }
        }
    }
}

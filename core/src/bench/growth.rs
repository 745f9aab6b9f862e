//! How a step's time and memory grow as one of its sizes doubles and the others stay.

use super::measure::{BenchMeasurement, BenchRunner, Way};
use super::prepared::StepFixture;
use super::row::BenchResult;
use super::{BenchError, memory};
use crate::train::Recipe;

/// What is doubled.
const AXES: [&str; 5] = ["tokens", "batch", "depth", "prototypes", "locals"];

/// Measures a step of `recipe` and, for every axis, `doublings` larger ones, each in turn with the smallest.
///
/// # Errors
/// When the device fails.
pub fn run(recipe: &Recipe, doublings: u32, bench: &mut BenchRunner) -> Result<Vec<BenchResult>, BenchError> {
    let there = memory::in_use(&bench.device);
    let mut base = StepFixture::new(recipe, &bench.device);
    let measured = bench.alternate(vec![("smallest", Box::new(|| drop(base.step())))])?;
    let smallest = measured.into_iter().map(|m| row(&base, m, there, bench)).next();
    let Some(smallest) = smallest else { return Ok(Vec::new()) };
    if bench.first_only {
        return Ok(vec![smallest]);
    }
    let mut rows = Vec::new();
    for axis in AXES {
        let named = |row: BenchResult, value: usize| {
            let times = value as f64 / self::value(recipe, axis) as f64;
            BenchResult { way: format!("{axis} {value}"), what: smallest.what.clone(), ..row }
                .with("value", value as f64)
                .with("times", times)
        };
        rows.push(named(smallest.clone(), value(recipe, axis)));
        for doubling in 1..=doublings {
            let larger = grown(recipe, axis, doubling);
            let there = memory::in_use(&bench.device);
            let mut prepared = StepFixture::new(&larger, &bench.device);
            let ways: Vec<Way> = vec![
                ("smallest", Box::new(|| drop(base.step()))),
                ("larger", Box::new(|| drop(prepared.step()))),
            ];
            let measured = bench.alternate(ways)?.pop();
            rows.extend(measured.map(|m| named(row(&prepared, m, there, bench), value(&larger, axis))));
        }
    }
    Ok(rows)
}

fn row(prepared: &StepFixture, measured: BenchMeasurement, there: u64, bench: &BenchRunner) -> BenchResult {
    let memory = measured.memory.map(|memory| memory.without(there));
    let measured = BenchMeasurement { memory, ..measured };
    BenchResult::new("growth", prepared.what(), prepared.sizes(), measured, prepared.work(), bench)
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

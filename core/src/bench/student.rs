//! The student's packed pass, forward and backward: two thirds of a step, with burn's own operations as a peer.

use super::measure::{BenchRunner, Way};
use super::prepared::{StepFixture, cubes};
use super::row::{BenchResult, BenchWorkload};
use super::{BenchError, unfused};
use crate::train::Recipe;

/// Measures the backbone's pass over all crops of a step, in the model's way and unfused.
///
/// # Errors
/// When the device fails.
pub fn run(recipe: &Recipe, bench: &mut BenchRunner) -> Result<Vec<BenchResult>, BenchError> {
    let prepared = StepFixture::new(recipe, &bench.device);
    let (vit, crops) = (&prepared.state.student.backbone, prepared.crops());
    let ways: Vec<Way> = vec![
        ("model", Box::new(|| drop(cubes(&vit.forward_packed(&crops, prepared.pass())).backward()))),
        ("unfused", Box::new(|| drop(cubes(&unfused::forward(vit, &crops, None)).backward()))),
    ];
    let measured = bench.alternate(ways)?;
    let work = BenchWorkload {
        images: prepared.parts[0].images,
        tokens: prepared.student_tokens(),
        flops: prepared.student_flops(0.0),
    };
    let row = |m| BenchResult::new("student", prepared.what(), prepared.sizes(), m, work, bench);
    Ok(measured.into_iter().map(row).collect())
}

//! The student's packed pass, forward and backward: two thirds of a step, with burn's own operations as a peer.

use super::measure::{Bench, Way};
use super::prepared::{Prepared, cubes};
use super::row::{Row, Work};
use super::{BenchError, unfused};
use crate::train::Recipe;

/// Measures the backbone's pass over all crops of a step, in the model's way and unfused.
///
/// # Errors
/// When the device fails.
pub fn run(recipe: &Recipe, bench: &mut Bench) -> Result<Vec<Row>, BenchError> {
    let prepared = Prepared::new(recipe, &bench.device);
    let (vit, crops) = (&prepared.state.student.backbone, prepared.crops());
    let ways: Vec<Way> = vec![
        ("model", Box::new(|| drop(cubes(&vit.forward_packed(&crops, prepared.pass())).backward()))),
        ("unfused", Box::new(|| drop(cubes(&unfused::forward(vit, &crops, None)).backward()))),
    ];
    let measured = bench.alternate(ways)?;
    let work = Work {
        images: prepared.parts[0].images,
        tokens: prepared.student_tokens(),
        flops: prepared.student_flops(0.0),
    };
    let row = |m| Row::new("student", prepared.what(), prepared.sizes(), m, work, bench);
    Ok(measured.into_iter().map(row).collect())
}

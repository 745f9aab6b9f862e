//! Stochastic depth that saves what it drops: a rate of 0.4 against none.

use super::BenchError;
use super::measure::{BenchRunner, Way};
use super::prepared::{StepFixture, cubes};
use super::row::{BenchResult, BenchWorkload};
use crate::fused::packing::BatchPlace;
use crate::model::block::{DropPath, VitForwardOptions};
use crate::rng::stream;
use crate::train::Recipe;

/// Rate that DINOv2's large models are trained with.
const RATE: f64 = 0.4;

/// Measures the student's pass, forward and backward, with and without dropping.
///
/// # Errors
/// When the device fails.
pub fn run(recipe: &Recipe, bench: &mut BenchRunner) -> Result<Vec<BenchResult>, BenchError> {
    let prepared = StepFixture::new(recipe, &bench.device);
    let (vit, crops) = (&prepared.state.student.backbone, prepared.crops());
    let pass = |rate: f64| {
        let rng = &mut stream(0, "drop path", 0, 0);
        let mut drop_path = DropPath { rate, rng, place: BatchPlace::WHOLE };
        let pass = VitForwardOptions { drop: Some(&mut drop_path), ..prepared.pass() };
        drop(cubes(&vit.forward_packed(&crops, pass)).backward());
    };
    let ways: Vec<Way> = vec![("rate 0", Box::new(|| pass(0.0))), ("rate 0.4", Box::new(|| pass(RATE)))];
    let measured = bench.alternate(ways)?;
    let rows = measured.into_iter().zip([0.0, RATE]).map(|(m, rate)| {
        let work = BenchWorkload {
            images: prepared.parts[0].images,
            tokens: prepared.student_tokens(),
            flops: prepared.student_flops(rate),
        };
        BenchResult::new("drop", prepared.what(), prepared.sizes(), m, work, bench).with("rate", rate)
    });
    Ok(rows.collect())
}

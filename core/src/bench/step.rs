//! A whole training step on a batch that is ready: what `dinoscope train` does between two batches.

use super::BenchError;
use super::measure::BenchRunner;
use super::prepared::StepFixture;
use super::row::BenchResult;
use crate::train::Recipe;

/// Measures [`crate::train::step::step`].
///
/// # Errors
/// When the device fails, or the loss is not finite afterwards.
pub fn run(recipe: &Recipe, bench: &mut BenchRunner) -> Result<Vec<BenchResult>, BenchError> {
    let mut prepared = StepFixture::new(recipe, &bench.device);
    let measured = bench.alternate(vec![("model", Box::new(|| drop(prepared.step())))])?;
    let loss = prepared.loss()?;
    if !loss.is_finite() {
        return Err(BenchError::Device(format!("the loss is {loss} after the steps that were measured")));
    }
    let row = |m| BenchResult::new("step", prepared.what(), prepared.sizes(), m, prepared.work(), bench);
    Ok(measured.into_iter().map(|m| row(m).with("loss", loss)).collect())
}

//! A whole training step on a batch that is ready: what `dinoscope train` does between two batches.

use super::BenchError;
use super::measure::Bench;
use super::prepared::Prepared;
use super::row::Row;
use crate::train::Recipe;

/// Measures [`crate::train::step::step`].
///
/// # Errors
/// When the device fails, or the loss is not finite afterwards.
pub fn run(recipe: &Recipe, bench: &mut Bench) -> Result<Vec<Row>, BenchError> {
    let mut prepared = Prepared::new(recipe, &bench.device);
    let measured = bench.alternate(vec![("model", Box::new(|| drop(prepared.step())))])?;
    let loss = prepared.loss()?;
    if !loss.is_finite() {
        return Err(BenchError::Device(format!("the loss is {loss} after the steps that were measured")));
    }
    let row = |m| Row::new("step", prepared.what(), prepared.sizes(), m, prepared.work(), bench);
    Ok(measured.into_iter().map(|m| row(m).with("loss", loss)).collect())
}

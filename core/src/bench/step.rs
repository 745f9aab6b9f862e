//! A whole training step on a batch that is ready: what `dinoscope train` does between two batches.

use super::BenchError;
use super::flops;
use super::measure::Bench;
use super::prepared::Prepared;
use super::row::{Row, Work};
use crate::train::Recipe;

/// Measures [`crate::train::step::step`].
///
/// # Errors
/// When the device fails, or the loss is not finite afterwards.
pub fn run(recipe: &Recipe, bench: &mut Bench) -> Result<Vec<Row>, BenchError> {
    Ok(vec![measure("step", recipe, bench)?])
}

/// One row for a recipe.
///
/// # Errors
/// As [`run`].
pub(super) fn measure(subject: &'static str, recipe: &Recipe, bench: &mut Bench) -> Result<Row, BenchError> {
    let mut prepared = Prepared::new(recipe, &bench.device);
    let work = Work {
        images: recipe.train.batch,
        tokens: prepared.tokens(),
        flops: flops::step(recipe, prepared.masked),
    };
    let mut measured = bench.alternate(vec![("model", Box::new(|| drop(prepared.step())))])?;
    let loss = prepared.loss()?;
    if !loss.is_finite() {
        return Err(BenchError::Device(format!("the loss is {loss} after the steps that were measured")));
    }
    let row = Row::new(subject, prepared.what(), prepared.sizes(), measured.swap_remove(0), work, bench);
    Ok(row.with("loss", loss))
}

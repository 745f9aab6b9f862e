//! One packed pass over all crops against one pass for each crop size: the same numbers, in which time?

use burn::tensor::Tensor;

use super::BenchError;
use super::measure::{BenchRunner, Way};
use super::prepared::{StepFixture, cubes};
use super::row::{BenchResult, BenchWorkload};
use crate::model::VitOutput;
use crate::model::params::{Named, take_gradients};
use crate::train::Recipe;

/// Measures both ways, and how far their features and gradients are apart.
///
/// # Errors
/// When the device fails.
pub fn run(recipe: &Recipe, bench: &mut BenchRunner) -> Result<Vec<BenchResult>, BenchError> {
    let prepared = StepFixture::new(recipe, &bench.device);
    let (vit, crops) = (&prepared.state.student.backbone, prepared.crops());
    let packed = || vit.forward_packed(&crops, prepared.pass());
    let apart =
        || crops.chunks(1).flat_map(|one| vit.forward_packed(one, prepared.pass())).collect::<Vec<_>>();

    let (a, b) = (packed(), apart());
    let features = largest_difference(&a, &b);
    let [a, b] = [a, b].map(|f| take_gradients(vit, &mut cubes(&f).backward()));
    let gradients = relative_difference(&a, &b);

    let ways: Vec<Way> = vec![
        ("packed", Box::new(|| drop(cubes(&packed()).backward()))),
        ("separate", Box::new(|| drop(cubes(&apart()).backward()))),
    ];
    let measured = bench.alternate(ways)?;
    let work = BenchWorkload {
        images: prepared.parts[0].images,
        tokens: prepared.student_tokens(),
        flops: prepared.student_flops(0.0),
    };
    let row = |m| {
        let row = BenchResult::new("packing", prepared.what(), prepared.sizes(), m, work, bench);
        row.with("largest feature difference", features).with("relative gradient difference", gradients)
    };
    Ok(measured.into_iter().map(row).collect())
}

/// Largest absolute difference of class and patch features; NaN if there is any.
pub fn largest_difference(a: &[VitOutput], b: &[VitOutput]) -> f64 {
    let largest = |a: Tensor<1>, b: Tensor<1>| f64::from((a - b).abs().max().into_scalar::<f32>());
    let each = a.iter().zip(b).flat_map(|(a, b)| {
        [
            largest(a.cls.clone().reshape([-1]), b.cls.clone().reshape([-1])),
            largest(a.patches.clone().reshape([-1]), b.patches.clone().reshape([-1])),
        ]
    });
    each.fold(0.0, worse)
}

/// Largest relative L2 difference of a tensor of gradients; infinite when the names are not the same.
///
/// The key part of `qkv.bias` is left out: its gradient is 0 in exact arithmetic, and only rounding is left of it.
pub fn relative_difference(a: &Named, b: &Named) -> f64 {
    if !a.keys().eq(b.keys()) {
        return f64::INFINITY;
    }
    let norm = |x: Tensor<1>| f64::from(x.square().sum().sqrt().into_scalar::<f32>());
    let of = |name: &str, x: &Tensor<1>| match name.ends_with("qkv.bias") {
        true => {
            let dim = x.dims()[0] / 3;
            Tensor::cat(vec![x.clone().narrow(0, 0, dim), x.clone().narrow(0, 2 * dim, dim)], 0)
        }
        false => x.clone(),
    };
    let each = a.iter().zip(b.values()).map(|((name, a), b)| {
        let (a, b) = (of(name, a), of(name, b));
        norm(a.clone() - b) / norm(a).max(f64::from(f32::MIN_POSITIVE))
    });
    each.fold(0.0, worse)
}

/// The larger of the two; NaN wins.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || a >= b { a } else { b }
}

//! Self-attention over long sequences, forward and backward: does memory grow with the tokens or with their square?

use burn::tensor::Tensor;
use serde_json::json;

use super::measure::{Bench, Way};
use super::prepared::noise;
use super::row::{Row, Work};
use super::{BenchError, Sizes, unfused};
use crate::model::Packing;
use crate::model::attention::Attention;
use crate::rng::stream;

/// Measures the attention of one block with its two projections, in the model's way and with the scores written out.
///
/// # Errors
/// When a size is 0 or the device fails.
pub fn run(sizes: &Sizes, bench: &mut Bench) -> Result<Vec<Row>, BenchError> {
    let Sizes { tokens, heads, width, sequences, .. } = *sizes;
    if tokens == 0 || heads == 0 || width == 0 || sequences == 0 {
        return Err(BenchError::Mistake(
            "attention needs at least one token, head, channel and sequence".into(),
        ));
    }
    let dim = heads * width;
    let packing = Packing::single(sequences, tokens);
    let device = bench.device.clone().autodiff();
    let own = Attention::init(dim, heads, true, &mut stream(0, "bench", 0, 0), &device);
    let x: Tensor<2> = noise([packing.len(), dim], 1, &bench.device);
    let input = || x.clone().autodiff().require_grad();
    let mean = |y: Tensor<2>| (y.clone().square() * y).mean().backward();

    let [a, b] = [own.forward(input(), &packing), unfused::attention(&own, heads, input(), &packing)];
    let apart = f64::from((a.without_autodiff() - b.without_autodiff()).abs().max().into_scalar::<f32>());

    let ways: Vec<Way> = vec![
        ("model", Box::new(|| drop(mean(own.forward(input(), &packing))))),
        ("unfused", Box::new(|| drop(mean(unfused::attention(&own, heads, input(), &packing))))),
    ];
    let (n, d) = (tokens as u64, dim as u64);
    // Two projections of dim to 3 dim and dim to dim; scores and mixing; three times that with the way back.
    let flops = 3 * 2 * sequences as u64 * (4 * n * d * d + 2 * n * n * d);
    let work = Work { images: 0, tokens: packing.len(), flops };
    let what = format!("{sequences} × {tokens} tokens, {heads} heads of {width}");
    let detail = json!({ "tokens": tokens, "heads": heads, "width": width, "sequences": sequences });
    let measured = bench.alternate(ways)?;
    let row = |m| {
        let row = Row::new("attention", what.clone(), detail.clone(), m, work, bench);
        row.with("largest difference", apart)
    };
    Ok(measured.into_iter().map(row).collect())
}

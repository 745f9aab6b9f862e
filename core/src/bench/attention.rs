//! Self-attention over long sequences, forward and backward: does memory grow with the tokens or with their square?

use std::sync::Arc;

use burn::tensor::Tensor;
use serde_json::json;

use super::measure::{BenchRunner, Way};
use super::prepared::noise;
use super::row::{BenchResult, BenchWorkload};
use super::{BenchError, BenchSizes, unfused};
use crate::fused::SequencePacking;
use crate::fused::{AttentionPlan, BranchParameter, ComputePrecision, attention_branch};
use crate::model::VitConfig;
use crate::model::block::TransformerBlock;
use crate::model::layers::WeightInit;
use crate::model::layers::{LayerNorm, LayerScale, Linear};
use crate::rng::stream;

/// Measures the attention branch of one block, `x + attention(norm(x))` with its two projections, in the model's way
/// and with the scores written out.
///
/// # Errors
/// When a size is 0 or the device fails.
pub fn run(sizes: &BenchSizes, bench: &mut BenchRunner) -> Result<Vec<BenchResult>, BenchError> {
    let BenchSizes { tokens, heads, width, sequences, .. } = *sizes;
    if tokens == 0 || heads == 0 || width == 0 || sequences == 0 {
        return Err(BenchError::Mistake(
            "attention needs at least one token, head, channel and sequence".into(),
        ));
    }
    let dim = heads * width;
    let packing = Arc::new(SequencePacking::single(sequences, tokens));
    let config = VitConfig { layerscale: None, ..VitConfig::new(1, 1, dim, 1, heads) };
    let block = TransformerBlock::init(
        &config,
        &mut WeightInit::Random(stream(0, "bench", 0, 0)),
        &bench.device.clone().autodiff(),
    );
    let x: Tensor<2> = noise([packing.len(), dim], 1, &bench.device);
    let input = || x.clone().autodiff().require_grad();
    let model = || branch(&block, input(), &packing, ComputePrecision::F32);
    let plain = || {
        let x = input();
        x.clone() + unfused::attention(&block.attn, heads, unfused::norm(&block.norm1, x), &packing, &[])
    };
    let back = |y: Tensor<2>| drop((y.clone().square() * y).mean().backward());
    let difference = (model().without_autodiff() - plain().without_autodiff()).abs().max();
    let difference = f64::from(difference.into_scalar::<f32>());

    let ways: Vec<Way> = vec![("model", Box::new(|| back(model()))), ("unfused", Box::new(|| back(plain())))];
    let (n, d) = (tokens as u64, dim as u64);
    // Two projections of dim to 3 dim and dim to dim; scores and mixing; three times that with the way back.
    let flops = 3 * 2 * sequences as u64 * (4 * n * d * d + 2 * n * n * d);
    let work = BenchWorkload { images: 0, tokens: packing.len(), flops };
    let what = format!("{sequences} × {tokens} tokens, {heads} heads of {width}");
    let detail = json!({ "tokens": tokens, "heads": heads, "width": width, "sequences": sequences });
    let measured = bench.alternate(ways)?;
    let row = |m| {
        let row = BenchResult::new("attention", what.clone(), detail.clone(), m, work, bench);
        row.with("largest difference", difference)
    };
    Ok(measured.into_iter().map(row).collect())
}

/// The fused attention branch of a block over all crops.
pub(super) fn branch(
    block: &TransformerBlock,
    x: Tensor<2>,
    packing: &Arc<SequencePacking>,
    precision: ComputePrecision,
) -> Tensor<2> {
    let plan = AttentionPlan {
        packing: packing.clone(),
        subset: None,
        heads: block.attn.heads(),
        qkv_bias: block.attn.qkv.bias.is_some(),
        key_bias: true,
        rope: false,
        gamma: block.ls1.is_some(),
        eps: block.norm1.eps(),
        precision,
        checkpoint: false,
        shards: None,
    };
    attention_branch(x, parameters(&block.norm1, &block.attn.qkv, &block.attn.proj, &block.ls1), plan)
}

/// Parameters of a branch in the order that [`crate::fused`] takes them.
pub(super) fn parameters(
    norm: &LayerNorm,
    inner: &Linear,
    outer: &Linear,
    scale: &Option<LayerScale>,
) -> Vec<BranchParameter> {
    let bias = |linear: &Linear| linear.bias.as_ref().map(|bias| BranchParameter::from(bias.val()));
    let gamma = scale.as_ref().map(|scale| scale.gamma.val().into());
    let norm = [norm.weight.val().into(), norm.bias.val().into()];
    let inner = [Some(inner.weight.val().into()), bias(inner)];
    let outer = [Some(outer.weight.val().into()), bias(outer)];
    norm.into_iter().chain(inner.into_iter().chain(outer).flatten()).chain(gamma).collect()
}

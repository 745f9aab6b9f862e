//! The backbone as a graph of ONNX operators, top to bottom as in [`dinoscope_model::vit`].
//!
//! Gains that stand behind a linear layer are multiplied into its weights: LayerScale, and the scale of the queries.

use std::borrow::Cow;

use super::OnnxInputSize;
use super::graph::{OnnxAttribute, OnnxGraph};
use super::positions::PosEmbedTable;
use super::rope::RopeAngles;
use crate::{HostTensor, StateDict, WeightsError};
use dinoscope_model::config::{FfnKind, VitConfig};

/// Name of the input: normalised pictures.
pub(super) const INPUT: &str = "pixel_values";
/// Name of the output that holds all tokens after the final norm.
pub(super) const TOKENS: &str = "last_hidden_state";
/// Name of the output that holds the CLS token after the final norm.
pub(super) const CLS: &str = "pooler_output";

/// Writes a backbone down as nodes.
struct OnnxBackboneBuilder<'a, 'c> {
    graph: OnnxGraph<'a>,
    backbone: &'a StateDict,
    config: &'c VitConfig,
    /// Rotary positions, once the patches are there.
    angles: Option<RopeAngles>,
}

/// The graph of `backbone`, from [`INPUT`] to [`TOKENS`] and [`CLS`].
pub(super) fn graph<'a>(
    backbone: &'a StateDict,
    config: &VitConfig,
    size: OnnxInputSize,
) -> Result<OnnxGraph<'a>, WeightsError> {
    let mut writer = OnnxBackboneBuilder { graph: OnnxGraph::default(), backbone, config, angles: None };
    let mut x = writer.tokens(size)?;
    for block in 0..config.depth {
        x = writer.attention(&x, block)?;
        x = match config.ffn {
            FfnKind::Mlp => writer.mlp(&x, block)?,
            FfnKind::SwiGlu => writer.swiglu(&x, block)?,
        };
    }
    let tokens = writer.norm(&x, "norm", TOKENS)?;
    let first = writer.graph.integer("first_token", 0);
    writer.graph.node("Gather", &[&tokens, &first], CLS, &[OnnxAttribute::Int("axis", 1)]);
    Ok(writer.graph)
}

impl<'a> OnnxBackboneBuilder<'a, '_> {
    fn tensor(&self, key: &str) -> Result<&'a HostTensor, WeightsError> {
        self.backbone.get(key).ok_or_else(|| WeightsError::Missing {
            file: "the model".into(),
            key: key.into(),
            expected: Vec::new(),
            more: 0,
        })
    }

    /// A tensor under its official name, as it is.
    fn verbatim(&mut self, key: &str) -> Result<String, WeightsError> {
        let tensor = self.tensor(key)?;
        Ok(self.graph.lazy(key, &tensor.shape, || Cow::Borrowed(&tensor.data)))
    }

    /// Pictures to tokens: patches, positions, CLS, registers.
    fn tokens(&mut self, size: OnnxInputSize) -> Result<String, WeightsError> {
        let VitConfig { patch, grid, dim, interpolation: rule, .. } = *self.config;
        let (weight, bias) =
            (self.verbatim("patch_embed.proj.weight")?, self.verbatim("patch_embed.proj.bias")?);
        let side = [patch as i64; 2];
        let map = self.graph.node(
            "Conv",
            &[INPUT, &weight, &bias],
            "patch_embed.map",
            &[OnnxAttribute::Ints("kernel_shape", &side), OnnxAttribute::Ints("strides", &side)],
        );
        let shape = self.graph.integers("patch_embed.shape", &[0, dim as i64, -1]);
        let patches = self.graph.node("Reshape", &[&map, &shape], "patch_embed.columns", &[]);
        let patches = self.graph.node(
            "Transpose",
            &[&patches],
            "patch_embed",
            &[OnnxAttribute::Ints("perm", &[0, 2, 1])],
        );

        if let Some(rope) = &self.config.rope {
            self.angles = Some(RopeAngles::new(&mut self.graph, self.config, rope, size, &map));
            let prefix = self.tensor("cls_token")?.data.clone();
            return self.with_prefix(prefix, &patches);
        }
        let (class, stored) = self.tensor("pos_embed")?.data.split_at(dim);
        let table = PosEmbedTable { values: stored, grid, dim, rule };
        let positions = match size {
            OnnxInputSize::Free => {
                let constant = self
                    .graph
                    .lazy("pos_embed", &[grid.rows, grid.cols * dim], move || Cow::Borrowed(stored));
                table.nodes(&mut self.graph, &constant, &map)
            }
            OnnxInputSize::Fixed { height, width } => {
                let (rows, cols) = (height / patch, width / patch);
                let shape = [1, rows * cols, dim];
                self.graph.lazy("pos_embed", &shape, move || Cow::Owned(table.resampled(rows, cols)))
            }
        };
        let patches = self.graph.node("Add", &[&patches, &positions], "patches", &[]);

        // CLS has a position of its own, registers have none.
        let token = &self.tensor("cls_token")?.data;
        let class = token.iter().zip(class).map(|(token, position)| token + position).collect();
        self.with_prefix(class, &patches)
    }

    /// CLS and registers before the patches.
    fn with_prefix(&mut self, mut prefix: Vec<f32>, patches: &str) -> Result<String, WeightsError> {
        let dim = self.config.dim;
        if self.config.registers > 0 {
            prefix.extend(&self.tensor("register_tokens")?.data);
        }
        let prefix = self.graph.floats("prefix", &[1, self.config.prefix(), dim], prefix);
        let prefix = self.for_each_picture(&prefix, dim);
        Ok(self.graph.node("Concat", &[&prefix, patches], "tokens", &[OnnxAttribute::Int("axis", 1)]))
    }

    /// `[1, prefix, dim]` to `[batch, prefix, dim]`.
    fn for_each_picture(&mut self, prefix: &str, dim: usize) -> String {
        let shape = self.graph.node("Shape", &[INPUT], "input_shape", &[]);
        let axis = self.graph.integers("batch_axis", &[0]);
        let batch = self.graph.node("Gather", &[&shape, &axis], "batch", &[]);
        let rest = self.graph.integers("prefix_shape", &[self.config.prefix() as i64, dim as i64]);
        let shape =
            self.graph.node("Concat", &[&batch, &rest], "batch_shape", &[OnnxAttribute::Int("axis", 0)]);
        self.graph.node("Expand", &[prefix, &shape], "prefix_tokens", &[])
    }

    fn norm(&mut self, x: &str, layer: &str, name: &str) -> Result<String, WeightsError> {
        let weight = self.verbatim(&format!("{layer}.weight"))?;
        let bias = self.verbatim(&format!("{layer}.bias"))?;
        let attributes =
            [OnnxAttribute::Int("axis", -1), OnnxAttribute::Float("epsilon", self.config.norm_eps as f32)];
        Ok(self.graph.node("LayerNormalization", &[x, &weight, &bias], name, &attributes))
    }

    /// `x Wᵀ + b`, each output multiplied by what `gain` says for it. ONNX multiplies from the left, so the weight is
    /// stored transposed, `[in, out]`.
    fn linear(
        &mut self,
        x: &str,
        layer: &str,
        gain: impl Fn(usize) -> f32 + Clone + 'a,
    ) -> Result<String, WeightsError> {
        let (weight_key, bias_key) = (format!("{layer}.weight"), format!("{layer}.bias"));
        let weight = self.tensor(&weight_key)?;
        let outputs = weight.shape.first().copied().unwrap_or_default();
        let inputs = weight.shape.get(1).copied().unwrap_or_default();
        let of_bias = gain.clone();
        let weight = self.graph.lazy(&weight_key, &[inputs, outputs], move || {
            let mut transposed = vec![0.0; inputs * outputs];
            for (output, row) in weight.data.chunks_exact(inputs).enumerate() {
                let gain = gain(output);
                let column = transposed.iter_mut().skip(output).step_by(outputs);
                column.zip(row).for_each(|(to, &from)| *to = gain * from);
            }
            Cow::Owned(transposed)
        });
        let product = self.graph.node("MatMul", &[x, &weight], &format!("{layer}.product"), &[]);
        let Some(bias) = self.backbone.get(&bias_key) else { return Ok(product) };
        let bias = self.graph.lazy(&bias_key, &bias.shape, move || {
            Cow::Owned(bias.data.iter().enumerate().map(|(output, value)| of_bias(output) * value).collect())
        });
        Ok(self.graph.node("Add", &[&product, &bias], layer, &[]))
    }

    /// The last linear layer of a branch, with LayerScale where the model has it, added to `x`.
    fn branch_end(
        &mut self,
        x: &str,
        branch: &str,
        layer: &str,
        scale: &str,
    ) -> Result<String, WeightsError> {
        let gamma = self.backbone.get(&format!("{scale}.gamma")).map(|gamma| gamma.data.as_slice());
        let gain = move |i: usize| gamma.and_then(|gamma| gamma.get(i)).copied().unwrap_or(1.0);
        let branch = self.linear(branch, layer, gain)?;
        Ok(self.graph.node("Add", &[x, &branch], &format!("{layer}.residual"), &[]))
    }

    /// `x + ls1(attn(norm1(x)))`
    fn attention(&mut self, x: &str, block: usize) -> Result<String, WeightsError> {
        let VitConfig { dim, heads, .. } = *self.config;
        let name = |part: &str| format!("blocks.{block}.{part}");
        let normed = self.norm(x, &name("norm1"), &name("norm1"))?;
        let scale = ((dim / heads) as f32).powf(-0.5);
        let gain = move |output: usize| if output < dim { scale } else { 1.0 };
        let qkv = self.linear(&normed, &name("attn.qkv"), gain)?;
        let parts = ["q", "k", "v"].map(|part| name(&format!("attn.{part}")));
        let outputs: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.graph.split("Split", &[&qkv], &name("attn.split"), &outputs, &[OnnxAttribute::Int("axis", 2)]);

        let by_head = self.graph.integers(&name("attn.by_head"), &[0, 0, heads as i64, (dim / heads) as i64]);
        let mut split = |part: &String, order: [i64; 4]| {
            let heads = self.graph.node("Reshape", &[part, &by_head], &format!("{part}.tokens"), &[]);
            self.graph.node(
                "Transpose",
                &[&heads],
                &format!("{part}.heads"),
                &[OnnxAttribute::Ints("perm", &order)],
            )
        };
        let [query, key, value] = &parts;
        let mut query = split(query, [0, 2, 1, 3]);
        let value = split(value, [0, 2, 1, 3]);
        let key = match &self.angles {
            None => split(key, [0, 2, 3, 1]),
            Some(angles) => {
                let key = split(key, [0, 2, 1, 3]);
                query = angles.turn(&mut self.graph, &query);
                let key = angles.turn(&mut self.graph, &key);
                let upright = [OnnxAttribute::Ints("perm", &[0, 1, 3, 2])];
                self.graph.node("Transpose", &[&key], &name("attn.keys"), &upright)
            }
        };
        let scores = self.graph.node("MatMul", &[&query, &key], &name("attn.scores"), &[]);
        let axis = [OnnxAttribute::Int("axis", -1)];
        let scores = self.graph.node("Softmax", &[&scores], &name("attn.probabilities"), &axis);
        let seen = self.graph.node("MatMul", &[&scores, &value], &name("attn.seen"), &[]);
        let order = [OnnxAttribute::Ints("perm", &[0, 2, 1, 3])];
        let seen = self.graph.node("Transpose", &[&seen], &name("attn.seen_tokens"), &order);
        let shape = self.graph.integers(&name("attn.shape"), &[0, 0, dim as i64]);
        let seen = self.graph.node("Reshape", &[&seen, &shape], &name("attn.joined"), &[]);
        self.branch_end(x, &seen, &name("attn.proj"), &name("ls1"))
    }

    /// `x + ls2(fc2(gelu(fc1(norm2(x)))))`. GELU is spelled as runtimes know it, who make one operation of it.
    fn mlp(&mut self, x: &str, block: usize) -> Result<String, WeightsError> {
        let name = |part: &str| format!("blocks.{block}.{part}");
        let normed = self.norm(x, &name("norm2"), &name("norm2"))?;
        let h = self.linear(&normed, &name("mlp.fc1"), |_| 1.0)?;
        let root = self.graph.scalar(&name("mlp.sqrt_2"), std::f32::consts::SQRT_2);
        let one = self.graph.scalar(&name("mlp.one"), 1.0);
        let half = self.graph.scalar(&name("mlp.half"), 0.5);
        let t = self.graph.node("Div", &[&h, &root], &name("mlp.divided"), &[]);
        let t = self.graph.node("Erf", &[&t], &name("mlp.erf"), &[]);
        let t = self.graph.node("Add", &[&t, &one], &name("mlp.share"), &[]);
        let t = self.graph.node("Mul", &[&h, &t], &name("mlp.gated"), &[]);
        let t = self.graph.node("Mul", &[&t, &half], &name("mlp.gelu"), &[]);
        self.branch_end(x, &t, &name("mlp.fc2"), &name("ls2"))
    }

    /// `x + ls2(w3(silu(gate) * value))`
    fn swiglu(&mut self, x: &str, block: usize) -> Result<String, WeightsError> {
        let name = |part: &str| format!("blocks.{block}.{part}");
        let normed = self.norm(x, &name("norm2"), &name("norm2"))?;
        let both = self.linear(&normed, &name("mlp.w12"), |_| 1.0)?;
        let (gate, value) = (name("mlp.gate"), name("mlp.value"));
        let axis = [OnnxAttribute::Int("axis", 2)];
        self.graph.split("Split", &[&both], &name("mlp.split"), &[&gate, &value], &axis);
        let open = self.graph.node("Sigmoid", &[&gate], &name("mlp.sigmoid"), &[]);
        let open = self.graph.node("Mul", &[&gate, &open], &name("mlp.silu"), &[]);
        let gated = self.graph.node("Mul", &[&open, &value], &name("mlp.gated"), &[]);
        self.branch_end(x, &gated, &name("mlp.w3"), &name("ls2"))
    }
}

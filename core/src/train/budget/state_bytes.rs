//! Bytes of a run's state on each of several ranks: student, teacher, moments and gradients, by `train.shard`.

use crate::model::{DinoHeadConfig, FfnKind};
use crate::train::network::NetworkConfig;
use crate::train::recipe::ShardKind;

/// What one rank holds, in bytes of f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateBytes {
    /// The student's weights between two steps: what is whole, and what the optimizer updates where that is a part.
    pub student: u64,
    /// The teacher's weights between two steps.
    pub teacher: u64,
    /// Moments of AdamW.
    pub moments: u64,
    /// All of these, with gradients and with what is gathered for a pass, at the step's fullest moment.
    pub most: u64,
}

/// Values of a network's shard units.
struct UnitLengths {
    /// Residual branches, two a block.
    branches: Vec<u64>,
    /// Tokens, positions, patch embedding and the last norm.
    embedding: Vec<u64>,
    /// Heads, or projections to a teacher's width.
    heads: Vec<u64>,
}

impl UnitLengths {
    fn new(config: &NetworkConfig) -> Self {
        let b = &config.backbone;
        let (dim, hidden) = (b.dim, b.hidden);
        let scale = if b.layerscale.is_some() { dim } else { 0 };
        let bias = if b.qkv_bias { 3 * dim } else { 0 };
        let attention = 2 * dim + 3 * dim * dim + bias + dim * dim + dim + scale;
        let ffn = match b.ffn {
            FfnKind::Mlp => 2 * dim * hidden + hidden + dim,
            FfnKind::SwiGlu => 3 * dim * hidden + 2 * hidden + dim,
        };
        let branches = (0..b.depth).flat_map(|_| [attention, 2 * dim + ffn + scale]);
        let positions = if b.rope.is_some() { 0 } else { (1 + b.grid.area()) * dim };
        let patches = b.channels() * b.patch * b.patch * dim;
        let embedding = [dim, positions, dim, b.registers * dim, patches, dim, dim, dim];
        let of_head = |head: &DinoHeadConfig| {
            let mlp = head.widths().into_iter().flat_map(|(from, to)| [from * to, to]);
            mlp.chain([head.prototypes, head.prototypes * head.bottleneck]).collect::<Vec<_>>()
        };
        let heads = config.dino_head.iter().chain(&config.ibot_head).flat_map(of_head);
        let projections = config.projections.iter().flatten().flat_map(|width| [dim * width, *width]);
        let lengths = |list: Vec<usize>| list.into_iter().map(|length| length as u64).collect();
        Self {
            branches: lengths(branches.collect()),
            embedding: lengths(embedding.to_vec()),
            heads: lengths(heads.chain(projections).collect()),
        }
    }
}

impl StateBytes {
    /// Of a network and its teacher on each of so many ranks.
    pub fn new(config: &NetworkConfig, shard: ShardKind, ranks: usize) -> Self {
        let units = UnitLengths::new(config);
        let UnitLengths { branches, embedding, heads } = &units;
        let sum = |list: &[u64]| list.iter().sum::<u64>();
        let part = |list: &[u64]| list.iter().map(|length| length.div_ceil(ranks as u64)).sum::<u64>();
        let largest = |list: &[u64]| list.iter().copied().max().unwrap_or_default();
        let whole = sum(branches) + sum(embedding) + sum(heads);
        let own = part(branches) + part(embedding) + part(heads);
        // For a pass what is no branch is whole, and one branch at a time, with the next one on its way.
        let gathered = sum(embedding) + sum(heads) + 2 * largest(branches);
        let [student, teacher, moments, most] = match shard {
            _ if ranks == 1 => [whole, whole, 2 * whole, 5 * whole],
            ShardKind::None => [whole, whole, 2 * whole, 5 * whole],
            ShardKind::Optimizer => {
                let rest = whole + 4 * own;
                // The teacher's pass; the end of the student's way back, before gradients are shared out.
                [whole + own, own, 2 * own, rest + gathered.max(whole)]
            }
            ShardKind::Full => {
                // The heads' way back, with the largest of their gradients, and as much on its way; the end of it, with all gradients
                // in parts, and weights and gradients of one branch whole, and as much on its way.
                let early = part(heads) + sum(embedding) + sum(heads) + 2 * largest(heads);
                let late = own + sum(embedding) + 4 * largest(branches);
                [own, own, 2 * own, 4 * own + gathered.max(early).max(late)]
            }
        };
        Self { student: 4 * student, teacher: 4 * teacher, moments: 4 * moments, most: 4 * most }
    }

    /// Between two steps.
    pub fn rest(&self) -> u64 {
        self.student + self.teacher + self.moments
    }
}

/// What ranks hold of the state of some presets, as a Markdown table for the documentation.
///
/// # Errors
/// Never for the presets of this crate.
#[cfg(not(target_family = "wasm"))]
pub fn markdown() -> Result<String, crate::train::RecipeError> {
    use crate::bytes::shown;

    let mut text = String::from(
        "| model, ranks | `train.shard` | student | teacher | moments | between steps | at most in a step | of one process |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (preset, ranks) in [("vits14", 2), ("vits14", 4), ("vitl14", 4), ("vitl14", 8), ("vitg14", 8)] {
        let config = NetworkConfig::from(&crate::train::Recipe::preset(preset)?);
        for (name, kind) in
            [("none", ShardKind::None), ("optimizer", ShardKind::Optimizer), ("full", ShardKind::Full)]
        {
            let [own, one] = [StateBytes::new(&config, kind, ranks), StateBytes::new(&config, kind, 1)];
            text += &format!(
                "| `{preset}`, {ranks} | `{name}` | {} | {} | {} | {} | {} | {:.3} |\n",
                shown(own.student),
                shown(own.teacher),
                shown(own.moments),
                shown(own.rest()),
                shown(own.most),
                own.most as f64 / one.most as f64,
            );
        }
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::train::presets::NAMES;
    use crate::train::shard::ShardPlan;
    use crate::train::{Network, Recipe};

    fn config(preset: &str) -> NetworkConfig {
        NetworkConfig::from(&Recipe::preset(preset).unwrap())
    }

    #[test]
    fn all_parameters_are_in_a_unit() {
        for preset in NAMES {
            let config = config(preset);
            let one = StateBytes::new(&config, ShardKind::Full, 1);
            assert_eq!(one.student, 4 * config.parameters() as u64, "{preset}");
            assert_eq!((one.rest(), one.most), (4 * one.student, 5 * one.student));
        }
    }

    #[test]
    fn units_are_those_that_a_network_is_cut_into() {
        for recipe in [
            Recipe::preset("nano").unwrap(),
            Recipe::preset("nano")
                .unwrap()
                .with_overrides(
                    &[
                        "model.ffn=swiglu",
                        "model.registers=2",
                        "head.separate_ibot=true",
                        "model.positions=rope",
                    ]
                    .map(str::to_owned),
                )
                .unwrap(),
        ] {
            let config = NetworkConfig::from(&recipe);
            let plan = ShardPlan::new(&Network::init(&config, 0, &Device::flex()), 1, 3);
            let UnitLengths { branches, embedding, heads } = UnitLengths::new(&config);
            let mut reckoned = [branches, embedding, heads].concat();
            reckoned.retain(|length| *length > 0);
            let mut found: Vec<u64> = plan.units.iter().map(|unit| unit.length() as u64).collect();
            reckoned.sort_unstable();
            found.sort_unstable();
            assert_eq!(reckoned, found);
        }
    }

    #[test]
    fn four_ranks_hold_less_than_a_third_of_a_vit_l() {
        let config = config("vitl14");
        let one = StateBytes::new(&config, ShardKind::None, 1).most as f64;
        let of = |kind| StateBytes::new(&config, kind, 4).most as f64 / one;
        assert_eq!(of(ShardKind::None), 1.0);
        assert!((0.55..0.62).contains(&of(ShardKind::Optimizer)), "{}", of(ShardKind::Optimizer));
        assert!(of(ShardKind::Full) < 0.32, "{}", of(ShardKind::Full));
    }
}

//! AdamW with the method's parameter groups: layer-wise learning rates, no decay on norms and biases.

use burn::tensor::Tensor;

use super::network::Network;
use super::recipe::Optim;
use super::schedule::Scheduled;
use crate::model::params::{self, Named};

/// What makes a parameter different from others of its network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Factor on the learning rate.
    pub lr: f64,
    /// Factor on the weight decay: 0 or 1.
    pub weight_decay: f64,
    /// Held for the first iterations.
    pub is_last_layer: bool,
}

/// The group of a parameter by its path in [`Network`].
///
/// Tokens, the patch convolution and the prototypes' gain are decayed; norms, gains and biases are not.
pub fn group(name: &str, depth: usize, layer_decay: f64, patch_embed_lr: f64) -> Group {
    let undecayed = name.ends_with(".bias") || name.contains("norm") || name.contains("gamma");
    let mut lr = 1.0;
    if let Some(rest) = name.strip_prefix("backbone.") {
        let layer = match rest.split('.').collect::<Vec<_>>().as_slice() {
            ["blocks", block, ..] => block.parse::<usize>().map_or(0, |b| b + 1),
            ["norm", ..] => depth + 1,
            _ => 0, // tokens, positions, patch embedding
        };
        lr = layer_decay.powi((depth + 1 - layer) as i32);
        if rest.starts_with("patch_embed") {
            lr *= patch_embed_lr;
        }
    }
    Group { lr, weight_decay: if undecayed { 0.0 } else { 1.0 }, is_last_layer: name.contains("last_layer") }
}

/// Moments of AdamW (Loshchilov & Hutter 2019) for every parameter of a network.
#[derive(Clone, Debug, Default)]
pub struct AdamW {
    /// Running mean of gradients.
    pub first: Named,
    /// Running mean of squared gradients.
    pub second: Named,
    /// Updates so far.
    pub steps: u64,
}

const EPS: f64 = 1e-8;

impl AdamW {
    /// One update of all parameters that have a gradient.
    pub fn step(&mut self, network: Network, gradients: &Named, now: &Scheduled, recipe: &Optim) -> Network {
        self.steps += 1;
        let depth = network.backbone.config.depth;
        let (b1, b2) = (recipe.beta1, recipe.beta2);
        let correction1 = 1.0 - b1.powf(self.steps as f64);
        let correction2 = (1.0 - b2.powf(self.steps as f64)).sqrt();
        params::update(network, |name, value| {
            let Some(gradient) = gradients.get(name) else { return value };
            let group = group(name, depth, recipe.layer_decay, recipe.patch_embed_lr);
            let lr = group.lr * if group.is_last_layer { now.last_layer_lr } else { now.lr };
            let decay = group.weight_decay * now.weight_decay;
            let square = gradient.clone().square().mul_scalar(1.0 - b2);
            let first = match self.first.remove(name) {
                Some(m) => m.mul_scalar(b1) + gradient.clone().mul_scalar(1.0 - b1),
                None => gradient.clone().mul_scalar(1.0 - b1),
            };
            let second = match self.second.remove(name) {
                Some(v) => v.mul_scalar(b2) + square,
                None => square,
            };
            let denominator = second.clone().sqrt().div_scalar(correction2).add_scalar(EPS);
            let update = first.clone().div(denominator).mul_scalar(lr / correction1);
            self.first.insert(name.to_owned(), first);
            self.second.insert(name.to_owned(), second);
            value.mul_scalar(1.0 - lr * decay) - update
        })
    }
}

/// Scales the gradients of one sub-module to an L2 norm of at most `max_norm` (0 for no limit).
///
/// Returns the norm before clipping, `[1]`, still on the device.
pub fn clip(gradients: &mut Named, prefix: &str, max_norm: f64) -> Option<Tensor<1>> {
    let of_module = |name: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
    let squares = gradients.iter().filter(|(name, _)| of_module(name)).map(|(_, g)| g.clone().square().sum());
    let norm = squares.reduce(|a, b| a + b)?.sqrt();
    if max_norm > 0.0 {
        let factor = norm.clone().add_scalar(1e-6).recip().mul_scalar(max_norm).clamp_max(1.0);
        for (_, gradient) in gradients.iter_mut().filter(|(name, _)| of_module(name)) {
            *gradient = gradient.clone() * factor.clone();
        }
    }
    Some(norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_a_vit_s_are_the_published_ones() {
        let g = |name| group(name, 12, 0.9, 0.2);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} is not {b}");
        near(g("backbone.cls_token").lr, 0.254187);
        near(g("backbone.patch_embed.proj.weight").lr, 0.050837);
        near(g("backbone.blocks.0.attn.qkv.weight").lr, 0.28243);
        near(g("backbone.blocks.11.mlp.fc1.bias").lr, 0.9);
        near(g("backbone.norm.weight").lr, 1.0);
        near(g("dino_head.mlp.0.weight").lr, 1.0);
        for decayed in ["backbone.pos_embed", "backbone.mask_token", "backbone.patch_embed.proj.weight"] {
            assert_eq!(g(decayed).weight_decay, 1.0, "{decayed}");
        }
        assert_eq!(
            g("dino_head.last_layer.weight_g"),
            Group { lr: 1.0, weight_decay: 1.0, is_last_layer: true }
        );
        for not in ["backbone.blocks.3.ls1.gamma", "backbone.blocks.3.norm2.weight", "dino_head.mlp.0.bias"] {
            assert_eq!(g(not).weight_decay, 0.0, "{not}");
        }
    }
}

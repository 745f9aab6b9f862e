//! AdamW with the method's parameter groups: layer-wise learning rates, no decay on norms and biases.

pub mod loss_scale;
pub mod schedule;

use burn::tensor::Tensor;

use super::network::Network;
use super::recipe::OptimRecipe;
use crate::fused::{GradNorms, MODULES, ParamUpdate, UpdateArenas, UpdateHyperparams, optimise};
use crate::model::params::{self, Named};
use loss_scale::LossScale;
use schedule::ScheduledValues;

/// What makes a parameter different from others of its network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerParamGroup {
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
pub fn group(name: &str, depth: usize, layer_decay: f64, patch_embed_lr: f64) -> OptimizerParamGroup {
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
    OptimizerParamGroup {
        lr,
        weight_decay: if undecayed { 0.0 } else { 1.0 },
        is_last_layer: name.contains("last_layer"),
    }
}

/// Moments of AdamW (Loshchilov & Hutter 2019) for every parameter of a network.
#[derive(Clone, Debug, Default)]
pub struct AdamWMoments {
    /// Running mean of gradients.
    pub first: Named,
    /// Running mean of squared gradients.
    pub second: Named,
    /// Updates so far.
    pub steps: u64,
    arenas: UpdateArenas,
}

const EPS: f64 = 1e-8;

/// What all parameters share in an update, the `steps`-th.
pub(in crate::train) fn hyperparams(
    steps: u64,
    now: &ScheduledValues,
    recipe: &OptimRecipe,
    loss_scale: &LossScale,
) -> UpdateHyperparams {
    UpdateHyperparams {
        beta1: recipe.beta1,
        beta2: recipe.beta2,
        eps: EPS,
        steps,
        momentum: now.momentum,
        clip: recipe.clip,
        skip_not_finite: loss_scale.is_on(),
    }
}

impl AdamWMoments {
    /// One update of all parameters that have a gradient, each sub-module clipped alone: large gradients of a head do
    /// not slow the backbone. The teacher follows the student's new values, heads included:
    /// `teacher = m teacher + (1 - m) student`.
    ///
    /// Returns student and teacher, and the gradient norms of [`SUB_MODULES`], still on the device.
    pub fn step(
        &mut self,
        (student, teacher): (Network, Network),
        mut gradients: Named,
        now: &ScheduledValues,
        recipe: &OptimRecipe,
        loss_scale: &LossScale,
    ) -> ((Network, Network), GradNorms<Tensor<1>>) {
        self.steps += 1;
        let depth = student.backbone.config.depth;
        let rates = hyperparams(self.steps, now, recipe, loss_scale);
        let mut teachers = params::values(&teacher);
        let mut names = Vec::new();
        let mut parameters = Vec::new();
        for (name, value) in params::values(&student) {
            let Some(teacher) = teachers.remove(&name) else { continue };
            let group = group(&name, depth, recipe.layer_decay, recipe.patch_embed_lr);
            let zeros = || value.clone().zeros_like();
            parameters.push(ParamUpdate {
                teacher,
                first: self.first.remove(&name).unwrap_or_else(zeros),
                second: self.second.remove(&name).unwrap_or_else(zeros),
                gradient: gradients.remove(&name),
                module: module_of(&name),
                lr: group.lr * if group.is_last_layer { now.last_layer_lr } else { now.lr },
                decay: group.weight_decay * now.weight_decay,
                value,
            });
            names.push(name);
        }
        let (updated, found) = optimise(parameters, loss_scale.value(), &rates, &mut self.arenas);
        let (mut students, mut teachers) = (Named::new(), Named::new());
        for (name, updated) in names.into_iter().zip(updated) {
            self.first.insert(name.clone(), updated.first);
            self.second.insert(name.clone(), updated.second);
            students.insert(name.clone(), updated.value);
            teachers.insert(name, updated.teacher);
        }
        let fill = |network: Network, mut values: Named| {
            params::update(network, |name, old| values.remove(name).unwrap_or(old))
        };
        ((fill(student, students), fill(teacher, teachers)), found)
    }
}

/// Parts of a network that are clipped each on its own.
pub const SUB_MODULES: [&str; MODULES] = ["backbone", "dino_head", "ibot_head"];

/// Number of the sub-module that a parameter is clipped with, by its name or that of what it lies in.
pub(in crate::train) fn module_of(name: &str) -> usize {
    let of = |module: &&str| name.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'));
    SUB_MODULES.iter().position(of).unwrap_or(0)
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
            OptimizerParamGroup { lr: 1.0, weight_decay: 1.0, is_last_layer: true }
        );
        for not in ["backbone.blocks.3.ls1.gamma", "backbone.blocks.3.norm2.weight", "dino_head.mlp.0.bias"] {
            assert_eq!(g(not).weight_decay, 0.0, "{not}");
        }
    }
}

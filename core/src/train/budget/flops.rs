//! Operations of the model, counted on paper: a multiply-add is two.
//!
//! Counted are matrix products and attention, which is where the time should go; norms, activations, losses and the
//! optimizer are not. A backward pass is twice its forward pass.

use crate::fused::packing::CropGroup;
use crate::model::{DinoHeadConfig, FfnKind, VitConfig};
use crate::train::Recipe;

/// Operations of one forward pass of a backbone over crops of several sizes.
///
/// `drop` is the rate of stochastic depth: of each group's crops only those that are kept count, in every block.
pub fn backbone(config: &VitConfig, groups: &[CropGroup], drop: f64) -> u64 {
    let (dim, hidden) = (config.dim as u64, config.hidden as u64);
    let ffn = match config.ffn {
        FfnKind::Mlp => 2 * dim * hidden,
        FfnKind::SwiGlu => 3 * dim * hidden,
    };
    let per_token = 4 * dim * dim + ffn;
    let patch = (config.channels() * config.patch * config.patch) as u64 * dim;
    let of_group = |group: &CropGroup| {
        let tokens = group.tokens as u64;
        let patches = (group.tokens - config.prefix()) as u64;
        // Scores, and values weighted by them.
        let attention = 2 * tokens * tokens * dim;
        let kept = kept(group.count, drop) as u64;
        group.count as u64 * patches * patch + kept * config.depth as u64 * (tokens * per_token + attention)
    };
    2 * groups.iter().map(of_group).sum::<u64>()
}

/// Crops of a group that a residual branch computes (see [`crate::fused::packing::SequencePacking::draw_subset`]).
pub fn kept(count: usize, drop: f64) -> usize {
    ((count as f64 * (1.0 - drop)) as usize).clamp(1, count.max(1))
}

/// Operations of one forward pass of a head over `rows` tokens.
pub fn head(config: &DinoHeadConfig, rows: usize) -> u64 {
    let mlp: usize = config.widths().iter().map(|(input, output)| input * output).sum();
    2 * (rows * (mlp + config.bottleneck * config.prototypes)) as u64
}

/// Crops of a step as they are packed: global, then local.
pub fn groups(recipe: &Recipe) -> Vec<CropGroup> {
    let config = recipe.backbone();
    let group = |views: usize, side: usize| CropGroup {
        count: views * recipe.train.batch,
        tokens: config.prefix() + (side / config.patch).pow(2),
    };
    let crops = &recipe.crops;
    let all = [group(2, crops.global_size), group(crops.locals, crops.local_size)];
    all.into_iter().filter(|group| group.count > 0).collect()
}

/// Operations of a training step with `masked` masked patches: the teacher forward, the student there and back.
pub fn step(recipe: &Recipe, masked: usize) -> u64 {
    let config = recipe.backbone();
    let groups = groups(recipe);
    let dino = recipe.dino_head();
    let ibot = recipe.ibot_head().unwrap_or_else(|| dino.clone());
    let (globals, locals) = (2 * recipe.train.batch, recipe.crops.locals * recipe.train.batch);
    let teacher = backbone(&config, &groups[..1], 0.0) + head(&dino, globals) + head(&ibot, masked);
    let student = backbone(&config, &groups, recipe.model.drop_path)
        + head(&dino, globals + locals)
        + head(&ibot, masked);
    teacher + 3 * student + gram(recipe)
}

/// Operations of a Gram teacher of the student's own size, and of the similarities of patches, there and back.
fn gram(recipe: &Recipe) -> u64 {
    if recipe.loss.gram == 0.0 {
        return 0;
    }
    let config = recipe.backbone();
    let crops = 2 * recipe.train.batch;
    let tokens = config.prefix() + (recipe.gram_size() / config.patch).pow(2);
    let pairs = (recipe.crops.global_size / config.patch).pow(4);
    let similarities = 2 * (crops * pairs * config.dim) as u64;
    backbone(&config, &[CropGroup { count: crops, tokens }], 0.0) + 4 * similarities
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn published_counts_come_out() {
        // DeiT (Touvron et al. 2021), table 5: 1.3, 4.6 and 17.6 billion multiply-adds with patches of 16 at 224.
        for (dim, heads, billions) in [(192, 3, 1.26), (384, 6, 4.6), (768, 12, 17.58)] {
            let config = VitConfig::new(224, 16, dim, 12, heads);
            let count = backbone(&config, &[CropGroup { count: 1, tokens: 197 }], 0.0) as f64 / 2e9;
            assert!((count / billions - 1.0).abs() < 0.01, "{dim}: {count} is not {billions}");
        }
    }

    #[test]
    fn a_head_is_its_matrices() {
        let config = DinoHeadConfig { dim: 3, prototypes: 11, hidden: 5, bottleneck: 7, layers: 3 };
        assert_eq!(head(&config, 2), 2 * 2 * (3 * 5 + 5 * 5 + 5 * 7 + 7 * 11));
    }

    #[test]
    fn a_step_is_the_teacher_and_three_times_the_student() {
        let recipe = Recipe::preset("nano").unwrap();
        let [global, local] = groups(&recipe)[..] else { panic!("two crop sizes") };
        assert_eq!((global.count, global.tokens, local.count, local.tokens), (64, 65, 128, 17));
        let config = recipe.backbone();
        let (large, small) = (backbone(&config, &[global], 0.0), backbone(&config, &[local], 0.0));
        let heads = |rows| head(&recipe.dino_head(), rows);
        let want = large + heads(64 + 100) + 3 * (large + small + heads(64 + 128 + 100));
        assert_eq!(step(&recipe, 100), want);
    }

    #[test]
    fn dropped_crops_cost_nothing_but_their_patches() {
        let config = VitConfig::new(64, 8, 96, 4, 3);
        let all = [CropGroup { count: 10, tokens: 65 }];
        let kept = [CropGroup { count: 6, tokens: 65 }];
        let patches = |count: u64| 2 * count * 64 * 3 * 64 * 96;
        assert_eq!(backbone(&config, &all, 0.4) - patches(10), backbone(&config, &kept, 0.0) - patches(6));
    }
}

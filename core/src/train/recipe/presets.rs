//! Recipes by name: the official ones, and small ones for one GPU and a few thousand pictures.

use crate::data::RGB;
use crate::data::decode::depth::IntensityRange;
use crate::data::source::scenes::SceneKind;
use crate::fused::MatmulPrecision;
use crate::model::{FfnKind, RopeAugmentation, presets::backbone};
use crate::ssl::{Centering, MaskRecipe, RankWire};
use crate::train::recipe::{
    BlurPreset, DataRecipe, DistillMethod, DistillRecipe, EvalRecipe, GramRecipe, HeadRecipe, InitRecipe,
    LossRecipe, LrSchedule, ModelRecipe, MultiCropRecipe, OptimRecipe, PixelChoice, PositionKind, Recipe,
    RecipeError, ShardKind, TrainPrecision, TrainRecipe, distill_recipe::see_features,
};

/// The preset that shows learning within a minute: what a window or a page begins with.
pub const DEMO: &str = "demo";

/// Names of all presets, smallest first.
pub const NAMES: [&str; 10] =
    [DEMO, "own", "nano", "tiny", "small", "vits14", "vitb14", "vitl14", "vitg14", "vitl16-short"];

/// "Epoch" of the official configurations: 1250 iterations, whatever the data.
const EPOCH: u64 = 1250;

impl Recipe {
    /// A preset by name.
    ///
    /// # Errors
    /// [`RecipeError::Preset`] when there is none of that name.
    pub fn preset(name: &str) -> Result<Self, RecipeError> {
        preset(name).ok_or_else(|| RecipeError::Preset { name: name.to_owned(), known: NAMES.join(", ") })
    }
}

/// The recipe called `name`.
fn preset(name: &str) -> Option<Recipe> {
    Some(match name {
        "vitl16-short" => short(name),
        "vitl14" => Recipe { model: model("vitl14_swiglu", 0.4), ..long(name) },
        "vitg14" => Recipe { model: model("vitg14", 0.4), ..long(name) },
        // The released S and B are distilled; from scratch they take the long recipe with less dropping.
        "vits14" => Recipe { model: model("vits14", 0.1), ..long(name) },
        "vitb14" => Recipe { model: model("vitb14", 0.2), ..long(name) },
        DEMO => demo(),
        "own" => own(),
        "nano" => nano(),
        "tiny" => tiny(),
        "small" => small(),
        _ => return None,
    })
}

fn model(name: &str, drop_path: f64) -> ModelRecipe {
    // Every name in this file is one of the backbone presets; a test builds them all.
    let config = backbone(name, 224).unwrap_or_else(|| crate::model::VitConfig::new(224, 14, 384, 12, 6));
    ModelRecipe {
        patch: config.patch,
        dim: config.dim,
        depth: config.depth,
        heads: config.heads,
        ffn: config.ffn,
        registers: config.registers,
        layerscale: 1e-5,
        drop_path,
        norm_eps: config.norm_eps,
        positions: PositionKind::Table,
        interpolate_offset: config.interpolation.offset,
        interpolate_antialias: config.interpolation.antialias,
        rope_shift: RopeAugmentation::DINOV3.shift,
        rope_jitter: RopeAugmentation::DINOV3.jitter,
        rope_rescale: RopeAugmentation::DINOV3.rescale,
    }
}

/// `ssl_default_config.yaml` and `vitl16_short.yaml`: ImageNet-1k, a day on 32 GPUs.
fn short(name: &str) -> Recipe {
    Recipe {
        preset: name.to_owned(),
        model: ModelRecipe { ffn: FfnKind::Mlp, ..model("vitl16", 0.3) },
        crops: MultiCropRecipe {
            global_size: 224,
            local_size: 96,
            locals: 8,
            global_scale: [0.32, 1.0],
            local_scale: [0.05, 0.32],
            blur: BlurPreset::Official,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.2,
            hue: 0.1,
            grayscale: 0.2,
            solarize: 0.2,
        },
        mask: MaskRecipe::default(),
        head: HeadRecipe {
            prototypes: 65_536,
            hidden: 2048,
            bottleneck: 256,
            layers: 3,
            separate_ibot: false,
            ibot_prototypes: 65_536,
            ibot_bottleneck: 256,
        },
        loss: LossRecipe::default(),
        gram: GramRecipe::default(),
        optim: OptimRecipe {
            schedule: LrSchedule::Cosine,
            cooldown: 0,
            base_lr: 4e-3,
            min_lr: 1e-6,
            warmup: 10 * EPOCH,
            weight_decay: 0.04,
            weight_decay_end: 0.4,
            layer_decay: 0.9,
            patch_embed_lr: 0.2,
            beta1: 0.9,
            beta2: 0.999,
            clip: 3.0,
            freeze_last_layer: EPOCH,
            momentum: 0.992,
            momentum_end: 1.0,
            teacher_temp_start: 0.04,
            teacher_temp: 0.07,
            teacher_temp_warmup: 30 * EPOCH,
        },
        start: InitRecipe::default(),
        distill: DistillRecipe::default(),
        train: TrainRecipe {
            iterations: 100 * EPOCH,
            batch: 2048,
            accumulate: 1,
            precision: TrainPrecision::F32,
            matmul_precision: MatmulPrecision::F32,
            checkpoint_activations: false,
            shard: ShardKind::None,
            wire: RankWire::F32,
            seed: 0,
            workers: 0,
            report_every: 10,
            picture_every: EPOCH,
            evaluate_every: 10 * EPOCH,
            checkpoint_every: 3 * EPOCH,
            keep_checkpoints: 3,
        },
        evaluate: EvalRecipe::default(),
        data: DataRecipe {
            path: "scenes".into(),
            labels: false,
            channels: RGB,
            normalize: PixelChoice::Auto,
            measured: None,
            depth_range: IntensityRange::Fixed,
            reduce: true,
            scene_kind: SceneKind::Varied,
            scenes: 4096,
            scene_size: 256,
            scene_seed: 0,
            scene_views: 1,
        },
    }
}

/// `vitl14.yaml` and `vitg14.yaml`: ImageNet-22k or larger, batch 3072, 625,000 iterations.
fn long(name: &str) -> Recipe {
    let base = short(name);
    Recipe {
        crops: MultiCropRecipe { local_size: 98, ..base.crops },
        head: HeadRecipe {
            prototypes: 131_072,
            bottleneck: 384,
            separate_ibot: true,
            ibot_prototypes: 131_072,
            ..base.head
        },
        loss: LossRecipe { centering: Centering::SinkhornKnopp, ..base.loss },
        optim: OptimRecipe {
            base_lr: 2e-4,
            warmup: 80 * EPOCH,
            weight_decay_end: 0.2,
            layer_decay: 1.0,
            momentum: 0.994,
            ..base.optim
        },
        train: TrainRecipe { iterations: 500 * EPOCH, batch: 3072, ..base.train },
        ..base
    }
}

/// Three minutes on two CPU cores: four blocks, 64-pixel crops, batch 32. What a few hundred steps need is here in
/// excess: LayerScale at full strength, few prototypes, a sharp teacher that follows quickly, generous crops.
fn nano() -> Recipe {
    let base = short("nano");
    Recipe {
        model: ModelRecipe { layerscale: 1.0, ..model("nano", 0.0) },
        crops: MultiCropRecipe {
            global_size: 64,
            local_size: 32,
            locals: 4,
            global_scale: [0.5, 1.0],
            local_scale: [0.15, 0.5],
            ..base.crops
        },
        head: HeadRecipe {
            prototypes: 128,
            hidden: 256,
            bottleneck: 64,
            ibot_prototypes: 128,
            ibot_bottleneck: 64,
            ..base.head
        },
        loss: LossRecipe { centering: Centering::SinkhornKnopp, ..base.loss },
        optim: OptimRecipe {
            base_lr: 2e-2,
            min_lr: 1e-5,
            warmup: 20,
            weight_decay_end: 0.1,
            layer_decay: 1.0,
            patch_embed_lr: 1.0,
            freeze_last_layer: 0,
            momentum: 0.9,
            momentum_end: 0.98,
            teacher_temp_start: 0.015,
            teacher_temp: 0.02,
            teacher_temp_warmup: 100,
            ..base.optim
        },
        train: TrainRecipe {
            iterations: 240,
            batch: 32,
            report_every: 1,
            picture_every: 20,
            evaluate_every: 120,
            checkpoint_every: 60,
            ..base.train
        },
        // In minutes nothing is learned of varied scenes.
        data: DataRecipe { scene_kind: SceneKind::Easy, scenes: 1200, scene_size: 96, ..base.data },
        ..base
    }
}

/// A minute on two CPU cores: the model of `nano`, fresh, learns what the starter weights make of pictures.
fn demo() -> Recipe {
    let base = nano();
    let mut recipe = Recipe {
        preset: DEMO.to_owned(),
        distill: DistillRecipe {
            method: DistillMethod::Regression,
            teacher: "starter".to_owned(),
            ..base.distill
        },
        train: TrainRecipe {
            iterations: 150,
            picture_every: 10,
            evaluate_every: 50,
            checkpoint_every: 50,
            ..base.train
        },
        ..base
    };
    see_features(&mut recipe);
    recipe
}

/// Minutes on two CPU cores: trained weights go on learning on a person's own pictures, a few hundred of them. Sizes are those
/// of the starter weights; [`own::recipe`](super::own::recipe) takes those of others. Steps are small and the teacher
/// moves slowly, so that what the weights know is kept; new heads learn alone first.
fn own() -> Recipe {
    let base = nano();
    Recipe {
        preset: super::own::NAME.to_owned(),
        model: ModelRecipe { dim: 128, heads: 4, ..base.model },
        optim: OptimRecipe { base_lr: 2e-3, warmup: 40, momentum: 0.99, momentum_end: 1.0, ..base.optim },
        start: InitRecipe { weights: "starter".to_owned(), heads: false, hold_backbone: 40 },
        train: TrainRecipe {
            iterations: 400,
            picture_every: 40,
            evaluate_every: 100,
            checkpoint_every: 100,
            ..base.train
        },
        ..base
    }
}

/// An hour on a laptop's GPU: 96-pixel crops, a ViT of DINO's "tiny" width.
fn tiny() -> Recipe {
    let base = nano();
    Recipe {
        preset: "tiny".to_owned(),
        model: ModelRecipe { layerscale: 1e-2, ..model("tiny", 0.1) },
        crops: MultiCropRecipe {
            global_size: 96,
            local_size: 48,
            locals: 6,
            global_scale: [0.32, 1.0],
            local_scale: [0.05, 0.32],
            ..base.crops
        },
        head: HeadRecipe {
            prototypes: 4096,
            hidden: 1024,
            bottleneck: 128,
            ibot_prototypes: 4096,
            ibot_bottleneck: 128,
            ..base.head
        },
        optim: OptimRecipe {
            base_lr: 4e-3,
            min_lr: 1e-6,
            warmup: 500,
            freeze_last_layer: 100,
            patch_embed_lr: 0.2,
            momentum: 0.99,
            momentum_end: 1.0,
            teacher_temp_start: 0.04,
            teacher_temp: 0.07,
            teacher_temp_warmup: 1500,
            ..base.optim
        },
        train: TrainRecipe {
            iterations: 10_000,
            batch: 64,
            report_every: 10,
            picture_every: 250,
            evaluate_every: 1000,
            checkpoint_every: 500,
            ..base.train
        },
        data: DataRecipe { scene_kind: SceneKind::Varied, scenes: 4096, scene_size: 128, ..base.data },
        ..base
    }
}

/// A day on one desktop GPU: a ViT-S with patches of 8 on 128-pixel crops.
fn small() -> Recipe {
    let base = tiny();
    Recipe {
        preset: "small".to_owned(),
        model: ModelRecipe { layerscale: 1e-3, ..model("small", 0.1) },
        crops: MultiCropRecipe { global_size: 128, local_size: 64, locals: 8, ..base.crops },
        head: HeadRecipe {
            prototypes: 8192,
            hidden: 2048,
            bottleneck: 256,
            ibot_prototypes: 8192,
            ibot_bottleneck: 256,
            ..base.head
        },
        optim: OptimRecipe {
            base_lr: 2e-3,
            warmup: 2500,
            freeze_last_layer: 500,
            momentum: 0.992,
            teacher_temp_warmup: 7500,
            ..base.optim
        },
        train: TrainRecipe {
            iterations: 50_000,
            picture_every: 1000,
            evaluate_every: 5000,
            checkpoint_every: 2000,
            ..base.train
        },
        data: DataRecipe { scene_kind: SceneKind::Varied, scenes: 8192, scene_size: 160, ..base.data },
        ..base
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_survives_its_own_toml() {
        for name in NAMES {
            let recipe = preset(name).unwrap();
            assert_eq!(recipe.preset, name);
            let again = Recipe::from_toml(&recipe.to_toml().unwrap(), &[]).unwrap();
            assert_eq!(again, recipe, "{name}");
        }
    }

    #[test]
    fn official_presets_have_the_official_sizes() {
        let l = preset("vitl14").unwrap();
        assert_eq!(l.backbone().hidden, 2736);
        assert_eq!(l.dino_head().parameters(), 57_545_088);
        assert_eq!(preset("vitg14").unwrap().backbone().dim, 1536);
        assert_eq!(preset("vitl16-short").unwrap().dino_head().parameters() / 10_000, 2366);
    }
}

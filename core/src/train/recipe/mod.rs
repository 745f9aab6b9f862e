//! The recipe of a run: one struct for the TOML file, the command line's `--set` and the recipe editor.

pub mod adapt;
pub mod distill_recipe;
pub mod fields;
mod gram;
mod loss;
pub mod overrides;
pub mod own;
pub mod paths;
mod pixel_choice;
pub mod presets;
mod sharing;

pub use gram::GramRecipe;
pub use loss::{KoleoGroup, LossRecipe};
pub use pixel_choice::PixelChoice;
pub use sharing::ShardKind;

use serde::{Deserialize, Serialize};

use crate::data::RGB;
use crate::data::channels::ChannelStatistics;
use crate::data::decode::depth::IntensityRange;
use crate::data::source::places::SourcePaths;
use crate::data::source::scenes::SceneKind;
use crate::fused::{ComputePrecision, MatmulPrecision};
use crate::model::{
    DinoHeadConfig, FfnKind, PatchGrid, PosEmbedInterpolation, RopeAugmentation, RopeConfig, VitConfig,
    swiglu_hidden,
};
use crate::ssl::{MaskRecipe, RankWire};

/// Why a recipe was refused.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file is no TOML, or holds a value of the wrong type.
    #[error("recipe: {0}")]
    Syntax(String),
    /// No such field.
    #[error("recipe: there is no field `{field}`; {hint}")]
    Unknown {
        /// The name given.
        field: String,
        /// Names that exist.
        hint: String,
    },
    /// A value that can't be used.
    #[error("recipe: {field} = {value} is not possible: {allowed}")]
    Range {
        /// The field's name.
        field: String,
        /// The value given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// No such preset.
    #[error("recipe: there is no preset `{name}`; presets are {known}")]
    Preset {
        /// The name given.
        name: String,
        /// Names that exist.
        known: String,
    },
}

/// Everything that decides a run. Meaning, unit and range of every field stand in [`fields::FIELDS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // One table documents all fields, for files, flags and editors alike.
pub struct Recipe {
    pub preset: String,
    pub model: ModelRecipe,
    pub crops: MultiCropRecipe,
    pub mask: MaskRecipe,
    pub head: HeadRecipe,
    pub loss: LossRecipe,
    #[serde(default)]
    pub gram: GramRecipe,
    pub optim: OptimRecipe,
    pub start: InitRecipe,
    pub distill: DistillRecipe,
    pub train: TrainRecipe,
    pub evaluate: EvalRecipe,
    pub data: DataRecipe,
}

/// `[model]`: the backbone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ModelRecipe {
    pub patch: usize,
    pub dim: usize,
    pub depth: usize,
    pub heads: usize,
    pub ffn: FfnKind,
    pub registers: usize,
    pub layerscale: f64,
    pub drop_path: f64,
    pub norm_eps: f64,
    #[serde(default)]
    pub positions: PositionKind,
    pub interpolate_offset: f64,
    pub interpolate_antialias: bool,
    #[serde(default)]
    pub rope_shift: f64,
    #[serde(default = "unscaled")]
    pub rope_jitter: f64,
    #[serde(default = "dinov3_rescale")]
    pub rope_rescale: f64,
}

fn unscaled() -> f64 {
    RopeAugmentation::DINOV3.jitter
}

fn dinov3_rescale() -> f64 {
    RopeAugmentation::DINOV3.rescale
}

/// How a backbone knows where a patch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionKind {
    /// A table is added to the patches (DINOv2).
    #[default]
    Table,
    /// Queries and keys are turned, and keys have no bias (DINOv3).
    Rope,
}

impl ModelRecipe {
    /// How rotary positions are moved in training.
    pub fn rope_augmentation(&self) -> RopeAugmentation {
        RopeAugmentation { shift: self.rope_shift, jitter: self.rope_jitter, rescale: self.rope_rescale }
    }
}

/// Probabilities of Gaussian blur for the first global, second global and local crops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlurPreset {
    /// 0.0, 0.9, 0.5: what the official code does and the released models were trained with.
    Official,
    /// 1.0, 0.1, 0.5: what the papers say.
    Intended,
    /// None at all.
    None,
}

/// `[crops]`: multi-crop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct MultiCropRecipe {
    pub global_size: usize,
    pub local_size: usize,
    pub locals: usize,
    pub global_scale: [f64; 2],
    pub local_scale: [f64; 2],
    pub blur: BlurPreset,
    pub brightness: f64,
    pub contrast: f64,
    pub saturation: f64,
    pub hue: f64,
    pub grayscale: f64,
    pub solarize: f64,
}

/// `[head]`: projection heads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct HeadRecipe {
    pub prototypes: usize,
    pub hidden: usize,
    pub bottleneck: usize,
    pub layers: usize,
    pub separate_ibot: bool,
    pub ibot_prototypes: usize,
    pub ibot_bottleneck: usize,
}

/// `[optim]`: AdamW, its schedules, the teacher's moving average and temperature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct OptimRecipe {
    #[serde(default)]
    pub schedule: LrSchedule,
    #[serde(default)]
    pub cooldown: u64,
    pub base_lr: f64,
    pub min_lr: f64,
    pub warmup: u64,
    pub weight_decay: f64,
    pub weight_decay_end: f64,
    pub layer_decay: f64,
    pub patch_embed_lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub clip: f64,
    pub freeze_last_layer: u64,
    pub momentum: f64,
    pub momentum_end: f64,
    pub teacher_temp_start: f64,
    pub teacher_temp: f64,
    pub teacher_temp_warmup: u64,
}

/// How the learning rate goes on after its warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LrSchedule {
    /// Down to `min_lr` in a cosine, weight decay and momentum towards their ends likewise.
    #[default]
    Cosine,
    /// As it is until the last `cooldown` iterations, in which it falls to `min_lr`; weight decay and momentum stay as they begin.
    Constant,
}

/// `[start]`: what the weights are before the first step, unless random.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct InitRecipe {
    pub weights: String,
    pub heads: bool,
    pub hold_backbone: u64,
}

/// `[distill]`: a frozen teacher in place of the student's own moving average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct DistillRecipe {
    pub method: DistillMethod,
    pub teacher: String,
    pub teacher_size: usize,
    pub patches: f64,
    pub blocks: usize,
    pub queue: usize,
    pub temperature: f64,
    pub patch_weight: f64,
    pub mixup: bool,
    pub fixed_views: bool,
}

/// What a student learns from a frozen teacher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DistillMethod {
    /// Nothing: the teacher is the student's moving average.
    #[default]
    None,
    /// What the teacher's heads say (Oquab et al. 2023, section 5): the losses of pre-training, without masks. The
    /// teacher must come with its heads.
    Heads,
    /// How similar the teacher finds pictures and patches to each other: for any backbone, whatever its width.
    Similarity,
    /// The teacher's features themselves, through linear projections: for any backbone.
    Regression,
}

impl Default for DistillRecipe {
    fn default() -> Self {
        Self {
            method: DistillMethod::None,
            teacher: String::new(),
            teacher_size: 0,
            patches: 1.0,
            blocks: 2,
            queue: 0,
            temperature: 0.07,
            patch_weight: 1.0,
            mixup: false,
            fixed_views: false,
        }
    }
}

impl DistillRecipe {
    /// Whether there is a frozen teacher.
    pub fn is_on(&self) -> bool {
        self.method != DistillMethod::None
    }

    /// Whether the student learns features, through projections, rather than what heads say.
    pub fn of_features(&self) -> bool {
        matches!(self.method, DistillMethod::Similarity | DistillMethod::Regression)
    }
}

/// `[train]`: length, batch, cadence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct TrainRecipe {
    pub iterations: u64,
    pub batch: usize,
    pub accumulate: usize,
    #[serde(default)]
    pub precision: TrainPrecision,
    #[serde(default)]
    pub matmul_precision: MatmulPrecision,
    #[serde(default)]
    pub checkpoint_activations: bool,
    #[serde(default)]
    pub shard: ShardKind,
    #[serde(default)]
    pub wire: RankWire,
    pub seed: u64,
    pub workers: usize,
    pub report_every: u64,
    pub picture_every: u64,
    pub evaluate_every: u64,
    pub checkpoint_every: u64,
    pub keep_checkpoints: usize,
}

/// `[evaluate]`: what is measured beside k-NN whenever k-NN is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct EvalRecipe {
    pub linear: bool,
    pub segment: bool,
    pub depth: bool,
    pub dense: String,
    #[serde(default = "millimetre")]
    pub depth_unit: String,
}

fn millimetre() -> String {
    "mm".to_owned()
}

impl Default for EvalRecipe {
    fn default() -> Self {
        Self {
            linear: false,
            segment: false,
            depth: false,
            dense: "scenes".to_owned(),
            depth_unit: millimetre(),
        }
    }
}

/// Numbers that the residual branches compute with; weights, norms, softmax, heads and losses stay f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum TrainPrecision {
    #[default]
    F32,
    F16,
    Bf16,
}

impl From<TrainPrecision> for ComputePrecision {
    fn from(numbers: TrainPrecision) -> Self {
        match numbers {
            TrainPrecision::F32 => Self::F32,
            TrainPrecision::F16 => Self::F16,
            TrainPrecision::Bf16 => Self::Bf16,
        }
    }
}

fn rgb() -> usize {
    RGB
}

/// `[data]`: where pictures come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct DataRecipe {
    pub path: SourcePaths,
    pub labels: bool,
    /// Runs that do not say it saw colours.
    #[serde(default = "rgb")]
    pub channels: usize,
    #[serde(default)]
    pub normalize: PixelChoice,
    /// What was measured on the pictures; kept beside the recipe, which says what was wished for.
    #[serde(skip)]
    pub measured: Option<ChannelStatistics>,
    #[serde(default)]
    pub depth_range: IntensityRange,
    /// Runs that do not say it saw all pixels.
    #[serde(default)]
    pub reduce: bool,
    #[serde(default)]
    pub scene_kind: SceneKind,
    pub scenes: usize,
    pub scene_size: usize,
    pub scene_seed: u64,
    pub scene_views: usize,
}

impl Recipe {
    /// The recipe as TOML, every value resolved.
    ///
    /// # Errors
    /// Never for a recipe that was validated; the encoder's error otherwise.
    pub fn to_toml(&self) -> Result<String, RecipeError> {
        toml::to_string_pretty(self).map_err(|e| RecipeError::Syntax(e.to_string()))
    }

    /// Peak learning rate: the base is for a batch of 1024 and scales with the root of the batch.
    pub fn peak_lr(&self) -> f64 {
        self.optim.base_lr * (self.train.batch as f64 / 1024.0).sqrt()
    }

    /// The backbone that the recipe asks for.
    pub fn backbone(&self) -> VitConfig {
        let m = &self.model;
        VitConfig {
            patch: m.patch,
            grid: PatchGrid::square(self.crops.global_size / m.patch),
            dim: m.dim,
            depth: m.depth,
            heads: m.heads,
            ffn: m.ffn,
            hidden: match m.ffn {
                FfnKind::Mlp => 4 * m.dim,
                FfnKind::SwiGlu => swiglu_hidden(4 * m.dim),
            },
            registers: m.registers,
            layerscale: (m.layerscale > 0.0).then_some(m.layerscale as f32),
            qkv_bias: true,
            key_bias: m.positions == PositionKind::Table,
            rope: (m.positions == PositionKind::Rope).then(RopeConfig::default),
            norm_eps: m.norm_eps,
            interpolation: PosEmbedInterpolation {
                offset: m.interpolate_offset,
                antialias: m.interpolate_antialias,
            },
            drop_path: m.drop_path,
            pixels: self.pixels(),
        }
    }

    /// What pictures are normalised by: what the recipe says, or was measured.
    pub fn pixels(&self) -> ChannelStatistics {
        let usual = || ChannelStatistics::usual(self.data.channels);
        match &self.data.normalize {
            PixelChoice::Given(pixels) => pixels.clone(),
            PixelChoice::Auto => self.data.measured.clone().unwrap_or_else(usual),
        }
    }

    /// The head of the DINO loss.
    pub fn dino_head(&self) -> DinoHeadConfig {
        let h = &self.head;
        DinoHeadConfig {
            dim: self.model.dim,
            prototypes: h.prototypes,
            hidden: h.hidden,
            bottleneck: h.bottleneck,
            layers: h.layers,
        }
    }

    /// The head of the iBOT loss, if it is not the DINO head.
    pub fn ibot_head(&self) -> Option<DinoHeadConfig> {
        let h = &self.head;
        h.separate_ibot.then(|| DinoHeadConfig {
            prototypes: h.ibot_prototypes,
            bottleneck: h.ibot_bottleneck,
            ..self.dino_head()
        })
    }
}

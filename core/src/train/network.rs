//! A backbone with its heads: what a student is, and what a teacher is.

use burn::module::Module;
use burn::tensor::{Device, ExecutionError, Tensor};

use super::recipe::Recipe;
use crate::model::layers::Draw;
use crate::model::{DinoHead, HeadConfig, Vit, VitConfig, params};
use crate::rng::stream;
use crate::weights::StateDict;

/// Student or teacher.
#[derive(Module, Debug)]
pub struct Network {
    /// The Vision Transformer.
    pub backbone: Vit,
    /// Head of the CLS tokens.
    pub dino_head: DinoHead,
    /// Head of the patch tokens, if they do not share the DINO head.
    pub ibot_head: Option<DinoHead>,
}

/// Sizes of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkConfig {
    /// The backbone.
    pub backbone: VitConfig,
    /// The DINO head.
    pub dino_head: HeadConfig,
    /// A separate iBOT head, if there is one.
    pub ibot_head: Option<HeadConfig>,
}

impl From<&Recipe> for NetworkConfig {
    fn from(recipe: &Recipe) -> Self {
        Self { backbone: recipe.backbone(), dino_head: recipe.dino_head(), ibot_head: recipe.ibot_head() }
    }
}

impl Network {
    /// Random weights; the same seed gives the same weights, so that student and teacher start equal.
    pub fn init(config: &NetworkConfig, seed: u64, device: &Device) -> Self {
        let head =
            |config, which| DinoHead::init(config, &mut Draw::Random(stream(seed, "head", which, 0)), device);
        Self {
            backbone: Vit::init(&config.backbone, seed, device),
            dino_head: head(&config.dino_head, 0),
            ibot_head: config.ibot_head.as_ref().map(|config| head(config, 1)),
        }
    }

    /// Logits of patch tokens, `[rows, dim]` to `[rows, K]`.
    pub fn patch_head(&self) -> &DinoHead {
        self.ibot_head.as_ref().unwrap_or(&self.dino_head)
    }

    /// Official key of a parameter path, sub-module included (`dino_head.mlp.2.weight`).
    pub fn official_key(&self, path: &str) -> String {
        match path.split_once('.') {
            Some(("backbone", _)) | None => path.to_owned(),
            Some((head, rest)) => format!("{head}.{}", self.dino_head.official_key(rest)),
        }
    }

    /// All parameters by official key.
    ///
    /// # Errors
    /// When the device fails to hand over its memory.
    pub async fn state_dict(&self) -> Result<StateDict, ExecutionError> {
        params::state_dict(self, |path| self.official_key(path)).await
    }

    /// Fills the parameters from official keys; returns the keys that were missing.
    pub fn load(self, dict: &StateDict) -> (Self, Vec<String>) {
        let keys = Self { ibot_head: None, ..self.clone() };
        params::load(self, dict, |path| keys.official_key(path))
    }
}

/// Gathers rows of patch tokens: `[crops, patches, dim]` and flat indices to `[rows, dim]`.
pub(super) fn gather_patches(patches: Tensor<3>, indices: Tensor<1, burn::tensor::Int>) -> Tensor<2> {
    let [crops, n, dim] = patches.dims();
    patches.reshape([crops * n, dim]).select(0, indices)
}

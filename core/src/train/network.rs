//! A backbone with its heads: what a student is, and what a teacher is.

use burn::module::Module;
use burn::tensor::{Device, ExecutionError};

use super::recipe::Recipe;
use crate::model::layers::{Linear, WeightInit};
use crate::model::{DinoHead, DinoHeadConfig, Vit, VitConfig, params};
use crate::rng::stream;
use crate::weights::StateDict;

/// Student or teacher.
#[derive(Module, Debug)]
pub struct Network {
    /// The Vision Transformer.
    pub backbone: Vit,
    /// Head of the CLS tokens; none where features are learned in place of what heads say.
    pub dino_head: Option<DinoHead>,
    /// Head of the patch tokens, if they do not share the DINO head.
    pub ibot_head: Option<DinoHead>,
    /// Where features of another width are learned.
    pub projections: Option<DistillProjections>,
}

/// Linear maps to the width of a teacher whose features are learned.
#[derive(Module, Debug)]
pub struct DistillProjections {
    /// Of CLS tokens.
    pub cls: Linear,
    /// Of patch tokens.
    pub patches: Linear,
}

/// Sizes of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkConfig {
    /// The backbone.
    pub backbone: VitConfig,
    /// The DINO head, if there is one.
    pub dino_head: Option<DinoHeadConfig>,
    /// A separate iBOT head, if there is one.
    pub ibot_head: Option<DinoHeadConfig>,
    /// Widths that CLS and patch tokens are projected to, if they are.
    pub projections: Option<[usize; 2]>,
}

impl From<&Recipe> for NetworkConfig {
    fn from(recipe: &Recipe) -> Self {
        let heads = !recipe.distill.of_features();
        Self {
            backbone: recipe.backbone(),
            dino_head: heads.then(|| recipe.dino_head()),
            ibot_head: recipe.ibot_head().filter(|_| heads),
            projections: None,
        }
    }
}

impl NetworkConfig {
    /// Trainable values.
    pub fn parameters(&self) -> usize {
        let heads: usize = self.dino_head.iter().chain(&self.ibot_head).map(DinoHeadConfig::parameters).sum();
        let projections: usize =
            self.projections.iter().flatten().map(|width| (self.backbone.dim + 1) * width).sum();
        self.backbone.parameters() + heads + projections
    }
}

impl Network {
    /// Random weights; the same seed gives the same weights, so that student and teacher start equal.
    pub fn init(config: &NetworkConfig, seed: u64, device: &Device) -> Self {
        let head = |config, which| {
            DinoHead::init(config, &mut WeightInit::Random(stream(seed, "head", which, 0)), device)
        };
        Self {
            backbone: Vit::init(&config.backbone, seed, device),
            dino_head: config.dino_head.as_ref().map(|config| head(config, 0)),
            ibot_head: config.ibot_head.as_ref().map(|config| head(config, 1)),
            projections: config.projections.map(|widths| {
                let [cls, patches] = widths;
                let draw = &mut WeightInit::Random(stream(seed, "projections", 0, 0));
                let dim = config.backbone.dim;
                DistillProjections {
                    cls: Linear::init(dim, cls, true, draw, device),
                    patches: Linear::init(dim, patches, true, draw, device),
                }
            }),
        }
    }

    /// The DINO head, and the head of the patches, which may be the same.
    ///
    /// # Panics
    /// When the network was made without: whoever trains with heads makes it with them.
    pub fn heads(&self) -> (&DinoHead, &DinoHead) {
        let Some(dino) = &self.dino_head else {
            unreachable!("a network that is trained with heads has them")
        };
        (dino, self.ibot_head.as_ref().unwrap_or(dino))
    }

    /// Official key of a parameter path, sub-module included (`dino_head.mlp.2.weight`).
    pub fn official_key(&self, path: &str) -> String {
        match path.split_once('.') {
            Some(("backbone", _)) | None => path.to_owned(),
            Some((head @ ("dino_head" | "ibot_head"), rest)) => match &self.dino_head {
                Some(dino_head) => format!("{head}.{}", dino_head.official_key(rest)),
                None => path.to_owned(),
            },
            Some(_) => path.to_owned(),
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

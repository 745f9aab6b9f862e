//! The frozen teacher of a distillation (Oquab et al. 2023, section 5): any backbone, with its heads or without.

use burn::tensor::{Device, Tensor};
use sha2::{Digest, Sha256};

use crate::model::vit::LayerSelection;
use crate::model::{DinoHead, NORM_EPS, Vit, VitConfig};
use crate::train::distill::resize_views;
use crate::train::network::NetworkConfig;
use crate::train::recipe::{DistillMethod, Recipe};
use crate::train::start::{self, WeightInitError};
use crate::weights::LoadedWeights;

const FIELD: &str = "distill.teacher";

/// A teacher that does not learn. Lives on the plain device.
#[derive(Clone, Debug)]
pub struct FrozenTeacher {
    /// Its backbone, which may have another width, depth and patch than the student's.
    pub backbone: Vit,
    /// Head of the CLS tokens, where it came with one.
    pub dino_head: Option<DinoHead>,
    /// Head of the patch tokens, where it has one of its own.
    pub ibot_head: Option<DinoHead>,
    /// Where it came from, for a person.
    pub file: String,
    /// Fingerprint of its weights: what is kept of its features belongs to these.
    pub fingerprint: String,
}

/// Features of a batch of views; constants for the student.
#[derive(Clone, Debug)]
pub struct TeacherOutput {
    /// `[views, dim]`, after the final norm.
    pub cls: Tensor<2>,
    /// `[views, rows * cols, dim * blocks]`, after the final norm; of several blocks one after another.
    pub patches: Tensor<3>,
    /// Patches from top to bottom, and from left to right.
    pub grid: usize,
}

impl FrozenTeacher {
    /// Opens what the recipe names; `None` when nothing is distilled.
    ///
    /// # Errors
    /// When it can't be opened or can't teach what the recipe asks for.
    pub fn open(recipe: &Recipe, device: &Device) -> Result<Option<Self>, WeightInitError> {
        if !recipe.distill.is_on() {
            return Ok(None);
        }
        let mut weights = start::open(FIELD, &recipe.distill.teacher)?;
        start::bring_pixels(FIELD, &mut weights, &recipe.pixels())?;
        check(recipe, &weights)?;
        let (backbone, missing) = start::backbone(&weights, device);
        if let Some(key) = missing.first() {
            let found = format!("without {key}");
            let wanted = start::describe(&weights.config);
            let way_out = "check the file".to_owned();
            return Err(WeightInitError::Other { field: FIELD, file: weights.file, found, wanted, way_out });
        }
        let head = |name: &str| weights.heads.get(name).and_then(|dict| start::head(dict, device));
        Ok(Some(Self {
            dino_head: head("dino_head"),
            ibot_head: head("ibot_head"),
            backbone,
            fingerprint: fingerprint(&weights),
            file: weights.file,
        }))
    }

    /// Sizes of a student's network with projections to this teacher's width, where it learns features.
    pub fn student(&self, recipe: &Recipe) -> NetworkConfig {
        let dim = self.backbone.config.dim;
        let projections = match recipe.distill.method {
            DistillMethod::Similarity => Some([dim, dim]),
            DistillMethod::Regression => Some([dim, dim * self.blocks(recipe)]),
            DistillMethod::Heads | DistillMethod::None => None,
        };
        NetworkConfig { projections, ..NetworkConfig::from(recipe) }
    }

    /// How many of its last blocks are learned from.
    pub fn blocks(&self, recipe: &Recipe) -> usize {
        match recipe.distill.method {
            DistillMethod::Regression => recipe.distill.blocks.min(self.backbone.config.depth),
            _ => 1,
        }
    }

    /// Side of what it sees, in pixels: a multiple of its patch.
    pub fn side(&self, recipe: &Recipe) -> usize {
        let patch = self.backbone.config.patch;
        let wanted = match recipe.distill.teacher_size {
            0 => recipe.crops.global_size,
            side => side,
        };
        (wanted as f64 / patch as f64).round().max(1.0) as usize * patch
    }

    /// Heads of CLS and patch tokens.
    pub fn heads(&self) -> Option<(&DinoHead, &DinoHead)> {
        let dino = self.dino_head.as_ref()?;
        Some((dino, self.ibot_head.as_ref().unwrap_or(dino)))
    }

    /// Features of `views` `[views, channels, side, side]`.
    pub fn look(&self, views: Tensor<4>, recipe: &Recipe) -> TeacherOutput {
        let side = self.side(recipe);
        let views = resize_views(views, side);
        let mut layers =
            self.backbone.intermediate_layers(views, LayerSelection::Last(self.blocks(recipe)), true);
        let patches = Tensor::cat(layers.iter().map(|layer| layer.patches.clone()).collect(), 2);
        let Some(last) = layers.pop() else { unreachable!("at least one block is asked for") };
        TeacherOutput { cls: last.cls, patches, grid: side / self.backbone.config.patch }
    }
}

/// Fails when the teacher can't teach what is asked for.
fn check(recipe: &Recipe, weights: &LoadedWeights) -> Result<(), WeightInitError> {
    if recipe.distill.method != DistillMethod::Heads {
        return Ok(());
    }
    let file = weights.file.clone();
    if weights.config.patch != recipe.model.patch {
        return Err(WeightInitError::Other {
            field: FIELD,
            file,
            found: format!("a model with patches of {}", weights.config.patch),
            wanted: format!("patches of {}", recipe.model.patch),
            way_out:
                "the iBOT loss compares patch with patch: set model.patch, or distill.method = similarity"
                    .to_owned(),
        });
    }
    let Some(dino) = weights.heads.get("dino_head").and_then(start::head_config) else {
        let way_out = "released files come without: distill.method = similarity learns features instead";
        return Err(WeightInitError::NoHeads { field: FIELD, file, way_out });
    };
    let ibot = weights.heads.get("ibot_head").and_then(start::head_config);
    let head = &recipe.head;
    let own = (head.prototypes, head.separate_ibot.then_some(head.ibot_prototypes));
    let its = (dino.prototypes, ibot.as_ref().map(|ibot| ibot.prototypes));
    // Student and teacher may share heads or not, each for itself: what must agree are the prototypes.
    let patches = |(dino, ibot): (usize, Option<usize>)| ibot.unwrap_or(dino);
    if own.0 == its.0 && patches(own) == patches(its) {
        return Ok(());
    }
    let say = |sizes: (usize, Option<usize>)| format!("{} and {} prototypes", sizes.0, patches(sizes));
    Err(WeightInitError::Other {
        field: FIELD,
        file,
        found: format!("a teacher with {} for CLS and patches", say(its)),
        wanted: say(own),
        way_out: format!(
            "set head.prototypes={} head.separate_ibot={} head.ibot_prototypes={}",
            its.0,
            its.1.is_some(),
            patches(its)
        ),
    })
}

fn fingerprint(weights: &LoadedWeights) -> String {
    let mut hash = Sha256::new();
    let VitConfig { norm_eps, grid, .. } = weights.config;
    // What the tensors do not tell; a teacher without either is known by them alone, as it always was.
    if norm_eps != NORM_EPS || !grid.is_square() {
        hash.update(format!("{norm_eps:e} {grid}"));
    }
    if let Some(rope) = &weights.config.rope {
        hash.update(format!("rope {:?}", rope.periods(weights.config.head_width())));
    }
    for (key, tensor) in &weights.backbone {
        hash.update(key.as_bytes());
        hash.update(bytemuck::cast_slice::<f32, u8>(&tensor.data));
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

//! Where weights come from before the first step: random, a released backbone, or a run that is gone on from.

pub mod model_source;

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};

use super::checkpoint::colours_of;
use super::network::Network;
use super::recipe::{PositionKind, Recipe, RecipeError};
use super::state::TrainerState;
use crate::data::RGB;
use crate::data::channels::ChannelStatistics;
use crate::files;
use crate::model::layers::WeightInit;
use crate::model::pos_embed::resample;
use crate::model::{DinoHead, DinoHeadConfig, NORM_EPS, PatchGrid, Vit, VitConfig, params};
use crate::weights::{HostTensor, LoadedWeights, StateDict, change_channels, renormalize};
use model_source::{ModelError, ModelSource};

/// Why a run could not start from weights, or with a teacher.
#[derive(Debug, thiserror::Error)]
pub enum WeightInitError {
    /// The weights can't be opened.
    #[error("{field}: {source}")]
    Model {
        /// The recipe's field.
        field: &'static str,
        /// What is wrong.
        source: Box<ModelError>,
    },
    /// They are another model than the recipe's.
    #[error("{field}: {file} is {found}, but the recipe says {wanted}; {way_out}")]
    Other {
        /// The recipe's field.
        field: &'static str,
        /// The weights.
        file: String,
        /// What they are.
        found: String,
        /// What the recipe says.
        wanted: String,
        /// What to change.
        way_out: String,
    },
    /// No projection heads come with the weights.
    #[error("{field}: {file} has no heads; {way_out}")]
    NoHeads {
        /// The recipe's field.
        field: &'static str,
        /// The weights.
        file: String,
        /// What to do.
        way_out: &'static str,
    },
    /// A field that can't be used together with what the teacher is.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
}

/// The weights that a recipe's field names.
///
/// # Errors
/// When they can't be opened; names the field.
pub fn open(field: &'static str, named: &str) -> Result<LoadedWeights, WeightInitError> {
    model_source::checkpoint(&ModelSource::named(named))
        .map_err(|error| WeightInitError::Model { field, source: Box::new(error) })
}

/// The recipe with the backbone that weights have.
///
/// # Errors
/// When a size is out of the recipe's range.
pub fn recipe_for(recipe: &Recipe, config: &VitConfig) -> Result<Recipe, RecipeError> {
    let mut recipe = recipe.clone();
    let model = &mut recipe.model;
    (model.patch, model.dim, model.depth, model.heads) =
        (config.patch, config.dim, config.depth, config.heads);
    (model.ffn, model.registers) = (config.ffn, config.registers);
    model.layerscale = config.layerscale.map_or(0.0, f64::from);
    model.norm_eps = config.norm_eps;
    model.positions = if config.rope.is_some() { PositionKind::Rope } else { PositionKind::Table };
    model.interpolate_offset = config.interpolation.offset;
    model.interpolate_antialias = config.interpolation.antialias;
    let fit = |side: usize| (side as f64 / config.patch as f64).round().max(1.0) as usize * config.patch;
    recipe.crops.global_size = fit(recipe.crops.global_size);
    recipe.crops.local_size = fit(recipe.crops.local_size);
    // Checked as a whole, as if it had come from a file.
    recipe.with_overrides(&[])
}

/// The recipe with the sizes of heads that come with weights.
pub fn recipe_with_heads(recipe: &Recipe, weights: &LoadedWeights) -> Recipe {
    let mut recipe = recipe.clone();
    let head = &mut recipe.head;
    if let Some(dino) = weights.heads.get("dino_head").and_then(head_config) {
        head.prototypes = dino.prototypes;
        (head.hidden, head.bottleneck, head.layers) = (dino.hidden, dino.bottleneck, dino.layers);
    }
    head.separate_ibot = weights.heads.contains_key("ibot_head");
    if let Some(ibot) = weights.heads.get("ibot_head").and_then(head_config) {
        (head.ibot_prototypes, head.ibot_bottleneck) = (ibot.prototypes, ibot.bottleneck);
    }
    recipe
}

/// Sizes of a head by its tensors.
pub fn head_config(dict: &StateDict) -> Option<DinoHeadConfig> {
    let [prototypes, bottleneck] = dict.get("last_layer.weight_v")?.shape[..] else { return None };
    let first = dict.get("mlp.0.weight").or_else(|| dict.get("mlp.weight"))?;
    let [out, dim] = first.shape[..] else { return None };
    let layers = dict.keys().filter(|key| key.starts_with("mlp.") && key.ends_with(".weight")).count();
    // A head of one layer has no hidden width; any will do.
    Some(DinoHeadConfig { dim, prototypes, hidden: out, bottleneck, layers })
}

/// A head with its weights; `None` when a tensor is missing.
pub fn head(dict: &StateDict, device: &Device) -> Option<DinoHead> {
    let head = DinoHead::init(&head_config(dict)?, &mut WeightInit::Zeros, device);
    let names = head.clone();
    let (head, missing) = params::load(head, dict, |path| names.official_key(path));
    missing.is_empty().then_some(head)
}

/// Fills a fresh state with what `start.weights` names; the state as it is when it names nothing.
///
/// The positions are resampled to the recipe's grid and stored so (Oquab et al. 2023, high-resolution adaptation).
///
/// # Errors
/// When the weights can't be opened or are another model than the recipe's.
pub fn fill(
    mut state: TrainerState,
    recipe: &Recipe,
    device: &Device,
) -> Result<TrainerState, WeightInitError> {
    const FIELD: &str = "start.weights";
    if recipe.start.weights.is_empty() {
        return Ok(state);
    }
    let (student, teacher) = if recipe.start.heads { both(&recipe.start.weights) } else { (None, None) };
    let named = |path: &Option<PathBuf>| match path {
        Some(path) => path.display().to_string(),
        None => recipe.start.weights.clone(),
    };
    let of_teacher = open(FIELD, &named(&teacher))?;
    let of_student = match student.is_some() {
        true => open(FIELD, &named(&student))?,
        false => of_teacher.clone(),
    };
    state.student = filled(state.student, of_student, recipe, FIELD, &device.clone().autodiff())?;
    state.teacher = filled(state.teacher, of_teacher, recipe, FIELD, device)?;
    // The same features go on: the pictures need no other colours.
    let checkpoint = model_source::weights_file(Path::new(&recipe.start.weights)).ok();
    state.colours = checkpoint.as_deref().and_then(Path::parent).and_then(colours_of);
    Ok(state)
}

/// Student and teacher of a run's newest checkpoint, or of a checkpoint's folder.
fn both(named: &str) -> (Option<PathBuf>, Option<PathBuf>) {
    let Ok(teacher) = model_source::weights_file(Path::new(named)) else { return (None, None) };
    let student = teacher.with_file_name("student.safetensors");
    let is_run = teacher.file_name().is_some_and(|name| name == "teacher.safetensors");
    if is_run && files::is_file(&student) { (Some(student), Some(teacher)) } else { (None, None) }
}

fn filled(
    mut network: Network,
    mut weights: LoadedWeights,
    recipe: &Recipe,
    field: &'static str,
    device: &Device,
) -> Result<Network, WeightInitError> {
    let wanted = network.backbone.config.clone();
    bring_pixels(field, &mut weights, &wanted.pixels)?;
    same_backbone(field, &weights, &wanted)?;
    regrid(&mut weights.backbone, &weights.config, &wanted);
    // The interpolation is the recipe's, whatever wrote the file.
    let (backbone, missing) = params::load(network.backbone, &weights.backbone, |path| path.to_owned());
    network.backbone = backbone;
    if let Some(key) = missing.first() {
        return Err(other(
            field,
            &weights.file,
            format!("without {key}"),
            describe(&wanted),
            "check the file",
        ));
    }
    if !recipe.start.heads {
        return Ok(network);
    }
    let fill = |own: Option<DinoHead>, name: &str| -> Result<Option<DinoHead>, WeightInitError> {
        let Some(own) = own else { return Ok(None) };
        let Some(dict) = weights.heads.get(name) else {
            let way_out = "start.heads = false begins with fresh ones";
            return Err(WeightInitError::NoHeads { field, file: weights.file.clone(), way_out });
        };
        let found = head(dict, device);
        let sizes = |head: &DinoHead| {
            let mut shapes = Vec::new();
            params::visit(head, |seen| shapes.push((seen.name.to_owned(), seen.shape)));
            shapes
        };
        match found {
            Some(found) if sizes(&found) == sizes(&own) => Ok(Some(found)),
            _ => {
                let (found, wanted) = (head_config(dict), head_config_of(&own));
                let text = |config: Option<DinoHeadConfig>| {
                    config.map_or(format!("an incomplete {name}"), |c| {
                        format!(
                            "a {name} of {} prototypes, bottleneck {}, hidden {}, {} layers",
                            c.prototypes, c.bottleneck, c.hidden, c.layers
                        )
                    })
                };
                let way_out = "set the fields of [head] to those sizes, or start.heads = false";
                Err(other(field, &weights.file, text(found), text(Some(wanted)), way_out))
            }
        }
    };
    network.dino_head = fill(network.dino_head, "dino_head")?;
    network.ibot_head = fill(network.ibot_head, "ibot_head")?;
    Ok(network)
}

fn head_config_of(head: &DinoHead) -> DinoHeadConfig {
    let [prototypes, bottleneck] = head.last_layer.weight_v.val().dims();
    let [hidden, dim] = head.mlp[0].weight.val().dims();
    DinoHeadConfig { dim, prototypes, hidden, bottleneck, layers: head.mlp.len() }
}

fn other(field: &'static str, file: &str, found: String, wanted: String, way_out: &str) -> WeightInitError {
    WeightInitError::Other { field, file: file.to_owned(), found, wanted, way_out: way_out.to_owned() }
}

/// A backbone in words.
pub fn describe(config: &VitConfig) -> String {
    let registers = match config.registers {
        0 => String::new(),
        n => format!(", {n} registers"),
    };
    let eps = match config.norm_eps {
        NORM_EPS => String::new(),
        eps => format!(", norms with {eps:e}"),
    };
    let positions = if config.rope.is_some() { ", rotary positions" } else { "" };
    let ffn = format!("{:?}", config.ffn).to_lowercase();
    let VitConfig { patch, dim, depth, heads, .. } = config;
    format!(
        "a ViT of {depth} blocks, {dim} wide, {heads} heads, patch {patch}, {ffn}{registers}{eps}{positions}"
    )
}

/// Fails unless the weights fit into the recipe's backbone, up to the position grid.
fn same_backbone(
    field: &'static str,
    weights: &LoadedWeights,
    wanted: &VitConfig,
) -> Result<(), WeightInitError> {
    let found = &weights.config;
    let sizes = |c: &VitConfig| {
        let positions = (c.rope.as_ref().map(|rope| rope.base), c.key_bias);
        let sizes = (c.patch, c.dim, c.depth, c.heads, c.ffn, c.hidden, c.registers);
        (sizes, c.layerscale.is_some(), c.qkv_bias, positions)
    };
    if sizes(found) == sizes(wanted) && found.norm_eps == wanted.norm_eps {
        return Ok(());
    }
    let ffn = format!("{:?}", found.ffn).to_lowercase();
    let way_out = format!(
        "set model.patch={} model.dim={} model.depth={} model.heads={} model.ffn={ffn} model.registers={} \
         model.layerscale={} model.norm_eps={:e} model.positions={}",
        found.patch,
        found.dim,
        found.depth,
        found.heads,
        found.registers,
        found.layerscale.unwrap_or(0.0),
        found.norm_eps,
        if found.rope.is_some() { "rope" } else { "table" }
    );
    Err(other(field, &weights.file, describe(found), describe(wanted), &way_out))
}

/// Brings weights to the pictures of a run: to their channels, where the weights are of colours, and to what they are
/// normalised by.
///
/// # Errors
/// When the weights are of other channels.
pub(super) fn bring_pixels(
    field: &'static str,
    weights: &mut LoadedWeights,
    pixels: &ChannelStatistics,
) -> Result<(), WeightInitError> {
    let found = weights.config.channels();
    if found != pixels.channels() {
        if found != RGB {
            let way_out = format!("set data.channels={found}");
            let [found, wanted] =
                [found, pixels.channels()].map(|channels| format!("a model of {channels} channels"));
            return Err(other(field, &weights.file, found, wanted, &way_out));
        }
        weights.config.pixels =
            change_channels(&mut weights.backbone, &weights.config.pixels, pixels.channels());
    }
    renormalize(&mut weights.backbone, &weights.config.pixels, pixels);
    weights.config.pixels = pixels.clone();
    Ok(())
}

/// Resamples the stored positions to another grid.
fn regrid(dict: &mut StateDict, from: &VitConfig, to: &VitConfig) {
    let PatchGrid { rows, cols } = to.grid;
    if from.grid == to.grid {
        return;
    }
    let Some(stored) = dict.get("pos_embed") else { return };
    let device = Device::flex();
    let shape = [1, 1 + from.grid.area(), from.dim];
    let table = Tensor::<3>::from_data(TensorData::new(stored.data.clone(), shape), &device);
    let resized = resample(table, from.grid, rows, cols, to.interpolation);
    let data: Vec<f32> = resized.into_data().iter::<f32>().collect();
    dict.insert("pos_embed".to_owned(), HostTensor::new([1, 1 + to.grid.area(), to.dim], data));
}

/// A backbone on a device from checked weights; the keys that were missing, of which there should be none.
pub(super) fn backbone(weights: &LoadedWeights, device: &Device) -> (Vit, Vec<String>) {
    params::load(Vit::unloaded(&weights.config, device), &weights.backbone, |path| path.to_owned())
}

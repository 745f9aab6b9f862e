//! From the keys of any file to a checked plan: which tensors to read, under which official names.
//!
//! Everything that can be wrong with names and shapes is found here, before any number is read.

use super::backbone_keys::{self, BackboneKeys};
use super::pixels::{PixelNormalization, change_channels, renormalize};
use super::pos_embed::{PosEmbedInfo, PosEmbedLayout};
use super::released::{DINOV3_LICENCE, ReleasedDinov3};
use super::rope_tensors::RopeTensors;
use super::shapes::{Shapes, expected_shapes, infer, wrong_shape};
use super::sidecar::{SidecarConfig, SidecarFiles};
use super::source::{TensorInfo, WeightsReader, not_weights};
use super::{
    HostTensor, KeyLayout, LoadedWeights, StateDict, WeightsError, WeightsLoadOptions, finite, heads,
    official, unsupported_models,
};
use dinoscope_data::RGB;
use dinoscope_data::channels::ChannelStatistics;
use dinoscope_model::config::{PosEmbedInterpolation, VitConfig, is_norm_eps};
use dinoscope_model::grid::PatchGrid;
use std::collections::{BTreeMap, BTreeSet};

/// How a note begins that says how many heads were assumed.
pub const HEADS_UNKNOWN: &str = "the file does not say how many attention heads it has";

/// Key of the metadata entry in which [`super::save`] keeps the whole configuration.
pub(super) const CONFIG_KEY: &str = "dinoscope.config";

/// Longest side of a grid that is said and not stored, in patches.
const MAX_GRID: usize = 1 << 12;

/// A part of an official tensor.
#[derive(Debug)]
enum TensorPiece {
    /// The file's tensor of this key.
    Stored(String),
    /// As many zeros.
    Zeros(usize),
}

/// One official tensor: its pieces after each other.
#[derive(Debug)]
struct TensorMapping {
    key: String,
    shape: Vec<usize>,
    from: Vec<TensorPiece>,
}

/// What to read, and what the result will be.
pub(super) struct WeightsLoadPlan {
    takes: Vec<TensorMapping>,
    /// By head: official name and the file's key.
    pub heads: BTreeMap<String, BTreeMap<String, String>>,
    pub config: VitConfig,
    pub layout: KeyLayout,
    pub notes: Vec<String>,
    /// How the table of positions is kept; `None` with rotary ones.
    positions: Option<PosEmbedLayout>,
    /// The file's rotary positions, where it holds them.
    rope: RopeTensors,
    /// What the file's pictures are normalised by, where it is not what everything here is.
    pixels: Option<ChannelStatistics>,
    /// How many channels it is to have, where a person asks for others than its own.
    channels: Option<usize>,
}

/// Decide how to read `source`, with what lies `beside` it and what a person says of it.
pub(super) fn resolve(
    source: &dyn WeightsReader,
    beside: &SidecarFiles,
    reading: WeightsLoadOptions,
) -> Result<WeightsLoadPlan, WeightsError> {
    read_names(source, beside, reading)
        .map_err(|failure| unsupported_models::explain(source, beside.config.as_deref(), failure))
}

fn read_names(
    source: &dyn WeightsReader,
    beside: &SidecarFiles,
    reading: WeightsLoadOptions,
) -> Result<WeightsLoadPlan, WeightsError> {
    let file = source.file();
    let reading = reading.split(file)?;
    let found = backbone_keys::find(source, reading.part)?;
    unsupported_models::refuse(file, found.inside.keys().map(String::as_str))?;
    let entry = |name: &str| found.inside.get(name).and_then(|key| source.entries().get(key));
    let shapes: Shapes =
        found.inside.keys().filter_map(|n| Some((n.clone(), entry(n)?.shape.clone()))).collect();
    let names = KeyTranslation::new(&found, shapes);
    let mut notes = found.notes.clone();

    // Our own files are complete: what lies beside them is another model's, or was obeyed when they were made.
    let own = source.metadata().get(CONFIG_KEY).map(|text| read_own(text, file)).transpose()?;
    let told_rope = own.as_ref().is_some_and(|own| own.rope.is_some());
    let rope = told_rope || (names.layout.entry().has_rope)(&names.shapes);
    let (mut config, count) =
        infer(&names.virtual_shapes(), file, rope).map_err(|e| names.in_file_terms(e))?;
    config.key_bias = (names.layout.entry().has_key_bias)(&names.shapes);
    let rotary = RopeTensors::find(source, &found, &mut config)?;
    let mut heads_known = config.dim.is_multiple_of(64) || rotary.periods.is_some();
    if let Some(interpolation) = (names.layout.entry().interpolation)(&config) {
        config.interpolation = interpolation;
    } else if !found.heads.is_empty() && config.registers > 0 {
        // All official recipes train with the offset, registers or not; only released files with registers differ.
        notes.push(
            "a training file with registers: positions are resampled as the official recipes do".into(),
        );
        config.interpolation = PosEmbedInterpolation::OFFSET;
    }
    let told = match own {
        Some(_) => SidecarConfig::default(),
        None => SidecarConfig::read(beside, names.layout, file, &config, reading.grid.is_some())?,
    };
    told.apply(&mut config);
    notes.extend(told.notes.iter().cloned());
    if let Some(heads) = told.heads {
        set_heads(&mut config, heads, file, "config.json")?;
        heads_known = true;
    }
    if let Some(heads) = reading.heads {
        set_heads(&mut config, heads, file, "--heads")?;
        heads_known = true;
    }
    let key = names.in_file(names.parts("pos_embed").first().map_or("pos_embed", String::as_str));
    let known = PosEmbedInfo {
        file,
        key: &key,
        layout: names.layout,
        registers: config.registers,
        count,
        asked: reading.grid,
        own: own.as_ref().map(|own| own.grid),
        config: told.grid,
        patches_alone: told.patches_alone,
    };
    let positions = if rope { None } else { Some(known.positions()?) };
    match positions {
        Some(positions) => {
            config.grid = positions.grid;
            let other = told.grid.filter(|told| *told != config.grid);
            notes.extend(other.map(|told| another_grid(told, config.grid)));
        }
        // Nothing is stored: any grid will do, and this is the one that pictures are cut for.
        None => {
            let said = [reading.grid, own.as_ref().map(|own| own.grid), told.grid];
            let usable =
                |grid: &PatchGrid| [grid.rows, grid.cols].iter().all(|side| (1..=MAX_GRID).contains(side));
            config.grid = said.into_iter().flatten().find(usable).unwrap_or(config.grid);
        }
    }
    let own_is_absent = own.is_none();
    if let Some(own) = own {
        apply_own(&own, &mut config, file, &mut notes)?;
        heads_known = true;
        // A person is believed before the file.
        if let Some(heads) = reading.heads {
            set_heads(&mut config, heads, file, "--heads")?;
        }
    }
    rotary.check(file, &config)?;
    let no_mask_token = !names.layout.entry().has_mask_token || told.no_mask_token;
    if !heads_known {
        let (heads, dim) = (config.heads, config.dim);
        notes.push(format!("{HEADS_UNKNOWN}; {heads} of {} dimensions are assumed", dim / heads));
    }

    let before = positions.map_or(1, |positions| positions.before);
    let stored = positions.map_or(0, PosEmbedLayout::count);
    let takes = takes(source, &found, &names, (&config, stored), no_mask_token, &mut notes)?;
    match before {
        0 => {
            notes.push("the CLS position was folded into the CLS token by timm; its row is zero here".into())
        }
        1 => {}
        _ => notes.push("its registers have positions; they are added to the registers here".into()),
    }
    let heads = plan_heads(source, &found, &config, &mut notes);
    let mut pixels = told.pixels.clone();
    if rope && own_is_absent {
        let released = ReleasedDinov3::of(file);
        notes.extend(released.is_some().then(|| DINOV3_LICENCE.to_owned()));
        if released == Some(ReleasedDinov3::Satellite) {
            pixels = pixels.or(Some((PixelNormalization::satellite(), "sat493m in its name")));
        }
    }
    notes.extend(pixels.as_ref().and_then(|(pixels, whose)| pixels.note(whose)));
    let pixels = pixels.map(|(pixels, _)| pixels.statistics());
    let channels = reading.channels.filter(|channels| *channels != config.channels());
    if let Some(channels) = channels
        && config.channels() != RGB
    {
        let reason = format!(
            "it has {} channels, and is to have {channels}: only a model of three colours can be made one of others; leave \
             channels out",
            config.channels()
        );
        return Err(WeightsError::Unsupported { file: file.into(), reason });
    }
    if config.channels() != RGB && own_is_absent && pixels.is_none() {
        let channels = config.channels();
        notes.push(format!(
            "the file does not say what its {channels} channels are normalised by; a mean and a deviation of 0.5 are assumed"
        ));
    }
    let layout = names.layout;
    Ok(WeightsLoadPlan { takes, heads, config, layout, notes, positions, rope: rotary, pixels, channels })
}

/// Says that a config.json is of pictures of another size.
fn another_grid(told: PatchGrid, found: PatchGrid) -> String {
    format!("config.json says that the grid is {told}, but the tensors have {found}; the tensors are right")
}

fn set_heads(config: &mut VitConfig, heads: usize, file: &str, whose: &str) -> Result<(), WeightsError> {
    if heads == 0 || !config.dim.is_multiple_of(heads) {
        let reason =
            format!("{whose} asks for {heads} attention heads, which a width of {} has not", config.dim);
        return Err(WeightsError::Unsupported { file: file.into(), reason });
    }
    config.heads = heads;
    Ok(())
}

fn read_own(text: &str, file: &str) -> Result<VitConfig, WeightsError> {
    serde_json::from_str(text).map_err(|e| {
        WeightsError::format(file, format!("its metadata entry {CONFIG_KEY} cannot be read: {e}"))
    })
}

/// Take from our own metadata what tensors do not tell; sizes come from the tensors in any case.
fn apply_own(
    own: &VitConfig,
    config: &mut VitConfig,
    file: &str,
    notes: &mut Vec<String>,
) -> Result<(), WeightsError> {
    set_heads(config, own.heads, file, CONFIG_KEY)?;
    if own.interpolation.offset.is_finite() && own.interpolation.offset.abs() < 1.0 {
        config.interpolation = own.interpolation;
    }
    if own.pixels.is_sound() && own.channels() == config.channels() {
        config.pixels = own.pixels.clone();
    }
    if is_norm_eps(own.norm_eps) {
        config.norm_eps = own.norm_eps;
    }
    if (0.0..1.0).contains(&own.drop_path) {
        config.drop_path = own.drop_path;
    }
    if let (Some(rope), Some(of_own)) = (&mut config.rope, &own.rope)
        && of_own.is_sound()
    {
        *rope = of_own.clone();
        config.key_bias = own.key_bias;
    }
    config.layerscale =
        config.layerscale.map(|value| own.layerscale.filter(|v| v.is_finite()).unwrap_or(value));
    if config != own {
        notes.push(format!(
            "its metadata entry {CONFIG_KEY} disagrees with the tensors; the tensors are right"
        ));
    }
    Ok(())
}

/// Names inside the backbone, and how they translate.
struct KeyTranslation<'a> {
    found: &'a BackboneKeys,
    layout: KeyLayout,
    packed: bool,
    /// Shapes by the name inside the file.
    shapes: Shapes,
    /// Official name (timm: after unchunking) to the name inside the file, for one-to-one names.
    plain: BTreeMap<String, String>,
}

impl<'a> KeyTranslation<'a> {
    fn new(found: &'a BackboneKeys, shapes: Shapes) -> Self {
        let flat: Shapes =
            shapes.iter().map(|(name, s)| (official::unchunked(name).into_owned(), s.clone())).collect();
        let layout = KeyLayout::of(&flat);
        let packed = (layout.entry().is_packed)(&flat);
        let mut this = Self { found, layout, packed, shapes, plain: BTreeMap::new() };
        for name in this.shapes.keys() {
            if let Some((key, 1)) = this.official(name) {
                this.plain.insert(key, name.clone());
            }
        }
        this
    }

    /// Official name of a name inside the file, and how many of them stack.
    fn official(&self, name: &str) -> Option<(String, usize)> {
        (self.layout.entry().official)(name, self.packed)
    }

    /// Names inside the file of an official key, whether they are there or not.
    fn parts(&self, key: &str) -> Vec<String> {
        match self.plain.get(key) {
            Some(name) => vec![name.clone()],
            None => (self.layout.entry().names)(key, &self.shapes),
        }
    }

    /// Shapes as the official layout would have them.
    fn virtual_shapes(&self) -> Shapes {
        let mut out = Shapes::new();
        for (name, shape) in &self.shapes {
            let Some((key, parts)) = self.official(name) else { continue };
            let mut shape = shape.clone();
            if let Some(rows) = shape.first_mut() {
                *rows = rows.saturating_mul(parts);
            }
            out.insert(key, shape);
        }
        out
    }

    /// The file's full key for a name inside the backbone.
    fn in_file(&self, name: &str) -> String {
        self.found.inside.get(name).cloned().unwrap_or_else(|| format!("{}{name}", self.found.root))
    }

    /// An error about official keys, said about the file's.
    fn in_file_terms(&self, error: WeightsError) -> WeightsError {
        let rename = |key: String| self.in_file(self.parts(&key).first().unwrap_or(&key));
        match error {
            WeightsError::Missing { file, key, expected, more } => {
                WeightsError::Missing { file, key: rename(key), expected, more }
            }
            WeightsError::Shape { file, key, expected, found } => {
                WeightsError::Shape { file, key: rename(key), expected, found }
            }
            other => other,
        }
    }
}

/// What to read for every expected key; everything else inside the backbone is an error.
fn takes(
    source: &dyn WeightsReader,
    found: &BackboneKeys,
    names: &KeyTranslation,
    (config, positions): (&VitConfig, usize),
    no_mask_token: bool,
    notes: &mut Vec<String>,
) -> Result<Vec<TensorMapping>, WeightsError> {
    let file = source.file();
    let (mut takes, mut used) = (Vec::new(), BTreeSet::new());
    let mut missing: Vec<(String, Vec<usize>)> = Vec::new();
    let mut misfits: Vec<WeightsError> = Vec::new();
    for (key, shape) in expected_shapes(config) {
        let parts = names.parts(&key);
        if key == "mask_token" && no_mask_token && !found.inside.contains_key(&parts[0]) {
            notes.push("the file has no mask token; it is zero here, as at the start of training".into());
            takes.push(TensorMapping { from: vec![TensorPiece::Zeros(config.dim)], key, shape });
            continue;
        }
        let mut shape = shape;
        if key == "pos_embed" {
            // As the file has them; they are brought into the official form once they are read.
            shape[1] = positions;
        }
        let keys_unbiased = !config.key_bias && key.ends_with(".attn.qkv.bias");
        let mut part_shape = shape.clone();
        part_shape[0] /= parts.len();
        let mut from = Vec::new();
        for (i, part) in parts.into_iter().enumerate() {
            match found.inside.get(&part).and_then(|full| Some((full, source.entries().get(full)?))) {
                // Of queries, keys and values the second has none.
                None if keys_unbiased && i == 1 => from.push(TensorPiece::Zeros(config.dim)),
                None => missing.push((names.in_file(&part), part_shape.clone())),
                Some((full, entry)) => {
                    misfits.extend(misfit(file, full, entry, &part_shape));
                    from.push(TensorPiece::Stored(full.clone()));
                }
            }
            used.insert(part);
        }
        takes.push(TensorMapping { from, key, shape });
    }
    if let Some((key, expected)) = missing.first().cloned() {
        return Err(WeightsError::Missing { file: file.into(), key, expected, more: missing.len() - 1 });
    }
    if let Some(first) = misfits.into_iter().next() {
        return Err(first);
    }
    let mut strange = Vec::new();
    for (name, full) in found.inside.iter().filter(|(name, _)| !used.contains(*name)) {
        let Some(entry) = source.entries().get(full) else { continue };
        if (names.layout.entry().is_aside)(name) {
            if name.starts_with(official::LOCAL_NORM) && name.ends_with("weight") {
                notes.push("its norm for local crops is for training alone, and was not read".into());
            }
            continue;
        }
        // An object among the tensors (training arguments, say) is remarked on; a tensor without a place is an error.
        if entry.dtype.bits().is_none() {
            notes.push(format!("`{full}` holds {}, which was not read", entry.dtype.name()));
        } else {
            strange.push((full.clone(), entry.shape.clone(), name));
        }
    }
    if let Some((key, found, _)) = strange.first().cloned() {
        return Err(WeightsError::Unexpected { file: file.into(), key, found, more: strange.len() - 1 });
    }
    Ok(takes)
}

fn misfit(file: &str, key: &str, entry: &TensorInfo, expected: &[usize]) -> Option<WeightsError> {
    if !entry.dtype.is_weight() {
        return Some(not_weights(file, key, entry));
    }
    // transformers keeps a mask token as one token of one picture.
    let same = entry.shape == expected
        || key.ends_with("mask_token") && entry.shape[..] == [&[1], expected].concat()[..];
    (!same).then(|| wrong_shape(file, key, expected, &entry.shape))
}

/// Which tensors make up the heads. A head of a kind that we do not know, or that does not fit the backbone, is remarked
/// on and left out: the backbone is no worse for it.
fn plan_heads(
    source: &dyn WeightsReader,
    found: &BackboneKeys,
    config: &VitConfig,
    notes: &mut Vec<String>,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut planned = BTreeMap::new();
    for (head, tensors) in &found.heads {
        let (mut shapes, mut origin) = (Shapes::new(), BTreeMap::new());
        let mut strange = None;
        for (name, full) in tensors {
            let Some(entry) = source.entries().get(full) else { continue };
            match heads::official(name).filter(|_| entry.dtype.is_weight()) {
                Some(key) => {
                    shapes.insert(key.clone(), entry.shape.clone());
                    origin.insert(key, full.clone());
                }
                None => strange = Some(full),
            }
        }
        if let Some(key) = strange {
            notes.push(format!("{head} was not read: `{key}` belongs to no head that DINOv2 trains"));
            continue;
        }
        match heads::check(&shapes, &origin, head, config.dim) {
            Ok(()) => drop(planned.insert(head.clone(), origin)),
            Err(reason) => notes.push(format!("{head} was not read: {reason}")),
        }
    }
    planned
}

impl WeightsLoadPlan {
    /// What the model will be: the file's, with the channels that a person asks for.
    pub fn made(&self) -> VitConfig {
        match self.channels {
            Some(channels) => self.config.clone().with_channels(channels),
            None => self.config.clone(),
        }
    }

    /// Read what was planned.
    pub fn read(self, source: &mut dyn WeightsReader) -> Result<LoadedWeights, WeightsError> {
        let (mut backbone, mut sound) = (StateDict::new(), finite::NonFiniteCounter::default());
        for take in self.takes {
            let tensor = match &take.from[..] {
                [TensorPiece::Stored(only)] => HostTensor { shape: take.shape, ..sound.read(source, only)? },
                pieces => {
                    let mut data = Vec::with_capacity(take.shape.iter().product());
                    for piece in pieces {
                        match piece {
                            TensorPiece::Zeros(count) => data.resize(data.len() + count, 0.0),
                            TensorPiece::Stored(part) => {
                                data.extend_from_slice(&sound.read(source, part)?.data);
                            }
                        }
                    }
                    HostTensor::new(take.shape, data)
                }
            };
            backbone.insert(take.key, tensor);
        }
        sound.check(source.file())?;
        if let Some(positions) = self.positions {
            positions.official(&mut backbone, self.config.registers);
        }
        let mut config = self.config;
        self.rope.read(source, &mut backbone, &mut config)?;
        match self.pixels {
            Some(pixels) if config.channels() == RGB => renormalize(&mut backbone, &pixels, &config.pixels),
            Some(pixels) => config.pixels = pixels,
            None => {}
        }
        if let Some(channels) = self.channels {
            config.pixels = change_channels(&mut backbone, &config.pixels, channels);
        }
        let (layout, mut notes) = (self.layout, self.notes);
        let mut heads = BTreeMap::new();
        for (head, tensors) in self.heads {
            let (mut read, mut sound) = (StateDict::new(), finite::NonFiniteCounter::default());
            for (key, full) in tensors {
                read.insert(key, sound.read(source, &full)?);
            }
            match sound.check(source.file()) {
                Ok(()) => drop(heads.insert(head, read)),
                Err(reason) => notes.push(format!("{head} was not read: {reason}")),
            }
        }
        Ok(LoadedWeights { backbone, heads, config, layout, notes, file: source.file().into() })
    }
}

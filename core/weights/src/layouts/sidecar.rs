//! What a `config.json` beside a weights file says that tensors do not: of Hugging Face, or of timm.
//!
//! Every value that changes what a model computes is obeyed, or refused by its name. Sizes that tensors tell are theirs.

use crate::pixels::PixelNormalization;
use crate::{KeyLayout, WeightsError, hugging_face_rope};
use dinoscope_model::config::{FfnKind, VitConfig, is_norm_eps};
use dinoscope_model::grid::PatchGrid;
use dinoscope_model::rope::RopeConfig;
use serde_json::Value;

/// JSON files that lie beside a weights file.
#[derive(Clone, Debug, Default)]
pub(crate) struct SidecarFiles {
    /// `config.json`
    pub config: Option<Vec<u8>>,
    /// `preprocessor_config.json`
    pub preprocessor: Option<Vec<u8>>,
}

/// What they say.
#[derive(Debug, Default)]
pub(crate) struct SidecarConfig {
    pub heads: Option<usize>,
    pub norm_eps: Option<f64>,
    pub rope: Option<RopeConfig>,
    pub layerscale: Option<f32>,
    pub drop_path: Option<f64>,
    /// Whether the model was saved without a mask token.
    pub no_mask_token: bool,
    /// Grid of the picture size.
    pub grid: Option<PatchGrid>,
    /// timm's `no_embed_class`.
    pub patches_alone: Option<bool>,
    /// What a pixel is for the model, and which file says so.
    pub pixels: Option<(PixelNormalization, &'static str)>,
    /// Where config.json and tensors disagree.
    pub notes: Vec<String>,
}

/// A `config.json` on its way into [`SidecarConfig`].
struct ConfigJsonReader<'a> {
    json: &'a Value,
    file: &'a str,
    /// Sizes that the tensors tell.
    sizes: &'a VitConfig,
    grid_is_known: bool,
}

impl SidecarConfig {
    /// Reads what lies beside `file`, whose tensors have `sizes`; `grid_is_known` when a person names the grid.
    ///
    /// A config.json of Hugging Face counts for files with their names, and for others where its sizes are the tensors';
    /// one of timm for files with timm's names.
    ///
    /// # Errors
    /// If it is no JSON, or asks for what is not computed here.
    pub fn read(
        beside: &SidecarFiles,
        layout: KeyLayout,
        file: &str,
        sizes: &VitConfig,
        grid_is_known: bool,
    ) -> Result<Self, WeightsError> {
        let mut told = Self::default();
        if let Some(bytes) = &beside.config {
            let json: Option<Value> = match serde_json::from_slice(bytes) {
                Ok(json) => Some(json),
                Err(e) if layout == KeyLayout::HuggingFace => {
                    let reason = format!("the config.json beside it is not valid JSON: {e}");
                    return Err(WeightsError::format(file, reason));
                }
                // A file of another kind that happens to lie there.
                Err(_) => None,
            };
            if let Some(json) = json.as_ref().map(of_backbone) {
                let reader = ConfigJsonReader { json, file, sizes, grid_is_known };
                let is_timm =
                    ["architecture", "model_args", "pretrained_cfg"].iter().any(|f| json.get(f).is_some());
                if layout == KeyLayout::HuggingFace || !is_timm && reader.describes_this() {
                    told = reader.hugging_face(layout)?;
                } else if is_timm && layout == KeyLayout::Timm {
                    told = reader.timm()?;
                }
            }
        }
        if let Some(json) = beside.preprocessor.as_ref().filter(|_| layout == KeyLayout::HuggingFace) {
            told.pixels = PixelNormalization::hugging_face(json, sizes.channels(), file)?
                .map(|pixels| (pixels, "preprocessor_config.json"));
        }
        Ok(told)
    }

    /// Puts what was told into `config`; heads and grid are the caller's.
    pub fn apply(&self, config: &mut VitConfig) {
        config.norm_eps = self.norm_eps.unwrap_or(config.norm_eps);
        config.layerscale = config.layerscale.map(|value| self.layerscale.unwrap_or(value));
        config.drop_path = self.drop_path.unwrap_or(config.drop_path);
        if let (Some(rope), Some(told)) = (&mut config.rope, &self.rope) {
            *rope = told.clone();
        }
    }
}

/// The part of a `config.json` of transformers that is about the backbone: of a model around one (for depth, or for
/// language) that is an entry of it.
fn of_backbone(json: &Value) -> &Value {
    let is_backbone = |json: &Value| {
        let kind = json.get("model_type").and_then(Value::as_str);
        kind.is_some_and(|kind| kind.starts_with("dinov2") || kind == hugging_face_rope::MODEL_TYPE)
    };
    let inside =
        ["backbone_config", "vision_config", "encoder"].into_iter().filter_map(|field| json.get(field));
    if is_backbone(json) { json } else { inside.into_iter().find(|inner| is_backbone(inner)).unwrap_or(json) }
}

impl ConfigJsonReader<'_> {
    fn number(&self, of: &Value, field: &str) -> Option<usize> {
        of.get(field).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())
    }

    /// Whether a Hugging Face config.json is of a model with these sizes.
    fn describes_this(&self) -> bool {
        [
            ("hidden_size", self.sizes.dim),
            ("num_hidden_layers", self.sizes.depth),
            ("patch_size", self.sizes.patch),
        ]
        .into_iter()
        .all(|(field, size)| self.number(self.json, field) == Some(size))
    }

    fn refused(&self, reason: String) -> WeightsError {
        WeightsError::Unsupported { file: self.file.into(), reason }
    }

    /// An error for a value that another program would compute with.
    fn not_here(&self, field: &str, value: &Value, instead: &str) -> WeightsError {
        self.refused(format!(
            "the config.json beside it asks for {field} {value}, which Dinoscope does not compute: {instead}. Where the \
             model was trained otherwise, set it right; else use the program that wrote it"
        ))
    }

    /// A value of `field` that a LayerNorm can be computed with.
    fn eps(&self, of: &Value, field: &str) -> Result<Option<f64>, WeightsError> {
        let Some(value) = of.get(field).filter(|value| !value.is_null()) else { return Ok(None) };
        match value.as_f64().filter(|eps| is_norm_eps(*eps)) {
            Some(eps) => Ok(Some(eps)),
            None => Err(self.refused(format!(
                "the config.json beside it has {field} {value}; expected a number that is not negative, such as 1e-6"
            ))),
        }
    }

    /// The grid of a picture size in pixels: a side, or height and width.
    fn grid(&self, size: Option<&Value>) -> Option<PatchGrid> {
        let side = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
        let (height, width) = match size? {
            Value::Array(sides) => match &sides[..] {
                [height, width] => (side(height)?, side(width)?),
                _ => return None,
            },
            one => (side(one)?, side(one)?),
        };
        let patch = self.sizes.patch.max(1);
        Some(PatchGrid::new(height / patch, width / patch)).filter(|grid| grid.area() > 0)
    }

    /// `config.json` of `transformers`; its defaults are those of `Dinov2Config`.
    fn hugging_face(&self, layout: KeyLayout) -> Result<SidecarConfig, WeightsError> {
        let Self { json, sizes, .. } = *self;
        let mut told = SidecarConfig {
            heads: self.number(json, "num_attention_heads"),
            norm_eps: self.eps(json, "layer_norm_eps")?,
            no_mask_token: json.get("use_mask_token") == Some(&Value::Bool(false)),
            grid: self.grid(json.get("image_size")),
            ..SidecarConfig::default()
        };
        if let Some(activation) = json.get("hidden_act").filter(|value| !value.is_null())
            && !matches!(activation.as_str(), Some("gelu" | "gelu_python"))
            && sizes.ffn == FfnKind::Mlp
        {
            return Err(self.not_here("hidden_act", activation, "DINOv2's is \"gelu\""));
        }
        if json.get("qkv_bias") == Some(&Value::Bool(false)) && sizes.qkv_bias {
            let reason = "the config.json beside it says qkv_bias false, but the file holds biases of queries, keys and \
                          values; transformers would leave them out: set it to true, or take them out of the file";
            return Err(self.refused(reason.into()));
        }
        if let Some(grid) = told
            .grid
            .filter(|grid| layout == KeyLayout::HuggingFace && !self.grid_is_known && !grid.is_square())
            .filter(|_| sizes.rope.is_none())
            && let Some(square) = PatchGrid::of_area(grid.area())
        {
            // `transformers` folds every table into a square one, and refuses those that can't be.
            return Err(self.refused(format!(
                "the config.json beside it has image_size {}, a grid of {grid} patches, but transformers reads its \
                 positions as {square}. Say which it is: dinoscope weights convert {} OUT.safetensors --to official \
                 --grid {}x{} (or {}x{})",
                json["image_size"], self.file, grid.rows, grid.cols, square.rows, square.cols
            )));
        }
        for (field, found) in [
            ("hidden_size", sizes.dim),
            ("num_hidden_layers", sizes.depth),
            ("patch_size", sizes.patch),
            ("num_register_tokens", sizes.registers),
        ] {
            if let Some(said) = self.number(json, field).filter(|&said| said != found) {
                told.notes.push(format!(
                    "config.json says {field} {said}, but the tensors say {found}; the tensors are right"
                ));
            }
        }
        if sizes.rope.is_some() {
            let width = sizes.dim / told.heads.unwrap_or(sizes.heads).max(1);
            let rope = hugging_face_rope::rope(json, width)
                .map_err(|value| self.refused(format!("the config.json beside it has {value}")))?;
            told.rope = Some(rope);
        }
        let finite = |field: &str| json.get(field).and_then(Value::as_f64).filter(|v| v.is_finite());
        told.layerscale = finite("layerscale_value").map(|value| value as f32);
        told.drop_path = finite("drop_path_rate").filter(|rate| (0.0..1.0).contains(rate));
        Ok(told)
    }

    /// `config.json` of timm, as its models on the Hub have it: `model_args` are what differs from the architecture.
    fn timm(&self) -> Result<SidecarConfig, WeightsError> {
        let nothing = Value::Null;
        let args = self.json.get("model_args").unwrap_or(&nothing);
        // Older files have the fields of `pretrained_cfg` beside everything else.
        let cfg = self.json.get("pretrained_cfg").unwrap_or(self.json);
        let packed = self.sizes.ffn == FfnKind::SwiGlu;
        let (activation, ffn) = if packed { ("silu", "swiglupacked") } else { ("gelu", "mlp") };
        for (field, fine) in [
            ("act_layer", activation),
            ("mlp_layer", ffn),
            ("norm_layer", "layernorm"),
            ("block_fn", "block"),
            ("attn_layer", "attention"),
            ("embed_layer", "patchembed"),
        ] {
            let value = args.get(field).filter(|value| !value.is_null());
            if let Some(value) = value.filter(|v| !v.as_str().is_some_and(|v| v.eq_ignore_ascii_case(fine))) {
                return Err(self.not_here(field, value, &format!("DINOv2's is \"{fine}\"")));
            }
        }
        for (field, fine) in [
            ("qk_norm", false),
            ("pre_norm", false),
            ("scale_attn_norm", false),
            ("scale_mlp_norm", false),
            ("class_token", true),
            ("final_norm", true),
        ] {
            if let Some(value) = args.get(field).filter(|value| **value == Value::Bool(!fine)) {
                return Err(self.not_here(field, value, &format!("DINOv2 has {fine}")));
            }
        }
        let input = cfg.get("input_size").and_then(Value::as_array);
        let input = input.filter(|size| size.len() == 3).map(|size| Value::from(&size[1..]));
        // Some of timm's models are made with another epsilon by name of the field of other families.
        let named = ["norm_eps", "layer_norm_eps"].into_iter().map(|field| self.eps(args, field));
        let eps: Vec<_> = named.collect::<Result<_, _>>()?;
        Ok(SidecarConfig {
            heads: self.number(args, "num_heads"),
            norm_eps: eps.into_iter().flatten().next(),
            grid: self.grid(args.get("img_size")).or_else(|| self.grid(input.as_ref())),
            patches_alone: args.get("no_embed_class").and_then(Value::as_bool),
            pixels: PixelNormalization::timm(cfg, self.sizes.channels(), self.file)?
                .map(|pixels| (pixels, "config.json")),
            ..SidecarConfig::default()
        })
    }
}

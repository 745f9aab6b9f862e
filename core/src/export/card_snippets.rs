//! How converted weights are loaded elsewhere: programs that run as they are printed.
//!
//! `tests/interop/handover_check.py` takes them from the card and runs them.

use super::card::{ModelCard, ModelExportFormat, shell};
use crate::data::RGB;
use crate::data::channels::ChannelStatistics;
use crate::model::config::{FfnKind, NORM_EPS, ROPE_NORM_EPS, VitConfig};
use crate::weights::{KeyLayout, crop_side, mlp_ratio, onnx, shortest_edge};

/// A program with a sentence before it.
pub(super) struct CardSnippet {
    pub intro: String,
    pub language: &'static str,
    /// Ends with a line break.
    pub code: String,
}

/// Where the official code is: for tables of positions, and for rotary ones.
const OFFICIAL: &str = "https://github.com/facebookresearch/dinov2";
const OFFICIAL_ROPE: &str = "https://github.com/facebookresearch/dinov3";

/// Why the program that the weights are named for can't run them, if so.
pub(super) fn incompatibility_note(card: &ModelCard) -> Option<String> {
    if card.config.grid.is_square() || card.config.rope.is_some() {
        return None;
    }
    let who = match card.written {
        ModelExportFormat::Weights(KeyLayout::HuggingFace) => "`transformers`",
        ModelExportFormat::Weights(KeyLayout::Official) => "The official code",
        ModelExportFormat::Weights(KeyLayout::Timm)
        | ModelExportFormat::Onnx(_)
        | ModelExportFormat::OnnxFolder(_) => return None,
    };
    Some(format!(
        "{who} resamples square grids of positions alone, and this one is {}: for other programs convert it with \
         `--to timm` or `--to onnx`.",
        card.config.grid
    ))
}

/// The programs that the weights were written for, and Dinoscope where it reads them.
pub(super) fn snippets(card: &ModelCard) -> Vec<CardSnippet> {
    let python = |intro: String, code: String| CardSnippet { intro, language: "python", code };
    let runtime = |file: &str, size| {
        python("With [ONNX Runtime](https://onnxruntime.ai):".to_owned(), graph(card.config, file, size))
    };
    let first = match card.written {
        _ if incompatibility_note(card).is_some() => Vec::new(),
        ModelExportFormat::Weights(KeyLayout::HuggingFace) => vec![python(
            "With [transformers](https://huggingface.co/docs/transformers), in this folder or with its name on the Hub in \
             place of `.`:"
                .to_owned(),
            transformers(card.config),
        )],
        ModelExportFormat::Weights(KeyLayout::Timm) => {
            vec![python("With [timm](https://huggingface.co/docs/timm):".to_owned(), timm(card.config, card.file))]
        }
        ModelExportFormat::Weights(KeyLayout::Official) => vec![python(
            format!(
                "With the [official code]({}), from a checkout of it:",
                if card.config.rope.is_some() { OFFICIAL_ROPE } else { OFFICIAL }
            ),
            official(card.config, card.file),
        )],
        ModelExportFormat::Onnx(size) => vec![runtime(card.file, size)],
        ModelExportFormat::OnnxFolder(size) if card.config.channels() == RGB => {
            vec![javascript(card.config, size), runtime(onnx::MODEL, size)]
        }
        ModelExportFormat::OnnxFolder(size) => vec![runtime(onnx::MODEL, size)],
    };
    let weights = match card.written {
        ModelExportFormat::Weights(KeyLayout::HuggingFace) => Some(".".to_owned()),
        ModelExportFormat::Weights(_) => Some(shell(card.file)),
        ModelExportFormat::Onnx(_) | ModelExportFormat::OnnxFolder(_) => None,
    };
    let dinoscope = weights.map(|weights| CardSnippet {
        intro: "With Dinoscope: colours, attention maps and raw numbers of a picture.".to_owned(),
        language: "sh",
        code: format!("dinoscope features picture.jpg --weights {weights} --out seen\n"),
    });
    first.into_iter().chain(dinoscope).collect()
}

/// What makes every norm of a loaded `model` compute with the epsilon of these weights, where another is built in.
fn epsilon(config: &VitConfig) -> String {
    let built_in = if config.rope.is_some() { ROPE_NORM_EPS } else { NORM_EPS };
    if config.norm_eps == built_in {
        return String::new();
    }
    format!(
        r#"for module in model.modules():
    if isinstance(module, torch.nn.LayerNorm):
        module.eps = {:e}
"#,
        config.norm_eps
    )
}

/// `img_size` of timm and of the official code.
fn img_size(config: &VitConfig) -> String {
    match config.image() {
        (height, width) if height == width => format!("img_size={height}"),
        (height, width) => format!("img_size=({height}, {width})"),
    }
}

/// Options of timm and of the official code that have one name.
fn sizes(config: &VitConfig) -> Vec<String> {
    vec![
        img_size(config),
        format!("patch_size={}", config.patch),
        format!("embed_dim={}", config.dim),
        format!("depth={}", config.depth),
        format!("num_heads={}", config.heads),
    ]
}

/// `tokens` into `cls` and `patches`.
fn split(config: &VitConfig) -> String {
    format!("cls, patches = tokens[:, 0], tokens[:, {}:]\n", config.prefix())
}

/// Whether pictures have colours, and are normalised by ImageNet's statistics.
fn is_usual(config: &VitConfig) -> bool {
    config.pixels == ChannelStatistics::image_net()
}

/// How a program in PyTorch gets a picture: what it imports, what it does with it, and what it hands to the model.
struct TorchInput {
    import: &'static str,
    lines: String,
    pixels: &'static str,
}

impl TorchInput {
    /// Through `transform`, a line or more that make one, where pictures are the usual ones.
    fn of(config: &VitConfig, transform: String) -> Self {
        if is_usual(config) {
            return Self {
                import: "from PIL import Image",
                lines: format!("{transform}\nimage = Image.open(\"picture.jpg\").convert(\"RGB\")\n"),
                pixels: "transform(image)[None]",
            };
        }
        let lines = format!(
            "picture = torch.from_numpy(np.load(\"picture.npy\")) / 255  # {} channels of 8 bits: [channels, height, width]\n\
             mean, std = torch.tensor({:?}), torch.tensor({:?})\n\
             pixels = ((picture - mean[:, None, None]) / std[:, None, None])[None]\n",
            config.channels(),
            config.pixels.mean,
            config.pixels.deviation
        );
        Self { import: "import numpy as np", lines, pixels: "pixels" }
    }
}

/// The option of timm and of the official code for other pictures than of colours.
fn in_chans(config: &VitConfig) -> Option<String> {
    (config.channels() != RGB).then(|| format!("in_chans={}", config.channels()))
}

fn transformers(config: &VitConfig) -> String {
    if config.channels() != RGB {
        let TorchInput { import, lines, .. } = TorchInput::of(config, String::new());
        return format!(
            r#"{import}
import torch
from transformers import AutoModel

model = AutoModel.from_pretrained(".").eval()

{lines}with torch.no_grad():
    tokens = model(pixel_values=pixels).last_hidden_state
{}"#,
            split(config)
        );
    }
    format!(
        r#"import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel

processor = AutoImageProcessor.from_pretrained(".")
model = AutoModel.from_pretrained(".").eval()

image = Image.open("picture.jpg").convert("RGB")
with torch.no_grad():
    tokens = model(**processor(images=image, return_tensors="pt")).last_hidden_state
{}"#,
        split(config)
    )
}

fn timm(config: &VitConfig, file: &str) -> String {
    let swiglu = config.ffn == FfnKind::SwiGlu;
    let mut options = sizes(config);
    options.extend(in_chans(config));
    // A little more than the quotient: what timm computes from it is rounded down.
    let ratio = |wide: usize| (wide as f64 + 0.5) / config.dim as f64;
    if let Some(rope) = &config.rope {
        options.push(format!("mlp_ratio={}", ratio(config.hidden)));
        if swiglu {
            options.push("swiglu_mlp=True".to_owned());
            options.push("swiglu_align_to=1".to_owned());
        }
        options.push(format!("rope_temperature={}", rope.base));
        options.push(format!("num_reg_tokens={}", config.registers));
    } else if swiglu {
        options.push(format!("mlp_ratio={}", ratio(2 * config.hidden)));
        options.push("mlp_layer=timm.layers.SwiGLUPacked".to_owned());
        options.push("act_layer=torch.nn.SiLU".to_owned());
    } else if config.hidden != 4 * config.dim {
        options.push(format!("mlp_ratio={}", ratio(config.hidden)));
    }
    if config.registers > 0 && config.rope.is_none() {
        options.push(format!("reg_tokens={}", config.registers));
        options.push("no_embed_class=True".to_owned());
    }
    if !config.qkv_bias {
        options.push("qkv_bias=False".to_owned());
    }
    if config.layerscale.is_none() {
        options.push(if config.rope.is_some() { "init_values=None" } else { "init_values=0" }.to_owned());
    }
    options.push("num_classes=0".to_owned());
    options.push("dynamic_img_size=True".to_owned());
    let options: String = options.iter().map(|option| format!("    {option},\n")).collect();
    let side = crop_side(config);
    let transform =
        format!("transform = timm.data.create_transform(({side}, {side}), interpolation=\"bicubic\")");
    let TorchInput { import, lines, pixels } = TorchInput::of(config, transform);
    format!(
        r#"import timm
import torch
{import}
from safetensors.torch import load_file

model = timm.create_model(
    {},
{options})
model.load_state_dict(load_file({}))
{}model.eval()

{lines}with torch.no_grad():
    tokens = model.forward_features({pixels})
{}"#,
        python(if config.rope.is_some() {
            "vit_small_patch16_dinov3_qkvb"
        } else {
            "vit_small_patch14_dinov2"
        }),
        python(file),
        epsilon(config),
        split(config)
    )
}

/// The ratio from which the official code computes the hidden width.
fn ratio(config: &VitConfig) -> String {
    // Where no ratio gives this width, whoever tries is told so by the shapes.
    mlp_ratio(config)
        .map_or_else(|_| (config.hidden as f64 / config.dim as f64).to_string(), |r| r.to_string())
}

/// The backbone of DINOv3's code, which has other options.
fn official_rope(config: &VitConfig, base: f64) -> (&'static str, Vec<String>) {
    let mut options = sizes(config);
    options.extend([
        format!("ffn_ratio={}", ratio(config)),
        format!("n_storage_tokens={}", config.registers),
        format!("layerscale_init={}", config.layerscale.map_or("None", |_| "1.0")),
        format!("mask_k_bias={}", if config.key_bias { "False" } else { "True" }),
        "norm_layer=\"layernormbf16\"".to_owned(),
        format!("pos_embed_rope_base={base:?}"),
        "pos_embed_rope_dtype=\"fp32\"".to_owned(),
    ]);
    if config.ffn == FfnKind::SwiGlu {
        options.push("ffn_layer=\"swiglu\"".to_owned());
    }
    if !config.qkv_bias {
        options.push("qkv_bias=False".to_owned());
    }
    ("dinov3", options)
}

/// The backbone of DINOv2's code.
fn official_table(config: &VitConfig) -> (&'static str, Vec<String>) {
    let mut options = sizes(config);
    options.extend([
        format!("num_register_tokens={}", config.registers),
        format!("init_values={}", config.layerscale.map_or("None", |_| "1.0")),
        "block_chunks=0".to_owned(),
    ]);
    options.push(format!("mlp_ratio={}", ratio(config)));
    if config.ffn == FfnKind::SwiGlu {
        options.push("ffn_layer=\"swiglufused\"".to_owned());
    }
    if !config.qkv_bias {
        options.push("qkv_bias=False".to_owned());
    }
    options.push(format!("interpolate_offset={:?}", config.interpolation.offset));
    options.push(format!(
        "interpolate_antialias={}",
        if config.interpolation.antialias { "True" } else { "False" }
    ));
    ("dinov2", options)
}

fn official(config: &VitConfig, file: &str) -> String {
    let (package, mut options) = match &config.rope {
        Some(rope) => official_rope(config, rope.base),
        None => official_table(config),
    };
    options.extend(in_chans(config));
    let options: String = options.iter().map(|option| format!("    {option},\n")).collect();
    let TorchInput { import, lines, pixels } = TorchInput::of(config, torchvision(crop_side(config)));
    let torchvision = if is_usual(config) { "from torchvision.transforms import v2\n" } else { "" };
    format!(
        r#"import torch
from {package}.models.vision_transformer import DinoVisionTransformer
{import}
from safetensors.torch import load_file
{torchvision}
model = DinoVisionTransformer(
{options})
model.load_state_dict(load_file({}))
{}model.eval()

{lines}with torch.no_grad():
    features = model.forward_features({pixels})
cls, patches = features["x_norm_clstoken"], features["x_norm_patchtokens"]
"#,
        python(file),
        epsilon(config)
    )
}

/// The usual view: the shorter side made a little longer than the crop, the middle of it.
fn torchvision(side: usize) -> String {
    format!(
        r"transform = v2.Compose([
    v2.ToImage(),
    v2.Resize({}, interpolation=v2.InterpolationMode.BICUBIC),
    v2.CenterCrop({side}),
    v2.ToDtype(torch.float32, scale=True),
    v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
])",
        shortest_edge(side)
    )
}

/// Height and width of the pictures that a graph is shown.
fn shown(config: &VitConfig, size: onnx::OnnxInputSize) -> (usize, usize) {
    match size {
        onnx::OnnxInputSize::Free => (crop_side(config), crop_side(config)),
        onnx::OnnxInputSize::Fixed { height, width } => (height, width),
    }
}

fn javascript(config: &VitConfig, size: onnx::OnnxInputSize) -> CardSnippet {
    let (height, width) = shown(config, size);
    let (rows, cols) = (height / config.patch, width / config.patch);
    let prefix = config.prefix();
    let intro = "With [transformers.js](https://huggingface.co/docs/transformers.js): in Node from this folder, elsewhere \
                 with its name on the Hub in place of `./`. Its numbers are f32; there is no quantised file.";
    let code = format!(
        r#"import {{ pipeline }} from "@huggingface/transformers";

const look = await pipeline("image-feature-extraction", "./", {{ dtype: "fp32" }});
const tokens = await look("picture.jpg"); // [1, {}, {}]
const cls = tokens.slice(null, 0);
const patches = tokens.slice(null, [{prefix}, null]); // {rows} rows of {cols}
"#,
        prefix + rows * cols,
        config.dim,
    );
    CardSnippet { intro: intro.to_owned(), language: "js", code }
}

fn graph(config: &VitConfig, file: &str, size: onnx::OnnxInputSize) -> String {
    let (height, width) = shown(config, size);
    if !is_usual(config) {
        let ChannelStatistics { mean, deviation } = &config.pixels;
        return format!(
            r#"import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession({})

picture = np.load("picture.npy") / 255  # {} channels of 8 bits: [channels, {height}, {width}]
pixels = (picture.transpose(1, 2, 0) - {mean:?}) / {deviation:?}
pixels = pixels.transpose(2, 0, 1)[None].astype(np.float32)
tokens = session.run(["last_hidden_state"], {{"pixel_values": pixels}})[0]
{}"#,
            python(file),
            config.channels(),
            split(config)
        );
    }
    format!(
        r#"import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession({})

image = Image.open("picture.jpg").convert("RGB").resize(({width}, {height}), Image.Resampling.BICUBIC)
pixels = (np.asarray(image) / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
pixels = pixels.transpose(2, 0, 1)[None].astype(np.float32)
tokens = session.run(["last_hidden_state"], {{"pixel_values": pixels}})[0]
{}"#,
        python(file),
        split(config)
    )
}

/// A name as Python writes it.
fn python(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

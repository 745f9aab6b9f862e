//! Readers of what is in memory: weights, recipes, lists, messages between a page and its workers.

use anyhow::{Context, Result};
use dinoscope::wire::{self, StartRunRequest, WorkerRequest, WorkerResponse};
use dinoscope_core::data::Picture;
use dinoscope_core::data::source::listed;
use dinoscope_core::train::Recipe;
use dinoscope_core::train::protocol::RunCommand;
use dinoscope_core::weights::{self, KeyLayout};

use super::mutate::FuzzMutator;
use super::{FuzzReader, FuzzTarget, corpus, told};

/// The targets of this file.
pub const TARGETS: &[FuzzTarget] = &[
    FuzzTarget {
        name: "pth",
        reads: "PyTorch's archives (.pth), as bytes",
        open: |_| Ok(Box::new(PthReader::whole()?)),
    },
    FuzzTarget {
        name: "pickle",
        reads: "the pickle in such an archive",
        open: |_| Ok(Box::new(PthReader::pickle()?)),
    },
    FuzzTarget {
        name: "safetensors",
        reads: "safetensors",
        open: |_| Ok(Box::new(SafetensorsReader::new()?)),
    },
    FuzzTarget {
        name: "config",
        reads: "config.json beside weights",
        open: |_| Ok(Box::new(ConfigReader::new()?)),
    },
    FuzzTarget { name: "recipe", reads: "recipes (TOML)", open: |_| Ok(Box::new(RecipeReader)) },
    FuzzTarget { name: "list", reads: "lists and tables of pictures", open: |_| Ok(Box::new(ListReader)) },
    FuzzTarget {
        name: "wire-request",
        reads: "what a page says to a worker",
        open: |_| Ok(Box::new(RequestReader)),
    },
    FuzzTarget {
        name: "wire-response",
        reads: "what a worker says to a page",
        open: |_| Ok(Box::new(ResponseReader)),
    },
];

/// An archive without its pickle.
struct PickledArchive {
    /// What the pickle is called.
    name: String,
    /// Name and content.
    others: Vec<(String, Vec<u8>)>,
}

/// Two of PyTorch's own files; either all of one is changed or its pickle alone, and packed again.
struct PthReader {
    corpus: Vec<Vec<u8>>,
    /// The other files of the archive, where the pickle alone is changed.
    around: Option<PickledArchive>,
}

impl PthReader {
    fn whole() -> Result<Self> {
        let corpus = ["official_vit.pth", "official_vit_reg4.pth"].map(corpus::fixture);
        Ok(Self { corpus: corpus.into_iter().collect::<Result<_>>()?, around: None })
    }

    fn pickle() -> Result<Self> {
        let mut others = corpus::unzip(&corpus::fixture("official_vit.pth")?)?;
        let at = others.iter().position(|(name, _)| name.ends_with("data.pkl")).context("no pickle in it")?;
        let (name, pickle) = others.remove(at);
        Ok(Self { corpus: vec![pickle], around: Some(PickledArchive { name, others }) })
    }
}

impl FuzzReader for PthReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        self.corpus.clone()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"}q\x00(",
            b"ctorch._utils\n_rebuild_tensor_v2\n",
            b"ccollections\nOrderedDict\n",
            b"cos\nsystem\n",
            b"R",
            b"t",
            b"u.",
            b"K\xff",
            b"J\xff\xff\xff\x7f",
            b"\x8a\x08",
            b"h\x00",
            b"r\xff\xff\xff\x7f",
            b"Q",
            b"}",
            b"(",
            b"\x85",
            b"\x86",
            b"\x87",
            b"0",
            b"2",
        ]
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        let archive = match &self.around {
            Some(PickledArchive { name, others }) => {
                let others = others.iter().map(|(name, content)| (name.as_str(), content.as_slice()));
                &corpus::zip(std::iter::once((name.as_str(), bytes)).chain(others)).map_err(told)?
            }
            None => bytes,
        };
        weights::from_bytes("changed.pth", archive).map(drop).map_err(told)
    }
}

struct SafetensorsReader(Vec<Vec<u8>>);

impl SafetensorsReader {
    fn new() -> Result<Self> {
        let layouts = [KeyLayout::Official, KeyLayout::HuggingFace, KeyLayout::Timm];
        let all = layouts.into_iter().map(|layout| Ok(corpus::weights(layout)?.1));
        Ok(Self(all.collect::<Result<_>>()?))
    }
}

impl FuzzReader for SafetensorsReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        self.0.clone()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"\"F32\"",
            b"\"F64\"",
            b"\"BF16\"",
            b"\"F8_E4M3\"",
            b"\"shape\":[",
            b"\"data_offsets\":[0,0]",
            b"__metadata__",
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b"\"",
            b"0",
        ]
    }

    /// The first eight bytes say how long the header is.
    fn sealed(&self, mutator: &mut FuzzMutator, mut bytes: Vec<u8>) -> Vec<u8> {
        let end = bytes.iter().rposition(|byte| *byte == b'}');
        if let (Some(end), false) = (end, mutator.once_in(4)) {
            let spaces = bytes[end + 1..].iter().take_while(|byte| **byte == b' ').count();
            let length = (end + 1 + spaces).saturating_sub(8) as u64;
            if let Some(first) = bytes.first_chunk_mut::<8>() {
                *first = length.to_le_bytes();
            }
        }
        bytes
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        weights::from_bytes("changed.safetensors", bytes).map(drop).map_err(told)
    }
}

/// Hugging Face's `config.json` beside weights that are whole.
struct ConfigReader(Vec<u8>);

impl ConfigReader {
    fn new() -> Result<Self> {
        Ok(Self(corpus::weights(KeyLayout::HuggingFace)?.1))
    }
}

impl FuzzReader for ConfigReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        vec![CONFIG.to_vec()]
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"\"hidden_size\"",
            b"\"num_attention_heads\"",
            b"\"image_size\"",
            b"\"patch_size\"",
            b"\"use_swiglu_ffn\"",
            b"\"num_register_tokens\"",
            b"null",
            b"true",
            b"-1",
            b"1e999",
            b"[",
            b"{",
            b"}",
        ]
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        weights::from_bytes_with_config("weights.safetensors", &self.0, Some(bytes)).map(drop).map_err(told)
    }
}

const CONFIG: &[u8] = br#"{"architectures": ["Dinov2Model"], "model_type": "dinov2", "hidden_size": 8,
  "num_hidden_layers": 1, "num_attention_heads": 2, "mlp_ratio": 4, "image_size": 16, "patch_size": 8,
  "num_channels": 3, "layer_norm_eps": 1e-06, "layerscale_value": 1e-05, "qkv_bias": true, "use_swiglu_ffn": false,
  "drop_path_rate": 0.0, "hidden_act": "gelu"}"#;

struct RecipeReader;

impl FuzzReader for RecipeReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        let full =
            ["nano", "tiny", "own"].into_iter().filter_map(|name| Recipe::preset(name).ok()?.to_toml().ok());
        let short = "preset = \"nano\"\n[train]\nbatch = 32\niterations = 100\n[data]\npath = [\"scenes\", \"/a*0.5\"]\n";
        full.chain([short.to_owned()]).map(String::into_bytes).collect()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"preset = \"tiny\"",
            b"[train]",
            b"[[data]]",
            b"batch = ",
            b"path = []",
            b"= nan",
            b"= inf",
            b"= -1",
            b"= 1e400",
            b"\"\"\"",
            b"= {}",
            b"1979-05-27",
            b"\n",
            b"x.y.z = 1\n",
        ]
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        let recipe = Recipe::from_toml(&String::from_utf8_lossy(bytes), &[]).map_err(told)?;
        // What a run asks of a recipe before its first step.
        let _ = (recipe.backbone(), recipe.dino_head(), recipe.ibot_head(), recipe.peak_lr());
        let again = recipe.to_toml().map_err(told)?;
        Recipe::from_toml(&again, &[]).map(drop).map_err(told)
    }
}

struct ListReader;

impl FuzzReader for ListReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        let table = b"path,label\n\"a, b.jpg\",cat\nc.jpg,\"d\"\"og\"\n".to_vec();
        vec![table, b"\xef\xbb\xbfpath\tlabel\r\na.png\tx\r\n".to_vec()]
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[b"\"", b"\"\"", b",", b"\t", b";", b"\r\n", b"\n", b"path", b"label", b"\xff"]
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        let _ = listed::parse(bytes, false);
        listed::parse(bytes, true).map(drop)
    }
}

fn picture() -> Picture {
    Picture::of_rgb(2, 1, vec![1, 2, 3, 250, 251, 252])
}

/// A message and what it is in: decoded, and sealed again as it was understood.
struct RequestReader;

impl FuzzReader for RequestReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        let start = StartRunRequest {
            recipe: "preset = \"nano\"".to_owned(),
            folder: "/runs/nano-001".into(),
            resume: true,
            watch: vec![picture()],
            gpu: true,
        };
        let all = [
            WorkerRequest::Train(Box::new(start)),
            WorkerRequest::Decode("a.png".into(), None, 3),
            WorkerRequest::Scene(1, 2, 32),
            WorkerRequest::Preview("preset = \"nano\"".into(), 7, 4),
            WorkerRequest::Command(RunCommand::Pause),
        ];
        all.into_iter().filter_map(|request| wire::encode(7, request).ok()).collect()
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        let opened = wire::decode::<WorkerRequest>(bytes)?;
        wire::encode(opened.number, opened.content).map(drop)
    }
}

struct ResponseReader;

impl FuzzReader for ResponseReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        let all = [
            WorkerResponse::Decoded(Ok((picture(), (2, 1)))),
            WorkerResponse::Decoded(Err("damaged".into())),
            WorkerResponse::Previewed(Err("no".into())),
            WorkerResponse::Files(Vec::new()),
        ];
        all.into_iter().filter_map(|response| wire::encode(7, response).ok()).collect()
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        let opened = wire::decode::<WorkerResponse>(bytes)?;
        wire::encode(opened.number, opened.content).map(drop)
    }
}

//! Ways to name and wrap a backbone's tensors: who writes which, and how they become the official names.
//!
//! [`KEY_LAYOUTS`] is the table of all namings. Another one is a variant and a row's place here, and a file with the row.

pub(crate) mod backbone_keys;
pub(crate) mod heads;
pub(crate) mod hugging_face;
pub(crate) mod hugging_face_rope;
pub(crate) mod official;
pub(crate) mod parts;
pub(crate) mod pos_embed;
pub(crate) mod shapes;
pub(crate) mod sidecar;
pub(crate) mod timm;
pub(crate) mod unsupported_models;

use dinoscope_model::config::{PosEmbedInterpolation, VitConfig};
use serde::{Deserialize, Serialize};

use crate::StateDict;
use crate::safetensors::OutputTensor;
use shapes::Shapes;

/// Whose key names a file uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyLayout {
    /// The official repository's names (`blocks.0.attn.qkv.weight`).
    Official,
    /// Hugging Face `transformers` names (`encoder.layer.0.attention.attention.query.weight`).
    HuggingFace,
    /// timm's names: official ones with `reg_token`, packed SwiGLU as `mlp.fc1`, and folded CLS position.
    Timm,
}

/// A row of the table of layouts.
pub struct KeyLayoutEntry {
    /// The layout.
    pub layout: KeyLayout,
    /// Its word on the command line.
    pub id: &'static str,
    /// Whose program reads it.
    pub read_by: &'static str,
    /// It is written as a folder, with the configuration as JSON; else as a file whose metadata holds all of it.
    pub is_folder: bool,
    /// That program knows square grids of positions alone.
    pub square_grids_alone: bool,
    /// The norms' epsilon is part of that program, and not of the file.
    pub eps_is_built_in: bool,
    /// A mask token belongs to it.
    pub(crate) has_mask_token: bool,
    /// How that program resamples positions; `None` where the file's kind says it.
    pub(crate) interpolation: fn(&VitConfig) -> Option<PosEmbedInterpolation>,
    /// Whether these shapes, by unchunked name, are of it.
    pub(crate) matches: fn(&Shapes) -> bool,
    /// Whether gate and value of a SwiGLU are packed as one module of a plain MLP.
    pub(crate) is_packed: fn(&Shapes) -> bool,
    /// Whether these shapes are of a model with rotary positions (DINOv3).
    pub(crate) has_rope: fn(&Shapes) -> bool,
    /// Whether keys have a bias of their own in a file with these shapes.
    pub(crate) has_key_bias: fn(&Shapes) -> bool,
    /// Whether a name inside the backbone is of what is no weight of the forward pass.
    pub(crate) is_aside: fn(&str) -> bool,
    /// Official name of a name inside the backbone (packed or not), and how many such tensors are stacked in it.
    pub(crate) official: fn(&str, bool) -> Option<(String, usize)>,
    /// Names of an official key, in a file with these shapes.
    pub(crate) names: fn(&str, &Shapes) -> Vec<String>,
    /// How many positions may stand before the patches', likeliest first: of so many registers, where it is known that
    /// only patches have one, or that they have not.
    pub(crate) before_patches: fn(usize, Option<bool>) -> Vec<usize>,
    /// A backbone under its names.
    pub(crate) outgoing: for<'a> fn(&'a StateDict, &VitConfig) -> Vec<OutputTensor<'a>>,
}

/// All layouts, in the order in which files are tried: what has the official names may be of any kind, and comes last.
pub static KEY_LAYOUTS: [&KeyLayoutEntry; 3] = [&hugging_face::LAYOUT, &timm::LAYOUT, &official::LAYOUT];

impl KeyLayout {
    /// Its row of the table.
    pub fn entry(self) -> &'static KeyLayoutEntry {
        match self {
            Self::Official => &official::LAYOUT,
            Self::HuggingFace => &hugging_face::LAYOUT,
            Self::Timm => &timm::LAYOUT,
        }
    }

    /// The layout of these shapes, by unchunked name.
    pub(crate) fn of(shapes: &Shapes) -> Self {
        KEY_LAYOUTS.iter().find(|entry| (entry.matches)(shapes)).map_or(Self::Official, |entry| entry.layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_is_in_the_table() {
        for entry in KEY_LAYOUTS {
            assert!(std::ptr::eq(entry, entry.layout.entry()), "{}", entry.id);
            assert_eq!(KEY_LAYOUTS.iter().filter(|other| other.id == entry.id).count(), 1);
        }
        // Another variant makes this match fail to compile: its row belongs into the table.
        let is_known = |layout| match layout {
            KeyLayout::Official | KeyLayout::HuggingFace | KeyLayout::Timm => true,
        };
        assert!(KEY_LAYOUTS.iter().all(|entry| is_known(entry.layout)) && KEY_LAYOUTS.len() == 3);
    }
}

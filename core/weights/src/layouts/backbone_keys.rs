//! Where in a file the backbone is: behind which prefix, with which heads beside it, among what else.

use crate::parts::{self, BackboneCandidate, words};
use crate::source::{TensorInfo, WeightsReader, elements};
use crate::{WeightsError, dcp, heads, hugging_face, official, pickle_torch, pth_listing};
use std::collections::BTreeMap;

/// What stands beside the backbone of a student that learns a teacher's features, for its training alone.
const PROJECTIONS: &str = "projections.";
/// Names that mark a backbone; what stands before one of them is a prefix.
const MARKS: [&str; 12] = [
    "cls_token",
    "pos_embed",
    "mask_token",
    "patch_embed.proj.weight",
    "patch_embed.proj.bias",
    "embeddings.cls_token",
    "embeddings.position_embeddings",
    "embeddings.mask_token",
    "embeddings.patch_embeddings.projection.weight",
    "embeddings.patch_embeddings.projection.bias",
    "embeddings.patch_embeddings.weight",
    "embeddings.patch_embeddings.bias",
];
/// Beside a bare backbone: classifiers and loss buffers, which no backbone needs.
const BYSTANDERS: [&str; 8] = [
    "head.",
    "classifier.",
    "linear_head.",
    "decode_head.",
    "auxiliary_head.",
    "dino_loss.",
    "ibot_patch_loss.",
    "koleo_loss.",
];

/// The backbone in a file.
pub(crate) struct BackboneKeys {
    /// What stands before its keys, without wrapper modules.
    pub root: String,
    /// Name behind the prefix to the file's full key.
    pub inside: BTreeMap<String, String>,
    /// The same for each head, by the head's name.
    pub heads: BTreeMap<String, BTreeMap<String, String>>,
    /// Remarks on what is left out.
    pub notes: Vec<String>,
}

/// Words of modules and numbers that lie beside a backbone and that it computes without.
const BESIDE: [&str; 34] = [
    "head",
    "heads",
    "classifier",
    "classifiers",
    "classification",
    "loss",
    "losses",
    "criterion",
    "decoder",
    "decode",
    "projector",
    "projection",
    "predictor",
    "prototype",
    "prototypes",
    "queue",
    "center",
    "centers",
    "averaged",
    "probe",
    "logit",
    "logits",
    "metric",
    "metrics",
    "auxiliary",
    "aux",
    "fc",
    "pooler",
    "temperature",
    "step",
    "epoch",
    "ptr",
    "proj",
    "normalizer",
];

/// Whether `name`, inside a backbone, is of something that lies beside its modules.
fn is_beside(name: &str, entry: &TensorInfo) -> bool {
    if BYSTANDERS.iter().any(|b| name.starts_with(b)) {
        return true;
    }
    let module = name.split('.').next().unwrap_or(name);
    let words = words(module);
    // A norm by another name is part of the forward pass.
    let of_head = words.iter().any(|word| BESIDE.contains(&word.as_str()));
    let known = ["blocks", "patch_embed", "norm", "embeddings", "encoder", "layernorm"].contains(&module);
    // A count (`n_averaged`) or a setting.
    let is_number = !name.contains('.')
        && entry.dtype.bits().is_some()
        && entry.shape.len() <= 1
        && elements(&entry.shape) == Some(1);
    !known && !words.iter().any(|word| word == "norm") && (of_head || is_number)
}

/// Find the backbone. Of several, a teacher's is preferred, since that is the one to use; `part` names another.
pub(crate) fn find(source: &dyn WeightsReader, part: Option<&str>) -> Result<BackboneKeys, WeightsError> {
    let file = source.file();
    let mut names: BTreeMap<String, &String> = BTreeMap::new();
    for key in source.entries().keys() {
        if let Some(other) = names.insert(official::unwrapped(key), key) {
            let reason = format!("keys `{other}` and `{key}` are the same tensor's");
            return Err(WeightsError::format(file, reason));
        }
    }
    let mut roots: BTreeMap<&str, BackboneCandidate> = BTreeMap::new();
    for name in names.keys() {
        for mark in MARKS {
            let prefix = name.strip_suffix(mark).filter(|p| p.is_empty() || p.ends_with('.'));
            // `embeddings.cls_token` marks what stands before `embeddings.`.
            if let Some(prefix) = prefix.filter(|p| *p != "embeddings." && !p.ends_with(".embeddings.")) {
                let fresh = || BackboneCandidate { root: prefix.into(), marks: 0, whole: false };
                let candidate = roots.entry(prefix).or_insert_with(fresh);
                candidate.marks += 1;
                candidate.whole |= ["proj.weight", "projection.weight", "patch_embeddings.weight"]
                    .iter()
                    .any(|end| mark.ends_with(end));
            }
        }
    }
    if roots.is_empty() {
        return Err(nothing(source));
    }
    let choice = parts::choose(file, roots.into_values().collect(), part)?;
    let (root, notes) = (choice.root.clone(), Vec::from_iter(choice.note()));

    // Heads lie beside `backbone.`, or beside the keys themselves.
    let parent = root.strip_suffix("backbone.").unwrap_or(&root).to_string();
    let parent =
        hugging_face::PREFIXES.iter().find_map(|p| parent.strip_suffix(p)).unwrap_or(&parent).to_string();
    let mut found =
        BackboneKeys { root: root.clone(), inside: BTreeMap::new(), heads: BTreeMap::new(), notes };
    let (mut outside, mut bystanders) = (Vec::new(), Vec::new());
    for (name, key) in &names {
        let beside = name.strip_prefix(&parent);
        let head = beside
            .and_then(|n| heads::NAMES.iter().find_map(|h| Some((h, n.strip_prefix(h)?.strip_prefix('.')?))));
        if let Some((head, rest)) = head {
            found.heads.entry(head.to_string()).or_default().insert(rest.into(), key.to_string());
            continue;
        }
        match name.strip_prefix(&root).filter(|_| !choice.is_of_another(name)) {
            Some(rest) if source.entries().get(*key).is_some_and(|entry| is_beside(rest, entry)) => {
                bystanders.push(key.as_str());
            }
            Some(rest) => {
                found.inside.insert(rest.into(), key.to_string());
            }
            // What a student learns features through stays with its training.
            None if beside.is_some_and(|name| name.starts_with(PROJECTIONS)) => {}
            None => outside.push(key.as_str()),
        }
    }
    for (what, keys) in [("classifier or loss", bystanders), ("other", outside)] {
        if let Some(first) = keys.first() {
            found.notes.push(format!("{what} entries were not read: {} (first: `{first}`)", keys.len()));
        }
    }
    match incomplete(source, &found) {
        Some(reason) => Err(WeightsError::format(file, reason)),
        None => Ok(found),
    }
}

/// Why a backbone's tensors are not whole, where each process of a training saved its own rows.
fn incomplete(source: &dyn WeightsReader, found: &BackboneKeys) -> Option<String> {
    let entries = || found.inside.values().filter_map(|key| Some((key, source.entries().get(key)?)));
    let kinds = [pickle_torch::SHARD, "DTensor", "ShardedTensor"];
    if let Some((key, _)) =
        entries().find(|(_, entry)| kinds.iter().any(|kind| entry.dtype.name().contains(kind)))
    {
        return Some(format!(
            "holds one process's rows of a model that was trained on several (key `{key}`, a distributed tensor). Save it \
             whole: get_model_state_dict(model, options=StateDictOptions(full_state_dict=True)) and torch.save; of a folder \
             of torch.distributed.checkpoint, {}",
            dcp::conversion_hint("FOLDER")
        ));
    }
    // What DeepSpeed leaves in place of weights that are shared out.
    let empty = entries().filter(|(_, entry)| entry.shape == [0]).count();
    (empty > 0 && empty * 2 > found.inside.len()).then(|| {
        "holds no weights but their names: DeepSpeed shared them out among processes (ZeRO 3). `python zero_to_fp32.py \
         FOLDER OUT.pth`, which DeepSpeed puts beside them, makes one file"
            .into()
    })
}

/// Why a file without a backbone has none, as far as one can tell.
fn nothing(source: &dyn WeightsReader) -> WeightsError {
    let keys: Vec<_> = source.entries().keys().map(String::as_str).collect();
    let reason = if keys.is_empty() {
        "holds no tensors".to_string()
    } else if keys == [pth_listing::ALONE] {
        "holds one tensor, not a model".into()
    } else if keys == ["bias", "weight"] {
        "holds one linear layer, as the released classification heads do; a backbone is needed".into()
    } else if keys.iter().any(|k| k.contains("flat_param")) {
        "is a sharded training state; the weights are in the teacher_checkpoint.pth of the same run".into()
    } else {
        let shown: Vec<_> = keys.iter().take(4).map(|k| format!("`{k}`")).collect();
        format!(
            "holds no Vision Transformer: none of its {} keys is a cls_token or patch_embed ({}, …)",
            keys.len(),
            shown.join(", ")
        )
    };
    WeightsError::format(source.file(), reason)
}

//! Where in a file the backbone is: behind which prefix, with which heads beside it, among what else.

use super::source::Source;
use super::{WeightsError, heads, hugging_face, official};
use std::collections::BTreeMap;

/// Names that mark a backbone; what stands before one of them is a prefix.
const MARKS: [&str; 10] = [
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
pub(super) struct Found {
    /// What stands before its keys, without wrapper modules.
    pub root: String,
    /// Name behind the prefix to the file's full key.
    pub inside: BTreeMap<String, String>,
    /// The same for each head, by the head's name.
    pub heads: BTreeMap<String, BTreeMap<String, String>>,
    /// Remarks on what is left out.
    pub notes: Vec<String>,
}

/// Find the backbone. Of several, a teacher's is preferred, since that is the one to use.
pub(super) fn find(source: &dyn Source) -> Result<Found, WeightsError> {
    let file = source.file();
    let mut names: BTreeMap<String, &String> = BTreeMap::new();
    for key in source.entries().keys() {
        if let Some(other) = names.insert(official::unwrapped(key), key) {
            let reason = format!("keys `{other}` and `{key}` are the same tensor's");
            return Err(WeightsError::format(file, reason));
        }
    }
    let mut roots: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names.keys() {
        for mark in MARKS {
            let prefix = name.strip_suffix(mark).filter(|p| p.is_empty() || p.ends_with('.'));
            // `embeddings.cls_token` marks what stands before `embeddings.`.
            if let Some(prefix) = prefix.filter(|p| *p != "embeddings." && !p.ends_with(".embeddings.")) {
                *roots.entry(prefix).or_default() += 1;
            }
        }
    }
    let rank = |(root, marks): &(&str, usize)| {
        let segment = |wanted: &str| root.split('.').any(|s| s == wanted);
        (!segment("teacher"), segment("student"), std::cmp::Reverse(*marks), root.len())
    };
    let Some((root, _)) = roots.iter().map(|(&root, &marks)| (root, marks)).min_by_key(rank) else {
        return Err(nothing(source));
    };
    let mut notes = Vec::new();
    if roots.len() > 1 {
        let others: Vec<_> = roots.keys().filter(|r| **r != root).take(3).map(|r| format!("`{r}`")).collect();
        notes.push(format!("several backbones; `{root}` was read, {} not", others.join(", ")));
    }

    // Heads lie beside `backbone.`, or beside the keys themselves.
    let parent = root.strip_suffix("backbone.").unwrap_or(root).to_string();
    let parent =
        hugging_face::PREFIXES.iter().find_map(|p| parent.strip_suffix(p)).unwrap_or(&parent).to_string();
    let mut found = Found { root: root.into(), inside: BTreeMap::new(), heads: BTreeMap::new(), notes };
    let (mut outside, mut bystanders) = (Vec::new(), Vec::new());
    for (name, key) in &names {
        let beside = name.strip_prefix(&parent);
        let head = beside
            .and_then(|n| heads::NAMES.iter().find_map(|h| Some((h, n.strip_prefix(h)?.strip_prefix('.')?))));
        if let Some((head, rest)) = head {
            found.heads.entry(head.to_string()).or_default().insert(rest.into(), key.to_string());
            continue;
        }
        match name.strip_prefix(root) {
            Some(rest) if BYSTANDERS.iter().any(|b| rest.starts_with(b)) => bystanders.push(key.as_str()),
            Some(rest) => {
                found.inside.insert(rest.into(), key.to_string());
            }
            None => outside.push(key.as_str()),
        }
    }
    for (what, keys) in [("classifier or loss", bystanders), ("other", outside)] {
        if let Some(first) = keys.first() {
            found.notes.push(format!("{what} entries were not read: {} (first: `{first}`)", keys.len()));
        }
    }
    Ok(found)
}

/// Why a file without a backbone has none, as far as one can tell.
fn nothing(source: &dyn Source) -> WeightsError {
    let keys: Vec<_> = source.entries().keys().map(String::as_str).collect();
    let reason = if keys.is_empty() {
        "holds no tensors".to_string()
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

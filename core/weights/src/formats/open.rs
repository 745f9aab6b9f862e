//! From a path or bytes to an opened file, by what it contains rather than by its name.

use crate::dcp::{self, DcpCheckpoint};
use crate::pth::{self, PthFile};
use crate::safetensors::{self, SafeTensors};
use crate::sidecar::SidecarFiles;
use crate::source::{ReadSeek, TensorInfo, WeightsReader};
use crate::{HostTensor, WeightsError};
use dinoscope_base::files::{self, File};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

/// Longest JSON file (config, index of shards) that is read.
const MAX_JSON: u64 = 16 << 20;
/// What a folder's weights may be called, best first.
const CANDIDATES: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// An opened file, and what lies beside it.
pub(crate) type Opened<'a> = (Box<dyn WeightsReader + 'a>, SidecarFiles);

/// Open a file, an index of shards, or a folder that holds one of them, also in pieces.
pub(crate) fn path(path: &Path) -> Result<Opened<'static>, WeightsError> {
    let (source, folder): (Box<dyn WeightsReader>, _) = match in_pieces(path) {
        Some(folder) => (Box::new(DcpCheckpoint::open(&folder)?), Some(folder)),
        None => {
            let target = if files::is_dir(path) { inside(path)? } else { path.to_path_buf() };
            let source: Box<dyn WeightsReader> = if target.to_string_lossy().ends_with(".index.json") {
                Box::new(ShardedWeights::open(&target)?)
            } else {
                one_file(&target)?
            };
            (source, target.parent().map(Path::to_path_buf))
        }
    };
    let beside = |name: &str| {
        let found = folder.as_ref().map(|folder| folder.join(name)).filter(|path| files::is_file(path));
        found.map(|path| json_file(&path)).transpose()
    };
    Ok((
        source,
        SidecarFiles { config: beside("config.json")?, preprocessor: beside("preprocessor_config.json")? },
    ))
}

/// The folder of a distributed checkpoint that `path` is, is a file of, or holds alone.
fn in_pieces(path: &Path) -> Option<PathBuf> {
    let is_one = |folder: &Path| files::is_file(folder.join(dcp::METADATA));
    if files::is_dir(path) {
        if is_one(path) {
            return Some(path.into());
        }
        // `accelerate` puts it into a folder of its own beside the optimizer's.
        let inner = path.join("pytorch_model_fsdp_0");
        return is_one(&inner).then_some(inner);
    }
    let is_piece = path.extension().is_some_and(|kind| kind == dcp::PIECES)
        || path.file_name().is_some_and(|name| name == dcp::METADATA);
    path.parent().filter(|folder| is_piece && is_one(folder)).map(Path::to_path_buf)
}

/// Open bytes in memory.
pub(crate) fn bytes<'a>(name: &str, bytes: &'a [u8]) -> Result<Box<dyn WeightsReader + 'a>, WeightsError> {
    let head = &bytes[..bytes.len().min(64)];
    reader(name, Box::new(Cursor::new(bytes)), head, bytes.len() as u64)
}

fn one_file(path: &Path) -> Result<Box<dyn WeightsReader>, WeightsError> {
    let name = path.display().to_string();
    let io = |e| WeightsError::io(&name, "open", e);
    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut head = Vec::new();
    (&mut file).take(64).read_to_end(&mut head).map_err(io)?;
    reader(&name, Box::new(std::io::BufReader::new(file)), &head, length)
}

fn reader<'a>(
    name: &str,
    reader: Box<dyn ReadSeek + 'a>,
    head: &[u8],
    length: u64,
) -> Result<Box<dyn WeightsReader + 'a>, WeightsError> {
    let size = usize::try_from(length).unwrap_or(usize::MAX);
    if head.starts_with(b"PK\x03\x04") {
        return Ok(Box::new(PthFile::open_zip(name, reader, size)?));
    }
    if pth::is_legacy(head) {
        return Ok(Box::new(PthFile::open_legacy(name, reader, size)?));
    }
    if safetensors::is_safetensors(head) {
        return Ok(Box::new(SafeTensors::open(name, reader, length)?));
    }
    let start = String::from_utf8_lossy(head).to_lowercase();
    let reason = if head.is_empty() {
        "is empty"
    } else if start.starts_with("version https://git-lfs") {
        "is only a Git LFS pointer; fetch the file itself (git lfs pull, or the site's download button)"
    } else if start.trim_start().starts_with('<') {
        "is a web page, not weights: the download went wrong"
    } else if head.len() < 10 {
        "is truncated: too short for any weights file"
    } else if head[0] == 0x80 {
        "is a bare pickle, not a file of torch.save; in torch: torch.save(model.state_dict(), …)"
    } else {
        "is neither a .pth of torch.save nor safetensors"
    };
    Err(WeightsError::format(name, reason))
}

/// The weights inside `folder`.
fn inside(folder: &Path) -> Result<PathBuf, WeightsError> {
    let name = folder.display().to_string();
    if let Some(found) = CANDIDATES.iter().map(|c| folder.join(c)).find(|p| files::is_file(p)) {
        return Ok(found);
    }
    let listing = files::read_dir(folder).map_err(|e| WeightsError::io(&name, "list", e))?;
    let is_weights = |p: &PathBuf| {
        p.extension()
            .and_then(|e| e.to_str())
            .is_some_and(|e| matches!(e, "safetensors" | "pth" | "pt" | "bin"))
    };
    let mut found: Vec<_> =
        listing.filter_map(|item| item.ok().map(|i| i.path())).filter(is_weights).collect();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            Err(WeightsError::format(&name, "the folder holds no weights (model.safetensors was looked for)"))
        }
        n => {
            Err(WeightsError::format(&name, format!("the folder holds {n} weights files; name one of them")))
        }
    }
}

fn json_file(path: &Path) -> Result<Vec<u8>, WeightsError> {
    let name = path.display().to_string();
    let io = |e| WeightsError::io(&name, "read", e);
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(MAX_JSON + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_JSON {
        return Err(WeightsError::format(&name, "a JSON file of this size is no model's"));
    }
    Ok(bytes)
}

/// Several files that hold one model, listed in an index.
struct ShardedWeights {
    file: String,
    shards: Vec<Box<dyn WeightsReader>>,
    entries: BTreeMap<String, TensorInfo>,
    owner: BTreeMap<String, usize>,
    metadata: BTreeMap<String, String>,
}

impl ShardedWeights {
    fn open(index: &Path) -> Result<Self, WeightsError> {
        let file = index.display().to_string();
        let bad = |reason: String| WeightsError::format(&file, reason);
        let json: Value =
            serde_json::from_slice(&json_file(index)?).map_err(|e| bad(format!("not JSON: {e}")))?;
        let Some(map) = json.get("weight_map").and_then(Value::as_object) else {
            return Err(bad("an index of shards without a weight_map".into()));
        };
        let mut this = Self {
            file: file.clone(),
            shards: Vec::new(),
            entries: BTreeMap::new(),
            owner: BTreeMap::new(),
            metadata: BTreeMap::new(),
        };
        let mut opened: BTreeMap<&str, usize> = BTreeMap::new();
        for (key, shard) in map {
            let plain =
                |s: &&str| !s.is_empty() && !s.contains(['/', '\\', ':', '\0']) && !s.starts_with('.');
            // An index must not reach outside its folder.
            let Some(shard) = shard.as_str().filter(plain) else {
                return Err(bad(format!("key `{key}` names {shard}, which is not a file beside the index")));
            };
            let at = match opened.get(shard) {
                Some(&at) => at,
                None => {
                    this.shards.push(one_file(&index.with_file_name(shard))?);
                    opened.insert(shard, this.shards.len() - 1);
                    this.shards.len() - 1
                }
            };
            let Some(entry) = this.shards[at].entries().get(key) else {
                return Err(bad(format!("key `{key}` is missing from {shard}, where the index says it is")));
            };
            this.entries.insert(key.clone(), entry.clone());
            this.owner.insert(key.clone(), at);
        }
        if let Some(first) = this.shards.first() {
            this.metadata = first.metadata().clone();
        }
        Ok(this)
    }
}

impl WeightsReader for ShardedWeights {
    fn file(&self) -> &str {
        &self.file
    }

    fn entries(&self) -> &BTreeMap<String, TensorInfo> {
        &self.entries
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn read(&mut self, key: &str) -> Result<HostTensor, WeightsError> {
        match self.owner.get(key) {
            Some(&at) => self.shards[at].read(key),
            None => Err(WeightsError::format(&self.file, format!("key `{key}` is not in the index"))),
        }
    }
}

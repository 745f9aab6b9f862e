//! Folders of `torch.distributed.checkpoint`: `.metadata`, a pickle that says where each tensor's pieces lie, and
//! `__0_0.distcp`, …, in which each piece is a file of `torch.save` of its own.
//!
//! All pieces of all processes are in the folder, so that a tensor is whole whichever way it was split.

use crate::pickle::{self, Id, Pickle, PickleValue, PickledObject};
use crate::pickle_torch::PickleGlobal;
use crate::pth::{self, PthFile};
use crate::pth_listing::ALONE;
use crate::source::{Dtype, TensorInfo, WeightsReader, elements, not_weights, read_bytes};
use crate::{HostTensor, WeightsError};
use dinoscope_base::files::{self, File};
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The file that makes a folder a distributed checkpoint.
pub(crate) const METADATA: &str = ".metadata";
/// What a piece's file is called.
pub(crate) const PIECES: &str = "distcp";
/// Pieces that a tensor may have, and that all tensors may have together.
const MAX_PIECES: usize = 1 << 12;
const MAX_ALL_PIECES: usize = 1 << 18;

/// How `torch` itself makes one file of such a folder.
pub(crate) fn conversion_hint(folder: &str) -> String {
    format!(
        "`python -m torch.distributed.checkpoint.format_utils dcp_to_torch {folder} OUT.pth` makes one file of it"
    )
}

/// A piece of a tensor, and where its file is.
#[derive(Clone, Debug)]
struct DcpChunk {
    offsets: Vec<usize>,
    sizes: Vec<usize>,
    file: String,
    start: u64,
    length: u64,
}

/// An opened folder.
pub(crate) struct DcpCheckpoint {
    name: String,
    folder: PathBuf,
    entries: BTreeMap<String, TensorInfo>,
    pieces: BTreeMap<String, Vec<DcpChunk>>,
    metadata: BTreeMap<String, String>,
}

impl DcpCheckpoint {
    /// Read `.metadata` of `folder`.
    pub fn open(folder: &Path) -> Result<Self, WeightsError> {
        let name = folder.display().to_string();
        let io = |e| WeightsError::io(&name, "read the .metadata of", e);
        let mut bytes = Vec::new();
        let file = File::open(folder.join(METADATA)).map_err(io)?;
        file.take(pickle::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
        let pickle = pth::parse(&name, &bytes)?;
        let (entries, pieces) = listed(&pickle).ok_or_else(|| {
            let reason =
                format!("its .metadata is of a kind that is not known here; {}", conversion_hint(&name));
            WeightsError::format(&name, reason)
        })?;
        Ok(Self { name, folder: folder.into(), entries, pieces, metadata: BTreeMap::new() })
    }

    /// The values of one piece.
    fn piece(&self, key: &str, piece: &DcpChunk) -> Result<Vec<f32>, WeightsError> {
        let path = self.folder.join(&piece.file);
        let name = path.display().to_string();
        if !files::is_file(&path) {
            let reason = format!(
                "a piece of key `{key}` is in {}, which is not there: the files of all processes belong to it",
                piece.file
            );
            return Err(WeightsError::format(&self.name, reason));
        }
        let io = |e| WeightsError::io(&name, "read", e);
        let mut file = File::open(&path).map_err(io)?;
        let held = file.metadata().map_err(io)?.len();
        if piece.start.checked_add(piece.length).is_none_or(|end| end > held) {
            return Err(WeightsError::io(&name, "read", std::io::ErrorKind::UnexpectedEof.into()));
        }
        file.seek(SeekFrom::Start(piece.start)).map_err(io)?;
        let length = piece.length as usize;
        let bytes = read_bytes(&mut file, length, length, &name)?;
        if !bytes.starts_with(b"PK\x03\x04") {
            let reason = format!(
                "key `{key}` is stored in a way that is not known here; {}",
                conversion_hint(&self.name)
            );
            return Err(WeightsError::format(&self.name, reason));
        }
        let mut inner = PthFile::open_zip(&name, Box::new(Cursor::new(bytes)), length)?;
        let tensor = inner.read(ALONE)?;
        if tensor.shape != piece.sizes {
            let reason = format!(
                "a piece of key `{key}` has shape {:?}, but .metadata says {:?}",
                tensor.shape, piece.sizes
            );
            return Err(WeightsError::format(&name, reason));
        }
        Ok(tensor.data)
    }
}

impl WeightsReader for DcpCheckpoint {
    fn file(&self) -> &str {
        &self.name
    }

    fn entries(&self) -> &BTreeMap<String, TensorInfo> {
        &self.entries
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn read(&mut self, key: &str) -> Result<HostTensor, WeightsError> {
        let (Some(entry), Some(pieces)) = (self.entries.get(key), self.pieces.get(key)) else {
            return Err(WeightsError::format(&self.name, format!("key `{key}` is not in the checkpoint")));
        };
        if !entry.dtype.is_weight() {
            return Err(not_weights(&self.name, key, entry));
        }
        if !covers(&entry.shape, pieces) {
            let reason = format!("key `{key}` is not whole; {}", conversion_hint(&self.name));
            return Err(WeightsError::format(&self.name, reason));
        }
        if let [only] = &pieces[..] {
            return Ok(HostTensor::new(entry.shape.clone(), self.piece(key, only)?));
        }
        // Memory is taken for the whole once its pieces are there, which cover it: a lie about the size costs nothing.
        let read: Vec<_> = pieces.iter().map(|piece| self.piece(key, piece)).collect::<Result<_, _>>()?;
        let mut data = vec![0.0; read.iter().map(Vec::len).sum()];
        for (piece, values) in pieces.iter().zip(&read) {
            place(&mut data, &entry.shape, piece, values);
        }
        Ok(HostTensor::new(entry.shape.clone(), data))
    }
}

/// Whether the pieces lie inside `shape`, do not overlap, and are as many values as it has.
fn covers(shape: &[usize], pieces: &[DcpChunk]) -> bool {
    let inside = |piece: &DcpChunk| {
        piece.offsets.len() == shape.len()
            && piece.sizes.len() == shape.len()
            && (0..shape.len()).all(|axis| {
                piece.offsets[axis].checked_add(piece.sizes[axis]).is_some_and(|end| end <= shape[axis])
            })
    };
    let apart = |a: &DcpChunk, b: &DcpChunk| {
        (0..shape.len()).any(|axis| {
            a.offsets[axis] + a.sizes[axis] <= b.offsets[axis]
                || b.offsets[axis] + b.sizes[axis] <= a.offsets[axis]
        })
    };
    let held = pieces.iter().try_fold(0usize, |n, piece| n.checked_add(elements(&piece.sizes)?));
    let full: Vec<&DcpChunk> = pieces.iter().filter(|piece| !piece.sizes.contains(&0)).collect();
    pieces.iter().all(inside)
        && held == elements(shape)
        && full.iter().enumerate().all(|(i, a)| full[..i].iter().all(|b| apart(a, b)))
}

/// Copy a piece to its place in the whole, row by row.
fn place(whole: &mut [f32], shape: &[usize], piece: &DcpChunk, data: &[f32]) {
    let Some((&width, outer)) = piece.sizes.split_last() else {
        whole.copy_from_slice(data);
        return;
    };
    if width == 0 {
        return;
    }
    for (row, values) in data.chunks_exact(width).enumerate() {
        let (mut rest, mut at, mut step) = (row, piece.offsets[outer.len()], shape[outer.len()]);
        for axis in (0..outer.len()).rev() {
            at += (piece.offsets[axis] + rest % outer[axis]) * step;
            rest /= outer[axis];
            step *= shape[axis];
        }
        whole[at..at + width].copy_from_slice(values);
    }
}

/// Entries and pieces, by the same keys.
type Listed = (BTreeMap<String, TensorInfo>, BTreeMap<String, Vec<DcpChunk>>);

/// A tensor's name, and where a piece of it begins.
type Key = (String, Option<Vec<usize>>);

/// A file, and where in it bytes begin and how many they are.
type Place = (String, u64, u64);

/// Entries and pieces by key; `None` where `.metadata` is of another form.
fn listed(pickle: &Pickle) -> Option<Listed> {
    let top = DcpMetadataObject::at(pickle, pickle.root)?;
    let (described, stored) = (top.dictionary("state_dict_metadata")?, top.dictionary("storage_data")?);
    let mut files: BTreeMap<Key, Place> = BTreeMap::new();
    for &(index, info) in stored {
        let (index, info) = (DcpMetadataObject::at(pickle, index)?, DcpMetadataObject::at(pickle, info)?);
        let file = info.text("relative_path")?;
        // A checkpoint must not reach outside its folder.
        if file.is_empty() || file.contains(['/', '\\', ':', '\0']) || file.starts_with('.') {
            return None;
        }
        let place = (file, info.number("offset")?, info.number("length")?);
        files.insert((index.text("fqn")?, index.sizes("offset")), place);
    }
    let (mut entries, mut pieces, mut all) = (BTreeMap::new(), BTreeMap::new(), 0);
    for &(key, value) in described {
        let (PickleValue::Text(key), Some(tensor)) = (pickle.get(key), DcpMetadataObject::at(pickle, value))
        else {
            continue;
        };
        // What is no tensor (a step count, a schedule) has no size.
        let Some(shape) = tensor.sizes("size") else { continue };
        let dtype = tensor.dtype().unwrap_or_else(|| Dtype::Other("an unknown number type".into(), None));
        let chunks = tensor.list("chunks")?;
        all += chunks.len();
        if chunks.len() > MAX_PIECES || all > MAX_ALL_PIECES {
            return None;
        }
        let mut own = Vec::new();
        for &chunk in chunks {
            let chunk = DcpMetadataObject::at(pickle, chunk)?;
            let (offsets, sizes) = (chunk.sizes("offsets")?, chunk.sizes("sizes")?);
            let found = files.get(&(key.clone(), Some(offsets.clone())));
            let (file, start, length) = found.or_else(|| files.get(&(key.clone(), None)))?.clone();
            own.push(DcpChunk { offsets, sizes, file, start, length });
        }
        entries.insert(key.clone(), TensorInfo { shape, dtype });
        pieces.insert(key.clone(), own);
    }
    Some((entries, pieces))
}

/// An object of `torch.distributed.checkpoint.metadata`, by its attributes.
struct DcpMetadataObject<'a> {
    pickle: &'a Pickle,
    record: &'a PickledObject,
}

impl<'a> DcpMetadataObject<'a> {
    fn at(pickle: &'a Pickle, id: Id) -> Option<Self> {
        if let PickleValue::Record(record) = pickle.get(id) { Some(Self { pickle, record }) } else { None }
    }

    fn get(&self, name: &str) -> Option<&'a PickleValue> {
        let found = self.pickle.attributes(self.record).into_iter().find(|(key, _)| *key == name);
        found.map(|(_, id)| self.pickle.get(id))
    }

    fn text(&self, name: &str) -> Option<String> {
        if let PickleValue::Text(text) = self.get(name)? { Some(text.clone()) } else { None }
    }

    fn number(&self, name: &str) -> Option<u64> {
        if let PickleValue::Int(n) = self.get(name)? { u64::try_from(*n).ok() } else { None }
    }

    fn dictionary(&self, name: &str) -> Option<&'a [(Id, Id)]> {
        if let PickleValue::Dict(items) = self.get(name)? { Some(items) } else { None }
    }

    fn list(&self, name: &str) -> Option<&'a [Id]> {
        if let PickleValue::List(items) | PickleValue::Tuple(items) = self.get(name)? {
            Some(items)
        } else {
            None
        }
    }

    fn sizes(&self, name: &str) -> Option<Vec<usize>> {
        let number = |&id: &Id| match self.pickle.get(id) {
            PickleValue::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        };
        self.list(name).filter(|items| items.len() <= 16)?.iter().map(number).collect()
    }

    /// The number type among the `properties`, whose state is a dictionary or a tuple.
    fn dtype(&self) -> Option<Dtype> {
        let PickleValue::Record(properties) = self.get("properties")? else { return None };
        let items: Vec<Id> = match self.pickle.get(properties.state?) {
            PickleValue::Dict(items) => items.iter().map(|(_, value)| *value).collect(),
            PickleValue::Tuple(items) | PickleValue::List(items) => items.clone(),
            _ => return None,
        };
        items.into_iter().find_map(|id| match self.pickle.get(id) {
            PickleValue::Global(PickleGlobal::Dtype(dtype)) => Some(dtype.clone()),
            _ => None,
        })
    }
}

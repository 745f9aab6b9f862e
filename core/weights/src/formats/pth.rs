//! Files that `torch.save` wrote: zip archives since torch 1.6, a run of pickles before.
//!
//! The pickle says which tensors there are and where their numbers lie; it is read by [`crate::pickle`], which
//! executes nothing. Nothing is believed about sizes: offsets, strides and counts are checked against the file.

use crate::pickle::{self, Pickle, PickleError, PickleValue, PickledTensor};
use crate::pth_listing as listing;
use crate::source::{Dtype, ReadSeek, TensorInfo, WeightsReader, elements, not_weights, read_bytes};
use crate::{HostTensor, WeightsError};
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, SeekFrom};
use zip::ZipArchive;

/// How a legacy file starts: protocol 2, and torch's magic number 0x1950a86a20f9469cfc6c.
const LEGACY_MAGIC: [u8; 15] =
    [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
/// How much more a file may give than it holds, for shared storages and compression; torch itself compresses nothing.
const EXPANSION: usize = 32;
/// What any file may give, however small.
const ALLOWANCE: usize = 16 << 20;

/// Where the numbers are.
enum PthContainer<'a> {
    Zip { archive: ZipArchive<Box<dyn ReadSeek + 'a>>, prefix: String },
    Legacy { reader: Box<dyn ReadSeek + 'a>, starts: HashMap<String, (u64, usize)> },
}

/// An opened `.pth`, `.pt` or `.bin`.
pub(crate) struct PthFile<'a> {
    file: String,
    container: PthContainer<'a>,
    tensors: BTreeMap<String, PickledTensor>,
    entries: BTreeMap<String, TensorInfo>,
    metadata: BTreeMap<String, String>,
    length: usize,
    /// Bytes that may still be read and made.
    budget: usize,
    /// The last storage that was read; tensors that share one follow each other.
    last: Option<(String, Vec<u8>)>,
}

/// Whether `head` starts a legacy file.
pub(crate) fn is_legacy(head: &[u8]) -> bool {
    head.starts_with(&LEGACY_MAGIC)
}

impl<'a> PthFile<'a> {
    /// Open a zip archive of `length` bytes.
    pub fn open_zip(file: &str, reader: Box<dyn ReadSeek + 'a>, length: usize) -> Result<Self, WeightsError> {
        let bad = |e: zip::result::ZipError| zip_error(file, e);
        let mut archive = ZipArchive::new(reader).map_err(bad)?;
        let names: Vec<String> = archive.file_names().filter_map(|n| Some(n.ok()?.into_owned())).collect();
        let pickle_name = names.iter().find(|n| *n == "data.pkl" || n.ends_with("/data.pkl"));
        let is_script = names.iter().any(|n| n.ends_with("constants.pkl"));
        let Some(pickle_name) = pickle_name else {
            return Err(WeightsError::format(
                file,
                "a zip archive without data.pkl: not a file of torch.save",
            ));
        };
        if is_script {
            let reason = "a TorchScript program, not weights; save with torch.save(model.state_dict(), …)";
            return Err(WeightsError::format(file, reason));
        }
        let prefix = pickle_name.trim_end_matches("data.pkl").to_string();
        if let Some(order) = zip_entry(file, &mut archive, &format!("{prefix}byteorder"), 16, length)?
            && order != b"little"
        {
            return Err(big_endian(file));
        }
        let Some(bytes) = zip_entry(file, &mut archive, pickle_name, pickle::MAX_BYTES, length)? else {
            return Err(WeightsError::format(file, "data.pkl cannot be found"));
        };
        let parsed = parse(file, &bytes)?;
        Self::new(file, PthContainer::Zip { archive, prefix }, &parsed, length)
    }

    /// Open a legacy file of `length` bytes.
    pub fn open_legacy(
        file: &str,
        mut reader: Box<dyn ReadSeek + 'a>,
        length: usize,
    ) -> Result<Self, WeightsError> {
        let io = |e| WeightsError::io(file, "read", e);
        reader.rewind().map_err(io)?;
        let mut head = Vec::new();
        (&mut reader).take(2 * pickle::MAX_BYTES as u64).read_to_end(&mut head).map_err(io)?;
        let mut at = LEGACY_MAGIC.len();
        let mut next = || {
            let parsed = parse(file, head.get(at..).unwrap_or_default())?;
            at += parsed.length;
            Ok::<_, WeightsError>(parsed)
        };
        let (_version, system, object, keys) = (next()?, next()?, next()?, next()?);
        if let PickleValue::Dict(items) = system.top()
            && items.iter().any(|&(key, value)| {
                matches!((system.get(key), system.get(value)),
                    (PickleValue::Text(key), PickleValue::Bool(false)) if key == "little_endian")
            })
        {
            return Err(big_endian(file));
        }
        let widths = storage_widths(&object);
        let mut starts = HashMap::new();
        let mut position = at as u64;
        let PickleValue::List(keys_listed) = keys.top() else {
            return Err(WeightsError::format(file, "a legacy file of torch.save without a list of storages"));
        };
        for &key in keys_listed {
            let key = match keys.get(key) {
                PickleValue::Text(key) => key.clone(),
                PickleValue::Int(key) => key.to_string(),
                _ => return Err(WeightsError::format(file, "a storage key is neither text nor number")),
            };
            reader.seek(SeekFrom::Start(position)).map_err(io)?;
            let mut count = [0; 8];
            reader.read_exact(&mut count).map_err(io)?;
            let count = usize::try_from(u64::from_le_bytes(count)).unwrap_or(usize::MAX);
            let Some(&width) = widths.get(&key) else {
                let reason = format!("storage {key} has no type; load it in torch and save it again");
                return Err(WeightsError::format(file, reason));
            };
            let end = count.checked_mul(width).and_then(|n| n.checked_add(position as usize + 8));
            let Some(end) = end.filter(|&end| end <= length) else {
                return Err(WeightsError::io(file, "read", std::io::ErrorKind::UnexpectedEof.into()));
            };
            starts.insert(key, (position + 8, count * width));
            position = end as u64;
        }
        Self::new(file, PthContainer::Legacy { reader, starts }, &object, length)
    }

    fn new(
        file: &str,
        container: PthContainer<'a>,
        object: &Pickle,
        length: usize,
    ) -> Result<Self, WeightsError> {
        let (tensors, entries) = listing::list(file, object)?;
        let budget = length.saturating_mul(EXPANSION).saturating_add(ALLOWANCE);
        Ok(Self {
            file: file.into(),
            container,
            tensors,
            entries,
            metadata: BTreeMap::new(),
            length,
            budget,
            last: None,
        })
    }

    fn spend(&mut self, bytes: usize) -> Result<(), WeightsError> {
        let too_much = "its tensors would take far more memory than the file's size explains";
        self.budget =
            self.budget.checked_sub(bytes).ok_or_else(|| WeightsError::format(&self.file, too_much))?;
        Ok(())
    }

    fn storage(&mut self, key: &str, bytes: usize) -> Result<Vec<u8>, WeightsError> {
        if let Some((last, data)) = self.last.take()
            && last == key
            && data.len() == bytes
        {
            return Ok(data);
        }
        self.spend(bytes)?;
        let file = &self.file;
        match &mut self.container {
            PthContainer::Zip { archive, prefix } => {
                let name = format!("{prefix}data/{key}");
                let mut entry = archive.by_name(&name).map_err(|e| zip_error(file, e))?;
                if entry.size() != bytes as u64 {
                    let reason =
                        format!("storage {key} has {} bytes, but {bytes} were announced", entry.size());
                    return Err(WeightsError::format(file, reason));
                }
                let data = read_bytes(&mut entry, bytes, self.length, file)?;
                // Reading to the end is what makes the zip reader compare the checksum.
                if entry.read(&mut [0]).map_err(|e| WeightsError::io(file, "read", e))? != 0 {
                    return Err(WeightsError::format(
                        file,
                        format!("storage {key} is longer than announced"),
                    ));
                }
                Ok(data)
            }
            PthContainer::Legacy { reader, starts } => {
                let Some(&(start, held)) = starts.get(key) else {
                    return Err(WeightsError::format(file, format!("storage {key} is missing")));
                };
                if held != bytes {
                    let reason = format!("storage {key} has {held} bytes, but {bytes} were announced");
                    return Err(WeightsError::format(file, reason));
                }
                reader.seek(SeekFrom::Start(start)).map_err(|e| WeightsError::io(file, "read", e))?;
                read_bytes(reader, bytes, self.length, file)
            }
        }
    }
}

impl WeightsReader for PthFile<'_> {
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
        let Some(tensor) = self.tensors.get(key).cloned() else {
            let reason = format!("key `{key}` is not a tensor that can be read");
            return Err(WeightsError::format(&self.file, reason));
        };
        if !tensor.dtype.is_weight() {
            return Err(not_weights(&self.file, key, &self.entries[key]));
        }
        let file = self.file.clone();
        let outside = || WeightsError::format(&file, format!("key `{key}` reaches outside its storage"));
        let width = tensor.dtype.bits().unwrap_or(8) / 8;
        let held = tensor.storage.dtype.as_ref().and_then(Dtype::bits).unwrap_or(8) / 8;
        let bytes = tensor.storage.count.checked_mul(held).ok_or_else(outside)?;
        let count = elements(&tensor.shape).ok_or_else(outside)?;
        let reach = reach(&tensor).ok_or_else(outside)?;
        if reach.checked_mul(width).is_none_or(|end| end > bytes) {
            return Err(outside());
        }
        self.spend(count.saturating_mul(4))?;
        let data = self.storage(&tensor.storage.key, bytes)?;
        let values = if is_contiguous(&tensor) {
            let start = if count == 0 { 0 } else { tensor.offset * width };
            tensor.dtype.to_f32(&data[start..start + count * width])
        } else {
            tensor.dtype.to_f32(&gather(&tensor, &data, width, count))
        };
        let values = values.ok_or_else(|| not_weights(&file, key, &self.entries[key]))?;
        self.last = Some((tensor.storage.key, data));
        Ok(HostTensor::new(tensor.shape, values))
    }
}

/// Elements of the storage that `tensor` needs: one past its last.
fn reach(tensor: &PickledTensor) -> Option<usize> {
    if tensor.shape.contains(&0) {
        return Some(0);
    }
    let mut last = tensor.offset;
    for (&extent, &stride) in tensor.shape.iter().zip(&tensor.strides) {
        last = last.checked_add((extent - 1).checked_mul(stride)?)?;
    }
    last.checked_add(1)
}

fn is_contiguous(tensor: &PickledTensor) -> bool {
    let mut step = 1;
    for (&extent, &stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
        if extent != 1 && stride != step {
            return false;
        }
        step *= extent;
    }
    true
}

/// The elements of a strided view in row-major order; the view was checked to lie inside `data`.
fn gather(tensor: &PickledTensor, data: &[u8], width: usize, count: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(count * width);
    let mut index = vec![0; tensor.shape.len()];
    let mut at = tensor.offset;
    for _ in 0..count {
        out.extend_from_slice(&data[at * width..(at + 1) * width]);
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            at += tensor.strides[axis];
            if index[axis] < tensor.shape[axis] {
                break;
            }
            at -= tensor.strides[axis] * index[axis];
            index[axis] = 0;
        }
    }
    out
}

/// Bytes per element of each storage; legacy files count elements where they hold the numbers.
fn storage_widths(object: &Pickle) -> HashMap<String, usize> {
    let storages = object.nodes.iter().filter_map(|node| match node {
        PickleValue::Storage(storage) => Some(storage),
        _ => None,
    });
    storages.map(|s| (s.key.clone(), s.dtype.as_ref().and_then(Dtype::bits).unwrap_or(8) / 8)).collect()
}

/// Read a pickle; `file` is for messages.
pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<Pickle, WeightsError> {
    pickle::parse(bytes).map_err(|e| match e {
        PickleError::Refused(global) => WeightsError::Refused { file: file.into(), global },
        PickleError::Malformed(reason) => {
            WeightsError::format(file, format!("its pickle cannot be read: {reason}"))
        }
    })
}

fn big_endian(file: &str) -> WeightsError {
    WeightsError::format(file, "was saved on a big-endian machine; load it there and save it as safetensors")
}

fn zip_error(file: &str, error: zip::result::ZipError) -> WeightsError {
    let reason = format!("its zip archive cannot be read ({error}): truncated or damaged; fetch it again");
    WeightsError::format(file, reason)
}

/// The bytes of a small entry, or `None` if there is none of that name.
fn zip_entry<'a>(
    file: &str,
    archive: &mut ZipArchive<Box<dyn ReadSeek + 'a>>,
    name: &str,
    limit: usize,
    length: usize,
) -> Result<Option<Vec<u8>>, WeightsError> {
    if archive.index_for_name(name).is_none() {
        return Ok(None);
    }
    let entry = archive.by_name(name).map_err(|e| zip_error(file, e))?;
    if entry.size() > limit as u64 {
        let reason = format!("its entry {name} has {} bytes; at most {limit} are read", entry.size());
        return Err(WeightsError::format(file, reason));
    }
    let mut bytes = Vec::with_capacity((entry.size() as usize).min(length));
    entry.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|e| WeightsError::io(file, "read", e))?;
    if bytes.len() > limit {
        return Err(WeightsError::format(file, format!("its entry {name} is longer than announced")));
    }
    Ok(Some(bytes))
}

//! The safetensors format: a JSON header, then numbers. Read tensor by tensor, written without a second copy.
//!
//! The reader is our own because the `safetensors` crate wants the whole file in memory; the tests hold both to the
//! same answers.

use crate::source::{Dtype, ReadSeek, TensorInfo, WeightsReader, elements, not_weights, read_bytes};
use crate::{HostTensor, WeightsError};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, SeekFrom, Write};

/// Longest header that is read; the one of a giant model has about 100 kB.
const MAX_HEADER: u64 = 16 << 20;

/// An opened safetensors file.
pub(crate) struct SafeTensors<'a> {
    file: String,
    reader: Box<dyn ReadSeek + 'a>,
    entries: BTreeMap<String, TensorInfo>,
    /// Begin and end of each tensor in the file.
    spans: BTreeMap<String, (u64, u64)>,
    metadata: BTreeMap<String, String>,
}

/// Whether `head` looks like a safetensors header: a plausible length, then JSON.
pub(crate) fn is_safetensors(head: &[u8]) -> bool {
    let Some((length, json)) = head.split_first_chunk::<8>() else { return false };
    u64::from_le_bytes(*length) < 1 << 40 && json.first() == Some(&b'{')
}

impl<'a> SafeTensors<'a> {
    /// Read the header of a file of `length` bytes and check every span against it.
    pub fn open(file: &str, mut reader: Box<dyn ReadSeek + 'a>, length: u64) -> Result<Self, WeightsError> {
        let bad =
            |reason: String| WeightsError::format(file, format!("not a valid safetensors file: {reason}"));
        let io = |e| WeightsError::io(file, "read", e);
        reader.rewind().map_err(io)?;
        let mut size = [0; 8];
        reader.read_exact(&mut size).map_err(io)?;
        let size = u64::from_le_bytes(size);
        if size > MAX_HEADER {
            return Err(bad(format!("a header of {size} bytes; at most {MAX_HEADER} are read")));
        }
        if size + 8 > length {
            return Err(bad("the file is truncated inside its header".into()));
        }
        let header = read_bytes(&mut reader, size as usize, length as usize, file)?;
        let header: Map<String, Value> = serde_json::from_slice(&header).map_err(|e| bad(e.to_string()))?;
        let mut this = Self {
            file: file.into(),
            reader,
            entries: BTreeMap::new(),
            spans: BTreeMap::new(),
            metadata: BTreeMap::new(),
        };
        let start = size + 8;
        for (key, value) in header {
            if key == "__metadata__" {
                let items = match value {
                    Value::Object(items) => items,
                    // Some writers say so that there is none.
                    Value::Null => continue,
                    _ => return Err(bad("__metadata__ is not an object".into())),
                };
                let text = |(k, v): (String, Value)| v.as_str().map(|v| (k, v.to_string()));
                this.metadata = items.into_iter().filter_map(text).collect();
                continue;
            }
            let (entry, (begin, end)) = tensor(&value)
                .ok_or_else(|| bad(format!("the header's entry for key `{key}` makes no sense: {value}")))?;
            let end = start.checked_add(end).filter(|&end| end <= length).ok_or_else(|| {
                let shape = &entry.shape;
                bad(format!(
                    "the file is truncated: key `{key}` with shape {shape:?} ends beyond {length} bytes"
                ))
            })?;
            this.entries.insert(key.clone(), entry);
            this.spans.insert(key, (start + begin, end));
        }
        let mut spans: Vec<_> = this.spans.iter().collect();
        spans.sort_by_key(|(_, span)| **span);
        for pair in spans.windows(2) {
            if pair[0].1.1 > pair[1].1.0 {
                return Err(bad(format!("keys `{}` and `{}` overlap", pair[0].0, pair[1].0)));
            }
        }
        Ok(this)
    }
}

/// A header entry, if its shape, type and span agree.
fn tensor(value: &Value) -> Option<(TensorInfo, (u64, u64))> {
    let dtype = Dtype::from_safetensors(value.get("dtype")?.as_str()?);
    let size = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    let shape: Vec<usize> = value.get("shape")?.as_array()?.iter().map(size).collect::<Option<_>>()?;
    let [begin, end] = &value.get("data_offsets")?.as_array()?[..] else { return None };
    let (begin, end) = (begin.as_u64()?, end.as_u64()?);
    let held = end.checked_sub(begin)?;
    let needed = elements(&shape)?.checked_mul(dtype.bits().unwrap_or(0))?.div_ceil(8) as u64;
    (dtype.bits().is_none() || held == needed).then_some((TensorInfo { shape, dtype }, (begin, end)))
}

impl WeightsReader for SafeTensors<'_> {
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
        let (Some(entry), Some(&(begin, end))) = (self.entries.get(key), self.spans.get(key)) else {
            return Err(WeightsError::format(&self.file, format!("key `{key}` is not in the file")));
        };
        if !entry.dtype.is_weight() {
            return Err(not_weights(&self.file, key, entry));
        }
        self.reader.seek(SeekFrom::Start(begin)).map_err(|e| WeightsError::io(&self.file, "read", e))?;
        let count = (end - begin) as usize;
        let bytes = read_bytes(&mut self.reader, count, count, &self.file)?;
        let data = entry.dtype.to_f32(&bytes).ok_or_else(|| not_weights(&self.file, key, entry))?;
        Ok(HostTensor::new(entry.shape.clone(), data))
    }
}

/// How numbers are kept in a file that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightsDtype {
    /// Four bytes each, as they are.
    #[default]
    F32,
    /// Two bytes each, rounded to the nearest: half the file, with three digits of every number.
    F16,
}

impl WeightsDtype {
    /// Its name in a safetensors file.
    fn safetensors(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
        }
    }

    /// Its name in torch and in `config.json`.
    pub fn torch(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

/// A tensor to be written; borrowed where it can be.
pub(crate) struct OutputTensor<'a> {
    pub key: String,
    pub shape: Vec<usize>,
    pub data: Cow<'a, [f32]>,
}

/// Write `tensors`, in order of their keys, with string metadata.
pub(crate) fn write(
    out: &mut dyn Write,
    tensors: &mut [OutputTensor<'_>],
    metadata: &[(&str, String)],
    dtype: WeightsDtype,
) -> io::Result<()> {
    tensors.sort_by(|a, b| a.key.cmp(&b.key));
    let mut header = Map::new();
    let metadata: Map<_, _> = metadata.iter().map(|(k, v)| (k.to_string(), json!(v))).collect();
    header.insert("__metadata__".into(), metadata.into());
    let mut at = 0;
    for tensor in tensors.iter() {
        let end = at + dtype.bytes() * tensor.data.len();
        let entry = json!({ "dtype": dtype.safetensors(), "shape": tensor.shape, "data_offsets": [at, end] });
        header.insert(tensor.key.clone(), entry);
        at = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    // The format asks for numbers that start on a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    let mut bytes = Vec::with_capacity(4 << 14);
    for chunk in tensors.iter().flat_map(|t| t.data.chunks(1 << 14)) {
        bytes.clear();
        match dtype {
            WeightsDtype::F32 => bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes())),
            WeightsDtype::F16 => {
                bytes.extend(chunk.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()));
            }
        }
        out.write_all(&bytes)?;
    }
    Ok(())
}

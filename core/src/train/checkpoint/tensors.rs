//! The tensor files of a checkpoint: safetensors that are the same bytes for the same numbers, each with its digest.

use std::io::{BufWriter, Read, Write};
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::files;
use crate::train::checkpoint::{CheckpointError, content, io};
use crate::train::finite_check::not_finite;
use crate::weights::{HostTensor, StateDict};

/// A digest as text.
pub(in crate::train) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes float32 tensors in the order of their names with the backbone's sizes in the file's metadata, synced to disk;
/// gives the SHA-256 of the file.
///
/// The safetensors crate would do, but for its metadata, which lie in a random order.
pub(in crate::train) fn write(
    path: &Path,
    dict: &StateDict,
    config: &str,
) -> Result<String, CheckpointError> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({ "dinoscope.config": config, "format": "pt" }));
    let mut end = 0;
    for (name, tensor) in dict {
        let (start, shape) = (end, Value::from(tensor.shape.clone()));
        end += 4 * tensor.data.len();
        header.insert(name.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }));
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut file = BufWriter::new(files::File::create(path).map_err(io("create", path))?);
    let mut hash = Sha256::new();
    let mut put = |bytes: &[u8]| {
        hash.update(bytes);
        file.write_all(bytes).map_err(io("write", path))
    };
    put(&(header.len() as u64).to_le_bytes())?;
    put(&header)?;
    for tensor in dict.values() {
        put(bytemuck::cast_slice(&tensor.data))?;
    }
    let file = file.into_inner().map_err(|error| io("write", path)(error.into_error()))?;
    file.sync_all().map_err(io("write", path))?;
    Ok(hex(hash))
}

/// The SHA-256 of a file, which is not held in memory.
pub(in crate::train) fn digest(path: &Path) -> std::io::Result<String> {
    let mut file = files::File::open(path)?;
    let mut hash = Sha256::new();
    let mut part = vec![0; 1 << 20];
    loop {
        match file.read(&mut part)? {
            0 => return Ok(hex(hash)),
            read => hash.update(&part[..read]),
        }
    }
}

/// Reads such a file, which must have the digest that was written down for it, where one was.
pub(in crate::train) fn read(path: &Path, digest: Option<&String>) -> Result<StateDict, CheckpointError> {
    let bytes = files::read(path).map_err(io("read", path))?;
    if let Some(digest) = digest {
        let found = hex(Sha256::new_with_prefix(&bytes));
        if found != *digest {
            return Err(content(
                path,
                "it is damaged: its SHA-256 is not the one that was written down for it",
            ));
        }
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| content(path, e))?;
    let mut dict = StateDict::new();
    for (name, view) in tensors.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(content(path, format!("{name} is {:?}, not F32", view.dtype())));
        }
        // The file may put tensors at any byte; f32 slices must be aligned.
        let data: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        dict.insert(name, HostTensor::new(view.shape().to_vec(), data));
    }
    if let Some(found) = not_finite([("tensor", &dict)]) {
        let reason = format!("it holds numbers that are not finite ({found}): nothing good comes of it");
        return Err(content(path, reason));
    }
    Ok(dict)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_equal_bytes_and_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let dict = StateDict::from([
            ("b.weight".to_owned(), HostTensor::new([2, 3], vec![1.0, -0.0, 3.5, f32::MAX, 1e-40, 6.0])),
            ("a \"quoted\"".to_owned(), HostTensor::new([1], vec![7.0])),
            ("nothing".to_owned(), HostTensor::new([0, 4], Vec::new())),
        ]);
        let mut digests = Vec::new();
        for name in ["one", "two", "three"] {
            let path = dir.path().join(name);
            digests.push(write(&path, &dict, "{\"dim\":48}").unwrap());
            assert_eq!(read(&path, digests.first()).unwrap(), dict);
        }
        assert!(digests.iter().all(|digest| *digest == digests[0] && digest.len() == 64), "{digests:?}");
        let path = dir.path().join("one");
        let mut bytes = files::read(&path).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(metadata.metadata().as_ref().unwrap()["dinoscope.config"], "{\"dim\":48}");
        // One bit of one number.
        *bytes.last_mut().unwrap() ^= 1;
        files::write(&path, bytes).unwrap();
        assert!(read(&path, digests.first()).unwrap_err().to_string().contains("SHA-256"));
        assert!(read(&path, None).is_ok(), "nobody could tell");
    }
}

//! The tensor files of a checkpoint: safetensors that are the same bytes for the same numbers, each with its digest.

use std::io::{BufWriter, IntoInnerError, Read, Write};
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::files;
use crate::train::checkpoint::{CheckpointError, content, io};
use crate::train::finite_check::not_finite;
use crate::weights::{HostTensor, StateDict};

/// Where a file says the sizes of the backbone.
const CONFIG: &str = "dinoscope.config";

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
    header.insert("__metadata__".to_owned(), json!({ CONFIG: config, "format": "pt" }));
    let mut end = 0;
    for (name, tensor) in dict {
        let (start, shape) = (end, Value::from(tensor.shape.clone()));
        end += 4 * tensor.data.len();
        header.insert(name.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }));
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');

    let length = (header.len() as u64).to_le_bytes();
    let mut parts: Vec<&[u8]> = vec![&length, &header];
    parts.extend(dict.values().map(|tensor| bytemuck::cast_slice::<f32, u8>(&tensor.data)));
    let (written, digest) = hashed(&parts, || put(path, &parts));
    written.map_err(io("write", path))?;
    Ok(digest)
}

/// Writes a file of these parts, synced to disk.
fn put(path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
    let mut file = BufWriter::new(files::File::create(path)?);
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.into_inner().map_err(IntoInnerError::into_error)?.sync_all()
}

/// What `write` gives, and the SHA-256 of `parts`, which are hashed meanwhile where there are threads: a disk takes longer.
fn hashed<T>(parts: &[&[u8]], write: impl FnOnce() -> T) -> (T, String) {
    let hash = || {
        let mut hash = Sha256::new();
        parts.iter().for_each(|part| hash.update(part));
        hex(hash)
    };
    #[cfg(target_family = "wasm")]
    return (write(), hash());
    #[cfg(not(target_family = "wasm"))]
    std::thread::scope(|scope| {
        let beside = std::thread::Builder::new().name("digest".to_owned()).spawn_scoped(scope, hash);
        let written = write();
        let digest = beside.ok().and_then(|beside| beside.join().ok());
        // Where the system gives no thread, one after the other.
        (written, digest.unwrap_or_else(hash))
    })
}

/// The SHA-256 of bytes, as text.
pub(in crate::train) fn digest_of(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
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

/// What is said of a file that was changed.
pub(in crate::train) const DAMAGED: &str =
    "it is damaged: its SHA-256 is not the one that was written down for it";

/// Reads such a file, which must have the digest that was written down for it, where one was.
pub(in crate::train) fn read(path: &Path, digest: Option<&String>) -> Result<StateDict, CheckpointError> {
    read_with_config(path, digest).map(|(dict, _)| dict)
}

/// [`read`], with the backbone's sizes as they stand in the file's metadata, if they do.
pub(in crate::train) fn read_with_config(
    path: &Path,
    digest: Option<&String>,
) -> Result<(StateDict, Option<String>), CheckpointError> {
    let bytes = files::read(path).map_err(io("read", path))?;
    if digest.is_some_and(|digest| digest_of(&bytes) != *digest) {
        return Err(content(path, DAMAGED));
    }
    let damaged = |e: safetensors::SafeTensorError| content(path, format!("it is damaged: {e}"));
    let tensors = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let (_, about) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let config = about.metadata().as_ref().and_then(|about| about.get(CONFIG).cloned());
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
    Ok((dict, config))
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

    /// The figure in `docs/reliability.md`: run alone, in an optimised build, with `--run-ignored only --no-capture`.
    #[test]
    #[ignore = "it measures"]
    fn what_digests_cost() {
        let dir = tempfile::tempdir().unwrap();
        let numbers: Vec<f32> = (0..64 << 20).map(|i| i as f32).collect();
        let parts: Vec<&[u8]> = vec![bytemuck::cast_slice(&numbers)];
        let path = dir.path().join("file");
        let (mut plain, mut with) = (Vec::new(), Vec::new());
        for _ in 0..7 {
            let start = std::time::Instant::now();
            put(&path, &parts).unwrap();
            plain.push(start.elapsed().as_secs_f64());
            let start = std::time::Instant::now();
            hashed(&parts, || put(&path, &parts)).0.unwrap();
            with.push(start.elapsed().as_secs_f64());
        }
        let start = std::time::Instant::now();
        let _ = digest_of(parts[0]);
        let alone = start.elapsed().as_secs_f64();
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let (plain, with) = (median(&mut plain), median(&mut with));
        eprintln!("268 MB: written {plain:.3} s, with digest {with:.3} s; the digest alone {alone:.3} s");
    }
}

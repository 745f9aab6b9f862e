//! Features of pictures by the content of their files, kept in parts that are each written whole.
//!
//! A part is a safetensors file: `features` (f16, `[pictures, dim]`, of length 1), `digests` (`[pictures, 32]`, SHA-256 of the
//! files' bytes), `hashes` (u64), `sizes` (`[pictures, 2]`, width and height), `quality` (`[pictures, 2]`, blur and darkness), `flags`
//! (1: there is a hash, 2: the picture can't be used), and in its metadata why not.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use dinoscope_base::files;
use half::f16;
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::CurateError;

/// What a picture's content is known by.
pub type ContentDigest = [u8; 32];

const FOLDER: &str = "features";
const ORIGIN: &str = "curate.json";
const HAS_HASH: u8 = 1;
const UNREADABLE: u8 = 2;

/// What features were made with: those of a folder are all alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureOrigin {
    /// The weights as they were named.
    pub weights: String,
    /// SHA-256 of their sizes and values, in hexadecimal digits.
    pub digest: String,
    /// Numbers for each picture.
    pub dim: usize,
    /// Side of the views.
    pub size: usize,
    /// Black and white of files of more than 8 bits.
    pub depth_range: String,
}

/// What is known of the content of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredPicture {
    /// SHA-256 of the file's bytes.
    pub digest: ContentDigest,
    /// [`crate::picture::perceptual_hash`].
    pub hash: Option<u64>,
    /// Width and height.
    pub size: (u32, u32),
    /// Variance of the Laplacian.
    pub blur: f32,
    /// 1 less the 99th percentile of the lightness.
    pub darkness: f32,
    /// Why it can't be used.
    pub unreadable: Option<String>,
}

/// Where features of a content lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeaturePlace {
    part: u32,
    row: u32,
}

/// A file of features.
struct FeaturePart {
    path: PathBuf,
    /// Where its features begin.
    offset: u64,
}

/// The features of a folder of curation.
pub struct FeatureStore {
    folder: PathBuf,
    /// What they were made with.
    pub origin: FeatureOrigin,
    parts: Vec<FeaturePart>,
    known: HashMap<ContentDigest, (FeaturePlace, StoredPicture)>,
}

impl FeatureStore {
    /// Opens the features of a folder, which may have none yet.
    ///
    /// # Errors
    /// When those that are there were made with something else, or a file is damaged.
    pub fn with_origin(folder: &Path, origin: &FeatureOrigin) -> Result<Self, CurateError> {
        let about = folder.join(ORIGIN);
        if !files::exists(&about) {
            files::create_dir_all(folder.join(FOLDER)).map_err(CurateError::file(folder))?;
            let text =
                serde_json::to_vec_pretty(origin).map_err(|e| CurateError::unfit(&about, e.to_string()))?;
            files::write_and_rename(&about, text).map_err(CurateError::file(&about))?;
        }
        let store = Self::open(folder)?;
        let there = &store.origin;
        if there.digest != origin.digest || there.dim != origin.dim {
            let reason = format!(
                "this folder holds features of the weights {} ({}), and --weights {} are others ({}): name those, or another \
                 folder with --out",
                there.weights,
                short(&there.digest),
                origin.weights,
                short(&origin.digest)
            );
            return Err(CurateError::unfit(folder, reason));
        }
        if (there.size, &there.depth_range) != (origin.size, &origin.depth_range) {
            let reason = format!(
                "this folder holds features of views of {} pixels (depth range {}), and {} pixels (depth range {}) are asked for: \
                 ask for the same, or name another folder with --out",
                there.size, there.depth_range, origin.size, origin.depth_range
            );
            return Err(CurateError::unfit(folder, reason));
        }
        Ok(store)
    }

    /// Opens the features of a folder.
    ///
    /// # Errors
    /// When there are none, or a file is damaged.
    pub fn open(folder: &Path) -> Result<Self, CurateError> {
        let about = folder.join(ORIGIN);
        if !files::exists(&about) {
            let reason =
                "there are no features in this folder: `dinoscope curate embed PICTURES --out` it first";
            return Err(CurateError::unfit(folder, reason));
        }
        let text = files::read(&about).map_err(CurateError::file(&about))?;
        let origin = serde_json::from_slice(&text)
            .map_err(|error| CurateError::unfit(&about, format!("it is damaged: {error}")))?;
        let (parts, known) = Default::default();
        let mut store = Self { folder: folder.to_owned(), origin, parts, known };
        let place = folder.join(FOLDER);
        let entries = files::read_dir(&place).map_err(CurateError::file(&place))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        // What is being written beside has another ending.
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "safetensors"));
        paths.sort();
        for path in paths {
            store.take(&path)?;
        }
        Ok(store)
    }

    fn take(&mut self, path: &Path) -> Result<(), CurateError> {
        let damaged = |why: String| {
            CurateError::unfit(
                path,
                format!("it is damaged ({why}): remove it, and its pictures are embedded again"),
            )
        };
        let bytes = files::read(path).map_err(CurateError::file(path))?;
        let part = (|| {
            let (header, about) = SafeTensors::read_metadata(&bytes)?;
            Ok::<_, safetensors::SafeTensorError>((
                header as u64 + 8,
                about,
                SafeTensors::deserialize(&bytes)?,
            ))
        })();
        let (start, about, part) = part.map_err(|error| damaged(error.to_string()))?;
        let (rows, offset) = self.checked(&about, &part).map_err(damaged)?;
        let reasons: BTreeMap<usize, String> = about
            .metadata()
            .as_ref()
            .and_then(|told| serde_json::from_str(told.get("unreadable")?).ok())
            .unwrap_or_default();
        let of = |name: &str| part.tensor(name).map(|tensor| tensor.data()).unwrap_or_default();
        let (digests, flags) = (of("digests").as_chunks::<32>().0, of("flags"));
        let hashes = of("hashes").as_chunks::<8>().0;
        let (sizes, quality) = (of("sizes").as_chunks::<4>().0, of("quality").as_chunks::<4>().0);
        let number = self.parts.len() as u32;
        for row in 0..rows {
            let flag = flags[row];
            let reason = || reasons.get(&row).cloned().unwrap_or_else(|| "it could not be used".to_owned());
            let picture = StoredPicture {
                digest: digests[row],
                hash: (flag & HAS_HASH > 0).then(|| u64::from_le_bytes(hashes[row])),
                size: (u32::from_le_bytes(sizes[2 * row]), u32::from_le_bytes(sizes[2 * row + 1])),
                blur: f32::from_le_bytes(quality[2 * row]),
                darkness: f32::from_le_bytes(quality[2 * row + 1]),
                unreadable: (flag & UNREADABLE > 0).then(reason),
            };
            let place = FeaturePlace { part: number, row: row as u32 };
            self.known.insert(picture.digest, (place, picture));
        }
        self.parts.push(FeaturePart { path: path.to_owned(), offset: start + offset });
        Ok(())
    }

    /// How many pictures a part holds and where its features begin behind its header, if all of it has the right shape.
    fn checked(&self, about: &Metadata, part: &SafeTensors<'_>) -> Result<(usize, u64), String> {
        let features = about.info("features").ok_or("it has no features")?;
        let rows = match features.shape[..] {
            [rows, dim] if dim == self.origin.dim && features.dtype == Dtype::F16 => rows,
            _ => return Err(format!("features are {:?} {:?}", features.dtype, features.shape)),
        };
        let wanted = [
            ("digests", Dtype::U8, vec![rows, 32]),
            ("flags", Dtype::U8, vec![rows]),
            ("hashes", Dtype::U64, vec![rows]),
            ("sizes", Dtype::U32, vec![rows, 2]),
            ("quality", Dtype::F32, vec![rows, 2]),
        ];
        for (name, kind, shape) in wanted {
            let fits = part.tensor(name).is_ok_and(|t| t.dtype() == kind && t.shape() == shape);
            if !fits {
                return Err(format!("{name} do not fit"));
            }
        }
        Ok((rows, features.data_offsets.0 as u64))
    }

    /// What is known of a content.
    pub fn picture(&self, digest: &ContentDigest) -> Option<&StoredPicture> {
        self.known.get(digest).map(|(_, picture)| picture)
    }

    /// Where the features of a content lie; `None` of those that are unknown or can't be used.
    pub fn place(&self, digest: &ContentDigest) -> Option<FeaturePlace> {
        let (place, picture) = self.known.get(digest)?;
        picture.unreadable.is_none().then_some(*place)
    }

    /// All contents that are known.
    pub fn digests(&self) -> impl Iterator<Item = &ContentDigest> {
        self.known.keys()
    }

    /// Keeps pictures with their features, `[pictures, dim]` of length 1, in a part of their own.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn add(&mut self, pictures: &[StoredPicture], features: &[f16]) -> Result<(), CurateError> {
        if pictures.is_empty() {
            return Ok(());
        }
        let rows = pictures.len();
        let features: Vec<u8> = features.iter().flat_map(|value| value.to_le_bytes()).collect();
        let digests: Vec<u8> = pictures.iter().flat_map(|picture| picture.digest).collect();
        let hashes: Vec<u8> = pictures.iter().flat_map(|p| p.hash.unwrap_or(0).to_le_bytes()).collect();
        let flag = |p: &StoredPicture| {
            (u8::from(p.hash.is_some()) * HAS_HASH) | (u8::from(p.unreadable.is_some()) * UNREADABLE)
        };
        let flags: Vec<u8> = pictures.iter().map(flag).collect();
        let sizes: Vec<u8> =
            pictures.iter().flat_map(|p| [p.size.0, p.size.1]).flat_map(u32::to_le_bytes).collect();
        let quality: Vec<u8> =
            pictures.iter().flat_map(|p| [p.blur, p.darkness]).flat_map(f32::to_le_bytes).collect();
        let reasons: BTreeMap<usize, &String> =
            pictures.iter().enumerate().filter_map(|(i, p)| Some((i, p.unreadable.as_ref()?))).collect();
        let name: String = Sha256::digest(&digests)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.folder.join(FOLDER).join(format!("{name}.safetensors"));
        let unfit = |why: String| CurateError::unfit(&path, why);
        let view = |kind, shape, data| TensorView::new(kind, shape, data).map_err(|e| unfit(e.to_string()));
        let tensors = [
            ("features", view(Dtype::F16, vec![rows, self.origin.dim], &features)?),
            ("digests", view(Dtype::U8, vec![rows, 32], &digests)?),
            ("flags", view(Dtype::U8, vec![rows], &flags)?),
            ("hashes", view(Dtype::U64, vec![rows], &hashes)?),
            ("sizes", view(Dtype::U32, vec![rows, 2], &sizes)?),
            ("quality", view(Dtype::F32, vec![rows, 2], &quality)?),
        ];
        let reasons = serde_json::to_string(&reasons).map_err(|e| unfit(e.to_string()))?;
        let told = HashMap::from([("unreadable".to_owned(), reasons)]);
        let bytes = safetensors::serialize(tensors, Some(told)).map_err(|e| unfit(e.to_string()))?;
        files::write_and_rename(&path, bytes).map_err(CurateError::file(&path))?;
        self.take(&path)
    }

    /// Features of some places, in rising order, `[places, dim]`: what neighbours lie together is read together.
    ///
    /// # Errors
    /// When a part can't be read.
    pub fn read(&self, places: &[FeaturePlace], out: &mut [f32]) -> Result<(), CurateError> {
        let dim = self.origin.dim;
        let mut bytes = Vec::new();
        let mut at = 0;
        let mut open: Option<(u32, std::fs::File)> = None;
        while let Some(first) = places.get(at) {
            let follows = |i: &usize| {
                let next = places[at + i];
                next.part == first.part && next.row as usize == first.row as usize + i
            };
            let count = (1..(places.len() - at).min(MOST_AT_ONCE)).take_while(follows).count() + 1;
            let part = self.parts.get(first.part as usize).ok_or_else(|| {
                CurateError::unfit(&self.folder, "features of another folder were asked for")
            })?;
            let failed = || CurateError::file(&part.path);
            if open.as_ref().is_none_or(|(number, _)| *number != first.part) {
                open = Some((first.part, std::fs::File::open(&part.path).map_err(failed())?));
            }
            let Some((_, file)) = &mut open else { break };
            file.seek(SeekFrom::Start(part.offset + (first.row as usize * dim * 2) as u64))
                .map_err(failed())?;
            bytes.resize(count * dim * 2, 0);
            file.read_exact(&mut bytes).map_err(failed())?;
            let rows = &mut out[at * dim..(at + count) * dim];
            for (value, bits) in rows.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *value = f16::from_le_bytes(*bits).to_f32();
            }
            at += count;
        }
        Ok(())
    }
}

/// Rows that are read at once.
pub(crate) const MOST_AT_ONCE: usize = 1024;

/// Enough of a digest to tell two apart.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// A digest as hexadecimal digits.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A digest from hexadecimal digits.
pub fn from_hex(text: &str) -> Option<ContentDigest> {
    let bytes = text.as_bytes();
    let mut out = [0; 32];
    if bytes.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(out)
}

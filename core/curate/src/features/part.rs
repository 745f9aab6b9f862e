//! A file of features.
//!
//! A safetensors file: `features` (f16, `[pictures, dim]`, of length 1), `digests` (`[pictures, 32]`, SHA-256 of the files' bytes),
//! `hashes` (u64), `sizes` (`[pictures, 2]`, width and height), `quality` (`[pictures, 2]`, blur and darkness), `flags` (1: there is a
//! hash, 2: the picture can't be used), and in its metadata why not. Newer ones have `mirror_hashes` (u64) and `small` (`[pictures,
//! 1024]`, the lightness at 32 × 32 pixels) beside. What it says of its pictures is read when it is opened, features and small
//! pictures where they are asked for.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use dinoscope_base::files;
use half::f16;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo, TensorView};

use super::StoredPicture;
use crate::CurateError;
use crate::small_picture::{PIXELS, SmallPicture};

const HAS_HASH: u8 = 1;
const UNREADABLE: u8 = 2;
/// A header is far smaller; what says that it is larger is no such file.
const LONGEST_HEADER: u64 = 100 << 20;

/// Where what a file holds begins in it.
pub struct FeaturePart {
    path: PathBuf,
    features: u64,
    /// Of the small pictures, where there are some.
    small: Option<u64>,
}

impl FeaturePart {
    /// Opens a file, and reads what it says of its pictures, in the order of its rows.
    ///
    /// # Errors
    /// When it can't be read, or is damaged.
    pub fn open(path: &Path, dim: usize) -> Result<(Self, Vec<StoredPicture>), CurateError> {
        let damaged = |why: &str| {
            let reason = format!("it is damaged ({why}): remove it, and its pictures are embedded again");
            CurateError::unfit(path, reason)
        };
        let failed = || CurateError::file(path);
        let mut file = File::open(path).map_err(failed())?;
        let whole = file.metadata().map_err(failed())?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| damaged("it has no header"))?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST_HEADER.min(whole.saturating_sub(8)) {
            return Err(damaged("it ends within its header"));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(failed())?;
        let about: Metadata =
            serde_json::from_slice(&header).map_err(|error| damaged(&format!("its header: {error}")))?;
        let start = 8 + length;
        let ends = about.tensors().values().map(|info| info.data_offsets.1 as u64).max().unwrap_or(0);
        if start + ends != whole {
            return Err(damaged("it is shorter or longer than its header says"));
        }
        let rows = rows(&about, dim).map_err(|why| damaged(&why))?;
        let offset = |name: &str| about.info(name).map(|info| start + info.data_offsets.0 as u64);
        let mut read = |name: &str, each: usize| -> Result<Vec<u8>, CurateError> {
            let Some(offset) = offset(name) else { return Ok(Vec::new()) };
            let mut bytes = vec![0; rows * each];
            file.seek(SeekFrom::Start(offset)).map_err(failed())?;
            file.read_exact(&mut bytes).map_err(failed())?;
            Ok(bytes)
        };
        let (digests, flags) = (read("digests", 32)?, read("flags", 1)?);
        let (hashes, mirrored) = (read("hashes", 8)?, read("mirror_hashes", 8)?);
        let (sizes, quality) = (read("sizes", 8)?, read("quality", 8)?);
        let reasons: BTreeMap<usize, String> = about
            .metadata()
            .as_ref()
            .and_then(|told| serde_json::from_str(told.get("unreadable")?).ok())
            .unwrap_or_default();
        let hash =
            |all: &[u8], row: usize| all.as_chunks::<8>().0.get(row).map(|bits| u64::from_le_bytes(*bits));
        let (digests, sizes) = (digests.as_chunks::<32>().0, sizes.as_chunks::<4>().0);
        let quality = quality.as_chunks::<4>().0;
        let picture = |row: usize| {
            let (hashed, lost) = (flags[row] & HAS_HASH > 0, flags[row] & UNREADABLE > 0);
            let reason = || reasons.get(&row).cloned().unwrap_or_else(|| "it could not be used".to_owned());
            StoredPicture {
                digest: digests[row],
                hash: hash(&hashes, row).filter(|_| hashed),
                mirror_hash: hash(&mirrored, row).filter(|_| hashed),
                small: None,
                size: (u32::from_le_bytes(sizes[2 * row]), u32::from_le_bytes(sizes[2 * row + 1])),
                blur: f32::from_le_bytes(quality[2 * row]),
                darkness: f32::from_le_bytes(quality[2 * row + 1]),
                unreadable: lost.then(reason),
            }
        };
        let pictures = (0..rows).map(picture).collect();
        let features = offset("features").unwrap_or(start);
        Ok((Self { path: path.to_owned(), features, small: offset("small") }, pictures))
    }

    /// Whether it holds small pictures.
    pub fn has_small(&self) -> bool {
        self.small.is_some()
    }

    /// Opens it for its features.
    ///
    /// # Errors
    /// What the system says.
    pub fn reader(&self) -> Result<OpenFeaturePart<'_>, CurateError> {
        let file = File::open(&self.path).map_err(CurateError::file(&self.path))?;
        Ok(OpenFeaturePart { part: self, file })
    }
}

/// How many pictures a part holds, if all of it has the right shape.
fn rows(about: &Metadata, dim: usize) -> Result<usize, String> {
    let features = about.info("features").ok_or("it has no features")?;
    let rows = match features.shape[..] {
        [rows, width] if width == dim && features.dtype == Dtype::F16 => rows,
        _ => return Err(format!("features are {:?} {:?}", features.dtype, features.shape)),
    };
    let wanted = [
        ("digests", Dtype::U8, vec![rows, 32]),
        ("flags", Dtype::U8, vec![rows]),
        ("hashes", Dtype::U64, vec![rows]),
        ("sizes", Dtype::U32, vec![rows, 2]),
        ("quality", Dtype::F32, vec![rows, 2]),
    ];
    let newer = [("mirror_hashes", Dtype::U64, vec![rows]), ("small", Dtype::U8, vec![rows, PIXELS])];
    let fits = |info: &TensorInfo, kind, shape: &[usize]| {
        let bytes = shape.iter().product::<usize>() * info.dtype.bitsize() / 8;
        info.dtype == kind
            && info.shape == shape
            && info.data_offsets.1.checked_sub(info.data_offsets.0) == Some(bytes)
    };
    for (name, kind, shape) in wanted {
        if !about.info(name).is_some_and(|info| fits(info, kind, &shape)) {
            return Err(format!("{name} do not fit"));
        }
    }
    for (name, kind, shape) in newer {
        if !about.info(name).is_none_or(|info| fits(info, kind, &shape)) {
            return Err(format!("{name} do not fit"));
        }
    }
    fits(features, Dtype::F16, &[rows, dim]).then_some(rows).ok_or_else(|| "features do not fit".to_owned())
}

/// A file that is read from.
pub struct OpenFeaturePart<'a> {
    part: &'a FeaturePart,
    file: File,
}

impl OpenFeaturePart<'_> {
    /// Whether it is this one.
    pub fn is_of(&self, part: &FeaturePart) -> bool {
        std::ptr::eq(self.part, part)
    }

    /// Reads rows from `first` on, `[rows, dim]` in half precision.
    ///
    /// # Errors
    /// What the system says.
    pub fn features(
        &mut self,
        first: usize,
        numbers: usize,
        dim: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CurateError> {
        out.resize(numbers * 2, 0);
        self.at(self.part.features + (first * dim * 2) as u64, out)
    }

    /// Reads what the picture of a row looks like.
    ///
    /// # Errors
    /// What the system says.
    pub fn small(&mut self, row: usize) -> Result<Option<SmallPicture>, CurateError> {
        let Some(offset) = self.part.small else { return Ok(None) };
        let mut out = [0; PIXELS];
        self.at(offset + (row * PIXELS) as u64, &mut out)?;
        Ok(Some(out))
    }

    fn at(&mut self, offset: u64, out: &mut [u8]) -> Result<(), CurateError> {
        let failed = || CurateError::file(&self.part.path);
        self.file.seek(SeekFrom::Start(offset)).map_err(failed())?;
        self.file.read_exact(out).map_err(failed())
    }
}

/// Writes a file of pictures with their features, `[pictures, dim]`, whole or not at all.
///
/// # Errors
/// What the system says.
pub fn write(
    path: &Path,
    dim: usize,
    pictures: &[StoredPicture],
    features: &[f16],
) -> Result<(), CurateError> {
    let rows = pictures.len();
    let words = |word: fn(&StoredPicture) -> Option<u64>| -> Vec<u8> {
        pictures.iter().flat_map(|picture| word(picture).unwrap_or(0).to_le_bytes()).collect()
    };
    let features: Vec<u8> = features.iter().flat_map(|value| value.to_le_bytes()).collect();
    let digests: Vec<u8> = pictures.iter().flat_map(|picture| picture.digest).collect();
    let (hashes, mirrored) = (words(|picture| picture.hash), words(|picture| picture.mirror_hash));
    let flag = |p: &StoredPicture| {
        (u8::from(p.hash.is_some()) * HAS_HASH) | (u8::from(p.unreadable.is_some()) * UNREADABLE)
    };
    let flags: Vec<u8> = pictures.iter().map(flag).collect();
    let sizes: Vec<u8> =
        pictures.iter().flat_map(|p| [p.size.0, p.size.1]).flat_map(u32::to_le_bytes).collect();
    let quality: Vec<u8> =
        pictures.iter().flat_map(|p| [p.blur, p.darkness]).flat_map(f32::to_le_bytes).collect();
    // One that can't be used looks like nothing.
    let small: Vec<u8> =
        pictures.iter().flat_map(|p| p.small.as_deref().copied().unwrap_or([0; PIXELS])).collect();
    let reasons: BTreeMap<usize, &String> =
        pictures.iter().enumerate().filter_map(|(i, p)| Some((i, p.unreadable.as_ref()?))).collect();
    let unfit = |why: String| CurateError::unfit(path, why);
    let view = |kind, shape, data| TensorView::new(kind, shape, data).map_err(|e| unfit(e.to_string()));
    let mut tensors = vec![
        ("features", view(Dtype::F16, vec![rows, dim], &features)?),
        ("digests", view(Dtype::U8, vec![rows, 32], &digests)?),
        ("flags", view(Dtype::U8, vec![rows], &flags)?),
        ("hashes", view(Dtype::U64, vec![rows], &hashes)?),
        ("sizes", view(Dtype::U32, vec![rows, 2], &sizes)?),
        ("quality", view(Dtype::F32, vec![rows, 2], &quality)?),
    ];
    // Those of one of old are not known, not black.
    if pictures.iter().any(|picture| picture.small.is_some()) {
        tensors.push(("small", view(Dtype::U8, vec![rows, PIXELS], &small)?));
    }
    if pictures.iter().any(|picture| picture.mirror_hash.is_some()) {
        tensors.push(("mirror_hashes", view(Dtype::U64, vec![rows], &mirrored)?));
    }
    let reasons = serde_json::to_string(&reasons).map_err(|e| unfit(e.to_string()))?;
    let told = HashMap::from([("unreadable".to_owned(), reasons)]);
    let bytes = safetensors::serialize(tensors, Some(told)).map_err(|e| unfit(e.to_string()))?;
    files::write_and_rename(path, bytes).map_err(CurateError::file(path))
}

//! Features of pictures by the content of their files, kept in parts that are each written whole.

mod part;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use dinoscope_base::files;
use half::f16;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::CurateError;
use crate::small_picture::SmallPicture;
use part::{FeaturePart, OpenFeaturePart};

/// What a picture's content is known by.
pub type ContentDigest = [u8; 32];

const FOLDER: &str = "features";
const ORIGIN: &str = "curate.json";

/// What features were made with: those of a folder are all alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Whether features are the mean of those of a picture and of the mirrored one. Folders of old have those of one view.
    #[serde(default)]
    pub mirrored: bool,
}

/// What is known of the content of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredPicture {
    /// SHA-256 of the file's bytes.
    pub digest: ContentDigest,
    /// [`crate::picture::perceptual_hashes`].
    pub hash: Option<u64>,
    /// The same of the picture with left and right exchanged; folders of old do not have it.
    pub mirror_hash: Option<u64>,
    /// What it looks like at 32 × 32 pixels. It goes onto the disk alone: [`FeatureStore::read_small`] reads it.
    pub small: Option<Box<SmallPicture>>,
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
        if there.mirrored != origin.mirrored {
            let (has, asked) = if there.mirrored { ("two views", "of one") } else { ("one view", "of two") };
            let reason = format!(
                "this folder holds features of {has} of each picture, and those {asked} are asked for: leave out --views, or name \
                 another folder with --out"
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

    /// What the features of a folder were made with; `None` where there are none yet.
    ///
    /// # Errors
    /// When the file that says so is damaged.
    pub fn origin(folder: &Path) -> Result<Option<FeatureOrigin>, CurateError> {
        let about = folder.join(ORIGIN);
        if !files::exists(&about) {
            return Ok(None);
        }
        let text = files::read(&about).map_err(CurateError::file(&about))?;
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| CurateError::unfit(&about, format!("it is damaged: {error}")))
    }

    /// Opens the features of a folder. Of its files the features themselves are not read.
    ///
    /// # Errors
    /// When there are none, or a file is damaged.
    pub fn open(folder: &Path) -> Result<Self, CurateError> {
        let origin = Self::origin(folder)?.ok_or_else(|| {
            CurateError::unfit(
                folder,
                "there are no features in this folder: `dinoscope curate embed PICTURES --out` it first",
            )
        })?;
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
        let number = self.parts.len() as u32;
        let (part, pictures) = FeaturePart::open(path, self.origin.dim)?;
        for (row, picture) in pictures.into_iter().enumerate() {
            self.known.insert(picture.digest, (FeaturePlace { part: number, row: row as u32 }, picture));
        }
        self.parts.push(part);
        Ok(())
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
        let digests: Vec<u8> = pictures.iter().flat_map(|picture| picture.digest).collect();
        let path =
            self.folder.join(FOLDER).join(format!("{}.safetensors", hex(&Sha256::digest(&digests)[..8])));
        part::write(&path, self.origin.dim, pictures, features)?;
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
        let mut open: Option<OpenFeaturePart> = None;
        while let Some(first) = places.get(at) {
            let follows = |i: &usize| {
                let next = places[at + i];
                next.part == first.part && next.row as usize == first.row as usize + i
            };
            let count = (1..(places.len() - at).min(MOST_AT_ONCE)).take_while(follows).count() + 1;
            self.open_part(first.part, &mut open)?.features(
                first.row as usize,
                count * dim,
                dim,
                &mut bytes,
            )?;
            let rows = &mut out[at * dim..(at + count) * dim];
            for (value, bits) in rows.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *value = f16::from_le_bytes(*bits).to_f32();
            }
            at += count;
        }
        Ok(())
    }

    /// What pictures of some places look like, in rising order; `None` of those of folders of old.
    ///
    /// # Errors
    /// When a part can't be read.
    pub fn read_small(&self, places: &[FeaturePlace]) -> Result<Vec<Option<SmallPicture>>, CurateError> {
        let mut open: Option<OpenFeaturePart> = None;
        places.iter().map(|place| self.open_part(place.part, &mut open)?.small(place.row as usize)).collect()
    }

    /// Whether it is known what the picture of a place looks like.
    pub fn has_small(&self, place: &FeaturePlace) -> bool {
        self.parts.get(place.part as usize).is_some_and(FeaturePart::has_small)
    }

    fn open_part<'a, 'b>(
        &'a self,
        number: u32,
        open: &'b mut Option<OpenFeaturePart<'a>>,
    ) -> Result<&'b mut OpenFeaturePart<'a>, CurateError> {
        let part = self
            .parts
            .get(number as usize)
            .ok_or_else(|| CurateError::unfit(&self.folder, "features of another folder were asked for"))?;
        // One that is open stays so while its rows are asked for.
        let known = open.take().filter(|open| open.is_of(part));
        Ok(open.insert(match known {
            Some(known) => known,
            None => part.reader()?,
        }))
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

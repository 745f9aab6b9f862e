//! Features that were computed before, kept by what they were computed from, so that a second evaluation takes seconds.
//!
//! A file holds rows for one backbone (the SHA-256 of its sizes and of every value), on one device, at one size of
//! views. Rows are found by the SHA-256 of the view itself: a picture that changed is another picture, one that was
//! moved or renamed is not, and parts of a collection share what they have in common. The first row that is found is
//! computed once more and compared, so that rows of a program that computes otherwise are never used.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, ExecutionError};
use sha2::{Digest, Sha256};

use dinoscope_analysis::{AnalysisError, write_atomic};
use dinoscope_base::files;
use dinoscope_data::channels::ChannelStatistics;
use dinoscope_data::{Picture, RGB};
use dinoscope_model::features::ImageFeatureSpec;
use dinoscope_model::{Vit, params};

/// Opens every file; another layout would have another one.
const MAGIC: &[u8; 8] = b"DINOFEA1";
const ENDING: &str = ".features";
/// Bytes of the checksum at the end.
const CHECKSUM: usize = 32;

/// What a picture is known by.
pub(super) type Name = [u8; 32];

/// Where features are kept, and how many.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FeatureDiskCache {
    folder: Option<PathBuf>,
    /// Bytes of all files together.
    limit: u64,
}

impl FeatureDiskCache {
    /// Keeps nothing.
    pub fn off() -> Self {
        Self { folder: None, limit: 0 }
    }

    /// Keeps at most `limit` bytes in a folder, which is made when it is needed. When there is more, what was written
    /// first goes first.
    pub fn in_folder(folder: impl Into<PathBuf>, limit: u64) -> Self {
        Self { folder: Some(folder.into()), limit }
    }

    /// Where the program keeps its features: 2 GiB in `features` beside the weights that it downloads.
    #[cfg(not(target_family = "wasm"))]
    pub fn of_program() -> Self {
        let weights = dinoscope_weights::download::default_cache();
        Self::in_folder(weights.with_file_name("features"), Self::LIMIT)
    }

    /// Where a page keeps its features: in memory, and little of them.
    #[cfg(target_family = "wasm")]
    pub fn of_program() -> Self {
        Self::in_folder("/features", Self::LIMIT)
    }

    /// Bytes that [`FeatureDiskCache::of_program`] may fill.
    pub const LIMIT: u64 = if cfg!(target_family = "wasm") { 64 << 20 } else { 2 << 30 };

    /// The folder, where there is one.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// What is kept for a backbone. Damaged files count as absent.
    pub(super) async fn open(
        &self,
        backbone: &Vit,
        device: &Device,
        size: usize,
        wanted: ImageFeatureSpec,
    ) -> Result<CachedFeatures, ExecutionError> {
        let dim = backbone.config.dim;
        let mut kept = CachedFeatures::new(wanted.width(dim), self.limit);
        let Some(folder) = &self.folder else { return Ok(kept) };
        let backbone_digest = digest(backbone).await?;
        let path = |wanted: ImageFeatureSpec| {
            let mut hash = Sha256::new();
            hash.update(MAGIC);
            hash.update(env!("CARGO_PKG_VERSION"));
            hash.update(backbone_digest);
            hash.update(format!("{device:?} {size} {wanted:?}"));
            folder.join(format!("{}{ENDING}", hex(&hash.finalize())))
        };
        // What the linear probe looks at holds the last CLS token too.
        let blocks = backbone.config.depth.min(4);
        let deep = ImageFeatureSpec { blocks, patch_mean: true };
        if wanted == ImageFeatureSpec::CLS {
            kept.take(path(deep), deep.width(dim), (blocks - 1) * dim);
        }
        kept.take(path(wanted), kept.dim, 0);
        kept.path = Some(path(wanted));
        kept.fresh = 0;
        Ok(kept)
    }

    /// Writes what is new, and makes room.
    pub(super) fn save(&self, kept: &CachedFeatures) -> Result<(), AnalysisError> {
        let (Some(folder), Some(path)) = (&self.folder, kept.path.as_ref().filter(|_| kept.fresh > 0)) else {
            return Ok(());
        };
        let made = files::create_dir_all(folder);
        made.map_err(|source| AnalysisError::Write { path: folder.display().to_string(), source })?;
        write_atomic(path, &kept.bytes())?;
        self.make_room(folder, path);
        Ok(())
    }

    /// Removes the oldest files, but never `newest`.
    fn make_room(&self, folder: &Path, newest: &Path) {
        let Ok(entries) = files::read_dir(folder) else { return };
        let mut found: Vec<_> = entries
            .filter_map(Result::ok)
            // Half-written neighbours that a crash has left are named after the file with something behind.
            .filter(|entry| entry.file_name().to_string_lossy().contains(ENDING))
            .filter_map(|entry| {
                let about = entry.metadata().ok()?;
                Some((about.modified().ok()?, about.len(), entry.path()))
            })
            .collect();
        found.sort();
        let mut total: u64 = found.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in found {
            if total > self.limit && path != newest && files::remove_file(&path).is_ok() {
                total -= bytes;
            }
        }
    }
}

/// Rows that are known for one backbone.
#[derive(Debug)]
pub(super) struct CachedFeatures {
    /// The file to write; none when nothing is kept.
    path: Option<PathBuf>,
    /// The files that rows are from.
    from: Vec<PathBuf>,
    dim: usize,
    names: HashMap<Name, usize>,
    /// `[rows, dim]`
    data: Vec<f32>,
    /// Rows that the file lacks.
    fresh: usize,
    /// Bytes that the rows may have.
    limit: u64,
    /// Whether a row was compared with what is computed now.
    pub(super) checked: bool,
    /// Rows that were handed out.
    pub(super) used: usize,
}

impl CachedFeatures {
    /// Nothing yet.
    pub(super) fn new(dim: usize, limit: u64) -> Self {
        Self {
            path: None,
            from: Vec::new(),
            dim,
            names: HashMap::new(),
            data: Vec::new(),
            fresh: 0,
            limit,
            checked: false,
            used: 0,
        }
    }

    /// Whether there is anything to look for or to keep.
    pub(super) fn is_off(&self) -> bool {
        self.path.is_none()
    }

    /// The row of a view.
    pub(super) fn find(&self, name: &Name) -> Option<&[f32]> {
        let row = *self.names.get(name)?;
        self.data.get(row * self.dim..(row + 1) * self.dim)
    }

    /// Keeps a row, while there is room.
    pub(super) fn add(&mut self, name: Name, row: &[f32]) {
        let bytes = (self.names.len() as u64 + 1) * (4 * self.dim as u64 + 32);
        if bytes < self.limit && !self.names.contains_key(&name) {
            self.names.insert(name, self.names.len());
            self.data.extend(row);
            self.fresh += 1;
        }
    }

    /// Takes over the rows of a file, from a column on.
    fn take(&mut self, file: PathBuf, width: usize, column: usize) {
        if let Some((names, rows)) = read(&file, width) {
            for (name, row) in names.iter().zip(rows.chunks_exact(width.max(1))) {
                self.add(*name, &row[column..column + self.dim]);
            }
            self.from.push(file);
        }
    }

    /// Forgets all rows, also on disk: they are not what is computed now.
    pub(super) fn forget(&mut self) {
        self.names.clear();
        self.data.clear();
        for file in self.from.drain(..) {
            // Where that fails it is found out again the next time.
            let _ = files::remove_file(file);
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut names = vec![[0; 32]; self.names.len()];
        self.names.iter().for_each(|(name, row)| names[*row] = *name);
        let mut out = MAGIC.to_vec();
        out.extend((self.dim as u64).to_le_bytes());
        out.extend((names.len() as u64).to_le_bytes());
        out.extend(names.as_flattened());
        out.extend(self.data.iter().flat_map(|value| value.to_le_bytes()));
        let checksum: [u8; CHECKSUM] = Sha256::digest(&out).into();
        out.extend(checksum);
        out
    }
}

/// Names and rows of a file; `None` when it is absent, damaged or of another width.
fn read(path: &Path, dim: usize) -> Option<(Vec<Name>, Vec<f32>)> {
    let bytes = files::read(path).ok()?;
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    if Sha256::digest(content)[..] != *checksum {
        return None;
    }
    let rest = content.strip_prefix(MAGIC)?;
    let (width, rest) = rest.split_first_chunk::<8>()?;
    let (count, rest) = rest.split_first_chunk::<8>()?;
    let (width, count) = (
        usize::try_from(u64::from_le_bytes(*width)).ok()?,
        usize::try_from(u64::from_le_bytes(*count)).ok()?,
    );
    let (names, rows) = rest.split_at_checked(count.checked_mul(32)?)?;
    if width != dim || rows.len() != count.checked_mul(width)?.checked_mul(4)? {
        return None;
    }
    let rows = rows.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
    Some((names.as_chunks::<32>().0.to_vec(), rows))
}

/// What a view is known by.
pub(super) fn name(view: &Picture) -> Name {
    let mut hash = Sha256::new();
    hash.update((view.width as u64).to_le_bytes());
    hash.update((view.height as u64).to_le_bytes());
    view.layers().for_each(|layer| hash.update(layer));
    if view.channels != RGB {
        hash.update((view.channels as u64).to_le_bytes());
    }
    hash.finalize().into()
}

/// What a backbone is known by: its sizes, and the name, shape and every value of its parameters.
///
/// # Errors
/// When the device fails to hand over its memory.
pub async fn digest(backbone: &Vit) -> Result<[u8; 32], ExecutionError> {
    let mut hash = Sha256::new();
    let config = format!("{:?}", backbone.config);
    // A model of the usual pictures is known by what it was before there were others.
    let usual = format!(", pixels: {:?}", ChannelStatistics::image_net());
    hash.update(config.replace(&usual, ""));
    let mut parameters = Vec::new();
    params::visit(backbone, |seen| parameters.push((format!("{} {:?}", seen.name, seen.shape), seen.value)));
    for (name, value) in parameters {
        hash.update(name);
        hash.update(bytemuck::cast_slice(&params::read(value).await?));
    }
    Ok(hash.finalize().into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;

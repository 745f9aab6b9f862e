//! What a frozen teacher said of views that never change, kept on disk: it is asked once about each picture.
//!
//! One file of records, appended to. Each holds a picture's index, its features (float32) and a digest of both, so that a
//! file that was cut short by a killed process still gives what came before, and a record that was damaged is asked anew.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use burn::tensor::{Device, ExecutionError, Tensor, TensorData};
use sha2::{Digest, Sha256};

use crate::files::{self, File, OpenOptions};
use crate::model::params::read;
use crate::train::batch::MicroBatch;
use crate::train::frozen_teacher::{FrozenTeacher, TeacherOutput};
use crate::train::recipe::Recipe;

/// Views of a picture.
const VIEWS: usize = 2;

/// Bytes of a record's digest: the first of its SHA-256.
const DIGEST: usize = 8;

/// What a record ends with.
fn digest(bytes: &[u8]) -> [u8; DIGEST] {
    let whole: [u8; 32] = Sha256::digest(bytes).into();
    std::array::from_fn(|i| whole[i])
}

/// Features of the teacher by picture.
pub struct TeacherCache {
    path: PathBuf,
    header: [u8; 32],
    /// Where each picture's record begins.
    at: HashMap<usize, u64>,
    end: u64,
    sizes: TeacherRecordLayout,
}

#[derive(Clone, Copy, Debug)]
struct TeacherRecordLayout {
    cls: usize,
    grid: usize,
    patch: usize,
}

impl TeacherRecordLayout {
    fn view(self) -> usize {
        self.cls + self.grid * self.grid * self.patch
    }

    /// Bytes of a record: the picture's index, its views, the digest.
    fn record(self) -> u64 {
        8 + (VIEWS * self.view() * 4) as u64 + DIGEST as u64
    }
}

impl TeacherCache {
    /// Opens `folder/teacher.features`; what was kept for other weights, crops or pictures is begun anew.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(folder: &Path, frozen: &FrozenTeacher, recipe: &Recipe, data: &str) -> std::io::Result<Self> {
        let dim = frozen.backbone.config.dim;
        let grid = frozen.side(recipe) / frozen.backbone.config.patch;
        let sizes = TeacherRecordLayout { cls: dim, grid, patch: dim * frozen.blocks(recipe) };
        let mut hash = Sha256::new();
        hash.update(frozen.fingerprint.as_bytes());
        hash.update(format!("digests {:?} {} {sizes:?} {data}", recipe.crops, recipe.train.seed));
        let header: [u8; 32] = hash.finalize().into();
        let path = folder.join("teacher.features");
        let mut cache = Self { path, header, at: HashMap::new(), end: 32, sizes };
        if !cache.scan()? {
            files::write(&cache.path, header)?;
        }
        Ok(cache)
    }

    /// Finds the records of a file that begins with the header; false when there is none.
    fn scan(&mut self) -> std::io::Result<bool> {
        if !files::is_file(&self.path) {
            return Ok(false);
        }
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        let mut header = [0; 32];
        if length < 32 || file.read_exact(&mut header).is_err() || header != self.header {
            return Ok(false);
        }
        let whole = (length - 32) / self.sizes.record();
        for record in 0..whole {
            let start = 32 + record * self.sizes.record();
            let mut index = [0; 8];
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(&mut index)?;
            self.at.insert(u64::from_le_bytes(index) as usize, start);
        }
        self.end = 32 + whole * self.sizes.record();
        if self.end < length {
            // The half of a record at the end would shift all that follow.
            let mut bytes = files::read(&self.path)?;
            bytes.truncate(self.end as usize);
            files::write(&self.path, bytes)?;
        }
        Ok(true)
    }

    /// Pictures that are known.
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether no picture is known.
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// What the teacher says of a part's global crops: from the file where all its pictures are known, else asked and
    /// kept.
    ///
    /// # Errors
    /// When the disk or the device refuses.
    pub async fn told(
        &mut self,
        frozen: &FrozenTeacher,
        part: &MicroBatch,
        recipe: &Recipe,
        device: &Device,
    ) -> Result<TeacherOutput, TeacherCacheError> {
        let images = part.pictures.len();
        let mut records = Vec::with_capacity(images);
        for &picture in &part.pictures {
            match self.record(picture)? {
                Some(record) => records.push(record),
                // Not known, or not as it was written: asked with all of the part.
                None => drop(self.at.remove(&picture)),
            }
        }
        if records.len() == images {
            return Ok(self.assemble(&records, device));
        }
        let told = frozen.look(part.global.clone(), recipe);
        let (cls, patches) = (read(told.cls.clone()).await?, read(told.patches.clone()).await?);
        let (wide, long) = (self.sizes.cls, self.sizes.view() - self.sizes.cls);
        let mut out = OpenOptions::new().append(true).open(&self.path)?;
        for (slot, &picture) in part.pictures.iter().enumerate() {
            if self.at.contains_key(&picture) {
                continue;
            }
            let mut bytes = (picture as u64).to_le_bytes().to_vec();
            for view in 0..VIEWS {
                let row = view * images + slot;
                bytes.extend_from_slice(bytemuck::cast_slice(&cls[row * wide..][..wide]));
                bytes.extend_from_slice(bytemuck::cast_slice(&patches[row * long..][..long]));
            }
            let digest = digest(&bytes);
            bytes.extend(digest);
            out.write_all(&bytes)?;
            self.at.insert(picture, self.end);
            self.end += self.sizes.record();
        }
        Ok(told)
    }

    /// The views of a picture, where they are known and undamaged.
    fn record(&self, picture: usize) -> std::io::Result<Option<Vec<f32>>> {
        let Some(&start) = self.at.get(&picture) else { return Ok(None) };
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![0; self.sizes.record() as usize];
        file.read_exact(&mut bytes)?;
        let Some((record, kept)) = bytes.split_last_chunk::<DIGEST>() else { return Ok(None) };
        let Some((index, views)) = record.split_first_chunk::<8>() else { return Ok(None) };
        let whole = digest(record) == *kept && u64::from_le_bytes(*index) == picture as u64;
        Ok(whole.then(|| views.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()))
    }

    /// Records of a part's pictures as tensors, the first views of all before the second ones.
    fn assemble(&self, records: &[Vec<f32>], device: &Device) -> TeacherOutput {
        let TeacherRecordLayout { cls, grid, patch } = self.sizes;
        let view = self.sizes.view();
        let of = |from: usize, length: usize| -> Vec<f32> {
            let views = (0..VIEWS).flat_map(|v| records.iter().map(move |r| &r[v * view..][..view]));
            views.flat_map(|view| view[from..][..length].iter().copied()).collect()
        };
        let views = VIEWS * records.len();
        let patches = [views, grid * grid, patch];
        TeacherOutput {
            cls: Tensor::from_data(TensorData::new(of(0, cls), [views, cls]), device),
            patches: Tensor::from_data(TensorData::new(of(cls, view - cls), patches), device),
            grid,
        }
    }
}

/// Why the cache failed.
#[derive(Debug, thiserror::Error)]
pub enum TeacherCacheError {
    /// The disk refused.
    #[error("what the teacher says can't be kept or read: {0}; distill.fixed_views = false does without")]
    Io(#[from] std::io::Error),
    /// The device failed while its memory was read.
    #[error("the device failed: {0}")]
    Device(#[from] ExecutionError),
}

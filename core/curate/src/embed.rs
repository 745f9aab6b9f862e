//! The first step: every picture of a heap through a backbone, once.
//!
//! Threads read files, tell by their bytes which are known, decode the others and measure them; the model takes views in
//! batches. What is finished is written in parts, so that a step that was stopped, or one over a heap that has grown, does
//! only what is missing.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use dinoscope_base::device::block_on;
use dinoscope_base::files;
use dinoscope_data::Picture;
use dinoscope_data::augment::{eval_view, flip_horizontal};
use dinoscope_data::decode::depth::IntensityRange;
use dinoscope_data::decode::{decode_bytes_as, file_bytes};
use dinoscope_model::Vit;
use dinoscope_model::features::{ImageFeatureSpec, reason};
use half::f16;
use sha2::{Digest, Sha256};

use crate::features::{ContentDigest, FeatureOrigin, FeatureStore, StoredPicture, from_hex, hex};
use crate::heap_pictures::{HeapPicture, heap, key, stamp};
use crate::small_picture::small_picture;
use crate::table::{CuratedPicture, CurationTable};
use crate::{CurateError, Heard, picture};

/// Most threads that decode: each has a whole picture in memory.
const THREADS: usize = 8;

/// What is embedded, and how.
#[derive(Clone, Debug)]
pub struct EmbedOptions {
    /// Folders, lists, archives, patterns.
    pub places: Vec<PathBuf>,
    /// The folder of curation.
    pub out: PathBuf,
    /// The name of the table there.
    pub table: String,
    /// Pictures that pass through the model at once.
    pub batch: usize,
    /// Pictures of a part: what is lost at most where the program is killed.
    pub part: usize,
    /// Black and white of files of more than 8 bits.
    pub range: IntensityRange,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbedSummary {
    /// Rows of the table.
    pub pictures: usize,
    /// Contents that passed through the model now.
    pub embedded: usize,
    /// Pictures that can't be used, with reasons.
    pub unreadable: Vec<(String, String)>,
}

/// What a thread has found out of a file.
enum ReadPicture {
    /// Its content is known, or another thread is at it.
    Known(ContentDigest),
    /// It is new; its views, none where it can't be used.
    New(StoredPicture, Vec<Picture>),
    /// The file can't be read.
    Lost(String),
}

/// Embeds what is new in a heap and writes its table.
///
/// # Errors
/// When the heap holds no pictures, the folder holds features of other weights, the device or a file fails, or whoever
/// listens says stop; all that was embedded is kept then.
pub fn embed(
    backbone: &Vit,
    device: &Device,
    origin: &FeatureOrigin,
    options: &EmbedOptions,
    heard: Heard<'_>,
) -> Result<EmbedSummary, CurateError> {
    let heap = heap(&options.places)?;
    let mut store = FeatureStore::with_origin(&options.out, origin)?;
    let table = options.out.join(&options.table);
    let before = if files::exists(&table) { CurationTable::read(&table)? } else { CurationTable::default() };
    let before: HashMap<&str, &CuratedPicture> =
        before.rows.iter().map(|row| (row.key.as_str(), row)).collect();
    let keys: Vec<String> = heap.iter().map(|picture| key(&picture.path)).collect();
    let stamps: Vec<String> = heap.iter().map(|picture| stamp(&picture.path)).collect();
    // As long as length and time of a file stay, so does its content.
    let unchanged = |i: usize| {
        let row = before.get(keys[i].as_str()).filter(|row| row.stamp.as_ref() == Some(&stamps[i]))?;
        from_hex(row.digest.as_ref()?).filter(|digest| store.picture(digest).is_some())
    };
    let mut found: Vec<Option<Result<ContentDigest, String>>> =
        (0..heap.len()).map(|i| unchanged(i).map(Ok)).collect();
    let todo: Vec<usize> = (0..heap.len()).filter(|i| found[*i].is_none()).collect();
    let claimed: Mutex<HashSet<ContentDigest>> = Mutex::new(store.digests().copied().collect());

    let mut work = EmbedWork {
        backbone,
        device,
        store: &mut store,
        options,
        waiting: Vec::new(),
        ready: Vec::new(),
        rows: Vec::new(),
        embedded: 0,
    };
    let paths: Vec<&Path> = todo.iter().map(|i| heap[*i].path.as_path()).collect();
    let (size, mirrored) = (origin.size, origin.mirrored);
    let ended = std::thread::scope(|scope| {
        let (claimed, paths) = (&claimed, &paths);
        let read = move |path: &Path| look(path, (size, mirrored), options.range, claimed);
        let ahead = read_ahead(scope, paths, read)?;
        for (turn, i) in todo.iter().enumerate() {
            let lost = || CurateError::Option("a thread that reads pictures has ended".to_owned());
            let threads = ahead.len();
            let picture = ahead[turn % threads].recv().map_err(|_| lost())?;
            found[*i] = Some(match picture {
                ReadPicture::Known(digest) => Ok(digest),
                ReadPicture::Lost(why) => Err(why),
                ReadPicture::New(about, views) => {
                    let digest = about.digest;
                    work.add(about, views)?;
                    Ok(digest)
                }
            });
            if !heard(heap.len() - todo.len() + turn + 1, heap.len(), &keys[*i]) {
                return Err(CurateError::Stopped);
            }
        }
        Ok(())
    });
    // What has passed through the model is kept, however it ended.
    let kept = if ended.is_ok() { work.finish() } else { work.write() };
    let embedded = work.embedded;
    ended.and(kept)?;

    let mut rows = Vec::with_capacity(heap.len());
    let mut unreadable = Vec::new();
    for (((picture, key), stamp), found) in heap.iter().zip(keys).zip(stamps).zip(found) {
        let row = row(&store, picture, key, stamp, found);
        if let Some(why) = &row.unreadable {
            unreadable.push((row.key.clone(), why.clone()));
        }
        rows.push(row);
    }
    let views = if origin.mirrored { ", each as it is and mirrored" } else { "" };
    let made = format!("embed with {}, views of {} pixels{views}", origin.weights, origin.size);
    let pictures = rows.len();
    CurationTable { rows, made: Some(made), ..CurationTable::default() }.write(&table)?;
    Ok(EmbedSummary { pictures, embedded, unreadable })
}

/// Reads a file, and decodes and measures it if nobody has.
fn look(
    path: &Path,
    (size, mirrored): (usize, bool),
    range: IntensityRange,
    claimed: &Mutex<HashSet<ContentDigest>>,
) -> ReadPicture {
    let bytes = match file_bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => return ReadPicture::Lost(reason(&error)),
    };
    let digest: ContentDigest = Sha256::digest(&bytes).into();
    if !claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(digest) {
        return ReadPicture::Known(digest);
    }
    let about = StoredPicture { digest, ..StoredPicture::default() };
    match decode_bytes_as(&path.display().to_string(), &bytes, range.into()) {
        Err(error) => {
            ReadPicture::New(StoredPicture { unreadable: Some(reason(&error)), ..about }, Vec::new())
        }
        Ok(decoded) => {
            let quality = picture::quality(&decoded.picture);
            let hashes = picture::perceptual_hashes(&decoded.picture);
            let about = StoredPicture {
                hash: hashes.map(|[hash, _]| hash),
                mirror_hash: hashes.map(|[_, hash]| hash),
                small: Some(Box::new(small_picture(&decoded.picture))),
                size: (decoded.size.0 as u32, decoded.size.1 as u32),
                blur: quality.blur,
                darkness: quality.darkness,
                ..about
            };
            let views = views_of(decoded.picture, size, mirrored);
            ReadPicture::New(about, views)
        }
    }
}

/// Threads that each read every n-th path, a few ahead of who takes them; they end when nobody does any more.
fn read_ahead<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    paths: &'scope [&'scope Path],
    read: impl Fn(&Path) -> ReadPicture + Copy + Send + 'scope,
) -> Result<Vec<Receiver<ReadPicture>>, CurateError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = cores.min(THREADS).min(paths.len());
    let start = |first: usize| {
        let (sender, ready) = sync_channel(2);
        let work = move || {
            for path in paths.iter().skip(first).step_by(count) {
                if sender.send(read(path)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name(format!("curation {first}"))
            .spawn_scoped(scope, work)
            .map(|_| ready)
            .map_err(|error| CurateError::Option(format!("can't start a thread: {error}")))
    };
    (0..count).map(start).collect()
}

/// Pictures on their way through the model and onto the disk.
struct EmbedWork<'a> {
    backbone: &'a Vit,
    device: &'a Device,
    store: &'a mut FeatureStore,
    options: &'a EmbedOptions,
    /// Not yet through the model.
    waiting: Vec<(StoredPicture, Vec<Picture>)>,
    /// Through it, and not yet on the disk.
    ready: Vec<StoredPicture>,
    /// Their features.
    rows: Vec<f16>,
    embedded: usize,
}

impl EmbedWork<'_> {
    fn add(&mut self, about: StoredPicture, views: Vec<Picture>) -> Result<(), CurateError> {
        let dim = self.store.origin.dim;
        if views.is_empty() {
            self.ready.push(about);
            self.rows.extend(std::iter::repeat_n(f16::ZERO, dim));
        } else {
            self.waiting.push((about, views));
        }
        if self.waiting.len() >= self.options.batch.max(1) {
            self.pass()?;
        }
        if self.ready.len() >= self.options.part.max(1) { self.write() } else { Ok(()) }
    }

    /// What waits, through the model.
    fn pass(&mut self) -> Result<(), CurateError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let (about, views): (Vec<StoredPicture>, Vec<Vec<Picture>>) =
            std::mem::take(&mut self.waiting).into_iter().unzip();
        let dim = self.store.origin.dim;
        self.embedded += views.len();
        let rows = rows_of(self.backbone, self.device, dim, views)?;
        for (mut about, row) in about.into_iter().zip(rows) {
            match normalised(&row) {
                Some(row) => self.rows.extend(row),
                None => {
                    about.unreadable =
                        Some("its features are no finite numbers with these weights".to_owned());
                    self.rows.extend(std::iter::repeat_n(f16::ZERO, dim));
                }
            }
            self.ready.push(about);
        }
        Ok(())
    }

    /// What is ready, onto the disk.
    fn write(&mut self) -> Result<(), CurateError> {
        let (ready, rows) = (std::mem::take(&mut self.ready), std::mem::take(&mut self.rows));
        self.store.add(&ready, &rows)
    }

    fn finish(&mut self) -> Result<(), CurateError> {
        self.pass()?;
        self.write()
    }
}

/// The view that the model is given, and that of the mirrored picture where that counts too.
fn views_of(mut picture: Picture, size: usize, mirrored: bool) -> Vec<Picture> {
    let mut views = vec![eval_view(&picture, size)];
    if mirrored {
        // The whole picture is mirrored, not its view, whose margins may differ by a pixel.
        flip_horizontal(&mut picture);
        views.push(eval_view(&picture, size));
    }
    views
}

/// CLS tokens of pictures by their views: of two the mean of their directions.
fn rows_of(
    backbone: &Vit,
    device: &Device,
    dim: usize,
    views: Vec<Vec<Picture>>,
) -> Result<Vec<Vec<f32>>, CurateError> {
    let pass = |views: &[Picture]| -> Result<Vec<Vec<f32>>, CurateError> {
        let passed = dinoscope_model::features::embed(backbone, views, ImageFeatureSpec::CLS, device);
        let features = block_on(passed).map_err(|error| CurateError::Device(error.to_string()))?;
        Ok(features.chunks_exact(dim).map(<[f32]>::to_vec).collect())
    };
    let mut sides = [Vec::new(), Vec::new()];
    for views in views {
        sides.iter_mut().zip(views).for_each(|(side, view)| side.push(view));
    }
    let [plain, mirrored] = sides;
    let mut rows = pass(&plain)?;
    if !mirrored.is_empty() {
        rows.iter_mut().zip(pass(&mirrored)?).for_each(|(row, other)| *row = mean(row, &other));
    }
    Ok(rows)
}

/// The features of one more picture, made as those of `origin` are: what is compared with a heap without being of it.
///
/// # Errors
/// When the device fails, or its features have no direction.
pub fn features_of(
    backbone: &Vit,
    device: &Device,
    origin: &FeatureOrigin,
    picture: &Picture,
) -> Result<Vec<f32>, CurateError> {
    let views = views_of(picture.clone(), origin.size, origin.mirrored);
    let row = rows_of(backbone, device, origin.dim, vec![views])?.into_iter().next().unwrap_or_default();
    let row = normalised(&row).ok_or_else(|| {
        CurateError::Option("its features are no finite numbers with these weights".to_owned())
    })?;
    Ok(row.into_iter().map(f16::to_f32).collect())
}

/// The direction between those of two rows; no finite numbers where one has none.
fn mean(a: &[f32], b: &[f32]) -> Vec<f32> {
    let (one, other) = (length(a), length(b));
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) / one + f64::from(*b) / other) as f32).collect()
}

fn length(row: &[f32]) -> f64 {
    row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt()
}

/// A row of length 1 in half precision; `None` where it has no direction.
pub(crate) fn normalised(row: &[f32]) -> Option<Vec<f16>> {
    let length = length(row);
    let whole = length.is_finite() && length > 1e-12;
    whole.then(|| row.iter().map(|v| f16::from_f64(f64::from(*v) / length)).collect())
}

/// A row of the table.
fn row(
    store: &FeatureStore,
    picture: &HeapPicture,
    key: String,
    stamp: String,
    found: Option<Result<ContentDigest, String>>,
) -> CuratedPicture {
    let row =
        CuratedPicture { key, label: picture.label.clone(), stamp: Some(stamp), ..CuratedPicture::default() };
    let lost = |row: CuratedPicture, why: String| CuratedPicture {
        kept: Some(false),
        why: Some("it can't be read".to_owned()),
        unreadable: Some(why),
        ..row
    };
    let digest = match found {
        Some(Ok(digest)) => digest,
        Some(Err(why)) => return lost(row, why),
        None => return lost(row, "it was not looked at".to_owned()),
    };
    let row = CuratedPicture { digest: Some(hex(&digest)), ..row };
    let Some(about) = store.picture(&digest) else {
        return lost(row, "its features are not there".to_owned());
    };
    if let Some(why) = &about.unreadable {
        return lost(row, why.clone());
    }
    let (width, height) = about.size;
    CuratedPicture {
        hash: about.hash.map(|hash| format!("{hash:016x}")),
        width: Some(i64::from(width)),
        height: Some(i64::from(height)),
        aspect: Some(width as f32 / height.max(1) as f32),
        blur: Some(about.blur),
        darkness: Some(about.darkness),
        ..row
    }
}

#[cfg(test)]
#[path = "embed_tests.rs"]
mod tests;

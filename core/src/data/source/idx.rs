//! IDX files, the format of MNIST and Fashion-MNIST: all pictures in one file, all labels in another.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::Source;
use crate::data::{DataError, Picture};

/// Most bytes that a file may unpack to.
const MAX_BYTES: u64 = 1 << 31;
/// Most pixels a side.
const MAX_SIDE: usize = 16_384;
const IMAGES: &str = "images-idx3";
const LABELS: &str = "labels-idx1";
const FASHION: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Which half of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// `train-…`
    #[default]
    Train,
    /// `t10k-…`
    Test,
}

/// A pair of IDX files, held in memory.
#[derive(Debug)]
pub struct IdxSource {
    width: usize,
    height: usize,
    /// `[pictures, height, width]`.
    pixels: Vec<u8>,
    /// One per picture, or empty.
    labels: Vec<u8>,
    classes: Vec<String>,
}

impl IdxSource {
    /// Whether a path looks like something for [`IdxSource::open`]: an images file by its name, or a folder with one.
    pub fn recognizes(path: &Path) -> bool {
        match path.is_dir() {
            true => [Split::Train, Split::Test].iter().any(|&split| images_in(path, split).is_some()),
            false => path.file_name().is_some_and(|name| name.to_string_lossy().contains(IMAGES)),
        }
    }

    /// Reads `…images-idx3-ubyte` and, where there is one beside it, `…labels-idx1-ubyte`, either one packed with
    /// gzip or not.
    ///
    /// `path` is the images file, or a folder; in a folder, `split` chooses between the two halves of the data
    /// set. Grey becomes RGB. Classes are named by their numbers, or as in Fashion-MNIST if `path` says so.
    ///
    /// # Errors
    /// When there are no such files, or one of them can't be read, is damaged or does not fit the other.
    pub fn open(path: &Path, split: Split) -> Result<Self, DataError> {
        let images = match path.is_dir() {
            true => images_in(path, split).ok_or_else(|| {
                let name = file_name(split);
                problem(path, format!("there is no {name} or {name}.gz in this folder"))
            })?,
            false => path.to_owned(),
        };
        let ([count, height, width], pixels) = read(&images)?;
        if count == 0 || !(1..=MAX_SIDE).contains(&height) || !(1..=MAX_SIDE).contains(&width) {
            return Err(problem(&images, format!("it claims {count} pictures of {width} × {height} pixels")));
        }
        let labels = match labels_beside(&images) {
            Some(path) => {
                let ([found], labels) = read(&path)?;
                if found != count {
                    return Err(problem(&path, format!("it has {found} labels for {count} pictures")));
                }
                labels
            }
            None => Vec::new(),
        };
        let classes = labels.iter().max().map_or(Vec::new(), |&most| class_names(path, most));
        Ok(Self { width, height, pixels, labels, classes })
    }
}

impl Source for IdxSource {
    fn len(&self) -> usize {
        self.pixels.len() / (self.width * self.height)
    }

    fn name(&self, index: usize) -> String {
        format!("picture {index}")
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.labels.get(index).map(|&label| label.into())
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn load(&self, index: usize) -> Result<Picture, DataError> {
        let size = self.width * self.height;
        let rgb = self.pixels[index * size..][..size].iter().flat_map(|&grey| [grey; 3]).collect();
        Ok(Picture { width: self.width, height: self.height, rgb })
    }
}

fn file_name(split: Split) -> &'static str {
    match split {
        Split::Train => "train-images-idx3-ubyte",
        Split::Test => "t10k-images-idx3-ubyte",
    }
}

fn images_in(folder: &Path, split: Split) -> Option<PathBuf> {
    packed_or_not(&folder.join(file_name(split)))
}

fn labels_beside(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_string_lossy();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    plain
        .contains(IMAGES)
        .then(|| images.with_file_name(plain.replace(IMAGES, LABELS)))
        .and_then(|path| packed_or_not(&path))
}

fn packed_or_not(plain: &Path) -> Option<PathBuf> {
    let mut packed = plain.as_os_str().to_owned();
    packed.push(".gz");
    [plain.to_owned(), packed.into()].into_iter().find(|path| path.is_file())
}

fn class_names(path: &Path, most: u8) -> Vec<String> {
    let fashion = path.to_string_lossy().to_lowercase().contains("fashion");
    match fashion && usize::from(most) < FASHION.len() {
        true => FASHION.map(str::to_owned).to_vec(),
        false => (0..=most.max(9)).map(|digit| digit.to_string()).collect(),
    }
}

/// Sizes and bytes of an IDX file of `D` dimensions.
fn read<const D: usize>(path: &Path) -> Result<([usize; D], Vec<u8>), DataError> {
    let failed = |source| DataError::Read { path: path.display().to_string(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut start = [0; 2];
    let mut reader: Box<dyn Read> = match file.read_exact(&mut start) {
        Ok(()) if start == [0x1f, 0x8b] => Box::new(MultiGzDecoder::new(Cursor::new(start).chain(file))),
        Ok(()) => Box::new(Cursor::new(start).chain(file)),
        Err(_) => return Err(problem(path, "it is empty".to_owned())),
    };
    let mut word = || {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).map(|()| u32::from_be_bytes(bytes))
    };
    let damaged =
        |e: std::io::Error| problem(path, format!("it is damaged or incomplete ({e}); download it again"));
    // Two zeros, 8 for bytes, and the number of dimensions.
    let magic = word().map_err(damaged)?;
    if magic != 0x0800 + D as u32 {
        return Err(problem(
            path,
            format!("it is not an IDX file of {D} dimensions of bytes (it starts with {magic:#010x})"),
        ));
    }
    let mut sizes = [0; D];
    for size in &mut sizes {
        *size = word().map_err(damaged)? as usize;
    }
    let expected = sizes
        .iter()
        .try_fold(1u64, |product, &size| product.checked_mul(size as u64))
        .filter(|&bytes| bytes <= MAX_BYTES)
        .ok_or_else(|| {
            problem(path, format!("it claims {sizes:?} bytes; at most {} MiB are read", MAX_BYTES >> 20))
        })?;
    // The buffer grows with what is there, whatever the file claims; one byte more shows that there is too much.
    let mut bytes = Vec::new();
    reader.take(expected + 1).read_to_end(&mut bytes).map_err(damaged)?;
    if bytes.len() as u64 != expected {
        let relation = if (bytes.len() as u64) < expected { "less" } else { "more" };
        return Err(problem(
            path,
            format!(
                "it holds {relation} than the {expected} bytes that its header claims; download it again"
            ),
        ));
    }
    Ok((sizes, bytes))
}

fn problem(path: &Path, reason: String) -> DataError {
    DataError::Source { path: path.display().to_string(), reason }
}

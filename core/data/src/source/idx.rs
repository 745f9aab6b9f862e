//! IDX files, the format of MNIST and Fashion-MNIST: all pictures in one file, all labels in another.

use dinoscope_base::files::{self, File};
use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::PictureSource;
use crate::{DataError, Picture};
use dinoscope_base::bytes;

/// Most bytes that a file may unpack to.
const MAX_BYTES: u64 = 1 << 31;
/// How many times its own size a packed file may unpack to, and what is let through without that: mostly empty pictures
/// get about a hundred times smaller.
const SWELLS: u64 = 250;
const ALWAYS: u64 = 64 << 20;
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
pub enum IdxSplit {
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
        match files::is_dir(path) {
            true => [IdxSplit::Train, IdxSplit::Test].iter().any(|&split| images_in(path, split).is_some()),
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
    pub fn open(path: &Path, split: IdxSplit) -> Result<Self, DataError> {
        let images = match files::is_dir(path) {
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

impl PictureSource for IdxSource {
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
        Ok(Picture::of_rgb(self.width, self.height, rgb))
    }
}

fn file_name(split: IdxSplit) -> &'static str {
    match split {
        IdxSplit::Train => "train-images-idx3-ubyte",
        IdxSplit::Test => "t10k-images-idx3-ubyte",
    }
}

fn images_in(folder: &Path, split: IdxSplit) -> Option<PathBuf> {
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
    [plain.to_owned(), packed.into()].into_iter().find(|path| files::is_file(path))
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
    let packed = files::metadata(path).map_err(failed)?.len();
    let most = packed.saturating_mul(SWELLS).clamp(ALWAYS, MAX_BYTES);
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
        .filter(|&bytes| bytes <= most)
        .ok_or_else(|| {
            let most = bytes::shown(most);
            problem(path, format!("it claims {sizes:?} bytes; at most {most} are read from {packed} bytes"))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    fn idx(sizes: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, sizes.len() as u8];
        bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Two pictures, three wide and two high.
    fn images() -> Vec<u8> {
        idx(&[2, 2, 3], &[0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 255])
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            files::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn refusal(bytes: &[u8]) -> String {
        let folder = folder(&[("train-images-idx3-ubyte", bytes.to_vec())]);
        IdxSource::open(folder.path(), IdxSplit::Train).unwrap_err().to_string()
    }

    #[test]
    fn pairs_are_read_packed_or_not() {
        let labels = idx(&[2], &[7, 0]);
        let folder = folder(&[
            ("train-images-idx3-ubyte.gz", packed(&images())),
            ("train-labels-idx1-ubyte", labels.clone()),
            ("t10k-images-idx3-ubyte", idx(&[1, 1, 1], &[9])),
            ("t10k-labels-idx1-ubyte.gz", packed(&idx(&[1], &[3]))),
        ]);
        let train = IdxSource::open(folder.path(), IdxSplit::Train).unwrap();
        assert_eq!((train.len(), train.label(0), train.label(1)), (2, Some(7), Some(0)));
        assert_eq!(train.classes(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        let picture = train.load(1).unwrap();
        assert_eq!((picture.width, picture.height), (3, 2));
        assert_eq!((&picture.rgb[..6], &picture.rgb[15..]), (&[10, 10, 10, 11, 11, 11][..], &[255; 3][..]));

        let test = IdxSource::open(folder.path(), IdxSplit::Test).unwrap();
        assert_eq!((test.len(), test.label(0)), (1, Some(3)));
        let file = folder.path().join("t10k-images-idx3-ubyte");
        assert_eq!(IdxSource::open(&file, IdxSplit::Train).unwrap().len(), 1);
        assert!(IdxSource::recognizes(&file) && IdxSource::recognizes(folder.path()));
        assert!(!IdxSource::recognizes(&folder.path().join("train-labels-idx1-ubyte")));
    }

    #[test]
    fn fashion_has_its_own_names_and_labels_may_be_missing() {
        let folder = tempfile::Builder::new().prefix("Fashion-MNIST").tempdir().unwrap();
        let images_file = folder.path().join("train-images-idx3-ubyte");
        files::write(&images_file, images()).unwrap();
        let unlabelled = IdxSource::open(&images_file, IdxSplit::Train).unwrap();
        assert_eq!((unlabelled.label(0), unlabelled.classes().len()), (None, 0));
        files::write(folder.path().join("train-labels-idx1-ubyte"), idx(&[2], &[9, 1])).unwrap();
        let labelled = IdxSource::open(&images_file, IdxSplit::Train).unwrap();
        assert_eq!(labelled.classes()[9], "Ankle boot");
    }

    #[test]
    fn damaged_files_are_refused_with_the_reason() {
        assert!(refusal(b"").contains("empty"));
        assert!(refusal(b"\0\0\x08").contains("incomplete"));
        assert!(refusal(&idx(&[2], &[1, 2])).contains("starts with 0x00000801"));
        assert!(refusal(&images()[..20]).contains("holds less than the 12 bytes"));
        assert!(refusal(&[images(), vec![0]].concat()).contains("holds more than"));
        assert!(refusal(&idx(&[u32::MAX; 3], &[])).contains("at most 67 MB"));
        // A small file that swells.
        let bomb = packed(&idx(&[70, 1000, 1000], &vec![0; 70_000_000]));
        assert!(refusal(&bomb).contains("at most 67 MB are read from"));
        assert!(refusal(&idx(&[60_000, 28, 28], &[0; 99])).contains("holds less"));
        assert!(refusal(&idx(&[0, 28, 28], &[])).contains("claims 0 pictures"));
        assert!(refusal(&idx(&[1, 0, 28], &[])).contains("28 × 0 pixels"));
        let gz = packed(&images());
        assert!(refusal(&gz[..gz.len() - 12]).contains("damaged or incomplete"));
        let elsewhere = tempfile::tempdir().unwrap();
        let message = IdxSource::open(elsewhere.path(), IdxSplit::Test).unwrap_err().to_string();
        assert!(message.contains("there is no t10k-images-idx3-ubyte"), "{message}");
    }

    #[test]
    fn labels_that_do_not_fit_are_refused() {
        let folder = folder(&[
            ("train-images-idx3-ubyte", images()),
            ("train-labels-idx1-ubyte", idx(&[3], &[1, 2, 3])),
        ]);
        let message = IdxSource::open(folder.path(), IdxSplit::Train).unwrap_err().to_string();
        assert!(message.contains("labels-idx1") && message.contains("3 labels for 2 pictures"), "{message}");
    }
}

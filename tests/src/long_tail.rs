//! A heap whose truth is known: varied scenes with a long tail of classes, near copies, pictures that are broken, dark, blurred or
//! small, and pictures of a test set that leaked into it.

use std::fs;
use std::io::Error;
use std::path::Path;

use dinoscope_core::data::Picture;
use dinoscope_core::data::augment::{brightness, gaussian_blur, resize_to};
use dinoscope_core::data::source::PictureSource;
use dinoscope_core::data::source::scenes::{SceneKind, ScenesSource};

use crate::copied::{CopyKind, save};

/// Side of its pictures.
const SIDE: usize = 128;
/// Seeds of the heap and of the test set.
const SEEDS: (u64, u64) = (21, 22);

/// How a heap is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongTailHeap {
    /// Pictures of the largest class; the smallest has one, those between fall evenly by their logarithm.
    pub largest: usize,
    /// Test pictures of each class, of which every second leaks into the heap.
    pub tests: usize,
}

/// What is known of a picture by its name, `NUMBER-WORD.png`: a picture of the heap has no word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeapTruth {
    /// Pictures of one group are copies of each other.
    pub group: String,
    /// `copy`, `leak`, `dark`, `blurred`, `small`, `broken`, or nothing.
    pub word: String,
}

impl HeapTruth {
    /// By the path.
    pub fn of(key: &str) -> Self {
        let name = Path::new(key).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (group, word) = name.split_once('-').map_or((name.as_str(), ""), |(group, word)| (group, word));
        Self { group: group.to_owned(), word: word.split('-').next().unwrap_or_default().to_owned() }
    }

    /// Whether it is one of those that quality is for.
    pub fn is_bad(&self) -> bool {
        ["dark", "blurred", "small"].contains(&self.word.as_str())
    }
}

impl LongTailHeap {
    /// How many pictures a class has.
    pub fn size(self, class: usize) -> usize {
        let classes = SceneKind::Varied.classes().len();
        let share = 1.0 - class as f64 / (classes - 1) as f64;
        (self.largest as f64).powf(share).round().max(1.0) as usize
    }

    /// Lays down `FOLDER/heap/CLASS/*` and `FOLDER/test/CLASS/*`.
    ///
    /// # Errors
    /// What the system says.
    pub fn lay_down(self, folder: &Path) -> Result<(), Error> {
        let names = SceneKind::Varied.classes();
        let mut turn = 0;
        for (class, name) in names.iter().enumerate() {
            let place = folder.join("heap").join(name);
            for i in 0..self.size(class) {
                let picture = scene(SEEDS.0, class, i)?;
                let number = format!("h{class:02}{i:04}");
                let path = |word: &str| place.join(format!("{number}{word}.png"));
                save(&picture, &path(""), 100)?;
                turn += 1;
                // Every fifth has a copy; of ten others one is bad.
                if turn % 5 == 0 {
                    let kind = CopyKind::JUDGED[turn / 5 % CopyKind::JUDGED.len()];
                    let copy = kind.apply(&picture, turn as u64);
                    save(&copy, &place.join(format!("{number}-copy-{}.{}", kind.name(), ending(kind))), 30)?;
                }
                if turn % 10 == 3 {
                    spoil(
                        &scene(SEEDS.0, class, 100_000 + i)?,
                        turn / 10 % 4,
                        &place,
                        &format!("b{class:02}{i:04}"),
                    )?;
                }
            }
            for i in 0..self.tests {
                let picture = scene(SEEDS.1, class, i)?;
                let number = format!("t{class:02}{i:04}");
                save(&picture, &folder.join("test").join(name).join(format!("{number}.png")), 100)?;
                if i % 2 == 0 {
                    let kind = CopyKind::JUDGED[(class + i / 2) % CopyKind::JUDGED.len()];
                    let leak = kind.apply(&picture, i as u64);
                    save(&leak, &place.join(format!("{number}-leak-{}.{}", kind.name(), ending(kind))), 30)?;
                }
            }
        }
        Ok(())
    }
}

fn ending(kind: CopyKind) -> &'static str {
    if kind == CopyKind::Jpeg { "jpg" } else { "png" }
}

/// The n-th scene of a class: every block of as many scenes as there are classes holds one.
fn scene(seed: u64, class: usize, n: usize) -> Result<Picture, Error> {
    let classes = SceneKind::Varied.classes().len();
    let block = n * classes..(n + 1) * classes;
    let index =
        block.clone().find(|index| SceneKind::Varied.label(seed, *index) == class).unwrap_or(block.start);
    ScenesSource::of_kind(SceneKind::Varied, seed, block.end, SIDE).load(index).map_err(Error::other)
}

/// A picture that is of no use, in one of four ways.
fn spoil(picture: &Picture, way: usize, place: &Path, number: &str) -> Result<(), Error> {
    let mut out = picture.clone();
    let path = |word: &str| place.join(format!("{number}-{word}.png"));
    match way {
        0 => {
            brightness(&mut out, 0.15);
            save(&out, &path("dark"), 100)
        }
        1 => {
            gaussian_blur(&mut out, 0.05 * SIDE as f32);
            save(&out, &path("blurred"), 100)
        }
        2 => save(&resize_to(&out, SIDE / 3, SIDE / 3), &path("small"), 100),
        _ => {
            save(&out, &path("broken"), 100)?;
            let bytes = fs::read(path("broken"))?;
            fs::write(path("broken"), &bytes[..bytes.len() / 3])
        }
    }
}

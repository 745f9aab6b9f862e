//! Readers of files that lie in a folder: shards with their index, IDX pairs, truths for every pixel, runs in one file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dinoscope_core::analysis::npy;
use dinoscope_core::data::source::PictureSource as _;
use dinoscope_core::data::source::dense::{DenseFolder, DenseReadOptions, DenseSplit, DenseTruthKind};
use dinoscope_core::data::source::idx::{IdxSource, IdxSplit};
use dinoscope_core::train::checkpoint::verify;
use dinoscope_core::train::{Recipe, archive};
use dinoscope_core::weights::{self, KeyLayout};
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, RgbImage};

use super::mutate::FuzzMutator;
use super::{FuzzReader, FuzzTarget, corpus, told};

/// The targets of this file.
pub const TARGETS: &[FuzzTarget] = &[
    FuzzTarget {
        name: "index",
        reads: "the index of weights in several files",
        open: |folder| Ok(Box::new(IndexReader::new(folder)?)),
    },
    FuzzTarget {
        name: "idx",
        reads: "IDX pictures and labels",
        open: |folder| Ok(Box::new(IdxReader::new(folder)?)),
    },
    FuzzTarget {
        name: "truth-png",
        reads: "class indexes (PNG)",
        open: |folder| Ok(Box::new(TruthReader::new(folder, DenseTruthKind::Classes, "png")?)),
    },
    FuzzTarget {
        name: "depth-png",
        reads: "depth (16-bit PNG)",
        open: |folder| Ok(Box::new(TruthReader::new(folder, DenseTruthKind::Depth, "png")?)),
    },
    FuzzTarget {
        name: "depth-tiff",
        reads: "depth (TIFF)",
        open: |folder| Ok(Box::new(TruthReader::new(folder, DenseTruthKind::Depth, "tiff")?)),
    },
    FuzzTarget {
        name: "npy",
        reads: "depth (.npy)",
        open: |folder| Ok(Box::new(TruthReader::new(folder, DenseTruthKind::Depth, "npy")?)),
    },
    FuzzTarget {
        name: "run-zip",
        reads: "runs in one file",
        open: |folder| Ok(Box::new(RunZipReader::new(folder)?)),
    },
];

/// A folder of its own for a reader, empty.
fn emptied(folder: &Path, name: &str) -> Result<PathBuf> {
    let folder = folder.join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

struct IndexReader {
    index: PathBuf,
    valid: Vec<u8>,
}

impl IndexReader {
    fn new(folder: &Path) -> Result<Self> {
        let folder = emptied(folder, "index")?;
        let (_, bytes) = corpus::weights(KeyLayout::Official)?;
        let tensors = safetensors::SafeTensors::deserialize(&bytes)?;
        let shard = "model-00001-of-00001.safetensors";
        let mut names = tensors.names();
        names.sort_unstable();
        let names: serde_json::Map<_, _> =
            names.into_iter().map(|name| (name.to_owned(), shard.into())).collect();
        fs::write(folder.join(shard), &bytes)?;
        let valid =
            serde_json::to_vec(&serde_json::json!({"metadata": {"total_size": 1}, "weight_map": names}))?;
        Ok(Self { index: folder.join("model.safetensors.index.json"), valid })
    }
}

impl FuzzReader for IndexReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        vec![self.valid.clone()]
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"\"weight_map\":",
            b"../",
            b"/etc/passwd",
            b"model-00001-of-00001.safetensors",
            b"model.safetensors.index.json",
            b"{",
            b"}",
            b"[",
            b"null",
            b"1e9",
            b"\\u0000",
        ]
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        fs::write(&self.index, bytes).map_err(told)?;
        weights::load(&self.index).map(drop).map_err(told)
    }
}

struct IdxReader {
    images: PathBuf,
    valid: Vec<u8>,
}

impl IdxReader {
    fn new(folder: &Path) -> Result<Self> {
        let folder = emptied(folder, "idx")?;
        let mut valid = vec![0, 0, 8, 3];
        for extent in [3u32, 4, 5] {
            valid.extend(extent.to_be_bytes());
        }
        valid.extend(0..60);
        fs::write(folder.join("train-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 3, 1, 0, 9])?;
        Ok(Self { images: folder.join("train-images-idx3-ubyte"), valid })
    }
}

impl FuzzReader for IdxReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        vec![self.valid.clone()]
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        fs::write(&self.images, bytes).map_err(told)?;
        let source = IdxSource::open(&self.images, IdxSplit::Train).map_err(told)?;
        (0..source.len().min(4)).try_for_each(|at| source.load(at).map(drop)).map_err(told)
    }
}

/// A folder of two pictures with a truth each, one of which is changed.
struct TruthReader {
    split: DenseSplit,
    truth: PathBuf,
    kind: DenseTruthKind,
    valid: Vec<Vec<u8>>,
    png: bool,
}

impl TruthReader {
    fn new(folder: &Path, kind: DenseTruthKind, ending: &str) -> Result<Self> {
        let classes = kind == DenseTruthKind::Classes;
        let folder = emptied(folder, &format!("truth-{ending}-{classes}"))?;
        let beside = folder.join(if classes { "labels" } else { "depth" });
        fs::create_dir_all(folder.join("images"))?;
        fs::create_dir_all(&beside)?;
        let valid = truths(classes, ending)?;
        let picture: DynamicImage = RgbImage::from_pixel(6, 5, image::Rgb([9, 99, 200])).into();
        for name in ["a", "b"] {
            fs::write(
                folder.join("images").join(format!("{name}.png")),
                corpus::picture(&picture, ImageFormat::Png)?,
            )?;
            fs::write(beside.join(format!("{name}.{ending}")), &valid[0])?;
        }
        fs::write(folder.join("classes.txt"), "sky\nsea\nland\n")?;
        let split = DenseFolder::split(&folder, kind, DenseReadOptions::default(), 0)?;
        Ok(Self { split, truth: beside.join(format!("a.{ending}")), kind, valid, png: ending == "png" })
    }
}

/// Truths for 6 × 5 pixels.
fn truths(classes: bool, ending: &str) -> Result<Vec<Vec<u8>>> {
    let level = |x: u32, y: u32| (x * 7 + y * 11) as u16;
    if classes {
        let grey: DynamicImage = GrayImage::from_fn(6, 5, |x, y| Luma([(level(x, y) % 3) as u8])).into();
        return Ok(vec![corpus::picture(&grey, ImageFormat::Png)?]);
    }
    let deep: DynamicImage = ImageBuffer::from_fn(6, 5, |x, y| Luma([level(x, y) * 100])).into();
    Ok(match ending {
        "png" => vec![corpus::picture(&deep, ImageFormat::Png)?],
        "npy" => {
            let metres: Vec<f32> = (0..30).map(|at| at as f32 * 0.25).collect();
            vec![npy::encode(&[5, 6], &metres)?]
        }
        _ => vec![corpus::picture(&deep, ImageFormat::Tiff)?],
    })
}

impl FuzzReader for TruthReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        self.valid.clone()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"'descr': '<f8'",
            b"'descr': '>i2'",
            b"'fortran_order': True",
            b"'shape': (5, 6, 1)",
            b"(30,)",
            b"()",
            b"IHDR",
            b"PLTE",
            b"tRNS",
            b"IDAT",
            b"IEND",
        ]
    }

    fn sealed(&self, mutator: &mut FuzzMutator, bytes: Vec<u8>) -> Vec<u8> {
        if self.png && !mutator.once_in(8) { corpus::sealed_png(bytes) } else { bytes }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        fs::write(&self.truth, bytes).map_err(told)?;
        let both = [&self.split.train, &self.split.test];
        both.into_iter().try_for_each(|source| source.load(0, self.kind).map(drop)).map_err(told)
    }
}

/// A run in one file: all of it is changed, or one of its files and packed again.
struct RunZipReader {
    folder: PathBuf,
    valid: Vec<u8>,
}

impl RunZipReader {
    fn new(folder: &Path) -> Result<Self> {
        let folder = emptied(folder, "run-zip")?;
        let recipe = Recipe::preset("nano")?.to_toml()?;
        let (_, weights) = corpus::weights(KeyLayout::Official)?;
        let files: [(&str, &[u8]); 6] = [
            ("recipe.toml", recipe.as_bytes()),
            ("metrics.jsonl", b"{\"iteration\":0,\"loss\":1.0}\n"),
            ("checkpoints/000004/state.json", b"{\"iteration\":4,\"files\":{}}"),
            ("checkpoints/000004/teacher.safetensors", &weights),
            ("checkpoints/000004/student.safetensors", b"none"),
            ("pictures/000004.png", b"picture"),
        ];
        Ok(Self { folder, valid: corpus::zip(files)? })
    }
}

impl FuzzReader for RunZipReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        vec![self.valid.clone()]
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"PK\x03\x04",
            b"PK\x01\x02",
            b"PK\x05\x06",
            b"../",
            b"/abs",
            b"C:\\",
            b"recipe.toml",
            b"checkpoints/000004/",
            b"preset = \"tiny\"\n",
        ]
    }

    /// Half of the time what is in the archive is changed, and its checksums fit.
    fn sealed(&self, mutator: &mut FuzzMutator, bytes: Vec<u8>) -> Vec<u8> {
        if mutator.once_in(2) {
            return bytes;
        }
        let Ok(mut files) = corpus::unzip(&self.valid) else { return bytes };
        let at = mutator.below(files.len());
        let (name, content) = files.swap_remove(at);
        let contents: Vec<Vec<u8>> = files.iter().map(|(_, content)| content.clone()).collect();
        if mutator.once_in(4) {
            let name = mutator.change(name.into_bytes(), &[b"../a/b".to_vec()], self.words());
            files.push((String::from_utf8_lossy(&name).into_owned(), content));
        } else {
            files.push((name, mutator.change(content, &contents, self.words())));
        }
        let packed = corpus::zip(files.iter().map(|(name, content)| (name.as_str(), content.as_slice())));
        packed.unwrap_or(bytes)
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        let to = self.folder.join("run");
        let _ = fs::remove_dir_all(&to);
        let _ = archive::name(bytes, Path::new("run.zip"));
        let _ = archive::teacher(bytes);
        let entries = archive::entries(bytes, |_| true).map_err(told)?;
        let _ = entries.map(|entries| verify::verify_packed(&entries));
        let run = archive::unpack(bytes, &to).map_err(told)?;
        let _ = run.lines();
        let left: Vec<_> =
            fs::read_dir(&self.folder).map_err(told)?.flatten().map(|entry| entry.file_name()).collect();
        assert!(left.iter().all(|name| name == "run"), "an archive wrote outside its folder: {left:?}");
        run.recipe().map(drop).map_err(told)
    }
}

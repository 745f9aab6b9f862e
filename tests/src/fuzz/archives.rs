//! Readers of pictures in archives: tar, zip and Parquet files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use dinoscope_core::data::archive;
use dinoscope_core::data::source::listed;
use dinoscope_curate::{CuratedPicture, CurationTable};
use image::{DynamicImage, ImageFormat, RgbImage};

use super::mutate::FuzzMutator;
use super::{FuzzReader, FuzzTarget, corpus, told};

/// The targets of this file.
pub const TARGETS: &[FuzzTarget] = &[
    FuzzTarget {
        name: "tar",
        reads: "pictures in a tar file",
        open: |folder| Ok(Box::new(ArchiveReader::new(folder, "tar")?)),
    },
    FuzzTarget {
        name: "zip",
        reads: "pictures in a zip file",
        open: |folder| Ok(Box::new(ArchiveReader::new(folder, "zip")?)),
    },
    FuzzTarget {
        name: "parquet",
        reads: "pictures in a Parquet file",
        open: |folder| Ok(Box::new(ArchiveReader::new(folder, "parquet")?)),
    },
    FuzzTarget {
        name: "curation",
        reads: "paths of pictures in a Parquet file",
        open: |folder| Ok(Box::new(CurationReader::new(folder)?)),
    },
];

/// Bytes of a tar's block.
const BLOCK: usize = 512;

/// Members of an archive that are read each time.
const MEMBERS: usize = 6;

struct ArchiveReader {
    file: PathBuf,
    valid: Vec<u8>,
    is_tar: bool,
}

impl ArchiveReader {
    fn new(folder: &Path, kind: &str) -> Result<Self> {
        let pixel = RgbImage::from_pixel(1, 1, image::Rgb([1, 2, 3]));
        let picture = corpus::picture(&DynamicImage::from(pixel), ImageFormat::Png)?;
        let members: [(&str, &[u8]); 4] =
            [("owl/00001.png", &picture), ("owl/00001.cls", b"7"), ("top.png", &picture), ("note.txt", b"x")];
        let is_tar = kind == "tar";
        let valid = match kind {
            "tar" => tar(&members),
            "zip" => corpus::zip(members)?,
            _ => fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/pictures.parquet"))?,
        };
        fs::create_dir_all(folder)?;
        Ok(Self { file: folder.join(format!("archive.{kind}")), valid, is_tar })
    }
}

impl FuzzReader for ArchiveReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        vec![self.valid.clone()]
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"../",
            b"/",
            b"ustar\0",
            b"ustar  \0",
            b"././@LongLink",
            b"27 path=",
            b"PK\x01\x02",
            b"PK\x03\x04",
            b"PK\x05\x06",
        ]
    }

    /// A header with another checksum than it says is the end of a tar.
    fn sealed(&self, _mutator: &mut FuzzMutator, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.is_tar {
            bytes.chunks_exact_mut(BLOCK).filter(|block| block[257..262] == *b"ustar").for_each(seal);
        }
        bytes
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        fs::write(&self.file, bytes).map_err(told)?;
        let listing = archive::listed(&self.file).map_err(told)?;
        let names: Vec<String> =
            listing.members().iter().take(MEMBERS).map(|member| member.name.clone()).collect();
        listing.notes();
        for name in names {
            listing.class(&name);
            if let Some(read) = archive::read(&self.file.join(&name), 1 << 20) {
                read.map_err(told)?;
            }
        }
        Ok(())
    }
}

/// A table of paths, as a list and as a step of curation reads it.
struct CurationReader {
    file: PathBuf,
    valid: Vec<u8>,
}

impl CurationReader {
    fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let file = folder.join("table.parquet");
        let row = |i: i64| CuratedPicture {
            key: format!("owl/{i}.png"),
            label: (i != 4).then(|| "owl".to_owned()),
            component: Some(i),
            similarity: Some(0.5),
            kept: [None, Some(true), Some(false)][i as usize % 3],
            ..CuratedPicture::default()
        };
        let settings = vec![("threshold".to_owned(), 0.97)];
        let rows = (0..9).map(row).collect();
        let table = CurationTable { rows, from: Some("x".to_owned()), made: None, settings };
        table.write(&file)?;
        Ok(Self { valid: fs::read(&file)?, file })
    }
}

impl FuzzReader for CurationReader {
    fn corpus(&self) -> Vec<Vec<u8>> {
        vec![self.valid.clone()]
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        fs::write(&self.file, bytes).map_err(told)?;
        // Two readers of one file: what one refuses the other may take.
        let list = listed::read(&self.file).map(|_| ()).map_err(told);
        CurationTable::read(&self.file).map(|_| ()).map_err(told).and(list)
    }
}

/// A tar of these files.
fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in members {
        let mut header = [0; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[136..147].copy_from_slice(b"00000000000");
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        seal(&mut header);
        bytes.extend(header);
        bytes.extend(*content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

/// Puts the checksum of a header right: the sum of its bytes, with blanks in the place of the sum.
fn seal(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

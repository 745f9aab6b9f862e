//! Neighbours of a block of pictures on the disk, so that a search that was stopped goes on behind the last block.

use std::path::{Path, PathBuf};

use dinoscope_base::files;
use sha2::{Digest, Sha256};

use crate::CurateError;
use crate::features::ContentDigest;
use crate::nearest::Neighbour;

/// Opens every file; another layout would have another one.
const MAGIC: &[u8; 8] = b"DINONEA1";
/// Bytes of the checksum at the end.
const CHECKSUM: usize = 32;

/// Where the neighbours of a search are kept: below a folder, by all that they depend on.
pub struct FoundBlocks {
    folder: PathBuf,
    search: String,
    kind: &'static str,
    floor: f32,
}

impl FoundBlocks {
    /// A search among these queries and keys. `floor` is the least similarity of those that are kept: files with a lower one
    /// do as well.
    pub fn new<'a>(
        folder: &Path,
        contents: impl Iterator<Item = &'a ContentDigest>,
        (k, block, floor): (usize, usize, f32),
    ) -> Self {
        let mut hash = Sha256::new();
        hash.update(MAGIC);
        hash.update(format!("{k} {block}"));
        contents.for_each(|digest| hash.update(digest));
        let search = crate::features::hex(&hash.finalize()[..8]);
        Self { folder: folder.to_owned(), search, kind: "neighbours", floor }
    }

    /// The same for what was found otherwise.
    pub fn of_kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    fn path(&self, block: usize) -> PathBuf {
        self.folder.join(format!("{}-{block:05}.{}", self.search, self.kind))
    }

    /// What was found for a block of `queries`; `None` where it was not, or the file is damaged or begins higher.
    pub fn read(&self, block: usize, queries: usize) -> Option<Vec<Vec<Neighbour>>> {
        let bytes = files::read(self.path(block)).ok()?;
        let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
        if Sha256::digest(content)[..] != *checksum {
            return None;
        }
        let mut words =
            content.strip_prefix(MAGIC)?.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
        if f32::from_bits(words.next()?) > self.floor {
            return None;
        }
        let mut all = Vec::with_capacity(queries);
        for _ in 0..queries {
            let count = words.next()?;
            let mut near =
                || Some(Neighbour { key: words.next()?, similarity: f32::from_bits(words.next()?) });
            all.push((0..count).map(|_| near()).collect::<Option<Vec<_>>>()?);
        }
        words.next().is_none().then_some(all)
    }

    /// Keeps what was found for a block.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, block: usize, found: &[Vec<Neighbour>]) -> Result<(), CurateError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.floor.to_bits().to_le_bytes());
        for near in found {
            bytes.extend((near.len() as u32).to_le_bytes());
            for near in near {
                bytes.extend(near.key.to_le_bytes());
                bytes.extend(near.similarity.to_bits().to_le_bytes());
            }
        }
        let checksum: [u8; CHECKSUM] = Sha256::digest(&bytes).into();
        bytes.extend(checksum);
        files::create_dir_all(&self.folder).map_err(CurateError::file(&self.folder))?;
        let path = self.path(block);
        files::write_and_rename(&path, bytes).map_err(CurateError::file(&path))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_and_others_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let contents = [[1; 32], [2; 32]];
        let of = |floor| FoundBlocks::new(folder.path(), contents.iter(), (64, 256, floor));
        let near = |key| Neighbour { key, similarity: 0.25 * key as f32 };
        let found = vec![vec![near(3), near(1)], vec![], vec![near(2)]];
        of(0.5).write(7, &found).unwrap();
        assert_eq!(of(0.5).read(7, 3), Some(found.clone()));
        assert_eq!(of(0.6).read(7, 3), Some(found), "what was looked for less strictly does");
        assert_eq!((of(0.4).read(7, 3), of(0.5).read(8, 3), of(0.5).read(7, 2)), (None, None, None));
        assert_eq!(FoundBlocks::new(folder.path(), contents[..1].iter(), (64, 256, 0.5)).read(7, 3), None);
        let path = of(0.5).path(7);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(of(0.5).read(7, 3), None, "damaged");
        std::fs::write(&path, &bytes[..10]).unwrap();
        assert_eq!(of(0.5).read(7, 3), None);
    }
}

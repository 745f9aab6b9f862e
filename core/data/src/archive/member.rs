//! One file in an archive, by its place.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::DeflateDecoder;

use crate::DataError;
use dinoscope_base::{bytes, files};

/// A file in an archive.
#[derive(Debug)]
pub struct ArchiveMember {
    /// Its name in the archive, with `/` between folders.
    pub name: String,
    /// Where its bytes begin.
    pub offset: u64,
    /// How many there are in the archive.
    pub stored: u64,
    /// How many they become; the same where nothing is packed.
    pub size: u64,
    /// Whether they are packed with Deflate.
    pub packed: bool,
}

impl ArchiveMember {
    /// A member that is stored as it is.
    pub fn plain(name: String, offset: u64, size: u64) -> Self {
        Self { name, offset, stored: size, size, packed: false }
    }

    /// Its bytes, unpacked, `most` at most.
    ///
    /// # Errors
    /// When the archive can't be read, ends before the member does, or the member is larger than that or than it says.
    pub fn read(&self, archive: &Path, most: u64) -> Result<Vec<u8>, DataError> {
        let wrong = |reason: String| DataError::Decode {
            name: format!("{} in {}", self.name, archive.display()),
            reason,
        };
        let failed = |source| DataError::Read { path: archive.display().to_string(), source };
        let size = self.size.max(self.stored);
        if size > most {
            let [size, most] = [size, most].map(bytes::shown);
            return Err(wrong(format!("it has {size}, more than the {most} that are read of one file")));
        }
        let mut file = files::File::open(archive).map_err(failed)?;
        file.seek(SeekFrom::Start(self.offset)).map_err(failed)?;
        let mut stored = Vec::new();
        file.take(self.stored).read_to_end(&mut stored).map_err(failed)?;
        if stored.len() as u64 != self.stored {
            return Err(wrong("the archive ends in the middle of it: fetch the archive again".to_owned()));
        }
        if !self.packed {
            return Ok(stored);
        }
        let mut unpacked = Vec::new();
        // One more than it says, so that one that is larger is noticed and not followed.
        let read = DeflateDecoder::new(stored.as_slice()).take(self.size + 1).read_to_end(&mut unpacked);
        match read {
            Ok(found) if found as u64 == self.size => Ok(unpacked),
            Ok(_) => {
                Err(wrong(format!("it does not unpack to the {} bytes that the archive says", self.size)))
            }
            Err(error) => Err(wrong(format!("it can't be unpacked: {error}"))),
        }
    }
}

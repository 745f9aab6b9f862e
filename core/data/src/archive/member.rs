//! One file in an archive, by its place.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::DeflateDecoder;

use dinoscope_base::{bytes, files};

/// A file in an archive.
#[derive(Debug)]
pub struct ArchiveMember {
    /// Its name in the archive, with `/` between folders.
    pub name: String,
    /// Where it lies.
    pub place: MemberPlace,
}

/// Where a file lies in an archive.
#[derive(Debug)]
pub enum MemberPlace {
    /// Bytes of the archive.
    Bytes {
        /// Where they begin.
        offset: u64,
        /// How many there are.
        stored: u64,
        /// How many they become; the same where nothing is packed.
        size: u64,
        /// Whether they are packed with Deflate.
        packed: bool,
    },
    /// A row of a table.
    Row(usize),
}

impl ArchiveMember {
    /// A member that is stored as it is.
    pub fn plain(name: String, offset: u64, size: u64) -> Self {
        Self { name, place: MemberPlace::Bytes { offset, stored: size, size, packed: false } }
    }

    /// A member that is a row of a table.
    #[cfg(not(target_family = "wasm"))]
    pub fn row(name: String, row: usize) -> Self {
        Self { name, place: MemberPlace::Row(row) }
    }

    /// Whether it is a row of a table, which holds a picture whatever it is called.
    pub fn is_row(&self) -> bool {
        matches!(self.place, MemberPlace::Row(_))
    }
}

/// Bytes of an archive, unpacked, `most` at most.
///
/// # Errors
/// Why there are none: the archive can't be read or ends before they do, or they are more than that or than it says.
pub(super) fn unpacked(
    archive: &Path,
    (offset, stored): (u64, u64),
    (size, packed): (u64, bool),
    most: u64,
) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("can't read the archive: {error}");
    if size.max(stored) > most {
        return Err(too_large(size.max(stored), most));
    }
    let mut file = files::File::open(archive).map_err(failed)?;
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(stored).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 != stored {
        return Err("the archive ends in the middle of it: fetch the archive again".to_owned());
    }
    if !packed {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    // One more than it says, so that one that is larger is noticed and not followed.
    match DeflateDecoder::new(bytes.as_slice()).take(size + 1).read_to_end(&mut unpacked) {
        Ok(found) if found as u64 == size => Ok(unpacked),
        Ok(_) => Err(format!("it does not unpack to the {size} bytes that the archive says")),
        Err(error) => Err(format!("it can't be unpacked: {error}")),
    }
}

/// Why a member is not read.
pub(super) fn too_large(size: u64, most: u64) -> String {
    let [size, most] = [size, most].map(bytes::shown);
    format!("it has {size}, more than the {most} that are read of one file")
}

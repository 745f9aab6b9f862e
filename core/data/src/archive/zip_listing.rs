//! Members of a zip file by its central directory.

use std::io::{BufReader, Read};
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::listing::ArchiveListing;
use super::member::{ArchiveMember, MemberPlace, unpacked};
use crate::DataError;
use dinoscope_base::files;

/// Lists a zip file.
///
/// # Errors
/// When the file can't be read, or has no directory at its end, as one that breaks off.
pub fn list(path: &Path) -> Result<ArchiveListing, DataError> {
    let failed = |source| DataError::Read { path: path.display().to_string(), source };
    let wrong = |reason: String| DataError::Source { path: path.display().to_string(), reason };
    let file = files::File::open(path).map_err(failed)?;
    let archive = ZipArchive::new(BufReader::new(file));
    let mut archive = archive.map_err(|error| {
        wrong(format!(
            "this is no whole zip file, whose directory stands at its end ({error}): fetch it again"
        ))
    })?;
    let mut listing = ArchiveListing::default();
    for index in 0..archive.len() {
        let mut member = match archive.by_index_raw(index) {
            Ok(member) => member,
            Err(error) => {
                listing.broken = Some(format!("the archive is damaged ({error})"));
                break;
            }
        };
        if !member.is_file() {
            continue;
        }
        let name = member.name().map_or_else(
            |_| String::from_utf8_lossy(member.name_raw()).into_owned(),
            |name| name.into_owned(),
        );
        let packed = match member.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            _ => {
                listing.locked += 1;
                continue;
            }
        };
        if member.encrypted() {
            listing.locked += 1;
            continue;
        }
        let Some(offset) = member.data_start() else { continue };
        let (stored, size) = (member.compressed_size(), member.size());
        let place = MemberPlace::Bytes { offset, stored, size, packed };
        listing.tell(&name, |most| match packed {
            true => unpacked(path, (offset, stored), (size, true), most).ok(),
            false => {
                let mut text = Vec::new();
                member.by_ref().take(most).read_to_end(&mut text).ok().map(|_| text)
            }
        });
        listing.add(ArchiveMember { name, place });
    }
    Ok(listing)
}

//! Members of a tar file by its headers (ustar, GNU's long names, pax), whose contents are jumped over.

use std::io::{BufReader, Read};
use std::path::Path;

use super::listing::ArchiveListing;
use super::member::ArchiveMember;
use crate::DataError;
use dinoscope_base::files;

/// Lists a tar file. One that breaks off is listed as far as it goes.
///
/// # Errors
/// When the file can't be read, or does not begin as a tar does.
pub fn list(path: &Path) -> Result<ArchiveListing, DataError> {
    let failed = |source| DataError::Read { path: path.display().to_string(), source };
    let wrong = |reason: String| DataError::Source { path: path.display().to_string(), reason };
    let file = files::File::open(path).map_err(failed)?;
    let length = files::metadata(path).map_err(failed)?.len();
    let mut archive = tar::Archive::new(BufReader::with_capacity(4096, file));
    let mut listing = ArchiveListing::default();
    for entry in archive.entries_with_seek().map_err(failed)? {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) if listing.members().is_empty() => {
                return Err(wrong(format!("this is no tar file: {error}")));
            }
            Err(error) => {
                listing.broken = Some(format!("the archive is damaged or breaks off ({error})"));
                break;
            }
        };
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        let (offset, size) = (entry.raw_file_position(), entry.size());
        if offset.saturating_add(size) > length {
            listing.broken = Some(format!("the archive breaks off in {name}"));
            break;
        }
        listing.tell(&name, |most| {
            let mut text = Vec::new();
            entry.by_ref().take(most).read_to_end(&mut text).ok().map(|_| text)
        });
        listing.add(ArchiveMember::plain(name, offset, size));
    }
    Ok(listing)
}

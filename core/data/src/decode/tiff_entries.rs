//! Whether what a TIFF file says of itself can be in it.
//!
//! `tiff` 0.11 sets memory aside for as many values as an entry claims, up to 256 MiB, before a limit can be set and
//! before it looks for them; a file of two hundred bytes was enough. Sources: TIFF 6.0, section 2; BigTIFF.

/// A value takes 32 bytes once it is read: so many take as much as a small picture.
const HARMLESS: u64 = 1 << 16;

/// Refuses a file in whose directories an entry claims many values, and more than the file has bytes for.
///
/// # Errors
/// What is wrong and the way out.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    check_pages(bytes, 1)
}

/// [`check`] of as many directories as there are pages, at most so many.
///
/// # Errors
/// As [`check`].
pub(super) fn check_pages(bytes: &[u8], pages: usize) -> Result<(), String> {
    let file = TiffBytes {
        bytes,
        little: bytes.starts_with(b"II"),
        big: matches!(bytes.get(2..4), Some(b"+\0" | b"\0+")),
    };
    match file.first_impossible(pages) {
        Some(tag) => Err(super::damaged(&format!("what is under its tag {tag} is longer than the file"))),
        None => Ok(()),
    }
}

struct TiffBytes<'a> {
    bytes: &'a [u8],
    little: bool,
    big: bool,
}

impl TiffBytes<'_> {
    /// A number of `width` bytes; `None` beyond the end.
    fn number(&self, at: u64, width: u64) -> Option<u64> {
        let start = usize::try_from(at).ok()?;
        let bytes = self.bytes.get(start..start.checked_add(width as usize)?)?;
        let add = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        Some(if self.little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) })
    }

    /// The tag of the first entry that can't be, in the first directories: no other is read.
    fn first_impossible(&self, directories: usize) -> Option<u64> {
        // Bytes of a count of entries, of an entry, and of the numbers in it; where the directory's place is named.
        let (counts, entry, width, place) = if self.big { (8, 20, 8, 8) } else { (2, 12, 4, 4) };
        let mut directory = self.number(place, width)?;
        for _ in 0..directories {
            let entries = self.number(directory, counts)?;
            let first = directory.checked_add(counts)?;
            // As many as there are bytes for.
            for index in 0..entries.min(self.bytes.len() as u64 / entry) {
                let at = first.checked_add(index * entry)?;
                let kind = self.number(at.checked_add(2)?, 2)?;
                let count = self.number(at.checked_add(4)?, width)?;
                if count > HARMLESS && count.saturating_mul(size(kind)) > self.bytes.len() as u64 {
                    return self.number(at, 2);
                }
            }
            // Behind the entries stands the place of the next directory, 0 behind the last.
            let next = first.checked_add(entries.checked_mul(entry)?)?;
            directory = self.number(next, width).filter(|next| *next > 0)?;
        }
        None
    }
}

/// Bytes of a value of a kind; 1 for kinds that nobody knows.
fn size(kind: u64) -> u64 {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one entry: as many strips as `count`.
    fn file(little: bool, big: bool, count: u64) -> Vec<u8> {
        let number = |value: u64, width: usize| -> Vec<u8> {
            let bytes = value.to_le_bytes()[..width].to_vec();
            if little { bytes } else { bytes.into_iter().rev().collect() }
        };
        let mut bytes = if little { b"II".to_vec() } else { b"MM".to_vec() };
        let width = if big {
            bytes.extend([number(43, 2), number(8, 2), number(0, 2), number(16, 8), number(1, 8)].concat());
            8
        } else {
            bytes.extend([number(42, 2), number(8, 4), number(1, 2)].concat());
            4
        };
        bytes.extend([number(273, 2), number(4, 2), number(count, width), number(0, width)].concat());
        bytes.extend([0; 200]);
        bytes
    }

    #[test]
    fn a_count_beyond_the_file_is_refused_in_every_kind() {
        for little in [true, false] {
            for big in [true, false] {
                assert_eq!(check(&file(little, big, 40)), Ok(()));
                let refused = check(&file(little, big, 0x7f_ffff)).unwrap_err();
                assert!(refused.contains("tag 273"), "{refused}");
                assert!(check(&file(little, big, u64::MAX)).is_err());
            }
        }
    }

    #[test]
    fn whatever_is_cut_is_left_to_the_decoder() {
        let whole = file(true, true, u64::MAX);
        assert!((0..20).all(|end| check(&whole[..end]).is_ok()));
        assert_eq!(check(b""), Ok(()));
    }
}

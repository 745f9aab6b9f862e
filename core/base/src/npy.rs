//! NumPy's file format, so that features can be taken elsewhere: `numpy.load("features.npy")`.
//!
//! Source: numpy/lib/format.py, version 1.0; little-endian f32 in C order.

use std::path::Path;

use crate::files;

/// How an `.npy` file begins.
pub const MAGIC: &[u8] = b"\x93NUMPY";

/// An array whose numbers do not fit its shape.
#[derive(Debug, thiserror::Error)]
#[error("{what}: found {found}, expected {expected}")]
pub struct NpyShapeError {
    /// What does not fit.
    pub what: &'static str,
    /// How many there are.
    pub found: usize,
    /// How many there should be.
    pub expected: usize,
}

/// The bytes of an `.npy` file with `data` in the given shape; an empty shape is a single number.
pub fn encode(shape: &[usize], data: &[f32]) -> Result<Vec<u8>, NpyShapeError> {
    let expected = shape.iter().product();
    if data.len() != expected {
        return Err(NpyShapeError { what: "array", found: data.len(), expected });
    }
    let mut out = header(shape)?;
    out.extend(data.iter().flat_map(|v| v.to_le_bytes()));
    Ok(out)
}

/// What stands before the numbers of an `.npy` file of the given shape.
pub fn header(shape: &[usize]) -> Result<Vec<u8>, NpyShapeError> {
    // A tuple of one number needs its comma.
    let dims: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let dims = if shape.len() == 1 { dims.trim_end() } else { dims.trim_end().trim_end_matches(',') };
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({dims}), }}");
    // Data start at a multiple of 64; the header ends in a line break.
    let unpadded = 10 + header.len() + 1;
    header.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| NpyShapeError {
        what: "dimensions of the array",
        found: shape.len(),
        expected: 32,
    })?;
    let mut out = Vec::with_capacity(10 + header.len());
    out.extend(b"\x93NUMPY\x01\x00");
    out.extend(length.to_le_bytes());
    out.extend(header.as_bytes());
    Ok(out)
}

/// The numbers of an `.npy` file that was made of this shape; `None` for any other file, and for none.
pub fn read_back(path: &Path, shape: &[usize]) -> Option<Vec<f32>> {
    let bytes = files::read(path).ok()?;
    let numbers = bytes.strip_prefix(header(shape).ok()?.as_slice())?;
    let numbers: Vec<f32> = numbers.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    (numbers.len() == shape.iter().product::<usize>()).then_some(numbers)
}

/// What an `.npy` file says of its numbers, and the numbers as they are stored.
#[derive(Debug, PartialEq)]
pub struct NpyArray<'a> {
    /// How a number is stored, `<f4` for instance.
    pub kind: &'a str,
    /// The sides.
    pub shape: Vec<usize>,
    /// The numbers one after another, in C order.
    pub data: &'a [u8],
}

/// Reads the header of an `.npy` file of any version.
///
/// # Errors
/// What is wrong and the way out.
pub fn parse(bytes: &[u8]) -> Result<NpyArray<'_>, String> {
    let broken = || "it is no .npy file, or incomplete; save it again with numpy.save".to_owned();
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(broken)?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(broken)?;
    let (length, rest) = if version[0] == 1 {
        let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(broken)?;
        (usize::from(u16::from_le_bytes(*length)), rest)
    } else {
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
        (u32::from_le_bytes(*length) as usize, rest)
    };
    let (header, data) = rest.split_at_checked(length).ok_or_else(broken)?;
    let header = std::str::from_utf8(header).map_err(|_| broken())?;
    let entry = |name: &str| header.split_once(&format!("'{name}':")).map(|(_, rest)| rest.trim_start());
    let kind = entry("descr").and_then(|rest| rest.strip_prefix('\'')?.split('\'').next());
    let kind = kind.ok_or_else(broken)?;
    if entry("fortran_order").is_none_or(|rest| !rest.starts_with("False")) {
        return Err(
            "its columns come one after the other (fortran_order); save numpy.ascontiguousarray of it"
                .to_owned(),
        );
    }
    let shape = entry("shape").and_then(|rest| rest.strip_prefix('(')?.split(')').next());
    let sides = shape.and_then(|shape| {
        let sides = shape.split(',').map(str::trim).filter(|side| !side.is_empty());
        sides.map(|side| side.parse().ok()).collect::<Option<Vec<usize>>>()
    });
    Ok(NpyArray { kind, shape: sides.ok_or_else(broken)?, data })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn header_and_data() {
        for (shape, text) in
            [(vec![], "()"), (vec![2], "(2,)"), (vec![2, 3], "(2, 3)"), (vec![4, 0, 1], "(4, 0, 1)")]
        {
            let data: Vec<f32> = (0..shape.iter().product()).map(|i| i as f32 * 0.5).collect();
            let bytes = encode(&shape, &data).unwrap();
            let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
            assert_eq!((10 + length) % 64, 0);
            let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
            assert!(header.contains(&format!("'shape': {text}, }}")) && header.ends_with('\n'), "{header}");
            assert_eq!(bytes.len(), 10 + length + data.len() * 4);
        }
        assert!(encode(&[2, 2], &[0.0; 3]).is_err());
    }

    #[test]
    fn what_was_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        std::fs::write(&path, encode(&[1, 2], &[1.0, f32::NAN]).unwrap()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap().len(), 128 + 8);
        let back = read_back(&path, &[1, 2]).unwrap();
        assert!(back[0] == 1.0 && back[1].is_nan());
        assert_eq!((read_back(&path, &[2, 1]), read_back(Path::new("no.npy"), &[0])), (None, None));
    }
}

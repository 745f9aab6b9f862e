//! A look at some files of a collection, for a word about how deep they are.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::depth::{IntensityMapping, IntensityRange, SampleKind};
use super::{catch_panic, decode_file_as, tiff};
use dinoscope_base::files::File;

/// Files whose headers are looked at, and those of them that are decoded.
const HEADERS: usize = 64;
const WHOLE: usize = 4;

/// What a person should know about pictures of more than 8 bits that are read with the usual range: that they come out
/// dark, or that each is stretched by itself. Looks at some that are spread over `pictures`; `None` where there is
/// nothing to say.
pub fn depth_note<P: AsRef<Path>>(pictures: &[P], range: IntensityRange) -> Option<String> {
    if range != IntensityRange::Fixed {
        return None;
    }
    let may_be: Vec<&Path> = pictures.iter().map(AsRef::as_ref).filter(|path| may_be_deep(path)).collect();
    let deep: Vec<&Path> = spread(&may_be, HEADERS).filter(|path| is_deep(path)).collect();
    let read = |path: &Path| Some((path.to_owned(), decode_file_as(path, range.into()).ok()?.depth?));
    note(&spread(&deep, WHOLE).filter_map(read).collect::<Vec<_>>())
}

/// [`depth_note`] of pictures that were decoded.
pub fn note(seen: &[(PathBuf, IntensityMapping)]) -> Option<String> {
    let of = |wanted: fn(&IntensityMapping) -> bool| seen.iter().filter(move |(_, depth)| wanted(depth));
    let dark = |depth: &IntensityMapping| depth.samples == SampleKind::Words && depth.found.1 < 32_768.0;
    if let Some((path, depth)) = of(dark).max_by(|(_, a), (_, b)| a.found.1.total_cmp(&b.found.1)) {
        let most = depth.found.1;
        let bits = (most.max(1.0) as u32).ilog2() + 1;
        let white = (1u32 << bits) - 1;
        return Some(format!(
            "16-bit pictures hold numbers up to {most} alone (as in {}) and come out dark, because 65535 is white: \
             --depth-range 0..{white} (in a recipe data.depth_range) makes {white} white, `file` stretches each \
             picture by itself",
            path.display()
        ));
    }
    let stretched = |depth: &IntensityMapping| {
        matches!(depth.samples, SampleKind::Whole | SampleKind::Floats) && depth.shown == depth.found
    };
    let (path, depth) = of(stretched).next()?;
    let kind = if depth.samples == SampleKind::Floats { "floats" } else { "signed or 32-bit numbers" };
    let (low, high) = depth.found;
    Some(format!(
        "pictures of {kind} (such as {}, {low} to {high}) have no usual range: each is stretched from its own lowest \
         to its own highest number; --depth-range {low}..{high} (in a recipe data.depth_range) reads all alike",
        path.display()
    ))
}

/// At most `most` of the items, evenly spread.
fn spread<'a, T: Copy>(items: &'a [T], most: usize) -> impl Iterator<Item = T> + 'a {
    let count = items.len().min(most);
    (0..count).map(move |i| items[i * items.len() / count])
}

/// Only these formats hold more than 8 bits.
fn may_be_deep(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|e| ["png", "tif", "tiff"].contains(&e.as_str()))
}

/// What a file's header says.
fn is_deep(path: &Path) -> bool {
    let head = || -> Option<[u8; 26]> {
        let mut head = [0; 26];
        File::open(path).ok()?.read_exact(&mut head).ok()?;
        Some(head)
    };
    let Some(head) = head() else { return false };
    if head.starts_with(b"\x89PNG") {
        return head[24] == 16;
    }
    let deep = || tiff::is_deep(BufReader::new(File::open(path).map_err(|e| e.to_string())?));
    tiff::is_tiff(&head) && catch_panic(deep).unwrap_or(false)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image::{ImageBuffer, Luma, Rgb};

    use super::*;

    /// A folder of 16-bit pictures whose highest numbers are these.
    fn folder(highest: &[u16]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let save = |(i, high): (usize, &u16)| {
            let path = folder.path().join(format!("{i:03}.png"));
            ImageBuffer::from_fn(4, 4, |x, _| Luma([if x == 0 { *high } else { 7 }])).save(&path).unwrap();
            path
        };
        let paths = highest.iter().enumerate().map(save).collect();
        (folder, paths)
    }

    #[test]
    fn dark_pictures_are_noted_with_their_highest_number() {
        let (_folder, paths) = folder(&[800, 4095, 100]);
        let said = depth_note(&paths, IntensityRange::Fixed).unwrap();
        assert!(
            said.contains("up to 4095") && said.contains("001.png") && said.contains("0..4095"),
            "{said}"
        );
        assert!(said.contains("data.depth_range") && said.contains("--depth-range"), "{said}");
        // Who has chosen need not be told.
        assert_eq!(depth_note(&paths, IntensityRange::File), None);
        let (_folder, paths) = folder(&[40_000, 65_000]);
        assert_eq!(depth_note(&paths, IntensityRange::Fixed), None);
        // One that is dark between others is worth a word.
        let (_folder, paths) = folder(&[800, 65_000]);
        assert!(depth_note(&paths, IntensityRange::Fixed).unwrap().contains("up to 800"));
        let (_folder, paths) = folder(&[1000]);
        assert!(depth_note(&paths, IntensityRange::Fixed).unwrap().contains("0..1023"));
    }

    #[test]
    fn usual_pictures_and_what_is_none_need_no_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        image::RgbImage::from_pixel(2, 2, Rgb([1, 2, 3])).save(path("a.png")).unwrap();
        std::fs::write(path("b.png"), "short").unwrap();
        std::fs::write(path("c.tif"), b"II*\0, and then something else altogether").unwrap();
        let paths = [path("a.png"), path("b.png"), path("c.tif"), path("missing.png"), path("d.jpg")];
        assert_eq!(depth_note(&paths, IntensityRange::Fixed), None);
        assert_eq!(depth_note::<PathBuf>(&[], IntensityRange::Fixed), None);
    }

    #[test]
    fn a_few_of_many_are_looked_at() {
        let items: Vec<usize> = (0..1000).collect();
        assert_eq!(spread(&items, 4).collect::<Vec<_>>(), [0, 250, 500, 750]);
        assert_eq!(spread(&items[..3], 4).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread::<usize>(&[], 4).count(), 0);
    }
}

//! Tar and zip files made here: read as a folder of the same pictures is, whole and damaged, harmless and not.
#![allow(clippy::unwrap_used)]

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::archive::is_archive;
use crate::source::PictureSource;
use crate::source::gathered::{SourceContent, SourceOptions, gather};

fn opened(place: &Path, labels: bool) -> Result<std::sync::Arc<dyn PictureSource>, String> {
    let how = SourceOptions { labels, ..SourceOptions::default() };
    let mut all = gather(&[place.to_owned()], how).map_err(|error| error.to_string())?;
    match all.pop().unwrap().holds {
        SourceContent::Whole(source) => Ok(source),
        SourceContent::Halves(halves) => Ok(std::sync::Arc::new(halves.all(labels))),
    }
}

/// A PNG of one pixel, whose red is `value`.
fn png(value: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image::RgbImage::from_pixel(1, 1, image::Rgb([value, 0, 0]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

fn tar_of(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // Names that no builder would write come from elsewhere.
        let field = header.as_gnu_mut().unwrap();
        if name.len() < 100 {
            field.name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, bytes.as_slice()).unwrap();
        } else {
            builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn zip_of(members: &[(&str, Vec<u8>)], packed: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(packed)).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn kept(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(name);
    std::fs::write(&file, bytes).unwrap();
    (dir, file)
}

fn reds(source: &dyn PictureSource) -> Vec<(String, u8)> {
    (0..source.len()).map(|index| (source.name(index), source.load(index).unwrap().rgb[0])).collect()
}

fn labels(source: &dyn PictureSource) -> Vec<Option<usize>> {
    (0..source.len()).map(|index| source.label(index)).collect()
}

#[test]
fn an_archive_is_read_as_a_folder_of_the_same_pictures_is() {
    let long = format!("owl/{}/9.png", "deep/".repeat(40).trim_end_matches('/'));
    let members = [
        ("owl/2.png", png(2)),
        ("top.PNG", png(7)),
        ("cat/1.png", png(1)),
        ("cat/.hidden.png", png(1)),
        ("notes.doc", b"x".to_vec()),
        (long.as_str(), png(9)),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in &members {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let folder = opened(folder.path(), true).unwrap();
    let kinds = [
        ("a.tar", tar_of(&members)),
        ("a.zip", zip_of(&members, CompressionMethod::Stored)),
        ("b.ZIP", zip_of(&members, CompressionMethod::Deflated)),
    ];
    for (name, bytes) in kinds {
        let (dir, file) = kept(name, &bytes);
        assert!(is_archive(&file), "{name}");
        let source = opened(&file, true).unwrap();
        assert_eq!(reds(&*source), reds(&*folder), "{name}");
        assert_eq!(source.classes(), folder.classes());
        assert_eq!(labels(&*source), labels(&*folder));
        assert_eq!(source.file_notes()[0], "1 file of another kind was left out: 1 .doc");
        assert!(source.decoding(0) > 0);
        // A folder with nothing but archives, and a single member.
        assert_eq!(opened(dir.path(), false).unwrap().len(), folder.len());
        assert_eq!(crate::decode::decode_file(&file.join("owl/2.png")).unwrap().rgb[0], 2);
        let missing = crate::decode::decode_file(&file.join("owl/3.png")).unwrap_err().to_string();
        assert!(missing.contains("there is no owl/3.png in it"), "{missing}");
        // Beside pictures it is what those came from.
        std::fs::write(dir.path().join("one.png"), png(1)).unwrap();
        let beside = opened(dir.path(), false).unwrap();
        assert!(beside.len() == 1 && beside.file_notes()[0].contains("1 file of another kind"));
    }
}

#[test]
fn halves_in_an_archive_are_halves() {
    let members = [
        ("train/a/1.png", png(1)),
        ("train/b/2.png", png(2)),
        ("val/a/3.png", png(3)),
        ("val/b/4.png", png(4)),
    ];
    let (_dir, file) = kept("set.tar", &tar_of(&members));
    let how = SourceOptions { labels: true, ..SourceOptions::default() };
    let all = gather(&[file], how).unwrap();
    assert!(matches!(all[0].holds, SourceContent::Halves(_)));
}

#[test]
fn classes_of_webdataset_are_members_beside_the_pictures() {
    let member = |key: usize, class: &str| {
        [(format!("{key:05}.jpg.png"), png(key as u8)), (format!("{key:05}.cls"), class.as_bytes().to_vec())]
    };
    let all: Vec<(String, Vec<u8>)> = [(3, "10\n"), (1, "2"), (2, "10")]
        .into_iter()
        .flat_map(|(key, class)| member(key, class))
        .chain([("00009.png".to_owned(), png(9)), ("00001.json".to_owned(), b"{}".to_vec())])
        .collect();
    let all: Vec<(&str, Vec<u8>)> = all.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    for (name, bytes) in [("a.tar", tar_of(&all)), ("a.zip", zip_of(&all, CompressionMethod::Deflated))] {
        let (_dir, file) = kept(name, &bytes);
        let source = opened(&file, true).unwrap();
        assert_eq!(source.classes(), ["2", "10"], "by their size");
        assert_eq!(labels(&*source), [Some(0), Some(1), Some(1), None]);
        assert!(source.file_notes().is_empty());
        assert!(opened(&file, false).unwrap().classes().is_empty());
    }
}

#[test]
fn shards_are_named_by_a_range() {
    let dir = tempfile::tempdir().unwrap();
    for shard in 8..12 {
        let name = format!("{shard}.png");
        let bytes = tar_of(&[(name.as_str(), png(shard)), ("same.png", png(100 + shard))]);
        std::fs::write(dir.path().join(format!("s-{shard:03}.tar")), bytes).unwrap();
    }
    let range = dir.path().join("s-{009..011}.tar");
    let all = gather(&[range], SourceOptions::default()).unwrap();
    let found: Vec<usize> =
        all.into_iter().map(|place| place.whole(SourceOptions::default()).source.len()).collect();
    assert_eq!(found, [2, 2, 2]);
}

#[test]
fn names_that_lead_out_are_left_out_and_of_two_the_last_counts() {
    let members = [
        ("../out.png", png(1)),
        ("/etc/x.png", png(2)),
        ("a/../../b.png", png(3)),
        ("in.png", png(4)),
        ("in.png", png(5)),
    ];
    let (_dir, file) = kept("a.tar", &tar_of(&members));
    let source = opened(&file, true).unwrap();
    assert_eq!(reds(&*source), [("in.png".to_owned(), 5)]);
    let note = &source.file_notes()[0];
    assert!(note.starts_with("a.tar: 3 members have names that lead out"), "{note}");
    assert!(note.contains("a.tar: 1 member has the name of one before"), "{note}");
}

#[test]
fn one_that_breaks_off_is_read_as_far_as_it_goes() {
    let members: Vec<(String, Vec<u8>)> = (0..4).map(|i| (format!("{i}.png"), png(i as u8))).collect();
    let members: Vec<(&str, Vec<u8>)> =
        members.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let whole = tar_of(&members);
    // Each member has a header of 512 bytes and a content that fills as many.
    for cut in [2 * 1024 + 512 + 20, 2 * 1024 + 100] {
        let (_dir, file) = kept("a.tar", &whole[..cut]);
        let source = opened(&file, false).unwrap();
        assert_eq!(source.len(), 2, "{cut}");
        assert!(source.file_notes()[0].contains("only the first 2 members"), "{:?}", source.file_notes());
        assert_eq!(source.load(1).unwrap().rgb[0], 1);
    }
    let zip = zip_of(&members, CompressionMethod::Deflated);
    let (_dir, file) = kept("a.zip", &zip[..zip.len() - 30]);
    let error = opened(&file, false).err().unwrap();
    assert!(error.contains("no whole zip file") && error.contains("a.zip"), "{error}");
}

#[test]
fn what_is_no_archive_or_has_no_pictures_says_so() {
    for (name, bytes, wanted) in [
        ("a.tar", b"no tar at all, only some text that goes on".repeat(40), "this is no tar file"),
        ("a.zip", b"nor a zip".to_vec(), "no whole zip file"),
        ("b.tar", tar_of(&[("notes.doc", b"x".to_vec())]), "there are no pictures in it"),
        ("c.tar.gz", b"\x1f\x8b".to_vec(), "unpack"),
    ] {
        let (_dir, file) = kept(name, &bytes);
        let error = opened(&file, false).err().unwrap();
        assert!(error.contains(wanted) && error.contains(name), "{error}");
    }
}

/// Of a member that becomes more than it says no more is unpacked, and a file that was replaced is listed again.
#[test]
fn a_damaged_member_is_named_and_others_are_read() {
    let noise: Vec<u8> = (0..4000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut bytes = zip_of(&[("a.png", noise), ("b.png", png(3))], CompressionMethod::Deflated);
    let (_dir, file) = kept("a.zip", &bytes);
    let source = opened(&file, false).unwrap();
    assert_eq!(source.load(1).unwrap().rgb[0], 3);
    // The sizes in the directory: 4000 becomes 100.
    let at = bytes.windows(4).rposition(|four| four == 4000u32.to_le_bytes()).unwrap();
    bytes[at..at + 4].copy_from_slice(&100u32.to_le_bytes());
    std::fs::write(&file, [&bytes[..], b""].concat()).unwrap();
    std::fs::File::open(&file).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let error = opened(&file, false).unwrap().load(0).unwrap_err().to_string();
    assert!(error.contains("a.png in") && error.contains("100 bytes"), "{error}");
}

#[test]
fn what_is_larger_than_may_be_read_is_not() {
    let (_dir, file) = kept("a.tar", &tar_of(&[("a.png", vec![0; 5000])]));
    let error = archive::read(&file.join("a.png"), 4000).unwrap().unwrap_err().to_string();
    assert!(error.contains("more than the"), "{error}");
    assert!(archive::read(&file, 4000).is_none(), "the archive itself is a file");
}

/// The figure in `docs/performance.md`: run alone, in an optimised build, with `--run-ignored only --no-capture`. Every
/// source is opened anew for each turn, so that nothing of it is decoded already.
#[test]
#[ignore = "it measures"]
fn archives_beside_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let painted = |i: u32| {
        image::RgbImage::from_fn(640, 480, |x, y| {
            let grain = (x.wrapping_mul(31) ^ y.wrapping_mul(17) ^ i).wrapping_mul(2_654_435_761) >> 28;
            image::Rgb([(x / 3 + i) as u8, (y / 2) as u8, ((x + y) / 5 + grain) as u8])
        })
    };
    let mut members: Vec<(String, Vec<u8>)> = Vec::new();
    for i in 0..300 {
        let mut bytes = Cursor::new(Vec::new());
        painted(i).write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
        members.push((format!("{i:03}.jpg"), bytes.into_inner()));
    }
    let members: Vec<(&str, Vec<u8>)> =
        members.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let folder = dir.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    members.iter().for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes).unwrap());
    let (tar, zip) = (dir.path().join("a.tar"), dir.path().join("a.zip"));
    std::fs::write(&tar, tar_of(&members)).unwrap();
    std::fs::write(&zip, zip_of(&members, CompressionMethod::Deflated)).unwrap();
    let recipe = crate::augment::CropRecipe::default();
    let seconds = |place: &Path| {
        let start = std::time::Instant::now();
        let source = opened(place, false).unwrap();
        for step in 0..9 {
            crate::loader::make_batch(&*source, &recipe, 32, 1, step).unwrap();
        }
        start.elapsed().as_secs_f64()
    };
    let mut ratios = [const { Vec::new() }; 2];
    for _ in 0..5 {
        let of_folder = seconds(&folder);
        for (ratios, place) in ratios.iter_mut().zip([&tar, &zip]) {
            ratios.push(of_folder / seconds(place));
        }
    }
    for (name, mut ratios) in ["tar", "zip"].into_iter().zip(ratios) {
        ratios.sort_by(f64::total_cmp);
        eprintln!(
            "{name}: {:.3} of a folder's pictures a second ({:.3} to {:.3})",
            ratios[2], ratios[0], ratios[4]
        );
    }
}

/// Written by `datasets` 5.2: seven rows, of which one holds no picture, one no name, two the same name and one no class.
const ROWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/pictures.parquet");

#[test]
fn rows_of_a_table_are_pictures_with_their_classes() {
    let source = opened(Path::new(ROWS), true).unwrap();
    let load = |index: usize| Some((source.name(index), source.load(index).ok()?.rgb[0]));
    let found: Vec<(String, u8)> = (0..source.len()).filter_map(load).collect();
    let wanted = [
        ("000002", 30),
        ("000003", 40),
        ("000004", 50),
        ("a/owl.png", 10),
        ("b/cat.png", 20),
        ("last.png", 60),
    ];
    assert_eq!(found, wanted.map(|(name, red)| (name.to_owned(), red)));
    // The one without a picture is there by its number, and skipped where it is loaded.
    let broken = (0..source.len()).find(|index| source.name(*index) == "000006").unwrap();
    let error = source.load(broken).unwrap_err().to_string();
    assert!(error.contains("holds no picture") && error.contains("000006 in"), "{error}");
    assert_eq!(source.classes(), ["cat", "dog", "owl"], "in the order of the file");
    let class = |name: &str| {
        let index = (0..source.len()).find(|index| source.name(*index) == name).unwrap();
        source.label(index).map(|label| source.classes()[label].as_str())
    };
    let classes = ["a/owl.png", "b/cat.png", "000002", "000004", "last.png"].map(class);
    assert_eq!(classes, [Some("owl"), Some("cat"), Some("dog"), Some("owl"), None]);
    assert!(opened(Path::new(ROWS), false).unwrap().classes().is_empty());
}

#[test]
fn tables_without_pictures_and_damaged_ones_say_so() {
    let whole = std::fs::read(ROWS).unwrap();
    for (name, bytes, wanted) in [
        ("a.parquet", whole[..whole.len() / 2].to_vec(), "the file is damaged"),
        ("b.parquet", b"PAR1more".to_vec(), "the file is damaged"),
        ("c.parquet", b"no table".to_vec(), "the file is damaged"),
    ] {
        let (_dir, file) = kept(name, &bytes);
        let error = opened(&file, true).err().unwrap();
        assert!(error.contains(wanted) && error.contains(name), "{error}");
    }
    // Bytes of the rows were changed, those of the footer were not.
    let mut torn = whole.clone();
    torn[4..900].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(7));
    let (_dir, file) = kept("d.parquet", &torn);
    match opened(&file, true) {
        Ok(source) => (0..source.len()).for_each(|index| assert!(source.load(index).is_err(), "{index}")),
        Err(error) => assert!(error.contains("d.parquet"), "{error}"),
    }
    // A table of numbers alone, as the features of pictures are.
    use parquet::data_type::Int64Type;
    use parquet::file::writer::SerializedFileWriter;
    let schema = parquet::schema::parser::parse_message_type("message m { REQUIRED INT64 a; }").unwrap();
    let (_dir, file) = kept("e.parquet", b"");
    let mut writer = SerializedFileWriter::new(
        std::fs::File::create(&file).unwrap(),
        std::sync::Arc::new(schema),
        std::sync::Arc::default(),
    )
    .unwrap();
    let mut rows = writer.next_row_group().unwrap();
    let mut column = rows.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[1, 2], None, None).unwrap();
    column.close().unwrap();
    rows.close().unwrap();
    writer.close().unwrap();
    let error = opened(&file, true).err().unwrap();
    assert!(error.contains("none of its columns holds pictures (a)"), "{error}");
}

/// A table is read by several threads at once.
#[test]
fn rows_are_the_same_from_every_thread() {
    let source = opened(Path::new(ROWS), false).unwrap();
    let reds = |source: &dyn PictureSource| -> Vec<Option<u8>> {
        (0..source.len()).map(|index| source.load(index).ok().map(|picture| picture.rgb[0])).collect()
    };
    let wanted = reds(&*source);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|_| {
                let anew = opened(Path::new(ROWS), false).unwrap();
                scope.spawn(move || (0..20).map(|_| anew.load(0).unwrap().rgb[0]).collect::<Vec<u8>>())
            })
            .collect();
        for reds in all {
            assert_eq!(reds.join().unwrap(), vec![wanted[0].unwrap(); 20]);
        }
    });
}

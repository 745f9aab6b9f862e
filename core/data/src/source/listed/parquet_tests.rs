//! Parquet files that name pictures: read as the lists of other kinds are, and told apart from those that hold pictures.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;
use crate::source::gathered::{SourceContent, SourceOptions, gather};
use crate::source::listing::{list, pictures_in};
use dinoscope_testing::folder;

/// A table with a row for each path, class and `kept`.
fn table(file: &Path, schema: &str, rows: &[(&str, Option<&str>, Option<bool>)]) {
    let schema = Arc::new(parse_message_type(&format!("message m {{ {schema} }}")).unwrap());
    let mut writer =
        SerializedFileWriter::new(std::fs::File::create(file).unwrap(), schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut texts = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        match column.untyped() {
            ColumnWriter::ByteArrayColumnWriter(column) if texts == 0 => {
                texts += 1;
                let paths: Vec<ByteArray> = rows.iter().map(|row| row.0.into()).collect();
                column.write_batch(&paths, None, None).unwrap();
            }
            ColumnWriter::ByteArrayColumnWriter(column) => {
                let levels: Vec<i16> = rows.iter().map(|row| i16::from(row.1.is_some())).collect();
                let classes: Vec<ByteArray> = rows.iter().filter_map(|row| Some(row.1?.into())).collect();
                column.write_batch(&classes, Some(&levels), None).unwrap();
            }
            ColumnWriter::BoolColumnWriter(column) => {
                let levels: Vec<i16> = rows.iter().map(|row| i16::from(row.2.is_some())).collect();
                let kept: Vec<bool> = rows.iter().filter_map(|row| row.2).collect();
                column.write_batch(&kept, Some(&levels), None).unwrap();
            }
            _ => unreachable!(),
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

const WHOLE: &str =
    "REQUIRED BYTE_ARRAY key (STRING); OPTIONAL BYTE_ARRAY label (STRING); OPTIONAL BOOLEAN kept;";

fn opened(place: &Path, labels: bool) -> Result<Arc<dyn crate::source::PictureSource>, String> {
    let how = SourceOptions { labels, ..SourceOptions::default() };
    let mut all = gather(&[place.to_owned()], how).map_err(|error| error.to_string())?;
    assert_eq!(all.len(), 1);
    match all.pop().unwrap().holds {
        SourceContent::Whole(source) => Ok(source),
        SourceContent::Halves(_) => Err("halves".to_owned()),
    }
}

#[test]
fn rows_that_are_kept_are_pictures_with_their_classes() {
    let folder = folder(&["a/1.png", "a/2.png", "b/3.png"]);
    let file = folder.path().join("list.parquet");
    let rows = [
        ("b/3.png", Some("owl"), Some(true)),
        ("a/1.png", Some("cat"), Some(false)),
        ("a/2.png", None, None),
        ("b/3.png", Some("owl"), None),
    ];
    table(&file, WHOLE, &rows);
    assert!(is_list(&file));
    let source = opened(&file, true).unwrap();
    let names: Vec<String> = (0..source.len()).map(|i| source.name(i).replace('\\', "/")).collect();
    assert_eq!(names, ["a/2.png", "b/3.png"], "without the row that is dropped, and none twice");
    assert_eq!(
        (source.classes(), source.label(0), source.label(1)),
        (&["owl".to_owned()][..], None, Some(0))
    );
    assert_eq!(source.load(1).unwrap().rgb, [2, 0, 0]);
    // Also where a folder or an archive is listed: what is explored.
    assert_eq!(pictures_in(&file).unwrap(), ["b/3.png", "a/2.png", "b/3.png"].map(|p| folder.path().join(p)));
    // Lying beside pictures, or alone in a folder, it is no archive.
    assert_eq!(list(folder.path()).unwrap().0.len(), 3);
    let alone = tempfile::tempdir().unwrap();
    table(&alone.path().join("copies.parquet"), WHOLE, &rows);
    let said = list(alone.path()).unwrap_err().to_string();
    assert!(said.contains("no pictures") && said.contains("1 .parquet"), "{said}");
}

#[test]
fn pictures_in_archives_are_named_by_paths_through_them() {
    let folder = folder(&["a/1.png"]);
    let mut zip = zip::ZipWriter::new(std::fs::File::create(folder.path().join("x.zip")).unwrap());
    for name in ["owl/2.png", "owl/3.png"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&std::fs::read(folder.path().join("a/1.png")).unwrap()).unwrap();
    }
    zip.finish().unwrap();
    let file = folder.path().join("list.parquet");
    table(&file, WHOLE, &[("x.zip/owl/3.png", None, None), ("x.zip/owl/2.png", None, None)]);
    let source = opened(&file, false).unwrap();
    assert_eq!((source.len(), source.load(1).unwrap().rgb.len()), (2, 3));
    assert_eq!(source.name(0).replace('\\', "/"), "2.png");
    table(&file, WHOLE, &[("a/1.png", None, None), ("x.zip/owl/4.png", None, None)]);
    let said = opened(&file, false).err().unwrap();
    assert!(said.contains("row 2 names") && said.contains("owl/4.png, which is not there"), "{said}");
    // As in the lists of other kinds.
    std::fs::write(folder.path().join("list.txt"), "x.zip/owl/2.png\na/1.png\n").unwrap();
    assert_eq!(opened(&folder.path().join("list.txt"), false).unwrap().len(), 2);
}

#[test]
fn what_names_nothing_says_what_is_looked_for() {
    let folder = folder(&["a/1.png"]);
    let file = folder.path().join("list.parquet");
    table(&file, WHOLE, &[("a/1.png", None, Some(false)), ("a/1.png", None, Some(false))]);
    let said = opened(&file, false).err().unwrap();
    assert!(said.contains("list.parquet") && said.contains("nothing is left"), "{said}");
    // Neither paths nor pictures.
    table(&file, "REQUIRED BYTE_ARRAY colour (STRING); OPTIONAL BOOLEAN kept;", &[("red", None, None)]);
    let said = opened(&file, false).err().unwrap();
    assert!(said.contains("colour, kept") && said.contains("`key` or `path`"), "{said}");
    // Bytes are pictures whatever lies beside them.
    table(
        &file,
        "REQUIRED BYTE_ARRAY path (STRING); OPTIONAL BYTE_ARRAY content;",
        &[("a", Some("b"), None)],
    );
    assert!(!is_list(&file));
    let rows: PathBuf = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/pictures.parquet").into();
    assert!(!is_list(&rows) && opened(&rows, true).is_ok());
}

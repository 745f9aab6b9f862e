#![allow(clippy::unwrap_used)]

use super::parquet_file::GROUP;
use super::*;

fn row(i: usize) -> CuratedPicture {
    let some = !i.is_multiple_of(3);
    CuratedPicture {
        key: format!("/p/ä {i}.jpg"),
        component: some.then_some(i as i64),
        similarity: some.then_some(i as f32 / 7.0),
        kept: [None, Some(true), Some(false)][i % 3],
        why: i.is_multiple_of(2).then(|| "a copy of \"x\"".to_owned()),
        width: Some(i as i64),
        ..CuratedPicture::default()
    }
}

#[test]
fn tables_come_back_as_they_were_over_groups_and_nulls() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    for count in [0, 1, 7, GROUP + 5] {
        let table = CurationTable {
            rows: (0..count).map(row).collect(),
            from: Some("abc".to_owned()),
            made: (count > 0).then(|| "embed".to_owned()),
            settings: if count > 1 { vec![("threshold".to_owned(), 0.97)] } else { Vec::new() },
        };
        table.write(&path).unwrap();
        assert!(CurationTable::read(&path).unwrap() == table, "{count} rows");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing beside it");
}

#[test]
fn what_is_no_table_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    assert!(CurationTable::read(&path).unwrap_err().to_string().contains("t.parquet"));
    std::fs::write(&path, "PAR1 nothing").unwrap();
    assert!(CurationTable::read(&path).unwrap_err().to_string().contains("damaged"));
    let pictures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/pictures.parquet");
    let said = CurationTable::read(Path::new(pictures)).unwrap_err().to_string();
    assert!(said.contains("no column `key`") && said.contains("curate embed"), "{said}");
}

/// What a trainer reads: pictures that are not dropped.
#[test]
fn a_table_is_a_list_of_pictures() {
    let folder = dinoscope_testing::folder(&["1.png", "2.png", "3.png"]);
    let rows = ["1.png", "2.png", "3.png"].into_iter().zip([None, Some(false), Some(true)]);
    let rows = rows.map(|(name, kept)| CuratedPicture { key: name.to_owned(), kept, ..Default::default() });
    let path = folder.path().join("t.parquet");
    CurationTable { rows: rows.collect(), ..CurationTable::default() }.write(&path).unwrap();
    let list = dinoscope_data::source::listed::read(&path).unwrap();
    let names: Vec<&str> = list.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(names, ["1.png", "3.png"]);
    assert!(!list.labelled, "no column for classes where there are none");
}

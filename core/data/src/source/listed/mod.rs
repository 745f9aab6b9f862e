//! Lists of pictures in a file: a path a line, or a table (CSV, Parquet) with a column `path` and, for classes, one `label`.

pub mod csv;
pub mod listing;
pub mod pattern;

use std::path::{Path, PathBuf};

use crate::DataError;
use crate::archive;
use dinoscope_base::files;

/// Names that a column of paths may have.
const PATHS: [&str; 9] =
    ["path", "file", "filename", "file_name", "filepath", "image", "image_path", "picture", "key"];
/// Names that a column of classes may have.
const LABELS: [&str; 5] = ["label", "class", "class_name", "category", "target"];

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureListEntry {
    /// Line of the file, or row of a Parquet file, from 1.
    pub line: usize,
    /// As it is written.
    pub path: String,
    /// Its class, where the list has them and names one here.
    pub label: Option<String>,
}

/// What a list names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PictureList {
    /// In their order.
    pub entries: Vec<PictureListEntry>,
    /// Whether it is a table with a column of classes.
    pub labelled: bool,
    /// Whether its entries are rows of a Parquet file, and not lines.
    pub in_rows: bool,
}

impl PictureList {
    /// What its entries are counted as: `line` or `row`.
    pub fn unit(&self) -> &'static str {
        if self.in_rows { "row" } else { "line" }
    }
}

/// Whether a file is a list, by its name; of a Parquet file, which may hold pictures itself, by its columns.
pub fn is_list(path: &Path) -> bool {
    let kind = path.extension().map(|kind| kind.to_string_lossy().to_lowercase()).unwrap_or_default();
    is_table(path) || ["txt", "lst", "list"].contains(&kind.as_str()) || is_parquet_list(path)
}

/// Whether a file is a Parquet file that names pictures by their paths and holds none.
#[cfg(not(target_family = "wasm"))]
pub fn is_parquet_list(path: &Path) -> bool {
    let named = path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("parquet"));
    named && files::is_file(path) && archive::parquet_paths::names_pictures(path, &PATHS)
}

/// A page does not read Parquet files.
#[cfg(target_family = "wasm")]
pub fn is_parquet_list(_path: &Path) -> bool {
    false
}

#[cfg(not(target_family = "wasm"))]
fn of_parquet(file: &Path) -> Result<PictureList, DataError> {
    let table = archive::parquet_paths::read(file, &PATHS, &LABELS)?;
    if table.rows.is_empty() && table.dropped > 0 {
        let reason =
            format!("the column `kept` says no in all of its rows ({}): nothing is left", table.dropped);
        return Err(DataError::Source { path: file.display().to_string(), reason });
    }
    let entry = |row: archive::parquet_paths::NamedRow| PictureListEntry {
        line: row.row,
        path: row.path,
        label: row.label,
    };
    let entries = table.rows.into_iter().map(entry).collect();
    Ok(PictureList { entries, labelled: table.labelled, in_rows: true })
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|kind| ["csv", "tsv"].iter().any(|table| kind.eq_ignore_ascii_case(table)))
}

/// Reads a list.
///
/// # Errors
/// When it can't be read, is no text, or is a table without a column of paths.
pub fn read(file: &Path) -> Result<PictureList, DataError> {
    #[cfg(not(target_family = "wasm"))]
    if is_parquet_list(file) {
        return of_parquet(file);
    }
    let name = || file.display().to_string();
    let bytes = files::read(file).map_err(|source| DataError::Read { path: name(), source })?;
    let wrong = |reason: String| DataError::Source { path: name(), reason };
    if bytes.contains(&0) {
        let reason = "it is no text: a list is text in UTF-8, a path a line, or a table with a column `path`";
        return Err(wrong(reason.to_owned()));
    }
    parse(&bytes, is_table(file)).map_err(wrong)
}

/// The entries in the bytes of a list, which is a table or has a path a line.
///
/// # Errors
/// What is wrong with a table.
pub fn parse(bytes: &[u8], table: bool) -> Result<PictureList, String> {
    let text = String::from_utf8_lossy(bytes);
    if table {
        return of_table(&text);
    }
    // Some editors begin a file with a mark.
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let entry = |(at, line): (usize, &str)| {
        let path = line.trim_end();
        (!path.is_empty()).then(|| PictureListEntry { line: at + 1, path: path.to_owned(), label: None })
    };
    Ok(PictureList { entries: lines.filter_map(entry).collect(), labelled: false, in_rows: false })
}

fn of_table(text: &str) -> Result<PictureList, String> {
    let csv::CsvTable { columns, rows } = csv::parse(text)?;
    let column = |names: &[&str]| {
        names.iter().find_map(|name| columns.iter().position(|column| column.eq_ignore_ascii_case(name)))
    };
    let path = column(&PATHS).ok_or_else(|| {
        format!(
            "its first line must name the columns, `path` and, for classes, `label`; it is: {}",
            columns.join(", ")
        )
    })?;
    let label = column(&LABELS);
    let entry = |(line, row): (usize, Vec<String>)| {
        let word = |at: usize| row.get(at).map(|word| word.trim()).filter(|word| !word.is_empty());
        let path = word(path)?.to_owned();
        Some(PictureListEntry { line, path, label: label.and_then(word).map(str::to_owned) })
    };
    let entries = rows.into_iter().filter_map(entry).collect();
    Ok(PictureList { entries, labelled: label.is_some(), in_rows: false })
}

/// Whether there is a file, a folder, or a picture in an archive at a path.
pub fn is_there(path: &Path) -> bool {
    files::exists(path) || is_member(path)
}

/// Whether a path is that of a file in an archive.
pub fn is_member(path: &Path) -> bool {
    archive::located(path).is_some_and(|(archive, name)| {
        archive::listed(&archive).is_ok_and(|listing| listing.member(&name).is_some())
    })
}

/// Where an entry of a list lies: relative ones are looked for from the list's folder.
pub fn place(list: &Path, written: &str) -> PathBuf {
    let folder = list.parent().unwrap_or(Path::new(""));
    let path = folder.join(written);
    // Lists from other systems have another stroke between folders.
    if written.contains('\\') && !is_there(&path) {
        let other = folder.join(written.replace('\\', "/"));
        if is_there(&other) {
            return other;
        }
    }
    path
}

#[cfg(all(test, not(target_family = "wasm")))]
mod parquet_tests;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn written(name: &str, text: &[u8]) -> Result<PictureList, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        assert!(is_list(&file));
        read(&file)
    }

    fn entry(line: usize, path: &str, label: Option<&str>) -> PictureListEntry {
        PictureListEntry { line, path: path.to_owned(), label: label.map(str::to_owned) }
    }

    #[test]
    fn lines_and_tables_are_read() {
        let lines = written("a.txt", "\u{feff}a b.png \r\n\r\n/c,d.png\n".as_bytes()).unwrap();
        assert_eq!(lines.entries, [entry(1, "a b.png", None), entry(3, "/c,d.png", None)]);
        let table = written("a.CSV", b"Label,split,Path\ncat,train,a.png\n,val,\"b,c.png\"\n").unwrap();
        assert_eq!(table.entries, [entry(2, "a.png", Some("cat")), entry(3, "b,c.png", None)]);
        assert!(table.labelled && !lines.labelled);
        assert!(!written("a.csv", b"filename\na.png\n").unwrap().labelled);
        assert!(!is_list(Path::new("a.png")) && !is_list(Path::new("txt")));
    }

    #[test]
    fn what_is_no_list_is_told() {
        for (name, text, said) in [
            ("a.csv", b"".as_slice(), "it is empty"),
            ("a.csv", b"a.png,cat\nb.png,dog\n", "first line must name the columns"),
            ("a.csv", b"path,label\na,b.png,cat\n", "line 2 has 3 fields"),
            ("a.txt", b"\x89PNG\0\0", "it is no text"),
        ] {
            let error = written(name, text).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(name), "{error}");
        }
    }

    #[test]
    fn paths_count_from_the_list() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/1.png"), "").unwrap();
        let list = folder.path().join("list.txt");
        assert_eq!(place(&list, "a/1.png"), folder.path().join("a/1.png"));
        assert_eq!(place(&list, "/elsewhere/1.png"), Path::new("/elsewhere/1.png"));
        assert!(place(&list, "a\\1.png").is_file());
    }
}

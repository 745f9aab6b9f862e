//! Paths in the rows of a Parquet file that holds no pictures itself: a column of text, beside it classes, and whether a row
//! is kept. What `dinoscope curate` writes, and what others write of their collections.

use std::path::Path;

use parquet::basic::{LogicalType, Type};
use parquet::schema::types::ColumnDescPtr;

use super::parquet_listing::{
    ParquetTableReader, caught, class_names, features, open, picture_column, texts,
};
use crate::DataError;

/// Rows with this in them are left out where it says no.
const KEPT: &str = "kept";

/// A row that names a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRow {
    /// From 1.
    pub row: usize,
    /// As it is written.
    pub path: String,
    /// Its class, where there is a column of them.
    pub label: Option<String>,
}

/// What a table names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NamedRows {
    /// Rows that are kept, in their order.
    pub rows: Vec<NamedRow>,
    /// Whether there is a column of classes.
    pub labelled: bool,
    /// Rows whose column `kept` says no.
    pub dropped: usize,
}

/// Whether a file is a table with a column of paths and none of pictures.
pub fn names_pictures(path: &Path, paths: &[&str]) -> bool {
    open(path).is_ok_and(|reader| {
        let columns = columns(&reader);
        picture_column(&columns, &features(&reader)).is_none() && text_column(&columns, paths).is_some()
    })
}

/// The rows of a table that names pictures: `paths` and `labels` are the names that columns may have, the first first.
///
/// # Errors
/// When the file can't be read, is damaged, or has no column of paths.
pub fn read(path: &Path, paths: &[&str], labels: &[&str]) -> Result<NamedRows, DataError> {
    let wrong = |reason: String| DataError::Source { path: path.display().to_string(), reason };
    let reader = open(path)?;
    let (columns, features) = (columns(&reader), features(&reader));
    let Some(column) = text_column(&columns, paths) else {
        let names: Vec<String> = columns.iter().map(|column| column.path().string()).collect();
        return Err(wrong(format!(
            "none of its columns names pictures ({}): one of text is looked for that is called {}",
            names.join(", "),
            paths.join(", ")
        )));
    };
    let place = |names: &[&str]| names.iter().find_map(|name| named(&columns, name));
    let told = features.iter().find(|(_, about)| about["_type"] == "ClassLabel");
    let label = told.and_then(|(name, _)| named(&columns, name)).or_else(|| place(labels));
    let classes =
        label.map(|label| class_names(&features, &columns[label].path().string())).unwrap_or_default();
    let of = |column: Option<usize>| match column {
        Some(column) => caught(|| texts(&reader, column)).map_err(wrong),
        None => Ok(Vec::new()),
    };
    let (written, classes_of, kept) = (of(Some(column))?, of(label)?, of(place(&[KEPT]))?);
    let mut out = NamedRows { labelled: label.is_some(), ..NamedRows::default() };
    for (row, path) in written.into_iter().enumerate() {
        // Where a step has not decided yet there is no value: nothing was dropped.
        if kept.get(row).and_then(Option::as_deref).is_some_and(|kept| ["false", "0"].contains(&kept)) {
            out.dropped += 1;
            continue;
        }
        let Some(path) = path.filter(|path| !path.trim().is_empty()) else { continue };
        let class = classes_of.get(row).cloned().flatten();
        let in_words = |class: String| {
            let known = class.parse::<usize>().ok().and_then(|class| classes.get(class));
            known.cloned().unwrap_or(class)
        };
        out.rows.push(NamedRow { row: row + 1, path, label: class.map(in_words) });
    }
    Ok(out)
}

fn columns(reader: &ParquetTableReader) -> Vec<ColumnDescPtr> {
    use parquet::file::reader::FileReader;
    reader.metadata().file_metadata().schema_descr().columns().to_vec()
}

/// A column that is no part of a list or structure.
fn named(columns: &[ColumnDescPtr], name: &str) -> Option<usize> {
    columns.iter().position(|column| {
        column.max_rep_level() == 0
            && matches!(column.path().parts(), [only] if only.eq_ignore_ascii_case(name))
    })
}

fn text_column(columns: &[ColumnDescPtr], names: &[&str]) -> Option<usize> {
    let is_text = |at: &usize| {
        columns[*at].physical_type() == Type::BYTE_ARRAY
            && matches!(columns[*at].logical_type_ref(), Some(LogicalType::String))
    };
    names.iter().find_map(|name| named(columns, name).filter(is_text))
}

//! The table that every step reads and writes: a row for each picture of the heap.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use dinoscope_base::files;
use parquet::basic::Compression;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use sha2::{Digest, Sha256};

use crate::CurateError;
use crate::features::hex;

/// Rows that are written and read at once.
const GROUP: usize = 1 << 16;
/// What a table was made from, in the file's metadata.
const FROM: &str = "dinoscope.from";
/// How it was made, in a sentence.
const MADE: &str = "dinoscope.made";

/// A picture of the heap with what is known of it. What a step has not filled is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CuratedPicture {
    /// Its path; one in an archive goes through the archive.
    pub key: String,
    /// The class that its place gives it.
    pub label: Option<String>,
    /// The smallest row of the pictures that it is a copy of, itself among them: alike in all of them.
    pub component: Option<i64>,
    /// The clusters that it lies in, from the coarsest: `3/17/204`.
    pub cluster: Option<String>,
    /// Cosine similarity to the picture that decided, or to the nearest one.
    pub similarity: Option<f32>,
    /// Whether it stays. Undecided pictures stay.
    pub kept: Option<bool>,
    /// Why.
    pub why: Option<String>,
    /// The picture that is kept in its place, or that it came too near to.
    pub copy_of: Option<String>,
    /// For which queries it was found, how often.
    pub queries: Option<i64>,
    /// SHA-256 of the file's bytes, in hexadecimal digits.
    pub digest: Option<String>,
    /// Length and time of the file: as long as they stay its bytes are not read again.
    pub stamp: Option<String>,
    /// [`crate::picture::perceptual_hash`], in hexadecimal digits.
    pub hash: Option<String>,
    /// Pixels in a row.
    pub width: Option<i64>,
    /// Rows of pixels.
    pub height: Option<i64>,
    /// Width by height.
    pub aspect: Option<f32>,
    /// Variance of the Laplacian: low where it is blurred.
    pub blur: Option<f32>,
    /// 1 less the 99th percentile of its lightness: 1 where all of it is black.
    pub darkness: Option<f32>,
    /// Why it can't be used.
    pub unreadable: Option<String>,
}

/// All pictures of a heap, and where the table comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CurationTable {
    /// A row for each picture.
    pub rows: Vec<CuratedPicture>,
    /// The digest of the table that it was made from.
    pub from: Option<String>,
    /// How it was made.
    pub made: Option<String>,
}

/// A column: its name, how it is written and how it is read.
enum TableColumn {
    Text(fn(&mut CuratedPicture) -> &mut Option<String>),
    Whole(fn(&mut CuratedPicture) -> &mut Option<i64>),
    Number(fn(&mut CuratedPicture) -> &mut Option<f32>),
    Truth(fn(&mut CuratedPicture) -> &mut Option<bool>),
}

/// All columns but the key, in the file's order.
const COLUMNS: [(&str, TableColumn); 17] = [
    ("label", TableColumn::Text(|row| &mut row.label)),
    ("component", TableColumn::Whole(|row| &mut row.component)),
    ("cluster", TableColumn::Text(|row| &mut row.cluster)),
    ("similarity", TableColumn::Number(|row| &mut row.similarity)),
    ("kept", TableColumn::Truth(|row| &mut row.kept)),
    ("why", TableColumn::Text(|row| &mut row.why)),
    ("copy_of", TableColumn::Text(|row| &mut row.copy_of)),
    ("queries", TableColumn::Whole(|row| &mut row.queries)),
    ("digest", TableColumn::Text(|row| &mut row.digest)),
    ("stamp", TableColumn::Text(|row| &mut row.stamp)),
    ("hash", TableColumn::Text(|row| &mut row.hash)),
    ("width", TableColumn::Whole(|row| &mut row.width)),
    ("height", TableColumn::Whole(|row| &mut row.height)),
    ("aspect", TableColumn::Number(|row| &mut row.aspect)),
    ("blur", TableColumn::Number(|row| &mut row.blur)),
    ("darkness", TableColumn::Number(|row| &mut row.darkness)),
    ("unreadable", TableColumn::Text(|row| &mut row.unreadable)),
];

impl TableColumn {
    fn kind(&self, name: &str) -> String {
        match self {
            Self::Text(_) => format!("OPTIONAL BYTE_ARRAY {name} (STRING);"),
            Self::Whole(_) => format!("OPTIONAL INT64 {name};"),
            Self::Number(_) => format!("OPTIONAL FLOAT {name};"),
            Self::Truth(_) => format!("OPTIONAL BOOLEAN {name};"),
        }
    }
}

impl CurationTable {
    /// Reads a table; columns that it lacks are unknown in all rows.
    ///
    /// # Errors
    /// When the file can't be read, or is no table with a column `key`.
    pub fn read(path: &Path) -> Result<Self, CurateError> {
        // A fault of the reader is one of the file.
        catch_unwind(AssertUnwindSafe(|| Self::read_whole(path))).unwrap_or_else(|_| {
            Err(CurateError::unfit(path, "the file is damaged: its parts do not fit together"))
        })
    }

    fn read_whole(path: &Path) -> Result<Self, CurateError> {
        let file = File::open(path).map_err(CurateError::file(path))?;
        let damaged = |error: ParquetError| {
            CurateError::unfit(path, format!("this is no table of curation, or a damaged one: {error}"))
        };
        let reader = SerializedFileReader::new(file).map_err(damaged)?;
        let names: Vec<String> = {
            let columns = reader.metadata().file_metadata().schema_descr().columns().to_vec();
            columns.iter().map(|column| column.path().string()).collect()
        };
        let place = |name: &str| names.iter().position(|known| known == name);
        let key = place("key").ok_or_else(|| {
            let columns = names.join(", ");
            CurateError::unfit(
                path,
                format!("it has no column `key` ({columns}): `curate embed` makes such a table"),
            )
        })?;
        let mut rows: Vec<CuratedPicture> = Vec::new();
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group).map_err(damaged)?;
            let start = rows.len();
            if let ColumnReader::ByteArrayColumnReader(column) =
                group.get_column_reader(key).map_err(damaged)?
            {
                let keys = values(column, |key: &ByteArray| key.as_utf8().ok().map(str::to_owned));
                let row = |key: Option<String>| CuratedPicture {
                    key: key.unwrap_or_default(),
                    ..Default::default()
                };
                rows.extend(keys.map_err(damaged)?.into_iter().map(row));
            }
            let rows = &mut rows[start..];
            for (name, column) in &COLUMNS {
                let Some(at) = place(name) else { continue };
                match (column, group.get_column_reader(at).map_err(damaged)?) {
                    (TableColumn::Text(field), ColumnReader::ByteArrayColumnReader(found)) => {
                        let found = values(found, |v: &ByteArray| v.as_utf8().ok().map(str::to_owned));
                        fill(rows, *field, found.map_err(damaged)?);
                    }
                    (TableColumn::Whole(field), ColumnReader::Int64ColumnReader(found)) => {
                        fill(rows, *field, values(found, |v| Some(*v)).map_err(damaged)?);
                    }
                    (TableColumn::Number(field), ColumnReader::FloatColumnReader(found)) => {
                        fill(rows, *field, values(found, |v| Some(*v)).map_err(damaged)?);
                    }
                    (TableColumn::Truth(field), ColumnReader::BoolColumnReader(found)) => {
                        fill(rows, *field, values(found, |v| Some(*v)).map_err(damaged)?);
                    }
                    // A column of this name that others have made is theirs.
                    _ => {}
                }
            }
        }
        let about = reader.metadata().file_metadata().key_value_metadata().into_iter().flatten();
        let told = |key: &str| about.clone().find(|pair| pair.key == key).and_then(|pair| pair.value.clone());
        let (from, made) = (told(FROM), told(MADE));
        Ok(Self { rows, from, made })
    }

    /// Writes the table, whole or not at all.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, path: &Path) -> Result<(), CurateError> {
        let written: Result<(), std::io::Error> =
            files::fill_and_rename(path, |out: &mut BufWriter<File>| {
                self.fill(out).map_err(std::io::Error::other)?;
                out.flush()
            });
        written.map_err(CurateError::file(path))
    }

    fn fill(&self, out: &mut BufWriter<File>) -> Result<(), ParquetError> {
        // Where there are no classes there is no column that promises some.
        let labelled = self.rows.iter().any(|row| row.label.is_some());
        let fields: Vec<_> = COLUMNS.iter().filter(|(name, _)| labelled || *name != "label").collect();
        let columns: String = fields.iter().map(|(name, column)| column.kind(name)).collect();
        let schema = parse_message_type(&format!(
            "message pictures {{ REQUIRED BYTE_ARRAY key (STRING); {columns} }}"
        ))?;
        let told = [(FROM, &self.from), (MADE, &self.made)];
        let about = told.iter().filter_map(|(key, value)| {
            Some(KeyValue { key: (*key).to_owned(), value: Some((*value).clone()?) })
        });
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(about.collect()))
            .build();
        let mut writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        for rows in self.rows.chunks(GROUP) {
            let mut rows = rows.to_vec();
            let mut group = writer.next_row_group()?;
            let mut fields = fields.iter();
            if let Some(mut column) = group.next_column()? {
                if let ColumnWriter::ByteArrayColumnWriter(column) = column.untyped() {
                    let keys: Vec<ByteArray> = rows.iter().map(|row| row.key.as_str().into()).collect();
                    column.write_batch(&keys, None, None)?;
                }
                column.close()?;
            }
            while let (Some(mut column), Some((_, field))) = (group.next_column()?, fields.next()) {
                match (field, column.untyped()) {
                    (TableColumn::Text(field), ColumnWriter::ByteArrayColumnWriter(column)) => {
                        let (found, levels) = taken(&mut rows, *field);
                        let found: Vec<ByteArray> = found.iter().map(|text| text.as_str().into()).collect();
                        column.write_batch(&found, Some(&levels), None)?;
                    }
                    (TableColumn::Whole(field), ColumnWriter::Int64ColumnWriter(column)) => {
                        let (found, levels) = taken(&mut rows, *field);
                        column.write_batch(&found, Some(&levels), None)?;
                    }
                    (TableColumn::Number(field), ColumnWriter::FloatColumnWriter(column)) => {
                        let (found, levels) = taken(&mut rows, *field);
                        column.write_batch(&found, Some(&levels), None)?;
                    }
                    (TableColumn::Truth(field), ColumnWriter::BoolColumnWriter(column)) => {
                        let (found, levels) = taken(&mut rows, *field);
                        column.write_batch(&found, Some(&levels), None)?;
                    }
                    _ => {
                        return Err(ParquetError::General(
                            "a column of another kind than the schema".to_owned(),
                        ));
                    }
                }
                column.close()?;
            }
            group.close()?;
        }
        writer.close()?;
        Ok(())
    }

    /// Rows that are kept or undecided.
    pub fn kept(&self) -> usize {
        self.rows.iter().filter(|row| row.kept != Some(false)).count()
    }
}

/// What a file is known by.
pub(crate) fn file_digest(path: &Path) -> Result<String, CurateError> {
    let bytes = files::read(path).map_err(CurateError::file(path))?;
    Ok(hex(&Sha256::digest(bytes)))
}

/// The values of a column, and which rows have one.
fn taken<T>(
    rows: &mut [CuratedPicture],
    field: fn(&mut CuratedPicture) -> &mut Option<T>,
) -> (Vec<T>, Vec<i16>) {
    let all: Vec<Option<T>> = rows.iter_mut().map(|row| field(row).take()).collect();
    let levels = all.iter().map(|value| i16::from(value.is_some())).collect();
    (all.into_iter().flatten().collect(), levels)
}

fn fill<T>(
    rows: &mut [CuratedPicture],
    field: fn(&mut CuratedPicture) -> &mut Option<T>,
    found: Vec<Option<T>>,
) {
    rows.iter_mut().zip(found).for_each(|(row, value)| *field(row) = value);
}

/// A column's values in a group of rows, none where it is null.
fn values<T: DataType, V>(
    mut column: ColumnReaderImpl<T>,
    value: impl Fn(&T::T) -> Option<V>,
) -> Result<Vec<Option<V>>, ParquetError> {
    let mut all = Vec::new();
    loop {
        let (mut levels, mut found) = (Vec::new(), Vec::new());
        let (records, _, _) = column.read_records(GROUP, Some(&mut levels), None, &mut found)?;
        if records == 0 {
            return Ok(all);
        }
        let mut found = found.iter();
        // A column that is never null has no levels.
        levels.resize(records, 1);
        all.extend(levels.iter().map(|level| if *level > 0 { found.next().and_then(&value) } else { None }));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
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
        let rows =
            rows.map(|(name, kept)| CuratedPicture { key: name.to_owned(), kept, ..Default::default() });
        let path = folder.path().join("t.parquet");
        CurationTable { rows: rows.collect(), ..CurationTable::default() }.write(&path).unwrap();
        let list = dinoscope_data::source::listed::read(&path).unwrap();
        let names: Vec<&str> = list.entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(names, ["1.png", "3.png"]);
        assert!(!list.labelled, "no column for classes where there are none");
    }
}

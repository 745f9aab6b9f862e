//! The table that every step reads and writes: a row for each picture of the heap.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
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
/// The bounds that it was made with.
const SETTINGS: &str = "dinoscope.settings";

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
    /// The row of the picture that it is most similar to; of those of a test set there is none.
    pub nearest: Option<i64>,
    /// For which queries it was found, how often.
    pub queries: Option<i64>,
    /// SHA-256 of the file's bytes, in hexadecimal digits.
    pub digest: Option<String>,
    /// Length and time of the file: as long as they stay its bytes are not read again.
    pub stamp: Option<String>,
    /// [`crate::picture::perceptual_hashes`], in hexadecimal digits.
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
    /// Bounds that it was made with, by their names: `threshold`, `min_side`.
    pub settings: Vec<(String, f32)>,
}

/// A column: its name, how it is written and how it is read.
enum TableColumn {
    Text(fn(&mut CuratedPicture) -> &mut Option<String>),
    Whole(fn(&mut CuratedPicture) -> &mut Option<i64>),
    Number(fn(&mut CuratedPicture) -> &mut Option<f32>),
    Truth(fn(&mut CuratedPicture) -> &mut Option<bool>),
}

/// All columns but the key, in the file's order.
const COLUMNS: [(&str, TableColumn); 18] = [
    ("label", TableColumn::Text(|row| &mut row.label)),
    ("component", TableColumn::Whole(|row| &mut row.component)),
    ("cluster", TableColumn::Text(|row| &mut row.cluster)),
    ("similarity", TableColumn::Number(|row| &mut row.similarity)),
    ("kept", TableColumn::Truth(|row| &mut row.kept)),
    ("why", TableColumn::Text(|row| &mut row.why)),
    ("copy_of", TableColumn::Text(|row| &mut row.copy_of)),
    ("nearest", TableColumn::Whole(|row| &mut row.nearest)),
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
        let mut all = Vec::new();
        let about = Self::visit(path, &mut |_, rows| {
            all.append(rows);
            Ok(())
        })?;
        Ok(Self { rows: all, ..about })
    }

    /// Reads a table in pieces, in order: `take` is given the number of the first row and the rows of each. What comes back has
    /// no rows.
    ///
    /// # Errors
    /// As [`CurationTable::read`], and those of `take`.
    pub fn visit(path: &Path, take: RowsTaken<'_>) -> Result<Self, CurateError> {
        guarded(path, || {
            let reader = open(path)?;
            Self::visit_groups(path, &reader, take)?;
            let about = reader.metadata().file_metadata().key_value_metadata().into_iter().flatten();
            let told =
                |key: &str| about.clone().find(|pair| pair.key == key).and_then(|pair| pair.value.clone());
            let settings =
                told(SETTINGS).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            Ok(Self { rows: Vec::new(), from: told(FROM), made: told(MADE), settings })
        })
    }

    /// The digest of the table that a table was made from.
    ///
    /// # Errors
    /// As [`CurationTable::read`].
    pub fn origin(path: &Path) -> Result<Option<String>, CurateError> {
        guarded(path, || {
            let reader = open(path)?;
            let mut about = reader.metadata().file_metadata().key_value_metadata().into_iter().flatten();
            Ok(about.find(|pair| pair.key == FROM).and_then(|pair| pair.value.clone()))
        })
    }

    fn visit_groups(
        path: &Path,
        reader: &SerializedFileReader<File>,
        take: RowsTaken<'_>,
    ) -> Result<(), CurateError> {
        let damaged = |error| damaged(path, &error);
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
        let mut start = 0;
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group).map_err(damaged)?;
            let mut rows: Vec<CuratedPicture> = Vec::new();
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
            for (name, column) in &COLUMNS {
                let Some(at) = place(name) else { continue };
                match (column, group.get_column_reader(at).map_err(damaged)?) {
                    (TableColumn::Text(field), ColumnReader::ByteArrayColumnReader(found)) => {
                        let found = values(found, |v: &ByteArray| v.as_utf8().ok().map(str::to_owned));
                        fill(&mut rows, *field, found.map_err(damaged)?);
                    }
                    (TableColumn::Whole(field), ColumnReader::Int64ColumnReader(found)) => {
                        fill(&mut rows, *field, values(found, |v| Some(*v)).map_err(damaged)?);
                    }
                    (TableColumn::Number(field), ColumnReader::FloatColumnReader(found)) => {
                        fill(&mut rows, *field, values(found, |v| Some(*v)).map_err(damaged)?);
                    }
                    (TableColumn::Truth(field), ColumnReader::BoolColumnReader(found)) => {
                        fill(&mut rows, *field, values(found, |v| Some(*v)).map_err(damaged)?);
                    }
                    // A column of this name that others have made is theirs.
                    _ => {}
                }
            }
            let count = rows.len();
            take(start, &mut rows)?;
            start += count;
        }
        Ok(())
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
        let settings =
            (!self.settings.is_empty()).then(|| serde_json::to_string(&self.settings).ok()).flatten();
        let told = [(FROM, &self.from), (MADE, &self.made), (SETTINGS, &settings)];
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

/// Who takes pieces of a table: the number of the first row, and the rows.
pub type RowsTaken<'a> = &'a mut dyn FnMut(usize, &mut Vec<CuratedPicture>) -> Result<(), CurateError>;

fn damaged(path: &Path, error: &ParquetError) -> CurateError {
    CurateError::unfit(path, format!("this is no table of curation, or a damaged one: {error}"))
}

fn open(path: &Path) -> Result<SerializedFileReader<File>, CurateError> {
    let file = File::open(path).map_err(CurateError::file(path))?;
    SerializedFileReader::new(file).map_err(|error| damaged(path, &error))
}

/// A fault of the reader is one of the file.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, CurateError>) -> Result<T, CurateError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(CurateError::unfit(path, "the file is damaged: its parts do not fit together"))
    })
}

/// What a file is known by.
pub(crate) fn file_digest(path: &Path) -> Result<String, CurateError> {
    let failed = || CurateError::file(path);
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(failed())?;
    let mut bytes = vec![0; 1 << 16];
    loop {
        match file.read(&mut bytes).map_err(failed())? {
            0 => break,
            count => hash.update(&bytes[..count]),
        }
    }
    Ok(hex(&hash.finalize()))
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
#[path = "table_tests.rs"]
mod tests;

//! Tables as Parquet files.

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

use super::{CuratedPicture, CurationTable, RowsTaken};
use crate::CurateError;

/// Rows that are written and read at once.
pub(super) const GROUP: usize = 1 << 16;
/// What a table was made from, in the file's metadata.
const FROM: &str = "dinoscope.from";
/// How it was made, in a sentence.
const MADE: &str = "dinoscope.made";
/// The bounds that it was made with.
const SETTINGS: &str = "dinoscope.settings";

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
}

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

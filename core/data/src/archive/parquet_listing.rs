//! Pictures in the rows of a Parquet file, as Hugging Face's `datasets` keeps them: a column of structs with `bytes` and
//! `path`, or of bytes alone, and one of labels whose names stand in the file's metadata.
//!
//! A row is read by itself, with the page that it lies in: where the groups of rows are and how many each holds is in the
//! file's footer.

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parquet::basic::{LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArrayType, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

use super::listing::ArchiveListing;
use super::member::ArchiveMember;
use crate::DataError;
use dinoscope_base::files;

/// Columns that hold classes by their name, where the file does not say which does.
const LABELS: [&str; 4] = ["label", "labels", "class", "category"];
/// Rows that are read at once of a column of names or labels.
const AT_ONCE: usize = 4096;

/// A file that is opened anew for each part that is read: handles that share a place in it would get in each other's way
/// where several threads read.
pub(super) struct PlacedFile {
    path: PathBuf,
    length: u64,
}

impl Length for PlacedFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for PlacedFile {
    type T = BufReader<files::File>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let mut file = files::File::open(&self.path)?;
        file.seek(SeekFrom::Start(start))?;
        Ok(BufReader::new(file))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if start.saturating_add(length as u64) > self.length {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are not there")));
        }
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// A Parquet file that is open.
pub(super) type ParquetTableReader = SerializedFileReader<PlacedFile>;

/// The column of pictures of a file that is open.
pub struct ParquetPictures {
    reader: ParquetTableReader,
    column: usize,
}

impl std::fmt::Debug for ParquetPictures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetPictures").field("column", &self.column).finish_non_exhaustive()
    }
}

impl ParquetPictures {
    /// The bytes of a row's picture.
    ///
    /// # Errors
    /// Why it can't be read.
    pub fn read(&self, row: usize) -> Result<Vec<u8>, String> {
        caught(|| {
            let mut at = row;
            for group in 0..self.reader.num_row_groups() {
                let group = self.reader.get_row_group(group)?;
                let rows = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
                if at >= rows {
                    at -= rows;
                    continue;
                }
                let ColumnReader::ByteArrayColumnReader(mut column) = group.get_column_reader(self.column)?
                else {
                    break;
                };
                column.skip_records(at)?;
                let mut found = Vec::new();
                column.read_records(1, Some(&mut Vec::new()), Some(&mut Vec::new()), &mut found)?;
                return Ok(found.pop().map(|bytes| bytes.data().to_vec()));
            }
            Ok(None)
        })?
        .ok_or_else(|| format!("row {row} holds no picture"))
    }
}

/// What `work` gives; a fault of the reader becomes an error, as it is one of the file.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| format!("the file is damaged: {error}")),
        Err(_) => Err("the file is damaged: its parts do not fit together".to_owned()),
    }
}

/// Opens a Parquet file.
///
/// # Errors
/// When it can't be read, or is none.
pub(super) fn open(path: &Path) -> Result<ParquetTableReader, DataError> {
    let name = || path.display().to_string();
    let about = files::metadata(path).map_err(|source| DataError::Read { path: name(), source })?;
    let file = PlacedFile { path: path.to_owned(), length: about.len() };
    caught(|| SerializedFileReader::new(file)).map_err(|reason| DataError::Source { path: name(), reason })
}

/// Lists the pictures of a Parquet file.
///
/// # Errors
/// When the file can't be read, is none, or has no column of pictures.
pub fn list(path: &Path) -> Result<ArchiveListing, DataError> {
    let wrong = |reason: String| DataError::Source { path: path.display().to_string(), reason };
    let reader = open(path)?;
    let features = features(&reader);
    let columns = reader.metadata().file_metadata().schema_descr().columns().to_vec();
    let Some(pictures) = picture_column(&columns, &features) else {
        let names: Vec<String> = columns.iter().map(|column| column.path().string()).collect();
        return Err(wrong(format!(
            "none of its columns holds pictures ({}): one of bytes is looked for, or of structs with `bytes` in them, as \
             Hugging Face's datasets have it; or, for a list of pictures, one of text called `key` or `path` with their paths",
            names.join(", ")
        )));
    };
    let bytes = columns[pictures].path().string();
    let place = |name: &str| columns.iter().position(|column| column.path().string() == name);
    let names = bytes.strip_suffix(".bytes").and_then(|column| place(&format!("{column}.path")));
    let label = features
        .iter()
        .find(|(_, about)| about["_type"] == "ClassLabel")
        .and_then(|(name, _)| place(name))
        .or_else(|| LABELS.iter().find_map(|name| place(name)));

    let rows = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or_default();
    let texts = |column: Option<usize>| match column {
        Some(column) => caught(|| texts(&reader, column)).map_err(wrong),
        None => Ok(Vec::new()),
    };
    let (names, labels) = (texts(names)?, texts(label)?);
    let classes =
        label.map(|label| class_names(&features, &columns[label].path().string())).unwrap_or_default();

    let mut listing = ArchiveListing::default();
    let mut uses: HashMap<&str, usize> = HashMap::new();
    names.iter().flatten().for_each(|name| *uses.entry(name.as_str()).or_default() += 1);
    let digits = rows.to_string().len().max(6);
    for row in 0..rows {
        let given = names.get(row).and_then(Option::as_deref).filter(|name| uses.get(name) == Some(&1));
        // Rows without a name, or with one that others have too, are called by their number.
        let name = match given.map(|name| name.trim_start_matches('/')) {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => format!("{row:0digits$}"),
        };
        if let Some(class) = labels.get(row).and_then(Option::as_ref) {
            let named = class.parse::<usize>().ok().and_then(|class| classes.get(class));
            listing.tell_class(&name, named.unwrap_or(class));
        }
        listing.add(ArchiveMember::row(name, row));
    }
    listing.in_order = classes;
    listing.table = Some(ParquetPictures { reader, column: pictures });
    Ok(listing)
}

/// What Hugging Face's `datasets` says of the columns.
pub(super) fn features(reader: &ParquetTableReader) -> Vec<(String, Value)> {
    let about = reader.metadata().file_metadata().key_value_metadata().into_iter().flatten();
    let text = about.filter(|pair| pair.key == "huggingface").find_map(|pair| pair.value.clone());
    let value: Value = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let features = value["info"]["features"].as_object().cloned().unwrap_or_default();
    features.into_iter().collect()
}

pub(super) fn class_names(features: &[(String, Value)], column: &str) -> Vec<String> {
    let of_column = features.iter().find(|(name, _)| name == column).map(|(_, about)| &about["names"]);
    let names = of_column.and_then(Value::as_array).into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// The column with the bytes of pictures.
pub(super) fn picture_column(
    columns: &[parquet::schema::types::ColumnDescPtr],
    features: &[(String, Value)],
) -> Option<usize> {
    let is_bytes = |column: &ColumnDescriptor| {
        let text = matches!(column.logical_type_ref(), Some(LogicalType::String | LogicalType::Json));
        column.physical_type() == Type::BYTE_ARRAY && column.max_rep_level() == 0 && !text
    };
    let named =
        |name: &str| columns.iter().position(|column| is_bytes(column) && column.path().string() == name);
    let told = features.iter().filter(|(_, about)| about["_type"] == "Image");
    told.filter_map(|(name, _)| named(&format!("{name}.bytes")).or_else(|| named(name)))
        .next()
        .or_else(|| {
            columns.iter().position(|column| is_bytes(column) && column.path().string().ends_with(".bytes"))
        })
        .or_else(|| columns.iter().position(|column| is_bytes(column)))
}

/// A column as text, a value for each row; none where it is null or of another kind.
pub(super) fn texts(reader: &ParquetTableReader, column: usize) -> Result<Vec<Option<String>>, ParquetError> {
    let mut all = Vec::new();
    for group in 0..reader.num_row_groups() {
        match reader.get_row_group(group)?.get_column_reader(column)? {
            ColumnReader::Int64ColumnReader(column) => {
                all.extend(values(column, |value| Some(value.to_string()))?)
            }
            ColumnReader::Int32ColumnReader(column) => {
                all.extend(values(column, |value| Some(value.to_string()))?)
            }
            ColumnReader::BoolColumnReader(column) => {
                all.extend(values(column, |value| Some(value.to_string()))?)
            }
            ColumnReader::ByteArrayColumnReader(column) => {
                all.extend(values::<ByteArrayType>(column, |value| value.as_utf8().ok().map(str::to_owned))?);
            }
            _ => return Ok(Vec::new()),
        }
    }
    Ok(all)
}

fn values<T: DataType>(
    mut column: ColumnReaderImpl<T>,
    text: impl Fn(&T::T) -> Option<String>,
) -> Result<Vec<Option<String>>, ParquetError> {
    let mut all = Vec::new();
    loop {
        let (mut levels, mut found) = (Vec::new(), Vec::new());
        let (records, _, read) =
            column.read_records(AT_ONCE, Some(&mut levels), Some(&mut Vec::new()), &mut found)?;
        if records == 0 {
            return Ok(all);
        }
        if levels.is_empty() {
            // A column that is never null has no levels.
            all.extend(found.iter().map(&text));
            continue;
        }
        // Nulls stand among the levels, and not among the values; the highest level is that of a value.
        let most = levels.iter().copied().max().unwrap_or_default();
        let mut found = found.iter();
        let present = |level: i16| level == most && read > 0;
        all.extend(
            levels.iter().map(|level| present(*level).then(|| found.next().and_then(&text)).flatten()),
        );
    }
}

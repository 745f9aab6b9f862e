//! A table of pictures and their features as Parquet, for pandas, Polars, DuckDB and Spark.
//!
//! Source: the Parquet format's parquet.thrift and Encodings.md; Thrift's compact protocol. What is written is the
//! simplest there is: plain values, not compressed, one page a column in each group of rows.

use std::io::{self, Write};

const MAGIC: &[u8; 4] = b"PAR1";
/// Numbers in a group of rows: about 16 MiB.
const GROUP: usize = 1 << 22;

/// Parquet's numbers for physical types, repetition and encodings.
const FLOAT: i64 = 4;
const BYTE_ARRAY: i64 = 6;
const REQUIRED: i64 = 0;
const REPEATED: i64 = 2;
const UTF8: i64 = 0;
const LIST: i64 = 3;
const PLAIN: i64 = 0;
const RLE: i64 = 3;

/// Writes a table with a text column and columns of lists of numbers, all of one length in each column.
pub struct ParquetWriter<W> {
    out: W,
    /// Bytes written.
    at: u64,
    text: &'static str,
    lists: Vec<(&'static str, usize)>,
    /// The group of rows that is being gathered.
    names: Vec<u8>,
    numbers: Vec<Vec<u8>>,
    rows: usize,
    groups: Vec<ParquetRowGroup>,
}

/// Where a group of rows was written.
struct ParquetRowGroup {
    rows: usize,
    /// Offset, length and number of values of each column.
    columns: Vec<(u64, u64, usize)>,
}

impl<W: Write> ParquetWriter<W> {
    /// A table whose first column is `text`, and whose others are lists with a name and a length above 0.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn new(mut out: W, text: &'static str, lists: Vec<(&'static str, usize)>) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        let numbers = vec![Vec::new(); lists.len()];
        Ok(Self { out, at: 4, text, lists, names: Vec::new(), numbers, rows: 0, groups: Vec::new() })
    }

    /// Adds a row; `lists` are as many and as long as the columns.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn row(&mut self, text: &str, lists: &[&[f32]]) -> io::Result<()> {
        let fits =
            lists.len() == self.lists.len() && lists.iter().zip(&self.lists).all(|(l, (_, n))| l.len() == *n);
        if !fits {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a row of another shape than the table"));
        }
        self.names.extend((text.len() as u32).to_le_bytes());
        self.names.extend(text.as_bytes());
        for (column, list) in self.numbers.iter_mut().zip(lists) {
            column.extend(list.iter().flat_map(|v| v.to_le_bytes()));
        }
        self.rows += 1;
        let numbers: usize = self.lists.iter().map(|(_, length)| length).sum();
        if self.rows * numbers >= GROUP { self.write_group() } else { Ok(()) }
    }

    /// Writes what is left, and where everything stands.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn finish(mut self) -> io::Result<W> {
        if self.rows > 0 {
            self.write_group()?;
        }
        let footer = self.footer();
        self.out.write_all(&footer)?;
        self.out.write_all(&(footer.len() as u32).to_le_bytes())?;
        self.out.write_all(MAGIC)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn write_group(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let names = std::mem::take(&mut self.names);
        let mut columns = vec![self.write_page(&names, rows)?];
        for column in 0..self.lists.len() {
            let length = self.lists[column].1;
            let mut page = levels(&[(0, 1), (1, length - 1)], rows);
            page.extend(levels(&[(1, length)], rows));
            page.append(&mut self.numbers[column]);
            columns.push(self.write_page(&page, rows * length)?);
        }
        self.groups.push(ParquetRowGroup { rows, columns });
        Ok(())
    }

    /// One page, which is all of a column in a group.
    fn write_page(&mut self, page: &[u8], values: usize) -> io::Result<(u64, u64, usize)> {
        let mut header = ThriftStructWriter::default();
        header.int(1, 0); // A data page.
        header.int(2, page.len() as i64);
        header.int(3, page.len() as i64);
        header.structure(5, |data| {
            data.int(1, values as i64);
            data.int(2, PLAIN);
            data.int(3, RLE);
            data.int(4, RLE);
        });
        let header = header.end();
        self.out.write_all(&header)?;
        self.out.write_all(page)?;
        let (start, length) = (self.at, (header.len() + page.len()) as u64);
        self.at += length;
        Ok((start, length, values))
    }

    fn footer(&self) -> Vec<u8> {
        let rows: usize = self.groups.iter().map(|group| group.rows).sum();
        let mut file = ThriftStructWriter::default();
        file.int(1, 1); // The format's version.
        file.list(2, 2 + 3 * self.lists.len(), |list| {
            let columns = 1 + self.lists.len() as i64;
            list.element(|root| {
                root.text(4, "schema");
                root.int(5, columns);
            });
            list.element(|text| {
                text.int(1, BYTE_ARRAY);
                text.int(3, REQUIRED);
                text.text(4, self.text);
                text.int(6, UTF8);
            });
            for (name, _) in &self.lists {
                list.element(|outer| {
                    outer.int(3, REQUIRED);
                    outer.text(4, name);
                    outer.int(5, 1);
                    outer.int(6, LIST);
                });
                list.element(|middle| {
                    middle.int(3, REPEATED);
                    middle.text(4, "list");
                    middle.int(5, 1);
                });
                list.element(|inner| {
                    inner.int(1, FLOAT);
                    inner.int(3, REQUIRED);
                    inner.text(4, "element");
                });
            }
        });
        file.long(3, rows as i64);
        file.list(4, self.groups.len(), |list| {
            for group in &self.groups {
                list.element(|element| self.describe(group, element));
            }
        });
        file.text(6, "dinoscope");
        file.end()
    }

    fn describe(&self, group: &ParquetRowGroup, out: &mut ThriftStructWriter) {
        out.list(1, group.columns.len(), |list| {
            for (column, (offset, length, values)) in group.columns.iter().enumerate() {
                list.element(|chunk| {
                    chunk.long(2, *offset as i64);
                    chunk.structure(3, |about| {
                        let name = column.checked_sub(1).map(|list| self.lists[list].0);
                        about.int(1, if name.is_some() { FLOAT } else { BYTE_ARRAY });
                        about.ints(2, &[PLAIN, RLE]);
                        match name {
                            Some(name) => about.texts(3, &[name, "list", "element"]),
                            None => about.texts(3, &[self.text]),
                        }
                        about.int(4, 0); // Not compressed.
                        about.long(5, *values as i64);
                        about.long(6, *length as i64);
                        about.long(7, *length as i64);
                        about.long(9, *offset as i64);
                    });
                });
            }
        });
        out.long(2, group.columns.iter().map(|(_, length, _)| *length as i64).sum());
        out.long(3, group.rows as i64);
    }
}

/// Levels of one bit as runs, `times` over, with their length before them.
fn levels(runs: &[(u8, usize)], times: usize) -> Vec<u8> {
    let mut one = Vec::new();
    for (level, count) in runs.iter().filter(|(_, count)| *count > 0) {
        varint(&mut one, (*count as u64) << 1);
        one.push(*level);
    }
    let all = one.repeat(times);
    [(all.len() as u32).to_le_bytes().as_slice(), &all].concat()
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A structure in Thrift's compact protocol: fields by ascending number.
#[derive(Default)]
struct ThriftStructWriter {
    out: Vec<u8>,
    last: i64,
}

/// The protocol's numbers for types.
const I32: u8 = 5;
const I64: u8 = 6;
const TEXT: u8 = 8;
const SEQUENCE: u8 = 9;
const STRUCTURE: u8 = 12;

impl ThriftStructWriter {
    fn field(&mut self, number: i64, kind: u8) {
        // Numbers here are never more than 15 apart.
        self.out.push(((number - self.last) as u8) << 4 | kind);
        self.last = number;
    }

    fn number(&mut self, value: i64) {
        varint(&mut self.out, ((value << 1) ^ (value >> 63)) as u64);
    }

    fn bytes(&mut self, text: &str) {
        varint(&mut self.out, text.len() as u64);
        self.out.extend(text.as_bytes());
    }

    fn int(&mut self, number: i64, value: i64) {
        self.field(number, I32);
        self.number(value);
    }

    fn long(&mut self, number: i64, value: i64) {
        self.field(number, I64);
        self.number(value);
    }

    fn text(&mut self, number: i64, text: &str) {
        self.field(number, TEXT);
        self.bytes(text);
    }

    fn structure(&mut self, number: i64, fill: impl FnOnce(&mut ThriftStructWriter)) {
        self.field(number, STRUCTURE);
        self.element(fill);
    }

    /// A structure without a number: an element of a list.
    fn element(&mut self, fill: impl FnOnce(&mut ThriftStructWriter)) {
        let mut inner = ThriftStructWriter::default();
        fill(&mut inner);
        self.out.extend(inner.end());
    }

    fn start(&mut self, number: i64, length: usize, kind: u8) {
        self.field(number, SEQUENCE);
        if length < 15 {
            self.out.push((length as u8) << 4 | kind);
        } else {
            self.out.push(0xf0 | kind);
            varint(&mut self.out, length as u64);
        }
    }

    fn list(&mut self, number: i64, length: usize, fill: impl FnOnce(&mut ThriftStructWriter)) {
        self.start(number, length, STRUCTURE);
        fill(self);
    }

    fn ints(&mut self, number: i64, values: &[i64]) {
        self.start(number, values.len(), I32);
        values.iter().for_each(|value| self.number(*value));
    }

    fn texts(&mut self, number: i64, texts: &[&str]) {
        self.start(number, texts.len(), TEXT);
        texts.iter().for_each(|text| self.bytes(text));
    }

    fn end(mut self) -> Vec<u8> {
        self.out.push(0);
        self.out
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn table(rows: usize, length: usize) -> Vec<u8> {
        let mut table =
            ParquetWriter::new(Vec::new(), "image", vec![("cls", length), ("patch_mean", length)]).unwrap();
        for row in 0..rows {
            let cls: Vec<f32> = (0..length).map(|i| (row * length + i) as f32).collect();
            let mean: Vec<f32> = cls.iter().map(|v| -v).collect();
            table.row(&format!("katze-{row}.jpg"), &[&cls, &mean]).unwrap();
        }
        table.finish().unwrap()
    }

    #[test]
    fn numbers_of_the_protocol_by_hand() {
        let mut thrift = ThriftStructWriter::default();
        thrift.int(1, 1);
        thrift.long(3, -2);
        thrift.text(4, "ab");
        thrift.ints(6, &[0, 3]);
        thrift.structure(7, |inner| inner.int(2, 300));
        let wanted = [0x15, 2, 0x26, 3, 0x18, 2, b'a', b'b', 0x29, 0x25, 0, 6, 0x1c, 0x25, 0xd8, 4, 0, 0];
        assert_eq!(thrift.end(), wanted);
        assert_eq!(levels(&[(0, 1), (1, 200)], 1), [5, 0, 0, 0, 2, 0, 0x90, 3, 1]);
        assert_eq!(levels(&[(0, 1), (1, 0)], 2), [4, 0, 0, 0, 2, 0, 2, 0]);
    }

    #[test]
    fn values_stand_where_the_footer_says() {
        let bytes = table(3, 2);
        assert!(bytes.starts_with(MAGIC) && bytes.ends_with(MAGIC));
        let end = bytes.len() - 8;
        let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
        let footer = &bytes[end - length..end];
        // Version 1, then eight elements of a schema, the first of which has three children.
        assert_eq!(footer[..4], [0x15, 2, 0x19, 0x8c]);
        assert!(footer.windows(6).any(|w| w == b"schema") && footer.windows(10).any(|w| w == b"patch_mean"));
        let plain: Vec<u8> = (0..6).flat_map(|v| (v as f32).to_le_bytes()).collect();
        let runs = [12, 0, 0, 0, 2, 0, 2, 1, 2, 0, 2, 1, 2, 0, 2, 1, 6, 0, 0, 0, 4, 1, 4, 1, 4, 1];
        let page = [runs.as_slice(), &plain].concat();
        assert_eq!(bytes.windows(page.len()).filter(|w| *w == page).count(), 1);
    }

    #[test]
    fn rows_of_another_shape_are_refused_and_none_are_a_table() {
        let mut table = ParquetWriter::new(Vec::new(), "image", vec![("cls", 2)]).unwrap();
        assert!(table.row("a", &[&[1.0]]).is_err() && table.row("a", &[]).is_err());
        assert!(table.finish().unwrap().ends_with(MAGIC));
    }

    /// Read and compared by pyarrow when this was written: files whose bytes are these hold what was put in.
    #[test]
    fn the_file_is_the_one_that_others_have_read() {
        use sha2::{Digest, Sha256};
        let known: String = Sha256::digest(table(5, 3)).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(known, "08ff0626a247371c39c9079386a1cb4e0f530a8b5c3e6c5b5de95becc740fb1f");
    }
}

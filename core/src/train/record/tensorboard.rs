//! Event files that TensorBoard reads: scalars and pictures, without TensorFlow.
//!
//! Sources: TFRecord framing (tensorflow/core/lib/io/record_writer.h: length, masked CRC-32C of it,
//! data, masked CRC-32C of them) around protocol buffers (event.proto, summary.proto), of which the
//! handful of fields that are needed are written by hand.

use crate::files::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Why an event file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write TensorBoard events to {path}: {source}")]
pub struct TensorboardError {
    path: String,
    source: std::io::Error,
}

/// Appends events to a file of its own; TensorBoard merges all event files of a folder, so a
/// resumed run opens another one.
#[derive(Debug)]
pub struct TensorboardWriter<W: Write = BufWriter<File>> {
    out: W,
    path: String,
}

impl TensorboardWriter {
    /// Starts `events.out.tfevents.…` in `folder`, which is made if missing.
    ///
    /// `wall_time` is seconds since 1970; it also keeps apart the files of a run that was resumed.
    pub fn create(folder: &Path, wall_time: f64) -> Result<Self, TensorboardError> {
        // Ten digits, so that files sort by time; the fraction and process tell quick restarts apart.
        let seconds = wall_time.max(0.0);
        let nanos = (seconds.fract() * 1e9) as u32;
        let name = format!(
            "events.out.tfevents.{:010}.dinoscope.{}.{nanos}",
            seconds as u64,
            crate::files::process()
        );
        let path = folder.join(name);
        let failed = |source| TensorboardError { path: path.display().to_string(), source };
        crate::files::create_dir_all(folder).map_err(failed)?;
        let file = File::create(&path).map_err(failed)?;
        Self::new(BufWriter::new(file), path.display().to_string(), wall_time)
    }
}

impl<W: Write> TensorboardWriter<W> {
    /// Writes events to anything; `path` is what errors call it.
    pub fn new(out: W, path: String, wall_time: f64) -> Result<Self, TensorboardError> {
        let mut writer = Self { out, path };
        let mut event = TensorboardMessage::default();
        event.double(1, wall_time);
        event.bytes(3, b"brain.Event:2");
        writer.record(&event.0)?;
        Ok(writer)
    }

    /// Numbers of one step. A tag like `loss/dino` puts `dino` into the section `loss`. NaN is written as NaN.
    pub fn scalars<'a>(
        &mut self,
        step: u64,
        wall_time: f64,
        values: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<(), TensorboardError> {
        let mut summary = TensorboardMessage::default();
        for (tag, number) in values {
            let mut value = TensorboardMessage::default();
            value.bytes(1, tag.as_bytes());
            value.float(2, number as f32);
            summary.bytes(1, &value.0);
        }
        self.event(step, wall_time, &summary)
    }

    /// An RGB picture, given as the bytes of a PNG file and its size in pixels.
    pub fn image(
        &mut self,
        step: u64,
        wall_time: f64,
        tag: &str,
        (width, height): (usize, usize),
        png: &[u8],
    ) -> Result<(), TensorboardError> {
        let mut image = TensorboardMessage::default();
        image.varint_field(1, height as u64);
        image.varint_field(2, width as u64);
        image.varint_field(3, 3);
        image.bytes(4, png);
        let mut value = TensorboardMessage::default();
        value.bytes(1, tag.as_bytes());
        value.bytes(4, &image.0);
        let mut summary = TensorboardMessage::default();
        summary.bytes(1, &value.0);
        self.event(step, wall_time, &summary)
    }

    /// Hands what is buffered to the system, so that a TensorBoard that is watching sees it.
    pub fn flush(&mut self) -> Result<(), TensorboardError> {
        self.out.flush().map_err(|source| TensorboardError { path: self.path.clone(), source })
    }

    fn event(
        &mut self,
        step: u64,
        wall_time: f64,
        summary: &TensorboardMessage,
    ) -> Result<(), TensorboardError> {
        let mut event = TensorboardMessage::default();
        event.double(1, wall_time);
        event.varint_field(2, step);
        event.bytes(5, &summary.0);
        self.record(&event.0)
    }

    fn record(&mut self, data: &[u8]) -> Result<(), TensorboardError> {
        let length = (data.len() as u64).to_le_bytes();
        let mut framed = Vec::with_capacity(data.len() + 16);
        framed.extend(length);
        framed.extend(masked_crc(&length).to_le_bytes());
        framed.extend(data);
        framed.extend(masked_crc(data).to_le_bytes());
        // In one piece: a process that is killed leaves at most one torn record, at the end.
        self.out.write_all(&framed).map_err(|source| TensorboardError { path: self.path.clone(), source })
    }
}

/// A protocol buffer message under construction.
#[derive(Default)]
struct TensorboardMessage(Vec<u8>);

impl TensorboardMessage {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn varint_field(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }
}

/// CRC-32C (Castagnoli), rotated and offset as TFRecord wants it.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = i as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    !data.iter().fold(!0, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_known_data() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    /// Fields of a message: number, wire type, and the value or the bytes.
    fn fields(mut data: &[u8]) -> Vec<(u64, u64, Vec<u8>)> {
        fn varint(data: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let byte = data[0];
                *data = &data[1..];
                value |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            value
        }
        let mut out = Vec::new();
        while !data.is_empty() {
            let key = varint(&mut data);
            let length = match key & 7 {
                0 => {
                    let value = varint(&mut data);
                    out.push((key >> 3, 0, value.to_le_bytes().to_vec()));
                    continue;
                }
                1 => 8,
                5 => 4,
                _ => varint(&mut data) as usize,
            };
            out.push((key >> 3, key & 7, data[..length].to_vec()));
            data = &data[length..];
        }
        out
    }

    #[test]
    fn records_hold_what_was_written() {
        let mut bytes = Vec::new();
        let mut writer = TensorboardWriter::new(&mut bytes, "memory".into(), 12.5).unwrap();
        writer.scalars(300, 13.0, [("loss/dino", 1.5), ("loss/ibot", f64::NAN)]).unwrap();
        writer.image(301, 14.0, "pca", (640, 2), b"png").unwrap();
        let mut events = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked_crc(&rest[..8]).to_le_bytes());
            let data = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], masked_crc(data).to_le_bytes());
            events.push(fields(data));
            rest = &rest[16 + length..];
        }
        assert_eq!(events[0][1], (3, 2, b"brain.Event:2".to_vec()));
        assert_eq!(events[1][0], (1, 1, 13f64.to_le_bytes().to_vec()));
        assert_eq!(events[1][1], (2, 0, 300u64.to_le_bytes().to_vec()));
        let values = fields(&events[1][2].2);
        let first = fields(&values[0].2);
        assert_eq!(first, [(1, 2, b"loss/dino".to_vec()), (2, 5, 1.5f32.to_le_bytes().to_vec())]);
        assert_eq!(values.len(), 2);
        let image = fields(&fields(&fields(&events[2][2].2)[0].2)[1].2);
        assert_eq!(image[1], (2, 0, 640u64.to_le_bytes().to_vec()));
        assert_eq!(image[3], (4, 2, b"png".to_vec()));
    }

    #[test]
    fn makes_its_folder_and_says_what_it_could_not_write() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/tensorboard");
        let mut writer = TensorboardWriter::create(&deep, 1_700_000_000.25).unwrap();
        writer.scalars(1, 0.0, [("x", 1.0)]).unwrap();
        writer.flush().unwrap();
        let names: Vec<_> = crate::files::read_dir(&deep).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(
            names[0].to_str().unwrap().starts_with("events.out.tfevents.1700000000.dinoscope."),
            "{names:?}"
        );
        let blocked = folder.path().join("file");
        crate::files::write(&blocked, "").unwrap();
        let error = TensorboardWriter::create(&blocked, 0.0).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}

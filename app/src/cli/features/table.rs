//! One table of all pictures: names, CLS tokens and mean patches.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dinoscope_core::analysis::{npy, parquet, write_atomic};
use dinoscope_core::files;

/// Kinds of tables, told from the file's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FeatureTableFormat {
    Parquet,
    Npy,
    Csv,
}

/// A file that a table goes to.
#[derive(Clone, Debug)]
pub struct FeatureTableFile {
    path: PathBuf,
    kind: FeatureTableFormat,
}

impl std::str::FromStr for FeatureTableFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let kind = match extension.as_deref() {
            Some("parquet") => FeatureTableFormat::Parquet,
            Some("npy") => FeatureTableFormat::Npy,
            Some("csv") => FeatureTableFormat::Csv,
            _ => return Err("expected a file ending in .parquet, .npy or .csv".to_owned()),
        };
        Ok(Self { path, kind })
    }
}

impl FeatureTableFile {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What lies beside it until it is whole.
    pub fn beside(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".part");
        name.into()
    }

    /// Writes the table, whole or not at all: a name and `2 * dim` numbers for each of `names`, which `row` gives.
    pub fn write(
        &self,
        names: &[String],
        dim: usize,
        mut row: impl FnMut(usize) -> Result<Vec<f32>>,
    ) -> Result<()> {
        let written = files::fill_and_rename(&self.path, |out| {
            self.fill(out, names, dim, &mut row)?;
            if self.kind == FeatureTableFormat::Npy {
                write_atomic(&self.path.with_extension("names.json"), &serde_json::to_vec(names)?)?;
            }
            anyhow::Ok(())
        });
        written.with_context(|| format!("can't write {}", self.path.display()))
    }

    fn fill(
        &self,
        out: &mut BufWriter<File>,
        names: &[String],
        dim: usize,
        row: &mut impl FnMut(usize) -> Result<Vec<f32>>,
    ) -> Result<()> {
        match self.kind {
            FeatureTableFormat::Parquet => {
                let mut table =
                    parquet::ParquetWriter::new(out, "image", vec![("cls", dim), ("patch_mean", dim)])?;
                for (i, name) in names.iter().enumerate() {
                    let row = row(i)?;
                    let (cls, mean) = row.split_at_checked(dim).context("a row is too short")?;
                    table.row(name, &[cls, mean])?;
                }
                table.finish()?;
            }
            FeatureTableFormat::Npy => {
                out.write_all(&npy::header(&[names.len(), 2 * dim])?)?;
                for i in 0..names.len() {
                    for value in row(i)? {
                        out.write_all(&value.to_le_bytes())?;
                    }
                }
            }
            FeatureTableFormat::Csv => {
                write!(out, "image")?;
                for part in ["cls", "patch"] {
                    for i in 0..dim {
                        write!(out, ",{part}_{i}")?;
                    }
                }
                writeln!(out)?;
                for (i, name) in names.iter().enumerate() {
                    write!(out, "{}", quoted(name))?;
                    for value in row(i)? {
                        write!(out, ",{value}")?;
                    }
                    writeln!(out)?;
                }
            }
        }
        Ok(())
    }
}

/// A field of a CSV file: in quotes where it has to be (RFC 4180).
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_of_the_kind_that_their_name_says() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a.jpg".to_owned(), "b, \"c\".jpg".to_owned()];
        let rows = [vec![0.1, 2.0, -3.0, 4.5], vec![5.0, 6.0, 7.0, 1e-9]];
        let write = |name: &str| {
            let target: FeatureTableFile = folder.path().join(name).to_str().unwrap().parse().unwrap();
            target.write(&names, 2, |i| Ok(rows[i].clone())).unwrap();
            std::fs::read(target.path()).unwrap()
        };
        let csv =
            "image,cls_0,cls_1,patch_0,patch_1\na.jpg,0.1,2,-3,4.5\n\"b, \"\"c\"\".jpg\",5,6,7,0.000000001\n";
        assert_eq!(String::from_utf8(write("t.csv")).unwrap(), csv);
        assert_eq!(write("t.NPY"), npy::encode(&[2, 4], &rows.concat()).unwrap());
        let beside: Vec<String> =
            serde_json::from_slice(&std::fs::read(folder.path().join("t.names.json")).unwrap()).unwrap();
        assert_eq!(beside, names);
        assert!(write("t.parquet").starts_with(b"PAR1"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4, "nothing beside them");
        for name in ["t", "t.xlsx", "parquet"] {
            assert!(name.parse::<FeatureTableFile>().unwrap_err().contains(".parquet"), "{name}");
        }
    }

    #[test]
    fn half_a_table_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let target: FeatureTableFile = folder.path().join("t.csv").to_str().unwrap().parse().unwrap();
        let names = ["a".to_owned()];
        assert!(target.write(&names, 1, |_| anyhow::bail!("gone")).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

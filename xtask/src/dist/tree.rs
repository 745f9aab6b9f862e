//! What is packed: files by their path, in the order of their names, with one time for all of them, so that the same
//! sources make the same archives.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use flate2::{Compression, GzBuilder};

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedFile {
    /// What is in it.
    pub content: Vec<u8>,
    /// Whether it is a program.
    pub runs: bool,
}

/// Files by their path, with `/`.
#[derive(Clone, Debug, Default)]
pub struct PackedTree(BTreeMap<String, PackedFile>);

impl PackedTree {
    /// Adds a file that is read.
    pub fn add(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), PackedFile { content: content.into(), runs: false });
    }

    /// Adds a file that is run.
    pub fn add_program(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), PackedFile { content: content.into(), runs: true });
    }

    /// Adds a file of the disk.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn add_from(&mut self, path: impl Into<String>, file: &Path) -> Result<()> {
        self.add(path, fs::read(file).with_context(|| format!("reading {}", file.display()))?);
        Ok(())
    }

    /// Adds all files below a folder.
    ///
    /// # Errors
    /// When one can't be read.
    pub fn add_folder(&mut self, at: &str, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
            let entry = entry?;
            let path = format!("{at}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                self.add_folder(&format!("{path}/"), &entry.path())?;
            } else {
                self.add_from(path, &entry.path())?;
            }
        }
        Ok(())
    }

    /// The paths, in order.
    #[cfg(test)]
    pub fn paths(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.0.values().map(|file| file.content.len() as u64).sum()
    }

    /// An archive in the format of POSIX (ustar), `at` before each path; `time` is in seconds since 1970.
    ///
    /// # Errors
    /// When a path is too long for the format.
    pub fn tar(&self, at: &str, time: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut folders = std::collections::BTreeSet::new();
        for (path, file) in &self.0 {
            let path = format!("{at}{path}");
            for (end, _) in path.match_indices('/') {
                let folder = &path[..=end];
                if folder != "./" && folders.insert(folder.to_owned()) {
                    out.extend(header(folder, 0, 0o755, b'5', time)?);
                }
            }
            let mode = if file.runs { 0o755 } else { 0o644 };
            out.extend(header(&path, file.content.len(), mode, b'0', time)?);
            out.extend(&file.content);
            out.resize(out.len().next_multiple_of(512), 0);
        }
        out.resize(out.len() + 1024, 0);
        Ok(out)
    }

    /// A zip archive, `at` before each path. Times are left out.
    ///
    /// # Errors
    /// When the archive can't be written.
    pub fn zip(&self, at: &str) -> Result<Vec<u8>> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (path, file) in &self.0 {
            let options = zip::write::SimpleFileOptions::default()
                .compression_level(Some(9))
                .last_modified_time(zip::DateTime::default())
                .unix_permissions(if file.runs { 0o755 } else { 0o644 });
            zip.start_file(format!("{at}{path}"), options)?;
            zip.write_all(&file.content)?;
        }
        Ok(zip.finish()?.into_inner())
    }
}

/// A block before a file or a folder.
fn header(path: &str, size: usize, mode: u32, kind: u8, time: u64) -> Result<[u8; 512]> {
    let mut block = [0; 512];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    let (before, name) = if path.len() <= 100 {
        ("", path)
    } else {
        let mut ends = path.match_indices('/').map(|(end, _)| end);
        let end = ends.rfind(|end| *end <= 155 && path.len() - end - 1 <= 100);
        let Some(end) = end else { bail!("{path} is too long a name for an archive") };
        (&path[..end], &path[end + 1..])
    };
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, &format!("{time:011o}"));
    put(148, "        ");
    put(156, &char::from(kind).to_string());
    put(257, "ustar\u{0}00");
    put(265, "root");
    put(297, "root");
    put(345, before);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    Ok(block)
}

/// Compressed by xz in one thread: several would make another file.
///
/// # Errors
/// When there is no `xz`.
pub fn xz(content: Vec<u8>) -> Result<Vec<u8>> {
    let mut command = Command::new("xz");
    command.args(["-9", "--threads=1", "--stdout"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("starting xz (on Debian: xz-utils)")?;
    let mut input = child.stdin.take().context("xz has no input")?;
    let feeding = std::thread::spawn(move || input.write_all(&content));
    let output = child.wait_with_output()?;
    let fed = feeding.join().map_err(|_| anyhow::anyhow!("the thread that feeds xz ended"))?;
    fed.context("handing over to xz")?;
    if !output.status.success() {
        bail!("xz: {}", output.status);
    }
    Ok(output.stdout)
}

/// Compressed by gzip, without name and time.
///
/// # Errors
/// Never: it goes to memory.
pub fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gzip.write_all(content)?;
    Ok(gzip.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cut_where_the_format_wants_it() {
        let long = format!("{}/{}", "a".repeat(90), "b".repeat(90));
        let block = header(&long, 5, 0o644, b'0', 0).unwrap();
        assert_eq!((block[0], block[345]), (b'b', b'a'));
        assert!(header(&"c".repeat(120), 5, 0o644, b'0', 0).is_err());
        assert_eq!(&block[124..136], b"00000000005\0");
    }

    #[test]
    fn the_same_files_make_the_same_archive() {
        let mut tree = PackedTree::default();
        tree.add_program("bin/a", "x");
        tree.add("share/b", "y");
        assert_eq!(tree.tar("top/", 7).unwrap(), tree.clone().tar("top/", 7).unwrap());
        assert_eq!(tree.zip("top/").unwrap(), tree.clone().zip("top/").unwrap());
        // Folders top, bin and share, two files with a block each, two empty blocks.
        assert_eq!(tree.tar("top/", 7).unwrap().len(), 512 * (3 + 4 + 2));
        assert_eq!((tree.size(), tree.paths()), (2, vec!["bin/a", "share/b"]));
    }
}

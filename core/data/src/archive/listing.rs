//! What an archive holds, whatever its kind: names that are safe, which member counts where one name comes twice, and
//! classes by WebDataset's convention.

use std::collections::HashMap;
use std::path::{Component, Path};

use super::member::{self, ArchiveMember, MemberPlace};
#[cfg(not(target_family = "wasm"))]
use super::parquet_listing::ParquetPictures;
use crate::DataError;

/// Bytes of a `.cls` member that are read.
const LONGEST_CLASS: u64 = 256;

/// Members of an archive, and what was left out.
#[derive(Debug, Default)]
pub struct ArchiveListing {
    /// Files, in the archive's order; of a name that comes twice the last.
    members: Vec<ArchiveMember>,
    /// Where members stand, by name.
    places: HashMap<String, usize>,
    /// Classes: what members of the form `KEY.cls` say, by key; those of rows, by name.
    told: HashMap<String, String>,
    /// All classes in their order, where the archive says one.
    pub(super) in_order: Vec<String>,
    /// Where rows are read.
    #[cfg(not(target_family = "wasm"))]
    pub(super) table: Option<ParquetPictures>,
    twice: usize,
    outside: usize,
    /// Members that are packed or locked in a way that is not read.
    pub(super) locked: usize,
    /// Why not all of it could be read.
    pub(super) broken: Option<String>,
}

impl ArchiveListing {
    /// Adds a file, unless its name leads out of the archive.
    pub(super) fn add(&mut self, member: ArchiveMember) {
        if !is_inside(&member.name) {
            self.outside += 1;
            return;
        }
        match self.places.get(&member.name) {
            // As tar unpacks: what comes later takes the place of what was there.
            Some(place) => {
                self.twice += 1;
                self.members[*place] = member;
            }
            None => {
                self.places.insert(member.name.clone(), self.members.len());
                self.members.push(member);
            }
        }
    }

    /// Takes what a `.cls` member says, where `name` is that of one; `read` gives so many bytes of it at most.
    pub(super) fn tell(&mut self, name: &str, read: impl FnOnce(u64) -> Option<Vec<u8>>) {
        let Some(key) = name.strip_suffix(".cls") else { return };
        let Some(text) = read(LONGEST_CLASS).and_then(|bytes| String::from_utf8(bytes).ok()) else { return };
        let text = text.trim();
        if !text.is_empty() {
            self.told.insert(key.to_owned(), text.to_owned());
        }
    }

    /// The class of the member of this name.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn tell_class(&mut self, name: &str, class: &str) {
        self.told.insert(name.to_owned(), class.to_owned());
    }

    /// The content of a member of the archive that was listed, `most` bytes at most.
    ///
    /// # Errors
    /// When it is larger, or the archive is damaged.
    pub fn read(&self, archive: &Path, member: &ArchiveMember, most: u64) -> Result<Vec<u8>, DataError> {
        let found = match member.place {
            MemberPlace::Bytes { offset, stored, size, packed } => {
                member::unpacked(archive, (offset, stored), (size, packed), most)
            }
            MemberPlace::Row(row) => self.row(row, most),
        };
        let name = || format!("{} in {}", member.name, archive.display());
        found.map_err(|reason| DataError::Decode { name: name(), reason })
    }

    #[cfg(not(target_family = "wasm"))]
    fn row(&self, row: usize, most: u64) -> Result<Vec<u8>, String> {
        let table = self.table.as_ref().ok_or("there is no table")?;
        match table.read(row)? {
            bytes if bytes.len() as u64 > most => Err(member::too_large(bytes.len() as u64, most)),
            bytes => Ok(bytes),
        }
    }

    #[cfg(target_family = "wasm")]
    fn row(&self, _row: usize, _most: u64) -> Result<Vec<u8>, String> {
        Err("tables are read by the desktop program".to_owned())
    }

    /// Its files.
    pub fn members(&self) -> &[ArchiveMember] {
        &self.members
    }

    /// The file of this name.
    pub fn member(&self, name: &str) -> Option<&ArchiveMember> {
        self.places.get(name).map(|place| &self.members[*place])
    }

    /// Whether it says classes of its own.
    pub fn has_classes(&self) -> bool {
        !self.told.is_empty()
    }

    /// All classes in the order that it says; empty where it says none.
    pub fn classes_in_order(&self) -> &[String] {
        &self.in_order
    }

    /// The class of the file of this name, where the member beside it says one.
    pub fn class(&self, name: &str) -> Option<&str> {
        self.told.get(name).or_else(|| self.told.get(key_of(name))).map(String::as_str)
    }

    /// What a person should know.
    pub fn notes(&self) -> Vec<String> {
        let count = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 member {one}")),
            count => Some(format!("{count} members {many}")),
        };
        [
            count(
                self.outside,
                "has a name that leads out of the archive: it is left out",
                "have names that lead out of the archive: they are left out",
            ),
            count(
                self.locked,
                "is encrypted or packed in another way than Deflate: it is left out",
                "are encrypted or packed in another way than Deflate: they are left out",
            ),
            count(
                self.twice,
                "has the name of one before it: the last of a name counts",
                "have the name of one before them: the last of a name counts",
            ),
            self.broken
                .as_ref()
                .map(|why| format!("only the first {} members can be read: {why}", self.members.len())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The name of a picture without its kind, as WebDataset groups them: up to the first dot of its last part.
fn key_of(name: &str) -> &str {
    let start = name.rfind('/').map_or(0, |at| at + 1);
    name[start..].find('.').map_or(name, |dot| &name[..start + dot])
}

/// Class names in order: numbers by their size, others by the alphabet.
pub fn class_order(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    if names.iter().all(|name| name.parse::<u64>().is_ok()) {
        names.sort_by_key(|name| name.parse::<u64>().unwrap_or_default());
    }
    names
}

/// Whether a member's name stays below the folder that an archive would be unpacked into.
fn is_inside(name: &str) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    !name.is_empty() && !name.contains(['\\', '\0']) && Path::new(name).components().all(plain)
}

//! A run as one file: a ZIP archive of its recipe, figures, pictures, evaluations and newest checkpoint, as they lie in
//! its folder; but for where things lie on this computer, which is nobody else's concern.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::path::{Component, Path, PathBuf};

use zip::read::ZipFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::bytes::shown;
use crate::data::archive::{self as pictures, ArchiveListing};
use crate::files;
use crate::train::checkpoint;
use crate::train::paths::{self, PathRedactor};
use crate::train::recipe::Recipe;
use crate::train::resume::CHANGES;
use crate::train::run::{RunError, RunFolder};
use crate::train::run_lock;

/// Bytes that an archive may hold once it is unpacked: what a page can have in memory.
const LARGEST: u64 = 3 << 30;
/// Files that an archive may hold.
const MOST: usize = 100_000;
/// How many times its own size an archive may unpack to, and what is let through without that: numbers and pictures get
/// no smaller when they are packed, and text not that much.
const SWELLS: u64 = 50;
const ALWAYS: u64 = 64 << 20;
/// Bytes of the longest name that a run gets from an archive.
const LONGEST_NAME: usize = 100;

/// Why a run could not be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is no run, or it has nothing to go on from.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The run has no checkpoint yet.
    #[error("the run {0} has no checkpoint yet: save one first")]
    NoCheckpoint(String),
    /// A file can't be read or written.
    #[error("can't {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no archive, or it is damaged.
    #[error("this is no run in one file, or it is damaged ({0}): save the run once more from the studio")]
    Damaged(String),
    /// It is an archive, but of something else.
    #[error("there is no run in it: {0} is missing. Such files are saved from the studio's Run panel")]
    NoRun(&'static str),
    /// A name in it leads out of the folder.
    #[error("it is refused: {0} would be written outside the run's folder")]
    Outside(String),
    /// It would unpack to more than anything reasonable.
    #[error("it is refused: {0}")]
    TooLarge(String),
    /// There is something where the run would lie.
    #[error("{0} is there already: choose another name")]
    Occupied(String),
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> ArchiveError + 'a {
    move |source| ArchiveError::Io { action, path: path.display().to_string(), source }
}

fn damaged(error: impl std::fmt::Display) -> ArchiveError {
    ArchiveError::Damaged(error.to_string())
}

/// Whether a path is a file that may hold a run.
pub fn is_archive(path: &Path) -> bool {
    let zip = path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("zip"));
    zip && files::is_file(path)
}

/// Whether a path is a file that may hold a run, and is no archive of something else, such as pictures.
pub fn may_hold_run(path: &Path) -> bool {
    // One that can't be listed is told what is wrong with it by who opens it.
    let holds = |listing: &ArchiveListing| {
        listing.members().iter().any(|member| member.name.rsplit('/').next() == Some("recipe.toml"))
    };
    is_archive(path) && pictures::listed(path).map_or(true, |listing| holds(&listing))
}

/// Packs the run in `folder`. Of paths no more than their last parts are packed: no home folder, no person's name.
///
/// # Errors
/// There is no run or no checkpoint, or a file can't be read.
pub fn pack(folder: &Path) -> Result<Vec<u8>, ArchiveError> {
    let run = RunFolder::open(folder)?;
    let (_, checkpoint) =
        run.latest_checkpoint().ok_or_else(|| ArchiveError::NoCheckpoint(folder.display().to_string()))?;
    let recipe = run.recipe()?;
    let withheld = PathRedactor::of(&recipe);
    let [learned_from, changes] = ["data.json", CHANGES].map(|name| folder.join(name));
    let mut wanted = vec![run.recipe_file(), run.metrics_file(), run.report_file(), learned_from, changes];
    let evaluations = Some(folder.join("evaluations")).filter(|folder| files::is_dir(folder));
    for folder in [run.pictures(), checkpoint].into_iter().chain(evaluations) {
        let entries = files::read_dir(&folder).map_err(io("read", &folder))?;
        let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        inside.sort();
        wanted.extend(inside);
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // What the run is called, whatever the file will be.
    if let Some(name) = folder.file_name() {
        zip.set_comment(name.to_string_lossy().into_owned()).map_err(damaged)?;
    }
    for path in wanted.into_iter().filter(|path| files::is_file(path)) {
        let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        // Numbers and pictures get no smaller.
        let text =
            path.extension().is_some_and(|kind| ["toml", "jsonl", "json", "html"].iter().any(|k| kind == *k));
        let method = if text { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        let options = SimpleFileOptions::default().compression_method(method).large_file(true);
        let bytes = files::read(&path).map_err(io("read", &path))?;
        let bytes = redacted_file(&name, bytes, &recipe, &withheld)?;
        zip.start_file(name, options).map_err(damaged)?;
        zip.write_all(&bytes).map_err(io("pack", &path))?;
    }
    Ok(zip.finish().map_err(damaged)?.into_inner())
}

/// A file as others get it.
fn redacted_file(
    name: &str,
    bytes: Vec<u8>,
    recipe: &Recipe,
    withheld: &PathRedactor,
) -> Result<Vec<u8>, ArchiveError> {
    let invalid = |source| RunError::Recipe { path: name.to_owned(), source };
    let of_ours = |ending: &str| name.ends_with(ending) && !name.starts_with("checkpoints/");
    if name == "recipe.toml" {
        let short = paths::short(recipe).map_err(invalid)?;
        return Ok(short.to_toml().map_err(invalid)?.into_bytes());
    }
    if name == CHANGES {
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().filter_map(short_change);
        return Ok(withheld.taken_out_of(&lines.collect::<String>()).into_bytes());
    }
    if of_ours(".html") || of_ours(".json") {
        return Ok(withheld.taken_out_of(&String::from_utf8_lossy(&bytes)).into_bytes());
    }
    Ok(bytes)
}

/// A line of what was changed, with the last parts of its paths.
fn short_change(line: &str) -> Option<String> {
    let mut change: serde_json::Value = serde_json::from_str(line).ok()?;
    let is_path = paths::fields().any(|key| change["field"] == key);
    for side in ["before", "after"] {
        if !is_path {
            continue;
        }
        match &mut change[side] {
            serde_json::Value::String(path) => *path = paths::last_part(path).to_owned(),
            serde_json::Value::Array(all) => {
                for path in all {
                    *path = paths::last_part(path.as_str().unwrap_or_default()).into();
                }
            }
            _ => {}
        }
    }
    Some(format!("{change}\n"))
}

/// Unpacks a run into the folder `to`, which is made; beside it first, so that it is there whole or not at all.
///
/// # Errors
/// The archive is damaged, hostile or none, there is something at `to`, or the disk refuses.
pub fn unpack(bytes: &[u8], to: &Path) -> Result<RunFolder, ArchiveError> {
    unpack_within(bytes, to, LARGEST)
}

/// [`unpack`] of at most so many bytes.
fn unpack_within(bytes: &[u8], to: &Path, most: u64) -> Result<RunFolder, ArchiveError> {
    let mut zip = open(bytes)?;
    if files::exists(to) {
        return Err(ArchiveError::Occupied(to.display().to_string()));
    }
    let beside = files::partial(to);
    // What a process that was killed may have left.
    let _ = files::remove_dir_all(&beside);
    let unpacked = write_all(&mut zip, &beside, most).and_then(|()| {
        // What an empty run has as well.
        for folder in ["checkpoints", "pictures", "tensorboard"] {
            let folder = beside.join(folder);
            files::create_dir_all(&folder).map_err(io("create", &folder))?;
        }
        // Nobody trains it here, and whoever looks is told so.
        let lock = beside.join(run_lock::FILE);
        files::write_synced(&lock, b"").map_err(io("write", &lock))?;
        files::sync_folder(&beside);
        files::rename(&beside, to).map_err(io("rename", &beside))
    });
    to.parent().into_iter().for_each(files::sync_folder);
    if let Err(error) = unpacked {
        let _ = files::remove_dir_all(&beside);
        return Err(error);
    }
    Ok(RunFolder::open(to)?)
}

/// What the run in an archive was called where it was made. For archives of earlier versions, which do not say so: the
/// `file`'s name without what was put behind the run's, the steps that were done and a browser's number.
pub fn name(bytes: &[u8], file: &Path) -> String {
    let said = ZipArchive::new(Cursor::new(bytes)).ok();
    let said = said.and_then(|zip| String::from_utf8(zip.comment().to_vec()).ok());
    // One name, and none that hides.
    let plain = |name: &String| inside(name).is_some_and(|path| path.components().count() == 1);
    said.filter(|name| plain(name) && !name.starts_with('.') && name.len() <= LONGEST_NAME).unwrap_or_else(
        || {
            let stem = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            without_steps(without_copy(&stem)).to_owned()
        },
    )
}

/// A name without ` (2)`, as browsers tell files of one name apart.
fn without_copy(name: &str) -> &str {
    let inner = name.strip_suffix(')').and_then(|name| name.rsplit_once(" ("));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    inner.filter(|(_, number)| is_number(number)).map_or(name, |(name, _)| name)
}

/// A name without `-000069`, as runs are saved.
fn without_steps(name: &str) -> &str {
    let split = name.rsplit_once('-');
    let is_steps = |text: &str| text.len() >= 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    split.filter(|(name, steps)| !name.is_empty() && is_steps(steps)).map_or(name, |(name, _)| name)
}

fn write_all(zip: &mut ZipArchive<Cursor<&[u8]>>, to: &Path, most: u64) -> Result<(), ArchiveError> {
    let mut left = most;
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned();
        let path = to.join(inside(&name).ok_or(ArchiveError::Outside(name))?);
        // Whoever trained it elsewhere does not train it here.
        if path == to.join(run_lock::FILE) {
            continue;
        }
        if entry.is_dir() {
            files::create_dir_all(&path).map_err(io("create", &path))?;
            continue;
        }
        let folder = path.parent().unwrap_or(to);
        files::create_dir_all(folder).map_err(io("create", folder))?;
        let bytes = unpacked(&mut entry, left)?;
        left -= bytes.len() as u64;
        files::write_synced(&path, &bytes).map_err(io("write", &path))?;
    }
    Ok(())
}

/// The path that a name in an archive means, if it stays inside.
fn inside(name: &str) -> Option<PathBuf> {
    let safe = !name.contains('\\') && !name.contains(':') && !name.is_empty();
    let path = Path::new(name);
    let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
    (safe && stays).then(|| path.to_owned())
}

/// Opens an archive that holds a run.
fn open(bytes: &[u8]) -> Result<ZipArchive<Cursor<&[u8]>>, ArchiveError> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if zip.index_for_name("recipe.toml").is_none() {
        return Err(ArchiveError::NoRun("recipe.toml"));
    }
    if zip.len() > MOST {
        return Err(ArchiveError::TooLarge(format!("it holds {} files", zip.len())));
    }
    // What it claims is looked at before anything is unpacked, and held to afterwards.
    let claims = (0..zip.len()).try_fold(0u64, |sum, index| {
        let size = zip.by_index_raw(index).map_err(damaged)?.size();
        Ok::<_, ArchiveError>(sum.saturating_add(size))
    })?;
    let most = (SWELLS * bytes.len() as u64).clamp(ALWAYS, LARGEST);
    if claims > most {
        let (claims, packed, most) = (shown(claims), shown(bytes.len() as u64), shown(most));
        return Err(ArchiveError::TooLarge(format!(
            "it unpacks to {claims} from {packed}; at most {most} are taken from an archive of that size"
        )));
    }
    Ok(zip)
}

/// What an entry holds: as much as it claims, and never more than `most`, however it goes on.
fn unpacked(entry: &mut ZipFile<'_, Cursor<&[u8]>>, most: u64) -> Result<Vec<u8>, ArchiveError> {
    let claims = entry.size();
    let larger = |what: String| Err(ArchiveError::TooLarge(what));
    if claims > most {
        return larger(format!("it holds more than the {most} bytes that are left for its files"));
    }
    let mut bytes = Vec::new();
    entry.take(claims + 1).read_to_end(&mut bytes).map_err(damaged)?;
    if bytes.len() as u64 > claims {
        return larger(format!("a file in it is longer than the {claims} bytes that it claims"));
    }
    Ok(bytes)
}

/// The newest teacher's weights in an archive of a run; nothing where the bytes are no such archive.
///
/// # Errors
/// It is one, but damaged or without a checkpoint.
pub fn teacher(bytes: &[u8]) -> Result<Option<Vec<u8>>, ArchiveError> {
    let Some(mut zip) = run_in(bytes)? else { return Ok(None) };
    let step = |name: &str| -> Option<u64> {
        checkpoint::iteration_of(name.strip_prefix("checkpoints/")?.strip_suffix("/teacher.safetensors")?)
    };
    let names = zip.file_names().filter_map(|name| Some(name.ok()?.into_owned()));
    let newest = names.filter_map(|name| Some((step(&name)?, name))).max();
    let (_, name) = newest.ok_or(ArchiveError::NoRun("a checkpoint"))?;
    content(&mut zip, &name).map(Some)
}

/// Those files of an archive of a run whose names are wanted, by name; nothing where the bytes are no such archive.
///
/// # Errors
/// It is one, but damaged.
pub fn entries(
    bytes: &[u8],
    wanted: impl Fn(&str) -> bool,
) -> Result<Option<BTreeMap<String, Vec<u8>>>, ArchiveError> {
    let Some(mut zip) = run_in(bytes)? else { return Ok(None) };
    let names = zip.file_names().filter_map(|name| Some(name.ok()?.into_owned()));
    let names: Vec<String> = names.filter(|name| wanted(name)).collect();
    let read = names.into_iter().map(|name| Ok((name.clone(), content(&mut zip, &name)?)));
    read.collect::<Result<_, _>>().map(Some)
}

/// An archive that holds a run; PyTorch's files are archives too.
fn run_in(bytes: &[u8]) -> Result<Option<ZipArchive<Cursor<&[u8]>>>, ArchiveError> {
    if !bytes.starts_with(b"PK") {
        return Ok(None);
    }
    match open(bytes) {
        Ok(zip) => Ok(Some(zip)),
        Err(error @ ArchiveError::TooLarge(_)) => Err(error),
        Err(_) => Ok(None),
    }
}

fn content(zip: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<Vec<u8>, ArchiveError> {
    unpacked(&mut zip.by_name(name).map_err(damaged)?, LARGEST)
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;

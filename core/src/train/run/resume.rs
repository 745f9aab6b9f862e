//! A run that goes on: what may have changed since, what it learned from, and what its folder has to forget.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::data::DataError;
use crate::data::source::PictureSource;
use crate::data::source::builtin::BuiltinPictures;
use crate::files;
use crate::train::checkpoint;
use crate::train::fields;
use crate::train::protocol::{EngineError, RunCompletion, TrainJob};
use crate::train::recipe::Recipe;
use crate::train::run::{RunError, RunFolder, replace};
use crate::train::start::WeightInitError;
use crate::train::tensors::hex;

/// What a run learns from, in `data.json`: enough to see whether something else is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainDataFingerprint {
    /// How many pictures.
    pub pictures: usize,
    /// SHA-256 of their names, which are relative to the place they come from, in order.
    pub names: String,
    /// Some of the names, evenly spread.
    pub some: Vec<String>,
    /// Fingerprint of a frozen teacher's weights.
    #[serde(default)]
    pub teacher: Option<String>,
}

/// Names in [`TrainDataFingerprint::some`].
const SOME: usize = 5;

impl TrainDataFingerprint {
    /// What a source holds.
    pub fn of(source: &dyn PictureSource, teacher: Option<&str>) -> Self {
        // Other systems have another stroke between folders.
        let name = |index| source.below(index).replace('\\', "/");
        let mut names = Sha256::new();
        for index in 0..source.len() {
            names.update(name(index).as_bytes());
            names.update([0u8]);
        }
        let some = Self::chosen(source.len()).map(name).collect();
        Self { pictures: source.len(), names: hex(names), some, teacher: teacher.map(str::to_owned) }
    }

    /// Places of some pictures of so many.
    fn chosen(pictures: usize) -> impl Iterator<Item = usize> {
        let count = SOME.min(pictures);
        (0..count).map(move |i| i * (pictures - 1) / (count - 1).max(1))
    }

    /// How other pictures differ; `None` for the same.
    fn differ(&self, now: &Self) -> Option<String> {
        if self.pictures != now.pictures {
            return Some(format!("there were {}, there are {}", self.pictures, now.pictures));
        }
        if self.names == now.names {
            return None;
        }
        let mut pairs = self.some.iter().zip(&now.some).zip(Self::chosen(now.pictures));
        let example = pairs.find(|((before, now), _)| before != now);
        let example =
            example.map(|((before, now), at)| format!(": number {} was {before}, now it is {now}", at + 1));
        Some(format!("there are as many, but of other names{}", example.unwrap_or_default()))
    }
}

fn data_file(folder: &RunFolder) -> PathBuf {
    folder.path().join("data.json")
}

/// Where a field says that something lies that may lie elsewhere later.
fn may_move(before: &Recipe, wanted: &Recipe, key: &str) -> bool {
    let both = |of: fn(&Recipe) -> &str| [of(before), of(wanted)];
    let words = match key {
        "data.path" => {
            let places = |recipe: &Recipe| -> Vec<String> { recipe.data.path.given().collect() };
            let (old, new) = (places(before), places(wanted));
            let is_place =
                |places: &[String]| !places.is_empty() && places.iter().all(|place| !place.is_empty());
            // What is drawn lies nowhere, and the shares stay.
            return is_place(&old) && is_place(&new) && drawn(before) == drawn(wanted);
        }
        "start.weights" => both(|recipe| &recipe.start.weights),
        "gram.teacher" => both(|recipe| &recipe.gram.teacher),
        "distill.teacher" => both(|recipe| &recipe.distill.teacher),
        _ => return false,
    };
    words.iter().all(|word| !word.is_empty())
}

/// Built-in pictures that a recipe names, and all shares where there are any.
fn drawn(recipe: &Recipe) -> (Vec<BuiltinPictures>, Vec<f64>) {
    let places = recipe.data.path.shared().unwrap_or_default();
    (
        places.iter().filter_map(|place| place.builtin).collect(),
        places.iter().filter_map(|place| place.share).collect(),
    )
}

/// Whether a run can go on with another recipe than it has.
///
/// # Errors
/// Names the field that must stay, or the steps that are done.
pub(in crate::train) fn check(run: &RunFolder, wanted: &Recipe) -> Result<(), RunError> {
    let before = run.recipe()?;
    let path = || run.path().display().to_string();
    let free = |key: &str| {
        fields::live(key)
            || ["train.iterations", "optim.cooldown"].contains(&key)
            || may_move(&before, wanted, key)
    };
    let differ = fields::differences(&before, wanted).unwrap_or_default();
    if let Some(field) = differ.into_iter().find(|key| !free(key)) {
        return Err(RunError::Changed { path: path(), field: field.to_owned() });
    }
    let done = run.latest_checkpoint().map_or(0, |(iteration, _)| iteration);
    if wanted.train.iterations < done {
        return Err(RunError::Shorter { path: path(), done, wanted: wanted.train.iterations });
    }
    Ok(())
}

/// How a run ended that has all the steps which `recipe` asks for; `None` while it can go on.
///
/// # Errors
/// As [`RunFolder::reopen`], but nothing is locked.
pub fn finished(path: &Path, recipe: &Recipe) -> Result<Option<RunCompletion>, RunError> {
    let run = RunFolder::open(path)?;
    check(&run, recipe)?;
    let total = run.recipe()?.train.iterations;
    let last = run.latest_checkpoint().filter(|(done, _)| *done >= total);
    let last = last.filter(|(_, path)| recipe.train.iterations == total && checkpoint::is_whole(path));
    let report = Some(run.report_file()).filter(|report| files::is_file(report));
    Ok(last.map(|(iteration, checkpoint)| RunCompletion {
        iteration,
        stopped: false,
        checkpoint: Some(checkpoint),
        report,
        skipped: Vec::new(),
    }))
}

/// Brings a folder to where its run begins or goes on: the recipe as it is now, what was changed, what it learns from;
/// nothing of steps that will be done again. Gives what a person should know.
///
/// # Errors
/// When what was named is not what the run learned from, or the disk refuses.
pub(in crate::train) fn prepare_run_folder(
    folder: &RunFolder,
    job: &TrainJob,
    teacher: Option<&str>,
    iteration: u64,
) -> Result<Vec<String>, RunError> {
    let mut notes: Vec<String> = folder.note_of_lock().into_iter().collect();
    let now = TrainDataFingerprint::of(job.sources.train.as_ref(), teacher);
    let read = files::read(data_file(folder)).ok();
    let kept: Option<TrainDataFingerprint> = read.and_then(|text| serde_json::from_slice(&text).ok());
    if job.resume {
        let before = folder.recipe()?;
        notes.extend(compare(folder, &before, &job.recipe, kept.as_ref(), &now)?);
        if before.train.iterations != job.recipe.train.iterations {
            let (was, is) = (before.train.iterations, job.recipe.train.iterations);
            notes.push(format!(
                "the run has {is} steps, it had {was}: from step {iteration} on all schedules are those of a run of {is}"
            ));
        }
        forget(folder, iteration);
        write_changes(folder, &before, &job.recipe, iteration)?;
        if before != job.recipe {
            folder.write_recipe(&job.recipe)?;
        }
    }
    if kept.as_ref() != Some(&now) {
        let text = serde_json::to_string_pretty(&now).unwrap_or_default();
        replace(&data_file(folder), &text)?;
    }
    Ok(notes)
}

/// Whether what was named is what the run learned from, as far as that is known.
fn compare(
    folder: &RunFolder,
    before: &Recipe,
    recipe: &Recipe,
    kept: Option<&TrainDataFingerprint>,
    now: &TrainDataFingerprint,
) -> Result<Vec<String>, RunError> {
    let mut notes = Vec::new();
    let run = folder.path().display();
    let other = |reason| RunError::Other { path: run.to_string(), reason };
    let moved =
        |what: &str, was: &str, is: &str, found: String| format!("{what}: {is} in place of {was}: {found}");
    let unknown = || "what was there is not written down in this folder, so nothing is compared".to_owned();

    let (was, is) = (before.data.path.to_string(), recipe.data.path.to_string());
    let (was, is) = (was.as_str(), is.as_str());
    let flags: String = recipe.data.path.iter().map(|place| format!(" --data {place}")).collect();
    match (kept.map(|kept| kept.differ(now)), before.data.path == recipe.data.path) {
        (Some(Some(how)), false) => {
            return Err(other(format!(
                "the pictures in {is} are not those that this run learns from: {how}. Name the place of the same ones, \
                 or begin a new run from this one: dinoscope train --start {run}{flags}"
            )));
        }
        (Some(Some(how)), true) => notes.push(format!(
            "the pictures in {is} have changed since this run began: {how}. It goes on with those that are there"
        )),
        (Some(None), false) => {
            let found = format!("{} pictures of the same names", now.pictures);
            notes.push(moved("data.path", was, is, found));
        }
        (None, false) => notes.push(moved("data.path", was, is, unknown())),
        (_, true) => {}
    }

    let (was, is) = (before.distill.teacher.as_str(), recipe.distill.teacher.as_str());
    if was != is {
        match (kept.and_then(|kept| kept.teacher.as_ref()), &now.teacher) {
            (Some(kept), Some(now)) if kept != now => {
                return Err(other(format!(
                    "{is} holds other weights than the teacher of this run. Name the place of the same ones, or begin a \
                     new run with that teacher"
                )));
            }
            (Some(_), Some(_)) => {
                notes.push(moved("distill.teacher", was, is, "the same weights".to_owned()));
            }
            _ => notes.push(moved("distill.teacher", was, is, unknown())),
        }
    }
    let weights = [
        ("start.weights", &before.start.weights, &recipe.start.weights),
        ("gram.teacher", &before.gram.teacher, &recipe.gram.teacher),
    ];
    for (field, was, is) in weights {
        if was != is {
            let found = "they are read again only when no checkpoint has been written yet".to_owned();
            notes.push(moved(field, was, is, found));
        }
    }
    Ok(notes)
}

/// A line in `changes.jsonl` for each field in which the recipe differs from the one that is there.
fn write_changes(
    folder: &RunFolder,
    before: &Recipe,
    recipe: &Recipe,
    iteration: u64,
) -> Result<(), RunError> {
    let differ = fields::differences(before, recipe).unwrap_or_default();
    if differ.is_empty() {
        return Ok(());
    }
    let file = folder.path().join(CHANGES);
    let mut text = match files::read(&file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    };
    let value = |recipe: &Recipe, key| fields::get(recipe, key).map(|value| json!(value));
    for key in differ {
        let line = json!({
            "iteration": iteration, "field": key, "before": value(before, key), "after": value(recipe, key),
        });
        text += &format!("{line}\n");
    }
    replace(&file, &text)
}

/// The file with what was changed on the way.
pub(in crate::train) const CHANGES: &str = "changes.jsonl";

/// Takes away what tells of steps that will be done again: the report, pictures of later steps; and halves of files that
/// a killed process left.
fn forget(folder: &RunFolder, iteration: u64) {
    // Whoever can't take them away can't replace them either, which will be said then.
    for file in ["report.html", "film.png"] {
        let _ = files::remove_file(folder.path().join(file));
    }
    for entry in files::read_dir(folder.pictures()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        let later = name[..digits].parse::<u64>().is_ok_and(|step| step > iteration);
        if (later && name.ends_with(".png")) || name.ends_with(".tmp") {
            let _ = files::remove_file(entry.path());
        }
    }
    for entry in files::read_dir(folder.path()).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().ends_with(".tmp") {
            let _ = files::remove_file(entry.path());
        }
    }
}

/// Takes away what an earlier run without a recipe has left, so that a new one does not find it.
pub(in crate::train) fn clear(folder: &RunFolder) {
    for (_, path) in checkpoint::list(&folder.checkpoints()) {
        let _ = files::remove_dir_all(path);
    }
    for file in ["data.json", CHANGES] {
        let _ = files::remove_file(folder.path().join(file));
    }
    for entry in files::read_dir(folder.pictures()).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(|c: char| c.is_ascii_digit());
        if is_ours {
            let _ = files::remove_file(entry.path());
        }
    }
    forget(folder, 0);
}

/// Why the pictures of a run that is to go on can't be opened, with the way on when they have moved.
pub fn moved_data(run: &Path, error: &DataError) -> RunError {
    moved(run, "train", "--data NEW", error)
}

/// The same of weights that a run needs.
pub(in crate::train) fn moved_weights(job: &TrainJob, error: WeightInitError) -> EngineError {
    let (Some(folder), true, WeightInitError::Model { field, .. }) = (&job.folder, job.resume, &error) else {
        return error.into();
    };
    match *field {
        "distill.teacher" => moved(folder.path(), "distill", "--teacher NEW", &error).into(),
        "gram.teacher" => moved(folder.path(), "train", "--set gram.teacher=NEW", &error).into(),
        _ => moved(folder.path(), "train", "--start NEW", &error).into(),
    }
}

fn moved(run: &Path, word: &str, flag: &str, reason: &dyn std::error::Error) -> RunError {
    let run = run.display().to_string();
    let run = if run.contains(' ') { format!("\"{run}\"") } else { run };
    let way_out = format!("dinoscope {word} --resume --out {run} {flag}");
    RunError::Moved { reason: reason.to_string(), way_out }
}

#[cfg(all(test, not(target_family = "wasm")))]
#[path = "resume_tests.rs"]
mod tests;

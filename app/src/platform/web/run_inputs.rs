//! What a run needs beside its recipe: pictures, weights, a teacher, other runs. Workers share no files with the page, so
//! all of it goes along; and a run that was saved elsewhere knows only what these are called.

use std::path::{Path, PathBuf};

use dinoscope_core::data::source::places::builtin;
use dinoscope_core::explore::{ModelSource, STARTER_FILE, split_part};
use dinoscope_core::files::{self, FileChange};
use dinoscope_core::train::{Recipe, paths};

/// What goes along.
pub struct RunInputFiles {
    /// What makes the worker's files have it.
    pub changes: Vec<FileChange>,
    /// Where it lies: pictures are read by who gets them.
    pub paths: Vec<PathBuf>,
}

impl RunInputFiles {
    /// Everything that a recipe names.
    pub fn of(recipe: &Recipe) -> Self {
        let mut paths = paths::named(recipe);
        // What a Hugging Face folder says about its weights lies beside them.
        let weights = paths.iter().filter(|path| files::is_file(path));
        let beside: Vec<PathBuf> = weights.map(|path| path.with_file_name("config.json")).collect();
        paths.extend(beside.into_iter().filter(|path| files::is_file(path)));
        if weights_of(recipe).into_iter().any(|named| is_starter(named)) {
            paths.push(STARTER_FILE.into());
        }
        paths.sort();
        paths.dedup();
        Self { changes: paths.iter().flat_map(files::snapshot).collect(), paths }
    }
}

/// What a recipe names as weights; empty where it names none.
fn weights_of(recipe: &Recipe) -> [&String; 3] {
    [&recipe.start.weights, &recipe.distill.teacher, &recipe.gram.teacher]
}

fn is_starter(named: &str) -> bool {
    matches!(ModelSource::named(named), ModelSource::Starter)
}

/// Whether a value of a recipe is a word, or lies here.
fn is_here(key: &str, named: &str) -> bool {
    let is_word = match key {
        "data.path" | "evaluate.dense" => builtin(named).is_some(),
        _ => is_starter(named),
    };
    is_word || files::exists(split_part(Path::new(named)).0)
}

/// What a run needs, found among what was given to this page where it goes by the same name.
///
/// # Errors
/// Names what is to be given to the page first.
pub fn with_inputs(recipe: Recipe, resume: bool) -> Result<Recipe, String> {
    let change = |key: &str, named: &str| match is_here(key, named) {
        true => None,
        false => lately(named).map(|path| path.to_string_lossy().into_owned()),
    };
    let found = paths::changed(&recipe, change).map_err(|error| error.to_string())?;
    // A run that goes on has left what it began with behind, and does without what it is only measured by.
    let lacks = |(key, named): &(&str, String)| {
        matches!(*key, "data.path" | "distill.teacher") && !is_here(key, named)
    };
    let lacking = paths::values(&found).find(lacks);
    match lacking {
        Some((_, named)) if resume => Err(format!(
            "This run needs “{}”, which is not in this tab. Drop it on the page, then go on.",
            paths::last_part(&named)
        )),
        _ => Ok(found),
    }
}

/// Where something of this name lies that was given to the page, the newest first; or a run.
fn lately(named: &str) -> Option<PathBuf> {
    let name = paths::last_part(named);
    let given = files::read_dir("/given").into_iter().flatten().flatten().map(|entry| entry.path());
    let number = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u64>().ok();
    let mut deliveries: Vec<PathBuf> = given.filter(|folder| number(folder).is_some()).collect();
    deliveries.sort_by_key(number);
    let others = ["/given", "/runs", "/models", "/fetched"].map(PathBuf::from);
    deliveries
        .into_iter()
        .rev()
        .chain(others)
        .map(|folder| folder.join(name))
        .find(|path| files::exists(path))
}

/// A recipe of another visit: what was given to the page then is not here any more.
pub fn remembered(recipe: Recipe) -> Recipe {
    let mut recipe = recipe;
    if !recipe.data.path.iter().all(|place| is_here("data.path", place)) {
        recipe.data.path = "scenes".into();
    }
    if weights_of(&recipe).into_iter().any(|named| !named.is_empty() && !is_here("start.weights", named)) {
        (recipe.start, recipe.distill) = Default::default();
        // The run's own teacher holds its patches where another did.
        recipe.gram.teacher.clear();
    }
    recipe
}

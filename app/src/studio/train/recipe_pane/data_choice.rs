//! Which pictures are trained on, and whether they are there: looked up in the background.

use std::path::Path;
use std::sync::Arc;

use dinoscope_core::data::decode::depth::IntensityRange;
use dinoscope_core::data::source::PictureSource;
use dinoscope_core::data::source::matched::named;
use dinoscope_core::data::source::places::SourcePaths;
use dinoscope_core::data::source::scenes::SceneKind;
use dinoscope_core::data::variety;
use dinoscope_core::train::{Recipe, sources};

use crate::platform::tasks::Wake;
use crate::studio::background::task::BackgroundTask;
use crate::studio::train::words;

/// What the folder or the built-in pictures turned out to hold.
#[derive(Clone)]
pub struct ResolvedTrainData {
    /// For a person: `1200 built-in scenes`, `3512 pictures from …, 12 classes`.
    pub description: String,
    /// The pictures.
    pub train: Arc<dyn PictureSource>,
    /// Whether k-NN can be measured.
    pub labelled: bool,
    /// Why nothing can be learned from them.
    pub caution: Option<String>,
}

/// What pictures are found by: everything that decides them.
#[derive(Clone, Debug, PartialEq)]
struct TrainDataKey {
    path: String,
    labels: bool,
    depth_range: IntensityRange,
    scenes: (SceneKind, usize, usize, u64),
}

impl TrainDataKey {
    fn of(recipe: &Recipe) -> Self {
        let data = &recipe.data;
        let scenes = (data.scene_kind, data.scenes, data.scene_size, data.scene_seed);
        Self { path: data.path.text(), labels: data.labels, depth_range: data.depth_range, scenes }
    }
}

/// Looks pictures up.
#[derive(Default)]
pub struct TrainDataLookup {
    address: Option<TrainDataKey>,
    found: Option<Result<ResolvedTrainData, String>>,
    work: Option<BackgroundTask<Result<ResolvedTrainData, String>>>,
}

impl TrainDataLookup {
    /// Looks for the pictures of a recipe, unless that was done.
    pub fn look(&mut self, recipe: &Recipe, wake: &Wake) {
        let address = TrainDataKey::of(recipe);
        if self.address.as_ref() == Some(&address) {
            return;
        }
        (self.address, self.found) = (Some(address), None);
        let recipe = recipe.clone();
        self.work = Some(BackgroundTask::ask("data", wake, move |_| find(&recipe)));
    }

    /// Looks again: the folder may have changed.
    pub fn again(&mut self) {
        self.address = None;
    }

    /// Takes in what was found.
    pub fn listen(&mut self) {
        let Some(work) = &mut self.work else { return };
        match work.receive() {
            Some(found) => (self.found, self.work) = (Some(found), None),
            None if work.over() => {
                self.found = Some(Err("the pictures can't be looked up".to_owned()));
                self.work = None;
            }
            None => {}
        }
    }

    /// Whether the pictures at this path are what is, or was, looked up.
    pub fn is_for(&self, path: &str) -> bool {
        self.address
            .as_ref()
            .is_some_and(|address| address.path == SourcePaths::from_text(path.trim()).text())
    }

    /// What was found; nothing while it is being looked up.
    pub fn found(&self) -> Option<Result<&ResolvedTrainData, &str>> {
        self.found.as_ref().map(|found| found.as_ref().map_err(String::as_str))
    }
}

fn find(recipe: &Recipe) -> Result<ResolvedTrainData, String> {
    let sources = sources::open(recipe).map_err(|e| e.to_string())?;
    let pictures = words::some(sources.train.len(), "picture", "pictures");
    let place = sources.train.origin().map_or_else(|| names(&recipe.data.path), str::to_owned);
    let rest = sources.rest.as_ref().map_or(String::new(), |rest| format!("; {rest}"));
    let description = match (recipe.data.path.is_builtin(), sources.train.classes().len()) {
        (true, _) => format!("{}, drawn as needed", sources.description),
        (_, 0) => format!("{pictures} in {place}{rest}"),
        (_, classes) => format!("{pictures} in {place}, {classes} classes{rest}"),
    };
    let notes: String = sources.train.notes().iter().map(|note| format!(". {note}")).collect();
    let description = description + &notes;
    let caution = variety::note_of(sources.train.as_ref()).map(|note| format!("{}.", capital(&note)));
    Ok(ResolvedTrainData { description, labelled: sources.labelled.is_some(), caution, train: sources.train })
}

/// A sentence as it begins a line.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// The last parts of paths.
fn names(places: &SourcePaths) -> String {
    named(&places.iter().map(short).collect::<Vec<_>>())
}

/// The last part of a path.
pub fn short(path: &str) -> String {
    let name = Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| path.to_owned())
}

//! "Train on these": a recipe that goes on from what looks, on the pictures that are open in the gallery.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dinoscope_core::data::source::listing::pictures_in;
use dinoscope_core::data::source::places::SourcePaths;
use dinoscope_core::explore::STARTER_NAME;
use dinoscope_core::files;
use dinoscope_core::rng::fnv1a;
use dinoscope_core::train::{Recipe, own};

use crate::platform::HAS_DISK;
use crate::studio::app_context::AppContext;
use crate::studio::background::task::BackgroundTask;
use crate::studio::train::TrainWorkspace;
use crate::studio::train::draft::RecipeDraft;
use crate::studio::train::run_init::RunInitState;

/// The recipe, and what a person should know of it.
pub struct OwnPicturesPlan {
    recipe: Recipe,
    note: Option<String>,
}

/// A plan that is being made.
pub type OwnPicturesJob = BackgroundTask<Result<OwnPicturesPlan, String>>;

impl TrainWorkspace {
    /// Makes the recipe for training on `pictures`, of which `opened` was opened, from `weights`; nothing starts yet.
    pub fn train_on(&mut self, opened: Vec<PathBuf>, pictures: Vec<PathBuf>, weights: String) {
        let runs = self.root.path();
        let plan = move || plan(&opened, &pictures, &weights, &runs);
        self.own_pictures = Some(BackgroundTask::ask("own pictures", &self.wake, move |_| plan()));
    }

    /// Makes the recipe for training on the pictures of a list, from `weights`; nothing starts yet.
    pub fn train_on_list(&mut self, list: PathBuf, weights: String) {
        let plan = move || {
            let place = SourcePaths::new([list.to_string_lossy().into_owned()]).ok_or_else(none)?;
            of_places(place, &weights)
        };
        self.own_pictures = Some(BackgroundTask::ask("own pictures", &self.wake, move |_| plan()));
    }

    /// Takes over a recipe that was made.
    pub(in crate::studio::train) fn take_in_own_pictures(&mut self, app: &mut AppContext) {
        let Some(work) = &mut self.own_pictures else { return };
        let Some(answer) = work.answer() else { return };
        self.own_pictures = None;
        let plan = answer.map_err(|_| "the recipe can't be made".to_owned()).and_then(|plan| plan);
        let drafted = plan.and_then(|plan| {
            let draft = RecipeDraft::of(&plan.recipe).map_err(|error| error.to_string())?;
            Ok((draft, plan.note))
        });
        match drafted {
            Ok((draft, note)) => {
                if let Some(note) = note {
                    app.toasts.watch(note);
                }
                self.of_run.let_go();
                // How it begins is read from the recipe.
                self.recipe.begin = RunInitState::default();
                self.draft.adopt(draft);
                self.lookup.again();
            }
            Err(reason) => app.toasts.bad(reason),
        }
    }
}

fn plan(
    opened: &[PathBuf],
    pictures: &[PathBuf],
    weights: &str,
    runs: &Path,
) -> Result<OwnPicturesPlan, String> {
    of_places(places(opened, pictures, runs)?, weights)
}

/// The recipe of the starter weights where those that look can't be gone on from.
fn of_places(places: SourcePaths, weights: &str) -> Result<OwnPicturesPlan, String> {
    let (mut recipe, note) = match own::recipe(weights) {
        Ok(recipe) => (recipe, None),
        Err(reason) if weights != STARTER_NAME => {
            let recipe = own::recipe(STARTER_NAME).map_err(|error| error.to_string())?;
            (recipe, Some(format!("It begins with the starter weights: {reason}")))
        }
        Err(reason) => return Err(reason.to_string()),
    };
    recipe.data.path = places;
    Ok(OwnPicturesPlan { recipe, note })
}

/// Where these pictures come from: the folders that were opened where they hold nothing else, the folder that they all lie in
/// where it does, else a list of them beside the runs.
fn places(opened: &[PathBuf], pictures: &[PathBuf], runs: &Path) -> Result<SourcePaths, String> {
    let wanted: BTreeSet<&Path> = pictures.iter().map(PathBuf::as_path).collect();
    let folders: BTreeSet<PathBuf> = opened.iter().filter(|path| files::is_dir(path)).cloned().collect();
    let parents: BTreeSet<PathBuf> =
        pictures.iter().filter_map(|path| Some(path.parent()?.to_owned())).collect();
    for tried in [folders, parents] {
        let held: BTreeSet<PathBuf> =
            tried.iter().filter_map(|folder| pictures_in(folder).ok()).flatten().collect();
        // Without a disk there are no lists: what the pictures were given in has to do.
        if !held.is_empty() && (held.iter().map(PathBuf::as_path).eq(wanted.iter().copied()) || !HAS_DISK) {
            let places = tried.iter().map(|folder| folder.to_string_lossy().into_owned());
            return SourcePaths::new(places).ok_or_else(none);
        }
    }
    if wanted.is_empty() {
        return Err(none());
    }
    let text: String = wanted.iter().map(|path| format!("{}\n", path.display())).collect();
    // The same pictures are the same list.
    let list = runs.join(format!("{}-pictures-{:08x}.txt", wanted.len(), fnv1a(&text) as u32));
    let failed = |error: std::io::Error| format!("can't write {}: {error}", list.display());
    files::create_dir_all(runs).map_err(failed)?;
    files::write_and_rename(&list, &text).map_err(failed)?;
    SourcePaths::new([list.to_string_lossy().into_owned()]).ok_or_else(none)
}

fn none() -> String {
    "no pictures of your own are open".to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_named_by_their_folder_or_one_by_one() {
        let root = tempfile::tempdir().unwrap();
        let (photos, runs) = (root.path().join("photos"), root.path().join("runs"));
        std::fs::create_dir(&photos).unwrap();
        let all: Vec<PathBuf> = ["a.png", "b.png", "c.png"].iter().map(|name| photos.join(name)).collect();
        for path in &all {
            image::RgbImage::from_pixel(4, 4, image::Rgb([9, 99, 199])).save(path).unwrap();
        }
        let of = |opened: &[PathBuf], pictures: &[PathBuf]| places(opened, pictures, &runs).unwrap().text();
        let folder = photos.to_string_lossy().into_owned();
        assert_eq!(of(std::slice::from_ref(&photos), &all), folder);
        assert_eq!(of(&all, &all), folder, "all that lies in the folder, dropped one by one");
        assert!(!runs.exists());
        // One was closed: the others alone are trained on.
        let list = of(std::slice::from_ref(&photos), &all[1..]);
        assert!(list.ends_with(".txt") && list.contains("2-pictures-"), "{list}");
        let listed = std::fs::read_to_string(&list).unwrap();
        assert_eq!(listed, format!("{}\n{}\n", all[1].display(), all[2].display()));
        assert_eq!(of(&all[1..], &all[1..]), list);
        assert!(places(&[], &[], &runs).is_err());

        let begun = plan(std::slice::from_ref(&photos), &all, "starter", &runs).unwrap();
        assert_eq!((begun.recipe.preset.as_str(), begun.note), (own::NAME, None));
        assert_eq!((begun.recipe.data.path.text(), begun.recipe.start.weights.as_str()), (folder, "starter"));
        let other = plan(std::slice::from_ref(&photos), &all, "/no/such/weights", &runs).unwrap();
        assert_eq!(other.recipe.start.weights, "starter");
        assert!(other.note.unwrap().contains("/no/such/weights"));
    }
}

//! The state that a run goes on from: its newest checkpoint that is whole; the damaged ones before are set aside and named.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use crate::files;
use crate::train::checkpoint::verify::verify_file;
use crate::train::checkpoint::{self, CheckpointError};
use crate::train::frozen_teacher::FrozenTeacher;
use crate::train::recipe::Recipe;
use crate::train::run::unused;
use crate::train::state::TrainerState;

/// A state to go on with.
pub struct ResumePoint {
    /// The state.
    pub state: TrainerState,
    /// The checkpoint's folder, where it comes from one.
    pub path: Option<PathBuf>,
    /// Others, and what is wrong with them.
    damaged: Vec<(PathBuf, CheckpointError)>,
    /// What is wrong with the colours of this one.
    colours: Option<CheckpointError>,
}

impl ResumePoint {
    /// A state that comes from no checkpoint.
    pub fn fresh(state: TrainerState) -> Self {
        Self { state, path: None, damaged: Vec::new(), colours: None }
    }

    /// Gives the damaged ones a name that no checkpoint has, so that they are neither found nor pruned; says so.
    pub fn set_aside(&self) -> Vec<String> {
        let step = self.state.iteration;
        let damaged = self.damaged.iter().map(|(bad, why)| set_aside(bad, why, step));
        let colours = self.colours.as_ref().map(|why| {
            format!(
                "{why}. Nothing is learned from it: the run goes on from step {step}, and the colours of its pictures may \
                 change once"
            )
        });
        damaged.chain(colours).collect()
    }
}

/// [`checkpoint::load`] of the newest checkpoint in `dir` that is whole; `None` where there is none at all. Where none is,
/// one of which the colours alone are damaged will do.
///
/// # Errors
/// What is wrong with the newest one, and the way out, when none can be gone on from.
pub fn newest(
    recipe: &Recipe,
    frozen: Option<&FrozenTeacher>,
    dir: &Path,
    device: &Device,
) -> Result<Option<ResumePoint>, CheckpointError> {
    let load = |path: &Path| checkpoint::load(recipe, frozen.cloned(), path, device);
    let mut damaged: Vec<(PathBuf, CheckpointError)> = Vec::new();
    for (_, path) in checkpoint::all(dir).into_iter().rev() {
        match checkpoint::check_colours(&path).and_then(|()| load(&path)) {
            Ok(state) => return Ok(Some(ResumePoint { state, path: Some(path), damaged, colours: None })),
            Err(error) => damaged.push((path, error)),
        }
    }
    for at in 0..damaged.len() {
        let path = damaged[at].0.clone();
        if checkpoint::check_colours(&path).is_err()
            && let Ok(state) = load(&path)
        {
            let (path, error) = damaged.remove(at);
            return Ok(Some(ResumePoint { state, path: Some(path), damaged, colours: Some(error) }));
        }
    }
    if damaged.is_empty() {
        return Ok(None);
    }
    let way_out = way_out(dir, damaged.iter().map(|(path, _)| path.as_path()));
    let (_, newest) = damaged.remove(0);
    Err(CheckpointError::NoneWhole { path: dir.display().to_string(), newest: Box::new(newest), way_out })
}

/// The command that saves most: a new run from weights that are whole, else from the recipe.
fn way_out<'a>(dir: &Path, mut checkpoints: impl Iterator<Item = &'a Path>) -> String {
    let whole = checkpoints.find_map(|path| {
        let teacher = path.join("teacher.safetensors");
        verify_file(&teacher).filter(|found| !found.is_damaged()).map(|found| found.path)
    });
    let quoted = |path: &Path| match path.display().to_string() {
        path if path.contains(' ') => format!("\"{path}\""),
        path => path,
    };
    match whole {
        Some(teacher) => format!("the weights that are whole: dinoscope train --start {}", quoted(&teacher)),
        None => {
            let recipe = dir.parent().unwrap_or(dir).join("recipe.toml");
            format!("the same recipe: dinoscope train {} --out NEW", quoted(&recipe))
        }
    }
}

fn set_aside(path: &Path, why: &CheckpointError, step: u64) -> String {
    let free = unused(path, "damaged");
    match files::rename(path, &free) {
        Ok(()) => {
            path.parent().into_iter().for_each(files::sync_folder);
            format!("{why}. It is kept as {}; the run goes on from step {step}", free.display())
        }
        Err(error) => format!("{why}. It can't be set aside ({error}); the run goes on from step {step}"),
    }
}

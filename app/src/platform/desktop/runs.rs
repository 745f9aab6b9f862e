//! Runs: in threads of this process, with files of the disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dinoscope_core::data::Picture;
use dinoscope_core::data::source::PictureSource;
use dinoscope_core::engine::{self, RunHandle, TrainJob};
use dinoscope_core::train::Recipe;
use dinoscope_core::train::preview::{self, PreviewItem};
use dinoscope_core::train::sources::RunDataSources;

use super::tasks::Wake;

/// How long the end of the program waits for a run to be saved.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A recipe of another time, as it can be used today.
pub fn remembered(recipe: Recipe) -> Recipe {
    recipe
}

/// A recipe with its files where they lie now.
///
/// # Errors
/// Never here: who opens the files says which are missing.
pub fn with_inputs(recipe: Recipe, _: bool) -> Result<Recipe, String> {
    Ok(recipe)
}

/// The pictures that a run of this recipe watches.
pub fn watched(sources: &RunDataSources, recipe: &Recipe) -> Vec<Picture> {
    sources.to_watch(recipe)
}

/// Starts a run.
///
/// # Errors
/// Never here.
pub fn start(job: TrainJob, wake: Wake) -> Result<RunHandle, String> {
    Ok(engine::start_with(job, wake))
}

/// The crops and masks of a step.
///
/// # Errors
/// There are no pictures.
pub async fn preview(
    recipe: &Recipe,
    source: &Arc<dyn PictureSource>,
    iteration: u64,
    pictures: usize,
) -> Result<Vec<PreviewItem>, String> {
    let made = preview::preview(recipe, source.as_ref(), iteration, pictures);
    made.map(|made| made.items).map_err(|error| error.to_string())
}

/// Shows a file of a run with whatever the system has for it.
pub fn show_file(ctx: &egui::Context, path: &Path) {
    ctx.open_url(egui::OpenUrl::new_tab(file_url(path)));
}

/// A path as a browser takes it.
fn file_url(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut text = String::from("file://");
    let shown = path.to_string_lossy().replace('\\', "/");
    if !shown.starts_with('/') {
        text.push('/');
    }
    for byte in shown.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' | b':' => {
                text.push(char::from(byte));
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_addresses() {
        assert_eq!(file_url(Path::new("/a b/ü?.html")), "file:///a%20b/%C3%BC%3F.html");
    }
}

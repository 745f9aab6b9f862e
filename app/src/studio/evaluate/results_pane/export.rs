//! Findings as files: a JSON object and the pictures that come with it, where a person wants them, and beside the run that
//! the weights are of.

use std::path::{Path, PathBuf};

use dinoscope_core::analysis::image_out::png;
use dinoscope_core::analysis::write_atomic;
use dinoscope_core::explore::run_of_weights;
use dinoscope_core::files;
use dinoscope_core::train::run::RunFolder;

use crate::studio::evaluate::history::EvaluationRecord;

/// Folder of a run in which cards look for evaluations.
const EVALUATIONS: &str = "evaluations";

/// `knn-scenes.json` and then its pictures, `knn-scenes-confusion.png`.
pub fn names(finding: &EvaluationRecord) -> Vec<String> {
    let stem = stem(finding);
    let pictures = finding.outcome.pictures.iter().map(|shown| format!("{stem}-{}.png", shown.name));
    std::iter::once(format!("{stem}.json")).chain(pictures).collect()
}

/// `knn-scenes`
fn stem(finding: &EvaluationRecord) -> String {
    format!("{}-{}", finding.kind.id(), plain(&finding.data))
}

/// What stands for a name in names of files everywhere.
pub fn plain(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
    let plain: String = name.chars().map(keep).collect();
    match plain.trim_matches(['-', '.']) {
        "" => "pictures".to_owned(),
        plain => plain.to_owned(),
    }
}

/// The content of a file that [`names`] names, by its place there.
fn content(finding: &EvaluationRecord, index: usize) -> Result<Vec<u8>, String> {
    match index.checked_sub(1).and_then(|picture| finding.outcome.pictures.get(picture)) {
        Some(shown) => png(&shown.picture).map_err(|error| error.to_string()),
        None => serde_json::to_vec_pretty(&finding.outcome).map_err(|error| error.to_string()),
    }
}

/// Writes a finding into a folder, which is made if need be.
///
/// # Errors
/// Names the file that could not be written.
pub fn write(finding: &EvaluationRecord, folder: &Path) -> Result<(), String> {
    files::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for (index, name) in names(finding).iter().enumerate() {
        write_atomic(&folder.join(name), &content(finding, index)?).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Writes a finding where a person wants it: into a folder. What was written, in words.
///
/// # Errors
/// Names the file that could not be written.
pub fn save_all(finding: &EvaluationRecord, folder: &Path) -> Result<String, String> {
    write(finding, folder)?;
    let names = names(finding);
    let more = match names.len() {
        1 => String::new(),
        2 => " and a picture".to_owned(),
        n => format!(" and {} pictures", n - 1),
    };
    Ok(format!("Saved {}{more} in {}", names[0], folder.display()))
}

/// Writes the file of a finding that has this name, for the browser to take. What was written, in words.
///
/// # Errors
/// Names the file that could not be written.
pub fn save_one(finding: &EvaluationRecord, file: &Path) -> Result<String, String> {
    let name = crate::studio::evaluate::config::short(file);
    let index = names(finding).iter().position(|known| *known == name);
    let index = index.ok_or_else(|| format!("{name} belongs to a finding that is gone"))?;
    files::write(file, content(finding, index)?).map_err(|error| format!("{name}: {error}"))?;
    Ok(format!("Saved {}", crate::platform::names::saved(file)))
}

/// Writes a finding beside the run whose newest weights these are: `RUN/evaluations/knn-scenes.json`. Older weights leave
/// nothing there, since whoever reads it takes it for the run's.
///
/// # Errors
/// Names the file that could not be written.
pub fn keep(weights: &Path, finding: &EvaluationRecord) -> Result<Option<PathBuf>, String> {
    let Some((folder, step)) = run_of_weights(weights) else { return Ok(None) };
    let Ok(run) = RunFolder::open(&folder) else { return Ok(None) };
    if run.latest_checkpoint().is_none_or(|(newest, _)| newest != step) {
        return Ok(None);
    }
    let to = folder.join(EVALUATIONS);
    write(finding, &to)?;
    Ok(Some(to))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use dinoscope_core::eval::outcome::EvalReport;
    use dinoscope_core::train::Recipe;

    use super::*;
    use crate::studio::evaluate::history::tests::finding;

    #[test]
    fn files_are_called_after_question_and_pictures() {
        let finding = finding("starter weights", &[("weights", 0.5)]);
        assert_eq!(names(&finding), ["knn-scenes.json", "knn-scenes-confusion.png"]);
        let names = ["My pictures (2)", "../..", "", "fashion_mnist.v2", "Straße"].map(plain);
        assert_eq!(names, ["My-pictures--2", "pictures", "pictures", "fashion_mnist.v2", "Stra-e"]);
    }

    #[test]
    fn a_run_keeps_what_was_found_of_its_newest_weights() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nano-001");
        let run = RunFolder::create(&path, &Recipe::preset("nano").unwrap()).unwrap();
        for step in ["000500", "001000"] {
            std::fs::create_dir_all(run.checkpoints().join(step)).unwrap();
            std::fs::write(run.checkpoints().join(step).join("state.json"), "{}").unwrap();
        }
        let finding = finding("nano-001 after 1000 steps", &[("weights", 0.5)]);
        let of = |step: &str| run.checkpoints().join(step).join("teacher.safetensors");
        assert_eq!(keep(&of("000500"), &finding).unwrap(), None);
        assert_eq!(keep(Path::new("/weights/vit.pth"), &finding).unwrap(), None);
        assert_eq!(keep(&of("001000"), &finding).unwrap(), Some(path.join("evaluations")));
        let text = std::fs::read(path.join("evaluations/knn-scenes.json")).unwrap();
        let back: EvalReport = serde_json::from_slice(&text).unwrap();
        assert_eq!(back.rows, finding.outcome.rows);
        assert!(path.join("evaluations/knn-scenes-confusion.png").is_file());
    }
}

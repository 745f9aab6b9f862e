//! What a run's pictures are normalised by, where that is measured: once, as it begins.

use crate::data::RGB;
use crate::data::channels::ChannelStatistics;
use crate::data::measured::measured;
use crate::files;
use crate::train::protocol::{EngineError, TrainJob};
use crate::train::recipe::PixelChoice;
use crate::train::run::replace;

/// Where a run keeps it.
pub(in crate::train) const FILE: &str = "pixels.json";
/// Pictures that are measured.
const MEASURED: usize = 1000;

/// Puts what the job's pictures are normalised by into its recipe: what the run has kept, or what is measured now and kept.
/// Gives what a person should know.
///
/// # Errors
/// When no picture can be loaded, or the disk refuses.
pub(in crate::train) fn settle(job: &mut TrainJob) -> Result<Option<String>, EngineError> {
    let channels = job.recipe.data.channels;
    if channels == RGB || job.recipe.data.normalize != PixelChoice::Auto {
        return Ok(None);
    }
    let file = job.folder.as_ref().map(|folder| folder.path().join(FILE));
    let kept = file.as_ref().filter(|_| job.resume).and_then(|file| {
        let pixels: ChannelStatistics = serde_json::from_slice(&files::read(file).ok()?).ok()?;
        (pixels.is_sound() && pixels.channels() == channels).then_some(pixels)
    });
    if let Some(kept) = kept {
        job.recipe.data.measured = Some(kept);
        return Ok(None);
    }
    let found = measured(job.sources.train.as_ref(), channels, MEASURED).map_err(EngineError::Data)?;
    if let Some(file) = &file {
        replace(file, &serde_json::to_string_pretty(&found).unwrap_or_default())?;
    }
    let said = format!(
        "pictures are normalised by what was measured on {} of them: data.normalize = \"{}\"",
        MEASURED.min(job.sources.train.len()),
        PixelChoice::Given(found.clone())
    );
    job.recipe.data.measured = Some(found);
    Ok(Some(said))
}

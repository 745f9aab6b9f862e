//! Pictures in a page's memory: files that a person has given are decoded by a worker, and no frame waits for a batch of
//! pictures to be drawn.

use std::path::Path;
use std::sync::Arc;

use dinoscope_core::data::augment::resize_to;
use dinoscope_core::data::decode::DecodeOptions;
use dinoscope_core::data::source::LabelledSplit;
use dinoscope_core::data::source::PictureSource;
use dinoscope_core::data::source::idx::IdxSource;
use dinoscope_core::data::{DataError, Picture};
use dinoscope_core::eval::data::EvaluationData;

use crate::platform::pictures;
use crate::platform::tasks::yield_now;
use crate::studio::evaluate::config::EvaluationConfig;

/// Pictures as they will be looked at, but for the cut.
struct PreloadedSource {
    of: Arc<dyn PictureSource>,
    pictures: Vec<Result<Picture, String>>,
}

impl PictureSource for PreloadedSource {
    fn len(&self) -> usize {
        self.of.len()
    }
    fn name(&self, index: usize) -> String {
        self.of.name(index)
    }
    fn label(&self, index: usize) -> Option<usize> {
        self.of.label(index)
    }
    fn classes(&self) -> &[String] {
        self.of.classes()
    }
    fn load(&self, index: usize) -> Result<Picture, DataError> {
        match self.pictures.get(index) {
            Some(Ok(picture)) => Ok(picture.clone()),
            Some(Err(reason)) => Err(DataError::Told(reason.clone())),
            None => self.of.load(index),
        }
    }
    fn origin(&self) -> Option<&str> {
        self.of.origin()
    }
    fn notes(&self) -> &[String] {
        self.of.notes()
    }
}

/// Brings all pictures into memory, with so many channels, `side` pixels being looked at. `on_progress` is told how many are done of how many, and answers
/// whether to go on; nothing when it said no.
pub async fn held(
    pictures: &EvaluationData,
    setup: &EvaluationConfig,
    (side, channels): (usize, usize),
    on_progress: &mut impl AsyncFnMut(usize, usize) -> bool,
) -> Option<EvaluationData> {
    let parts: Vec<&Arc<dyn PictureSource>> = match pictures {
        EvaluationData::Labelled(LabelledSplit { train, test }) => vec![train, test],
        EvaluationData::All(all) => vec![all],
        // Scenes alone, which the program draws.
        EvaluationData::Dense(_) | EvaluationData::Moving(_) => return Some(pictures.clone()),
    };
    let total = parts.iter().map(|part| part.len()).sum();
    let mut done = 0;
    let mut held: Vec<Arc<dyn PictureSource>> = Vec::new();
    for of in parts {
        let mut pictures = Vec::with_capacity(of.len());
        for index in 0..of.len() {
            let loaded = match setup.path().filter(|path| !IdxSource::recognizes(path)) {
                Some(folder) => decode(&folder, &of.name(index), side, channels).await,
                None => of.load(index),
            };
            pictures.push(loaded.map_err(|error| error.to_string()));
            done += 1;
            yield_now().await;
            if !on_progress(done, total).await {
                return None;
            }
        }
        held.push(Arc::new(PreloadedSource { of: of.clone(), pictures }));
    }
    let last = held.pop()?;
    Some(match held.pop() {
        Some(train) => EvaluationData::Labelled(LabelledSplit { train, test: last }),
        None => EvaluationData::All(last),
    })
}

/// A picture of a folder, made as small as it is looked at: a photograph would fill the page's memory.
async fn decode(folder: &Path, name: &str, side: usize, channels: usize) -> Result<Picture, DataError> {
    let options = DecodeOptions { channels, ..DecodeOptions::default() };
    let picture = pictures::decode(&folder.join(name), options).await?.picture;
    // As evaluation itself makes them before it cuts the middle out, so that figures are those of the desktop.
    let short = (side * 256 / 224).max(1);
    let shorter = picture.width.min(picture.height).max(1);
    let (width, height) = (short * picture.width / shorter, short * picture.height / shorter);
    Ok(if shorter > short { resize_to(&picture, width, height) } else { picture })
}

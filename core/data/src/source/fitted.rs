//! The pictures of a source, all with as many channels as a model takes.

use std::path::PathBuf;
use std::sync::Arc;

use super::PictureSource;
use crate::channels::{fitted, misfit};
use crate::{DataError, Picture, RGB};

/// Another source whose pictures are brought to a number of channels; those that can't be are refused by name.
pub struct FittedSource {
    of: Arc<dyn PictureSource>,
    channels: usize,
}

impl FittedSource {
    /// The same pictures with so many channels.
    pub fn of(source: Arc<dyn PictureSource>, channels: usize) -> Arc<dyn PictureSource> {
        // Every picture has colours unless it was asked for others.
        if channels == RGB { source } else { Arc::new(Self { of: source, channels }) }
    }

    fn brought(&self, index: usize, picture: Picture) -> Result<Picture, DataError> {
        match fitted(&picture, self.channels) {
            Some(fitted) => Ok(fitted.into_owned()),
            None => Err(DataError::Decode {
                name: self.of.name(index),
                reason: misfit(picture.channels, self.channels),
            }),
        }
    }
}

impl PictureSource for FittedSource {
    fn len(&self) -> usize {
        self.of.len()
    }
    fn name(&self, index: usize) -> String {
        self.of.name(index)
    }
    fn below(&self, index: usize) -> String {
        self.of.below(index)
    }
    fn label(&self, index: usize) -> Option<usize> {
        self.of.label(index)
    }
    fn classes(&self) -> &[String] {
        self.of.classes()
    }
    fn file(&self, index: usize) -> Option<PathBuf> {
        self.of.file(index)
    }
    fn decoding(&self, index: usize) -> u64 {
        self.of.decoding(index)
    }
    fn load(&self, index: usize) -> Result<Picture, DataError> {
        self.of.load(index).and_then(|picture| self.brought(index, picture))
    }
    fn views(&self, index: usize) -> usize {
        self.of.views(index)
    }
    fn load_views(&self, index: usize) -> Result<Picture, DataError> {
        self.of.load_views(index).and_then(|picture| self.brought(index, picture))
    }
    fn origin(&self) -> Option<&str> {
        self.of.origin()
    }
    fn notes(&self) -> &[String] {
        self.of.notes()
    }
    fn file_notes(&self) -> Vec<String> {
        self.of.file_notes()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::source::scenes::ScenesSource;

    #[test]
    fn drawn_pictures_are_brought_to_what_a_model_takes() {
        let scenes: Arc<dyn PictureSource> = Arc::new(ScenesSource::new(1, 2, 16));
        let (grey, four) = (FittedSource::of(scenes.clone(), 1), FittedSource::of(scenes.clone(), 4));
        assert_eq!((grey.load(1).unwrap().channels, four.load_views(1).unwrap().channels), (1, 4));
        assert_eq!(FittedSource::of(scenes.clone(), 3).load(0).unwrap(), scenes.load(0).unwrap());
        let message = FittedSource::of(scenes.clone(), 13).load(1).unwrap_err().to_string();
        assert!(message.contains(&scenes.name(1)) && message.contains("13 channels"), "{message}");
    }
}

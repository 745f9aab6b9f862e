//! Collections whose pictures are known by their number, so that pictures without a class can be judged as well.

use std::sync::Arc;

use dinoscope_data::source::LabelledSplit;
use dinoscope_data::source::PictureSource;
use dinoscope_data::{DataError, Picture};

/// A source that labels each picture with its position: rows of features then say which picture they are of, even
/// where others could not be loaded.
pub(super) struct IndexAsLabel(pub(super) Arc<dyn PictureSource>);

impl PictureSource for IndexAsLabel {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn name(&self, index: usize) -> String {
        self.0.name(index)
    }
    fn label(&self, index: usize) -> Option<usize> {
        Some(index)
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn decoding(&self, index: usize) -> u64 {
        self.0.decoding(index)
    }
    fn load(&self, index: usize) -> Result<Picture, DataError> {
        self.0.load(index)
    }
    fn origin(&self) -> Option<&str> {
        self.0.origin()
    }
    fn notes(&self) -> &[String] {
        self.0.notes()
    }
    fn file_notes(&self) -> Vec<String> {
        self.0.file_notes()
    }
}

/// No pictures, for the half that is not wanted.
struct EmptySource;

impl PictureSource for EmptySource {
    fn len(&self) -> usize {
        0
    }
    fn name(&self, _: usize) -> String {
        String::new()
    }
    fn label(&self, _: usize) -> Option<usize> {
        None
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn load(&self, index: usize) -> Result<Picture, DataError> {
        Err(DataError::Told(format!("there is no picture {index}")))
    }
}

/// All pictures of a source, numbered, in the first half; the second is empty.
pub(super) fn alone(source: &Arc<dyn PictureSource>) -> LabelledSplit {
    LabelledSplit { train: Arc::new(IndexAsLabel(source.clone())), test: Arc::new(EmptySource) }
}

/// `; from root/train and root/val together`, where that has to be said.
pub(super) fn from(source: &dyn PictureSource) -> String {
    source.origin().map_or(String::new(), |origin| format!("; from {origin}"))
}

/// The positions of pictures that have a class.
pub(super) fn with_class(source: &dyn PictureSource) -> Vec<usize> {
    (0..source.len()).filter(|i| source.label(*i).is_some()).collect()
}

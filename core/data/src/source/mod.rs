//! Collections of pictures: folders, lists, archives, IDX pairs, those that others hand out by name, those that the program draws itself.

mod archive;
pub mod builtin;
pub mod datasets;
pub mod dense;
pub mod fitted;
pub mod folder;
pub mod gathered;
pub mod halves;
pub mod idx;
pub mod joined;
mod labelled;
pub mod listed;
pub mod matched;
pub mod places;
pub mod procedural;
pub mod scenes;
pub mod subset;

pub use listed::{csv, listing, pattern};

use std::path::PathBuf;

pub use labelled::LabelledSplit;

use super::{DataError, Picture};

/// A collection of pictures that can be read in any order from any thread.
pub trait PictureSource: Send + Sync {
    /// How many pictures there are. Never zero.
    fn len(&self) -> usize;
    /// Always false; a source without pictures is refused when it is opened.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// A name a person can find the picture by: a path relative to the source, or `scene 17`.
    fn name(&self, index: usize) -> String;
    /// The name without what tells several places apart: the same wherever they lie.
    fn below(&self, index: usize) -> String {
        self.name(index)
    }
    /// The class of a picture, an index into [`PictureSource::classes`], where the source has labels.
    fn label(&self, index: usize) -> Option<usize>;
    /// Names of the classes; empty where the source has no labels.
    fn classes(&self) -> &[String];
    /// The file that the picture lies in by itself, where there is one.
    fn file(&self, _index: usize) -> Option<PathBuf> {
        None
    }
    /// Bytes of memory that [`PictureSource::load`] takes at once for a picture, where they may be many; 0 elsewhere.
    fn decoding(&self, _index: usize) -> u64 {
        0
    }
    /// The picture itself, decoded.
    fn load(&self, index: usize) -> Result<Picture, DataError>;
    /// In how many views a picture shows the same thing, for training; 1 where it is only itself.
    fn views(&self, _index: usize) -> usize {
        1
    }
    /// All [`PictureSource::views`] of a picture, of one width, side by side.
    fn load_views(&self, index: usize) -> Result<Picture, DataError> {
        self.load(index)
    }
    /// Where its pictures come from, when that is not all of what was named: `root/train`. Without the folders above.
    fn origin(&self) -> Option<&str> {
        None
    }
    /// What else a person should know of how its pictures were chosen.
    fn notes(&self) -> &[String] {
        &[]
    }
    /// What a person should know about its files: those that were left out, how deep ones are read. Looks at some of
    /// them, so it is asked for once.
    fn file_notes(&self) -> Vec<String> {
        Vec::new()
    }
}

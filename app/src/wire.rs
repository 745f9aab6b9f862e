//! What a page and its workers say to each other: postcard, one value in each message.
//!
//! A worker shares no memory with the page. What it has to know goes along, what it writes comes back.

use std::path::PathBuf;

use dinoscope_core::data::Picture;
use dinoscope_core::engine::{Command, Ended, Event};
use dinoscope_core::explore::{ModelSource, RemoteModel, Seen, Way};
use dinoscope_core::files::Change;
use dinoscope_core::train::preview::PreviewItem;
use dinoscope_core::train::watch::Look;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// From the page.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Files that are needed for what comes next.
    Files(Vec<Change>),
    /// A picture from a file.
    Decode(PathBuf),
    /// A scene that the program draws itself: seed, number, side.
    Scene(u64, usize, usize),
    /// What a step is given, of a recipe as TOML: the step, and of how many pictures.
    Preview(String, u64, usize),
    /// A model to look with from now on.
    Open(ModelSource),
    /// Features and attention of a view.
    Look(Box<Picture>, Way),
    /// A run.
    Train(Box<Start>),
    /// Something for the run.
    Command(Command),
}

/// A run to start. Its folder is among the files.
#[derive(Debug, Serialize, Deserialize)]
pub struct Start {
    /// Every value resolved, as TOML.
    pub recipe: String,
    /// Where the run is kept.
    pub folder: PathBuf,
    /// Go on from the folder's newest checkpoint.
    pub resume: bool,
    /// Pictures to watch; some that belong to the recipe without.
    pub watch: Vec<Picture>,
    /// Whether the GPU computes.
    pub gpu: bool,
}

/// From a worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Order::Decode`] and [`Order::Scene`].
    Decoded(Result<Picture, String>),
    /// To [`Order::Preview`].
    Previewed(Result<Vec<PreviewItem>, String>),
    /// To [`Order::Open`].
    Opened(Result<RemoteModel, String>),
    /// To [`Order::Look`].
    Seen(Result<Box<Seen>, String>),
    /// What the run has written.
    Files(Vec<Change>),
    /// What happens in the run.
    Event(Box<Event>),
    /// Its newest pictures.
    Pictures(Box<Look>),
    /// It ended too early.
    Ended(Ended),
}

/// A value with the number of the question that it belongs to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Letter<T> {
    /// Given by who asks; 0 where no answer is expected.
    pub number: u32,
    /// What is said.
    pub content: T,
}

/// As bytes.
///
/// # Errors
/// Something holds a value that stays where it is, such as a GPU's buffer.
pub fn seal<T: Serialize>(number: u32, content: T) -> Result<Vec<u8>, String> {
    let sealed = postcard::to_stdvec(&Letter { number, content });
    sealed.map_err(|error| format!("a message can't be written: {error}"))
}

/// From bytes.
///
/// # Errors
/// They come from another version of the page.
pub fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<Letter<T>, String> {
    let opened = postcard::from_bytes(bytes);
    opened.map_err(|error| format!("a message can't be read: {error}. Reload the page."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn letters_arrive_as_they_were_sent() {
        let picture = Picture { width: 2, height: 1, rgb: vec![1, 2, 3, 250, 251, 252] };
        let start = Start {
            recipe: "preset = \"nano\"".to_owned(),
            folder: "/runs/nano-001".into(),
            resume: true,
            watch: vec![picture],
            gpu: true,
        };
        let opened: Letter<Order> = open(&seal(7, Order::Train(Box::new(start))).unwrap()).unwrap();
        let Order::Train(start) = opened.content else { panic!("another order") };
        assert_eq!((opened.number, start.watch[0].rgb[5], start.gpu), (7, 252, true));
        assert!(open::<Order>(&[0xff; 3]).unwrap_err().contains("Reload"));
    }
}

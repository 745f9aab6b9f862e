//! What a page and its workers say to each other: postcard, one value in each message.
//!
//! A worker shares no memory with the page. What it has to know goes along, what it writes comes back.

use std::path::PathBuf;

use dinoscope_core::data::Picture;
use dinoscope_core::data::decode::LeastPictureSize;
use dinoscope_core::data::decode::animation::ReducedFrames;
use dinoscope_core::engine::{RunCommand, RunEvent, SerializableEngineError};
use dinoscope_core::explore::{ModelSource, OpenModelInfo, PictureInspection, ViewQuery};
use dinoscope_core::files::FileChange;
use dinoscope_core::train::preview::PreviewItem;
use dinoscope_core::train::watch::WatchSnapshot;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// From the page.
#[derive(Debug, Serialize, Deserialize)]
pub enum WorkerRequest {
    /// Files that are needed for what comes next.
    Files(Vec<FileChange>),
    /// A picture from a file, of the size that is enough or with all its pixels.
    Decode(PathBuf, Option<LeastPictureSize>, usize),
    /// The frames of a file: none of their sides longer than this, and at most so many.
    Frames(PathBuf, usize, usize),
    /// A scene that the program draws itself: seed, number, side.
    Scene(u64, usize, usize),
    /// What a step is given, of a recipe as TOML: the step, and of how many pictures.
    Preview(String, u64, usize),
    /// A model to look with from now on.
    Open(ModelSource),
    /// Features and attention of a view.
    Look(Box<Picture>, ViewQuery),
    /// A run.
    Train(Box<StartRunRequest>),
    /// Something for the run.
    Command(RunCommand),
}

/// A run to start. Its folder is among the files.
#[derive(Debug, Serialize, Deserialize)]
pub struct StartRunRequest {
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
pub enum WorkerResponse {
    /// To [`WorkerRequest::Decode`] and [`WorkerRequest::Scene`]: a picture, and the width and height that the file's has.
    Decoded(Result<(Picture, (usize, usize)), String>),
    /// To [`WorkerRequest::Frames`].
    Frames(Result<ReducedFrames, String>),
    /// To [`WorkerRequest::BatchPreview`].
    Previewed(Result<Vec<PreviewItem>, String>),
    /// To [`WorkerRequest::Open`].
    Opened(Result<OpenModelInfo, String>),
    /// To [`WorkerRequest::WatchSnapshot`].
    Seen(Result<Box<PictureInspection>, String>),
    /// What the run has written.
    Files(Vec<FileChange>),
    /// What happens in the run.
    Event(Box<RunEvent>),
    /// Its newest pictures.
    Pictures(Box<WatchSnapshot>),
    /// It ended too early.
    Ended(SerializableEngineError),
}

/// A value with the number of the question that it belongs to.
#[derive(Debug, Serialize, Deserialize)]
pub struct WorkerEnvelope<T> {
    /// Given by who asks; 0 where no answer is expected.
    pub number: u32,
    /// What is said.
    pub content: T,
}

/// As bytes.
///
/// # Errors
/// Something holds a value that stays where it is, such as a GPU's buffer.
pub fn encode<T: Serialize>(number: u32, content: T) -> Result<Vec<u8>, String> {
    let sealed = postcard::to_stdvec(&WorkerEnvelope { number, content });
    sealed.map_err(|error| format!("a message can't be written: {error}"))
}

/// From bytes.
///
/// # Errors
/// They come from another version of the page.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<WorkerEnvelope<T>, String> {
    let opened = postcard::from_bytes(bytes);
    opened.map_err(|error| format!("a message can't be read: {error}. Reload the page."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn letters_arrive_as_they_were_sent() {
        let picture = Picture::of_rgb(2, 1, vec![1, 2, 3, 250, 251, 252]);
        let start = StartRunRequest {
            recipe: "preset = \"nano\"".to_owned(),
            folder: "/runs/nano-001".into(),
            resume: true,
            watch: vec![picture],
            gpu: true,
        };
        let opened: WorkerEnvelope<WorkerRequest> =
            decode(&encode(7, WorkerRequest::Train(Box::new(start))).unwrap()).unwrap();
        let WorkerRequest::Train(start) = opened.content else { panic!("another order") };
        assert_eq!((opened.number, start.watch[0].rgb[5], start.gpu), (7, 252, true));
        assert!(decode::<WorkerRequest>(&[0xff; 3]).unwrap_err().contains("Reload"));
    }
}

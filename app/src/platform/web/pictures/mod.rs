//! Decoding and drawing pictures: in a worker, for a large photograph takes longer than many frames.

mod video;

use std::path::Path;
use std::rc::Rc;

use dinoscope_core::data::decode::animation::ReducedFrames;
use dinoscope_core::data::decode::{DecodeOptions, DecodedPicture};
use dinoscope_core::data::{DataError, Picture, archive};
use dinoscope_core::files::{self, FileChange};

use super::workers::{WorkerClient, WorkerSlot};
use crate::wire::{WorkerRequest, WorkerResponse};

/// Kinds of files beside pictures that frames can be had of.
pub const VIDEOS: &[&str] = &video::EXTENSIONS;

/// Whether pictures of files can be had from [`decode`] alone: the page may be the only one to have them.
pub const BY_WORKER_ALONE: bool = true;

/// Most bytes of a picture's file in an archive.
const MOST: u64 = 512 << 20;

/// Seconds that nothing may have been asked before the sample picture is looked at: the first picture of a person's own
/// is worth more than ours.
pub const SAMPLE_IDLE: f64 = 1.2;

thread_local! {
    static DECODER: WorkerSlot = WorkerSlot::default();
}

/// The worker that decodes.
pub(super) fn decoder() -> Result<Rc<WorkerClient>, String> {
    DECODER.with(WorkerSlot::worker).map(|(worker, _)| worker)
}

/// How many decode at once: a page has one worker for it.
pub fn decoders() -> usize {
    1
}

/// Asks the worker that decodes for a picture.
async fn picture(order: WorkerRequest, path: Option<&Path>) -> Result<DecodedPicture, DataError> {
    let worker = decoder().map_err(DataError::Told)?;
    let mut lent = None;
    if let Some(path) = path {
        // The worker gets what is in an archive alone, for as long as it takes.
        let changes = match archive::read(path, MOST) {
            Some(member) => {
                lent = Some(path);
                vec![FileChange::Write { path: path.to_owned(), bytes: member? }]
            }
            None => files::snapshot(path),
        };
        worker.tell(WorkerRequest::Files(changes), &[path]).map_err(DataError::Told)?;
    }
    let answer = worker.ask(order, &[]).await;
    if let Some(path) = lent {
        let gone = vec![FileChange::Remove { path: path.to_owned() }];
        worker.tell(WorkerRequest::Files(gone), &[]).map_err(DataError::Told)?;
    }
    match answer.map_err(DataError::Told)? {
        WorkerResponse::Decoded(decoded) => {
            let (picture, size) = decoded.map_err(DataError::Told)?;
            Ok(DecodedPicture { picture, size, depth: None })
        }
        other => Err(DataError::Told(odd(&other))),
    }
}

pub(super) fn odd(answer: &WorkerResponse) -> String {
    format!("the worker answered something else: {answer:?}")
}

/// Decodes a file, to the size that is enough or with all its pixels and with the channels that are asked for, in a worker: a large photograph takes longer than many
/// frames.
///
/// # Errors
/// The file is no picture, or can't be read.
pub async fn decode(path: &Path, options: DecodeOptions) -> Result<DecodedPicture, DataError> {
    let DecodeOptions { least, channels, .. } = options;
    picture(WorkerRequest::Decode(path.to_owned(), least, channels), Some(path)).await
}

/// At most `most` frames of a file, an animation, a video or one picture, none of their sides longer than `side` pixels; decoded in a
/// worker.
///
/// # Errors
/// It is no picture, or can't be read.
pub async fn frames(path: &Path, side: usize, most: usize) -> Result<ReducedFrames, DataError> {
    if video::is_video(path) {
        return video::frames(path, side, most).await;
    }
    let worker = decoder().map_err(DataError::Told)?;
    worker.tell(WorkerRequest::Files(files::snapshot(path)), &[path]).map_err(DataError::Told)?;
    let order = WorkerRequest::Frames(path.to_owned(), side, most);
    match worker.ask(order, &[]).await.map_err(DataError::Told)? {
        WorkerResponse::Frames(frames) => frames.map_err(DataError::Told),
        other => Err(DataError::Told(odd(&other))),
    }
}

/// Draws a scene in a worker.
///
/// # Errors
/// The worker failed.
pub async fn scene(seed: u64, index: usize, side: usize) -> Result<Picture, DataError> {
    picture(WorkerRequest::Scene(seed, index, side), None).await.map(|drawn| drawn.picture)
}

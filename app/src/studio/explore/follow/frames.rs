//! Frames on their way in: pictures, folders and animations, decoded beside the frames of the window.

use std::path::PathBuf;
use std::sync::Arc;

use dinoscope_core::data::Picture;
use dinoscope_core::data::decode::animation::no_longer_than;
use dinoscope_core::data::source::listing;
use dinoscope_core::explore::PictureId;

use crate::platform::pictures;
use crate::platform::tasks::{Wake, yield_now};
use crate::studio::background::task::{BackgroundTask, CancelFlag, TaskEventSender};
use crate::studio::explore::pixel_store::{ImageOrigin, PixelStore};

/// Most frames that are taken.
pub const MOST: usize = 600;

/// A frame.
#[derive(Clone, Debug)]
pub struct FollowFrame {
    /// The file that it is of, as tables call it.
    pub file: String,
    /// The frame, made as small as it is looked at and drawn.
    pub picture: Arc<Picture>,
    /// Width and height before that.
    pub size: [usize; 2],
}

/// Where frames are.
pub enum FrameSource {
    /// Files and folders.
    Paths(Vec<PathBuf>),
    /// Pictures of the gallery.
    Pictures(Vec<(PictureId, String, ImageOrigin)>),
}

/// What is said on the way.
enum FrameLoadEvent {
    Frame(FollowFrame),
    Refused(String),
    /// There are more than are taken.
    More,
}

/// The frames that are there, and those that come.
#[derive(Default)]
pub struct FrameLoader {
    work: Option<BackgroundTask<FrameLoadEvent>>,
    /// Those that are there, in order.
    pub frames: Vec<FollowFrame>,
    /// Whether there are more than are taken.
    pub more: bool,
    /// A number that changes with what was opened.
    pub set: u64,
}

impl FrameLoader {
    /// Opens others in place of those before; none of their sides is longer than `side` then.
    pub fn open(&mut self, source: FrameSource, side: usize, pixels: Arc<PixelStore>, wake: &Wake) {
        self.close();
        self.work = Some(BackgroundTask::start_async("frames", wake, async move |events, stop| {
            load(source, side, &pixels, &events, &stop).await;
        }));
    }

    /// Puts all away.
    pub fn close(&mut self) {
        *self = Self { set: self.set + 1, ..Self::default() };
    }

    /// Whether some are still on their way.
    pub fn busy(&self) -> bool {
        self.work.is_some()
    }

    /// Takes in what has come; what could not be opened, with the reason.
    pub fn listen(&mut self) -> Vec<String> {
        let mut refused = Vec::new();
        let Some(work) = &mut self.work else { return refused };
        while let Some(event) = work.receive() {
            match event {
                FrameLoadEvent::Frame(frame) => self.frames.push(frame),
                FrameLoadEvent::Refused(reason) => refused.push(reason),
                FrameLoadEvent::More => self.more = true,
            }
        }
        if work.over() {
            refused.extend(work.refused().map(|reason| format!("Frames can't be opened: {reason}")));
            self.work = None;
        }
        refused
    }
}

async fn load(
    source: FrameSource,
    side: usize,
    pixels: &PixelStore,
    events: &TaskEventSender<FrameLoadEvent>,
    stop: &CancelFlag,
) {
    let mut left = MOST;
    match source {
        FrameSource::Paths(paths) => {
            for path in files(paths, events) {
                if stop.asked() {
                    return;
                }
                if left == 0 {
                    return events.say(FrameLoadEvent::More);
                }
                match pictures::frames(&path, side, left).await {
                    Ok(found) => {
                        left -= found.frames.len();
                        let (file, size) = (path.display().to_string(), [found.size.0, found.size.1]);
                        for picture in found.frames {
                            let frame = FollowFrame { file: file.clone(), picture: Arc::new(picture), size };
                            events.say(FrameLoadEvent::Frame(frame));
                        }
                        if found.more {
                            return events.say(FrameLoadEvent::More);
                        }
                    }
                    Err(error) => events.say(FrameLoadEvent::Refused(error.to_string())),
                }
                yield_now().await;
            }
        }
        FrameSource::Pictures(pictures) => {
            if pictures.len() > left {
                events.say(FrameLoadEvent::More);
            }
            for (id, file, origin) in pictures.into_iter().take(left) {
                if stop.asked() {
                    return;
                }
                events.say(match pixels.load(id, &origin).await {
                    Ok(picture) => {
                        let size = [picture.width, picture.height];
                        let picture = Arc::new(no_longer_than((*picture).clone(), side));
                        FrameLoadEvent::Frame(FollowFrame { file, picture, size })
                    }
                    Err(error) => FrameLoadEvent::Refused(error.to_string()),
                });
                yield_now().await;
            }
        }
    }
}

/// The files of what was named: those of folders in the order of their names, as several that were chosen.
fn files(mut paths: Vec<PathBuf>, events: &TaskEventSender<FrameLoadEvent>) -> Vec<PathBuf> {
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        match listing::list(&path) {
            Ok((found, _)) => files.extend(found),
            Err(error) => events.say(FrameLoadEvent::Refused(error.to_string())),
        }
    }
    files
}

//! Pixels of the pictures that are open: each file is decoded once for everything that is made of it.
//!
//! Thumbnails, what is drawn large and what the model is given are wished for by different sides at different times. They
//! all ask here. Whoever decodes a file makes at once all that is wished of it, so that the whole pictures, many megabytes
//! each, need not be kept.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use async_channel::{Receiver, Sender, bounded};
use dinoscope_core::data::{DataError, Picture};
use dinoscope_core::explore::PictureId;
use dinoscope_core::features::whole_view;

use crate::platform::pictures;
use crate::studio::background::work_queue::SharedWorkQueue;

/// Bytes of whole pictures that are kept, of those that were drawn large.
const CACHE: usize = 192 << 20;
/// Bytes of pictures as the model is given them that wait to be looked at.
const VIEWS: usize = 64 << 20;
/// What is said to who still waits at the end.
const CLOSED: &str = "pictures are no longer decoded";
/// Side of a built-in scene.
const SCENE: usize = 512;
/// Away from the seeds of training and evaluation.
const SCENE_SEED: u64 = 9 << 40;

/// Where a picture's pixels are.
#[derive(Clone, Debug)]
pub enum ImageOrigin {
    /// A file.
    File(PathBuf),
    /// In memory: pasted, or taken with a camera.
    Memory(Arc<Picture>),
    /// A scene that the program draws itself.
    Scene(usize),
}

/// A picture whose pixels are asked for.
pub type Wish = (PictureId, ImageOrigin);

/// How a model is given pictures: see [`whole_view`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelViewShape {
    /// Shorter side in pixels.
    pub resolution: usize,
    /// Side of a patch.
    pub patch: usize,
}

/// A whole picture, or why there is none.
type Whole = Result<Arc<Picture>, String>;

/// What there is of a picture.
enum PixelLookup {
    View(Arc<Picture>),
    Whole(Arc<Picture>),
    Coming(Receiver<Whole>),
}

/// What is wished for and what is there.
#[derive(Default)]
struct PixelStoreState {
    walks: Vec<Vec<PathBuf>>,
    /// Thumbnails in view that are missing, most urgent first.
    thumbs: Vec<Wish>,
    /// Large pictures that are missing.
    large: Vec<Wish>,
    /// Pictures that somebody waits for.
    urgent: VecDeque<Wish>,
    waiting: HashMap<PictureId, Vec<Sender<Whole>>>,
    /// Being decoded.
    at_work: HashSet<PictureId>,
    /// Of those, the ones that will be drawn large.
    pressing: HashSet<PictureId>,
    /// Taken from the wishes; the frames have not heard of the result yet and go on wishing.
    held: HashSet<PictureId>,
    /// How the model is given pictures, and which it will look at.
    looks: Option<(ModelViewShape, HashSet<PictureId>)>,
    views: HashMap<(PictureId, ModelViewShape), Arc<Picture>>,
    kept: VecDeque<(PictureId, Arc<Picture>)>,
    decoded: u64,
    closed: bool,
}

/// What a hand does next.
pub enum DecodeJob {
    /// Look for pictures in files and folders.
    Walk(Vec<PathBuf>),
    /// Decode a picture, and make what is wished of it.
    Decode(PictureId, ImageOrigin),
}

/// What is to be made of a picture that was decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeTargets {
    /// A thumbnail.
    pub thumb: bool,
    /// The picture to draw large.
    pub large: bool,
}

/// Everybody's pixels.
#[derive(Default)]
pub struct PixelStore {
    state: Mutex<PixelStoreState>,
    queue: OnceLock<Weak<SharedWorkQueue<Arc<PixelStore>>>>,
}

impl PixelStore {
    fn state(&self) -> MutexGuard<'_, PixelStoreState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose hands decode.
    pub fn belongs_to(&self, queue: &Arc<SharedWorkQueue<Arc<Self>>>) {
        let _ = self.queue.set(Arc::downgrade(queue));
    }

    /// Hands that rest look again at what there is to do.
    fn ring(&self) {
        if let Some(queue) = self.queue.get().and_then(Weak::upgrade) {
            queue.write(|_| ());
        }
    }

    /// Nobody decodes any more: whoever waits is told so.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting.clear();
    }

    /// Looks for pictures in files and folders.
    pub fn walk(&self, paths: Vec<PathBuf>) {
        self.state().walks.push(paths);
        self.ring();
    }

    /// Which thumbnails and large pictures are missing, most urgent first, in place of what was missing before.
    pub fn want(&self, thumbs: Vec<Wish>, large: Vec<Wish>) {
        let idle = thumbs.is_empty() && large.is_empty();
        {
            let mut state = self.state();
            (state.thumbs, state.large) = (thumbs, large);
        }
        if !idle {
            self.ring();
        }
    }

    /// Which pictures the model will look at, and how, in place of those before.
    pub fn expect(&self, shape: ModelViewShape, pictures: HashSet<PictureId>) {
        let mut state = self.state();
        state.views.retain(|(id, made), _| *made == shape && pictures.contains(id));
        state.looks = Some((shape, pictures));
    }

    /// The frames have taken in what was made of a picture: what they wish for from now on is missing indeed.
    pub fn heard(&self, id: PictureId) {
        self.state().held.remove(&id);
    }

    /// The most urgent thing to do; `thumbs` says whether the hand makes thumbnails too.
    pub fn next(&self, thumbs: bool) -> Option<DecodeJob> {
        let mut state = self.state();
        if thumbs && let Some(paths) = state.walks.pop() {
            return Some(DecodeJob::Walk(paths));
        }
        let free = |state: &PixelStoreState, list: &[Wish]| {
            list.iter().find(|(id, _)| !state.held.contains(id) && !state.at_work.contains(id)).cloned()
        };
        let pressing = match state.urgent.pop_front() {
            Some(wish) => Some(wish),
            None => free(&state, &state.large),
        };
        // What is looked at comes first, with all cores; thumbnails follow a moment later.
        let wish = match pressing {
            Some((id, origin)) => {
                if state.large.iter().any(|(large, _)| *large == id) {
                    state.pressing.insert(id);
                }
                Some((id, origin))
            }
            None if thumbs && state.pressing.is_empty() => free(&state, &state.thumbs),
            None => None,
        };
        let (id, origin) = wish?;
        // Whoever waits for it has it from this hand.
        state.urgent.retain(|(wished, _)| *wished != id);
        state.at_work.insert(id);
        state.held.insert(id);
        Some(DecodeJob::Decode(id, origin))
    }

    /// Decodes a picture, hands it to all who wait for it, and says what else is to be made of it.
    ///
    /// # Errors
    /// Why it can't be decoded.
    pub async fn decode(
        &self,
        id: PictureId,
        origin: &ImageOrigin,
    ) -> Result<(Arc<Picture>, DecodeTargets), String> {
        let kept = self.state().kept.iter().find(|(kept, _)| *kept == id).map(|(_, picture)| picture.clone());
        let whole = match kept {
            Some(picture) => Ok(picture),
            None => {
                self.state().decoded += 1;
                decoded(origin).await.map_err(|error| error.to_string())
            }
        };
        if let Ok(picture) = &whole {
            self.make_view(id, origin, picture);
        }
        let made = {
            let mut state = self.state();
            state.at_work.remove(&id);
            state.pressing.remove(&id);
            for waits in state.waiting.remove(&id).unwrap_or_default() {
                let _ = waits.try_send(whole.clone());
            }
            let has = |list: &[Wish]| list.iter().any(|(wished, _)| *wished == id);
            let made = DecodeTargets { thumb: has(&state.thumbs), large: has(&state.large) };
            if made.large
                && let Ok(picture) = &whole
            {
                state.keep(id, picture.clone());
            }
            made
        };
        self.ring();
        whole.map(|picture| (picture, made))
    }

    /// The picture as the model will be given it, while its pixels are at hand.
    fn make_view(&self, id: PictureId, origin: &ImageOrigin, picture: &Picture) {
        let shape = {
            let state = self.state();
            let room = state.views.values().map(|view| view.rgb.len()).sum::<usize>() < VIEWS;
            state.looks.as_ref().filter(|(_, ids)| room && ids.contains(&id)).map(|(shape, _)| *shape)
        };
        // What is in memory may be another picture the next time.
        let Some(shape) = shape.filter(|_| !matches!(origin, ImageOrigin::Memory(_))) else { return };
        let view = Arc::new(whole_view(picture, shape.resolution, shape.patch));
        self.state().views.insert((id, shape), view);
    }

    /// The whole picture, decoded now if it was not kept.
    ///
    /// # Errors
    /// Why it can't be decoded.
    pub async fn load(&self, id: PictureId, origin: &ImageOrigin) -> Result<Arc<Picture>, DataError> {
        match self.ask(id, origin, None)? {
            PixelLookup::View(picture) | PixelLookup::Whole(picture) => Ok(picture),
            PixelLookup::Coming(answer) => answered(&answer).await,
        }
    }

    /// The picture as a model is given it.
    ///
    /// # Errors
    /// Why it can't be decoded.
    pub async fn view(
        &self,
        id: PictureId,
        origin: &ImageOrigin,
        shape: ModelViewShape,
    ) -> Result<Arc<Picture>, DataError> {
        let whole = match self.ask(id, origin, Some(shape))? {
            PixelLookup::View(view) => return Ok(view),
            PixelLookup::Whole(picture) => picture,
            PixelLookup::Coming(answer) => answered(&answer).await?,
        };
        // Who decoded it may have known what for.
        let made = self.state().views.remove(&(id, shape));
        Ok(made.unwrap_or_else(|| Arc::new(whole_view(&whole, shape.resolution, shape.patch))))
    }

    /// What there is of a picture; where there is nothing, it is decoded next.
    fn ask(
        &self,
        id: PictureId,
        origin: &ImageOrigin,
        shape: Option<ModelViewShape>,
    ) -> Result<PixelLookup, DataError> {
        if let ImageOrigin::Memory(picture) = origin {
            return Ok(PixelLookup::Whole(picture.clone()));
        }
        let answer = {
            let mut state = self.state();
            if let Some(view) = shape.and_then(|shape| state.views.remove(&(id, shape))) {
                return Ok(PixelLookup::View(view));
            }
            if let Some((_, picture)) = state.kept.iter().find(|(kept, _)| *kept == id) {
                return Ok(PixelLookup::Whole(picture.clone()));
            }
            if state.closed {
                return Err(DataError::Told(CLOSED.to_owned()));
            }
            let (waits, answer) = bounded(1);
            state.waiting.entry(id).or_default().push(waits);
            if !state.at_work.contains(&id) && !state.urgent.iter().any(|(wished, _)| *wished == id) {
                state.urgent.push_back((id, origin.clone()));
            }
            answer
        };
        self.ring();
        Ok(PixelLookup::Coming(answer))
    }

    /// How often something was decoded.
    #[cfg(test)]
    pub fn decoded(&self) -> u64 {
        self.state().decoded
    }
}

async fn answered(answer: &Receiver<Whole>) -> Result<Arc<Picture>, DataError> {
    let whole = answer.recv().await;
    whole.unwrap_or_else(|_| Err(CLOSED.to_owned())).map_err(DataError::Told)
}

impl PixelStoreState {
    fn keep(&mut self, id: PictureId, picture: Arc<Picture>) {
        self.kept.retain(|(kept, _)| *kept != id);
        self.kept.push_back((id, picture));
        let bytes = |kept: &VecDeque<(PictureId, Arc<Picture>)>| -> usize {
            kept.iter().map(|(_, picture)| picture.rgb.len()).sum()
        };
        // The newest one stays even if it alone is more: it is being looked at.
        while self.kept.len() > 1 && bytes(&self.kept) > CACHE {
            self.kept.pop_front();
        }
    }
}

async fn decoded(origin: &ImageOrigin) -> Result<Arc<Picture>, DataError> {
    Ok(match origin {
        ImageOrigin::File(path) => Arc::new(pictures::decode(path).await?),
        ImageOrigin::Memory(picture) => picture.clone(),
        ImageOrigin::Scene(index) => Arc::new(pictures::scene(SCENE_SEED, *index, SCENE).await?),
    })
}

#[cfg(test)]
#[path = "pixel_store_tests.rs"]
mod tests;

//! Pixels of the pictures that are open: each file is decoded once for everything that is made of it.
//!
//! Thumbnails, what is drawn large and what the model is given are wished for by different sides at different times. They
//! all ask here. Whoever decodes a file makes at once all that is wished of it, and no more pixels than that takes: the whole
//! pictures, many megabytes each, need not be kept, and most need not be made.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use dinoscope_core::data::decode::{AS_THEY_ARE, DecodeOptions, DecodedPicture, LeastPictureSize};
use dinoscope_core::data::{DataError, Picture, RGB};
use dinoscope_core::explore::PictureId;
use dinoscope_core::features::whole_view;
use dinoscope_core::files;
use web_time::Instant;

use crate::platform::pictures;
use crate::studio::background::work_queue::SharedWorkQueue;
use crate::studio::explore::gallery_loader::{SHOWN, THUMB};

/// Bytes of pictures that are kept, of those that were drawn large.
const CACHE: usize = 192 << 20;
/// Bytes of pictures as the model is given them that wait to be looked at.
const VIEWS: usize = 64 << 20;
/// How long the model has all cores for what is drawn large.
const REST: Duration = Duration::from_millis(250);
/// Bytes of a JPEG of some megapixels.
const PHOTOGRAPH: u64 = 1 << 20;
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
    /// Channels of a picture.
    pub channels: usize,
}

impl ModelViewShape {
    /// The picture as a model is given it.
    fn view_of(self, picture: &Picture) -> Arc<Picture> {
        Arc::new(whole_view(picture, self.resolution, self.patch))
    }

    /// What a view may be made of: twice as many pixels a side leave no trace of how they were made.
    fn least(self) -> LeastPictureSize {
        let shorter = u32::try_from(2 * self.resolution).unwrap_or(u32::MAX);
        LeastPictureSize { shorter, ..LeastPictureSize::default() }
    }
}

/// What a picture of this longest side may be made of.
fn longest(side: usize) -> LeastPictureSize {
    LeastPictureSize { longer: side as u32, ..LeastPictureSize::default() }
}

/// A picture, or why there is none.
type Answer = Result<Arc<DecodedPicture>, String>;

/// What there is of a picture.
enum PixelLookup {
    View(Arc<Picture>),
    Decoded(Arc<DecodedPicture>),
    Coming(Receiver<Answer>),
}

/// Who waits for a picture.
struct PixelWaiter {
    answer: Sender<Answer>,
    need: PixelNeed,
}

/// What is enough of a picture.
#[derive(Clone, Copy, Default)]
struct PixelNeed {
    /// Its size; all pixels are needed without one.
    least: Option<LeastPictureSize>,
    /// With how many channels it is read; any number is good for looking at.
    channels: Option<usize>,
}

impl PixelNeed {
    fn of(shape: ModelViewShape) -> Self {
        Self { least: Some(shape.least()), channels: Some(shape.channels) }
    }

    /// Whether a picture that was read with so many channels is enough.
    fn met_by(self, decoded: &DecodedPicture, channels: usize) -> bool {
        decoded.suffices(self.least) && self.channels.is_none_or(|wanted| wanted == channels)
    }
}

/// A picture that was decoded.
struct KeptPicture {
    id: PictureId,
    /// With how many channels it was read.
    channels: usize,
    decoded: Arc<DecodedPicture>,
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
    waiting: HashMap<PictureId, Vec<PixelWaiter>>,
    /// Being decoded.
    at_work: HashSet<PictureId>,
    /// Of those, the ones that will be drawn large, or that the model waits for.
    pressing: HashSet<PictureId>,
    /// Taken from the wishes; the frames have not heard of the result yet and go on wishing.
    held: HashSet<PictureId>,
    /// How the model is given pictures, and which it will look at.
    looks: Option<(ModelViewShape, HashSet<PictureId>)>,
    /// Of those, the ones that were decoded for it: what is drawn large may take longer.
    given: HashSet<PictureId>,
    /// The one of them that is drawn large, and since when the model has it.
    front: Option<(PictureId, Instant)>,
    views: HashMap<(PictureId, ModelViewShape), Arc<Picture>>,
    kept: VecDeque<KeptPicture>,
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
    /// In place of it, until it is there: of so few pixels that the model had not to wait for them.
    pub rough: bool,
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

    /// Which thumbnails and large pictures are missing, most urgent first, in place of what was missing before. Gives after how
    /// long to say it again, where that is not begun with at once.
    pub fn want(&self, thumbs: Vec<Wish>, large: Vec<Wish>) -> Option<Duration> {
        let idle = thumbs.is_empty() && large.is_empty();
        let rests = {
            let mut state = self.state();
            (state.thumbs, state.large) = (thumbs, large);
            !idle && state.rests()
        };
        if !idle {
            self.ring();
        }
        rests.then_some(REST)
    }

    /// Which pictures the model will look at, and how, in place of those before.
    pub fn expect(&self, shape: ModelViewShape, pictures: HashSet<PictureId>) {
        let mut state = self.state();
        state.views.retain(|(id, made), _| *made == shape && pictures.contains(id));
        let same = state.looks.as_ref().is_some_and(|(before, _)| *before == shape);
        state.given.retain(|id| same && pictures.contains(id));
        state.front = state.front.filter(|(id, _)| same && pictures.contains(id));
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
        let resting = state.rests();
        let pressing = match state.urgent.pop_front() {
            Some(wish) => Some(wish),
            None if resting => None,
            None => free(&state, &state.large),
        };
        // What is looked at comes first, with all cores; thumbnails follow a moment later.
        let wish = match pressing {
            Some((id, origin)) => {
                if state.large.iter().any(|(large, _)| *large == id) || state.expected(id).is_some() {
                    state.pressing.insert(id);
                }
                Some((id, origin))
            }
            None if thumbs && !resting && state.pressing.is_empty() => free(&state, &state.thumbs),
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
    ) -> Result<(Arc<DecodedPicture>, DecodeTargets), String> {
        let first = {
            let mut state = self.state();
            state.expected(id).is_some() && state.given.insert(id)
        };
        let in_part = first && quicker_in_part(origin);
        let (kept, least, channels) = {
            let state = self.state();
            let least = state.needed(id, !in_part);
            let channels = state.channels(id);
            (state.kept(id, PixelNeed { least, channels }), least, channels.unwrap_or(RGB))
        };
        let answer = match kept {
            Some(picture) => Ok(picture),
            None => {
                self.state().decoded += 1;
                decoded(origin, least, channels).await.map(Arc::new).map_err(|error| error.to_string())
            }
        };
        if first && let Ok(decoded) = &answer {
            self.make_view(id, origin, decoded, channels);
        }
        let made = {
            let mut state = self.state();
            state.at_work.remove(&id);
            state.pressing.remove(&id);
            state.hand_out(id, origin, &answer, channels);
            let suffices =
                |side: usize| answer.as_ref().is_ok_and(|decoded| decoded.suffices(Some(longest(side))));
            let has = |list: &[Wish]| list.iter().any(|(wished, _)| *wished == id);
            let (drawn, sharp) = (has(&state.large), suffices(SHOWN));
            let looks = first && answer.is_ok();
            if drawn && looks {
                state.front = Some((id, Instant::now()));
            }
            let made = DecodeTargets {
                thumb: has(&state.thumbs) && suffices(THUMB),
                large: drawn && sharp,
                rough: drawn && !sharp && looks,
            };
            if made.large
                && let Ok(decoded) = &answer
            {
                state.keep(KeptPicture { id, channels, decoded: decoded.clone() });
            }
            made
        };
        self.ring();
        answer.map(|decoded| (decoded, made))
    }

    /// The picture as the model will be given it, while its pixels are at hand.
    fn make_view(&self, id: PictureId, origin: &ImageOrigin, decoded: &DecodedPicture, channels: usize) {
        let met = |shape: &ModelViewShape| PixelNeed::of(*shape).met_by(decoded, channels);
        let shape = self.state().expected(id).filter(met);
        // What is in memory may be another picture the next time.
        let Some(shape) = shape.filter(|_| !matches!(origin, ImageOrigin::Memory(_))) else { return };
        let view = shape.view_of(&decoded.picture);
        self.state().views.insert((id, shape), view);
    }

    /// The whole picture, decoded now if it was not kept.
    ///
    /// # Errors
    /// Why it can't be decoded.
    pub async fn load(&self, id: PictureId, origin: &ImageOrigin) -> Result<Arc<Picture>, DataError> {
        if let ImageOrigin::Memory(picture) = origin {
            return Ok(picture.clone());
        }
        let decoded = match self.ask(id, origin, None)? {
            PixelLookup::View(view) => return Ok(view),
            PixelLookup::Decoded(decoded) => decoded,
            PixelLookup::Coming(answer) => answered(&answer).await?,
        };
        Ok(match Arc::try_unwrap(decoded) {
            Ok(decoded) => Arc::new(decoded.picture),
            Err(shared) => Arc::new(shared.picture.clone()),
        })
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
        if let ImageOrigin::Memory(picture) = origin {
            return Ok(shape.view_of(picture));
        }
        let decoded = match self.ask(id, origin, Some(shape))? {
            PixelLookup::View(view) => return Ok(view),
            PixelLookup::Decoded(decoded) => decoded,
            PixelLookup::Coming(answer) => answered(&answer).await?,
        };
        // Who decoded it may have known what for.
        let made = self.state().views.remove(&(id, shape));
        Ok(made.unwrap_or_else(|| shape.view_of(&decoded.picture)))
    }

    /// What there is of a picture that is not in memory; where there is nothing, it is decoded next.
    fn ask(
        &self,
        id: PictureId,
        origin: &ImageOrigin,
        shape: Option<ModelViewShape>,
    ) -> Result<PixelLookup, DataError> {
        let need = shape.map(PixelNeed::of).unwrap_or_default();
        let answer = {
            let mut state = self.state();
            if let Some(view) = shape.and_then(|shape| state.views.remove(&(id, shape))) {
                return Ok(PixelLookup::View(view));
            }
            if let Some(decoded) = state.kept(id, need) {
                return Ok(PixelLookup::Decoded(decoded));
            }
            if state.closed {
                return Err(DataError::Told(CLOSED.to_owned()));
            }
            let (sender, answer) = bounded(1);
            state.waiting.entry(id).or_default().push(PixelWaiter { answer: sender, need });
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

async fn answered(answer: &Receiver<Answer>) -> Result<Arc<DecodedPicture>, DataError> {
    let decoded = answer.recv().await;
    decoded.unwrap_or_else(|_| Err(CLOSED.to_owned())).map_err(DataError::Told)
}

impl PixelStoreState {
    /// Whether nothing is begun with now but what the model waits for: it looks at what is drawn large, and the cores are its
    /// own for a moment. Of a slow model one hand goes on then.
    fn rests(&self) -> bool {
        self.front.is_some_and(|(_, since)| since.elapsed() < REST || !self.at_work.is_empty())
    }

    /// How the model will look at a picture, where there is room for one more.
    fn expected(&self, id: PictureId) -> Option<ModelViewShape> {
        let room = self.views.values().map(|view| view.bytes()).sum::<usize>() < VIEWS;
        self.looks.as_ref().filter(|(_, ids)| room && ids.contains(&id)).map(|(shape, _)| *shape)
    }

    /// The size that is enough for all that is wished of a picture, `large` for what is drawn large too; `None` for all its
    /// pixels.
    fn needed(&self, id: PictureId, large: bool) -> Option<LeastPictureSize> {
        let mut least = longest(THUMB);
        for waiter in self.waiting.get(&id).into_iter().flatten() {
            least = least.and(waiter.need.least?);
        }
        if large && self.large.iter().any(|(wished, _)| *wished == id) {
            least = least.and(longest(SHOWN));
        }
        Some(self.expected(id).map_or(least, |shape| least.and(shape.least())))
    }

    /// With how many channels a picture is to be read: as the first who waits for it needs it, or the model will. `None` where
    /// nobody minds.
    fn channels(&self, id: PictureId) -> Option<usize> {
        let waiting = self.waiting.get(&id).into_iter().flatten().find_map(|waiter| waiter.need.channels);
        waiting.or_else(|| self.expected(id).map(|shape| shape.channels))
    }

    /// What is kept of a picture, where it is enough.
    fn kept(&self, id: PictureId, need: PixelNeed) -> Option<Arc<DecodedPicture>> {
        let KeptPicture { channels, decoded, .. } = self.kept.iter().find(|kept| kept.id == id)?;
        need.met_by(decoded, *channels).then(|| decoded.clone())
    }

    /// Answers those who wait for a picture. Who needs more pixels than were asked for when it was begun goes on waiting.
    fn hand_out(&mut self, id: PictureId, origin: &ImageOrigin, answer: &Answer, channels: usize) {
        let (served, rest): (Vec<_>, Vec<_>) =
            self.waiting.remove(&id).unwrap_or_default().into_iter().partition(|waiter| {
                answer.as_ref().map_or(true, |decoded| waiter.need.met_by(decoded, channels))
            });
        for waiter in served {
            let _ = waiter.answer.try_send(answer.clone());
        }
        if !rest.is_empty() {
            self.waiting.insert(id, rest);
            self.urgent.push_back((id, origin.clone()));
        }
    }

    fn keep(&mut self, picture: KeptPicture) {
        self.kept.retain(|kept| kept.id != picture.id);
        self.kept.push_back(picture);
        let bytes = |kept: &VecDeque<KeptPicture>| -> usize {
            kept.iter().map(|kept| kept.decoded.picture.bytes()).sum()
        };
        // The newest one stays even if it alone is more: it is being looked at.
        while self.kept.len() > 1 && bytes(&self.kept) > CACHE {
            self.kept.pop_front();
        }
    }
}

/// Whether a picture's few pixels for the model are worth a decoding of their own, before the one for what is drawn large: those
/// of a photograph take a third of the time.
fn quicker_in_part(origin: &ImageOrigin) -> bool {
    let ImageOrigin::File(path) = origin else { return false };
    let jpeg = path.extension().and_then(|ending| ending.to_str());
    jpeg.is_some_and(|ending| ["jpg", "jpeg", "jpe", "jfif"].contains(&ending.to_ascii_lowercase().as_str()))
        && files::metadata(path).is_ok_and(|data| data.len() >= PHOTOGRAPH)
}

/// A picture read with so many channels; as it is where it has not those, so that it can be looked at: the model will refuse it.
async fn decoded(
    origin: &ImageOrigin,
    least: Option<LeastPictureSize>,
    channels: usize,
) -> Result<DecodedPicture, DataError> {
    let picture = match origin {
        ImageOrigin::File(path) => {
            let options = DecodeOptions { least, channels, ..DecodeOptions::default() };
            return match pictures::decode(path, options).await {
                Ok(decoded) => Ok(decoded),
                Err(_) => pictures::decode(path, DecodeOptions { channels: AS_THEY_ARE, ..options }).await,
            };
        }
        ImageOrigin::Memory(picture) => Picture::clone(picture),
        ImageOrigin::Scene(index) => pictures::scene(SCENE_SEED, *index, SCENE).await?,
    };
    let size = (picture.width, picture.height);
    Ok(DecodedPicture { picture, size, depth: None })
}

#[cfg(test)]
#[path = "pixel_store_tests.rs"]
mod tests;

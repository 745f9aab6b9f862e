//! Batches of crops: which pictures, in which order, cropped how, made ahead of time by worker threads.
//!
//! Every batch is a pure function of source, recipe, seed and iteration. A run that resumes at iteration 500
//! sees what it would have seen, and the number of workers changes nothing but speed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use rand::seq::SliceRandom;
use web_time::Instant;

use super::augment::{CropRecipe, ViewCutter, ViewPlan};
use super::budget::{LoaderBudget, LoaderPermit, ROOM};
use super::source::PictureSource;
use super::{DataError, Picture};
use dinoscope_base::rng::{RngExt, stream};

/// Batches that each worker makes ahead.
pub const AHEAD: usize = 2;

/// The crops of one training step.
#[derive(Clone, Debug, PartialEq)]
pub struct CropBatch {
    /// The step that the batch is for.
    pub iteration: u64,
    /// Normalised global crops `[2 batch, channels, size, size]`: the first of all pictures, then the second of all.
    pub global: Vec<f32>,
    /// Normalised local crops `[locals batch, channels, size, size]`, ordered likewise.
    pub local: Vec<f32>,
    /// The global crops as a Gram teacher sees them, `[2 batch, channels, size, size]`, ordered likewise; empty where there is none.
    pub gram: Vec<f32>,
    /// The picture in each slot, an index into the source.
    pub indices: Vec<usize>,
    /// Pictures that could not be used and were replaced by others.
    pub skipped: Vec<SkippedPicture>,
}

/// The pictures of one training step, for a device that makes the crops itself
/// ([`device_crops`](super::augment::device_crops)).
#[derive(Clone, Debug, PartialEq)]
pub struct PictureBatch {
    /// The step that the batch is for.
    pub iteration: u64,
    /// The picture in each slot.
    pub pictures: Vec<Picture>,
    /// What is to be cut out of each, as in [`ViewPlan::draw_all`]: the same that a [`CropBatch`] holds.
    pub plans: Vec<Vec<ViewPlan>>,
    /// The picture in each slot, an index into the source.
    pub indices: Vec<usize>,
    /// Pictures that could not be used and were replaced by others.
    pub skipped: Vec<SkippedPicture>,
}

/// A picture that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedPicture {
    /// Its name in the source.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
    /// Whether it could not even be read from disk, as when a drive goes.
    pub unreadable: bool,
}

/// The slots of a batch that one of several processes fills.
///
/// A batch that is cut into `parts` is shared out part by part: of each, a process has as many slots as the others, in the
/// order of their numbers. So a part has the same pictures however many processes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchShare {
    /// Pictures of a step, over all processes.
    pub batch: usize,
    /// Parts that the batch is cut into.
    pub parts: usize,
    /// This process.
    pub rank: usize,
    /// How many processes there are; `batch` is a multiple of this times `parts`.
    pub ranks: usize,
}

impl BatchShare {
    /// Pictures that this process has.
    pub fn images(self) -> usize {
        self.batch / self.ranks
    }

    /// Its slots among those of the batch, ascending.
    pub fn slots(self) -> impl Iterator<Item = usize> {
        let (part, own) = (self.batch / self.parts, self.batch / self.parts / self.ranks);
        (0..self.parts).flat_map(move |at| {
            let first = at * part + self.rank * own;
            first..first + own
        })
    }
}

impl From<usize> for BatchShare {
    /// All of a batch.
    fn from(batch: usize) -> Self {
        Self { batch, parts: 1, rank: 0, ranks: 1 }
    }
}

/// Makes the batch of one iteration.
///
/// Pictures come in a fresh order for every pass through the source; slot `j` of iteration `t` holds the
/// picture at position `t * batch + j` of that endless sequence. A picture that fails to load is replaced by
/// another.
///
/// # Errors
/// When not one picture of the source can be loaded.
pub fn make_batch(
    source: &dyn PictureSource,
    recipe: &CropRecipe,
    batch: usize,
    seed: u64,
    iteration: u64,
) -> Result<CropBatch, DataError> {
    let mut order = InfiniteSampler::new(seed, source.len());
    let slots = BatchSlots { iteration, share: batch.into(), count: batch };
    Ok(CropBatch::make(source, recipe, &mut order, slots, &LoaderControl::loose())?.0)
}

/// The pictures and plans of the first `count` slots of the batch that [`make_batch`] makes.
///
/// # Errors
/// When not one picture of the source can be loaded.
pub fn first_pictures(
    source: &dyn PictureSource,
    recipe: &CropRecipe,
    batch: usize,
    seed: u64,
    iteration: u64,
    count: usize,
) -> Result<PictureBatch, DataError> {
    let mut order = InfiniteSampler::new(seed, source.len());
    let slots = BatchSlots { iteration, share: batch.into(), count: count.min(batch) };
    Ok(PictureBatch::make(source, recipe, &mut order, slots, &LoaderControl::loose())?.0)
}

/// Makes the batches of consecutive iterations, ahead of time where threads can be had.
pub struct DataLoader<B = CropBatch> {
    source: Arc<dyn PictureSource>,
    recipe: CropRecipe,
    share: BatchShare,
    order: InfiniteSampler,
    /// Iteration of the next batch.
    next: u64,
    /// Batches come from the workers in turn; from this thread where there are none.
    workers: Vec<LoaderWorker<B>>,
    turn: usize,
    waited: f64,
    reins: LoaderControl,
}

impl DataLoader {
    /// Starts making the batches of `first_iteration` and on, `share` of them: so many pictures, or part of them.
    ///
    /// Without workers, or where threads can't be started (in a browser), [`DataLoader::next`] makes each batch itself.
    pub fn start(
        source: Arc<dyn PictureSource>,
        recipe: CropRecipe,
        share: impl Into<BatchShare>,
        seed: u64,
        first_iteration: u64,
        workers: usize,
    ) -> Self {
        Self::launch(source, recipe, share.into(), seed, first_iteration, workers)
    }
}

impl DataLoader<PictureBatch> {
    /// [`DataLoader::start`] for crops that are made elsewhere: only loads pictures and draws their plans.
    pub fn start_pictures(
        source: Arc<dyn PictureSource>,
        recipe: CropRecipe,
        share: impl Into<BatchShare>,
        seed: u64,
        first_iteration: u64,
        workers: usize,
    ) -> Self {
        Self::launch(source, recipe, share.into(), seed, first_iteration, workers)
    }
}

#[expect(private_bounds, reason = "there are two kinds of batches, and no others")]
impl<B: LoadableBatch> DataLoader<B> {
    fn launch(
        source: Arc<dyn PictureSource>,
        recipe: CropRecipe,
        share: BatchShare,
        seed: u64,
        first_iteration: u64,
        workers: usize,
    ) -> Self {
        let order = InfiniteSampler::new(seed, source.len());
        let reins = LoaderControl { budget: LoaderBudget::new(ROOM, first_iteration), stop: Arc::default() };
        let spawn = |worker: usize| {
            let (sender, batches) = sync_channel(AHEAD);
            let (source, recipe, reins) = (source.clone(), recipe.clone(), reins.clone());
            let (mut order, held) = (order.clone(), reins.clone());
            let work = move || {
                for iteration in (first_iteration + worker as u64..).step_by(workers) {
                    let slots = BatchSlots { iteration, share, count: share.images() };
                    let made = B::make(&*source, &recipe, &mut order, slots, &held);
                    // Nobody listens any more once the loader is dropped.
                    if sender.send(made).is_err() {
                        return;
                    }
                }
            };
            let thread = std::thread::Builder::new().name(format!("loader {worker}")).spawn(work)?;
            Ok(LoaderWorker { batches: Some(batches), thread: Some(thread), reins })
        };
        let workers = (0..workers).map(spawn).collect::<std::io::Result<_>>().unwrap_or_default();
        Self { source, recipe, share, order, next: first_iteration, workers, turn: 0, waited: 0.0, reins }
    }

    /// The next batch, in order of iterations.
    ///
    /// # Errors
    /// As [`make_batch`], and when a worker has panicked.
    #[expect(clippy::should_implement_trait, reason = "batches never end, but may fail")]
    pub fn next(&mut self) -> Result<B, DataError> {
        let iteration = self.next;
        self.next += 1;
        let began = Instant::now();
        let made = match self.workers.get_mut(self.turn) {
            Some(worker) => worker.receive(),
            None => {
                let slots = BatchSlots { iteration, share: self.share, count: self.share.images() };
                B::make(&*self.source, &self.recipe, &mut self.order, slots, &self.reins)
            }
        };
        // What it held is the caller's now, and the next one may be made whatever the others hold.
        let made = made.map(|(batch, _)| batch);
        self.reins.budget.want(self.next);
        self.turn = (self.turn + 1) % self.workers.len().max(1);
        self.waited += began.elapsed().as_secs_f64();
        made
    }

    /// Seconds spent in [`DataLoader::next`] so far: time that training stood still for data.
    pub fn waited(&self) -> f64 {
        self.waited
    }
}

/// What holds loading threads back, and what ends them.
#[derive(Clone)]
struct LoaderControl {
    budget: Arc<LoaderBudget>,
    stop: Arc<AtomicBool>,
}

impl LoaderControl {
    /// For batches that are made one at a time: nothing holds them back.
    fn loose() -> Self {
        Self { budget: LoaderBudget::new(u64::MAX, u64::MAX), stop: Arc::default() }
    }
}

/// A batch, and the memory that it takes until it is delivered.
type Made<B> = Result<(B, Vec<LoaderPermit>), DataError>;

/// A thread that makes every n-th batch.
struct LoaderWorker<B> {
    batches: Option<Receiver<Made<B>>>,
    thread: Option<JoinHandle<()>>,
    reins: LoaderControl,
}

impl<B> LoaderWorker<B> {
    fn receive(&mut self) -> Made<B> {
        if let Some(Ok(made)) = self.batches.as_ref().map(Receiver::recv) {
            return made;
        }
        // Workers never end by themselves while there is somebody to send to.
        let cause = match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => match panic.downcast::<String>() {
                Ok(message) => *message,
                Err(panic) => panic.downcast_ref::<&str>().map_or("unknown", |message| message).to_owned(),
            },
            _ => "it has ended".to_owned(),
        };
        Err(problem(format!("a loading thread failed, which is a fault of this program: {cause}")))
    }
}

impl<B> Drop for LoaderWorker<B> {
    fn drop(&mut self) {
        self.reins.stop.store(true, Ordering::Relaxed);
        // Wakes the worker if it waits for memory, or for room in the channel.
        self.reins.budget.wake();
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic that no one has asked about is of no interest any more.
            let _ = thread.join();
        }
    }
}

/// The order in which pictures are visited: a fresh permutation of the source for every pass.
#[derive(Clone)]
struct InfiniteSampler {
    seed: u64,
    len: usize,
    /// The pass that `permutation` is for.
    pass: Option<u64>,
    permutation: Vec<u32>,
}

impl InfiniteSampler {
    fn new(seed: u64, len: usize) -> Self {
        Self { seed, len, pass: None, permutation: Vec::new() }
    }

    /// The picture at a position of the endless sequence.
    fn at(&mut self, position: u64) -> usize {
        let (pass, place) = (position / self.len as u64, position % self.len as u64);
        if self.pass != Some(pass) {
            self.permutation = (0..self.len as u32).collect();
            self.permutation.shuffle(&mut stream(self.seed, "order", pass, 0));
            self.pass = Some(pass);
        }
        self.permutation[place as usize] as usize
    }
}

/// A kind of batch.
trait LoadableBatch: Sized + Send + 'static {
    /// [`make_batch`] with an order that is kept between batches, ending early with an error once it is to stop.
    fn make(
        source: &dyn PictureSource,
        recipe: &CropRecipe,
        order: &mut InfiniteSampler,
        slots: BatchSlots,
        reins: &LoaderControl,
    ) -> Made<Self>;
}

impl LoadableBatch for CropBatch {
    fn make(
        source: &dyn PictureSource,
        recipe: &CropRecipe,
        order: &mut InfiniteSampler,
        slots: BatchSlots,
        reins: &LoaderControl,
    ) -> Made<Self> {
        let BatchSlots { count: batch, iteration, .. } = slots;
        let channels = recipe.pixels.channels();
        let (global_len, local_len) =
            (channels * recipe.global_size.pow(2), channels * recipe.local_size.pow(2));
        let mut global = vec![0.0; 2 * batch * global_len];
        let mut local = vec![0.0; recipe.locals * batch * local_len];
        let gram_recipe = recipe.gram.filter(|gram| iteration >= gram.from);
        let gram_len = gram_recipe.map_or(0, |gram| channels * gram.size.pow(2));
        let mut gram = vec![0.0; 2 * batch * gram_len];
        let mut cutter = ViewCutter::of(&recipe.pixels);
        // A picture is gone once its crops are cut.
        let cut = |slot, picture: Picture, plans: Vec<ViewPlan>, _held: LoaderPermit| {
            let globals = global.chunks_exact_mut(global_len).skip(slot).step_by(batch);
            let locals = local.chunks_exact_mut(local_len).skip(slot).step_by(batch);
            let (first, rest) = plans.split_at(2);
            for (plan, out) in first.iter().zip(globals) {
                cutter.cut(plan, &picture, recipe.global_size, out);
            }
            for (plan, out) in rest.iter().zip(locals) {
                cutter.cut(plan, &picture, recipe.local_size, out);
            }
            if let Some(seen) = &gram_recipe {
                let grams = gram.chunks_exact_mut(gram_len).skip(slot).step_by(batch);
                for (plan, out) in ViewPlan::of_gram(&plans, seen).iter().zip(grams) {
                    cutter.cut(plan, &picture, seen.size, out);
                }
            }
        };
        let (indices, skipped) = gather(source, recipe, order, slots, reins, cut)?;
        Ok((Self { iteration, global, local, gram, indices, skipped }, Vec::new()))
    }
}

impl LoadableBatch for PictureBatch {
    fn make(
        source: &dyn PictureSource,
        recipe: &CropRecipe,
        order: &mut InfiniteSampler,
        slots: BatchSlots,
        reins: &LoaderControl,
    ) -> Made<Self> {
        let (mut pictures, mut plans) = (Vec::with_capacity(slots.count), Vec::with_capacity(slots.count));
        let mut all_held = Vec::with_capacity(slots.count);
        let keep = |_, picture, drawn, held| {
            pictures.push(picture);
            plans.push(drawn);
            all_held.push(held);
        };
        let (indices, skipped) = gather(source, recipe, order, slots, reins, keep)?;
        Ok((Self { iteration: slots.iteration, pictures, plans, indices, skipped }, all_held))
    }
}

/// The slots of a batch that are made: the first `count` of a share.
#[derive(Clone, Copy)]
struct BatchSlots {
    iteration: u64,
    share: BatchShare,
    count: usize,
}

/// Loads the pictures of a batch and draws their plans, and hands both on slot by slot.
fn gather(
    source: &dyn PictureSource,
    recipe: &CropRecipe,
    order: &mut InfiniteSampler,
    BatchSlots { iteration, share, count }: BatchSlots,
    reins: &LoaderControl,
    mut each: impl FnMut(usize, Picture, Vec<ViewPlan>, LoaderPermit),
) -> Result<(Vec<usize>, Vec<SkippedPicture>), DataError> {
    let (mut indices, mut skipped) = (Vec::with_capacity(count), Vec::new());
    for (place, slot) in share.slots().take(count).enumerate() {
        let planned = order.at(iteration * share.batch as u64 + slot as u64);
        // Where to look for a replacement, should one be needed.
        let start =
            stream(order.seed, "replace", iteration, slot as u64).random_range(0..order.len as u32) as usize;
        let (index, picture, held) = load(source, (planned, start), iteration, &mut skipped, reins)?;
        indices.push(index);
        let mut rng = match recipe.fixed {
            true => stream(order.seed, "fixed views", index as u64, 0),
            false => stream(order.seed, "augment", iteration, slot as u64),
        };
        let plans = ViewPlan::draw_all(&mut rng, picture.width, picture.height, source.views(index), recipe);
        each(place, picture, plans, held);
    }
    Ok((indices, skipped))
}

/// Loads a picture for the batch of `iteration`, or the first of the others, from `start` on, that can be loaded.
fn load(
    source: &dyn PictureSource,
    (planned, start): (usize, usize),
    iteration: u64,
    skipped: &mut Vec<SkippedPicture>,
    reins: &LoaderControl,
) -> Result<(usize, Picture, LoaderPermit), DataError> {
    let len = source.len();
    let others = (start..len).chain(0..start).filter(|&index| index != planned);
    for index in std::iter::once(planned).chain(others) {
        let held = reins.budget.hold(source.decoding(index), iteration, &reins.stop);
        let Some(mut held) = held else { return Err(problem("loading was stopped".to_owned())) };
        match source.load_views(index) {
            Ok(picture) => {
                held.shrink(picture.bytes() as u64);
                return Ok((index, picture, held));
            }
            Err(e) => skipped.push(SkippedPicture {
                name: source.name(index),
                unreadable: matches!(e, DataError::Read { .. }),
                reason: e.to_string(),
            }),
        }
    }
    let last = skipped.last().map_or("", |skipped| &skipped.reason);
    Err(problem(format!("none of the {len} pictures can be used; for instance: {last}")))
}

fn problem(reason: String) -> DataError {
    DataError::Source { path: "training pictures".to_owned(), reason }
}

#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;

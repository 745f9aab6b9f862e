//! Batches: their shape, order and repeatability, with workers and without, and broken pictures.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::super::augment::{GramCropRecipe, ViewKind};
use super::*;

/// Pictures of one colour each; those listed can't be loaded.
#[derive(Default)]
struct Flat {
    len: usize,
    broken: Vec<usize>,
    panics: bool,
    delay: Duration,
    /// Bytes that are said to be needed for each, and pictures that are held at once: now, and at most.
    decoding: u64,
    held: Arc<[AtomicUsize; 2]>,
}

impl PictureSource for Flat {
    fn len(&self) -> usize {
        self.len
    }
    fn name(&self, index: usize) -> String {
        format!("flat {index}")
    }
    fn label(&self, _: usize) -> Option<usize> {
        None
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn decoding(&self, _: usize) -> u64 {
        self.decoding
    }
    fn load(&self, index: usize) -> Result<Picture, DataError> {
        let [now, most] = &*self.held;
        most.fetch_max(1 + now.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
        std::thread::sleep(self.delay);
        now.fetch_sub(1, Ordering::SeqCst);
        assert!(!self.panics, "picture {index} bites");
        if self.broken.contains(&index) {
            return Err(DataError::Decode { name: self.name(index), reason: "broken".to_owned() });
        }
        let rgb = (0..20 * 10 * 3).map(|i| (i * 5 + index * 17) as u8).collect();
        Ok(Picture::of_rgb(20, 10, rgb))
    }
}

fn recipe() -> CropRecipe {
    CropRecipe { global_size: 8, local_size: 4, locals: 3, ..CropRecipe::default() }
}

fn loader(source: Flat, first: u64, workers: usize) -> DataLoader {
    DataLoader::start(Arc::new(source), recipe(), 4, 9, first, workers)
}

#[test]
fn a_batch_has_its_shape_and_repeats() {
    let source = Flat { len: 10, ..Flat::default() };
    let batch = make_batch(&source, &recipe(), 4, 9, 5).unwrap();
    assert_eq!((batch.global.len(), batch.local.len()), (2 * 4 * 3 * 64, 3 * 4 * 3 * 16));
    assert_eq!((batch.iteration, batch.indices.len(), batch.skipped.len()), (5, 4, 0));
    assert_eq!(batch, make_batch(&source, &recipe(), 4, 9, 5).unwrap());
    assert_ne!(batch.global, make_batch(&source, &recipe(), 4, 8, 5).unwrap().global);
}

#[test]
fn a_gram_teacher_sees_the_global_crops_in_more_pixels_from_its_first_iteration_on() {
    let source = Flat { len: 10, ..Flat::default() };
    let with = |distorted| {
        let gram = Some(GramCropRecipe { size: 16, distorted, from: 5 });
        CropRecipe { gram, flip: 1.0, ..recipe() }
    };
    let plain = make_batch(&source, &CropRecipe { flip: 1.0, ..recipe() }, 4, 9, 5).unwrap();
    assert_eq!(
        plain,
        make_batch(&source, &with(true), 4, 9, 4 + 1).map(|b| CropBatch { gram: Vec::new(), ..b }).unwrap()
    );
    assert!(make_batch(&source, &with(true), 4, 9, 4).unwrap().gram.is_empty());
    let (distorted, as_it_is) = (with(true), with(false));
    let [distorted, as_it_is] =
        [distorted, as_it_is].map(|recipe| make_batch(&source, &recipe, 4, 9, 5).unwrap().gram);
    assert_eq!(distorted.len(), 2 * 4 * 3 * 256);
    assert_ne!(distorted, as_it_is);
    // The second crop of the third picture.
    let pictures = first_pictures(&source, &recipe(), 4, 9, 5, 4).unwrap();
    let plan = ViewPlan { flip: true, ..pictures.plans[2][1].clone() };
    let mut wanted = vec![0.0; 3 * 256];
    for (plan, found) in [(plan.clone(), &distorted), (plan.undistorted(), &as_it_is)] {
        ViewCutter::default().cut(&plan, &pictures.pictures[2], 16, &mut wanted);
        assert_eq!(wanted[..], found[(4 + 2) * 768..][..768]);
    }
}

#[test]
fn crops_are_ordered_by_crop_then_picture() {
    let source = Flat { len: 3, ..Flat::default() };
    let plain = CropRecipe { jitter: 0.0, flip: 0.0, grayscale: 0.0, solarize: 0.0, locals: 0, ..recipe() };
    let batch = make_batch(&source, &plain, 2, 1, 0).unwrap();
    let picture = source.load(batch.indices[1]).unwrap();
    let mut rng = stream(1, "augment", 0, 1);
    for (place, kind) in [(1, ViewKind::Global1), (3, ViewKind::Global2)] {
        let view = ViewPlan::draw(&mut rng, kind, 20, 10, &plain).apply(&picture, 8);
        assert_eq!(batch.global[place * 192..][..192], super::super::augment::normalize(&view));
    }
}

#[test]
fn pictures_and_plans_are_those_of_the_crops() {
    let source = || Flat { len: 5, broken: vec![1], ..Flat::default() };
    let mut loader = DataLoader::start_pictures(Arc::new(source()), recipe(), 4, 9, 2, 2);
    for iteration in 2..5 {
        let undone = loader.next().unwrap();
        let batch = make_batch(&source(), &recipe(), 4, 9, iteration).unwrap();
        assert_eq!(undone.iteration, iteration);
        assert_eq!((&undone.indices, &undone.skipped), (&batch.indices, &batch.skipped));
        for (slot, (picture, plans)) in undone.pictures.iter().zip(&undone.plans).enumerate() {
            for (crop, plan) in plans.iter().enumerate() {
                let (all, size, crop) =
                    if crop < 2 { (&batch.global, 8, crop) } else { (&batch.local, 4, crop - 2) };
                let view = super::super::augment::normalize(&plan.apply(picture, size));
                assert_eq!(all[(crop * 4 + slot) * view.len()..][..view.len()], view);
            }
        }
    }
}

#[test]
fn each_pass_visits_every_picture_once_in_a_new_order() {
    let source = Flat { len: 10, ..Flat::default() };
    let visited: Vec<usize> =
        (0..5).flat_map(|t| make_batch(&source, &recipe(), 4, 9, t).unwrap().indices).collect();
    let mut passes = visited.chunks(10).map(<[usize]>::to_vec).collect::<Vec<_>>();
    assert_ne!(passes[0], passes[1]);
    for pass in &mut passes {
        pass.sort_unstable();
        assert!(pass.iter().copied().eq(0..10), "{pass:?}");
    }
}

#[test]
fn workers_and_resuming_change_nothing() {
    let broken = vec![2, 5];
    let source = Flat { len: 7, broken: broken.clone(), ..Flat::default() };
    let expected: Vec<CropBatch> = (0..9).map(|t| make_batch(&source, &recipe(), 4, 9, t).unwrap()).collect();
    for (first, workers) in [(0, 0), (0, 1), (0, 3), (4, 0), (4, 2), (5, 3)] {
        let source = Flat { len: 7, broken: broken.clone(), ..Flat::default() };
        let mut loader = loader(source, first, workers);
        for batch in &expected[first as usize..] {
            assert!(loader.next().unwrap() == *batch, "iteration {}, {workers} workers", batch.iteration);
        }
        assert!(loader.waited() > 0.0);
    }
}

#[test]
fn broken_pictures_are_reported_and_replaced() {
    let source = Flat { len: 6, broken: vec![0, 3], ..Flat::default() };
    let batch = make_batch(&source, &recipe(), 6, 9, 0).unwrap();
    assert_eq!(batch.indices.len(), 6);
    assert!(batch.indices.iter().all(|index| ![0, 3].contains(index)));
    for name in ["flat 0", "flat 3"] {
        let skipped = batch.skipped.iter().find(|skipped| skipped.name == name).unwrap();
        assert!(skipped.reason.contains("broken"));
    }
}

#[test]
fn nothing_but_broken_pictures_is_an_error() {
    for workers in [0, 2] {
        let source = Flat { len: 3, broken: vec![0, 1, 2], ..Flat::default() };
        let message = loader(source, 0, workers).next().unwrap_err().to_string();
        assert!(message.contains("none of the 3 pictures") && message.contains("broken"), "{message}");
    }
}

#[test]
fn a_panic_in_a_worker_becomes_an_error() {
    let mut loader = loader(Flat { len: 3, panics: true, ..Flat::default() }, 0, 2);
    for _ in 0..2 {
        let message = loader.next().unwrap_err().to_string();
        assert!(message.contains("bites"), "{message}");
    }
    assert!(loader.next().is_err());
}

#[test]
fn dropping_does_not_wait_for_batches() {
    let slow = Flat { len: 100, delay: Duration::from_millis(20), ..Flat::default() };
    let loader = DataLoader::start(Arc::new(slow), recipe(), 1000, 0, 0, 2);
    let began = Instant::now();
    drop(loader);
    assert!(began.elapsed() < Duration::from_secs(5), "a batch takes 20 s");
}

#[test]
fn threads_together_keep_to_the_memory_there_is() {
    // Of pictures that take all of it, the one that is waited for and one ahead may be loaded at once.
    let source = Flat { len: 30, decoding: ROOM, delay: Duration::from_millis(2), ..Flat::default() };
    let plain = Flat { len: 30, ..Flat::default() };
    let held = source.held.clone();
    let mut loader = loader(source, 0, 8);
    for iteration in 0..12 {
        assert!(loader.next().unwrap() == make_batch(&plain, &recipe(), 4, 9, iteration).unwrap());
    }
    drop(loader);
    let most = held[1].load(Ordering::SeqCst);
    assert!(most <= 2, "{most} at once");

    // Pictures that wait for a GPU count until their batch is delivered, and do not stand in each other's way.
    let source = Flat { len: 30, decoding: ROOM / 3, ..Flat::default() };
    let mut loader = DataLoader::start_pictures(Arc::new(source), recipe(), 4, 9, 0, 4);
    for iteration in 0..12 {
        assert_eq!(loader.next().unwrap().iteration, iteration);
    }
}

#[test]
fn processes_load_together_what_one_does() {
    let source = || Flat { len: 30, ..Flat::default() };
    let batch = make_batch(&source(), &recipe(), 8, 9, 5).unwrap();
    let (globals, locals) = (batch.global.len() / 16, batch.local.len() / recipe().locals / 8);
    for (ranks, parts) in [(1, 2), (2, 1), (2, 2), (4, 2)] {
        let mut seen = Vec::new();
        for rank in 0..ranks {
            let share = BatchShare { batch: 8, parts, rank, ranks };
            let slots: Vec<usize> = share.slots().collect();
            assert_eq!(slots.len(), share.images());
            for workers in [0, 2] {
                let mut loader = DataLoader::start(Arc::new(source()), recipe(), share, 9, 5, workers);
                let own = loader.next().unwrap();
                assert_eq!(own.indices, slots.iter().map(|slot| batch.indices[*slot]).collect::<Vec<_>>());
                for (place, slot) in slots.iter().enumerate() {
                    for view in 0..2 {
                        let (at, of) = (view * slots.len() + place, view * 8 + slot);
                        assert_eq!(
                            own.global[at * globals..][..globals],
                            batch.global[of * globals..][..globals]
                        );
                    }
                    for view in 0..recipe().locals {
                        let (at, of) = (view * slots.len() + place, view * 8 + slot);
                        assert_eq!(own.local[at * locals..][..locals], batch.local[of * locals..][..locals]);
                    }
                }
            }
            seen.extend(slots);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..8).collect::<Vec<_>>(), "{ranks} processes, {parts} parts");
    }
    // The first half of a batch is the first of two parts, whoever has it.
    let of = |rank| BatchShare { batch: 8, parts: 2, rank, ranks: 2 }.slots().collect::<Vec<_>>();
    assert_eq!([of(0), of(1)], [[0, 1, 4, 5], [2, 3, 6, 7]]);
}

//! Masks in every frame: from what a person has painted, carried on beside the frames of the window.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_channel::{Sender, unbounded};
use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::analysis::follow::propagation::{MaskPropagator, PropagationOptions};

use crate::platform::tasks::{Wake, yield_now};
use crate::studio::background::task::BackgroundTask;

/// What is said by whoever carries masks on.
enum MaskTrackEvent {
    /// Shares of the patches of a frame.
    Found(usize, Vec<f32>),
    Failed(usize, String),
}

/// A frame with its features.
type FedFrame = (usize, Arc<PatchFeatures>);

/// Who carries on, and what it was given.
struct MaskWork {
    task: BackgroundTask<MaskTrackEvent>,
    feed: Sender<FedFrame>,
    /// The next frame to be given.
    next: usize,
}

/// What a person has painted in a frame: shares of its patches, by rows and columns.
struct PaintedMask {
    shares: Arc<Vec<f32>>,
    grid: (usize, usize),
}

/// A mask through frames.
#[derive(Default)]
pub struct MaskTrack {
    /// What a person has painted, by frame; from the second on they correct.
    painted: BTreeMap<usize, PaintedMask>,
    found: BTreeMap<usize, Arc<Vec<f32>>>,
    work: Option<MaskWork>,
    /// A person is at it: nothing is carried on until the pointer is let go.
    pub painting: bool,
    /// Changes with every change of what shows.
    pub version: u64,
    /// Why it can't go on.
    pub failed: Option<String>,
}

impl MaskTrack {
    /// Whether nothing was painted.
    pub fn is_empty(&self) -> bool {
        self.painted.is_empty()
    }

    /// Takes what was painted in a frame: masks before it stay, those behind it are found anew. In the first frame of the mask,
    /// or before it, everything begins anew.
    pub fn paint(&mut self, frame: usize, shares: Vec<f32>, grid: (usize, usize)) {
        if self.painted.first_key_value().is_none_or(|(first, _)| frame <= *first) {
            self.painted.clear();
            self.found.clear();
        }
        self.painted.retain(|at, _| *at < frame);
        self.found.retain(|at, _| *at < frame);
        let shares = Arc::new(shares);
        self.found.insert(frame, shares.clone());
        self.painted.insert(frame, PaintedMask { shares, grid });
        self.version += 1;
        (self.work, self.failed) = (None, None);
    }

    /// Features are others from now on: what was painted first is carried on anew, as soon as they are there.
    pub fn again(&mut self) {
        let first = self.painted.first_key_value().map(|(frame, _)| *frame);
        self.painted.retain(|frame, _| Some(*frame) == first);
        self.found.clear();
        self.version += 1;
        (self.work, self.failed) = (None, None);
    }

    /// Puts what was painted first onto the patches that there are now.
    fn fit(&mut self, features: &[Option<Arc<PatchFeatures>>]) {
        let Some((&frame, painted)) = self.painted.first_key_value() else { return };
        let there = features.get(frame).and_then(Option::as_ref).filter(|_| self.found.is_empty());
        let Some(grid) = there.map(|seen| (seen.rows, seen.cols)) else { return };
        let shares = resampled(&painted.shares, painted.grid, grid);
        self.paint(frame, shares, grid);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self { version: self.version + 1, ..Self::default() };
    }

    /// Shares of the patches of a frame.
    pub fn at(&self, frame: usize) -> Option<&Arc<Vec<f32>>> {
        self.found.get(&frame)
    }

    /// Those of all frames that have some.
    pub fn all(&self) -> impl Iterator<Item = (usize, &Arc<Vec<f32>>)> {
        self.found.iter().map(|(frame, shares)| (*frame, shares))
    }

    /// How many frames are done.
    pub fn done(&self) -> usize {
        self.found.len()
    }

    /// Whether the mask of a frame whose features are there is on its way.
    pub fn busy(&self, features: &[Option<Arc<PatchFeatures>>]) -> bool {
        let next = self.found.last_key_value().map(|(last, _)| last + 1);
        let there = next.is_some_and(|next| features.get(next).is_some_and(Option::is_some));
        there && self.failed.is_none() && !self.painting && self.paints_something()
    }

    fn paints_something(&self) -> bool {
        let any = |painted: &PaintedMask| painted.shares.iter().any(|share| *share > 0.0);
        self.painted.last_key_value().is_some_and(|(_, painted)| any(painted))
    }

    /// Takes in what was found, and hands on the features that have come.
    pub fn logic(&mut self, features: &[Option<Arc<PatchFeatures>>], wake: &Wake) {
        self.fit(features);
        if self.work.is_none() && self.busy(features) {
            self.begin(features, wake);
        }
        let Some(work) = &mut self.work else { return };
        while let Some(Some(there)) = features.get(work.next) {
            // Whoever carries on ends after an error, which it has said.
            let _ = work.feed.try_send((work.next, there.clone()));
            work.next += 1;
        }
        while let Some(event) = work.task.receive() {
            self.version += 1;
            match event {
                MaskTrackEvent::Found(frame, shares) => _ = self.found.insert(frame, Arc::new(shares)),
                MaskTrackEvent::Failed(frame, reason) => {
                    self.failed = Some(format!("Frame {}: {reason}", frame + 1));
                }
            }
        }
        if work.task.over() && self.failed.is_none() && work.next < features.len() {
            self.failed = Some(work.task.refused().unwrap_or("the work has ended too early").to_owned());
        }
    }

    fn begin(&mut self, features: &[Option<Arc<PatchFeatures>>], wake: &Wake) {
        let Some((&first, PaintedMask { shares, .. })) = self.painted.last_key_value() else { return };
        let Some(Some(seen)) = features.get(first) else { return };
        let (feed, fed) = unbounded::<FedFrame>();
        let (seen, shares) = (seen.clone(), shares.to_vec());
        let task = BackgroundTask::start_async("masks", wake, async move |events, stop| {
            let options = PropagationOptions::default();
            let mut propagator = match MaskPropagator::new(&seen, shares, 1, options) {
                Ok(propagator) => propagator,
                Err(error) => return events.say(MaskTrackEvent::Failed(first, error.to_string())),
            };
            while let Ok((frame, features)) = fed.recv().await {
                let pause = async || {
                    yield_now().await;
                    !stop.asked()
                };
                match propagator.next_pausing(&features, pause).await {
                    Ok(Some(shares)) => events.say(MaskTrackEvent::Found(frame, shares)),
                    Ok(None) => return,
                    Err(error) => return events.say(MaskTrackEvent::Failed(frame, error.to_string())),
                }
            }
        });
        self.work = Some(MaskWork { task, feed, next: first + 1 });
    }
}

/// Shares of patches as those of another grid, each of the patch that is under its middle.
fn resampled(shares: &[f32], (rows, cols): (usize, usize), (to_rows, to_cols): (usize, usize)) -> Vec<f32> {
    let at =
        |i: usize, to: usize, count: usize| ((2 * i + 1) * count / (2 * to)).min(count.saturating_sub(1));
    let share = |i: usize| {
        let patch = at(i / to_cols, to_rows, rows) * cols + at(i % to_cols, to_cols, cols);
        shares.get(patch).copied().unwrap_or(0.0)
    };
    (0..to_rows * to_cols).map(share).collect()
}

/// Paints a line of the brush into shares of patches; positions and radius in patches.
pub fn stroke(
    shares: &mut [f32],
    (rows, cols): (usize, usize),
    from: [f32; 2],
    to: [f32; 2],
    radius: f32,
    value: f32,
) {
    let length = (to[0] - from[0]).hypot(to[1] - from[1]);
    let steps = (2.0 * length).ceil().max(1.0);
    for step in 0..=steps as usize {
        let t = step as f32 / steps;
        let at = [from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1])];
        for row in 0..rows {
            for col in 0..cols {
                let (x, y) = (col as f32 + 0.5 - at[0], row as f32 + 0.5 - at[1]);
                // The patch under the pointer, however small the brush is.
                let under = x.abs() <= 0.5 && y.abs() <= 0.5;
                if under || x.hypot(y) <= radius {
                    shares[row * cols + col] = value;
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_stroke_paints_what_it_passes_over() {
        let mut shares = vec![0.0; 15];
        stroke(&mut shares, (3, 5), [0.5, 1.5], [4.5, 1.5], 0.1, 1.0);
        assert_eq!(shares[5..10], [1.0; 5], "the middle row");
        assert!(shares[..5].iter().chain(&shares[10..]).all(|share| *share == 0.0));
        stroke(&mut shares, (3, 5), [2.5, 1.5], [2.5, 1.5], 1.1, 0.0);
        assert_eq!(shares[5..10], [1.0, 0.0, 0.0, 0.0, 1.0]);
    }

    fn frames() -> Vec<Option<Arc<PatchFeatures>>> {
        let of = |at: usize| {
            let data = (0..8usize).flat_map(|col| if col == at { [1.0, 0.0] } else { [0.0, 1.0] });
            Some(Arc::new(PatchFeatures { rows: 1, cols: 8, dim: 2, data: data.collect() }))
        };
        (1..6).map(of).collect()
    }

    fn finish(track: &mut MaskTrack, features: &[Option<Arc<PatchFeatures>>]) {
        let wake: Wake = Arc::new(|| ());
        track.logic(features, &wake);
        while track.busy(features) {
            std::thread::sleep(std::time::Duration::from_millis(1));
            track.logic(features, &wake);
        }
    }

    #[test]
    fn masks_are_carried_on_and_corrected_from_a_frame_on() {
        let mut features = frames();
        features[4] = None;
        let mut track = MaskTrack::default();
        let one = |at: usize| (0..8).map(|col| f32::from(u8::from(col == at))).collect::<Vec<f32>>();
        track.paint(0, one(1), (1, 8));
        track.painting = true;
        finish(&mut track, &features);
        assert_eq!(track.done(), 1, "nothing is carried on while a person paints");
        track.painting = false;
        finish(&mut track, &features);
        assert_eq!(track.done(), 4, "the fifth is not there");
        for frame in 0..4 {
            let shares = track.at(frame).unwrap();
            let inside: Vec<usize> = (0..8).filter(|col| shares[*col] > 0.5).collect();
            assert_eq!(inside, [frame + 1], "frame {frame}");
        }
        features = frames();
        finish(&mut track, &features);
        assert_eq!(track.done(), 5, "it goes on when the last has come");
        // Nothing from the third frame on.
        track.paint(2, vec![0.0; 8], (1, 8));
        finish(&mut track, &features);
        assert_eq!(track.done(), 3);
        assert!(track.at(1).unwrap()[2] > 0.5, "what was before stays");
    }

    /// A finer look at the same frames has other patches, and the same things in them.
    #[test]
    fn what_was_painted_stays_where_it_is_when_patches_become_others() {
        assert_eq!(resampled(&[1.0, 0.0], (1, 2), (2, 4)), [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(resampled(&[1.0, 0.0, 0.0, 0.0], (2, 2), (1, 1)), [0.0], "the patch under its middle");
        let features = frames();
        let mut track = MaskTrack::default();
        // Painted on four patches where there are eight by now.
        track.paint(0, vec![1.0, 0.0, 0.0, 0.0], (1, 4));
        track.again();
        assert_eq!((track.done(), track.is_empty()), (0, false));
        finish(&mut track, &features);
        assert_eq!(track.done(), 5);
        assert_eq!(track.at(0).unwrap()[..3], [1.0, 1.0, 0.0]);
    }

    #[test]
    fn frames_of_another_size_are_said() {
        let mut features = frames();
        features[1] = Some(Arc::new(PatchFeatures { rows: 2, cols: 4, dim: 2, data: vec![1.0; 16] }));
        let mut track = MaskTrack::default();
        track.paint(0, vec![1.0; 8], (1, 8));
        finish(&mut track, &features);
        assert!(track.failed.as_ref().unwrap().starts_with("Frame 2: "), "{:?}", track.failed);
    }
}

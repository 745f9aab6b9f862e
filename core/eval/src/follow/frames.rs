//! The frames of a scene with their truth, and masks that are carried through them.

use crate::run::EvaluationError;
use dinoscope_analysis::PatchFeatures;
use dinoscope_analysis::follow::drawing::of_pixels;
use dinoscope_analysis::follow::propagation::{MaskPropagator, PropagationOptions};
use dinoscope_base::parallel::for_chunks;
use dinoscope_data::source::scenes::{MovingScene, PlaceTruth, RenderedScene};

/// Bodies of which less is seen in the first frame are no objects, in shares of the picture.
const LEAST: f32 = 0.004;

/// All frames of a scene.
pub(super) struct DrawnFrames {
    /// What is known of their pixels.
    pub scenes: Vec<RenderedScene>,
    /// Where the place is.
    pub places: Vec<PlaceTruth>,
}

impl DrawnFrames {
    /// Draws them on all cores, `side` pixels a side.
    pub fn new(scene: &MovingScene, side: usize) -> Self {
        let mut slots: Vec<Option<RenderedScene>> = vec![None; scene.frames()];
        for_chunks(&mut slots, 1, |frame, slot| slot.fill(Some(scene.frame(frame, side))));
        let places = (0..scene.frames()).map(|frame| scene.place(frame)).collect();
        Self { scenes: slots.into_iter().flatten().collect(), places }
    }

    /// The bodies that are objects: those that are well seen in the first frame.
    pub fn objects(&self) -> Vec<u8> {
        let first = &self.scenes[0];
        let least = (LEAST * first.instances.len() as f32).max(1.0) as usize;
        let seen = |body: u8| first.instances.iter().filter(|own| **own == body).count();
        (1..=first.classes.len().min(255) as u8).filter(|body| seen(*body) >= least).collect()
    }
}

/// Intersection and union of an object's true and found mask, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ObjectOverlap {
    pub both: usize,
    pub either: usize,
}

impl ObjectOverlap {
    /// Intersection over union; 1 of nothing that was found nowhere, as in DAVIS.
    pub fn iou(self) -> f64 {
        if self.either == 0 { 1.0 } else { self.both as f64 / self.either as f64 }
    }
}

/// Masks of the first frame on their way through the others.
pub(super) struct MaskTrial<'a> {
    drawn: &'a DrawnFrames,
    objects: Vec<u8>,
    grid: (usize, usize),
    first: Vec<f32>,
    propagator: MaskPropagator,
}

impl<'a> MaskTrial<'a> {
    /// Begins with the true masks of the first frame.
    pub fn new(drawn: &'a DrawnFrames, features: &PatchFeatures) -> Result<Self, EvaluationError> {
        let objects = drawn.objects();
        let first = shares(&drawn.scenes[0], &objects, (features.rows, features.cols));
        let options = PropagationOptions::default();
        let propagator = MaskPropagator::new(features, first.clone(), objects.len() + 1, options)?;
        Ok(Self { drawn, objects, grid: (features.rows, features.cols), first, propagator })
    }

    /// Shares of the first frame's patches: of what is no object, then of each object, `[patches, 1 + objects]`.
    pub fn first(&self) -> &[f32] {
        &self.first
    }

    /// Those of the next frame, as the features say.
    pub fn next(&mut self, features: &PatchFeatures) -> Result<Vec<f32>, EvaluationError> {
        Ok(self.propagator.next(features)?)
    }

    /// How each object's mask, by the largest share of each pixel, fits the truth of a frame.
    pub fn overlaps(&self, labels: &[f32], frame: usize) -> Result<Vec<ObjectOverlap>, EvaluationError> {
        let truth = &self.drawn.scenes[frame];
        let found = largest(labels, self.objects.len() + 1, self.grid, truth)?;
        let mut overlaps = vec![ObjectOverlap::default(); self.objects.len()];
        for (overlap, (i, body)) in overlaps.iter_mut().zip(self.objects.iter().enumerate()) {
            for (found, own) in found.iter().zip(&truth.instances) {
                let (found, own) = (usize::from(*found) == i + 1, own == body);
                overlap.both += usize::from(found && own);
                overlap.either += usize::from(found || own);
            }
        }
        Ok(overlaps)
    }
}

/// The class with the largest share for each pixel of a scene's picture, `[height * width]`.
pub(super) fn largest(
    labels: &[f32],
    classes: usize,
    grid: (usize, usize),
    scene: &RenderedScene,
) -> Result<Vec<u8>, EvaluationError> {
    let size = [scene.picture.width, scene.picture.height];
    let mut most = vec![f32::NEG_INFINITY; scene.instances.len()];
    let mut found = vec![0u8; scene.instances.len()];
    for class in 0..classes {
        let own: Vec<f32> = labels.iter().skip(class).step_by(classes).copied().collect();
        for ((most, found), share) in most.iter_mut().zip(&mut found).zip(of_pixels(&own, grid, size)?) {
            if share > *most {
                (*most, *found) = (share, class as u8);
            }
        }
    }
    Ok(found)
}

/// How much of each patch shows which object, `[patches, 1 + objects]`; they add up to 1.
fn shares(scene: &RenderedScene, objects: &[u8], (rows, cols): (usize, usize)) -> Vec<f32> {
    let (width, height) = (scene.picture.width, scene.picture.height);
    let classes = objects.len() + 1;
    let mut labels = vec![0.0f32; rows * cols * classes];
    let mut class_of = [0usize; 256];
    objects.iter().enumerate().for_each(|(i, body)| class_of[usize::from(*body)] = i + 1);
    let pixel = (rows * cols) as f32 / (width * height) as f32;
    for (i, body) in scene.instances.iter().enumerate() {
        let patch = i / width * rows / height * cols + i % width * cols / width;
        labels[patch * classes + class_of[usize::from(*body)]] += pixel;
    }
    labels
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_data::source::scenes::{MovingScenes, SceneKind};

    #[test]
    fn shares_of_patches_are_those_of_their_pixels() {
        let drawn = DrawnFrames::new(&MovingScenes::of_evaluation(SceneKind::Varied, 1, 3).scene(0), 32);
        assert_eq!((drawn.scenes.len(), drawn.places.len()), (3, 3));
        let objects = drawn.objects();
        assert_eq!(objects[0], 1, "the main object is well seen");
        let labels = shares(&drawn.scenes[0], &objects, (8, 8));
        let classes = objects.len() + 1;
        assert!(labels.chunks(classes).all(|of| (of.iter().sum::<f32>() - 1.0).abs() < 1e-4));
        let own: f32 = labels.iter().skip(1).step_by(classes).sum::<f32>() / 64.0;
        let pixels = drawn.scenes[0].instances.iter().filter(|body| **body == 1).count() as f32 / 1024.0;
        assert!((own - pixels).abs() < 1e-4, "{own} {pixels}");
        // As finely as the picture itself: every pixel has its own patch, and all of them are right.
        let fine = shares(&drawn.scenes[0], &objects, (32, 32));
        let found = largest(&fine, classes, (32, 32), &drawn.scenes[0]).unwrap();
        for (found, body) in found.iter().zip(&drawn.scenes[0].instances) {
            let want = objects.iter().position(|own| own == body).map_or(0, |i| i as u8 + 1);
            assert_eq!(*found, want);
        }
    }

    #[test]
    fn nothing_found_of_nothing_is_right() {
        assert_eq!(ObjectOverlap::default().iou(), 1.0);
        assert_eq!(ObjectOverlap { both: 1, either: 4 }.iou(), 0.25);
    }
}

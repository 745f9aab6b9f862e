//! The built-in scenes with what every pixel shows and how far away it is.

use std::sync::OnceLock;

use super::{DenseSample, DenseSource, DenseTruthKind};
use crate::source::scenes::{self, CLASSES, CLUTTER, OBJECT};
use crate::{DataError, Picture};

/// Memory that pictures already drawn may fill; later indexes are drawn again on each load.
const CACHE_BYTES: usize = 256 << 20;

/// How far depth is known; a few pixels in a hundred are farther away, some of them very much.
pub const FAR: f32 = 25.0;

/// The classes before those of the main objects.
const BEFORE: [&str; 2] = ["background", "clutter"];

/// Built-in scenes, drawn on demand by whichever thread asks, then remembered.
///
/// The classes are `background` (ground, wall and sky), `clutter` (the small bodies that lie about) and the twelve main
/// objects; depth is in units of about half the object's height and not known beyond [`FAR`], where the ground fades into
/// the horizon and the sky.
pub struct DenseScenes {
    seed: u64,
    len: usize,
    size: usize,
    classes: Vec<String>,
    drawn: Vec<OnceLock<CachedDenseScene>>,
}

struct CachedDenseScene {
    picture: Picture,
    classes: Vec<u8>,
    depth: Vec<f32>,
}

impl DenseScenes {
    /// Scenes `0..len` (at least one) of a seed, `size` pixels a side.
    pub fn new(seed: u64, len: usize, size: usize) -> Self {
        let (len, size) = (len.max(1), size.max(1));
        let bytes = size.saturating_mul(size).saturating_mul(3 + 1 + 4);
        Self {
            seed,
            len,
            size,
            classes: BEFORE.iter().chain(&CLASSES).map(|name| (*name).to_owned()).collect(),
            drawn: std::iter::repeat_with(OnceLock::new).take(len.min(CACHE_BYTES / bytes)).collect(),
        }
    }

    fn draw(&self, index: usize) -> CachedDenseScene {
        let scene = scenes::draw(self.seed, index, self.size);
        let class = |seen: &u8| match *seen {
            OBJECT => (BEFORE.len() + scene.label) as u8,
            CLUTTER => 1,
            _ => 0,
        };
        CachedDenseScene {
            classes: scene.mask.iter().map(class).collect(),
            depth: scene.depth.iter().map(|far| if *far <= FAR { *far } else { 0.0 }).collect(),
            picture: scene.picture,
        }
    }
}

impl DenseSource for DenseScenes {
    fn len(&self) -> usize {
        self.len
    }

    fn name(&self, index: usize) -> String {
        format!("scene {index} ({})", CLASSES[scenes::label(self.seed, index)])
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn load(&self, index: usize, truth: DenseTruthKind) -> Result<DenseSample, DataError> {
        if index >= self.len {
            let reason = format!("scene {index} was asked for, but there are only {}", self.len);
            return Err(DataError::Source { path: "built-in scenes".into(), reason });
        }
        let once;
        let drawn = match self.drawn.get(index) {
            Some(slot) => slot.get_or_init(|| self.draw(index)),
            None => {
                once = self.draw(index);
                &once
            }
        };
        let (classes, depth) = match truth {
            DenseTruthKind::Classes => (drawn.classes.clone(), Vec::new()),
            DenseTruthKind::Depth => (Vec::new(), drawn.depth.clone()),
        };
        Ok(DenseSample { picture: drawn.picture.clone(), classes, depth })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_tells_what_each_pixel_shows_and_how_far_it_is() {
        let source = DenseScenes::new(5, 3, 32);
        assert_eq!(source.classes().len(), 14);
        for index in 0..3 {
            let scene = scenes::draw(5, index, 32);
            let own = (2 + scene.label) as u8;
            let seen = source.load(index, DenseTruthKind::Classes).unwrap();
            assert_eq!((&seen.picture, seen.depth.len()), (&scene.picture, 0));
            assert_eq!(source.classes()[usize::from(own)], CLASSES[scene.label]);
            for (class, mask) in seen.classes.iter().zip(&scene.mask) {
                assert_eq!(*class, [0, own, 1][usize::from(*mask)]);
            }
            let far = source.load(index, DenseTruthKind::Depth).unwrap();
            assert!(far.classes.is_empty());
            for (found, real) in far.depth.iter().zip(&scene.depth) {
                assert_eq!(*found, if *real <= FAR { *real } else { 0.0 });
            }
        }
        assert!(source.load(3, DenseTruthKind::Depth).unwrap_err().to_string().contains("only 3"));
    }
}

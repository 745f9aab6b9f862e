//! The built-in scenes with what every pixel shows and how far away it is.

use std::sync::OnceLock;

use super::{DenseSample, DenseSource, DenseTruthKind};
use crate::source::scenes::{OBJECT, SceneKind};
use crate::{DataError, Picture};

/// Memory that pictures already drawn may fill; later indexes are drawn again on each load.
const CACHE_BYTES: usize = 256 << 20;

/// How far depth is known; a few pixels in a hundred are farther away, some of them very much.
pub const FAR: f32 = 25.0;

/// The class of ground, wall and sky.
const BACKGROUND: &str = "background";
/// The class of the small bodies that lie about in easy scenes. In varied ones whatever lies about has a class of its own.
const CLUTTER: &str = "clutter";

/// Built-in scenes, drawn on demand by whichever thread asks, then remembered.
///
/// The classes are `background` (ground, wall and sky), in easy scenes `clutter` (the small bodies that lie about), and those of
/// the main objects, which in varied scenes others have too; depth is in units of about half the object's height and not known beyond [`FAR`], where the ground fades into
/// the horizon and the sky.
pub struct DenseScenes {
    kind: SceneKind,
    seed: u64,
    len: usize,
    size: usize,
    classes: Vec<String>,
    drawn: Vec<OnceLock<CachedDenseScene>>,
}

struct CachedDenseScene {
    picture: Picture,
    truth: SceneTruth,
}

/// What is known of every pixel of a scene; each map is `[height * width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneTruth {
    /// An index into [`DenseSource::classes`].
    pub classes: Vec<u8>,
    /// Which body: 0 for none, 1 for the main object, others from there on.
    pub instances: Vec<u8>,
    /// Which of its parts: 0 for none, 1 for the body, 2 for limbs, 3 for details.
    pub parts: Vec<u8>,
    /// Distance along the viewing axis; 0 beyond [`FAR`].
    pub depth: Vec<f32>,
}

impl DenseScenes {
    /// Scenes `0..len` (at least one) of a kind and a seed, `size` pixels a side.
    pub fn new(kind: SceneKind, seed: u64, len: usize, size: usize) -> Self {
        let (len, size) = (len.max(1), size.max(1));
        let bytes = size.saturating_mul(size).saturating_mul(3 + 3 + 4);
        let before = [Some(BACKGROUND), (kind == SceneKind::Easy).then_some(CLUTTER)];
        Self {
            kind,
            seed,
            len,
            size,
            classes: before.iter().flatten().chain(kind.classes()).map(|name| (*name).to_owned()).collect(),
            drawn: std::iter::repeat_with(OnceLock::new).take(len.min(CACHE_BYTES / bytes)).collect(),
        }
    }

    fn draw(&self, index: usize) -> CachedDenseScene {
        let scene = self.kind.draw(self.seed, index, self.size);
        let before = self.classes.len() - self.kind.classes().len();
        // What has no class is clutter, which stands behind the background.
        let of_body = |body: &Option<usize>| body.map_or(1, |class| before + class) as u8;
        let classes: Vec<u8> = std::iter::once(0).chain(scene.classes.iter().map(of_body)).collect();
        let truth = SceneTruth {
            classes: scene.instances.iter().map(|body| classes[usize::from(*body)]).collect(),
            instances: scene.instances,
            parts: scene.parts,
            depth: scene.depth.iter().map(|far| if *far <= FAR { *far } else { 0.0 }).collect(),
        };
        CachedDenseScene { picture: scene.picture, truth }
    }

    /// Calls `with` with a scene that was drawn now or before.
    fn with<T>(&self, index: usize, with: impl FnOnce(&CachedDenseScene) -> T) -> Result<T, DataError> {
        if index >= self.len {
            let reason = format!("scene {index} was asked for, but there are only {}", self.len);
            return Err(DataError::Source { path: "built-in scenes".into(), reason });
        }
        Ok(match self.drawn.get(index) {
            Some(slot) => with(slot.get_or_init(|| self.draw(index))),
            None => with(&self.draw(index)),
        })
    }

    /// Everything that is known of a scene's pixels.
    ///
    /// # Errors
    /// There is no such scene.
    pub fn truth(&self, index: usize) -> Result<SceneTruth, DataError> {
        self.with(index, |drawn| drawn.truth.clone())
    }
}

impl DenseSource for DenseScenes {
    fn len(&self) -> usize {
        self.len
    }

    fn name(&self, index: usize) -> String {
        format!("scene {index} ({})", self.kind.classes()[self.kind.label(self.seed, index)])
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn load(&self, index: usize, truth: DenseTruthKind) -> Result<DenseSample, DataError> {
        self.with(index, |drawn| {
            let (classes, depth) = match truth {
                DenseTruthKind::Classes => (drawn.truth.classes.clone(), Vec::new()),
                DenseTruthKind::Object => {
                    let bodies = drawn.truth.instances.iter();
                    (bodies.map(|body| u8::from(*body == OBJECT)).collect(), Vec::new())
                }
                DenseTruthKind::Depth => (Vec::new(), drawn.truth.depth.clone()),
            };
            DenseSample { picture: drawn.picture.clone(), classes, depth }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::source::scenes::{self, CLASSES};

    #[test]
    fn a_scene_tells_what_each_pixel_shows_and_how_far_it_is() {
        let source = DenseScenes::new(SceneKind::Easy, 5, 3, 32);
        assert_eq!(source.classes().len(), 14);
        for index in 0..3 {
            let scene = scenes::draw(5, index, 32);
            let own = (2 + scene.label) as u8;
            let seen = source.load(index, DenseTruthKind::Classes).unwrap();
            assert_eq!((&seen.picture, seen.depth.len()), (&scene.picture, 0));
            assert_eq!(source.classes()[usize::from(own)], CLASSES[scene.label]);
            for (class, body) in seen.classes.iter().zip(&scene.instances) {
                assert_eq!(*class, [0, own, 1][usize::from(*body).min(2)]);
            }
            let far = source.load(index, DenseTruthKind::Depth).unwrap();
            assert!(far.classes.is_empty());
            for (found, real) in far.depth.iter().zip(&scene.depth) {
                assert_eq!(*found, if *real <= FAR { *real } else { 0.0 });
            }
        }
        assert!(source.load(3, DenseTruthKind::Depth).unwrap_err().to_string().contains("only 3"));
    }

    #[test]
    fn bodies_of_a_varied_scene_have_their_classes_and_parts() {
        let source = DenseScenes::new(SceneKind::Varied, 5, 40, 48);
        assert_eq!((source.classes().len(), source.classes()[0].as_str()), (29, "background"));
        let mut others = 0;
        for index in 0..40 {
            let scene = SceneKind::Varied.draw(5, index, 48);
            let truth = source.truth(index).unwrap();
            assert_eq!(truth.classes, source.load(index, DenseTruthKind::Classes).unwrap().classes);
            for (class, (body, part)) in truth.classes.iter().zip(truth.instances.iter().zip(&truth.parts)) {
                assert_eq!([*class == 0, *part == 0], [*body == 0; 2]);
                if *body > 0 {
                    assert_eq!(Some(usize::from(*class) - 1), scene.classes[usize::from(*body) - 1]);
                    others += usize::from(*body > OBJECT);
                }
            }
            let main: Vec<u8> = truth.instances.iter().map(|body| u8::from(*body == 1)).collect();
            assert_eq!(source.load(index, DenseTruthKind::Object).unwrap().classes, main);
            let at = truth.instances.iter().position(|body| *body == OBJECT).unwrap();
            assert_eq!(
                source.classes()[usize::from(truth.classes[at])],
                SceneKind::Varied.classes()[scene.label]
            );
        }
        assert!(others > 2000, "{others}");
        assert!(source.truth(40).is_err());
    }
}

//! What varied scenes promise: nothing but form tells the class, the main object can be recognised, masks are true.
#![allow(clippy::unwrap_used)]

use super::super::tests::{behind, nearest_neighbours};
use super::super::world::RayTarget;
use super::*;
use crate::source::scenes::{BACKGROUND, OBJECT, RenderedScene, SceneKind};

const KIND: SceneKind = SceneKind::Varied;

fn seen(scene: &RenderedScene, body: u8) -> usize {
    scene.instances.iter().filter(|seen| **seen == body).count()
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let alone: Vec<RenderedScene> = (0..12).map(|i| KIND.draw(3, i, 40)).collect();
    for threads in [2, 5] {
        let together: Vec<RenderedScene> = std::thread::scope(|scope| {
            let every = |first: usize| {
                (first..12).step_by(threads).map(|i| (i, KIND.draw(3, i, 40))).collect::<Vec<_>>()
            };
            let work: Vec<_> = (0..threads).map(|first| scope.spawn(move || every(first))).collect();
            let mut all: Vec<_> = work.into_iter().flat_map(|work| work.join().unwrap()).collect();
            all.sort_by_key(|(i, _)| *i);
            all.into_iter().map(|(_, scene)| scene).collect()
        });
        assert_eq!(together, alone);
    }
    assert_ne!(KIND.draw(3, 1, 40).picture, KIND.draw(4, 1, 40).picture);
}

#[test]
fn classes_are_balanced_and_begin_with_those_of_easy_scenes() {
    let n = VARIED_CLASSES.len();
    assert!(n >= 24 && VARIED_CLASSES[..CLASSES.len()] == CLASSES);
    let distinct: std::collections::BTreeSet<&str> = VARIED_CLASSES.into_iter().collect();
    assert_eq!(distinct.len(), n);
    for block in 0..10 {
        let mut count = vec![0; n];
        (0..n).for_each(|i| count[KIND.label(9, block * n + i)] += 1);
        assert_eq!(count, vec![1; n]);
    }
    let order = |block: usize| (0..n).map(|i| KIND.label(9, block * n + i)).collect::<Vec<_>>();
    assert_ne!(order(0), order(1));
}

#[test]
fn the_main_object_is_the_largest_and_others_stand_about_it() {
    let (size, count) = (48, 160);
    let (mut crowded, mut hidden, mut corners) = (0, 0, [0; 4]);
    for index in 0..count {
        let scene = KIND.draw(2, index, size);
        let main = seen(&scene, OBJECT);
        let share = main as f32 / (size * size) as f32;
        assert!((0.03..0.5).contains(&share), "{index} covers {share}");
        for other in 2..=scene.classes.len() as u8 {
            assert!(seen(&scene, other) < main, "{index}: {other} is larger than the main object");
        }
        crowded += usize::from((2..=scene.classes.len() as u8).any(|other| seen(&scene, other) > 12));
        // Alone it would show more wherever another hides a part of it.
        let mut alone = KIND.compose(2, index, 0);
        alone.items.truncate(1);
        let whole = super::super::render::render(&alone, size)
            .instances
            .iter()
            .filter(|body| **body == OBJECT)
            .count();
        assert!(main as f32 > 0.55 * whole as f32, "{index}: {main} of {whole} pixels are left");
        hidden += usize::from(main + 12 < whole);
        let on: Vec<usize> = (0..size * size).filter(|i| scene.instances[*i] == OBJECT).collect();
        let mean = |of: fn(usize, usize) -> usize| on.iter().map(|i| of(*i, size)).sum::<usize>() / on.len();
        corners
            [usize::from(mean(|i, n| i % n) > size / 2) + 2 * usize::from(mean(|i, n| i / n) > size / 2)] +=
            1;
    }
    assert!(crowded > count / 2 && hidden > count / 20, "{crowded} crowded, {hidden} hidden");
    assert!(corners.iter().all(|n| *n > count / 10), "{corners:?}");
}

#[test]
fn masks_parts_and_depth_are_those_of_the_bodies() {
    let size = 32;
    for index in 0..40 {
        let (scene, world) = (KIND.draw(6, index, size), KIND.compose(6, index, 0));
        assert_eq!(scene.classes[0], Some(scene.label));
        for (i, (&body, &depth)) in scene.instances.iter().zip(&scene.depth).enumerate() {
            let (end, dir, behind) = behind(&world, size, i);
            if body == BACKGROUND {
                assert_eq!((depth, scene.parts[i]), (behind, 0));
                assert_eq!(depth.is_infinite(), end == RayTarget::Sky);
                continue;
            }
            assert!(depth > 0.5 && depth < behind, "{depth} before {behind}");
            // The point lies on the body whose number it has, nearer to the part whose number it has than to others.
            let item = &world.items[usize::from(body) - 1];
            let point = super::super::math::P4::splat(
                world.camera.eye + dir * (depth / world.camera.depth(dir, 1.0)),
            );
            assert!(item.distance(point).array()[0].abs() < 0.08, "{index}: {i} is off the body");
            // Where two parts meet rounding decides.
            let parts = item.shape.parts(item.local(point)).map(|part| part.array()[0]);
            let own = parts[usize::from(scene.parts[i]) - 1];
            assert!(parts.iter().all(|part| own < part + 0.01), "{index}: {i} is nearer to another part");
        }
    }
}

#[test]
fn raw_pixels_tell_next_to_nothing() {
    // Means of two by two pixels.
    let scene = |i: usize| {
        let scene = KIND.draw(11, i, 32);
        let at = |x: usize, y: usize, c: usize| f32::from(scene.picture.rgb[3 * (y * 32 + x) + c]);
        let mean = |i: usize| {
            let (x, y, c) = (i / 3 % 16 * 2, i / 48 * 2, i % 3);
            (at(x, y, c) + at(x + 1, y, c) + at(x, y + 1, c) + at(x + 1, y + 1, c)) / 1020.0
        };
        ((0..16 * 16 * 3).map(mean).collect::<Vec<_>>(), scene.label)
    };
    // So many are judged that chance alone does not decide.
    let items: Vec<_> = (0..3500).map(scene).collect();
    let chance = 1.0 / VARIED_CLASSES.len() as f32;
    for k in [1, 5, 20] {
        let right = nearest_neighbours(&items, 2000, k);
        assert!(right <= 1.6 * chance, "{k} neighbours are right in {right}, by chance in {chance}");
    }
}

#[test]
fn outlines_tell_forms_apart() {
    // Pictures of the main object alone, cut to its extent: what is asked for is there to be seen.
    let outline = |index: usize| {
        let mut world = KIND.compose(4, index, 0);
        world.items.truncate(1);
        let drawn = super::super::render::render(&world, 40);
        (super::super::tests::grid(&drawn.instances, 40, 12), KIND.label(4, index))
    };
    let items: Vec<_> = (0..1400).map(outline).collect();
    let right = nearest_neighbours(&items, 1120, 5);
    assert!(right > 0.25, "outlines alone are right in {right}");
}

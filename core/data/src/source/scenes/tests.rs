//! What the scenes promise: the same picture every time, one object well in view, told by its shape alone.
#![allow(clippy::unwrap_used)]

use super::math::V3;
use super::world::{RayTarget, SceneDescription};
use super::*;
use dinoscope_base::rng::{self, RngExt};

/// Share of test items whose majority label among their `k` nearest training items is right.
pub(super) fn nearest_neighbours(items: &[(Vec<f32>, usize)], train: usize, k: usize) -> f32 {
    let (known, asked) = items.split_at(train);
    let right = asked.iter().filter(|(x, label)| {
        let far = |y: &[f32]| x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        let mut near: Vec<(f32, usize)> = known.iter().map(|(y, label)| (far(y), *label)).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut votes = [0usize; VARIED_CLASSES.len()];
        near[..k].iter().for_each(|(_, label)| votes[*label] += 1);
        (0..votes.len()).max_by_key(|&c| votes[c]) == Some(*label)
    });
    right.count() as f32 / asked.len() as f32
}

/// The object's outline, cut to its extent and laid on a grid of `n` by `n`.
fn outline(scene: &RenderedScene, n: usize) -> Vec<f32> {
    grid(&scene.instances, scene.picture.width, n)
}

/// [`outline`] of the bodies in a picture of `size` pixels a side.
pub(super) fn grid(instances: &[u8], size: usize, n: usize) -> Vec<f32> {
    let on: Vec<usize> = (0..size * size).filter(|&i| instances[i] == OBJECT).collect();
    let (x0, x1) =
        (on.iter().map(|i| i % size).min().unwrap(), on.iter().map(|i| i % size).max().unwrap() + 1);
    let (y0, y1) = (on[0] / size, on[on.len() - 1] / size + 1);
    let at = |i: usize, lo: usize, hi: usize| lo + (2 * i + 1) * (hi - lo) / (2 * n);
    (0..n * n).map(|i| f32::from(instances[at(i / n, y0, y1) * size + at(i % n, x0, x1)] == OBJECT)).collect()
}

#[test]
fn same_arguments_same_scene() {
    assert_eq!(draw(3, 17, 40), draw(3, 17, 40));
    assert_ne!(draw(3, 17, 40).picture, draw(4, 17, 40).picture);
    assert_ne!(draw(3, 17, 40).picture, draw(3, 18, 40).picture);
}

/// A digest of everything about some scenes.
fn digest(kind: SceneKind, size: usize) -> u64 {
    let mut digest = 0xcbf2_9ce4_8422_2325u64;
    let mut eat = |byte: u8| digest = (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    for index in 0..24 {
        let scene = kind.draw(1 << 32, index, size);
        scene.picture.rgb.iter().for_each(|byte| eat(*byte));
        scene.instances.iter().for_each(|body| eat((*body).min(2)));
        scene.depth.iter().flat_map(|depth| depth.to_le_bytes()).for_each(&mut eat);
        eat(scene.label as u8);
    }
    digest
}

#[test]
fn scenes_are_drawn_as_they_were() {
    // A run that goes on sees the pictures that it saw, whichever version began it. Easy ones are those of the version before
    // scenes had kinds.
    let of = |kind| [32, 96].map(|size| digest(kind, size));
    assert_eq!(of(SceneKind::Easy), [0x3f64_372e_2b6b_beee, 0xf1f8_5624_9835_7ead]);
    assert_eq!(of(SceneKind::Varied), [0x2dba_15c5_0639_90cc, 0x6852_8f30_ff1f_b56f]);
}

#[test]
fn every_size_is_drawn_and_shows_the_same_scene() {
    for size in [0, 1, 2, 7, 64] {
        let scene = draw(1, 5, size);
        let side = size.max(1);
        assert_eq!((scene.picture.width, scene.picture.height), (side, side));
        assert_eq!(scene.picture.rgb.len(), side * side * 3);
        assert_eq!((scene.instances.len(), scene.depth.len()), (side * side, side * side));
    }
    let share = |size: usize| {
        draw(1, 5, size).instances.iter().filter(|m| **m == OBJECT).count() as f32 / (size * size) as f32
    };
    assert!((share(32) - share(96)).abs() < 0.03, "{} and {}", share(32), share(96));
}

#[test]
fn labels_are_balanced_and_mixed() {
    for block in 0..20 {
        let mut seen = [0; CLASSES.len()];
        (0..CLASSES.len()).for_each(|i| seen[SceneKind::Easy.label(9, block * CLASSES.len() + i)] += 1);
        assert_eq!(seen, [1; CLASSES.len()]);
    }
    let order = |seed, block: usize| {
        (0..12usize).map(|i| SceneKind::Easy.label(seed, block * 12 + i)).collect::<Vec<_>>()
    };
    assert_ne!(order(9, 0), order(9, 1));
    assert_ne!(order(9, 0), order(8, 0));
    assert_eq!(draw(9, 31, 8).label, SceneKind::Easy.label(9, 31));
}

#[test]
fn the_object_is_well_in_view() {
    let size = 48;
    let good = (0..200).filter(|&i| {
        let on = draw(2, i, size).instances.iter().filter(|m| **m == OBJECT).count();
        (0.08..0.6).contains(&(on as f32 / (size * size) as f32))
    });
    assert!(good.count() > 190);
}

/// What a pixel of a picture of `size` pixels a side would show without any body, in which direction, and its depth.
pub(super) fn behind(world: &SceneDescription, size: usize, pixel: usize) -> (RayTarget, V3, f32) {
    let at = |k: usize| (k as f32 + 0.5) / size as f32;
    let dir = world.camera.ray(at(pixel % size), at(pixel / size));
    let (end, t) = world.backdrop(dir);
    (end, dir, world.camera.depth(dir, t))
}

#[test]
fn bodies_are_nearer_than_what_lies_behind() {
    let size = 24;
    for index in 0..60 {
        let scene = draw(6, index, size);
        let world = SceneKind::Easy.compose(6, index, 0);
        for (i, (&body, &depth)) in scene.instances.iter().zip(&scene.depth).enumerate() {
            let (end, _, behind) = behind(&world, size, i);
            if body == BACKGROUND {
                assert_eq!(depth, behind);
                assert_eq!(depth.is_infinite(), end == RayTarget::Sky);
            } else {
                assert!(depth > 0.5 && depth.is_finite() && depth < behind, "{depth} before {behind}");
            }
        }
    }
}

#[test]
fn bounds_hold_the_shapes() {
    use super::math::{P4, v3};
    use super::shapes::{SceneObjectKind, SceneShape};
    let mut rng = rng::stream(1, "test", 0, 0);
    let kinds = (0..12).map(SceneObjectKind::Main).chain((0..4).map(SceneObjectKind::Clutter));
    let kinds = kinds.chain((0..16).map(SceneObjectKind::Form));
    for kind in kinds {
        for _ in 0..4000 {
            // Proportions at their extremes half the time: there the box is tightest.
            let shape = SceneShape {
                kind,
                v: std::array::from_fn(|_| (rng.random::<f32>() * 2.0 - 0.5).clamp(0.0, 1.0)),
            };
            let (centre, half) = shape.bounds();
            // A point on the box's faces (the lowest, where things stand, left out): nothing may reach through.
            let mut side = || rng.random::<f32>() * 2.0 - 1.0;
            let (a, b, sign) = (side(), side(), side().signum());
            let p =
                [v3(sign, a, b), v3(a, sign.abs(), b), v3(a, b, sign)][rng.random_range(0..3u32) as usize];
            let p = centre + p.tint(half);
            let d = shape.distance(P4::splat(p)).array()[0];
            assert!(d > -0.02, "{kind:?} {:?} reaches {d} through its box at {p:?}", shape.v);
        }
    }
}

#[test]
fn shape_tells_the_class_and_colour_only_helps() {
    let scenes: Vec<RenderedScene> = (0..600).map(|i| draw(4, i, 32)).collect();
    let histogram = |s: &RenderedScene| {
        let mut bins = vec![0.0; 64];
        for p in s.picture.rgb.chunks_exact(3) {
            bins[usize::from(p[0] >> 6) * 16 + usize::from(p[1] >> 6) * 4 + usize::from(p[2] >> 6)] += 1.0;
        }
        bins
    };
    let by = |f: &dyn Fn(&RenderedScene) -> Vec<f32>| {
        let items: Vec<_> = scenes.iter().map(|s| (f(s), s.label)).collect();
        nearest_neighbours(&items, 450, 5)
    };
    let colour = by(&histogram);
    assert!(colour < 0.6, "colour alone is right in {colour}");
    let shape = by(&|s| outline(s, 12));
    assert!(shape > 0.6, "outlines alone are right in {shape}");
    let pixels = by(&|s| s.picture.rgb.iter().map(|b| f32::from(*b) / 255.0).collect());
    assert!(pixels < 0.6, "raw pixels are right in {pixels}");
}

#[test]
fn outlines_of_classes_differ() {
    let mut mean = vec![vec![0.0; 144]; CLASSES.len()];
    for i in 0..360 {
        let scene = draw(8, i, 32);
        mean[scene.label].iter_mut().zip(outline(&scene, 12)).for_each(|(m, x)| *m += x / 30.0);
    }
    let overlap = |a: &[f32], b: &[f32]| {
        let sum = |f: fn(f32, f32) -> f32| a.iter().zip(b).map(|(&x, &y)| f(x, y)).sum::<f32>();
        sum(f32::min) / sum(f32::max)
    };
    for a in 0..CLASSES.len() {
        for b in 0..a {
            let iou = overlap(&mean[a], &mean[b]);
            assert!(iou < 0.88, "{} looks like {}: {iou}", CLASSES[a], CLASSES[b]);
        }
    }
}

#[test]
fn the_source_remembers_what_it_drew() {
    let source = ScenesSource::new(5, 30, 16);
    assert_eq!((source.len(), source.classes().len()), (30, 12));
    let first = std::thread::scope(|s| {
        let other = s.spawn(|| source.load(3).unwrap());
        assert_eq!(source.load(3).unwrap(), other.join().unwrap());
        source.load(3).unwrap()
    });
    assert_eq!(first, draw(5, 3, 16).picture);
    assert_eq!(source.label(3), Some(draw(5, 3, 16).label));
    assert_eq!(source.name(3), format!("scene 3 ({})", CLASSES[SceneKind::Easy.label(5, 3)]));
    assert!(source.load(30).is_err());
    // Pictures beyond what may be remembered are drawn again, and none at all need fit.
    let large = ScenesSource { drawn: Vec::new(), ..ScenesSource::new(5, 30, 16) };
    assert_eq!(large.load(3).unwrap(), first);
    assert_eq!(ScenesSource::new(5, 0, 0).len(), 1);
}

#[test]
fn views_of_a_scene_have_the_form_of_its_object_in_common_and_nothing_else() {
    for kind in [SceneKind::Easy, SceneKind::Varied] {
        for index in 0..20 {
            let views: Vec<SceneDescription> = (0..3).map(|view| kind.compose(5, index, view)).collect();
            let form = |view: &SceneDescription| (view.items[0].shape.kind.class(), view.items[0].shape.v);
            assert!(views.iter().all(|view| form(view) == form(&views[0])));
            let paint = |view: &SceneDescription| format!("{:?}", view.items[0].paints[1].base);
            let turned = |view: &SceneDescription| format!("{:?}", view.items[0].frame);
            for (a, b) in [(0, 1), (0, 2), (1, 2)] {
                let (a, b) = (&views[a], &views[b]);
                assert!(paint(a) != paint(b) && turned(a) != turned(b), "{kind} {index}");
                assert_ne!(format!("{:?}", a.light), format!("{:?}", b.light));
            }
        }
    }
}

#[test]
fn a_source_of_views_gives_them_side_by_side_and_the_first_as_the_picture() {
    let plain = ScenesSource::of_kind(SceneKind::Varied, 3, 4, 12);
    let source = ScenesSource::of_kind(SceneKind::Varied, 3, 4, 12).in_views(3);
    assert_eq!((plain.views(1), source.views(1)), (1, 3));
    assert_eq!(plain.load_views(1).unwrap(), plain.load(1).unwrap());
    for index in 0..4 {
        let all = source.load_views(index).unwrap();
        assert_eq!((all.width, all.height), (36, 12));
        for view in 0..3 {
            let own = SceneKind::Varied.draw_view(3, index, view, 12).picture;
            for y in 0..12 {
                let row = &all.rgb[3 * (36 * y + 12 * view)..][..36];
                assert_eq!(row, &own.rgb[36 * y..][..36], "row {y} of view {view}");
            }
        }
        assert_eq!(source.load(index).unwrap(), plain.load(index).unwrap());
    }
    assert!(source.load_views(4).is_err() && source.load(4).is_err());
}

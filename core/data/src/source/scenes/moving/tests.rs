//! What moving scenes promise: the first frame is the still scene, the truth lies on the object, and everything moves smoothly.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::source::scenes::OBJECT;

const KIND: SceneKind = SceneKind::Varied;

#[test]
fn the_first_frame_is_the_still_scene_and_the_same_arguments_give_the_same_frames() {
    for index in 0..4 {
        let scene = MovingScene::new(KIND, 3, index, 60);
        assert_eq!(scene.frame(0, 40), KIND.draw(3, index, 40));
        let again = MovingScene::new(KIND, 3, index, 60);
        for frame in [1, 30, 59] {
            assert_eq!(scene.frame(frame, 32), again.frame(frame, 32));
            assert_eq!(scene.place(frame), again.place(frame));
        }
        assert_ne!(scene.frame(0, 32).picture, scene.frame(59, 32).picture);
        assert_eq!(scene.frame(99, 16), scene.frame(59, 16), "behind the last there is none");
    }
    assert_eq!(MovingScene::new(KIND, 3, 0, 0).frames(), 2);
}

#[test]
fn the_truth_lies_on_the_mask_of_the_object() {
    let size = 96;
    let (mut seen, mut on) = (0, 0);
    for index in 0..16 {
        let scene = MovingScene::new(KIND, 5, index, 60);
        assert!(scene.place(0).visible, "{index}: what is to be followed has to be seen");
        for frame in (0..60).step_by(6) {
            let truth = scene.place(frame);
            if truth.visible {
                let at = |share: f32| ((share * size as f32) as usize).min(size - 1);
                let body = scene.frame(frame, size).instances[at(truth.y) * size + at(truth.x)];
                (seen, on) = (seen + 1, on + usize::from(body == OBJECT));
            }
        }
    }
    assert!(seen > 140, "{seen} of 160 are in view");
    // A thin limb may lie beside the middle of its pixel.
    assert!(on as f32 > 0.97 * seen as f32, "{on} of {seen}");
}

#[test]
fn places_go_some_way_and_no_frame_jumps() {
    let (mut visible, mut frames, mut far) = (0, 0, Vec::new());
    for index in 0..40 {
        let scene = MovingScene::new(KIND, 11 << 40, index, MovingScenes::FRAMES);
        let truths: Vec<PlaceTruth> = (0..scene.frames()).map(|frame| scene.place(frame)).collect();
        let step = |i: usize| (truths[i + 1].x - truths[i].x, truths[i + 1].y - truths[i].y);
        for i in 0..truths.len() - 1 {
            let (x, y) = step(i);
            assert!(x.hypot(y) < 0.03, "{index}: frame {i} goes {}", x.hypot(y));
            if i > 0 {
                let (before_x, before_y) = step(i - 1);
                let change = (x - before_x).hypot(y - before_y);
                assert!(change < 0.004, "{index}: frame {i} changes its pace by {change}");
            }
        }
        visible += truths.iter().filter(|truth| truth.visible).count();
        frames += truths.len();
        let travel = truths.iter().map(|truth| (truth.x - truths[0].x).hypot(truth.y - truths[0].y));
        far.push(travel.fold(0.0, f32::max));
    }
    assert!(visible as f32 > 0.9 * frames as f32, "{visible} of {frames} in view");
    let mean = far.iter().sum::<f32>() / far.len() as f32;
    assert!(mean > 0.18, "places go {mean} of the picture");
}

#[test]
fn scenes_of_an_evaluation_have_names_and_at_least_two_frames() {
    let scenes = MovingScenes::of_evaluation(KIND, 0, 1);
    assert_eq!((scenes.count, scenes.frames), (1, 2));
    assert!(scenes.name(0).starts_with("moving scene 0 ("));
    assert_eq!(scenes.scene(0).frame(0, 16), KIND.draw(scenes.seed, 0, 16));
}

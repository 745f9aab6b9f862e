//! Following from scenes to figures.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::catalogue::{self, EvalTask};
use crate::suite::EvalOptions;
use burn::tensor::Device;
use dinoscope_base::device::block_on;
use dinoscope_data::source::scenes::SceneKind;
use dinoscope_model::{Vit, VitConfig};

fn run(task: FollowTask, alone: bool, stop: bool) -> Result<EvalReport, EvaluationError> {
    let device = Device::flex();
    let backbone = Vit::init(&VitConfig::new(64, 4, 24, 2, 2), 1, &device);
    let options = EvalOptions { alone, ..EvalOptions::new(64) };
    let mut on_progress = async |at: EvalProgress| {
        assert!(at.done <= at.total, "{at:?}");
        !stop
    };
    block_on(catalogue::evaluate(&EvalTask::Follow(task), &backbone, &options, &device, &mut on_progress))
}

fn task(frames: usize) -> FollowTask {
    let scenes = MovingScenes::of_evaluation(SceneKind::Varied, 3, frames);
    FollowTask { resolution: Some(64), ..FollowTask::new(scenes) }
}

#[test]
fn all_who_follow_are_judged_and_repeat() {
    let outcome = run(task(8), false, false).unwrap();
    let subjects: Vec<&str> = outcome.rows.iter().map(|row| row.subject.as_str()).collect();
    assert_eq!(subjects, ["weights", "untrained", "raw pixels", "colour of patches", "nothing moves"]);
    for row in &outcome.rows {
        for figure in &row.figures {
            let (low, high) = figure.interval.unwrap();
            assert!(0.0 <= low && low <= figure.value && figure.value <= high && high <= 1.0, "{figure:?}");
        }
    }
    // Frames are eight: from one to the next places go farther than whoever stands still would find.
    let near = |row: usize| outcome.rows[row].figures[0].value;
    assert!(near(2) > near(4), "pixels {} beside nothing {}", near(2), near(4));
    assert!(outcome.data.starts_with("3 moving scenes of 8 frames"), "{}", outcome.data);
    assert_eq!(outcome.pictures.len(), 1);
    assert!(outcome.notes[0].contains("16 × 16 patches, tokens of block 2 of 2"), "{:?}", outcome.notes);
    let alone = run(task(8), true, false).unwrap();
    assert_eq!(alone.rows, outcome.rows[..1]);
    let first = run(FollowTask { block: Some(0), shown: 0, ..task(8) }, true, false).unwrap();
    assert!(
        first.notes[0].contains("tokens of block 1 of 2") && first.pictures.is_empty(),
        "{:?}",
        first.notes
    );
}

#[test]
fn a_person_may_stop_it() {
    assert!(run(task(4), true, true).unwrap_err().is_stopped());
}

#[test]
fn what_cannot_be_followed_is_refused() {
    for wrong in [
        FollowTask { resolution: Some(1), ..task(2) },
        FollowTask { block: Some(2), ..task(2) },
        FollowTask { radius: Some(-1.0), ..task(2) },
        FollowTask { radius: Some(f32::NAN), ..task(2) },
    ] {
        assert!(run(wrong, true, false).is_err());
    }
}

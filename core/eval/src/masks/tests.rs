//! Masks from pictures to figures, of bright squares on dark ground.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;
use crate::catalogue::{self, EvalTask};
use crate::suite::EvalOptions;
use burn::tensor::Device;
use dinoscope_base::device::block_on;
use dinoscope_data::source::dense::{DenseSource, IGNORED};
use dinoscope_data::{DataError, Picture};
use dinoscope_model::{Vit, VitConfig};

/// Pictures of 32 × 32 pixels with a square of 16 × 16 in the middle, in every second one 4 pixels farther to the right. The
/// first pixel does not count, the third picture is torn, and the fourth has no square.
struct BrightSquares {
    count: usize,
    classes: Vec<String>,
}

impl BrightSquares {
    fn split(test: usize) -> DenseSplit {
        let of = |count| -> Arc<dyn DenseSource> {
            Arc::new(Self { count, classes: ["ground", "square"].map(String::from).to_vec() })
        };
        DenseSplit { train: of(2), test: of(test) }
    }
}

impl DenseSource for BrightSquares {
    fn len(&self) -> usize {
        self.count
    }

    fn name(&self, index: usize) -> String {
        format!("square {index}")
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn load(&self, index: usize, truth: DenseTruthKind) -> Result<DenseSample, DataError> {
        assert_eq!(truth, DenseTruthKind::Object);
        if index == 2 {
            return Err(DataError::Decode { name: "square 2".into(), reason: "it is torn".into() });
        }
        let left = 8 + 4 * (index % 2);
        let inside =
            |i: usize| index != 3 && (8..24).contains(&(i / 32)) && (left..left + 16).contains(&(i % 32));
        let noise = |i: usize| (i * 7919 % 23) as u8;
        let rgb = (0..1024)
            .flat_map(|i| if inside(i) { [220, 180, 30 + noise(i)] } else { [20, 40 + noise(i), 90] });
        let class = |i: usize| if i == 0 { IGNORED } else { u8::from(inside(i)) };
        let picture = Picture::of_rgb(32, 32, rgb.collect());
        Ok(DenseSample { picture, classes: (0..1024).map(class).collect(), depth: Vec::new() })
    }
}

fn run(data: DenseSplit, task: MasksTask, alone: bool, stop_at: &str) -> Result<EvalReport, EvaluationError> {
    let device = Device::flex();
    let backbone = Vit::init(&VitConfig::new(32, 4, 24, 2, 2), 1, &device);
    let options = EvalOptions { alone, ..EvalOptions::new(32) };
    let mut on_progress = async |at: EvalProgress| {
        assert!(at.done <= at.total, "{at:?}");
        at.doing != stop_at
    };
    block_on(catalogue::evaluate(
        &EvalTask::Masks(data, task),
        &backbone,
        &options,
        &device,
        &mut on_progress,
    ))
}

fn task() -> MasksTask {
    MasksTask { window: Some(32), ..MasksTask::default() }
}

#[test]
fn what_is_found_stands_beside_what_needs_no_features() {
    let outcome = run(BrightSquares::split(4), task(), false, "").unwrap();
    let rows: Vec<(&str, &str)> =
        outcome.rows.iter().map(|row| (row.subject.as_str(), row.setting.as_str())).collect();
    let both = |subject| [(subject, "component"), (subject, "attention")];
    let others = [("whole picture", ""), ("box in the middle", "")];
    assert_eq!(rows, [both("weights"), both("untrained"), others].concat());
    let value = |row: usize, figure: usize| outcome.rows[row].figures[figure].value;
    // Two colours: even a random backbone has them on two sides of its first component.
    assert!(value(0, 0) > 0.6 && value(0, 1) == 1.0, "{:?}", outcome.rows[0]);
    assert!(value(1, 0) > 0.0, "{:?}", outcome.rows[1]);
    // 256 of 1023 pixels; the box fits one of the squares and shares three quarters with the other.
    assert!((value(4, 0) - 256.0 / 1023.0).abs() < 1e-12, "{:?}", outcome.rows[4]);
    assert!((value(5, 0) - (1.0 + 192.0 / 320.0) / 2.0).abs() < 1e-12, "{:?}", outcome.rows[5]);
    for figure in outcome.rows.iter().flat_map(|row| &row.figures) {
        let (low, high) = figure.interval.unwrap();
        assert!(low <= figure.value && figure.value <= high, "{figure:?}");
    }
    assert!(outcome.data.starts_with("2 pictures with an object"), "{}", outcome.data);
    let left_out: Vec<&str> = outcome.left_out.iter().map(|left| left.input.as_str()).collect();
    assert_eq!(left_out, ["square 2"]);
    assert!(outcome.notes.iter().any(|note| note.ends_with("do not count: 1")), "{:?}", outcome.notes);
    assert!(outcome.notes.iter().any(|note| note.contains("has 25 % of the picture")), "{:?}", outcome.notes);
    let names: Vec<&str> = outcome.pictures.iter().map(|shown| shown.name.as_str()).collect();
    assert_eq!(names, ["component", "attention"]);

    let alone = run(BrightSquares::split(4), task(), true, "").unwrap();
    assert_eq!(alone.rows, outcome.rows[..2]);
    let all = run(BrightSquares::split(4), MasksTask { mass: 1.0, shown: 0, ..task() }, true, "").unwrap();
    assert!(
        (all.rows[1].figures[0].value - 256.0 / 1023.0).abs() < 1e-12,
        "all of the attention is all of the picture"
    );
    assert!(all.pictures.is_empty());
}

#[test]
fn it_stops_and_refuses() {
    for stop_at in ["masks", "sizes"] {
        assert!(run(BrightSquares::split(2), task(), false, stop_at).unwrap_err().is_stopped(), "{stop_at}");
    }
    for wrong in [
        MasksTask { mass: 0.0, ..task() },
        MasksTask { mass: 1.1, ..task() },
        MasksTask { window: Some(0), ..task() },
    ] {
        assert!(run(BrightSquares::split(2), wrong, true, "").is_err());
    }
    // Those that are left have no object.
    let mut without = BrightSquares::split(4);
    without.test = Arc::new(Later(without.test));
    let said = run(without, task(), true, "").unwrap_err().to_string();
    assert!(said.contains("no test picture has an object") && said.contains("--binary"), "{said}");
}

/// The last two pictures of a collection of four.
struct Later(Arc<dyn DenseSource>);

impl DenseSource for Later {
    fn len(&self) -> usize {
        2
    }

    fn name(&self, index: usize) -> String {
        self.0.name(index + 2)
    }

    fn classes(&self) -> &[String] {
        self.0.classes()
    }

    fn load(&self, index: usize, truth: DenseTruthKind) -> Result<DenseSample, DataError> {
        self.0.load(index + 2, truth)
    }
}

//! Depth from pictures to figures, on pictures whose brightness is their depth.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use burn::tensor::Device;

use super::*;
use crate::suite::EvalOptions;
use dinoscope_base::device::block_on;
use dinoscope_base::rng::{RngExt, stream};
use dinoscope_data::DataError;
use dinoscope_data::source::dense::DenseSource;
use dinoscope_model::{Vit, VitConfig};

/// Pictures of 20 × 12 pixels that grow darker from one side to the other, with noise; the first row is unknown.
struct Ramps {
    first: usize,
}

impl DenseSource for Ramps {
    fn len(&self) -> usize {
        6
    }

    fn name(&self, index: usize) -> String {
        format!("ramp {index}")
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn load(&self, index: usize, _: DenseTruthKind) -> Result<DenseSample, DataError> {
        let mut rng = stream(5, "ramps", (self.first + index) as u64, 0);
        let (from, to) = (2.0 + 3.0 * rng.random::<f32>(), 5.0 + 3.0 * rng.random::<f32>());
        let far = |i: usize| from + (to - from) * (i % 20) as f32 / 19.0;
        let level = |i: usize, rng: &mut dinoscope_base::rng::Stream| {
            (30.0 * far(i)) as u8 + rng.random_range(0..4) as u8
        };
        let rgb = (0..240).flat_map(|i| [level(i, &mut rng); 3]).collect();
        let depth = |i: usize| if i < 20 { 0.0 } else { far(i) };
        let picture = Picture::of_rgb(20, 12, rgb);
        Ok(DenseSample { picture, classes: Vec::new(), depth: (0..240).map(depth).collect() })
    }
}

fn split() -> DenseSplit {
    DenseSplit { train: Arc::new(Ramps { first: 0 }), test: Arc::new(Ramps { first: 40 }) }
}

fn task() -> DepthTask {
    let training = DenseTrainingOptions { iterations: 150, batch: 4, lr: 1e-2, weight_decay: 1e-4 };
    DepthTask { window: Some(12), training, shown: 3, ..DepthTask::default() }
}

fn run(task: &DepthTask, alone: bool) -> Result<EvalReport, EvaluationError> {
    let device = Device::flex();
    let backbone = Vit::init(&VitConfig::new(16, 4, 12, 4, 2), 1, &device);
    let options = EvalOptions { alone, ..EvalOptions::new(16) };
    let context = EvalContext { backbone: &backbone, options: &options, device: &device };
    block_on(evaluate(&context, &split(), task, &mut async |_| true))
}

#[test]
fn brightness_is_read_off_pixels() {
    let outcome = run(&task(), false).unwrap();
    let subjects: Vec<&str> = outcome.rows.iter().map(|row| row.subject.as_str()).collect();
    assert_eq!(subjects, ["weights", "untrained", "raw pixels"]);
    let figures = &outcome.rows[2].figures;
    let names: Vec<&str> = figures.iter().map(|figure| figure.name.as_str()).collect();
    assert_eq!(names, score::NAMES);
    // Depths run from 2 to 8; predicting one number for all would be off by more than 1.
    assert!(figures[0].value < 0.5 && figures[2].value > 0.9, "{:?}", outcome.rows);
    for figure in outcome.rows.iter().flat_map(|row| &row.figures) {
        let (low, high) = figure.interval.unwrap();
        assert!(low <= figure.value && figure.value <= high, "{figure:?}");
    }
    assert!(outcome.notes[0].contains("blocks 0, 1, 2, 3") && outcome.pictures.len() == 1);
    assert_eq!(run(&task(), false).unwrap(), outcome, "the same again");
}

#[test]
fn settings_change_what_they_say() {
    let plain = run(&task(), true).unwrap();
    let again = run(&DepthTask { memory: 0, ..task() }, true).unwrap();
    assert_eq!(again.rows, plain.rows);
    assert!(again.notes[1].contains("6 pictures"), "{:?}", again.notes);
    for other in [
        DepthTask { blocks: 1, ..task() },
        DepthTask { window: Some(14), ..task() },
        DepthTask { window: Some(14), exact_padding: true, ..task() },
        DepthTask { gradient: 0.5, ..task() },
        DepthTask { mirrored: true, ..task() },
        DepthTask { flip: true, ..task() },
        DepthTask { range: Some((1e-3, 10.0)), ..task() },
        DepthTask { range: Some((3.0, 6.0)), ..task() },
    ] {
        let outcome = run(&other, true).unwrap();
        assert_ne!(outcome.rows, plain.rows, "{other:?}");
        assert!(outcome.rows[0].figures[0].value < 2.5, "{other:?}: {:?}", outcome.rows);
    }
}

#[test]
fn wrong_settings_and_a_stop_are_told() {
    let said = |task: DepthTask| run(&task, true).unwrap_err().to_string();
    assert!(said(DepthTask { blocks: 9, ..task() }).contains("blocks is 9"));
    assert!(said(DepthTask { range: Some((2.0, 1.0)), ..task() }).contains("above the least"));
    let outside = said(DepthTask { range: Some((90.0, 100.0)), ..task() });
    assert!(outside.starts_with("0.0 % of the known depths lie between 90 and 100 metres"), "{outside}");
    let device = Device::flex();
    let backbone = Vit::init(&VitConfig::new(16, 4, 12, 4, 2), 1, &device);
    let options = EvalOptions::new(16);
    let context = EvalContext { backbone: &backbone, options: &options, device: &device };
    for last in ["pictures", "features", "head", "judging"] {
        let mut progress = async |at: EvalProgress| at.doing != last;
        let stopped = block_on(evaluate(&context, &split(), &task(), &mut progress));
        assert!(stopped.unwrap_err().is_stopped(), "{last}");
    }
}

#[test]
fn blocks_are_spread_as_published() {
    assert_eq!(spread(12, 4), [2, 5, 8, 11]);
    assert_eq!(spread(40, 4), [9, 19, 29, 39]);
    assert_eq!((spread(4, 4), spread(12, 1)), (vec![0, 1, 2, 3], vec![11]));
    // The released models of 24 blocks take 4, 11, 17 and 23.
    assert_eq!(spread(24, 4), [4, 11, 17, 23]);
}

/// All figures of the weights.
fn figures(task: &DepthTask) -> [f64; 5] {
    let outcome = run(task, true).unwrap();
    std::array::from_fn(|i| outcome.rows[0].figures[i].value)
}

#[test]
fn figures_stay_as_they_were() {
    let edges = DepthTask { gradient: 0.5, range: Some((1e-3, 10.0)), ..task() };
    let padded = DepthTask { blocks: 1, exact_padding: true, window: Some(14), ..task() };
    let mirrored = DepthTask { mirrored: true, flip: true, window: Some(14), ..task() };
    let known = [
        (task(), [0.2258, 0.0344, 1.0, 1.0, 1.0]),
        (edges, [0.1029, 0.0135, 1.0, 1.0, 1.0]),
        (padded, [0.3157, 0.0534, 1.0, 1.0, 1.0]),
        (mirrored, [0.2230, 0.0328, 1.0, 1.0, 1.0]),
    ];
    for (task, known) in known {
        let found = figures(&task);
        // Sums in another order differ in the last digits; AdamW carries them on where a slope is hardly any.
        assert!(found.iter().zip(known).all(|(a, b)| (a - b).abs() < 2e-3), "{found:?} is not {known:?}");
    }
}

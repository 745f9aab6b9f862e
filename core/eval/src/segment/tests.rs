//! Segmentation from pictures to figures, on pictures whose classes are colours.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::dense::extractor::DenseExample;
use super::*;
use crate::outcome::UnusableInput;
use crate::suite::EvalOptions;
use burn::tensor::Device;
use dinoscope_base::device::block_on;
use dinoscope_base::rng::{RngExt, stream};
use dinoscope_data::DataError;
use dinoscope_data::source::dense::DenseSource;
use dinoscope_data::source::dense::IGNORED;
use dinoscope_model::{Vit, VitConfig};

/// Pictures of 6 × 4 squares, 4 pixels a side; the colour of a square is its class, its first pixel does not count.
struct Squares {
    first: usize,
    count: usize,
    classes: Vec<String>,
}

const COLOURS: [[u8; 3]; 3] = [[200, 40, 40], [40, 180, 60], [60, 60, 220]];

impl Squares {
    fn split() -> DenseSplit {
        let of = |first, count| -> Arc<dyn DenseSource> {
            Arc::new(Self { first, count, classes: ["red", "green", "blue"].map(String::from).to_vec() })
        };
        DenseSplit { train: of(0, 6), test: of(50, 5) }
    }
}

impl DenseSource for Squares {
    fn len(&self) -> usize {
        self.count
    }

    fn name(&self, index: usize) -> String {
        format!("squares {}", self.first + index)
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn load(&self, index: usize, _: DenseTruthKind) -> Result<DenseSample, DataError> {
        let mut rng = stream(5, "squares", (self.first + index) as u64, 0);
        let squares: Vec<usize> = (0..24).map(|_| rng.random_range(0..3)).collect();
        let class = |i: usize| squares[i / 24 / 4 * 6 + i % 24 / 4];
        let rgb =
            (0..24 * 16).flat_map(|i| COLOURS[class(i)].map(|v| v + rng.random_range(0..30) as u8)).collect();
        let corner = |i: usize| i.is_multiple_of(4) && (i / 24).is_multiple_of(4);
        let label = |i: usize| if corner(i) { IGNORED } else { class(i) as u8 };
        let picture = Picture::of_rgb(24, 16, rgb);
        if self.first + index == 51 {
            return Err(DataError::Decode { name: "squares 51".into(), reason: "it is torn".into() });
        }
        Ok(DenseSample { picture, classes: (0..24 * 16).map(label).collect(), depth: Vec::new() })
    }
}

fn task() -> SegmentTask {
    let training = DenseTrainingOptions { iterations: 120, batch: 4, lr: 2e-2, weight_decay: 1e-4 };
    SegmentTask { window: Some(16), training, shown: 2, ..SegmentTask::default() }
}

fn run(task: &SegmentTask, alone: bool) -> (Result<EvalReport, EvaluationError>, Vec<&'static str>) {
    let device = Device::flex();
    let backbone = Vit::init(&VitConfig::new(16, 4, 12, 4, 2), 1, &device);
    let options = EvalOptions { alone, ..EvalOptions::new(16) };
    let context = EvalContext { backbone: &backbone, options: &options, device: &device };
    let mut heard = Vec::new();
    let mut progress = async |at: EvalProgress| {
        assert!(at.done <= at.total, "{at:?}");
        if heard.last() != Some(&at.doing) {
            heard.push(at.doing);
        }
        true
    };
    let outcome = block_on(evaluate(&context, &Squares::split(), task, &mut progress));
    (outcome, heard)
}

fn miou(outcome: &EvalReport, subject: &str) -> f64 {
    outcome.rows.iter().find(|row| row.subject == subject).unwrap().figures[0].value
}

#[test]
fn colours_are_read_off_pixels() {
    let (outcome, heard) = run(&task(), false);
    let outcome = outcome.unwrap();
    let once = ["features", "head", "judging"];
    assert_eq!(heard, [&["pictures"][..], &once, &once, &once].concat());
    // Squares are patches; only what lies between two of them can be wrong.
    assert!(miou(&outcome, "raw pixels") > 0.7, "{:?}", outcome.rows);
    let subjects: Vec<(&str, &str)> =
        outcome.rows.iter().map(|row| (row.subject.as_str(), row.setting.as_str())).collect();
    let all = ["red", "green", "blue"].map(|class| ("weights", class));
    assert_eq!(subjects, [&[("weights", ""), ("untrained", ""), ("raw pixels", "")][..], &all].concat());
    for figure in outcome.rows.iter().flat_map(|row| &row.figures) {
        let (low, high) = figure.interval.unwrap();
        assert!(low <= figure.value && figure.value <= high && high <= 1.0, "{figure:?}");
    }
    let torn = UnusableInput { input: "squares 51".to_owned(), reason: "it is torn".to_owned() };
    assert_eq!(outcome.left_out, [torn]);
    assert_eq!(outcome.pictures.len(), 1);
    assert_eq!(run(&task(), false).0.unwrap(), outcome, "the same again");
}

#[test]
fn settings_change_what_they_say() {
    let plain = run(&task(), true).0.unwrap();
    // Looking again in every step gives the same features.
    let again = run(&SegmentTask { memory: 0, ..task() }, true).0.unwrap();
    assert_eq!(again.rows, plain.rows);
    assert!(again.notes[1].contains("12 views"), "{:?}", again.notes);
    let some = run(&SegmentTask { memory: 5 * 4 * 16 * 12, ..task() }, true).0.unwrap();
    assert_eq!(some.rows, plain.rows);
    assert!(some.notes[1].contains("7 views"), "{:?}", some.notes);
    for other in [
        SegmentTask { blocks: 4, ..task() },
        SegmentTask { window: Some(14), ..task() },
        SegmentTask { window: Some(14), exact_padding: true, ..task() },
        SegmentTask { stride: Some(3), ..task() },
        SegmentTask { ratios: vec![1.0, 1.7], flip: true, ..task() },
        SegmentTask { every: 3, ..task() },
        SegmentTask { crops: 2, ..task() },
    ] {
        let outcome = run(&other, true).0.unwrap();
        assert_ne!(outcome.rows, plain.rows, "{other:?}");
        assert!(miou(&outcome, "weights") > 0.15, "{other:?}: {:?}", outcome.rows);
    }
}

#[test]
fn wrong_settings_and_a_stop_are_told() {
    let said = |task: SegmentTask| run(&task, true).0.unwrap_err().to_string();
    assert!(said(SegmentTask { blocks: 5, ..task() }).contains("blocks is 5"));
    assert!(said(SegmentTask { window: Some(0), ..task() }).contains("window"));
    assert!(said(SegmentTask { ratios: Vec::new(), ..task() }).contains("sizes"));
    let lost = DenseTrainingOptions { lr: f64::INFINITY, ..task().training };
    assert!(said(SegmentTask { training: lost, ..task() }).contains("learning rate"));

    let device = Device::flex();
    let backbone = Vit::init(&VitConfig::new(16, 4, 12, 4, 2), 1, &device);
    let options = EvalOptions::new(16);
    let context = EvalContext { backbone: &backbone, options: &options, device: &device };
    for last in ["pictures", "features", "head", "judging"] {
        let mut progress = async |at: EvalProgress| at.doing != last;
        let stopped = block_on(evaluate(&context, &Squares::split(), &task(), &mut progress));
        assert!(stopped.unwrap_err().is_stopped(), "{last}");
    }
}

#[test]
fn crops_carry_their_labels() {
    // Every pixel's colour tells its class, whatever was cut out and mirrored.
    let crops = SegmentTask { crops: 6, ..task() };
    let setting =
        SegmentationRunConfig { task: &crops, window: 16, stride: 10, patch: 4, classes: 3, seed: 0 };
    let dense = Squares::split().train.load(0, DenseTruthKind::Classes).unwrap();
    let mut right = (0, 0);
    let examples = setting.examples(0, &dense);
    assert_eq!(examples.len(), 6);
    for DenseExample { view, truth, .. } in examples {
        assert_eq!(truth.len(), view.frame.width * view.frame.height);
        for (pixel, label) in view.picture.rgb.as_chunks::<3>().0.iter().zip(&truth) {
            if *label != IGNORED {
                let brightest = (0..3).max_by_key(|c| pixel[*c]).unwrap();
                right.0 += usize::from(brightest == usize::from(*label));
                right.1 += 1;
            }
        }
    }
    assert!(right.0 as f64 > 0.93 * right.1 as f64, "{right:?}");
}

/// mIoU and the share of pixels right, of the weights.
fn figures(task: &SegmentTask) -> [f64; 2] {
    let outcome = run(task, true).0.unwrap();
    std::array::from_fn(|i| outcome.rows[0].figures[i].value)
}

#[test]
fn figures_stay_as_they_were() {
    let every = SegmentTask { every: 3, blocks: 2, ..task() };
    let crops = SegmentTask { crops: 2, exact_padding: true, window: Some(14), ..task() };
    let looks = SegmentTask { ratios: vec![1.0, 1.7], flip: true, ..task() };
    let known = [
        (task(), [0.9614, 0.9806]),
        (every, [0.9494, 0.9743]),
        (crops, [0.7886, 0.8840]),
        (looks, [0.9484, 0.9736]),
    ];
    for (task, known) in known {
        let found = figures(&task);
        // Four pictures of 360 pixels that count: sums in another order may turn a few of them at the borders.
        assert!(found.iter().zip(known).all(|(a, b)| (a - b).abs() < 0.005), "{found:?} is not {known:?}");
    }
}

//! Cases for crop retrieval.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::super::catalogue::{self, EvalTask};
use super::super::outcome::EvalReport;
use super::super::suite::{EvalOptions, EvalProgress};
use super::*;
use dinoscope_base::device::block_on;
use dinoscope_data::DataError;
use dinoscope_data::augment::BlurProbability;
use dinoscope_data::source::scenes::ScenesSource;
use dinoscope_model::VitConfig;

/// Crops that differ in nothing but their place: easily found.
fn plain(global_scale: (f64, f64)) -> CropRecipe {
    CropRecipe {
        global_size: 28,
        global_scale,
        jitter: 0.0,
        grayscale: 0.0,
        blur: BlurProbability::NONE,
        solarize: 0.0,
        ..CropRecipe::default()
    }
}

#[test]
fn the_nearest_crop_is_told_from_the_second_nearest() {
    let first = [1.0, 0.0, 0.0, 1.0, -1.0, 0.1];
    let found_of = |second: &[f32]| found(&first, second, 2).unwrap();
    assert_eq!(found_of(&[5.0, 0.2, 0.1, 9.0, -3.0, 0.0]), Accuracy { correct: 3, total: 3 });
    // The second crops of the first two pictures have changed places; lengths say nothing.
    assert_eq!(found_of(&[0.1, 9.0, 5.0, 0.2, -3.0, 0.0]), Accuracy { correct: 1, total: 3 });
    // Of two that are equally near the first one is taken.
    assert_eq!(found_of(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]).correct, 1);
    assert_eq!(found(&[], &[], 0).unwrap(), Accuracy::default());
    let torn = found(&first, &[5.0, 0.2, f32::NAN, 9.0, -3.0, 0.0], 2).unwrap_err().to_string();
    assert!(torn.contains("cropped picture 1"), "{torn}");
}

#[test]
fn crops_of_one_picture_are_found_and_are_the_same_each_time() {
    let source = ScenesSource::new(1, 40, 40);
    let pixels = |recipe: CropRecipe, seed| {
        let pairs = CropPairs::new(&source, recipe, seed, MOST_PICTURES);
        assert_eq!(pairs.len(), 40);
        block_on(pairs.of_pixels(async |_, _| true)).unwrap()
    };
    let near = pixels(plain((0.9, 1.0)), 3);
    let far = pixels(plain((0.1, 0.3)), 3);
    assert!(near.top1.correct > 2 * far.top1.correct && far.top1.total == 40, "{near:?} {far:?}");
    assert_eq!(pixels(plain((0.1, 0.3)), 3), far);

    let device = Device::flex();
    let backbone = Vit::init(&VitConfig::new(28, 14, 12, 1, 2), 5, &device);
    let pairs = CropPairs::new(&source, plain((0.5, 1.0)), 3, MOST_PICTURES);
    let mut heard = Vec::new();
    let of = async |batch| pairs.of_backbone(&backbone, batch, &device, async |_, _| true).await.unwrap();
    let whole = block_on(pairs.of_backbone(&backbone, 16, &device, async |done, total| {
        heard.push((done, total));
        true
    }));
    assert_eq!(heard, [(16, 40), (32, 40), (40, 40)]);
    assert_eq!(whole.unwrap(), block_on(of(7)), "batches make no difference");
    let stopped = block_on(pairs.of_backbone(&backbone, 16, &device, async |_, _| false));
    assert!(stopped.unwrap_err().is_stopped());
    let [a, b] = pairs.crops(&source.load(0).unwrap(), 0);
    assert!(a != b && (a.width, a.height) == (28, 28));
    assert!(CropPairs::new(&source, plain((0.5, 1.0)), 4, 40).crops(&source.load(0).unwrap(), 0) != [a, b]);
}

/// Scenes of which one is torn and another one is there twice.
struct Odd(ScenesSource);

impl PictureSource for Odd {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn name(&self, index: usize) -> String {
        format!("picture {}", if index == 5 { 4 } else { index })
    }
    fn label(&self, _: usize) -> Option<usize> {
        None
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn load(&self, index: usize) -> Result<Picture, DataError> {
        match index {
            2 => Err(DataError::Decode { name: self.name(index), reason: "torn".to_owned() }),
            _ => self.0.load(if index == 5 { 4 } else { index }),
        }
    }
}

#[test]
fn what_is_torn_is_left_out_and_what_is_there_twice_counts_once() {
    let source = Odd(ScenesSource::new(1, 8, 40));
    let pairs = CropPairs::new(&source, plain((0.9, 1.0)), 0, MOST_PICTURES);
    assert_eq!(pairs.len(), 7);
    let found = block_on(pairs.of_pixels(async |_, _| true)).unwrap();
    assert_eq!((found.top1.total, found.skipped), (6, vec![("picture 2".to_owned(), "torn".to_owned())]));
    let fewer = CropPairs::new(&source, plain((0.9, 1.0)), 0, 4);
    assert_eq!((fewer.len(), fewer.chosen.as_slice()), (4, &[0, 2, 4, 6][..]));
    assert_eq!(CropRetrieval::default().accuracy(), None);
}

#[test]
fn it_is_an_evaluation_like_others() {
    let device = Device::flex();
    let backbone = Vit::init(&VitConfig::new(28, 14, 12, 1, 2), 5, &device);
    let judged =
        |count: usize, options: &EvalOptions, stop_at: &str| -> Result<EvalReport, EvaluationError> {
            let source: Arc<dyn PictureSource> = Arc::new(ScenesSource::new(1, count, 28));
            let task = EvalTask::Crops(CropRetrievalTask { source, most: 12 });
            let mut on_progress = async |at: EvalProgress| at.doing != stop_at;
            block_on(catalogue::evaluate(&task, &backbone, options, &device, &mut on_progress))
        };
    let outcome = judged(20, &EvalOptions::new(28), "").unwrap();
    let subjects: Vec<&str> = outcome.rows.iter().map(|row| row.subject.as_str()).collect();
    assert_eq!(subjects, ["weights", "untrained", "raw pixels"]);
    assert_eq!(outcome.data, "12 pictures, two crops of each");
    assert!(outcome.notes[0].starts_with("12 of 20 pictures"), "{:?}", outcome.notes);
    let alone = EvalOptions { alone: true, ..EvalOptions::new(28) };
    assert_eq!(judged(20, &alone, "").unwrap().rows, outcome.rows[..1]);
    assert!(judged(20, &alone, "crops").unwrap_err().is_stopped());
    assert!(judged(1, &alone, "").unwrap_err().to_string().contains("second picture"));
}

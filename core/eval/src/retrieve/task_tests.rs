//! Cases for retrieval from pictures to an outcome.
#![allow(clippy::unwrap_used)]

use burn::tensor::Device;

use super::super::super::catalogue::{self, EvalTask};
use super::super::super::suite::EvalOptions;
use super::*;
use dinoscope_analysis::image_out::write_png;
use dinoscope_base::device::block_on;
use dinoscope_data::source::scenes::ScenesSource;
use dinoscope_model::{Vit, VitConfig};

fn judged(task: RetrieveTask, options: &EvalOptions, stop_at: &str) -> Result<EvalReport, EvaluationError> {
    let device = Device::flex();
    let backbone = Vit::init(&VitConfig::new(28, 14, 12, 1, 2), 5, &device);
    let mut on_progress = async |at: EvalProgress| at.doing != stop_at;
    block_on(catalogue::evaluate(&EvalTask::Retrieve(task), &backbone, options, &device, &mut on_progress))
}

fn alone() -> EvalOptions {
    EvalOptions { alone: true, ..EvalOptions::new(28) }
}

#[test]
fn classes_of_scenes() {
    let task = |whole| RetrieveTask {
        sought: RetrievalTarget::SameClass(Arc::new(ScenesSource::new(1, 48, 28))),
        whole,
    };
    let outcome = judged(task(false), &EvalOptions::new(28), "").unwrap();
    let subjects: Vec<&str> = outcome.rows.iter().map(|row| row.subject.as_str()).collect();
    assert_eq!(subjects, ["weights", "untrained", "raw pixels", "colour histogram", "HOG"]);
    let names: Vec<&str> = outcome.rows[0].figures.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["mAP", "mAP@R", "mP@1", "mP@5", "mP@10"]);
    let first = &outcome.rows[0].figures[0];
    let (low, high) = first.interval.unwrap();
    assert!(low < first.value && first.value < high && high < 1.0 && low > 0.0);
    assert_eq!(outcome.data, "48 pictures, each a query for the others of its class, 12 classes");
    assert_eq!(outcome.pictures.len(), 1);
    // A view of a square is cut from a larger one; whole pictures show more, and something else comes out.
    let whole = judged(task(true), &alone(), "").unwrap();
    assert_ne!(whole.rows[0].figures[0].value, first.value);
    assert_eq!(judged(task(false), &alone(), "").unwrap().rows, outcome.rows[..1]);
}

#[test]
fn lists_have_two_protocols_and_missing_pictures_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..6).map(|i| format!("p{i}")).collect();
    for (i, name) in names.iter().enumerate() {
        let picture = ScenesSource::new(1, 6, 28).load(i).unwrap();
        write_png(&folder.path().join(format!("{name}.png")), &picture).unwrap();
    }
    // The query is picture 0 itself, which the lists call easy; 2 and 5 are hard, and 5 is broken.
    std::fs::write(folder.path().join("p5.png"), "no picture").unwrap();
    let file = folder.path().join("gnd.json");
    let gnd = serde_json::json!([{"easy": [0], "hard": [2, 5], "junk": []}, {"easy": [1]}]);
    let lists = serde_json::json!({"imlist": names, "qimlist": ["p0", "p1"], "gnd": gnd});
    std::fs::write(&file, lists.to_string()).unwrap();
    let truth = RetrievalBenchmark::open(&file, folder.path()).unwrap();
    let task = RetrieveTask { sought: RetrievalTarget::Listed(truth), whole: false };
    let outcome = judged(task, &EvalOptions::new(28), "").unwrap();
    let settings: Vec<&str> = outcome.rows.iter().map(|row| row.setting.as_str()).collect();
    assert_eq!(settings, ["Medium", "Hard"].repeat(5));
    let hard = outcome.rows[1].figures[0].value;
    // Pixels find themselves first; only the first query has a hard picture.
    assert_eq!(outcome.rows[4].figures[2].value, 1.0);
    assert_eq!(outcome.rows[1].figures[0].interval, Some((hard, hard)));
    assert_eq!(outcome.data, "2 queries, 5 pictures to find");
    let left_out: Vec<&str> = outcome.left_out.iter().map(|left| left.input.as_str()).collect();
    assert!(left_out.len() == 1 && left_out[0].contains("p5.png"), "{left_out:?}");
    assert!(
        outcome.notes.iter().any(|note| note.starts_with("Hard: ") && note.ends_with(": 1")),
        "{:?}",
        outcome.notes
    );
}

#[test]
fn it_stops_and_refuses() {
    let source: Arc<dyn PictureSource> = Arc::new(ScenesSource::new(1, 24, 28));
    for (whole, stop_at) in [(false, "features"), (true, "features"), (false, "queries")] {
        let task = RetrieveTask { sought: RetrievalTarget::SameClass(source.clone()), whole };
        assert!(judged(task, &alone(), stop_at).unwrap_err().is_stopped(), "{whole} {stop_at}");
    }
    let unlabelled: Arc<dyn PictureSource> = Arc::new(IndexAsLabel(source));
    // Every picture is a class of its own: nothing to find.
    let task = RetrieveTask { sought: RetrievalTarget::SameClass(unlabelled), whole: false };
    let error = judged(task, &alone(), "").unwrap_err().to_string();
    assert!(error.contains("right picture"), "{error}");
}

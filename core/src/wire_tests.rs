//! Everything that crosses to a worker arrives as it was, in the format that it crosses in.
#![allow(clippy::unwrap_used)]

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use serde::{Serialize, de::DeserializeOwned};

use crate::analysis::PatchFeatures;
use crate::analysis::attention_map::AttentionMaps;
use crate::data::Picture;
use crate::device::block_on;
use crate::engine::{EngineError, RunCommand, RunCompletion, RunEvent, SerializableEngineError, StepReport};
use crate::eval::Accuracy;
use crate::eval::knn::{KnnResult, KnnScore};
use crate::explore::{ModelInfo, ModelSource, PatchTokens, PictureInspection, QueryToken, ViewQuery};
use crate::model::Vit;
use crate::train::Recipe;
use crate::train::health::{HealthLevel, RunHealth};
use crate::train::memory::{MemoryKind, MemoryStats};
use crate::train::metrics::of_pairs;
use crate::train::schedule::TrainSchedules;
use crate::train::side_task::{SideTask, SideTaskProgress};
use crate::train::watch::WatchedImages;

/// Across and back; all fields of what comes out must be those of what went in.
fn crossed<T: Serialize + DeserializeOwned + Debug>(sent: &T) -> T {
    let bytes = postcard::to_stdvec(sent).unwrap();
    let (got, rest): (T, _) = postcard::take_from_bytes(&bytes).unwrap();
    assert!(rest.is_empty(), "{} bytes are left over", rest.len());
    assert_eq!(format!("{sent:?}"), format!("{got:?}"));
    got
}

fn picture() -> Picture {
    Picture::of_rgb(16, 16, (0..768).map(|i| (i * 7) as u8).collect())
}

#[test]
fn events_and_commands_arrive() {
    let recipe = Recipe::preset("nano").unwrap();
    let accuracy = Accuracy { correct: 3, total: 9 };
    let knn = KnnResult { scores: vec![KnnScore { k: 20, top1: accuracy, top5: accuracy }] };
    let step = StepReport {
        iteration: 7,
        total: 100,
        values: of_pairs(&[("loss", 1.25), ("grad_norm", f64::INFINITY)]),
        schedule: TrainSchedules::new(&recipe).at(7),
        steps_per_second: 3.5,
        images_per_second: 7.0,
        waited: 0.25,
        health: RunHealth { level: HealthLevel::Watch, sentences: vec!["Look here.".to_owned()] },
        memory: Some(MemoryStats { used: 5, reserved: 6, what: MemoryKind::Gpu }),
    };
    let path = Some(PathBuf::from("/run/pictures/000007.png"));
    for event in [
        RunEvent::Started {
            recipe: Box::new(recipe.clone()),
            device: "GPU".to_owned(),
            data: "scenes".to_owned(),
            parameters: 9,
            iteration: 1 << 40,
        },
        RunEvent::Step(Box::new(step)),
        RunEvent::Aside(SideTaskProgress {
            iteration: 7,
            untrained: false,
            task: SideTask::Crops,
            done: 3,
            total: 9,
        }),
        RunEvent::Pictures { iteration: 7, path: path.clone() },
        RunEvent::Evaluation { iteration: 7, accuracy: knn.clone(), raw_pixels: Some(knn), agreement: None },
        RunEvent::Crops { iteration: 7, accuracy, raw_pixels: Some(accuracy) },
        RunEvent::Checkpoint { iteration: 7, path: PathBuf::from("/run/checkpoints/000007") },
        RunEvent::Changed { recipe: Box::new(recipe.clone()), needs_restart: vec!["model.dim".to_owned()] },
        RunEvent::Warning("careful".to_owned()),
        RunEvent::Paused,
        RunEvent::Resumed,
        RunEvent::Finished(Box::new(RunCompletion {
            iteration: 8,
            stopped: true,
            checkpoint: path,
            report: None,
            skipped: vec![("a.png".to_owned(), "is no picture".to_owned())],
        })),
    ] {
        crossed(&event);
    }
    for command in [
        RunCommand::Pause,
        RunCommand::Resume,
        RunCommand::Stop,
        RunCommand::Checkpoint,
        RunCommand::Watch(vec![picture()]),
        RunCommand::Change(Box::new(recipe)),
    ] {
        crossed(&command);
    }
}

#[test]
fn an_error_says_the_same_on_the_other_side() {
    let text = || "k".to_owned();
    for error in [
        EngineError::NotFinite { iteration: 3, health: "bad".to_owned(), kept: text() },
        EngineError::Device { reason: "gone".to_owned(), hint: text() },
        crate::data::DataError::Source { path: "here".to_owned(), reason: text() }.into(),
    ] {
        let before = error.to_string();
        let after = EngineError::from(crossed(&SerializableEngineError::from(error)));
        assert_eq!(after.to_string(), before);
        // Once more, as when it is handed on.
        assert_eq!(EngineError::from(SerializableEngineError::from(after)).to_string(), before);
    }
}

#[test]
fn a_look_arrives_and_the_next_one_follows_its_colours() {
    let recipe = Recipe::preset("nano").unwrap().with_overrides(&["crops.global_size=32".into()]).unwrap();
    let backbone = Vit::init(&recipe.backbone(), 1, &Device::flex());
    let mut watched = WatchedImages::new(vec![picture(); 2], &recipe);
    let look = block_on(watched.look(&backbone, None, 3, &Device::flex(), async |_, _| ())).unwrap();
    let got = crossed(&*look);
    assert_eq!(got.frames[1].view, look.frames[1].view);
    assert_eq!(
        got.pca.colour(&got.frames[0].features).unwrap(),
        look.pca.colour(&look.frames[0].features).unwrap()
    );
}

fn seen(patches: PatchTokens) -> PictureInspection {
    let attention = AttentionMaps::new(&[0.1, 0.2, 0.3, 0.2, 0.2], 1, 1, 2, 2).unwrap();
    let cls = vec![0.5, f32::MIN_POSITIVE];
    PictureInspection {
        view: Arc::new(picture()),
        rows: 2,
        cols: 2,
        dim: 2,
        cls,
        patches,
        attention,
        seconds: 0.5,
    }
}

#[test]
fn what_an_explorer_sends_arrives() {
    let features = PatchFeatures { rows: 2, cols: 2, dim: 2, data: (0..8).map(|i| i as f32 / 3.0).collect() };
    let got = crossed(&seen(PatchTokens::Host(Arc::new(features.clone()))));
    assert!(matches!(&got.patches, PatchTokens::Host(patches) if **patches == features));
    crossed(&ViewQuery { resolution: 224, block: 3, query: QueryToken::Patch(5) });
    for source in [
        ModelSource::Starter,
        ModelSource::Path(PathBuf::from("/run")),
        ModelSource::Released("dinov2_vits14".to_owned()),
        ModelSource::Bytes { name: "a.pth".to_owned(), bytes: vec![1, 2, 3].into() },
    ] {
        assert_eq!(crossed(&source), source);
        crossed(&ModelInfo {
            source,
            config: Recipe::preset("nano").unwrap().backbone(),
            file: "a.pth".to_owned(),
            notes: vec!["a guess".to_owned()],
            parameters: 12,
            generation: 3,
        });
    }
}

#[test]
fn damaged_messages_are_errors() {
    let sent = postcard::to_stdvec(&picture()).unwrap();
    assert!(postcard::from_bytes::<Picture>(&sent[..sent.len() - 1]).is_err());
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Values(#[serde(with = "crate::wire::floats")] Vec<f32>);
    // Five bytes are no whole number of values.
    assert!(postcard::from_bytes::<Values>(&[5, 0, 0, 0, 0, 0]).is_err());
    crossed(&Values(vec![f32::NAN, -0.0, 1e-40]));
}

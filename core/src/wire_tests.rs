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
use crate::engine::{Command, Ended, EngineError, Event, Finished, Step};
use crate::eval::Accuracy;
use crate::eval::knn::{KnnResult, KnnScore};
use crate::explore::{ModelInfo, ModelSource, Patches, Query, Seen, Way};
use crate::model::Vit;
use crate::train::Recipe;
use crate::train::aside::{Aside, Task};
use crate::train::health::{Health, Level};
use crate::train::memory::{Memory, Whose};
use crate::train::metrics::of_pairs;
use crate::train::schedule::Schedules;
use crate::train::watch::Watched;

/// Across and back; all fields of what comes out must be those of what went in.
fn crossed<T: Serialize + DeserializeOwned + Debug>(sent: &T) -> T {
    let bytes = postcard::to_stdvec(sent).unwrap();
    let (got, rest): (T, _) = postcard::take_from_bytes(&bytes).unwrap();
    assert!(rest.is_empty(), "{} bytes are left over", rest.len());
    assert_eq!(format!("{sent:?}"), format!("{got:?}"));
    got
}

fn picture() -> Picture {
    Picture { width: 16, height: 16, rgb: (0..768).map(|i| (i * 7) as u8).collect() }
}

#[test]
fn events_and_commands_arrive() {
    let recipe = Recipe::preset("nano").unwrap();
    let accuracy = Accuracy { correct: 3, total: 9 };
    let knn = KnnResult { scores: vec![KnnScore { k: 20, top1: accuracy, top5: accuracy }] };
    let step = Step {
        iteration: 7,
        total: 100,
        values: of_pairs(&[("loss", 1.25), ("grad_norm", f64::INFINITY)]),
        schedule: Schedules::new(&recipe).at(7),
        steps_per_second: 3.5,
        images_per_second: 7.0,
        waited: 0.25,
        health: Health { level: Level::Watch, sentences: vec!["Look here.".to_owned()] },
        memory: Some(Memory { used: 5, reserved: 6, what: Whose::Gpu }),
    };
    let path = Some(PathBuf::from("/run/pictures/000007.png"));
    for event in [
        Event::Started {
            recipe: Box::new(recipe.clone()),
            device: "GPU".to_owned(),
            data: "scenes".to_owned(),
            parameters: 9,
            iteration: 1 << 40,
        },
        Event::Step(Box::new(step)),
        Event::Aside(Aside { iteration: 7, task: Task::Knn, done: 3, total: 9 }),
        Event::Pictures { iteration: 7, path: path.clone() },
        Event::Evaluation { iteration: 7, accuracy: knn.clone(), raw_pixels: Some(knn), agreement: None },
        Event::Checkpoint { iteration: 7, path: PathBuf::from("/run/checkpoints/000007") },
        Event::Changed { recipe: Box::new(recipe.clone()), needs_restart: vec!["model.dim".to_owned()] },
        Event::Warning("careful".to_owned()),
        Event::Paused,
        Event::Resumed,
        Event::Finished(Box::new(Finished {
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
        Command::Pause,
        Command::Resume,
        Command::Stop,
        Command::Checkpoint,
        Command::Watch(vec![picture()]),
        Command::Change(Box::new(recipe)),
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
        let after = EngineError::from(crossed(&Ended::from(error)));
        assert_eq!(after.to_string(), before);
        // Once more, as when it is handed on.
        assert_eq!(EngineError::from(Ended::from(after)).to_string(), before);
    }
}

#[test]
fn a_look_arrives_and_the_next_one_follows_its_colours() {
    let recipe = Recipe::preset("nano").unwrap().with_overrides(&["crops.global_size=32".into()]).unwrap();
    let backbone = Vit::init(&recipe.backbone(), 1, &Device::flex());
    let mut watched = Watched::new(vec![picture(); 2], &recipe);
    let look = block_on(watched.look(&backbone, None, 3, &Device::flex(), async |_, _| ())).unwrap();
    let got = crossed(&*look);
    assert_eq!(got.frames[1].view, look.frames[1].view);
    assert_eq!(
        got.pca.colour(&got.frames[0].features).unwrap(),
        look.pca.colour(&look.frames[0].features).unwrap()
    );
}

fn seen(patches: Patches) -> Seen {
    let attention = AttentionMaps::new(&[0.1, 0.2, 0.3, 0.2, 0.2], 1, 1, 2, 2).unwrap();
    let cls = vec![0.5, f32::MIN_POSITIVE];
    Seen { view: Arc::new(picture()), rows: 2, cols: 2, dim: 2, cls, patches, attention, seconds: 0.5 }
}

#[test]
fn what_an_explorer_sends_arrives() {
    let features = PatchFeatures { rows: 2, cols: 2, dim: 2, data: (0..8).map(|i| i as f32 / 3.0).collect() };
    let got = crossed(&seen(Patches::Host(Arc::new(features.clone()))));
    assert!(matches!(&got.patches, Patches::Host(patches) if **patches == features));
    crossed(&Way { resolution: 224, block: 3, query: Query::Patch(5) });
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

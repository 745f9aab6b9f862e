//! The pictures that weights are evaluated on: opened as the command line opens them, so that figures agree.

pub(super) mod images;
pub(super) mod preloaded;

use std::path::Path;

use dinoscope_core::data::channels::takes_colours;
use dinoscope_core::data::decode::DecodeOptions;
use dinoscope_core::data::source::LabelledSplit;
use dinoscope_core::data::source::datasets::PublicDataset;
use dinoscope_core::data::source::dense::{
    DenseFolder, DenseReadOptions, DenseSource, DenseSplit, DenseTruthKind,
};
use dinoscope_core::data::source::scenes::{MovingScenes, SceneKind};
use dinoscope_core::data::{DataError, RGB};
use dinoscope_core::eval::catalogue::LabelRequirement;
use dinoscope_core::eval::data::{self, EvaluationData, limited};
use dinoscope_core::eval::pictures;

use super::config::EvaluationConfig;

/// Scenes of which every pixel is known: they are larger, and a head sees each of their pixels.
const DENSE_SCENES: (usize, usize) = (240, 120);
/// Most pictures in one piece: work for a map grows with their square.
const MAPPED: usize = 5000;
/// Moving scenes that are looked at: each has as many frames as others have pictures.
const MOVING_SCENES: usize = 24;
/// Of random choices.
const SEED: u64 = 0;

/// Opens what is wished, as pictures of so many channels; scenes of which every pixel is known are drawn `window` pixels wide.
///
/// # Errors
/// Says in words what is missing, and what to do about it.
pub fn open_data(
    need: LabelRequirement,
    setup: &EvaluationConfig,
    (window, channels): (usize, usize),
) -> Result<EvaluationData, String> {
    let decode = DecodeOptions { channels, ..DecodeOptions::default() };
    let (train_limit, test_limit) = setup.limits();
    if setup.is_scenes() {
        if !takes_colours(channels) {
            return Err(format!(
                "Scenes have colours, and the model takes {channels} channels: choose a folder of such pictures."
            ));
        }
        let drawn = |train_limit| pictures::fitted(scenes(setup.scenes, train_limit, test_limit), decode);
        return Ok(match need {
            LabelRequirement::Labels => EvaluationData::Labelled(drawn(train_limit)),
            LabelRequirement::Nothing => EvaluationData::All(drawn(train_limit.min(MAPPED)).train),
            LabelRequirement::Classes | LabelRequirement::Depth => {
                let (train, test) = (train_limit.min(DENSE_SCENES.0), test_limit.min(DENSE_SCENES.1));
                EvaluationData::Dense(DenseSplit::scenes(setup.scenes, train, test, window))
            }
            LabelRequirement::Motion => EvaluationData::Moving(MovingScenes::of_evaluation(
                setup.scenes,
                test_limit.min(MOVING_SCENES),
                MovingScenes::FRAMES,
            )),
        });
    }
    let path = setup.path().ok_or_else(|| nothing_named().to_owned())?;
    match need {
        LabelRequirement::Labels => {
            let opened = pictures::labelled(std::slice::from_ref(&path), &[], SEED, decode);
            let LabelledSplit { train, test } = opened.map_err(|error| error.to_string())?;
            let labelled = LabelledSplit {
                train: limited(train, train_limit, SEED),
                test: limited(test, test_limit, SEED),
            };
            Ok(EvaluationData::Labelled(labelled))
        }
        LabelRequirement::Nothing => {
            let all = pictures::all(std::slice::from_ref(&path), decode);
            let all = all.map_err(|error| error.to_string())?;
            Ok(EvaluationData::All(limited(all, train_limit.min(MAPPED), SEED)))
        }
        LabelRequirement::Classes | LabelRequirement::Depth => {
            let split = dense(&path, need, DenseReadOptions { decode, ..setup.reading() })?;
            Ok(EvaluationData::Dense(split.limited(Some(train_limit), Some(test_limit), SEED)))
        }
        LabelRequirement::Motion => Err("Only of built-in scenes is it known how they move.".to_owned()),
    }
}

/// What is said while no pictures are named.
pub fn nothing_named() -> &'static str {
    "Choose a folder with a subfolder for each class, or an IDX file of pictures; or write fashion-mnist, digits or stamps \
     where they are installed."
}

fn scenes(kind: SceneKind, train_limit: usize, test_limit: usize) -> LabelledSplit {
    let LabelledSplit { train, test } = data::scenes(kind);
    LabelledSplit { train: limited(train, train_limit, SEED), test: limited(test, test_limit, SEED) }
}

fn dense(path: &Path, need: LabelRequirement, reading: DenseReadOptions) -> Result<DenseSplit, String> {
    if let Some(set) = PublicDataset::at(path) {
        return Err(format!("Nothing is known of the pixels of {set}: choose scenes or a folder."));
    }
    let truth = if need == LabelRequirement::Depth { DenseTruthKind::Depth } else { DenseTruthKind::Classes };
    let split =
        DenseFolder::split(path, truth, reading, SEED).map_err(|error: DataError| error.to_string())?;
    if need == LabelRequirement::Classes && split.train.classes().len() < 2 {
        return Err(format!("{} knows one class of pixels only.", path.display()));
    }
    Ok(split)
}

/// What pictures there are for a need, in words.
///
/// # Errors
/// Says what is missing.
pub fn describe(need: LabelRequirement, setup: &EvaluationConfig) -> Result<String, String> {
    let (learn, test, classes, said) = match open_data(need, setup, (1, RGB))? {
        EvaluationData::Labelled(LabelledSplit { train, test }) => {
            let halves = match (train.origin(), test.origin()) {
                (Some(train), Some(test)) if train != test => {
                    format!("; learns from {train}, tests on {test}")
                }
                _ => String::new(),
            };
            let notes: String =
                train.notes().iter().chain(test.notes()).map(|note| format!("; {note}")).collect();
            (train.len(), test.len(), train.classes().len(), halves + &notes)
        }
        EvaluationData::All(all) => {
            let from = all.origin().map_or(String::new(), |from| format!("; from {from}"));
            return Ok(match all.classes().len() {
                0 => format!("{} pictures without classes{from}", all.len()),
                classes => format!("{} pictures, {}{from}", all.len(), data::classes(classes)),
            });
        }
        EvaluationData::Moving(MovingScenes { count, frames, .. }) => {
            return Ok(format!("{count} moving scenes of {frames} frames"));
        }
        EvaluationData::Dense(split) => {
            let (train, test) = (&split.train, &split.test);
            let counts = (DenseSource::len(&**train), DenseSource::len(&**test));
            (counts.0, counts.1, train.classes().len(), split.words())
        }
    };
    let classes =
        if need == LabelRequirement::Depth { String::new() } else { format!(", {}", data::classes(classes)) };
    Ok(format!("{learn} to learn from, {test} to test{classes}{said}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use dinoscope_core::data::source::dense::DepthUnit;
    use dinoscope_core::eval::depth::DepthEvalRange;

    use super::super::config::EvaluationDataOrigin;
    use super::*;

    fn on(path: &Path) -> EvaluationConfig {
        EvaluationConfig {
            place: EvaluationDataOrigin::Disk,
            path: path.display().to_string(),
            ..EvaluationConfig::default()
        }
    }

    fn fill(folder: &Path, class: &str, count: usize) {
        std::fs::create_dir_all(folder.join(class)).unwrap();
        for i in 0..count {
            let picture = image::RgbImage::from_pixel(4, 4, image::Rgb([9 * i as u8, 99, 199]));
            picture.save(folder.join(class).join(format!("{i}.png"))).unwrap();
        }
    }

    #[test]
    fn scenes_are_those_of_the_command_line() {
        let setup = EvaluationConfig { most: 20, ..EvaluationConfig::default() };
        assert_eq!(
            describe(LabelRequirement::Labels, &setup).unwrap(),
            "20 to learn from, 10 to test, 28 classes"
        );
        let EvaluationData::Labelled(all) =
            open_data(LabelRequirement::Labels, &EvaluationConfig { most: 5000, ..setup.clone() }, (1, RGB))
                .unwrap()
        else {
            panic!("of another kind")
        };
        assert_eq!((all.train.len(), all.test.len()), (2800, 1400));
        assert_eq!(describe(LabelRequirement::Nothing, &setup).unwrap(), "20 pictures, 28 classes");
        assert_eq!(describe(LabelRequirement::Depth, &setup).unwrap(), "20 to learn from, 10 to test");
        assert_eq!(describe(LabelRequirement::Motion, &setup).unwrap(), "10 moving scenes of 60 frames");
        assert!(
            describe(LabelRequirement::Classes, &setup).unwrap().contains("20 to learn from, 10 to test, 2")
        );
    }

    #[test]
    fn folders_are_split_and_what_is_wrong_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let told = |setup: &EvaluationConfig| describe(LabelRequirement::Labels, setup).unwrap_err();
        assert_eq!(told(&on(Path::new(""))), nothing_named());
        assert!(told(&on(&folder.path().join("nowhere"))).contains("nowhere"));
        fill(folder.path(), "", 3);
        assert!(told(&on(folder.path())).contains("no labels"), "{}", told(&on(folder.path())));
        assert_eq!(
            describe(LabelRequirement::Nothing, &on(folder.path())).unwrap(),
            "3 pictures without classes"
        );
        fill(folder.path(), "cat", 4);
        assert!(told(&on(folder.path())).contains("one class only, “cat”"));
        fill(folder.path(), "dog", 6);
        assert_eq!(
            describe(LabelRequirement::Labels, &on(folder.path())).unwrap(),
            "8 to learn from, 2 to test, 2 classes"
        );
        let dense = describe(LabelRequirement::Classes, &on(folder.path())).unwrap_err();
        assert!(dense.contains("images/"), "{dense}");
        let motion = describe(LabelRequirement::Motion, &on(folder.path())).unwrap_err();
        assert!(motion.contains("built-in scenes"), "{motion}");
    }

    #[test]
    fn halves_are_no_classes_here_either() {
        let folder = tempfile::tempdir().unwrap();
        for class in ["train/cat", "train/dog", "val/dog"] {
            fill(folder.path(), class, 3);
        }
        let root = folder.path().file_name().unwrap().to_string_lossy().into_owned();
        let told = |need| describe(need, &on(folder.path())).unwrap().replace(&root, "root");
        assert_eq!(
            told(LabelRequirement::Labels),
            "6 to learn from, 3 to test, 2 classes; learns from root/train, tests on root/val; \
             1 of 2 classes have no picture to test: cat"
        );
        assert_eq!(
            told(LabelRequirement::Nothing),
            "9 pictures, 2 classes; from root/train and root/val together"
        );
    }

    #[test]
    fn masks_and_depth_are_read_as_wished() {
        let folder = tempfile::tempdir().unwrap();
        for part in ["images", "labels", "depth"] {
            std::fs::create_dir_all(folder.path().join(part)).unwrap();
        }
        for i in 0..5u8 {
            let at = |part: &str| folder.path().join(part).join(format!("{i}.png"));
            image::RgbImage::new(2, 2).save(at("images")).unwrap();
            image::GrayImage::from_pixel(2, 2, image::Luma([255 * (i % 2)])).save(at("labels")).unwrap();
            image::ImageBuffer::from_pixel(2, 2, image::Luma([512u16])).save(at("depth")).unwrap();
        }
        let setup = on(folder.path());
        let said = describe(LabelRequirement::Classes, &setup).unwrap_err();
        assert!(said.contains("255 is the object"), "{said}");
        let binary = EvaluationConfig { binary: true, ..setup.clone() };
        assert_eq!(
            describe(LabelRequirement::Classes, &binary).unwrap(),
            "4 to learn from, 1 to test, 2 classes"
        );
        let depth = |setup: &EvaluationConfig| {
            let Ok(EvaluationData::Dense(split)) = open_data(LabelRequirement::Depth, setup, (1, RGB)) else {
                panic!("no depth")
            };
            (
                describe(LabelRequirement::Depth, setup).unwrap(),
                split.train.load(0, DenseTruthKind::Depth).unwrap().depth[0],
            )
        };
        let words = "4 to learn from, 1 to test; depth from 16-bit PNG at ";
        assert_eq!(depth(&setup), (format!("{words}1 mm"), 0.512));
        let kitti = EvaluationConfig { range: Some(DepthEvalRange::Kitti), ..setup.clone() };
        assert_eq!(depth(&kitti), (format!("{words}1/256 m"), 2.0));
        let own = EvaluationConfig { unit: Some(DepthUnit::Centimetres), ..kitti };
        assert_eq!(depth(&own), (format!("{words}1 cm"), 5.12));
    }
}

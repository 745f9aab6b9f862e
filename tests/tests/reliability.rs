//! Drills: damage of any kind to a checkpoint is noticed before training goes on, the checkpoint before is taken, and the
//! losses are those of a run to which nothing happened.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dinoscope_core::device::{block_on, cpu};
use dinoscope_core::engine::{self, RunEvent, RunRanks, TrainJob};
use dinoscope_core::rng::{RngExt, stream};
use dinoscope_core::train::resume_point::newest;
use dinoscope_core::train::run::RunFolder;
use dinoscope_core::train::{Recipe, sources};
use dinoscope_testing::SMALL_RUN;
use dinoscope_tests::program::{losses, ok, run as command_line};

/// How many bits are flipped, and how often something else is done to a file; more by `DINOSCOPE_FLIPS=4000`.
fn flips() -> usize {
    std::env::var("DINOSCOPE_FLIPS").ok().and_then(|n| n.parse().ok()).unwrap_or(400)
}

fn recipe() -> Recipe {
    let pairs = SMALL_RUN.iter().chain(&["train.picture_every=3"]).map(|pair| (*pair).to_owned());
    Recipe::preset("nano").unwrap().with_overrides(&pairs.collect::<Vec<_>>()).unwrap()
}

/// Trains to the end; gives what was warned of.
fn train(path: &Path, recipe: &Recipe, resume: bool) -> Vec<String> {
    let folder = match resume {
        true => RunFolder::reopen(path, recipe).unwrap(),
        false => RunFolder::create(path, recipe).unwrap(),
    };
    let sources = sources::open(recipe).unwrap();
    let watch = sources.to_watch(recipe).into_iter().take(1).collect();
    let job = TrainJob {
        recipe: recipe.clone(),
        device: cpu(None),
        sources,
        watch,
        folder: Some(folder),
        resume,
        ranks: RunRanks::default(),
    };
    let handle = engine::start(job);
    let mut warnings = Vec::new();
    while let Ok(item) = block_on(handle.events.recv()) {
        if let RunEvent::Warning(text) = item.unwrap() {
            warnings.push(text);
        }
    }
    warnings
}

/// Every file below a folder with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.append(&mut contents(&path)),
            false => drop(all.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    all
}

/// Puts a folder back as it was.
fn restore(folder: &Path, all: &BTreeMap<PathBuf, Vec<u8>>) {
    fs::remove_dir_all(folder).unwrap();
    for (path, bytes) in all {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// A run of six steps with checkpoints of the third and the last, and what is done to it.
struct Drill {
    recipe: Recipe,
    path: PathBuf,
    whole: BTreeMap<PathBuf, Vec<u8>>,
    losses: Vec<(u64, f64)>,
    /// Files of the newest checkpoint.
    files: Vec<PathBuf>,
}

impl Drill {
    fn new(dir: &Path) -> Self {
        let (recipe, path) = (recipe(), dir.join("run"));
        train(&path, &recipe, false);
        let files: Vec<PathBuf> = contents(&path.join("checkpoints/000006")).into_keys().collect();
        let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_string_lossy()).collect();
        assert_eq!(
            names,
            [
                "colours.safetensors",
                "optimizer.safetensors",
                "state.json",
                "student.safetensors",
                "teacher.safetensors"
            ]
        );
        Self { whole: contents(&path), losses: losses(&path), recipe, path, files }
    }

    /// Damages one file of the newest checkpoint, and insists that it is noticed and the checkpoint before is taken. With
    /// `further` the run goes on to its end, as it did before.
    fn damaged(&self, file: &Path, bytes: Option<&[u8]>, further: bool, case: &str) {
        match bytes {
            Some(bytes) => fs::write(file, bytes).unwrap(),
            None => fs::remove_file(file).unwrap(),
        }
        let checkpoints = self.path.join("checkpoints");
        let named = format!("000006/{}", file.file_name().unwrap().to_string_lossy());
        if further {
            let warnings = train(&self.path, &self.recipe, true);
            let said =
                warnings.iter().filter(|said| said.contains(&named) && said.contains("from step 3")).count();
            assert_eq!(said, 1, "{case}: {warnings:?}");
            assert_eq!(losses(&self.path), self.losses, "{case}");
            let report = fs::read_to_string(self.path.join("report.html")).unwrap();
            assert!(report.contains(&format!("At step 3: checkpoint checkpoints/{named}")), "{case}");
            restore(&self.path, &self.whole);
            return;
        }
        let found = newest(&self.recipe, None, &checkpoints, &cpu(None).device).unwrap().unwrap();
        assert_eq!(found.path, Some(checkpoints.join("000003")), "{case}: it was not noticed");
        let said = found.set_aside();
        assert!(said.len() == 1 && said[0].contains(&named), "{case}: {said:?}");
        fs::rename(checkpoints.join("000006.damaged"), checkpoints.join("000006")).unwrap();
        fs::write(file, &self.whole[file]).unwrap();
    }
}

#[test]
fn every_flipped_bit_is_noticed_and_the_checkpoint_before_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let drill = Drill::new(dir.path());
    let sizes: Vec<usize> = drill.files.iter().map(|file| drill.whole[file].len()).collect();
    let mut rng = stream(2026, "flip", 0, 0);
    for flip in 0..flips() {
        // Every file as often as the others, and every byte as often as the others.
        let which = match flip % 2 {
            0 => rng.random_range(0..sizes.len()),
            _ => {
                let mut at = rng.random_range(0..sizes.iter().sum());
                sizes
                    .iter()
                    .position(|size| {
                        at < *size || {
                            at -= size;
                            false
                        }
                    })
                    .unwrap()
            }
        };
        let file = &drill.files[which];
        let mut bytes = drill.whole[file].clone();
        let (byte, bit) = (rng.random_range(0..bytes.len()), rng.random_range(0..8u32));
        bytes[byte] ^= 1 << bit;
        let case = format!("flip {flip}: bit {bit} of byte {byte} of {}", file.display());
        drill.damaged(file, Some(&bytes), flip % (flips() / 8).max(1) == 3, &case);
    }
}

#[test]
fn files_that_are_cut_emptied_zeroed_swapped_or_gone_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let drill = Drill::new(dir.path());
    let mut rng = stream(2026, "damage", 0, 0);
    for round in 0..flips() / 4 {
        let file = &drill.files[rng.random_range(0..drill.files.len())];
        let whole = &drill.whole[file];
        let at = rng.random_range(0..whole.len());
        let (kind, bytes) = match round % 7 {
            0 => ("cut", Some(whole[..at].to_vec())),
            1 => ("emptied", Some(Vec::new())),
            2 => {
                // A block that never came to the disk.
                let mut bytes = whole.clone();
                let end = (at + 512).min(bytes.len());
                bytes[at..end].fill(0);
                if bytes == *whole {
                    bytes[at] = 1;
                }
                ("zeroed", Some(bytes))
            }
            3 => ("longer", Some([whole, &whole[at..]].concat())),
            4 => ("of the checkpoint before", {
                let before = drill.path.join("checkpoints/000003").join(file.file_name().unwrap());
                Some(drill.whole[&before].clone())
            }),
            5 => ("of another name", {
                let other = drill.files.iter().find(|other| *other != file).unwrap();
                Some(drill.whole[other].clone())
            }),
            _ => ("gone", None),
        };
        let case = format!("round {round}: {} is {kind}", file.display());
        drill.damaged(file, bytes.as_deref(), false, &case);
    }
}

#[test]
fn what_is_damaged_is_told_when_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let drill = Drill::new(dir.path());
    let out = ok(dir.path(), &["weights", "verify", "run"]);
    assert!(out.lines().count() == 10 && out.lines().all(|line| line.starts_with("whole")), "{out}");
    let packed = dinoscope_core::train::archive::pack(&drill.path).unwrap();
    fs::write(dir.path().join("run.zip"), packed).unwrap();
    assert_eq!(ok(dir.path(), &["weights", "verify", "run.zip"]).matches("whole").count(), 5);

    let teacher = drill.path.join("checkpoints/000006/teacher.safetensors");
    let mut bytes = drill.whole[&teacher].clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&teacher, bytes).unwrap();
    let newest = "run/checkpoints/000006";
    let file = format!("{newest}/teacher.safetensors");
    for (path, damaged) in [
        ("run", true),
        ("run/checkpoints", true),
        (newest, true),
        (&file, true),
        ("run/checkpoints/000003", false),
    ] {
        for more in [&[][..], &["--json"]] {
            let output = command_line(dir.path(), &[&["weights", "verify", path], more].concat());
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(i32::from(damaged)), "{path}: {text}");
            let names = |line: &str| line.contains("damaged") && line.contains("teacher.safetensors");
            assert_eq!(
                text.lines().filter(|line| names(line)).count(),
                usize::from(damaged),
                "{path}: {text}"
            );
        }
    }
    // Nothing begins with it, and nothing is measured of it.
    for word in [
        &["weights", "convert", "run", "out.safetensors", "--to", "timm"][..],
        &["train", "nano", "--start", "run"],
    ] {
        let output = command_line(dir.path(), word);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && text.contains("weights verify RUN"), "{text}");
    }
    // A copy may have any name.
    let copy = dir.path().join("kept");
    fs::create_dir(&copy).unwrap();
    for (file, bytes) in contents(&drill.path.join("checkpoints/000003")) {
        fs::write(copy.join(file.file_name().unwrap()), bytes).unwrap();
    }
    assert_eq!(ok(dir.path(), &["weights", "verify", "kept"]).matches("whole").count(), 5);
    // A checkpoint whose state has gone, and what is none.
    fs::remove_file(drill.path.join("checkpoints/000006/state.json")).unwrap();
    let output = command_line(dir.path(), &["weights", "verify", newest]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("it is missing"));
    let output = command_line(dir.path(), &["weights", "verify", "nothing"]);
    assert_eq!(output.status.code(), Some(2));

    // None whole: an error with the way out, which works.
    fs::write(drill.path.join("checkpoints/000003/student.safetensors"), "").unwrap();
    let output = command_line(dir.path(), &["train", "--resume", "--device", "cpu", "--out", "run"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    let start = "dinoscope train --start run/checkpoints/000003/teacher.safetensors";
    assert!(text.contains("none of the checkpoints") && text.contains(start), "{text}");
    let mut again = vec!["train", "--start", "run/checkpoints/000003/teacher.safetensors", "--device", "cpu"];
    again.extend(["--out", "again", "--set", "train.iterations=2", "--set", "train.batch=4"]);
    again.extend([
        "--set",
        "train.evaluate_every=0",
        "--set",
        "data.scenes=24",
        "--set",
        "data.scene_size=32",
    ]);
    ok(dir.path(), &again);
}

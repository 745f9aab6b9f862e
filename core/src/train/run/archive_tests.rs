//! Runs packed and unpacked; archives that mean harm.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::train::Recipe;

/// A run with a checkpoint that holds no weights worth the name.
fn run(folder: &Path) -> RunFolder {
    let run = RunFolder::create(folder, &Recipe::preset("nano").unwrap()).unwrap();
    std::fs::write(run.metrics_file(), "{\"iteration\":0,\"loss\":1.0}\n").unwrap();
    std::fs::write(run.pictures().join("000004.png"), b"picture").unwrap();
    for step in ["000002", "000004"] {
        let checkpoint = run.checkpoints().join(step);
        std::fs::create_dir(&checkpoint).unwrap();
        for file in ["teacher.safetensors", "student.safetensors", "optimizer.safetensors"] {
            std::fs::write(checkpoint.join(file), format!("{file} of {step}")).unwrap();
        }
        std::fs::write(checkpoint.join("state.json"), "{}").unwrap();
    }
    run
}

/// An archive of these files.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_run_comes_back_with_its_newest_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let packed = pack(run(&folder.path().join("nano-001")).path()).unwrap();
    let there = unpack(&packed, &folder.path().join("again/nano-001")).unwrap();
    assert_eq!(there.recipe().unwrap().preset, "nano");
    assert_eq!(there.lines().len(), 1);
    let (step, checkpoint) = there.latest_checkpoint().unwrap();
    assert_eq!(step, 4);
    assert_eq!(
        std::fs::read(checkpoint.join("teacher.safetensors")).unwrap(),
        b"teacher.safetensors of 000004"
    );
    assert!(!there.checkpoints().join("000002").exists() && there.tensorboard().is_dir());
    assert_eq!(std::fs::read(there.pictures().join("000004.png")).unwrap(), b"picture");
    assert_eq!(teacher(&packed).unwrap().unwrap(), b"teacher.safetensors of 000004");
    let again = unpack(&packed, there.path()).unwrap_err();
    assert!(matches!(again, ArchiveError::Occupied(_)), "{again}");
}

#[test]
fn an_unpacked_run_is_nobody_s_and_keeps_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let packed = pack(run(&folder.path().join("nano-007")).path()).unwrap();
    let there = unpack(&packed, &folder.path().join("again")).unwrap();
    assert_eq!(run_lock::held(there.path()), run_lock::RunLockStatus::Nobody);
    assert_eq!(name(&packed, Path::new("renamed.zip")), "nano-007");
    // Archives of earlier versions do not say it.
    let plain = zip(&[("recipe.toml", b"preset = \"nano\"")]);
    for (file, called) in [
        ("nano-001-000069.zip", "nano-001"),
        ("/a/nano-001-000069 (2).zip", "nano-001"),
        ("nano-001.zip", "nano-001"),
        ("my run (late).zip", "my run (late)"),
        ("-000069.zip", "-000069"),
    ] {
        assert_eq!(name(&plain, Path::new(file)), called);
    }
    for hostile in ["../up", "a/b", ".hidden", "c:\\x", ""] {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.set_comment(hostile).unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        assert_eq!(name(&bytes, Path::new("mine.zip")), "mine", "{hostile}");
    }
}

#[test]
fn what_can_not_be_packed_says_why() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(pack(folder.path()), Err(ArchiveError::Run(_))));
    let empty = RunFolder::create(&folder.path().join("new"), &Recipe::preset("nano").unwrap()).unwrap();
    let error = pack(empty.path()).unwrap_err().to_string();
    assert!(error.contains("no checkpoint yet"), "{error}");
}

#[test]
fn hostile_archives_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("in/run");
    let recipe: (&str, &[u8]) = ("recipe.toml", b"preset = \"nano\"");
    for name in ["../evil", "/evil", "a/../../evil", "c:\\evil", "..\\evil"] {
        let error = unpack(&zip(&[recipe, (name, b"evil")]), &to).unwrap_err();
        assert!(matches!(&error, ArchiveError::Outside(found) if found.contains("evil")), "{name}: {error}");
    }
    let whole = zip(&[recipe, ("checkpoints/000001/teacher.safetensors", &[7; 4000])]);
    for cut in [0, 1, 40, whole.len() / 2, whole.len() - 1] {
        assert!(matches!(unpack(&whole[..cut], &to), Err(ArchiveError::Damaged(_))), "{cut}");
    }
    let mut spoiled = whole.clone();
    spoiled[200] ^= 0xff;
    assert!(unpack(&spoiled, &to).is_err(), "its sum is wrong");
    assert!(matches!(unpack(&zip(&[("a.txt", b"")]), &to), Err(ArchiveError::NoRun(_))));
    assert!(!to.exists() && !folder.path().join("evil").exists() && !folder.path().join("in/evil").exists());
    let left = std::fs::read_dir(folder.path().join("in")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing half unpacked");
}

#[test]
fn an_archive_that_swells_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("run");
    let zeros = vec![0; 1 << 20];
    let packed = zip(&[("recipe.toml", b"preset = \"nano\""), ("a", &zeros), ("b", &zeros)]);
    assert!(packed.len() < 1 << 14, "the archive itself is small: {}", packed.len());
    let error = unpack_within(&packed, &to, 3 << 19).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge(_)), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing half unpacked");
    unpack_within(&packed, &to, 3 << 20).unwrap();
    assert_eq!(std::fs::read(to.join("b")).unwrap(), zeros);
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked_wherever_runs_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("run");
    let zeros = vec![0; 65 << 20];
    let bomb = zip(&[("recipe.toml", b""), ("checkpoints/000001/teacher.safetensors", &zeros)]);
    assert!(bomb.len() < 1 << 20, "the archive itself is small: {}", bomb.len());
    for error in [unpack(&bomb, &to).err(), teacher(&bomb).err(), entries(&bomb, |_| true).err()] {
        let said = error.unwrap().to_string();
        assert!(said.contains("it unpacks to 68 MB from "), "{said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // As much that does not shrink is a run.
    let mut value = 1u32;
    let noise = std::iter::repeat_with(|| {
        value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (value >> 24) as u8
    });
    let whole = zip(&[
        ("recipe.toml", b""),
        ("checkpoints/000001/teacher.safetensors", &noise.take(2 << 20).collect::<Vec<_>>()),
    ]);
    assert_eq!(teacher(&whole).unwrap().unwrap().len(), 2 << 20);
}

#[test]
fn an_entry_that_is_longer_than_it_claims_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = zip(&[("recipe.toml", b""), ("a", &[0; 100_000])]);
    // The size without compression, in the file's header and in the directory.
    let claims = 100_000u32.to_le_bytes();
    let mut lying = whole.clone();
    let places: Vec<usize> = (0..whole.len() - 3).filter(|&at| whole[at..at + 4] == claims).collect();
    assert_eq!(places.len(), 2);
    for at in places {
        lying[at..at + 4].copy_from_slice(&7u32.to_le_bytes());
    }
    let error = unpack(&lying, &folder.path().join("run")).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge(_) | ArchiveError::Damaged(_)), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_newest_teacher_is_that_of_most_steps() {
    let teachers: [(&str, &[u8]); 3] = [
        ("recipe.toml", b""),
        ("checkpoints/999999/teacher.safetensors", b"old"),
        ("checkpoints/1000000/teacher.safetensors", b"new"),
    ];
    assert_eq!(teacher(&zip(&teachers)).unwrap().unwrap(), b"new");
}

#[test]
fn other_files_hold_no_teacher() {
    assert!(teacher(b"weights").unwrap().is_none());
    assert!(teacher(&zip(&[("archive/data.pkl", b"")])).unwrap().is_none(), "PyTorch's");
    let none = teacher(&zip(&[("recipe.toml", b"")])).unwrap_err().to_string();
    assert!(none.contains("a checkpoint is missing"), "{none}");
}

#[test]
fn nothing_that_is_packed_says_whose_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(&folder.path().join("nano-001"));
    let theirs = "/mnt/disk/ada.byron/my <photos>";
    let pairs = [format!("data.path={theirs:?}"), "distill.teacher=/home/ada.byron/big.pth".to_owned()];
    let recipe = made.recipe().unwrap().with_overrides(&pairs).unwrap();
    made.write_recipe(&recipe).unwrap();
    let page = format!(
        "<td>12 pictures from /mnt/disk/ada.byron/my &lt;photos&gt;</td>{}",
        recipe.to_toml().unwrap()
    );
    std::fs::write(made.report_file(), page).unwrap();
    let moved = r#"{"iteration":2,"field":"data.path","before":["/media/ada.byron/a","/mnt/b"],"after":"/mnt/disk/ada.byron/my <photos>"}"#;
    std::fs::write(made.path().join("changes.jsonl"), moved.to_owned() + "\n").unwrap();
    std::fs::create_dir(made.path().join("evaluations")).unwrap();
    std::fs::write(made.path().join("evaluations/knn.json"), format!("{{\"data\":{theirs:?}}}")).unwrap();

    let packed = pack(made.path()).unwrap();
    let mut zip = ZipArchive::new(Cursor::new(packed.as_slice())).unwrap();
    let mut names = Vec::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).unwrap();
        names.push(entry.name().unwrap().into_owned());
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("ada.byron") && !text.contains("/mnt"), "{:?}: {text}", names.last());
    }
    for name in ["recipe.toml", "report.html", "changes.jsonl", "evaluations/knn.json"] {
        assert!(names.iter().any(|packed| packed == name), "{names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("lock")), "{names:?}");
    let there = unpack(&packed, &folder.path().join("there")).unwrap();
    let recipe = there.recipe().unwrap();
    assert_eq!(
        (recipe.data.path.text().as_str(), recipe.distill.teacher.as_str()),
        ("my <photos>", "big.pth")
    );
    assert_eq!(made.recipe().unwrap().data.path, theirs, "the run itself stays as it is");
}

#[test]
fn a_lock_from_elsewhere_is_none_here() {
    let folder = tempfile::tempdir().unwrap();
    let entries: [(&str, &[u8]); 2] =
        [("recipe.toml", b"preset = \"nano\""), ("run.lock", b"{\"process\":1,\"host\":\"elsewhere\"}")];
    let there = unpack(&zip(&entries), &folder.path().join("run")).unwrap();
    // An empty one says that nobody goes on with it.
    assert_eq!(std::fs::read(there.path().join("run.lock")).unwrap(), b"");
}

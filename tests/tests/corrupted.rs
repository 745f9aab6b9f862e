//! Broken pictures among good ones: the run ends well and names each of them.

use std::fs;
use std::path::Path;

use dinoscope_core::analysis::image_out::{png, write_png};
use dinoscope_core::data::source::scenes;
use dinoscope_tests::program::{TINY, ok, run};

fn good(dir: &Path, count: usize) {
    for i in 0..count {
        write_png(&dir.join(format!("good-{i}.png")), &scenes::draw(3, i, 40).picture).unwrap();
    }
}

/// A PNG header that claims 60,000 by 60,000 pixels.
fn bomb() -> Vec<u8> {
    let mut bytes = png(&scenes::draw(3, 0, 8).picture).unwrap();
    for at in [16, 20] {
        bytes[at..at + 4].copy_from_slice(&60_000u32.to_be_bytes());
    }
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 })
    })
}

#[test]
fn every_broken_picture_is_named_and_none_is_fatal() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = dir.path().join("pictures");
    fs::create_dir_all(pictures.join("nested")).unwrap();
    good(&pictures, 8);
    let whole = png(&scenes::draw(3, 20, 64).picture).unwrap();
    fs::write(pictures.join("truncated.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(pictures.join("empty.jpg"), []).unwrap();
    fs::write(pictures.join("nested/misnamed.jpg"), "this is a letter").unwrap();
    fs::write(pictures.join("bomb.png"), bomb()).unwrap();
    fs::write(pictures.join("notes.txt"), "no picture at all, and no concern of ours").unwrap();
    // A picture under a wrong ending is still a picture.
    fs::write(pictures.join("really-a-png.jpg"), &whole).unwrap();

    let mut arguments =
        vec!["train", "nano", "--device", "cpu", "--data", "pictures", "--out", "run", "--json"];
    arguments.extend(TINY);
    arguments.extend(["--set", "train.iterations=12", "--set", "optim.warmup=5"]);
    let out = ok(dir.path(), &arguments);
    let finished: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    let skipped: Vec<&str> =
        finished["skipped"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    let names = ["bomb.png", "empty.jpg", "misnamed.jpg", "truncated.png"];
    assert_eq!(skipped.len(), names.len(), "{skipped:?}");
    for name in names {
        assert!(skipped.iter().any(|s| s.ends_with(name)), "{name} is not in {skipped:?}");
    }
    assert_eq!(out.matches("\"event\":\"warning\"").count(), names.len(), "each is warned of once");
    let report = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(names.iter().all(|name| report.contains(name)));
}

#[test]
fn nothing_usable_is_a_mistake_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("none")).unwrap();
    fs::create_dir(dir.path().join("broken")).unwrap();
    fs::write(dir.path().join("broken/a.png"), "no").unwrap();
    for (data, wanted) in [("none", "none"), ("missing", "missing"), ("broken", "broken")] {
        let mut arguments = vec!["train", "nano", "--device", "cpu", "--data", data, "--out", data];
        arguments.extend(TINY);
        let output = run(dir.path(), &arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{data}: {message}");
        assert!(message.contains(wanted) && !message.contains("panicked"), "{data}: {message}");
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let mut arguments = vec!["train", "nano", "--device", "cpu", "--data", "scenes", "--out", "run"];
    arguments.extend(TINY);
    for set in [
        "train.iterations=400",
        "train.checkpoint_every=3",
        "train.evaluate_every=0",
        "train.picture_every=0",
        "optim.base_lr=10",
        "optim.warmup=1",
        "optim.clip=0",
        "optim.weight_decay=10",
        "optim.weight_decay_end=10",
    ] {
        arguments.extend(["--set", set]);
    }
    let output = run(dir.path(), &arguments);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("not finite") && message.contains("optim.base_lr"), "{message}");
    let kept = dinoscope_core::train::checkpoint::list(&dir.path().join("run/checkpoints"));
    let (_, newest) = kept.last().unwrap();
    assert!(message.contains(&newest.file_name().unwrap().to_string_lossy().into_owned()), "{message}");
    let bytes = fs::read(newest.join("student.safetensors")).unwrap();
    for (name, tensor) in safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors() {
        let finite = tensor.data().as_chunks::<4>().0.iter().all(|b| f32::from_le_bytes(*b).is_finite());
        assert!(finite, "{name}");
    }
}

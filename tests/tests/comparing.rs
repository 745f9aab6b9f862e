//! `dinoscope compare`: two models on the same pictures.

use std::path::Path;

use dinoscope_core::data::Picture;
use dinoscope_core::data::decode::decode_file;
use dinoscope_tests::program::{ok, run};
use serde_json::Value;

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/weights").join(name).display().to_string()
}

fn sample(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/samples").join(name).display().to_string()
}

/// One of three columns of a sheet without the names above them.
fn column(sheet: &Picture, which: usize) -> Vec<u8> {
    let (gap, line) = (12, 28);
    let width = (sheet.width - 4 * gap) / 3;
    let left = gap + which * (width + gap);
    (line..sheet.height - gap)
        .flat_map(|y| sheet.rgb[3 * (y * sheet.width + left)..][..3 * width].to_vec())
        .collect()
}

fn apart(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

#[test]
fn a_model_agrees_with_itself_and_less_with_another() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (fish, rocket) = (sample("scene-20-fish.jpg"), sample("scene-26-rocket.jpg"));
    let of = |against: &str, more: &[&str]| {
        let common =
            ["compare", &fish, &rocket, "--weights", "starter", "--against", against, "--device", "cpu"];
        ok(dir, &[&common[..], &["--resolution", "128"], more].concat())
    };
    let same = of("starter", &["--out", "same"]);
    assert!(same.contains("A: starter weights") && same.contains("all 2 pictures"), "{same}");
    assert_eq!(same.matches("1.000").count(), 3, "{same}");
    assert_eq!(same.matches("100.0 %").count(), 3, "{same}");
    // The same features are turned onto themselves: the same colours, and others than the picture's.
    let sheet = decode_file(&dir.join("same/scene-20-fish.compare.png")).unwrap();
    assert!(apart(&column(&sheet, 1), &column(&sheet, 2)) < 1.0);
    assert!(apart(&column(&sheet, 0), &column(&sheet, 1)) > 10.0);

    // Another patch and another width, in numbers for programs.
    let said = of(&fixture("official_vit.pth"), &["--json", "--out", "other", "--blocks"]);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let pictures: Vec<&Value> = lines.iter().filter(|line| line.get("picture").is_some()).collect();
    assert_eq!(pictures.len(), 2, "{said}");
    for line in &pictures {
        let (cka, shared) = (line["cka"].as_f64().unwrap(), line["neighbours"].as_f64().unwrap());
        assert!((-1.0..0.999).contains(&cka) && (0.0..0.999).contains(&shared), "{line}");
        assert_ne!(line["patches"][0], line["patches"][1], "grids differ: {line}");
    }
    let done = lines.last().unwrap();
    assert!(done["event"] == "done" && done["pictures"] == 2 && done["cka"].is_f64(), "{done}");
    assert!(dir.join("other/scene-26-rocket.compare.png").is_file());
}

#[test]
fn what_cannot_be_compared_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("broken.png"), b"no picture").unwrap();
    let fish = sample("scene-20-fish.jpg");
    let with = |pictures: &[&str], against: &str| {
        let common = ["--weights", "starter", "--against", against, "--device", "cpu", "--resolution", "112"];
        let output = run(dir, &[&["compare"], pictures, &common].concat());
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), said(&output.stdout), said(&output.stderr))
    };
    let (status, out, err) = with(&["broken.png", &fish], "starter");
    assert!(
        status == Some(3) && out.contains("scene-20-fish.jpg") && err.contains("broken.png"),
        "{out}{err}"
    );
    let (status, _, err) = with(&["broken.png"], "starter");
    assert!(status == Some(2) && err.contains("no picture could be used"), "{err}");
    let (status, _, err) = with(&[&fish], "nothing.pth");
    assert!(status == Some(2) && err.contains("nothing.pth does not exist"), "{err}");
}

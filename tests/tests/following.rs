//! `dinoscope follow`: places and masks through pictures that move.

use std::path::Path;

use dinoscope_core::analysis::image_out::write_png;
use dinoscope_core::data::Picture;
use dinoscope_core::data::decode::decode_file;
use dinoscope_core::data::source::scenes;
use dinoscope_tests::program::{ok, run};

const SIDE: usize = 128;
/// Where the window onto the scene is in each frame, from its left upper corner.
const WAY: [(usize, usize); 6] = [(40, 40), (44, 44), (52, 44), (60, 36), (60, 24), (48, 16)];

/// A window onto a large scene.
fn frame(whole: &Picture, (left, top): (usize, usize)) -> Picture {
    let row = |y: usize| &whole.rgb[3 * ((top + y) * whole.width + left)..][..3 * SIDE];
    Picture::of_rgb(SIDE, SIDE, (0..SIDE).flat_map(row).copied().collect())
}

/// Writes the frames; the middle of the scene's object in the first of them.
fn frames(folder: &Path) -> (f32, f32) {
    std::fs::create_dir_all(folder).unwrap();
    let scene = scenes::draw(3, 2, 224);
    for (i, at) in WAY.into_iter().enumerate() {
        write_png(&folder.join(format!("{i:02}.png")), &frame(&scene.picture, at)).unwrap();
    }
    (112.0 - WAY[0].0 as f32, 112.0 - WAY[0].1 as f32)
}

struct Line {
    x: f32,
    y: f32,
    seen: bool,
}

fn track(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("frame,file,x,y,similarity,seen"));
    let line = |line: &str| {
        let fields: Vec<&str> = line.rsplit(',').collect();
        Line { x: fields[3].parse().unwrap(), y: fields[2].parse().unwrap(), seen: fields[0] == "true" }
    };
    lines.map(line).collect()
}

#[test]
fn a_place_is_found_in_every_frame_and_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (x, y) = frames(&dir.join("shots"));
    let at = format!("{x},{y}");
    let arguments = ["follow", "shots", "--at", &at, "--weights", "starter", "--device", "cpu", "--out", "o"];
    let said = ok(dir, &arguments);
    assert!(said.contains("of 6 frames") && said.contains("track.csv"), "{said}");
    let found = track(&dir.join("o/track.csv"));
    assert_eq!(found.len(), WAY.len());
    assert!((found[0].x - x).abs() < 1e-2 && (found[0].y - y).abs() < 1e-2, "the first is where it was said");
    // A patch is four pixels of these frames at the model's own size: within two of them.
    let moved = |i: usize| (x + WAY[0].0 as f32 - WAY[i].0 as f32, y + WAY[0].1 as f32 - WAY[i].1 as f32);
    for (i, line) in found.iter().enumerate() {
        let (want_x, want_y) = moved(i);
        let off = (line.x - want_x).hypot(line.y - want_y);
        assert!(line.seen && off < 8.0, "frame {i}: {}, {} is not {want_x}, {want_y}", line.x, line.y);
    }
    let drawn = decode_file(&dir.join("o/frames/000003.png")).unwrap();
    let plain = decode_file(&dir.join("shots/02.png")).unwrap();
    let changed: Vec<usize> =
        (0..SIDE * SIDE).filter(|i| drawn.rgb[3 * i..3 * i + 3] != plain.rgb[3 * i..3 * i + 3]).collect();
    assert!(changed.len() > 20 && changed.len() < SIDE * SIDE / 8, "{} pixels drawn", changed.len());
    assert!(std::fs::read(dir.join("o/follow.gif")).unwrap().starts_with(b"GIF89a"));

    // The film that was written is an animation, which can be followed itself.
    let film =
        ["follow", "o/follow.gif", "--at", &at, "--weights", "starter", "--device", "cpu", "--out", "p"];
    assert!(ok(dir, &film).contains("of 6 frames"));
}

#[test]
fn a_mask_goes_along() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    frames(&dir.join("shots"));
    let scene = scenes::draw(3, 2, 224);
    let truth = |at: (usize, usize)| -> Vec<bool> {
        let place = |i: usize| (at.1 + i / SIDE) * 224 + at.0 + i % SIDE;
        (0..SIDE * SIDE).map(|i| scene.instances[place(i)] == scenes::OBJECT).collect()
    };
    let rgb = truth(WAY[0]).iter().flat_map(|object| [if *object { 200 } else { 0 }; 3]).collect();
    write_png(&dir.join("mask.png"), &Picture::of_rgb(SIDE, SIDE, rgb)).unwrap();
    let arguments = ["follow", "shots", "--mask", "mask.png", "--weights", "starter", "--device", "cpu"];
    ok(dir, &[&arguments[..], &["--out", "o"]].concat());
    for (i, at) in WAY.into_iter().enumerate() {
        let found = decode_file(&dir.join(format!("o/masks/{:06}.png", i + 1))).unwrap();
        let found: Vec<bool> = found.rgb.chunks(3).map(|pixel| pixel[0] > 127).collect();
        let want = truth(at);
        let both = found.iter().zip(&want).filter(|(a, b)| **a && **b).count() as f32;
        let either = found.iter().zip(&want).filter(|(a, b)| **a || **b).count() as f32;
        assert!(both / either > 0.6, "frame {i}: {}", both / either);
    }
    assert!(!dir.join("o/track.csv").exists());
}

#[test]
fn what_cannot_be_followed_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    frames(&dir.join("shots"));
    let black = Picture::of_rgb(SIDE, SIDE, vec![0; 3 * SIDE * SIDE]);
    write_png(&dir.join("black.png"), &black).unwrap();
    let small = Picture::of_rgb(2, 2, vec![255; 12]);
    write_png(&dir.join("small.png"), &small).unwrap();
    std::fs::create_dir(dir.join("empty")).unwrap();
    let common = ["--weights", "starter", "--device", "cpu", "--out", "o"];
    for (arguments, reason) in [
        (&["shots", "--at", "128,4"][..], "outside of the first frame"),
        (&["shots", "--at", "4"], "X,Y"),
        (&["shots"], "--at"),
        (&["shots", "--mask", "black.png"], "nothing to follow"),
        (&["shots", "--mask", "small.png"], "small.png has 2 × 2"),
        (&["empty", "--at", "1,1"], "empty"),
        (&["none.gif", "--at", "1,1"], "none.gif"),
        (&["shots", "--at", "1,1", "--threshold", "2"], "--threshold"),
    ] {
        let output = run(dir, &[&["follow"], arguments, &common].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
}

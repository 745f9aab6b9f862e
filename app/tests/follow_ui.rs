//! Following in the studio: an animation is opened, something in it is clicked or painted, and what comes of it is saved.

use std::path::Path;

use crate::common::moving::{SIDE, animation, truth};
use crate::common::window::*;
use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope::studio::StartupOptions;
use dinoscope::studio::explore::FollowSnapshot;
use egui::accesskit::Role;
use egui::{Key, Pos2, Rect, Vec2, vec2};
use egui_kittest::kittest::Queryable as _;
use image::AnimationDecoder as _;
use image::codecs::gif::GifDecoder;

/// A window that shows the panel with so many frames, all looked at by the starter weights.
fn following(size: Vec2, folder: &Path, frames: usize) -> Window {
    let mut window = window_of(size, 1.0, egui::Theme::Dark, StartupOptions { ..fresh() });
    settle(&mut window);
    press(&mut window, Role::Tab, "Follow");
    assert!(says("Follow something through frames")(&window));
    give(&mut window, DialogPurpose::FollowFrames, &[&animation(folder, frames)]);
    settle(&mut window);
    let at = followed(&window);
    assert_eq!((at.frames, at.looked_at, at.at), (frames, frames, 0));
    window
}

fn usual(folder: &Path, frames: usize) -> Window {
    following(vec2(1280.0, 720.0), folder, frames)
}

fn followed(window: &Window) -> FollowSnapshot {
    studio(window).explore().follow_snapshot()
}

/// A point of the large frame, as shares of it.
fn on_frame(window: &Window, share: [f32; 2]) -> Pos2 {
    let place = window.get_by_label_contains("large frame").rect();
    let side = place.width().min(place.height());
    Rect::from_center_size(place.center(), vec2(side, side)).lerp_inside(Vec2::from(share))
}

fn click_object(window: &mut Window) {
    let at = on_frame(window, truth()[0]);
    click(window, at);
}

#[test]
fn a_click_is_followed_to_the_end_of_an_animation_and_saved() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = usual(folder.path(), 8);
    assert!(says("1 of 8")(&window) && says("click what is to be followed")(&window));
    click_object(&mut window);
    let found = followed(&window).places;
    assert_eq!(found.len(), 8);
    for ((frame, share, seen), want) in found.iter().zip(truth()) {
        // A patch is four pixels of these frames.
        let off = SIDE as f32 / 4.0 * (share[0] - want[0]).hypot(share[1] - want[1]);
        assert!(*seen && off < 2.5, "frame {frame}: {off} patches off");
    }
    assert!(says("Seen in 8 of 8")(&window) && says("seen, 1.00")(&window));

    let file = |name: &str| folder.path().join(name);
    for name in ["track.csv", "track.json", "followed.gif"] {
        give(&mut window, DialogPurpose::SaveFollowed, &[&file(name)]);
        settle(&mut window);
    }
    let table = std::fs::read_to_string(file("track.csv")).unwrap();
    assert!(table.starts_with("frame,file,x,y,similarity,seen\n1,") && table.lines().count() == 9, "{table}");
    let read: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file("track.json")).unwrap()).unwrap();
    let x = read[0]["x"].as_f64().unwrap();
    assert!((x - f64::from(truth()[0][0]) * SIDE as f64).abs() < 1.0 && read[7]["frame"] == 8, "{read}");
    let frames = |name: &str| {
        let read = std::io::BufReader::new(std::fs::File::open(file(name)).unwrap());
        let frames = GifDecoder::new(read).unwrap().into_frames().collect_frames().unwrap();
        frames.into_iter().map(image::Frame::into_buffer).collect::<Vec<_>>()
    };
    let (film, plain) = (frames("followed.gif"), frames("moving.gif"));
    assert_eq!((film.len(), film[0].dimensions()), (8, (SIDE as u32, SIDE as u32)));
    assert!(film.iter().zip(&plain).all(|(film, plain)| film != plain), "the ring and its way are drawn");

    // What is clicked in a later frame corrects from there on.
    slide(&mut window, "Frame", 5.0);
    assert_eq!(followed(&window).at, 4);
    let before = followed(&window).places;
    let at = on_frame(&window, [0.1, 0.1]);
    click(&mut window, at);
    let after = followed(&window).places;
    assert_eq!(after[..4], before[..4]);
    assert!((after[4].1[0] - 0.1).abs() < 0.02 && after.len() == 8, "{after:?}");
    button(&mut window, "Follow nothing");
    assert!(followed(&window).places.is_empty());
    button(&mut window, "Close the frames");
    assert!(says("Follow something through frames")(&window) && followed(&window).frames == 0);
}

#[test]
fn a_place_that_nothing_resembles_is_lost_and_found_by_a_lower_threshold() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = usual(folder.path(), 4);
    slide(&mut window, "Threshold", 1.0);
    click_object(&mut window);
    slide(&mut window, "Frame", 3.0);
    let seen = |window: &Window| followed(window).places.iter().filter(|(.., seen)| *seen).count();
    assert_eq!((followed(&window).places.len(), seen(&window)), (4, 1));
    assert!(says("lost, ")(&window) && says("Seen in 1 of 4")(&window));
    slide(&mut window, "Threshold", 0.0);
    assert_eq!(seen(&window), 4);
    assert!(says("seen, ")(&window));
}

#[test]
fn an_object_is_taken_painted_erased_carried_on_and_saved() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = usual(folder.path(), 4);
    choose(&mut window, "Mask");
    assert!(says("click an object, or paint it")(&window));
    click_object(&mut window);
    let object = followed(&window).masks;
    assert_eq!(object.len(), 4, "{object:?}");
    assert!(object.iter().all(|(_, patches)| (1..1024).contains(patches)), "{object:?}");
    choose(&mut window, "Paint");
    let corner = on_frame(&window, [0.05, 0.05]);
    click(&mut window, corner);
    let painted = followed(&window).masks;
    assert!(painted[0].1 > object[0].1 && painted.len() == 4, "{object:?} {painted:?}");
    choose(&mut window, "Erase");
    click(&mut window, corner);
    assert_eq!(followed(&window).masks[0], object[0], "what was painted is gone");
    let to = folder.path().join("masks");
    give(&mut window, DialogPurpose::SaveMasks, &[&to]);
    settle(&mut window);
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 4);
    let first = image::open(to.join("000001.png")).unwrap().to_rgb8();
    let white = first.pixels().filter(|pixel| pixel.0 == [255; 3]).count();
    assert!(white > 16 && white < SIDE * SIDE, "{white} pixels of {}", SIDE * SIDE);
}

#[test]
fn looking_stops_and_goes_on_and_the_keyboard_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window(fresh());
    settle(&mut window);
    press(&mut window, Role::Tab, "Follow");
    give(&mut window, DialogPurpose::FollowFrames, &[&animation(folder.path(), 6)]);
    until(&mut window, "the frames", |window| followed(window).frames == 6);
    if has(&window, Role::Button, "Stop looking") {
        press(&mut window, Role::Button, "Stop looking");
        settle(&mut window);
        let stopped = followed(&window).looked_at;
        assert!(stopped < 6 && says("Stopped at")(&window), "{stopped} were looked at");
        button(&mut window, "Go on looking");
    }
    settle(&mut window);
    assert_eq!(followed(&window).looked_at, 6);
    // The frame is used without a pointer: what is in its middle.
    window.get_by_label_contains("large frame").click_accesskit();
    steps(&mut window, 3);
    settle(&mut window);
    assert_eq!(followed(&window).places[0].1, [0.5, 0.5]);
    window.get_by_label_contains("large frame").focus();
    window.step();
    key(&mut window, Key::ArrowRight);
    let [x, y] = followed(&window).places[0].1;
    assert!((x - 0.5 - 1.0 / 32.0).abs() < 1e-4 && y == 0.5, "one patch to the right: {x} {y}");
    press(&mut window, Role::Button, "Play the frames");
    until(&mut window, "the last frame", |window| followed(window).at == 5);
    button(&mut window, "First frame");
    assert_eq!(followed(&window).at, 0);
}

#[test]
fn the_gallery_s_pictures_are_frames_too_and_what_is_no_picture_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = vec![sample("scene-20-fish.jpg"), sample("scene-26-rocket.jpg")];
    let mut window = window(StartupOptions { pictures, ..fresh() });
    settle(&mut window);
    press(&mut window, Role::Tab, "Follow");
    button(&mut window, "The gallery's 2 pictures");
    assert_eq!((followed(&window).frames, followed(&window).looked_at), (2, 2));
    let broken = folder.path().join("broken.gif");
    std::fs::write(&broken, b"GIF89a and nothing more").unwrap();
    give(&mut window, DialogPurpose::FollowFrames, &[&broken]);
    until(&mut window, "why", says("broken.gif"));
    settle(&mut window);
    assert_eq!(followed(&window).frames, 0);
}

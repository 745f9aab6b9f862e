//! The curating side, used as a person would.

use std::path::{Path, PathBuf};

use crate::common::window::*;
use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope::studio::StartupOptions;
use dinoscope::studio::curate::CurateSnapshot;
use dinoscope::studio::panels::Workspace;
use dinoscope_core::data::source::PictureSource as _;
use dinoscope_core::data::source::scenes::ScenesSource;
use dinoscope_curate::CurationTable;
use egui::accesskit::Role;
use egui::{Key, Modifiers, Pos2, Theme, vec2};
use egui_kittest::kittest::Queryable as _;

/// Scenes of which each has a copy, four of them a crop too, a picture that is dark, and a file that is no picture.
fn heap(folder: &Path, count: usize) {
    let scenes = ScenesSource::new(3, count, 64);
    for i in 0..count {
        let picture = scenes.load(i).unwrap();
        let image =
            image::RgbImage::from_raw(picture.width as u32, picture.height as u32, picture.rgb).unwrap();
        image.save(folder.join(format!("{i:02}.png"))).unwrap();
        let brighter = image::imageops::colorops::brighten(&image, 6);
        brighter.save(folder.join(format!("{i:02}-copy.png"))).unwrap();
        if i < 4 {
            let crop = image::imageops::crop_imm(&image, 4, 5, 56, 56).to_image();
            crop.save(folder.join(format!("{i:02}-crop.png"))).unwrap();
        }
    }
    image::RgbImage::from_pixel(64, 64, image::Rgb([2, 2, 3])).save(folder.join("dark.png")).unwrap();
    std::fs::write(folder.join("broken.png"), b"no picture").unwrap();
}

fn window_in(size: egui::Vec2, theme: Theme) -> Window {
    window_of(size, 1.0, theme, StartupOptions { workspace: Workspace::Curate, ..fresh() })
}

fn curated(window: &Window) -> CurateSnapshot {
    studio(window).curate().snapshot()
}

fn give(window: &mut Window, purpose: DialogPurpose, path: PathBuf) {
    studio(window).dialogs().give(purpose, vec![path]);
    steps(window, 2);
}

fn shot(window: &mut Window, name: &str) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("curate-{name}.png"));
    window.render().unwrap().save(path).unwrap();
}

/// A window over a heap that was looked at.
fn looked_at(root: &Path, count: usize, size: egui::Vec2, theme: Theme) -> Window {
    let (photos, set) = (root.join("photos"), root.join("set"));
    std::fs::create_dir(&photos).unwrap();
    heap(&photos, count);
    let mut window = window_in(size, theme);
    give(&mut window, DialogPurpose::CuratedPictures, photos);
    give(&mut window, DialogPurpose::CuratedSet, set);
    button(&mut window, "Look at all of them");
    settle(&mut window);
    assert_eq!(curated(&window).trouble, None);
    window
}

#[test]
fn a_heap_becomes_a_set_that_is_trained_on() {
    let root = tempfile::tempdir().unwrap();
    let mut window = window_in(vec2(1280.0, 800.0), Theme::Dark);
    assert!(says("A heap of pictures becomes a data set")(&window) && says("Choose the pictures.")(&window));
    shot(&mut window, "empty");
    drop(window);
    let mut window = looked_at(root.path(), 12, vec2(1280.0, 800.0), Theme::Dark);
    let first = curated(&window);
    assert_eq!((first.pictures, first.kept + first.copies, first.poor), (29, 29, 0), "{first:?}");
    assert!(first.copies >= 14, "each has a copy, and crops are some: {first:?}");
    assert!(says("1 picture can't be used")(&window) && says("broken.png")(&window), "{}", said(&window));
    shot(&mut window, "looked-at");

    // To features alone crops are other pictures, until the threshold is low.
    slide(&mut window, "Edges", 1.0);
    let none = curated(&window);
    slide(&mut window, "Cosine", 0.0);
    let most = curated(&window);
    assert!(none.kept > first.kept && none.kept > most.kept, "{none:?} {first:?} {most:?}");
    slide(&mut window, "Cosine", 0.97);
    slide(&mut window, "Edges", 0.7);
    assert_eq!(curated(&window), first, "back where it was");

    // What is dark goes, with its reason.
    slide(&mut window, "Darkness", 0.9);
    let without = curated(&window);
    assert_eq!((without.poor, without.kept), (1, first.kept - 1), "{without:?}");

    // Three points around which a loop is drawn are left out, and come back.
    let map = window.get_by_role_and_label(Role::Figure, "Map of 30 pictures").rect();
    let corners = [map.left_top(), map.right_top(), map.right_bottom(), map.left_bottom()];
    loop_around(&mut window, &corners.map(|corner| corner + (map.center() - corner) * 0.02));
    assert_eq!(curated(&window).selected, 29, "all that are on the map");
    button(&mut window, "Leave out");
    assert_eq!((curated(&window).kept, curated(&window).dropped), (0, 29));
    keys(&mut window, Modifiers::COMMAND, Key::Z);
    assert_eq!(curated(&window).kept, without.kept, "taken back");
    key(&mut window, Key::Escape);
    assert_eq!(curated(&window).selected, 0);
    shot(&mut window, "decided");

    button(&mut window, "Save the set");
    settle(&mut window);
    assert!(says("The set is in")(&window), "{}", said(&window));
    let table = CurationTable::read(&root.path().join("set/chosen.parquet")).unwrap();
    let kept = table.rows.iter().filter(|row| row.kept == Some(true)).count();
    assert_eq!(kept, without.kept);
    let dark = table.rows.iter().find(|row| row.key.ends_with("dark.png")).unwrap();
    assert!(dark.why.as_ref().unwrap().contains("it is dark"), "{dark:?}");

    button(&mut window, "Train on this");
    until(&mut window, "the training side", |window| {
        said(window).contains("Start") && said(window).contains(&format!("{kept} pictures"))
    });
}

/// Draws a loop over the map with the pointer.
fn loop_around(window: &mut Window, corners: &[Pos2]) {
    window.hover_at(corners[0]);
    window.step();
    let button = |window: &mut Window, pos: Pos2, pressed: bool| {
        let modifiers = Modifiers::NONE;
        let button = egui::PointerButton::Primary;
        window.event(egui::Event::PointerButton { pos, button, pressed, modifiers });
        window.step();
    };
    button(window, corners[0], true);
    for corner in &corners[1..] {
        window.hover_at(*corner);
        window.step();
    }
    button(window, corners[corners.len() - 1], false);
    settle(window);
}

#[test]
fn what_is_like_a_picture_is_found_from_inside_and_outside() {
    let root = tempfile::tempdir().unwrap();
    let mut window = looked_at(root.path(), 8, vec2(1440.0, 900.0), Theme::Light);
    window.get_by_role_and_label(Role::RadioButton, "Stay").click_accesskit();
    settle(&mut window);
    shot(&mut window, "stay-light");
    // One that is not of the heap: what it was copied from is the nearest.
    let outside = root.path().join("outside.png");
    std::fs::copy(root.path().join("photos/03.png"), &outside).unwrap();
    give(&mut window, DialogPurpose::CuratedQuery, outside);
    settle(&mut window);
    assert!(says("Most similar to outside.png")(&window), "{}", said(&window));
    let first = window.get_all_by_role(Role::Button).find_map(|node| {
        use egui_kittest::kittest::NodeT as _;
        node.accesskit_node().label().filter(|label| label.ends_with(".png") && !label.contains(' '))
    });
    assert_eq!(first.as_deref(), Some("03.png"));
    assert_eq!(curated(&window).selected, 0, "found is not chosen");
    button(&mut window, "Select all");
    assert_eq!(curated(&window).selected, 21, "all of so few are listed");
    shot(&mut window, "similar-light");
    // The set is opened again without its pictures being looked at.
    drop(window);
    let startup =
        StartupOptions { workspace: Workspace::Curate, curate: Some(root.path().join("set")), ..fresh() };
    let mut window = window_of(vec2(1024.0, 640.0), 1.0, Theme::Dark, startup);
    settle(&mut window);
    assert_eq!(curated(&window).pictures, 21);
    shot(&mut window, "opened-small");
    let narrow =
        StartupOptions { workspace: Workspace::Curate, curate: Some(root.path().join("set")), ..fresh() };
    let mut window = window_of(vec2(560.0, 800.0), 1.0, Theme::Light, narrow);
    settle(&mut window);
    window.get_by_role_and_label(Role::RadioButton, "Map").click_accesskit();
    settle(&mut window);
    shot(&mut window, "narrow-light");
}

#[test]
fn what_can_not_be_curated_says_why() {
    let root = tempfile::tempdir().unwrap();
    let mut window = window_in(vec2(1280.0, 720.0), Theme::Dark);
    give(&mut window, DialogPurpose::CuratedPictures, root.path().join("nowhere"));
    button(&mut window, "Look at all of them");
    settle(&mut window);
    let trouble = curated(&window).trouble.unwrap();
    assert!(trouble.contains("nowhere"), "{trouble}");
    button(&mut window, "Put away");
    assert_eq!(curated(&window).trouble, None);
}

//! What holds for the whole window: undo, paths in place of dialogs, bars that cover nothing, labels that are whole.

use std::path::PathBuf;

use crate::common::window::*;
use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope::studio::StartupOptions;
use dinoscope::studio::panels::Workspace;
use dinoscope_core::explore::ModelSource;
use egui::accesskit::Role;
use egui::{Key, Modifiers, Rect, Theme, vec2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};

const FISH: &str = "scene-20-fish.jpg";
const ROCKET: &str = "scene-26-rocket.jpg";
const MUSHROOM: &str = "scene-33-mushroom.jpg";

fn startup() -> StartupOptions {
    StartupOptions { weights: Some(ModelSource::Path(official())), ..fresh() }
}

fn with_pictures() -> Window {
    let pictures = vec![sample(FISH), sample(ROCKET), sample(MUSHROOM)];
    let mut window = window(StartupOptions { pictures, ..startup() });
    until(&mut window, "three pictures", says("3 pictures"));
    settle(&mut window);
    window
}

#[test]
fn closed_pictures_come_back() {
    let mut window = with_pictures();
    press(&mut window, Role::Button, ROCKET);
    settle(&mut window);
    button(&mut window, "Close all pictures");
    assert!(says("nothing open")(&window) && says("Closed 3 pictures.")(&window));
    // By the toast.
    button(&mut window, "Undo");
    assert!(says("3 pictures")(&window) && is_on(&window, Role::Button, ROCKET));
    until(&mut window, "no toast", |window| !says("Closed 3 pictures.")(window));

    // Delete closes what is selected; Ctrl+Z takes it back.
    window.key_press(Key::Delete);
    steps(&mut window, 3);
    assert!(says("2 pictures")(&window) && !has(&window, Role::Button, ROCKET));
    assert!(says(&format!("Closed {ROCKET}."))(&window), "{}", said(&window));
    button(&mut window, "Close all pictures");
    assert_eq!(snapshot(&window).pictures, 0);
    keys(&mut window, Modifiers::COMMAND, Key::Z);
    assert_eq!(snapshot(&window).pictures, 2);
    keys(&mut window, Modifiers::COMMAND, Key::Z);
    assert!(says("3 pictures")(&window) && is_on(&window, Role::Button, ROCKET));
    // There is nothing more to take back.
    keys(&mut window, Modifiers::COMMAND, Key::Z);
    assert_eq!(snapshot(&window).pictures, 3);
}

#[test]
fn fields_and_panels_that_were_put_back_come_again() {
    let mut window = window(StartupOptions { workspace: Workspace::Train, ..startup() });
    settle(&mut window);
    node(&window, Role::SearchInput, "Search the fields").focus();
    steps(&mut window, 2);
    node(&window, Role::SearchInput, "Search the fields").type_text("train.batch");
    steps(&mut window, 3);
    let batch = |window: &Window| node(window, Role::TextInput, "Batch").accesskit_node().value();
    let first = batch(&window);
    node(&window, Role::TextInput, "Batch").focus();
    steps(&mut window, 2);
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    node(&window, Role::TextInput, "Batch").type_text("7");
    steps(&mut window, 3);
    assert_eq!(batch(&window).as_deref(), Some("7"));
    button(&mut window, "Put all fields back");
    assert_eq!(batch(&window), first);
    button(&mut window, "Undo");
    assert_eq!(batch(&window).as_deref(), Some("7"));

    let place = |window: &Window| window.get_by_role_and_label(Role::Button, "Start").rect();
    let before = place(&window);
    button(&mut window, "Panels as they were at first");
    button(&mut window, "Undo");
    assert_eq!(place(&window), before);
}

#[test]
fn where_there_are_no_dialogs_the_window_asks_for_a_path() {
    let mut window = window(startup());
    settle(&mut window);
    let ask = |window: &mut Window, purpose| {
        studio(window).app_context().dialogs.ask_in_window(purpose, "seen.png");
        steps(window, 3);
    };
    ask(&mut window, DialogPurpose::OpenPictures);
    assert!(says("installing zenity, or xdg-desktop-portal")(&window));
    let enter = |window: &mut Window, text: &str| {
        window.key_press_modifiers(Modifiers::COMMAND, Key::A);
        node(window, Role::TextInput, "Path").type_text(text);
        steps(window, 2);
        window.key_press(Key::Enter);
        steps(window, 3);
    };
    enter(&mut window, "/nowhere/at all.png");
    assert!(says("/nowhere/at all.png does not exist.")(&window));
    let fish = sample(FISH);
    enter(&mut window, &format!("\"{}\"", fish.display()));
    until(&mut window, "the picture", |window| has(window, Role::Button, FISH));
    assert!(!has(&window, Role::TextInput, "Path"));

    // The next one begins where this one was.
    ask(&mut window, DialogPurpose::OpenPictures);
    let value = node(&window, Role::TextInput, "Path").accesskit_node().value();
    assert_eq!(value, Some(fish.parent().unwrap().join("").display().to_string()));
    // A whole path behind it is meant as it is.
    node(&window, Role::TextInput, "Path").type_text("/nowhere/else.png");
    steps(&mut window, 2);
    window.key_press(Key::Enter);
    steps(&mut window, 3);
    assert!(says("/nowhere/else.png does not exist.")(&window), "{}", said(&window));
    window.key_press(Key::Escape);
    steps(&mut window, 3);
    assert!(!has(&window, Role::TextInput, "Path"));

    // What is there already is replaced only by one who says so twice.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("seen.png"), "mine").unwrap();
    ask(&mut window, DialogPurpose::SavePicture);
    enter(&mut window, &folder.path().display().to_string());
    assert!(says("seen.png is there already.")(&window) && has(&window, Role::Button, "Replace it"));
    press(&mut window, Role::Button, "Cancel");
    assert!(!has(&window, Role::TextInput, "Path"));
}

/// Places of everything that can be used, of the bars beside it, by role.
fn places(window: &Window, wanted: impl Fn(Role) -> bool) -> Vec<(String, Rect)> {
    let nodes = window.root().children_recursive();
    let found = nodes.filter(|node| wanted(node.accesskit_node().role()));
    found.map(|node| (node.accesskit_node().label().unwrap_or_default(), node.rect())).collect()
}

#[test]
fn bars_lie_beside_controls() {
    for workspace in [Workspace::Explore, Workspace::Train, Workspace::Evaluate, Workspace::Curate] {
        let pictures = vec![sample(FISH), sample(ROCKET)];
        let mut window = window_of(
            vec2(1280.0, 480.0),
            1.0,
            Theme::Dark,
            StartupOptions { workspace, pictures, ..startup() },
        );
        settle(&mut window);
        let bars: Vec<_> = places(&window, |role| role == Role::ScrollBar);
        assert!(!bars.is_empty(), "{workspace:?} is too high for such a window");
        let used = places(&window, |role| {
            matches!(
                role,
                Role::Button
                    | Role::Switch
                    | Role::Slider
                    | Role::RadioButton
                    | Role::ComboBox
                    | Role::TextInput
            )
        });
        for (_, bar) in &bars {
            for (name, control) in &used {
                let over = bar.intersect(*control);
                assert!(
                    over.width() <= 0.5 || over.height() <= 0.5,
                    "{workspace:?}: {bar} lies over {name} {control}"
                );
            }
        }
    }
}

#[test]
fn names_that_are_too_long_stand_above_their_fields() {
    let mut window = window(StartupOptions { workspace: Workspace::Train, ..startup() });
    settle(&mut window);
    let label = node(&window, Role::Label, "Keep runs in").rect();
    let field = node(&window, Role::TextInput, "Keep runs in").rect();
    assert!(
        label.bottom() <= field.top() + 1.0 && (label.left() - field.left()).abs() < 8.0,
        "{label} {field}"
    );
    // One sees where runs are kept.
    let kept = node(&window, Role::TextInput, "Keep runs in");
    let text = kept.accesskit_node().value().unwrap();
    assert!(PathBuf::from(text).ends_with("Dinoscope"));
    assert!(kept.rect().width() > 200.0);
}

#[test]
fn nothing_is_read_through_what_says_where_to_drop() {
    let mut window = window(startup());
    settle(&mut window);
    let part = Rect::from_center_size(egui::pos2(600.0, 200.0), vec2(500.0, 200.0));
    let before = look(&mut window, part);
    window.input_mut().hovered_files.push(egui::HoveredFile::default());
    window.step();
    let over = look(&mut window, part);
    assert!(difference(&before, &over) > 0.0);
    let first = *over.get_pixel(0, 0);
    assert!(over.pixels().all(|pixel| *pixel == first), "something is seen through it");
}

#[test]
fn every_key_is_named() {
    let mut window = window_of(vec2(1280.0, 2200.0), 1.0, Theme::Dark, startup());
    settle(&mut window);
    press(&mut window, Role::DisclosureTriangle, "Keys");
    settle(&mut window);
    for keys in ["Ctrl+1  2  3", "Ctrl+Enter", "Ctrl+Z", "Ctrl+L", "Del", "Space", "Ctrl+click"] {
        assert!(says(keys)(&window), "{keys}: {}", said(&window));
    }
}

/// Where the keyboard is.
fn focused(window: &Window) -> Option<(String, Rect)> {
    let mut nodes = window.root().children_recursive();
    let node = nodes.find(|node| node.is_focused())?;
    Some((node.accesskit_node().label().unwrap_or_default(), node.rect()))
}

#[test]
fn the_keyboard_is_always_in_sight() {
    for workspace in [Workspace::Train, Workspace::Evaluate, Workspace::Curate] {
        let startup = StartupOptions { workspace, ..startup() };
        let mut window = window_of(vec2(1280.0, 600.0), 1.0, Theme::Dark, startup);
        settle(&mut window);
        let mut seen = 0;
        for _ in 0..60 {
            window.key_press(Key::Tab);
            steps(&mut window, 6);
            let Some((name, rect)) = focused(&window) else { continue };
            assert!(rect.top() >= 0.0 && rect.bottom() <= 600.0, "{workspace:?}: “{name}” is at {rect:?}");
            seen += 1;
        }
        assert!(seen > 30, "{workspace:?}: {seen} stops of the keyboard");
    }
}

#[test]
fn one_column_shows_where_three_have_no_room() {
    for (width, workspace, narrow) in [
        (640.0, Workspace::Explore, false),
        (700.0, Workspace::Train, true),
        (760.0, Workspace::Train, false),
        (690.0, Workspace::Evaluate, true),
    ] {
        let startup = StartupOptions { workspace, ..startup() };
        let mut window = window_of(vec2(width, 700.0), 1.0, Theme::Light, startup);
        settle(&mut window);
        let chooses = has(&window, Role::RadioButton, "Curves") || has(&window, Role::RadioButton, "Results");
        assert_eq!(chooses, narrow, "{workspace:?} at {width} points: {}", said(&window));
    }
}

#[test]
fn a_path_that_is_not_there_stays_to_be_mended() {
    let mut window = window(startup());
    settle(&mut window);
    node(&window, Role::TextInput, "Path to open").focus();
    steps(&mut window, 2);
    window.event(egui::Event::Text("/nowhere/photo.jpg".to_owned()));
    steps(&mut window, 2);
    key(&mut window, Key::Enter);
    let value = node(&window, Role::TextInput, "Path to open").accesskit_node().value();
    assert_eq!(value.as_deref(), Some("/nowhere/photo.jpg"), "{}", said(&window));
    assert!(says("/nowhere/photo.jpg")(&window));
}

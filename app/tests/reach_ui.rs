//! Whether one gets at everything without surprise: by the keyboard, by ear, and where one looks for it.

use crate::common::window::*;
use dinoscope::studio::StartupOptions;
use dinoscope::studio::panels::Workspace;
use dinoscope_core::explore::ModelSource;
use egui::accesskit::{Action, Role};
use egui::{Key, Modifiers, Rect, Theme, vec2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};

const WORKSPACES: [Workspace; 4] =
    [Workspace::Explore, Workspace::Train, Workspace::Evaluate, Workspace::Curate];

fn startup(workspace: Workspace) -> StartupOptions {
    StartupOptions { workspace, weights: Some(ModelSource::Path(official())), ..fresh() }
}

fn in_workspace(workspace: Workspace) -> Window {
    let mut window = window(startup(workspace));
    settle(&mut window);
    window
}

/// What has the keyboard: role, name and place.
fn focused(window: &Window) -> Option<(Role, String, Rect)> {
    let mut nodes = window.root().children_recursive();
    let node = nodes.find(|node| node.is_focused())?;
    let inner = node.accesskit_node();
    Some((inner.role(), inner.label().unwrap_or_default(), node.rect()))
}

/// The next stops of the keyboard.
fn stops(window: &mut Window, modifiers: Modifiers, count: usize) -> Vec<(Role, String, Rect)> {
    let mut found = Vec::new();
    for _ in 0..count {
        window.key_press_modifiers(modifiers, Key::Tab);
        steps(window, 3);
        found.extend(focused(window));
    }
    found
}

/// What it looks like, for who wants to see it.
fn shot(window: &mut Window, name: &str) {
    let path = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("reach-{name}.png"));
    window.render().unwrap().save(path).unwrap();
}

#[test]
fn tab_goes_through_the_bar_at_the_top_as_it_is_read() {
    for workspace in WORKSPACES {
        let mut window = in_workspace(workspace);
        let found = stops(&mut window, Modifiers::NONE, 8);
        let bar: Vec<_> = found.iter().filter(|(_, _, rect)| rect.bottom() < 44.0).collect();
        assert_eq!(bar.len(), 6, "{bar:#?}");
        assert!(bar.windows(2).all(|pair| pair[0].2.left() < pair[1].2.left()), "{bar:#?}");
        assert!(bar[1].1.starts_with("Device: ") && bar[5].1 == "About Dinoscope", "{bar:#?}");
    }
}

#[test]
fn tab_goes_through_lines_of_icons_as_they_are_read() {
    let mut window = window_of(vec2(1280.0, 2400.0), 1.0, Theme::Dark, startup(Workspace::Train));
    settle(&mut window);
    let found = stops(&mut window, Modifiers::NONE, 60);
    let left = |name: &str| {
        let at = found.iter().position(|(_, label, _)| label == name);
        at.map(|at| (at, found[at].2.left())).unwrap_or_else(|| panic!("{name} is no stop: {found:#?}"))
    };
    let (open, save) = (left("Open a recipe"), left("Save the recipe as TOML"));
    assert!(open.0 < save.0 && open.1 < save.1, "{open:?} {save:?}");
}

#[test]
fn every_stop_of_the_keyboard_has_a_name() {
    for workspace in WORKSPACES {
        let mut window = window(startup(workspace));
        settle(&mut window);
        let nodes = window.root().children_recursive();
        let nameless: Vec<String> = nodes
            .filter_map(|node| {
                let node = node.accesskit_node();
                let stop = node.data().supports_action(Action::Focus);
                let named = node.label().is_some_and(|name| !name.trim().is_empty());
                (stop && !named).then(|| format!("{:?} at {:?}", node.role(), node.raw_bounds()))
            })
            .collect();
        assert!(nameless.is_empty(), "{workspace:?}: {nameless:#?}");
        for (role, name, rect) in stops(&mut window, Modifiers::NONE, 40) {
            assert!(!name.trim().is_empty(), "{workspace:?}: {role:?} at {rect}");
        }
    }
}

#[test]
fn arrow_keys_move_the_border_between_panels() {
    let mut window = in_workspace(Workspace::Train);
    let name = "Border between Recipe and Watched pictures";
    let before = node(&window, Role::Splitter, name).rect();
    node(&window, Role::Splitter, name).focus();
    steps(&mut window, 3);
    for _ in 0..3 {
        key(&mut window, Key::ArrowRight);
    }
    let after = node(&window, Role::Splitter, name).rect();
    assert!((after.left() - before.left() - 48.0).abs() < 2.0, "{before} {after}");
    shot(&mut window, "border");
    for _ in 0..3 {
        key(&mut window, Key::ArrowLeft);
    }
    let back = node(&window, Role::Splitter, name).rect();
    assert!((back.left() - before.left()).abs() < 2.0, "{before} {back}");
    assert!(focused(&window).is_some_and(|(role, ..)| role == Role::Splitter));
}

#[test]
fn panels_and_their_parts_have_headings() {
    let wanted: [(Workspace, &[&str]); 4] = [
        (Workspace::Explore, &["Pictures", "View", "Drop pictures here", "Dinoscope"]),
        (
            Workspace::Train,
            &["Recipe", "Watched pictures", "Run", "Curves", "Preset", "Fields", "No run yet"],
        ),
        (Workspace::Evaluate, &["Setup", "Results", "Samples", "Weights", "Evaluations", "How"]),
        (Workspace::Curate, &["Heap", "Map", "Browse", "Copies", "Pictures", "Quality"]),
    ];
    for (workspace, titles) in wanted {
        let window = in_workspace(workspace);
        for title in titles {
            assert!(window.query_all_by_role_and_label(Role::Heading, title).next().is_some(), "{title}");
        }
    }
    // Of two that share their place, each is a tab.
    let window = in_workspace(Workspace::Explore);
    for tab in ["Picture", "Follow"] {
        assert!(has(&window, Role::Tab, tab), "{tab}");
    }
    // What opens and closes a part is still what it was.
    let mut window = in_workspace(Workspace::Train);
    press(&mut window, Role::DisclosureTriangle, "Preset");
    assert!(!says("Preset nano: ")(&window), "{}", said(&window));
}

#[test]
fn ways_to_open_something_stand_in_the_middle() {
    for (width, theme) in [(1280.0, Theme::Dark), (1920.0, Theme::Light)] {
        let mut window = window_of(vec2(width, 800.0), 1.0, theme, startup(Workspace::Explore));
        settle(&mut window);
        // The gallery has the same as icons.
        let place = |name: &str| {
            let all = window.get_all_by_role_and_label(Role::Button, name).map(|node| node.rect());
            all.max_by(|a, b| a.left().total_cmp(&b.left())).unwrap()
        };
        let (first, last) = (place("Open pictures"), place("Built-in scenes"));
        let title = node(&window, Role::Heading, "Drop pictures here").rect();
        let middle = 0.5 * (first.left() + last.right());
        assert!((middle - title.center().x).abs() < 1.0, "{first} {last} below {title}");
    }
}

#[test]
fn a_clipboard_without_anything_of_use_is_told() {
    let nothing = "The clipboard holds no picture and no path of a file.";
    let mut window = in_workspace(Workspace::Explore);
    press(&mut window, Role::Button, "Paste");
    steps(&mut window, 6);
    assert!(says(nothing)(&window), "{}", said(&window));
    // What comes is no reason to say so.
    let mut window = in_workspace(Workspace::Explore);
    node(&window, Role::Button, "Paste").click_accesskit();
    window.step();
    let picture = egui::ColorImage::filled([8, 8], egui::Color32::RED);
    window.event(egui::Event::PasteImage(std::sync::Arc::new(picture)));
    steps(&mut window, 8);
    assert!(has(&window, Role::Button, "pasted 1") && !says(nothing)(&window), "{}", said(&window));
}

#[test]
fn menus_give_the_keyboard_back() {
    let mut window = in_workspace(Workspace::Evaluate);
    for (name, entry) in [
        ("Weights: Explore's: official_vit.pth", "Starter weights"),
        ("Weights: starter weights", "Starter weights"),
        ("Size", "56 pixels"),
    ] {
        node(&window, Role::ComboBox, name).focus();
        steps(&mut window, 3);
        // Closed without a choice, and by a choice.
        for choose in [false, true] {
            window.key_press(Key::Enter);
            steps(&mut window, 8);
            node(&window, Role::Button, entry).focus();
            steps(&mut window, 3);
            window.key_press(if choose { Key::Enter } else { Key::Escape });
            steps(&mut window, 8);
            assert!(!has(&window, Role::Button, entry), "{name} is closed");
            let now = focused(&window);
            assert!(now.as_ref().is_some_and(|(role, ..)| *role == Role::ComboBox), "{name}: {now:?}");
        }
    }
    // A pointer has no use for it.
    let place = window.get_by_label_contains("Device: ").rect().center();
    click(&mut window, place);
    click(&mut window, egui::pos2(640.0, 500.0));
    let now = focused(&window);
    assert!(now.as_ref().is_none_or(|(_, name, _)| !name.starts_with("Device")), "{now:?}");
}

#[test]
fn what_happened_covers_no_panel() {
    for workspace in WORKSPACES {
        let mut window = in_workspace(workspace);
        press(&mut window, Role::Button, "Panels as they were at first");
        steps(&mut window, 6);
        let toast =
            window.get_by_role_and_label(Role::Status, "The panels are where they were at first.").rect();
        let device = window.get_by_label_contains("Device: ").rect();
        let switch = node(&window, Role::RadioButton, "Evaluate").rect();
        shot(&mut window, &format!("toast-{workspace:?}"));
        // The titles of panels begin there; below them is what one looks at.
        // What lies out of sight has no place.
        let titles = window.get_all_by_role(Role::Heading);
        let titles = titles.filter_map(|node| node.accesskit_node().bounding_box());
        let titles = titles.filter(|rect| rect.y0 > 40.0 && rect.y0 < 60.0).map(|rect| rect.y1);
        let below = titles.fold(f64::INFINITY, f64::min);
        assert!(
            below.is_finite() && f64::from(toast.bottom()) <= below,
            "{workspace:?}: {toast}, panels begin at {below}"
        );
        assert!(
            toast.right() <= device.left() && toast.left() >= switch.right(),
            "{toast} {device} {switch}"
        );
    }
}

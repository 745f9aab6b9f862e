//! Every control has a name: who can't see the window is told what there is in it.

use crate::common::window::*;
use dinoscope::studio::StartupOptions;
use dinoscope::studio::explore::ExplorePanel;
use dinoscope::studio::panels::Workspace;
use egui::accesskit::{Action, Role};
use egui::{Theme, vec2};
use egui_kittest::kittest::{AccessKitNode, NodeT as _, Queryable as _};

/// Whether assistive technology can do that with it.
fn supports(node: &AccessKitNode<'_>, act: Action) -> bool {
    node.data().supports_action(act)
}

/// Whether it is what lies behind named controls, such as the bar behind tabs.
fn behind(window: &Window, area: &AccessKitNode<'_>) -> bool {
    let Some(outside) = area.raw_bounds().filter(|_| area.role() == Role::Unknown) else { return false };
    // Borders between panels, which are dragged.
    if outside.width().min(outside.height()) < 8.0 {
        return true;
    }
    window.root().children_recursive().any(|node| {
        let node = node.accesskit_node();
        let inside = |bounds: egui::accesskit::Rect| {
            outside.x0 <= bounds.x0
                && outside.y0 <= bounds.y0
                && outside.x1 >= bounds.x1
                && outside.y1 >= bounds.y1
        };
        node.id() != area.id() && node.label().is_some() && node.raw_bounds().is_some_and(inside)
    })
}

/// Controls of the window that have no name, by what they are and where.
fn nameless(window: &Window) -> Vec<String> {
    let nodes = window.root().children_recursive();
    let without = nodes.filter_map(|node| {
        let node = node.accesskit_node();
        let acts = [Action::Click, Action::Focus, Action::SetValue, Action::Increment];
        let control = acts.iter().any(|act| supports(&node, *act));
        // Bars of tabs and of scrolling are for the mouse; what they are for has other ways, which have names.
        let control = control && node.role() != Role::ScrollBar && !behind(window, &node);
        let text = matches!(node.role(), Role::Label | Role::TextRun);
        let named = node.label().is_some_and(|name| !name.trim().is_empty());
        (control && !text && !named).then(|| format!("{:?} at {:?}", node.role(), node.raw_bounds()))
    });
    without.collect()
}

#[track_caller]
fn all_named(window: &Window, place: &str) {
    let found = nameless(window);
    assert!(found.is_empty(), "{place}: {found:#?}\n{}", said(window));
}

/// Opens every part of the panels that is folded away.
fn unfold(window: &mut Window) {
    let folded: Vec<String> = window
        .query_all_by_role(Role::DisclosureTriangle)
        .filter(|node| node.accesskit_node().data().is_expanded() == Some(false))
        .filter_map(|node| node.accesskit_node().label())
        .collect();
    for name in folded {
        if has(window, Role::DisclosureTriangle, &name) {
            press(window, Role::DisclosureTriangle, &name);
        }
    }
    steps(window, 30);
}

#[test]
fn every_control_of_every_workspace_has_a_name() {
    // So high that nothing is scrolled away.
    let tall = vec2(1280.0, 4000.0);
    for workspace in [Workspace::Explore, Workspace::Train, Workspace::Evaluate, Workspace::Curate] {
        let mut window = window_of(tall, 1.0, Theme::Dark, StartupOptions { workspace, ..fresh() });
        settle(&mut window);
        all_named(&window, &format!("{workspace:?}, empty"));
        unfold(&mut window);
        all_named(&window, &format!("{workspace:?}, unfolded"));
        press(&mut window, Role::Button, "About Dinoscope");
        steps(&mut window, 10);
        all_named(&window, &format!("{workspace:?}, about"));
    }
}

#[test]
fn every_control_over_pictures_has_a_name() {
    let pictures = vec![sample("scene-20-fish.jpg"), sample("scene-26-rocket.jpg")];
    for panel in [ExplorePanel::Pca, ExplorePanel::Attention, ExplorePanel::Similarity, ExplorePanel::Match] {
        let startup = StartupOptions { pictures: pictures.clone(), panel: Some(panel), ..fresh() };
        let mut window = window_of(vec2(1280.0, 2000.0), 1.0, Theme::Dark, startup);
        settle(&mut window);
        unfold(&mut window);
        settle(&mut window);
        all_named(&window, &format!("{panel:?}"));
    }
}

#[test]
fn every_control_of_a_menu_has_a_name() {
    let mut window = window(fresh());
    settle(&mut window);
    press(&mut window, Role::ComboBox, "Model: starter weights");
    steps(&mut window, 10);
    all_named(&window, "models");
}

#[test]
fn every_control_on_a_phone_has_a_name() {
    for workspace in [Workspace::Explore, Workspace::Train, Workspace::Evaluate, Workspace::Curate] {
        let size = vec2(390.0, 844.0);
        let mut window = window_of(size, 1.0, Theme::Light, StartupOptions { workspace, ..fresh() });
        settle(&mut window);
        all_named(&window, &format!("{workspace:?} on a phone"));
    }
}

/// What fingers find too small, on a phone.
fn small(window: &Window) -> Vec<String> {
    let nodes = window.root().children_recursive();
    let found = nodes.filter_map(|node| {
        let inner = node.accesskit_node();
        let text = matches!(inner.role(), Role::Label | Role::TextRun);
        // Borders between panels are dragged, not touched; a chart is as large as it is.
        let clicked = !text && inner.role() != Role::Splitter && inner.label().is_some();
        let clicked = clicked && supports(&inner, Action::Click);
        let rect = inner.raw_bounds().map_or(egui::Rect::EVERYTHING, |bounds| {
            let corner = |x: f64, y: f64| egui::pos2(x as f32, y as f32);
            egui::Rect::from_min_max(corner(bounds.x0, bounds.y0), corner(bounds.x1, bounds.y1))
        });
        let little = rect.height() < 43.5 || rect.width() < 43.5;
        (clicked && little).then(|| format!("{:?} {:?}: {:?}", inner.role(), inner.label(), rect.size()))
    });
    found.collect()
}

/// A phone's window that a finger has touched.
fn phone(startup: StartupOptions) -> Window {
    let mut window = window_of(vec2(390.0, 844.0), 1.0, Theme::Light, startup);
    window.event(egui::Event::Touch {
        device_id: egui::TouchDeviceId(0),
        id: egui::TouchId(1),
        phase: egui::TouchPhase::Start,
        pos: egui::pos2(1.0, 1.0),
        force: None,
    });
    steps(&mut window, 3);
    settle(&mut window);
    window
}

#[test]
fn fingers_find_everything_and_no_word_speaks_of_keys() {
    for workspace in [Workspace::Explore, Workspace::Train, Workspace::Evaluate, Workspace::Curate] {
        let mut window = phone(StartupOptions { workspace, ..fresh() });
        let found = small(&window);
        assert!(found.is_empty(), "{workspace:?}: {found:#?}");
        for word in ["Ctrl", "Esc", "Drop pictures", "Shift+"] {
            assert!(!says(word)(&window), "{workspace:?} says {word}: {}", said(&window));
        }
        if workspace == Workspace::Explore {
            assert!(says("Look at your pictures")(&window));
            press(&mut window, Role::RadioButton, "View");
            for panel in ["Attention", "Similar", "Match", "PCA"] {
                press(&mut window, Role::RadioButton, panel);
                steps(&mut window, 5);
                let found = small(&window);
                assert!(found.is_empty(), "{panel}: {found:#?}");
                let spoken = said(&window);
                assert!(
                    !spoken.contains("Ctrl") && !spoken.contains("Esc") && !spoken.contains("Shift+"),
                    "{spoken}"
                );
            }
        }
    }
}

#[test]
fn a_small_window_cuts_nothing_off() {
    // A window of 1280 × 800 that is enlarged twice.
    for workspace in [Workspace::Explore, Workspace::Train, Workspace::Evaluate, Workspace::Curate] {
        let mut window =
            window_of(vec2(640.0, 400.0), 1.0, Theme::Light, StartupOptions { workspace, ..fresh() });
        settle(&mut window);
        let device = window.get_by_label_contains("Device: ").rect();
        let last = node(&window, Role::RadioButton, "Evaluate").rect();
        assert!(last.right() <= device.left(), "{last:?} and {device:?}");
        assert!(
            device.right() < 640.0 && node(&window, Role::Button, "About Dinoscope").rect().right() <= 640.0
        );
    }
}

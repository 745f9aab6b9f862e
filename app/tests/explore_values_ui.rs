//! What Explore says about what it shows: how far it is, whose colours these are, the numbers behind them.

use std::path::Path;

use crate::common::window::*;
use dinoscope::studio::explore::ExplorePanel;
use dinoscope::studio::{AppFrontend as _, StartupOptions};
use dinoscope_core::explore::ModelSource;
use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, OutputCommand, Pos2, Theme, vec2};
use egui_kittest::kittest::Queryable as _;

const FISH: &str = "scene-20-fish.jpg";

/// A window with a small model and this panel.
fn looking(panel: ExplorePanel) -> Window {
    let mut window = window(StartupOptions {
        pictures: vec![sample(FISH)],
        weights: Some(ModelSource::Path(official())),
        panel: Some(panel),
        ..fresh()
    });
    settle(&mut window);
    window
}

/// Small pictures of different colours in a folder.
fn many(folder: &Path, count: u32) {
    for i in 0..count {
        let picture = image::RgbImage::from_fn(24, 24, |x, y| {
            image::Rgb([(x * 10 + i) as u8, (y * 10) as u8, (i * 3) as u8])
        });
        picture.save(folder.join(format!("{i:03}.png"))).unwrap();
    }
}

/// A window so high that all thumbnails of this folder can be seen.
fn high(folder: &Path) -> Window {
    let startup = StartupOptions {
        pictures: vec![folder.to_owned()],
        weights: Some(ModelSource::Path(official())),
        panel: Some(ExplorePanel::Pca),
        ..fresh()
    };
    let mut window = window_of(vec2(1280.0, 4400.0), 1.0, Theme::Dark, startup);
    settle(&mut window);
    window
}

fn middle(window: &Window) -> Pos2 {
    place(window, "large").center()
}

#[test]
fn all_pictures_that_are_seen_have_the_colours_of_a_sample() {
    let folder = tempfile::tempdir().unwrap();
    many(folder.path(), 70);
    let mut window = high(folder.path());
    slide(&mut window, "Shorter side", 112.0);
    assert_eq!((snapshot(&window).pictures, snapshot(&window).thumbnails), (70, 70));
    choose(&mut window, "All");
    let now = snapshot(&window);
    assert_eq!((now.fitted, now.looking), (Some(64), None));
    assert_eq!(now.layers, 70, "those beyond the sample as well");
    assert!(says("Colours from 64 of 70 pictures.")(&window), "{}", said(&window));
    // Another chosen picture changes nothing about colours that all share.
    key(&mut window, Key::PageDown);
    assert_eq!(snapshot(&window).colours, now.colours);
}

#[test]
fn looking_can_be_stopped_and_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    many(folder.path(), 70);
    let mut window = high(folder.path());
    press(&mut window, Role::RadioButton, "All");
    let under_way = |window: &Window| snapshot(window).looking.is_some_and(|looking| looking.done > 1);
    until(&mut window, "progress", under_way);
    assert!(says(" looked at")(&window), "{}", said(&window));
    press(&mut window, Role::Button, "Stop looking");
    settle(&mut window);
    let stopped = snapshot(&window).looking.unwrap();
    assert!(stopped.stopped && stopped.done < stopped.of, "{stopped:?}");
    assert!(says("stopped at ")(&window) && !studio(&window).busy());
    press(&mut window, Role::Button, "Go on looking");
    settle(&mut window);
    assert_eq!((snapshot(&window).looking, snapshot(&window).layers), (None, 70));
}

#[test]
fn shares_are_those_of_each_colour() {
    let window = looking(ExplorePanel::Pca);
    let said = said(&window);
    assert!(said.contains("Red shows ") && said.contains(" % of what varies."), "{said}");
    assert!(!said.contains("Before: "), "{said}");
}

#[test]
fn the_value_under_the_pointer_is_said_and_copied() {
    let mut window = looking(ExplorePanel::Similarity);
    assert!(has(&window, Role::Image, "cosine: from 0 or less to 1"), "{}", said(&window));
    let at = middle(&window);
    point(&mut window, at);
    assert!(says("cosine 1.000")(&window), "a patch is most similar to itself: {}", said(&window));
    click(&mut window, at);
    let far = at + vec2(0.0, 0.35 * place(&window, "large").height());
    point(&mut window, far);
    let hover = snapshot(&window).hover.unwrap();
    let cols = snapshot(&window).grid.unwrap()[1];
    let patch = format!("patch {}, {}  cosine ", hover.patch / cols, hover.patch % cols);
    assert!(says(&patch)(&window), "{}", said(&window));

    window.event(Event::Copy);
    window.step();
    let commands = &window.output().platform_output.commands;
    let copied = commands.iter().find_map(|command| match command {
        OutputCommand::CopyText(text) => Some(text.clone()),
        _ => None,
    });
    let expected = format!("{FISH}\trow {}\tcolumn {}\tcosine ", hover.patch / cols, hover.patch % cols);
    assert!(copied.as_ref().is_some_and(|text| text.contains(&expected)), "{copied:?}");

    choose(&mut window, "Attention");
    point(&mut window, far);
    assert!(says("  attention ")(&window), "{}", said(&window));
    let bar = window.query_by_label_contains("share of one patch: from ");
    assert!(bar.is_some(), "{}", said(&window));
}

#[test]
fn a_double_click_shows_pixel_for_pixel_and_fits_again() {
    let mut window = looking(ExplorePanel::Pca);
    assert!(says("fitted, ")(&window), "{}", said(&window));
    let at = middle(&window);
    let twice = |window: &mut Window| {
        window.hover_at(at);
        window.step();
        let press = |pressed| Event::PointerButton {
            pos: at,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        window.input_mut().events.extend([true, false, true, false].map(press));
        window.step();
        settle(window);
    };
    twice(&mut window);
    assert!(!says("fitted, ")(&window) && says("100 %")(&window), "{}", said(&window));
    assert_eq!(snapshot(&window).pinned, None, "two clicks pin nothing");
    twice(&mut window);
    assert!(says("fitted, ")(&window), "{}", said(&window));
}

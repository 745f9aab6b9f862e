//! Pictures of one's own: from the gallery to a recipe that goes on from what looks, and what a run on them has changed.

use std::path::{Path, PathBuf};

use dinoscope::studio::StartupOptions;
use dinoscope_core::analysis::image_out::write_png;
use dinoscope_core::data::source::scenes;
use dinoscope_core::train::{Recipe, own};
use egui::accesskit::{Role, Toggled};
use egui::vec2;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

use super::window::{self, click, has_button, is_off, open_recipe, quiet, said, says, shot, until};
use crate::common::window as explored;

/// So many pictures in a folder.
fn photos(folder: &Path, count: usize) -> PathBuf {
    let photos = folder.join("photos");
    std::fs::create_dir(&photos).unwrap();
    for index in 0..count {
        write_png(&photos.join(format!("{index:02}.png")), &scenes::draw(3, index, 48).picture).unwrap();
    }
    photos
}

fn looking_at(pictures: Vec<PathBuf>, runs: &Path) -> explored::Window {
    let startup = StartupOptions { pictures, runs: Some(runs.to_owned()), ..explored::fresh() };
    let mut window = explored::window(startup);
    explored::settle(&mut window);
    window
}

#[test]
fn train_on_these_goes_on_from_the_starter_and_nothing_is_one_click_away() {
    let folder = tempfile::tempdir().unwrap();
    let photos = photos(folder.path(), 12);
    let mut window = looking_at(vec![photos.clone()], folder.path());
    shot(&mut window, "own-gallery");
    click(&mut window, "Train on these");
    until(
        &mut window,
        "the recipe",
        says("The starter weights go on learning on these pictures for 400 steps"),
    );
    until(&mut window, "the pictures", says("12 pictures in photos"));
    assert!(says("before and after are shown")(&window) && !is_off(&window, "Start"), "{}", said(&window));
    assert!(explored::is_on(&window, Role::RadioButton, "Weights"));
    explored::settle(&mut window);
    shot(&mut window, "own-recipe");

    // From nothing: with a preset whose steps are large enough for that, on the same pictures.
    explored::choose(&mut window, "Nothing");
    let presets = |window: &explored::Window, name: &str| {
        window.get_by_label_contains(&format!("Preset {name}: ")).accesskit_node().toggled()
    };
    assert_eq!(presets(&window, "nano"), Some(Toggled::True));
    assert!(says("Random weights: only your pictures teach.")(&window));
    until(&mut window, "the pictures", says("12 pictures in photos"));
    // And back.
    window.get_by_label_contains("Preset own: ").click_accesskit();
    until(&mut window, "the recipe", says("The starter weights go on learning"));
    until(&mut window, "Start", |window| !is_off(window, "Start"));
}

#[test]
fn a_few_pictures_are_not_offered_on_the_strip() {
    let folder = tempfile::tempdir().unwrap();
    let photos = photos(folder.path(), 3);
    let mut window = looking_at(vec![photos], folder.path());
    assert!(!has_button(&window, "Train on these"));
    window.get_by_role_and_label(Role::DisclosureTriangle, "Train").click_accesskit();
    explored::steps(&mut window, 4);
    assert!(has_button(&window, "Train on these"));
}

#[test]
fn what_a_run_has_changed_is_shown_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let photos = photos(folder.path(), 12);
    let place = format!("data.path={:?}", photos.to_str().unwrap());
    let few = [
        place.as_str(),
        "train.iterations=4",
        "train.batch=4",
        "train.workers=1",
        "crops.locals=1",
        "optim.warmup=1",
        "start.hold_backbone=1",
        "train.picture_every=2",
        "train.evaluate_every=4",
    ];
    let recipe: Recipe = own::recipe("starter").unwrap().with_overrides(&few.map(str::to_owned)).unwrap();
    std::fs::write(folder.path().join("recipe.toml"), recipe.to_toml().unwrap()).unwrap();
    for (theme, size) in [(egui::Theme::Dark, vec2(1280.0, 720.0)), (egui::Theme::Light, vec2(960.0, 540.0))]
    {
        let mut window = window::window_of(size, 1.0, theme, folder.path());
        open_recipe(&mut window, folder.path());
        click(&mut window, "Start");
        until(&mut window, "the end", says("Nearest neighbours of a few pictures"));
        let text = said(&window);
        let told =
            ["Before and after", "These pictures ", "Crops found again", "after 4 steps", "as it began"];
        for word in told {
            assert!(text.contains(word), "{word}: {text}");
        }
        let shown = window.query_all_by_role(Role::Image).count();
        assert!(shown >= 5, "{shown} pictures");
        quiet(&mut window);
        shot(&mut window, &format!("before-after-{theme:?}"));
        click(&mut window, "Close");
        assert!(!says("Nearest neighbours of a few pictures")(&window));
        assert!(says("These pictures ")(&window), "the Run panel says it too");
        window.get_by_role_and_label(Role::RadioButton, "k-NN").click_accesskit();
        explored::steps(&mut window, 4);
        assert!(says("Crop retrieval")(&window) && says("As it began")(&window), "{}", said(&window));
        shot(&mut window, &format!("own-curves-{theme:?}"));
        click(&mut window, "Before and after");
        until(&mut window, "the pictures", says("Nearest neighbours of a few pictures"));
    }
}

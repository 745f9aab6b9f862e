//! A run that lies in one file, as it is dropped or opened; and what the window is called meanwhile.

use std::path::Path;
use std::sync::Arc;

use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope_core::explore::ModelSource;
use dinoscope_core::train::archive;
use dinoscope_core::train::run::RunFolder;

use super::window::*;
use crate::common::window::Dropped;

fn title(window: &Window) -> String {
    window.state().as_ref().unwrap().title()
}

#[test]
fn a_run_that_was_saved_while_it_went_on_goes_on_at_once_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = saved(folder.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let mut window = window(elsewhere.path());
    give(&mut window, DialogPurpose::FollowRun, vec![file]);
    until(&mut window, "the run", says("nano-001 can be looked at"));
    until(&mut window, "the way on", |window| said(window).contains("Go on from step"));
    let text = said(&window);
    assert!(!text.contains("Another program") && !text.contains("mine (1)"), "{text}");
    assert!(RunFolder::open(&elsewhere.path().join("runs/nano-001")).is_ok());
}

#[test]
fn a_recipe_that_is_dropped_is_for_a_new_run() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &["data.scenes=9"]);
    let mut window = window(folder.path());
    window.state_mut().as_mut().unwrap().look_with(ModelSource::Starter);
    steps(&mut window, 2);
    assert!(!has_button(&window, "Start"), "the window explores");
    let recipe = folder.path().join("recipe.toml");
    window.input_mut().dropped_files.push(Arc::new(Dropped(recipe)));
    until(&mut window, "the recipe", says("Recipe opened"));
    assert!(has_button(&window, "Start") && said(&window).contains("9 built-in scenes"), "{}", said(&window));
}

/// A run, packed in the middle, in a file that somebody has renamed. The window's title says how far it is.
fn saved(folder: &Path) -> std::path::PathBuf {
    tiny(folder, &[]);
    let mut window = window(folder);
    assert_eq!(title(&window), "Dinoscope");
    open_recipe(&mut window, folder);
    until(&mut window, "Start", |window| has_button(window, "Start") && !is_off(window, "Start"));
    click(&mut window, "Start");
    until(&mut window, "two steps", |window| done(window) >= 2);
    let going = title(&window);
    assert!(going.ends_with(" % · nano-001 · Dinoscope") && going.starts_with(char::is_numeric), "{going}");
    click(&mut window, "Pause");
    until(&mut window, "the pause", |window| has_button(window, "Resume"));
    let held = title(&window);
    assert!(held.starts_with("Paused at ") && held.ends_with(" % · nano-001 · Dinoscope"), "{held}");
    click(&mut window, "Checkpoint now");
    until(&mut window, "the checkpoint", says("Checkpoint after"));
    let packed = archive::pack(&folder.join("runs/nano-001")).unwrap();
    let file = folder.join("mine (1).zip");
    std::fs::write(&file, packed).unwrap();
    click(&mut window, "Stop");
    until(&mut window, "the end", |window| has_button(window, "Start"));
    assert!(title(&window).starts_with("Stopped at "), "{}", title(&window));
    file
}

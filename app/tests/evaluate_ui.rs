//! Evaluating as a person does it: weights, pictures and evaluations are chosen, figures are read, compared and saved.

use std::path::{Path, PathBuf};

use crate::common::window::*;
use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope::studio::evaluate::EvaluateSnapshot;
use dinoscope::studio::panels::Workspace;
use dinoscope::studio::{AppFrontend as _, StartupOptions};
use dinoscope_core::eval::outcome::EvalReport;
use dinoscope_core::explore::ModelSource;
use dinoscope_core::train::Recipe;
use dinoscope_core::train::run::RunFolder;
use egui::accesskit::Role;
use egui::{Key, Modifiers, Theme, vec2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};

/// The workspace with a small model, and a limit that takes no time.
fn judging() -> Window {
    judging_in(Theme::Dark)
}

fn judging_in(theme: Theme) -> Window {
    let startup = StartupOptions {
        workspace: Workspace::Evaluate,
        weights: Some(ModelSource::Path(official())),
        ..fresh()
    };
    let mut window = window_of(vec2(1280.0, 800.0), 1.0, theme, startup);
    settle(&mut window);
    slide(&mut window, "At most", 24.0);
    window
}

fn evaluate_snapshot(window: &Window) -> EvaluateSnapshot {
    studio(window).evaluate().snapshot()
}

/// Weights in the bars of the findings, as they are read aloud.
fn bars(window: &Window) -> Vec<String> {
    let radios = window.query_all_by_role(Role::RadioButton);
    let labels = radios.filter_map(|node| node.accesskit_node().label());
    labels.filter(|label| label.contains(": top-1 ")).collect()
}

/// What it looks like, for who wants to see it.
fn shot(window: &mut Window, name: &str) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("judge-{name}.png"));
    window.render().unwrap().save(path).unwrap();
}

fn is_off(window: &Window, name: &str) -> bool {
    node(window, Role::Button, name).accesskit_node().is_disabled()
}

#[test]
fn weights_are_judged_and_compared() {
    let mut window = judging();
    assert!(says("Nothing evaluated yet")(&window) && says("24 to learn from, 12 to test")(&window));
    shot(&mut window, "empty");
    button(&mut window, "Start evaluation");
    let text = said(&window);
    assert_eq!(bars(&window).len(), 1, "{text}");
    assert!(bars(&window)[0].starts_with("official_vit.pth: top-1 "), "{text}");
    for beside in [
        "untrained: top-1 ",
        "raw pixels: top-1 ",
        "colour histogram: top-1 ",
        "HOG: top-1 ",
        "weights, k 20: top-1 ",
        "Took ",
    ] {
        assert!(text.contains(beside), "{beside} in {text}");
    }

    // The program's own weights, from the menu.
    press(&mut window, Role::ComboBox, "Weights: Explore's: official_vit.pth");
    press(&mut window, Role::Button, "Starter weights");
    button(&mut window, "Start evaluation");
    let both = bars(&window);
    assert!(both[0].starts_with("official_vit.pth") && both[1].starts_with("starter weights"), "{both:?}");
    assert!(is_on(&window, Role::RadioButton, &both[1]) && !is_on(&window, Role::RadioButton, &both[0]));
    press(&mut window, Role::RadioButton, &both[0]);
    assert!(is_on(&window, Role::RadioButton, &both[0]), "another bar shows another finding");
    shot(&mut window, "compared");
    choose(&mut window, "top-5");
    assert!(says("official_vit.pth: top-5 ")(&window) && bars(&window).is_empty());

    // Alone and with few neighbours it is another question.
    switch(&mut window, "Beside what has not learned", false);
    press(&mut window, Role::ComboBox, "Neighbours");
    press(&mut window, Role::Button, "2 of each class");
    button(&mut window, "Start evaluation");
    assert!(says("starter weights: mean top-1 ")(&window) && !says("untrained: mean")(&window));
    assert_eq!(evaluate_snapshot(&window).found.len(), 3);
    press(&mut window, Role::Button, "Forget this result");
    assert_eq!(evaluate_snapshot(&window).found.len(), 2);
}

#[test]
fn mistakes_are_seen_and_everything_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = judging_in(Theme::Light);
    switch(&mut window, "Nearest neighbours", false);
    assert!(is_off(&window, "Start evaluation") && says("Choose an evaluation.")(&window));
    switch(&mut window, "Logistic regression", true);
    // Alone: this is about what is done with a finding.
    switch(&mut window, "Beside what has not learned", false);
    keys(&mut window, Modifiers::COMMAND, Key::Enter);
    assert_eq!(evaluate_snapshot(&window).found[0].0, "Logistic regression", "{}", said(&window));
    shot(&mut window, "mistakes");
    let picture = window.get_by_label_contains("Show large: What pictures of each class");
    picture.click_accesskit();
    steps(&mut window, 3);
    assert!(has(&window, Role::Slider, "Size") && has(&window, Role::Button, "Close"));
    shot(&mut window, "large");
    window.key_press(Key::Escape);
    steps(&mut window, 3);
    assert!(!has(&window, Role::Button, "Close"));

    let out = folder.path().join("findings");
    give(&mut window, DialogPurpose::SaveResults, &[out.as_path()]);
    settle(&mut window);
    assert!(says("Saved logistic-scenes.json and a picture in ")(&window), "{}", said(&window));
    let outcome: EvalReport =
        serde_json::from_slice(&std::fs::read(out.join("logistic-scenes.json")).unwrap()).unwrap();
    assert!(outcome.notes[0].starts_with("official_vit.pth, pictures of "), "{:?}", outcome.notes);
    assert_eq!(Some(outcome.rows[0].figures[0].value), evaluate_snapshot(&window).found[0].2);
    image::open(out.join("logistic-scenes-confusion.png")).unwrap();

    // Where nothing can be written the reason stands in the corner.
    let file = out.join("logistic-scenes.json");
    give(&mut window, DialogPurpose::SaveResults, &[file.as_path()]);
    settle(&mut window);
    assert!(
        studio(&window)
            .app_context()
            .toasts
            .texts()
            .iter()
            .any(|text| text.contains("logistic-scenes.json: "))
    );
}

/// A folder with `count` plain pictures in each class.
fn classes(folder: &Path, names: &[&str], count: usize) {
    for (class, name) in names.iter().enumerate() {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        for i in 0..count {
            let shade = image::Rgb([40 + 9 * i as u8, 90 * class as u8, 199]);
            let picture = image::RgbImage::from_pixel(20, 16, shade);
            picture.save(folder.join(name).join(format!("{i}.png"))).unwrap();
        }
    }
}

#[test]
fn the_gallery_s_pictures_are_offered() {
    let folder = tempfile::tempdir().unwrap();
    let labelled = folder.path().join("labelled");
    classes(&labelled, &["blue", "green"], 10);
    let mut window = judging();
    choose(&mut window, "Yours");
    assert!(!has(&window, Role::Button, "The gallery's: labelled"), "it is empty");
    // Opened as a whole, it is offered as a whole: not the folder of the first class.
    give(&mut window, DialogPurpose::OpenFolder, &[labelled.as_path()]);
    until(&mut window, "the offer", |window| has(window, Role::Button, "The gallery's: labelled"));
    button(&mut window, "The gallery's: labelled");
    until(&mut window, "the pictures", says("16 to learn from, 4 to test, 2 classes"));
    assert!(!is_off(&window, "Start evaluation"));
}

#[test]
fn pictures_that_can_not_be_used_are_told_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = judging();
    choose(&mut window, "Yours");
    assert!(is_off(&window, "Start evaluation") && says("Choose the pictures.")(&window));
    let unlabelled = folder.path().join("unlabelled");
    classes(&unlabelled, &[""], 5);
    give(&mut window, DialogPurpose::EvaluatedFolder, &[unlabelled.as_path()]);
    until(&mut window, "the reason", says("has no labels: put the pictures of each class into a subfolder"));
    assert!(is_off(&window, "Start evaluation"));
    switch(&mut window, "Spread", true);
    until(&mut window, "what goes without classes", says("5 pictures without classes"));
    assert!(!is_off(&window, "Start evaluation"));
    switch(&mut window, "Spread", false);

    let labelled = folder.path().join("labelled");
    classes(&labelled, &["blue", "green"], 10);
    give(&mut window, DialogPurpose::EvaluatedFolder, &[labelled.as_path()]);
    until(&mut window, "the pictures", says("16 to learn from, 4 to test, 2 classes"));
    // One evaluation needs what is not there: it says so, and the other one is made all the same.
    switch(&mut window, "Segmentation", true);
    until(&mut window, "the reason", says("there is no images/ in it"));
    button(&mut window, "Start evaluation");
    let snapshot = evaluate_snapshot(&window);
    assert_eq!(
        (snapshot.found.len(), snapshot.found[0].0.as_str()),
        (1, "Nearest neighbours"),
        "{snapshot:?}"
    );
    assert!(says("16 pictures to learn from, 4 to test, 2 classes")(&window), "{}", said(&window));
    assert!(snapshot.troubles[0].starts_with("Segmentation: "), "{snapshot:?}");
    shot(&mut window, "troubles");
    button(&mut window, "Put away");
    assert!(evaluate_snapshot(&window).troubles.is_empty());

    // Weights that are gone.
    give(&mut window, DialogPurpose::EvaluatedWeights, &[Path::new("/nowhere/vit.pth")]);
    button(&mut window, "Start evaluation");
    assert!(
        evaluate_snapshot(&window).troubles[0].contains("/nowhere/vit.pth does not exist"),
        "{}",
        said(&window)
    );
}

#[test]
fn no_switch_moves_when_another_is_turned() {
    let mut window = judging();
    let names = ["Nearest neighbours", "Map", "Linear probe", "Retrieval"];
    let places = |window: &Window| {
        let how = window.get_by_role_and_label(Role::DisclosureTriangle, "How").rect().top();
        (names.map(|name| node(window, Role::Switch, name).rect().top()), how)
    };
    let before = places(&window);
    switch(&mut window, "Map", true);
    assert!(says("All pictures: 24 pictures, 28 classes.")(&window), "{}", said(&window));
    assert_eq!(places(&window), before);
    switch(&mut window, "Nearest neighbours", false);
    assert_eq!(places(&window), before);
}

#[test]
fn maps_show_pictures_under_the_pointer() {
    let mut window = judging();
    switch(&mut window, "Nearest neighbours", false);
    switch(&mut window, "Beside what has not learned", false);
    for kind in ["Map", "Retrieval", "Spread"] {
        switch(&mut window, kind, true);
    }
    button(&mut window, "Start evaluation");
    let judged = evaluate_snapshot(&window);
    let found: Vec<&str> = judged.found.iter().map(|(title, ..)| title.as_str()).collect();
    assert_eq!(found, ["Feature map", "Retrieval of the same class", "Spread of features"], "{judged:?}");

    press(&mut window, Role::ComboBox, "Results of: Spread of features · scenes");
    press(&mut window, Role::Button, "Feature map · scenes");
    let map = node(&window, Role::Figure, "Map of 24 pictures").rect();
    shot(&mut window, "map");
    // Somewhere there is a point.
    let steps_of = |range: egui::Rangef| (0..40).map(move |i| range.min + range.span() * i as f32 / 39.0);
    let places = steps_of(map.shrink(8.0).y_range())
        .flat_map(|y| steps_of(map.shrink(8.0).x_range()).map(move |x| egui::pos2(x, y)));
    for place in places {
        window.hover_at(place);
        window.step();
        if says("scene ")(&window) {
            break;
        }
    }
    settle(&mut window);
    let text = said(&window);
    let name = text.split(" | ").find(|label| label.starts_with("scene ")).unwrap_or(&text).to_owned();
    shot(&mut window, "point");

    // A class alone: other points are neither seen nor found.
    let legend = window.query_all_by_label_contains("Only ").filter_map(|node| node.accesskit_node().label());
    let classes: Vec<String> = legend.collect();
    assert!(classes.len() > 2, "{classes:?}");
    press(&mut window, Role::Button, &classes[0]);
    leave(&mut window);
    assert!(!says(&name)(&window));
    node(&window, Role::Figure, "Map of 24 pictures").focus();
    window.step();
    window.key_press(Key::ArrowRight);
    steps(&mut window, 2);
    let class = classes[0].trim_start_matches("Only ").to_owned();
    until(&mut window, "a point of this class", says("scene "));
    assert!(says(&format!(" | {class}"))(&window), "{}", said(&window));
    window.key_press(Key::Enter);
    until(&mut window, "the picture in Explore", |window| snapshot(window).pictures == 1);
    let name = said(&window);
    assert!(name.contains("scene ") && !name.contains("pasted"), "it keeps its name: {name}");
}

#[test]
fn maps_of_what_is_compared_are_as_large() {
    for theme in [Theme::Dark, Theme::Light] {
        let mut window = judging_in(theme);
        switch(&mut window, "Nearest neighbours", false);
        switch(&mut window, "Map", true);
        button(&mut window, "Start evaluation");
        let map = node(&window, Role::Figure, "Map of 24 pictures").rect();
        for whose in ["Features of the untrained model", "Raw pixels"] {
            let other = window.get_by_label_contains(&format!("Show large: {whose}")).rect();
            assert_eq!(other.size(), map.size(), "{whose}");
        }
        wheel_over(&mut window, map.center());
        shot(&mut window, &format!("map-untrained-{theme:?}"));
        window.get_by_label_contains("Show large: Features of the untrained model").click_accesskit();
        steps(&mut window, 3);
        assert!(has(&window, Role::Button, "Close"));
    }
}

/// Scrolls a panel down, with the pointer beside what the wheel enlarges.
fn wheel_over(window: &mut Window, at: egui::Pos2) {
    window.hover_at(egui::pos2(at.x, 780.0));
    for _ in 0..4 {
        wheel(window, -300.0);
        steps(window, 6);
    }
}

#[test]
fn what_takes_long_can_be_stopped() {
    let mut window = judging();
    slide(&mut window, "At most", 1200.0);
    switch(&mut window, "Linear probe", true);
    press(&mut window, Role::Button, "Start evaluation");
    until(&mut window, "figures on their way", says("weights: features, "));
    assert!(evaluate_snapshot(&window).going && says("Evaluation 1 of 2")(&window));
    keys_without_waiting(&mut window, Modifiers::COMMAND, Key::Num1);
    assert!(says("nearest neighbours · weights")(&window), "the bar at the top says it: {}", said(&window));
    keys_without_waiting(&mut window, Modifiers::COMMAND, Key::Num3);
    shot(&mut window, "going");
    press(&mut window, Role::Button, "Stop");
    until(&mut window, "the end", |window| has(window, Role::Button, "Start evaluation"));
    let snapshot = evaluate_snapshot(&window);
    assert!(!snapshot.going && snapshot.found.is_empty() && snapshot.troubles.is_empty(), "{snapshot:?}");
}

fn keys_without_waiting(window: &mut Window, modifiers: Modifiers, key: Key) {
    window.key_press_modifiers(modifiers, key);
    steps(window, 2);
}

/// A run with two checkpoints of the starter weights.
fn run(folder: &Path) -> PathBuf {
    let path = folder.join("nano-001");
    let run = RunFolder::create(&path, &Recipe::preset("nano").unwrap()).unwrap();
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/weights/starter.safetensors");
    for step in ["000250", "000500"] {
        let checkpoint = run.checkpoints().join(step);
        std::fs::create_dir_all(&checkpoint).unwrap();
        std::fs::copy(&starter, checkpoint.join("teacher.safetensors")).unwrap();
        std::fs::write(checkpoint.join("state.json"), "{}").unwrap();
    }
    path
}

#[test]
fn a_run_keeps_what_was_found_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = run(folder.path());
    let mut window = judging();
    give(&mut window, DialogPurpose::EvaluatedRun, &[path.as_path()]);
    button(&mut window, "Start evaluation");
    assert!(bars(&window)[0].starts_with("nano-001 after 500 steps: "), "{:?}", bars(&window));
    assert!(says("Kept with the run in ")(&window));
    let kept = std::fs::read(path.join("evaluations/knn-scenes.json")).unwrap();
    let outcome: EvalReport = serde_json::from_slice(&kept).unwrap();
    assert!(outcome.notes[0].starts_with("nano-001 after 500 steps"), "{:?}", outcome.notes);

    // Older weights are no finding about the run as it is.
    std::fs::remove_dir_all(path.join("evaluations")).unwrap();
    let older = path.join("checkpoints/000250");
    give(&mut window, DialogPurpose::EvaluatedRun, &[older.as_path()]);
    button(&mut window, "Start evaluation");
    assert!(bars(&window)[1].starts_with("nano-001 after 250 steps: "), "{:?}", bars(&window));
    assert!(!path.join("evaluations").exists());
}

#[test]
fn what_nobody_sees_is_told_in_the_corner_and_closing_stops() {
    let mut window = judging();
    press(&mut window, Role::Button, "Start evaluation");
    keys(&mut window, Modifiers::COMMAND, Key::Num2);
    let toasts = studio(&window).app_context().toasts.texts().join(" ");
    assert!(toasts.contains("Nearest neighbours of official_vit.pth: top-1 "), "{toasts}");
    keys(&mut window, Modifiers::COMMAND, Key::Num3);
    slide(&mut window, "At most", 1200.0);
    press(&mut window, Role::Button, "Start evaluation");
    assert!(evaluate_snapshot(&window).going);
    window.state_mut().as_mut().unwrap().closed();
    assert!(!evaluate_snapshot(&window).going);
}

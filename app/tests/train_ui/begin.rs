//! How a run begins: never otherwise than was chosen, and with the recipe that one looks at.

use std::path::Path;

use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope_core::train::run::{MetricsLine, RunFolder};
use dinoscope_core::train::{Recipe, run};
use egui::accesskit::Role;
use egui::{Key, Modifiers, vec2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};

use super::window::*;

/// Chooses one of several side by side.
fn choose(window: &mut Window, label: &str) {
    window.get_by_role_and_label(Role::RadioButton, label).click_accesskit();
    steps(window, 3);
}

/// Types into a field, and is done with it.
fn enter(window: &mut Window, label: &str, text: &str) {
    window.get_by_role_and_label(Role::TextInput, label).focus();
    steps(window, 2);
    window.get_by_role_and_label(Role::TextInput, label).set_text_value_accesskit(text);
    steps(window, 2);
    window.key_press_modifiers(Modifiers::NONE, Key::Enter);
    steps(window, 2);
}

fn runs(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("runs")).map_or(0, Iterator::count)
}

fn recipe_of(folder: &Path, name: &str) -> Recipe {
    RunFolder::open(&folder.join("runs").join(name)).unwrap().recipe().unwrap()
}

#[test]
fn without_a_teacher_weights_or_a_run_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &[]);
    let mut window = window(folder.path());
    open_recipe(&mut window, folder.path());
    until(&mut window, "Start", |window| !is_off(window, "Start"));
    let ways = [
        ("A teacher", "Teacher", "Choose a teacher."),
        ("Weights", "Weights", "Choose the weights."),
        ("A run", "Run", "Choose a run."),
    ];
    for (way, field, missing) in ways {
        choose(&mut window, way);
        let text = said(&window);
        assert!(text.contains(missing) && !text.contains("Can't start"), "{text}");
        assert!(is_off(&window, "Start"), "{way}");
        // As a person would press it all the same.
        window.get_by_role_and_label(Role::Button, "Start").click_accesskit();
        steps(&mut window, 3);
        if way == "A teacher" {
            shot(&mut window, "no-teacher");
        }
        enter(&mut window, field, "/no/such/place");
        until(&mut window, "what is wrong", says("Can't start: "));
        assert!(said(&window).contains("/no/such/place") && is_off(&window, "Start"));
        enter(&mut window, field, "");
        until(&mut window, "the choice that is missing", |window| said(window).contains(missing));
        assert!(is_off(&window, "Start"), "{way}");
    }
    assert_eq!(runs(folder.path()), 0, "nothing was started by accident");

    // What was chosen is what starts.
    choose(&mut window, "A teacher");
    enter(&mut window, "Teacher", "starter");
    until(&mut window, "Start", |window| !is_off(window, "Start"));
    click(&mut window, "Start");
    until(&mut window, "the run", |_| folder.path().join("runs/nano-001/recipe.toml").is_file());
    let recipe = recipe_of(folder.path(), "nano-001");
    assert!(recipe.distill.is_on() && recipe.distill.teacher == "starter");
    click(&mut window, "Stop");
    until(&mut window, "the end", |window| has_button(window, "Start"));
    // And what is let go again is not.
    choose(&mut window, "Nothing");
    until(&mut window, "Start", |window| !is_off(window, "Start"));
    click(&mut window, "Start");
    until(&mut window, "the run", |_| folder.path().join("runs/nano-002/recipe.toml").is_file());
    assert!(!recipe_of(folder.path(), "nano-002").distill.is_on());
    click(&mut window, "Stop");
    until(&mut window, "the end", |window| has_button(window, "Start"));
}

#[test]
fn a_run_is_paused_while_the_untrained_model_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    // As many pictures as take a while.
    let more = ["train.iterations=40", "optim.warmup=2", "train.evaluate_every=40", "data.scenes=600"];
    tiny(folder.path(), &more);
    let mut window = window(folder.path());
    open_recipe(&mut window, folder.path());
    click(&mut window, "Start");
    until(&mut window, "what is done", says("Judging the untrained model: "));
    // Out of sight and in sight again before it could hold: it goes on as if nothing had been.
    let studio = window.state_mut().as_mut().unwrap();
    studio.hidden(true);
    studio.hidden(false);
    until(&mut window, "Pause", |window| has_button(window, "Pause") && !is_off(window, "Pause"));
    click(&mut window, "Pause");
    assert!(said(&window).contains("Paus") && !has_button(&window, "Start"), "{}", said(&window));
    until(&mut window, "the pause", |window| has_button(window, "Resume"));
    assert_eq!(done(&window), 0);
    assert!(said(&window).contains("Judging the untrained model: "), "where it holds: {}", said(&window));
    shot(&mut window, "paused-judging");
    click(&mut window, "Resume");
    until(&mut window, "steps", |window| done(window) >= 1);
    click(&mut window, "Stop");
    until(&mut window, "the end", |window| has_button(window, "Start"));
}

#[test]
fn nothing_starts_where_something_was_stopped() {
    for (theme, width) in [(egui::Theme::Dark, 1280.0), (egui::Theme::Light, 1100.0)] {
        let folder = tempfile::tempdir().unwrap();
        tiny(folder.path(), &[]);
        let mut window = window_of(vec2(width, 720.0), 1.0, theme, folder.path());
        open_recipe(&mut window, folder.path());
        click(&mut window, "Start");
        until(&mut window, "a step", |window| done(window) >= 1);
        let place = |window: &Window, name: &str| window.get_by_role_and_label(Role::Button, name).rect();
        let before = ["Pause", "Stop", "Checkpoint now"].map(|name| place(&window, name));
        shot(&mut window, &format!("going-{theme:?}"));
        click(&mut window, "Stop");
        until(&mut window, "the end", |window| has_button(window, "Start"));
        quiet(&mut window);
        let starts: Vec<_> = window
            .query_all_by_role(Role::Button)
            .filter_map(|node| Some((node.accesskit_node().label()?, node.rect())))
            .filter(|(name, _)| name.starts_with("Start") || name.starts_with("Go on"))
            .collect();
        assert!(starts.len() >= 3, "{starts:?}");
        for (name, rect) in &starts {
            for stop in &before {
                assert!(!rect.intersect(*stop).is_positive(), "{name} at {rect}, before there was {stop}");
            }
        }
        shot(&mut window, &format!("stopped-{theme:?}"));
    }
}

#[test]
fn what_one_does_with_a_finished_run_is_in_sight() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &["train.iterations=6", "optim.warmup=2"]);
    for theme in [egui::Theme::Dark, egui::Theme::Light] {
        let mut window = window_of(vec2(1280.0, 720.0), 1.0, theme, folder.path());
        open_recipe(&mut window, folder.path());
        click(&mut window, "Start");
        until(&mut window, "the end", |window| {
            has_button(window, "Look with it") && has_button(window, "Start")
        });
        quiet(&mut window);
        let curves = window.get_by_role_and_label(Role::RadioButton, "Loss").rect().top() - 46.0;
        for name in ["Look with it", "Report"] {
            let rect = window.get_by_role_and_label(Role::Button, name).rect();
            assert!(rect.bottom() < curves, "{name} ends at {}, the curves begin at {curves}", rect.bottom());
        }
        let text = said(&window);
        assert!(text.contains("backbone ") && text.contains(", with heads "), "{text}");
        shot(&mut window, &format!("finished-{theme:?}"));
        // This run measures no k-NN, and says so.
        window.get_by_role_and_label(Role::RadioButton, "k-NN").click_accesskit();
        steps(&mut window, 3);
        let text = said(&window);
        assert!(
            text.contains("This run does not measure it: Evaluate every (Training) is 0.")
                && !text.contains("Nothing was reported yet"),
            "{text}"
        );
    }
}

#[test]
fn a_wrong_folder_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window(folder.path());
    until(&mut window, "the scenes", says("1200 built-in scenes"));
    choose(&mut window, "A folder");
    enter(&mut window, "Folder", "/no/such/pictures");
    until(&mut window, "what is wrong", says("Can't start: "));
    let text = said(&window);
    let labels = text.split(" | ").filter(|label| label.contains("/no/such/pictures") && label.contains(' '));
    assert_eq!(labels.count(), 1, "{text}");
    assert!(text.contains("Can't start: the pictures can't be used, see above."), "{text}");
    shot(&mut window, "wrong-folder");
}

#[test]
fn nothing_is_red_before_one_has_done_anything() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window(folder.path());
    until(&mut window, "the scenes", says("1200 built-in scenes"));
    choose(&mut window, "A folder");
    steps(&mut window, 3);
    let text = said(&window);
    assert!(text.contains("Choose the pictures.") && is_off(&window, "Start"), "{text}");
    for wrong in ["Can't start", "data.path", "built-in scenes, easy", "--"] {
        assert!(!text.contains(wrong), "{wrong}: {text}");
    }
    shot(&mut window, "no-folder");
    choose(&mut window, "Built-in scenes");
    until(&mut window, "Start", |window| !is_off(window, "Start"));
}

#[test]
fn pictures_from_which_nothing_can_be_learned_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let [one, eight] = ["one", "eight"].map(|name| folder.path().join(name));
    for (path, count) in [(&one, 1), (&eight, 8)] {
        std::fs::create_dir(path).unwrap();
        for i in 0..count {
            let picture = image::RgbImage::from_pixel(32, 32, image::Rgb([9, 99, 199]));
            picture.save(path.join(format!("{i}.png"))).unwrap();
        }
    }
    let mut window = window(folder.path());
    give(&mut window, DialogPurpose::TrainingData, vec![one]);
    until(&mut window, "one", says("There is only 1 picture, and from one alone a model can't learn"));
    give(&mut window, DialogPurpose::TrainingData, vec![eight.clone()]);
    until(&mut window, "copies", says("The 8 pictures are copies of one"));
    shot(&mut window, "copies");
    image::RgbImage::new(32, 40).save(eight.join("other.png")).unwrap();
    give(&mut window, DialogPurpose::TrainingData, vec![eight]);
    until(&mut window, "the ninth", says("9 pictures in eight"));
    assert!(!said(&window).contains("can't learn"));
}

#[test]
fn the_recipe_pane_follows_the_run_that_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = tiny(folder.path(), &["train.batch=3", "optim.clip=1.5"]);
    let path = folder.path().join("runs/fol");
    let made = RunFolder::create(&path, &recipe).unwrap();
    let mut log = made.metrics_from(0).unwrap();
    log.append(&MetricsLine::new(0, &[("loss".to_owned(), 3.0)].into_iter().collect())).unwrap();
    drop(log);
    drop(made);

    let mut window = window(folder.path());
    let batch = |window: &mut Window| {
        window.get_by_label("Search the fields").set_text_value_accesskit("train.batch");
        steps(window, 3);
        let field = window.get_by_role_and_label(Role::TextInput, "Batch");
        let node = field.accesskit_node();
        (node.value().unwrap_or_default(), node.is_disabled())
    };
    assert_eq!(batch(&mut window), ("32".to_owned(), false));
    window.get_by_role_and_label(Role::TextInput, "Batch").set_text_value_accesskit("5");
    steps(&mut window, 2);
    give(&mut window, DialogPurpose::FollowRun, vec![path.clone()]);
    until(&mut window, "its recipe", says("The recipe of fol"));
    assert_eq!(batch(&mut window), ("3".to_owned(), true), "that of the run, only to be looked at");
    assert!(!has_button(&window, "Start"), "nothing starts that is not what one looks at");
    quiet(&mut window);
    shot(&mut window, "of-a-run");

    // Back to what one had composed.
    click(&mut window, "Back to mine");
    assert_eq!(batch(&mut window), ("5".to_owned(), false));
    assert!(has_button(&window, "Start"));

    // Once more, and a new run with it.
    let other = folder.path().join("runs/other");
    drop(RunFolder::create(&other, &recipe).unwrap());
    give(&mut window, DialogPurpose::FollowRun, vec![other]);
    until(&mut window, "its recipe", says("The recipe of other"));
    click(&mut window, "Use for a new run");
    assert_eq!(batch(&mut window), ("3".to_owned(), false));
    until(&mut window, "Start", |window| has_button(window, "Start") && !is_off(window, "Start"));
    click(&mut window, "Start");
    until(&mut window, "the run", |window| done(window) >= 1);
    let begun = recipe_of(folder.path(), "nano-001");
    assert_eq!(begun, run::RunFolder::open(&path).unwrap().recipe().unwrap());
    assert_eq!(batch(&mut window), ("3".to_owned(), false), "ours goes on, and can be changed");
    click(&mut window, "Stop");
    until(&mut window, "the end", |window| has_button(window, "Start"));
}

#[test]
fn what_is_done_before_the_first_step_is_said() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &["train.iterations=40", "optim.warmup=2", "train.evaluate_every=40"]);
    let mut window = window(folder.path());
    open_recipe(&mut window, folder.path());
    click(&mut window, "Start");
    until(&mut window, "what is done", says("Judging the untrained model: "));
    shot(&mut window, "judging");
    until(&mut window, "steps", |window| done(window) >= 1);
    until(&mut window, "the end", |window| has_button(window, "Start"));
    assert!(!said(&window).contains("Judging the"), "and no longer than it is done");
}

#[test]
fn the_run_pane_of_a_small_window_shows_all_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = tiny(folder.path(), &[]);
    for i in 1..=5 {
        let run = RunFolder::create(&folder.path().join(format!("runs/nano-00{i}")), &recipe).unwrap();
        let figures = [
            ("loss", 3.0),
            ("teacher_entropy", 1.2),
            ("student_entropy", 1.4),
            ("prototype_use", 0.5),
            ("neighbour_distance", 0.4),
            ("feature_rank", 1.7),
            ("patch_norm_max", 30.0),
            ("patch_norm_mean", 15.0),
        ];
        let figures = figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        run.metrics_from(0).unwrap().append(&MetricsLine::new(0, &figures)).unwrap();
    }
    for theme in [egui::Theme::Dark, egui::Theme::Light] {
        let mut window = window_of(vec2(1280.0, 720.0), 1.0, theme, folder.path());
        until(&mut window, "the runs", |window| has_button(window, "nano-005"));
        let curves = window.get_by_role_and_label(Role::RadioButton, "Loss").rect().top() - 46.0;
        for i in 1..=5 {
            let rect = window.get_by_role_and_label(Role::Button, &format!("nano-00{i}")).rect();
            assert!(
                rect.bottom() < curves,
                "nano-00{i} ends at {}, the curves begin at {curves}",
                rect.bottom()
            );
        }
        choose(&mut window, "Nothing");
        let foot = window.get_by_label("Keep runs in").rect().top();
        let fields = window.get_by_label("Search the fields").rect();
        assert!(fields.bottom() < foot, "the fields are at {}, the foot at {foot}", fields.bottom());
        shot(&mut window, &format!("small-empty-{theme:?}"));
        click(&mut window, "nano-003");
        until(&mut window, "its figures", says("Patch norms: "));
        steps(&mut window, 4);
        let last = window.get_by_label("Patch norms: 2.0 × mean").rect();
        assert!(
            last.bottom() < curves,
            "the last figure ends at {}, the curves begin at {curves}",
            last.bottom()
        );
        shot(&mut window, &format!("small-run-{theme:?}"));
    }
}

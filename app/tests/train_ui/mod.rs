//! The training side, used by the names of its parts as a person or a screen reader would.

mod begin;
mod beside;
mod from_file;
mod look;
mod own;
mod window;

use std::time::Duration;

use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope::studio::AppFrontend as _;
use dinoscope_core::train::run::{MetricsLine, RunFolder};
use egui::accesskit::Role;
use egui::{Key, Modifiers, ViewportCommand, vec2};
use egui_kittest::kittest::Queryable as _;
use window::*;

#[test]
fn a_run_starts_holds_goes_on_saves_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &[]);
    let mut window = window(folder.path());
    open_recipe(&mut window, folder.path());
    until(&mut window, "Start", |window| has_button(window, "Start") && !is_off(window, "Start"));
    click(&mut window, "Start");
    until(&mut window, "two steps", |window| done(window) >= 2);
    assert!(!has_button(&window, "Start"), "one run at a time");

    click(&mut window, "Pause");
    until(&mut window, "the pause", |window| has_button(window, "Resume"));
    let held = done(&window);
    steps(&mut window, 10);
    std::thread::sleep(Duration::from_millis(200));
    steps(&mut window, 10);
    assert_eq!(done(&window), held, "a run that holds does no steps");
    // Nothing has the keyboard: the space bar belongs to the run.
    window.ctx.memory_mut(|memory| memory.stop_text_input());
    if let Some(focused) = window.ctx.memory(|memory| memory.focused()) {
        window.ctx.memory_mut(|memory| memory.surrender_focus(focused));
    }
    window.key_press(Key::Space);
    until(&mut window, "more steps", |window| has_button(window, "Pause") && done(window) > held + 2);

    click(&mut window, "Checkpoint now");
    until(&mut window, "the checkpoint", says("Checkpoint after"));
    let run = folder.path().join("runs/nano-001");
    assert!(RunFolder::open(&run).unwrap().latest_checkpoint().is_some());
    until(&mut window, "pictures", says("Watched pictures after"));
    until(&mut window, "the loss", says("Loss: "));

    click(&mut window, "Stop");
    until(&mut window, "the end", |window| has_button(window, "Start"));
    let stopped = done(&window);
    assert!(run.join("report.html").is_file() && stopped < 4000);
    assert!(has_button(&window, "Look with it") && has_button(&window, "Report"));

    click(&mut window, &format!("Go on from step {stopped}"));
    until(&mut window, "steps after the old ones", |window| done(window) > stopped);
    click(&mut window, "Stop");
    until(&mut window, "the end", |window| has_button(window, "Start"));
    let lines = RunFolder::open(&run).unwrap().lines();
    let iterations: Vec<u64> = lines.iter().map(|line| line.iteration).collect();
    assert!(iterations.is_sorted_by(|a, b| a < b), "no step is told twice: {iterations:?}");
}

#[test]
fn starting_takes_two_actions_and_writes_into_the_folder_that_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window(folder.path());
    click(&mut window, "Start");
    until(&mut window, "the run", |_| folder.path().join("runs/demo-001/recipe.toml").is_file());
    click(&mut window, "Stop");
    until(&mut window, "the end", |window| has_button(window, "Start"));
}

#[test]
fn a_wrong_value_is_said_beside_its_field_and_holds_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window(folder.path());
    window.get_by_label("Search the fields").set_text_value_accesskit("train.batch");
    steps(&mut window, 2);
    let field = |window: &Window, text: &str| {
        window.get_by_role_and_label(Role::TextInput, "Batch").set_text_value_accesskit(text);
    };
    field(&window, "0");
    steps(&mut window, 2);
    let text = said(&window);
    assert!(text.contains("1 to 65536 is allowed"), "{text}");
    assert!(text.contains("Can't start: train.batch"), "{text}");
    assert!(is_off(&window, "Start"));
    field(&window, "many");
    steps(&mut window, 2);
    assert!(said(&window).contains("a whole number is needed"));
    click(&mut window, "Put train.batch back to 32");
    assert!(!is_off(&window, "Start") && !said(&window).contains("Can't start"));
    window.get_by_label("Search the fields").set_text_value_accesskit("no such thing");
    steps(&mut window, 2);
    assert!(said(&window).contains("No field has this"));
}

#[test]
fn pictures_that_are_not_there_hold_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window(folder.path());
    give(&mut window, DialogPurpose::TrainingData, vec![folder.path().join("nowhere")]);
    until(&mut window, "the reason", says("Can't start"));
    assert!(said(&window).contains("nowhere") && is_off(&window, "Start"));
    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    image::RgbImage::from_pixel(32, 32, image::Rgb([9, 99, 199])).save(pictures.join("blue.png")).unwrap();
    give(&mut window, DialogPurpose::TrainingData, vec![pictures]);
    until(&mut window, "the pictures", says("1 picture in pictures"));
    assert!(!is_off(&window, "Start"));
}

#[test]
fn closing_asks_before_a_run_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &[]);
    let mut window = window(folder.path());
    close(&mut window);
    assert!(commands(&window).is_empty(), "nothing is in the way: {:?}", commands(&window));
    open_recipe(&mut window, folder.path());
    click(&mut window, "Start");
    until(&mut window, "a step", |window| done(window) >= 1);

    close(&mut window);
    assert!(commands(&window).contains(&ViewportCommand::CancelClose));
    steps(&mut window, 2);
    click(&mut window, "Keep running");
    assert!(!has_button(&window, "Keep running") && has_button(&window, "Pause"));

    close(&mut window);
    steps(&mut window, 2);
    click(&mut window, "Stop the run and save");
    until(&mut window, "the window's end", |window| commands(window).contains(&ViewportCommand::Close));
    let run = RunFolder::open(&folder.path().join("runs/nano-001")).unwrap();
    assert!(run.latest_checkpoint().is_some() && run.report_file().is_file());
}

#[test]
fn a_run_on_disk_is_followed_while_others_write_it() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = tiny(folder.path(), &[]);
    let path = folder.path().join("runs/elsewhere");
    let run = RunFolder::create(&path, &recipe).unwrap();
    let mut log = run.metrics_from(0).unwrap();
    let line = |iteration: u64, loss: f64| {
        let values = [("loss", loss), ("feature_rank", 3.5), ("steps_per_second", 2.0), ("waited", 0.5)];
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        MetricsLine::new(iteration, &values)
    };
    for i in 0..20 {
        log.append(&line(i, 3.0)).unwrap();
    }
    let mut window = window(folder.path());
    until(&mut window, "the run in the list", |window| has_button(window, "elsewhere"));
    click(&mut window, "elsewhere");
    until(&mut window, "its curves", says("Loss: 3.000"));
    let text = said(&window);
    assert!(
        text.contains("Followed") && text.contains("Feature rank: 3.5") && text.contains("Step 20 of"),
        "{text}"
    );
    assert!(text.contains("The device waits for pictures"), "{text}");
    log.append(&line(20, 2.5)).unwrap();
    until(&mut window, "what was added", says("Loss: 2.500"));
    assert_eq!(done(&window), 21);
}

#[test]
fn a_run_that_another_program_trains_is_left_to_it_whatever_the_clock_says() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = tiny(folder.path(), &[]);
    let path = folder.path().join("runs/elsewhere");
    let run = RunFolder::create(&path, &recipe).unwrap();
    let mut log = run.metrics_from(0).unwrap();
    log.append(&MetricsLine::new(0, &[("loss".to_owned(), 3.0)].into_iter().collect())).unwrap();
    let checkpoint = run.checkpoints().join("000001");
    std::fs::create_dir(&checkpoint).unwrap();
    std::fs::write(checkpoint.join("state.json"), "{}").unwrap();
    // By their times the figures are of yesterday, and the report came after them.
    let yesterday = std::time::SystemTime::now() - Duration::from_secs(86_400);
    std::fs::File::options().append(true).open(run.metrics_file()).unwrap().set_modified(yesterday).unwrap();
    std::fs::write(run.report_file(), "<html>").unwrap();
    let mut window = window(folder.path());
    give(&mut window, DialogPurpose::FollowRun, vec![path]);
    until(&mut window, "who trains it", says("Another program goes on with this run."));
    assert!(said(&window).contains("Followed") && !has_button(&window, "Go on from step 1"));
    drop(run);
    until(&mut window, "the offer", |window| has_button(window, "Go on from step 1"));
    assert!(!said(&window).contains("Another program"));
}

#[test]
fn a_live_field_changes_the_run_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &[]);
    let mut window = window(folder.path());
    open_recipe(&mut window, folder.path());
    click(&mut window, "Start");
    until(&mut window, "a step", |window| done(window) >= 1);
    window.get_by_label("Search the fields").set_text_value_accesskit("train.keep_checkpoints");
    steps(&mut window, 2);
    assert!(said(&window).contains("Changes at once."));
    let field = window.get_by_role_and_label(Role::TextInput, "Keep checkpoints");
    field.focus();
    window.step();
    let field = window.get_by_role_and_label(Role::TextInput, "Keep checkpoints");
    field.set_text_value_accesskit("7");
    steps(&mut window, 2);
    window.key_press_modifiers(Modifiers::NONE, Key::Enter);
    let run = RunFolder::open(&folder.path().join("runs/nano-001")).unwrap();
    until(&mut window, "the change", |_| run.recipe().is_ok_and(|recipe| recipe.train.keep_checkpoints == 7));
    window.get_by_label("Search the fields").set_text_value_accesskit("optim.clip");
    steps(&mut window, 2);
    assert!(said(&window).contains("Needs a new run."));
    click(&mut window, "Stop");
    until(&mut window, "the end", |window| has_button(window, "Start"));
}

#[test]
fn what_the_model_will_be_given_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window(folder.path());
    window.get_by_role_and_label(Role::RadioButton, "Nothing").click_accesskit();
    steps(&mut window, 3);
    for section in ["Preset", "What the model will be given"] {
        window.get_by_role_and_label(Role::DisclosureTriangle, section).click_accesskit();
        steps(&mut window, 3);
    }
    until(&mut window, "the crops", says("Local crop 4 of"));
    let first = said(&window);
    assert!(first.contains("patches hidden"), "half of the global crops are masked: {first}");
    shot(&mut window, "given");
    click(&mut window, "Another batch");
    until(&mut window, "other crops", |window| {
        let now = said(window);
        now.contains("Step 2: ") && now.contains("Local crop 4 of") && !now.contains("scene 0,")
    });
    window.get_by_role_and_label(Role::DisclosureTriangle, "What the model will be given").click_accesskit();
    steps(&mut window, 4);
    window.get_by_label("Search the fields").set_text_value_accesskit("learning rate");
    steps(&mut window, 3);
    window.get_by_role_and_label(Role::TextInput, "Base LR").set_text_value_accesskit("0.05");
    window.get_by_role_and_label(Role::TextInput, "Min LR").set_text_value_accesskit("-1");
    steps(&mut window, 6);
    shot(&mut window, "fields");
}

#[test]
fn runs_are_compared_and_the_past_is_played() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &["train.iterations=24", "optim.warmup=2"]);
    let mut window = window_of(vec2(1600.0, 900.0), 1.0, egui::Theme::Dark, folder.path());
    open_recipe(&mut window, folder.path());
    for run in ["nano-001", "nano-002"] {
        click(&mut window, "Start");
        let path = folder.path().join("runs").join(run).join("report.html");
        until(&mut window, "the end", |window| path.is_file() && has_button(window, "Start"));
    }
    click(&mut window, "Compare with other runs");
    until(&mut window, "the other run", |window| window.query_by_label("nano-001").is_some());
    window.get_by_role_and_label(Role::CheckBox, "nano-001").click_accesskit();
    until(&mut window, "its curve", says("nano-001: "));
    window.key_press(Key::Escape);
    until(&mut window, "pictures", says("Watched pictures after 24"));
    quiet(&mut window);
    shot(&mut window, "compared");

    click(&mut window, "First pictures");
    until(&mut window, "the first pictures", says("Watched pictures after 0"));
    assert!(said(&window).contains("Untrained"));
    click(&mut window, "Later pictures");
    until(&mut window, "the next pictures", says("Watched pictures after 2 "));
    if let Some(focused) = window.ctx.memory(|memory| memory.focused()) {
        window.ctx.memory_mut(|memory| memory.surrender_focus(focused));
    }
    window.key_press(Key::ArrowLeft);
    until(&mut window, "the first pictures", says("Watched pictures after 0"));
    click(&mut window, "Play the past");
    until(&mut window, "a picture of the past", says("Watched pictures after 8"));
    until(&mut window, "the newest pictures", says("Watched pictures after 24"));
    window.get_by_role_and_label(Role::RadioButton, "Heads").click_accesskit();
    steps(&mut window, 30);
    shot(&mut window, "heads");

    let film = folder.path().join("film.gif");
    give(&mut window, DialogPurpose::SaveFilm, vec![film.clone()]);
    until(&mut window, "the film", says("Film saved as"));
    assert!(std::fs::read(&film).unwrap().starts_with(b"GIF89a"));
    let frames = folder.path().join("frames");
    give(&mut window, DialogPurpose::SaveFrames, vec![frames.clone()]);
    until(&mut window, "the pictures", says("13 pictures saved"));
    assert_eq!(std::fs::read_dir(&frames).unwrap().count(), 13);
}

#[test]
fn a_run_that_fails_says_why_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    std::fs::write(pictures.join("torn.png"), "no picture").unwrap();
    tiny(folder.path(), &[&format!("data.path={:?}", pictures.to_str().unwrap())]);
    let mut window = window(folder.path());
    open_recipe(&mut window, folder.path());
    until(&mut window, "the picture", says("1 picture in pictures"));
    click(&mut window, "Start");
    until(&mut window, "the failure", says("Failed"));
    let text = said(&window);
    assert!(text.contains("torn.png"), "{text}");
    assert!(text.contains("What was written is kept in"), "{text}");
    assert!(has_button(&window, "Start") && folder.path().join("runs/nano-001/recipe.toml").is_file());
    steps(&mut window, 4);
    shot(&mut window, "failed");
    click(&mut window, "Put away");
    assert!(!said(&window).contains("What was written is kept in"));
}

#[test]
fn what_closes_the_window_waits_until_the_run_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &[]);
    let mut window = window(folder.path());
    open_recipe(&mut window, folder.path());
    click(&mut window, "Start");
    until(&mut window, "some steps", |window| done(window) >= 30);
    until(&mut window, "pictures", says("Watched pictures after"));
    // New pictures come all the time, and never is there nothing to see.
    for _ in 0..60 {
        std::thread::sleep(Duration::from_millis(5));
        window.step();
        assert!(said(&window).contains("Watched pictures after"));
    }
    shot(&mut window, "running");
    window.state_mut().as_mut().unwrap().closed();
    let run = RunFolder::open(&folder.path().join("runs/nano-001")).unwrap();
    let (step, _) = run.latest_checkpoint().unwrap();
    assert!(step >= 3 && run.report_file().is_file());
}

#[test]
fn an_unfinished_run_that_was_left_offers_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &[]);
    let path = folder.path().join("runs/nano-001");
    let mut first = window(folder.path());
    open_recipe(&mut first, folder.path());
    click(&mut first, "Start");
    until(&mut first, "three steps", |window| done(window) >= 3);
    first.state_mut().as_mut().unwrap().closed();
    drop(first);
    let step = RunFolder::open(&path).unwrap().latest_checkpoint().unwrap().0;

    let mut second = window(folder.path());
    give(&mut second, DialogPurpose::FollowRun, vec![path.clone()]);
    let label = format!("Go on from step {step}");
    until(&mut second, "the offer", |window| has_button(window, &label));
    until(&mut second, "its pictures", says("Watched pictures after"));
    click(&mut second, &label);
    until(&mut second, "more steps", |window| has_button(window, "Stop") && done(window) > step + 1);
    click(&mut second, "Stop");
    // The recipe that shows is that of the run, not of a new one.
    until(&mut second, "the end", |window| has_button(window, "Use for a new run"));
    assert!(RunFolder::open(&path).unwrap().latest_checkpoint().unwrap().0 > step);
}

#[test]
fn the_mouse_reads_zooms_and_resets_the_curves() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = tiny(folder.path(), &[]);
    let path = folder.path().join("runs/before");
    let run = RunFolder::create(&path, &recipe).unwrap();
    let mut log = run.metrics_from(0).unwrap();
    for i in 0..100 {
        let values = [("loss".to_owned(), 5.0 + i as f64)].into_iter().collect();
        log.append(&MetricsLine::new(i, &values)).unwrap();
    }
    let mut window = window(folder.path());
    give(&mut window, DialogPurpose::FollowRun, vec![path]);
    until(&mut window, "the curve", says("Loss: 104.0"));
    let plot = window.get_by_label("Loss by step").rect();
    assert!(said(&window).contains("Loss, newest") && is_off(&window, "Show the whole run"));
    // Right of the numbers at the axis, the plot begins at step 0.
    let middle = plot.center() + vec2(24.0, 0.0);
    window.hover_at(middle);
    steps(&mut window, 3);
    let text = said(&window);
    let step: u64 = text.split("Loss, step ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((40..=60).contains(&step), "{text}");
    assert!(text.contains(&format!("Loss: {:.2}", 4.0 + step as f64)), "{text}");

    window.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: vec2(0.0, 400.0),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
        modifiers: Modifiers::NONE,
    });
    steps(&mut window, 10);
    assert!(!is_off(&window, "Show the whole run"), "the wheel looks closer");
    let closer = said(&window);
    assert!(closer.contains(&format!("Loss, step {step} ")), "around the pointer: {closer}");
    // All within one frame: frames of a test are further apart than the clicks of a double click may be.
    let clicks = [true, false, true, false].map(|pressed| egui::Event::PointerButton {
        pos: middle,
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    });
    window.input_mut().events.extend(clicks);
    steps(&mut window, 3);
    assert!(is_off(&window, "Show the whole run"), "a double click shows everything");
}

#[test]
fn a_folder_that_takes_no_runs_is_told_before_or_after_the_start() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &[]);
    let mut window = window(folder.path());
    open_recipe(&mut window, folder.path());
    let keep_in = |window: &mut Window, text: &str| {
        window.get_by_role_and_label(Role::TextInput, "Keep runs in").set_text_value_accesskit(text);
        steps(window, 3);
    };
    let file = folder.path().join("recipe.toml");
    keep_in(&mut window, file.to_str().unwrap());
    until(&mut window, "the reason", says("is no folder"));
    assert!(is_off(&window, "Start"));
    // What does not exist is made, where that is possible.
    keep_in(&mut window, file.join("below").to_str().unwrap());
    until(&mut window, "the start", |window| {
        !is_off(window, "Start") || said(window).contains("Can't start")
    });
    if !is_off(&window, "Start") {
        click(&mut window, "Start");
        // It may have been told just before the click.
        let told = |window: &Window| {
            ["The run could not start.", "Can't start"].iter().any(|word| said(window).contains(word))
        };
        until(&mut window, "the reason", told);
    }
    keep_in(&mut window, folder.path().join("new").to_str().unwrap());
    until(&mut window, "a way out", |window| !is_off(window, "Start"));
    click(&mut window, "Start");
    until(&mut window, "the run", |_| folder.path().join("new/nano-001/recipe.toml").is_file());
    click(&mut window, "Stop");
    until(&mut window, "the end", |window| has_button(window, "Start"));
}

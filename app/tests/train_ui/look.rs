//! How the panels look: at every size and in both themes, and with more figures than a plot has points.

use std::time::{Duration, Instant};

use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope_core::train::run::{MetricsLine, RunFolder};
use egui::accesskit::Role;
use egui::vec2;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

use super::window::*;

/// What can be used: its name and its place, without what a list has scrolled out of sight.
fn usable(window: &Window) -> Vec<(String, egui::Rect)> {
    let roles = [
        Role::Button,
        Role::RadioButton,
        Role::Switch,
        Role::TextInput,
        Role::SearchInput,
        Role::Slider,
        Role::SpinButton,
        Role::ComboBox,
    ];
    let place = |name: &str| window.get_by_label(name).rect();
    let foot = place("Keep runs in").top();
    let recipe = place("Search the fields").right() + 20.0;
    let curves = window.get_by_role_and_label(Role::RadioButton, "Loss").rect().top() - 4.0;
    let run = place("Compare with other runs").right() - 250.0;
    let in_foot = ["Keep runs in", "Start"];
    window
        .root()
        .children_recursive()
        .filter(|node| roles.contains(&node.accesskit_node().role()))
        .map(|node| (node.accesskit_node().label().unwrap_or_default(), node.rect()))
        .filter(|(name, rect)| {
            let under_foot =
                rect.right() < recipe && rect.bottom() > foot && !in_foot.contains(&name.as_str());
            let under_curves = rect.right() > run && rect.bottom() > curves && rect.top() < curves;
            // Of the run pane everything else scrolls behind the curves.
            let of_run =
                ["Report", "Look with it", "Before and after", "Open a run …"].contains(&name.as_str());
            let of_run = of_run || name.starts_with("nano-") || name.starts_with("Go on");
            rect.area() > 0.0 && !under_foot && !under_curves && !of_run
        })
        .collect()
}

/// Everything that can be used lies inside the window, and nothing on anything else.
#[track_caller]
fn nothing_overlaps(window: &Window, size: egui::Vec2, what: &str) {
    let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, size).expand(0.5);
    let found = usable(window);
    assert!(found.len() > 12, "{what}: {} things to use", found.len());
    for (i, (name, rect)) in found.iter().enumerate() {
        assert!(screen.contains_rect(*rect), "{what}: {name:?} leaves the window: {rect:?}");
        for (other, place) in found.iter().skip(i + 1) {
            let shared = rect.intersect(*place);
            let inside = rect.contains_rect(*place) || place.contains_rect(*rect);
            let apart = !shared.is_positive() || shared.width() < 1.5 || shared.height() < 1.5;
            assert!(inside || apart, "{what}: {name:?} at {rect:?} and {other:?} at {place:?}");
        }
    }
}

#[test]
fn every_panel_fits_at_every_size() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &["train.iterations=12", "optim.warmup=2", "train.evaluate_every=4"]);
    for (name, size, scale, theme) in [
        ("1280-dark", vec2(1280.0, 720.0), 1.0, egui::Theme::Dark),
        ("1280-light", vec2(1280.0, 720.0), 1.0, egui::Theme::Light),
        ("1920-dark", vec2(1920.0, 1080.0), 1.0, egui::Theme::Dark),
        ("200-light", vec2(960.0, 540.0), 2.0, egui::Theme::Light),
    ] {
        let mut window = window_of(size, scale, theme, folder.path());
        until(&mut window, "the pictures", says("drawn as needed"));
        nothing_overlaps(&window, size, name);
        shot(&mut window, &format!("{name}-fresh"));
        open_recipe(&mut window, folder.path());
        click(&mut window, "Start");
        until(&mut window, "the end", |window| has_button(window, "Start") && done(window) == 12);
        until(&mut window, "pictures", says("Watched pictures after 12"));
        quiet(&mut window);
        for group in ["Loss", "k-NN", "Health", "Speed", "Schedules"] {
            window.get_by_role_and_label(Role::RadioButton, group).click_accesskit();
            steps(&mut window, 4);
            let what = format!("{name}-{group}");
            nothing_overlaps(&window, size, &what);
            shot(&mut window, &what);
        }
    }
}

#[test]
fn a_hundred_thousand_figures_stay_smooth() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = tiny(folder.path(), &["train.iterations=200000"]);
    let mut window = window_of(vec2(1920.0, 1080.0), 1.0, egui::Theme::Dark, folder.path());
    let names = ["loss", "dino_local_loss", "dino_global_loss", "ibot_loss", "koleo_loss", "feature_rank"];
    // Half of the frames take less, with everything that a test adds to one.
    let mut frame = |name: &str, figures: u64, said: &'static str| {
        let path = folder.path().join("runs").join(name);
        let run = RunFolder::create(&path, &recipe).unwrap();
        let mut text = String::new();
        for i in 0..figures {
            let value = 3.0 + ((i * 7919) % 1000) as f64 / 500.0;
            let values = names.iter().map(|name| ((*name).to_owned(), value)).collect();
            text += &serde_json::to_string(&MetricsLine::new(i, &values)).unwrap();
            text.push('\n');
        }
        std::fs::write(run.metrics_file(), text).unwrap();
        give(&mut window, DialogPurpose::FollowRun, vec![path]);
        until(&mut window, "the curves", says(said));
        steps(&mut window, 3);
        let mut times: Vec<Duration> = (0..21)
            .map(|_| {
                let start = Instant::now();
                window.step();
                start.elapsed()
            })
            .collect();
        times.sort();
        times[10]
    };
    let (short, long) = (frame("short", 1000, "Step 1000 of"), frame("long", 100_000, "Step 100,000 of"));
    println!("a frame with 1,000 figures took {short:?}, with 100,000 {long:?}");
    // A hundred times as many figures, but the same pixels.
    assert!(long < 4 * short, "{long:?} is too long beside {short:?}");
    shot(&mut window, "long");
}

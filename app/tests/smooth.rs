//! A frame never waits for a step of training: frames go on being drawn while a step is computed.

use std::path::Path;
use std::time::{Duration, Instant};

use dinoscope::desktop::headless::HeadlessWindow;
use dinoscope::studio::app_context::RenderBackend;
use dinoscope::studio::panels::Workspace;
use dinoscope::studio::train::AutoStartRequest;
use dinoscope::studio::{AppFrontend, StartupOptions, StudioApp};
use dinoscope_core::device::DeviceChoice;
use dinoscope_core::train::Recipe;

fn window(train: Option<AutoStartRequest>) -> HeadlessWindow {
    let startup = StartupOptions {
        device: Some(DeviceChoice::Cpu),
        workspace: Workspace::Train,
        train,
        fresh: true,
        ..StartupOptions::default()
    };
    let build = |ctx: &egui::Context| -> Box<dyn AppFrontend> {
        Box::new(StudioApp::new(ctx, RenderBackend::default(), startup))
    };
    HeadlessWindow::new([1280.0, 720.0], 1.0, egui::Theme::Dark, build)
}

/// Seconds that each frame took, logic, layout and pixels, one every 10 ms.
fn frames(window: &mut HeadlessWindow, mut go_on: impl FnMut() -> bool) -> Vec<f64> {
    let mut taken = Vec::new();
    while go_on() {
        let start = Instant::now();
        window.step(Vec::new());
        window.screenshot();
        taken.push(start.elapsed().as_secs_f64());
        std::thread::sleep(Duration::from_millis(10));
    }
    taken
}

fn steps(folder: &Path) -> usize {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
    text.lines().filter(|line| line.contains("\"loss\"")).count()
}

fn say(name: &str, frames: &[f64]) {
    let mut sorted = frames.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| 1000.0 * sorted[((sorted.len() - 1) as f64 * share) as usize];
    println!(
        "{name}: {} frames, median {:.1} ms, 95 % {:.1} ms, longest {:.1} ms",
        sorted.len(),
        at(0.5),
        at(0.95),
        at(1.0)
    );
}

#[test]
fn frames_go_on_while_a_step_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut idle = window(None);
    idle.settle(Duration::from_secs(60));
    let mut left = 60;
    let quiet = frames(&mut idle, || {
        left -= 1;
        left >= 0
    });
    idle.close();

    // Steps of seconds: a frame that waited for one would show.
    let overrides = ["train.batch=96", "train.evaluate_every=0", "train.picture_every=0", "data.scenes=96"];
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let recipe = Recipe::preset("nano").unwrap().with_overrides(&overrides).unwrap();
    let order = AutoStartRequest { recipe, folder: run.clone(), resume: false, until: None };
    let mut training = window(Some(order));
    frames(&mut training, || steps(&run) < 1);
    let start = Instant::now();
    let busy = frames(&mut training, || steps(&run) < 4);
    let step = start.elapsed().as_secs_f64() / 3.0;
    training.close();

    say("idle", &quiet);
    say("while training", &busy);
    println!("a step takes {:.0} ms", 1000.0 * step);
    let mut sorted = busy.clone();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    assert!(busy.len() >= 15, "{} frames during three steps of {step:.2} s", busy.len());
    assert!(median < step / 4.0, "a frame takes {median:.3} s, a step {step:.3} s");
}

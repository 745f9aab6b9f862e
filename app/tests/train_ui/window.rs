//! A window with the training side, and what a test does with it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::RasterRenderer;
use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope::studio::app_context::RenderBackend;
use dinoscope::studio::panels::Workspace;
use dinoscope::studio::{AppFrontend, StartupOptions, StudioApp};
use dinoscope_core::device::DeviceChoice;
use dinoscope_core::train::Recipe;

use egui::accesskit::Role;
use egui::{ViewportCommand, ViewportEvent, ViewportId, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

pub type Window = Harness<'static, Option<StudioApp>>;

/// Runs and the window take their time on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(240);

pub fn window_of(size: egui::Vec2, scale: f32, theme: egui::Theme, runs: &Path) -> Window {
    let builder = Harness::builder().with_size(size).with_pixels_per_point(scale).with_theme(theme);
    let mut window = builder.renderer(RasterRenderer::default()).build_ui_state(
        |ui, studio: &mut Option<StudioApp>| {
            let startup = StartupOptions {
                fresh: true,
                device: Some(DeviceChoice::Cpu),
                workspace: Workspace::Train,
                ..StartupOptions::default()
            };
            let studio =
                studio.get_or_insert_with(|| StudioApp::new(ui.ctx(), RenderBackend::default(), startup));
            studio.logic(ui.ctx());
            studio.ui(ui);
        },
        None,
    );
    // The style is set by the studio; the test has its own theme.
    window.ctx.set_theme(theme);
    steps(&mut window, 4);
    let field = window.get_by_role_and_label(Role::TextInput, "Keep runs in");
    let runs = runs.join("runs");
    field.set_text_value_accesskit(&runs.to_string_lossy());
    steps(&mut window, 3);
    let field = window.get_by_role_and_label(Role::TextInput, "Keep runs in");
    assert_eq!(field.value().as_deref(), runs.to_str());
    window
}

pub fn window(runs: &Path) -> Window {
    window_of(vec2(1280.0, 720.0), 1.0, egui::Theme::Dark, runs)
}

pub fn steps(window: &mut Window, count: usize) {
    for _ in 0..count {
        window.step();
    }
}

/// Draws until something holds.
#[track_caller]
pub fn until(window: &mut Window, what: &str, holds: impl Fn(&Window) -> bool) {
    let start = Instant::now();
    while !holds(window) {
        assert!(start.elapsed() < PATIENCE, "waited in vain for: {what}\n{}", said(window));
        window.step();
        std::thread::sleep(Duration::from_millis(5));
    }
    window.step();
}

/// Everything that is to be read.
pub fn said(window: &Window) -> String {
    let nodes = window.root().children_recursive();
    let labels = nodes.filter_map(|node| {
        let node = node.accesskit_node();
        node.label().or_else(|| node.value())
    });
    labels.collect::<Vec<_>>().join(" | ")
}

pub fn says(text: &'static str) -> impl Fn(&Window) -> bool {
    move |window| said(window).contains(text)
}

/// A recipe that takes a processor no time.
pub fn tiny(folder: &Path, more: &[&str]) -> Recipe {
    let pairs = [
        "train.iterations=4000",
        "train.batch=2",
        "train.picture_every=2",
        "train.evaluate_every=0",
        "train.checkpoint_every=4000",
        "train.workers=1",
        "model.depth=1",
        "model.dim=24",
        "model.heads=1",
        "crops.global_size=16",
        "crops.local_size=8",
        "crops.locals=1",
        "head.prototypes=16",
        "head.hidden=16",
        "head.bottleneck=8",
        "data.scenes=8",
        "data.scene_size=24",
    ];
    let pairs: Vec<String> = pairs.iter().chain(more).map(|pair| (*pair).to_owned()).collect();
    let recipe = Recipe::preset("nano").unwrap().with_overrides(&pairs).unwrap();
    std::fs::write(folder.join("recipe.toml"), recipe.to_toml().unwrap()).unwrap();
    recipe
}

/// Opens a recipe as the dialog would.
pub fn open_recipe(window: &mut Window, folder: &Path) {
    give(window, DialogPurpose::OpenRecipe, vec![folder.join("recipe.toml")]);
    until(window, "the recipe", says("Recipe opened"));
}

pub fn give(window: &mut Window, purpose: DialogPurpose, paths: Vec<PathBuf>) {
    window.state().as_ref().unwrap().app_context().dialogs.give(purpose, paths);
    steps(window, 2);
}

pub fn click(window: &mut Window, label: &str) {
    window.get_by_role_and_label(Role::Button, label).click_accesskit();
    steps(window, 2);
}

pub fn has_button(window: &Window, label: &str) -> bool {
    window.query_by_role_and_label(Role::Button, label).is_some()
}

pub fn is_off(window: &Window, label: &str) -> bool {
    window.get_by_role_and_label(Role::Button, label).accesskit_node().is_disabled()
}

/// Steps done, as the run pane says.
pub fn done(window: &Window) -> u64 {
    let text = said(window);
    let after = text.split("Step ").find_map(|part| {
        let (number, rest) = part.split_once(' ')?;
        rest.starts_with("of").then(|| number.replace(',', "").parse::<u64>().ok()).flatten()
    });
    after.unwrap_or(0)
}

pub fn close(window: &mut Window) {
    let viewport = window.input_mut().viewports.entry(ViewportId::ROOT).or_default();
    viewport.events.push(ViewportEvent::Close);
    window.step();
}

pub fn commands(window: &Window) -> Vec<ViewportCommand> {
    window.output().viewport_output.values().flat_map(|output| output.commands.clone()).collect()
}

pub fn shot(window: &mut Window, name: &str) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("train-{name}.png"));
    window.render().unwrap().save(path).unwrap();
}

/// Whatever was said in the corner is gone.
pub fn quiet(window: &mut Window) {
    until(window, "the corner to be quiet", |window| window.query_all_by_label("Dismiss").next().is_none());
}

//! A studio in a window that nobody sees, worked by the names of its parts and by the pointer.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope::studio::app_context::RenderBackend;
use dinoscope::studio::explore::ExploreSnapshot;
use dinoscope::studio::{AppFrontend, StartupOptions, StudioApp};
use dinoscope_core::device::DeviceChoice;
use egui::accesskit::{Role, Toggled};
use egui::{Key, Modifiers, Pos2, Rect, Theme, Vec2, vec2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use egui_kittest::{Harness, Node};
use image::RgbaImage;

use super::RasterRenderer;

/// A studio in a test's window.
pub type Window = Harness<'static, Option<StudioApp>>;

/// Models and threads take their time on a busy machine; a test that needs as long has failed.
const PATIENCE: Duration = Duration::from_secs(300);

/// As a test begins: nothing remembered, on the processor.
pub fn fresh() -> StartupOptions {
    StartupOptions { fresh: true, device: Some(DeviceChoice::Cpu), ..StartupOptions::default() }
}

/// A window of `size` points at `scale` pixels each.
pub fn window_of(size: Vec2, scale: f32, theme: Theme, startup: StartupOptions) -> Window {
    let builder = Harness::builder().with_size(size).with_pixels_per_point(scale).with_theme(theme);
    let builder = builder.with_render_cursor(false).renderer(RasterRenderer::default());
    let mut window = builder.build_ui_state(
        move |ui, studio: &mut Option<StudioApp>| {
            let begin = || StudioApp::new(ui.ctx(), RenderBackend::default(), startup.clone());
            let studio = studio.get_or_insert_with(begin);
            studio.logic(ui.ctx());
            // The whole window: the harness leaves a margin that windows do not have.
            let whole = egui::UiBuilder::new().max_rect(ui.ctx().content_rect());
            ui.scope_builder(whole, |ui| {
                ui.set_clip_rect(ui.ctx().content_rect());
                studio.ui(ui);
            });
        },
        None,
    );
    window.ctx.set_theme(theme);
    steps(&mut window, 2);
    window
}

/// The usual window.
pub fn window(startup: StartupOptions) -> Window {
    window_of(vec2(1280.0, 720.0), 1.0, Theme::Dark, startup)
}

/// Draws `count` frames.
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
}

/// Draws until nothing is on its way any more.
#[track_caller]
pub fn settle(window: &mut Window) {
    let start = Instant::now();
    let mut still = 0;
    // What one frame shows, the next one asks for: a single quiet frame says nothing.
    while still < 5 {
        assert!(start.elapsed() < PATIENCE, "it never came to rest\n{}", said(window));
        window.step();
        if studio(window).busy() {
            still = 0;
            std::thread::sleep(Duration::from_millis(5));
        } else {
            still += 1;
        }
    }
}

/// A file that is dropped on the window.
#[derive(Debug)]
pub struct Dropped(pub PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

/// The studio itself.
pub fn studio(window: &Window) -> &StudioApp {
    window.state().as_ref().unwrap()
}

/// How the exploring side stands.
pub fn snapshot(window: &Window) -> ExploreSnapshot {
    studio(window).explore().snapshot()
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

/// Whether `text` is to be read.
pub fn says(text: &str) -> impl Fn(&Window) -> bool + use<> {
    let text = text.to_owned();
    move |window| said(window).contains(&text)
}

/// Answers a dialog as a person would.
pub fn give(window: &mut Window, purpose: DialogPurpose, paths: &[&Path]) {
    let paths = paths.iter().map(|path| path.to_path_buf()).collect();
    studio(window).app_context().dialogs.give(purpose, paths);
    steps(window, 2);
}

/// Something that is known by its role and name.
#[track_caller]
pub fn node<'a>(window: &'a Window, role: Role, name: &'a str) -> Node<'a> {
    window.get_by_role_and_label(role, name)
}

/// Whether there is such a thing.
pub fn has(window: &Window, role: Role, name: &str) -> bool {
    window.query_by_role_and_label(role, name).is_some()
}

/// Uses something by its name, as assistive technology does.
#[track_caller]
pub fn press(window: &mut Window, role: Role, name: &str) {
    node(window, role, name).click_accesskit();
    steps(window, 2);
}

/// Presses a button and waits for what follows.
#[track_caller]
pub fn button(window: &mut Window, name: &str) {
    press(window, Role::Button, name);
    settle(window);
}

/// Chooses one of several and waits for what follows.
#[track_caller]
pub fn choose(window: &mut Window, name: &str) {
    press(window, Role::RadioButton, name);
    assert!(is_on(window, Role::RadioButton, name), "{name} is not chosen");
    settle(window);
}

/// Turns a switch and waits for what follows.
#[track_caller]
pub fn switch(window: &mut Window, name: &str, on: bool) {
    assert_ne!(is_on(window, Role::Switch, name), on, "{name} stands there already");
    press(window, Role::Switch, name);
    assert_eq!(is_on(window, Role::Switch, name), on, "{name} did not turn");
    settle(window);
}

/// Moves a slider and waits for what follows.
#[track_caller]
pub fn slide(window: &mut Window, name: &str, value: f64) {
    node(window, Role::Slider, name).set_value_accesskit(value);
    steps(window, 2);
    settle(window);
}

/// Whether something is on or chosen.
#[track_caller]
pub fn is_on(window: &Window, role: Role, name: &str) -> bool {
    node(window, role, name).accesskit_node().toggled() == Some(Toggled::True)
}

/// Presses a key and waits for what follows.
#[track_caller]
pub fn key(window: &mut Window, key: Key) {
    keys(window, Modifiers::NONE, key);
}

/// Presses a key with others held and waits for what follows.
#[track_caller]
pub fn keys(window: &mut Window, modifiers: Modifiers, key: Key) {
    window.key_press_modifiers(modifiers, key);
    window.step();
    settle(window);
}

/// The place of the large picture, or of the one beside it.
#[track_caller]
pub fn place(window: &Window, which: &str) -> Rect {
    window.get_by_label_contains(&format!("{which} picture:")).rect()
}

/// Moves the pointer and waits for what follows.
pub fn point(window: &mut Window, at: Pos2) {
    window.hover_at(at);
    window.step();
    settle(window);
}

/// Clicks and waits for what follows.
pub fn click(window: &mut Window, at: Pos2) {
    window.hover_at(at);
    for pressed in [true, false] {
        window.event(egui::Event::PointerButton {
            pos: at,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        });
    }
    window.step();
    settle(window);
}

/// Turns the wheel under the pointer; what it moves is still moving afterwards.
pub fn wheel(window: &mut Window, by: f32) {
    window.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: vec2(0.0, by),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Unknown,
        modifiers: Modifiers::NONE,
    });
    window.step();
}

/// Takes the pointer out of the window.
pub fn leave(window: &mut Window) {
    window.remove_cursor();
    window.step();
    settle(window);
}

/// What a part of the window looks like, one point a pixel.
pub fn look(window: &mut Window, rect: Rect) -> RgbaImage {
    let scale = window.ctx.pixels_per_point();
    let picture = window.render().unwrap();
    let [x, y] = [rect.min.x, rect.min.y].map(|at| (at * scale).max(0.0).round() as u32);
    let [w, h] = [rect.width(), rect.height()].map(|side| (side * scale).round() as u32);
    image::imageops::crop_imm(&picture, x, y, w, h).to_image()
}

/// Mean difference of two pictures, in levels of 255.
pub fn difference(a: &RgbaImage, b: &RgbaImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: u64 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.as_raw().len().max(1) as f64
}

/// A picture that comes with the repository.
pub fn sample(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/samples");
    folder.join(name).canonicalize().unwrap()
}

/// A small model in the official format.
pub fn official() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/weights");
    folder.join("official_vit.pth").canonicalize().unwrap()
}

//! A window is told of a run that there is not: it says so, and shows what it shows without one.

use std::time::Duration;

use dinoscope::desktop::headless::HeadlessWindow;
use dinoscope::studio::app_context::RenderBackend;
use dinoscope::studio::panels::Workspace;
use dinoscope::studio::{AppFrontend, StartupOptions, StudioApp};
use dinoscope_core::device::DeviceChoice;

#[test]
fn a_run_that_is_not_there_is_named_and_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let startup = StartupOptions {
        device: Some(DeviceChoice::Cpu),
        workspace: Workspace::Train,
        run: Some(folder.path().join("absent")),
        fresh: true,
        ..StartupOptions::default()
    };
    let build = |ctx: &egui::Context| -> Box<dyn AppFrontend> {
        Box::new(StudioApp::new(ctx, RenderBackend::default(), startup))
    };
    let mut window = HeadlessWindow::new([1280.0, 720.0], 1.0, egui::Theme::Dark, build);
    assert!(window.settle(Duration::from_secs(600)));
    let failures = window.stage().failures();
    assert!(failures.len() == 1 && failures[0].reason.contains("holds no run"), "{failures:?}");
    assert!(!window.stage().shows(), "nothing is followed");
    window.close();
}

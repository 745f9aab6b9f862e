//! What the studio's window keeps, and what it does on systems that lack something.

use std::path::Path;
use std::process::Command;

use dinoscope_tests::desktop::{Display, Region, Window, bounds, colours, differing, mean};
use dinoscope_tests::program;
use image::RgbImage;
use tempfile::TempDir;

/// The accent of the dark theme, which is on the one loud button.
const ACCENT: [u8; 3] = [0x5b, 0xb5, 0xc5];
/// The first button above the strip, which opens pictures.
const OPEN: (i32, i32) = (26, 102);
/// Where the large picture lies, and where a question stands.
const PICTURE: Region = Region::new(256, 80, 690, 660);
/// Its upper part, where a picture is, and on the first screen nothing.
const TOP: Region = Region::new(300, 84, 600, 50);

/// A window on a display of its own, with a folder to work in. Nothing where there is no X server.
fn on_display(work: impl FnOnce(&Display, &Path)) {
    let Some(display) = Display::start(1320, 840) else { return };
    let folder = TempDir::new().unwrap();
    work(&display, folder.path());
}

fn explore(folder: &Path) -> Command {
    program::command(folder, &["explore", "--device", "cpu", "--draw", "processor"])
}

/// The whole window, however large it is.
fn all(window: &Window<'_>) -> Region {
    Region::of(&window.screenshot())
}

fn until(window: &Window<'_>, what: &str, so: impl Fn(&RgbImage) -> bool) {
    window.wait_until(what, || so(&window.screenshot()));
}

#[test]
fn a_window_that_is_killed_comes_back_as_it_was() {
    on_display(|display, folder| {
        let window = display.open("killed", explore(folder));
        window.wait_until_still(all(&window));
        window.resize(1000, 640);
        window.wait_until("the new size", || window.screenshot().dimensions() == (1000, 640));
        // The button for the other theme stands at the right.
        window.click((865, 22));
        window.move_away();
        until(&window, "the light theme", |now| mean(now, Region::of(now))[1] > 200.0);
        let kept = display.home().join("config/dinoscope/studio.json");
        let written = || {
            let text = std::fs::read_to_string(&kept).unwrap_or_default();
            let kept: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            kept["values"]["theme"] == "Light"
                && kept["values"]["window"]["size"] == serde_json::json!([1000.0, 640.0])
        };
        window.wait_until("the settings on disk", written);
        // Dropped, the window kills its program.
        drop(window);

        let window = display.open("killed", explore(folder));
        assert_eq!(window.size(), (1000, 640));
        until(&window, "the light theme again", |now| mean(now, Region::of(now))[1] > 200.0);
        assert!(window.close().status.success());
    });
}

#[test]
fn without_file_dialogs_a_path_is_typed() {
    on_display(|display, folder| {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/samples/scene-20-fish.jpg");
        std::fs::copy(sample, folder.join("a fish.jpg")).unwrap();
        let mut command = explore(folder);
        // Neither a portal nor zenity.
        command.env("PATH", folder).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
        let window = display.open("no-dialogs", command);
        let empty = window.wait_until_still(all(&window));
        assert!(colours(&empty, TOP) < 20);
        window.click(OPEN);
        window.move_away();
        let loud =
            |now: &RgbImage| bounds(now, PICTURE, ACCENT, 3).is_some_and(|b| b.width > 40 && b.height > 20);
        until(&window, "the question for a path", loud);
        window.picture("no-dialogs");
        window.press("Ctrl+A");
        window.type_text(&format!("'{}'", folder.join("a fish.jpg").display()));
        window.press("Enter");
        until(&window, "the picture", |now| colours(now, TOP) > 20);
        let seen = window.wait_until_still(all(&window));
        window.picture("no-dialogs-picture");
        // The next dialog begins where this one was.
        window.click(OPEN);
        window.move_away();
        until(&window, "the question again", |now| differing(&seen, now, PICTURE, 24) > 0.05);
        let kept = display.home().join("config/dinoscope/studio.json");
        let place =
            || std::fs::read_to_string(&kept).is_ok_and(|text| text.contains(&folder.display().to_string()));
        window.wait_until("where dialogs were", place);
        window.press("Escape");
        until(&window, "no question", |now| differing(&seen, now, PICTURE, 24) < 0.01);
        assert!(window.close().status.success());
    });
}

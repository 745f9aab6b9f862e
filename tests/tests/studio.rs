//! The studio's window, used as a person uses it: pictures dropped in, features looked at, a model trained, and what
//! was drawn looked at.
//!
//! Programs that act as a GPU take their time: after every touch these tests wait for what it brings, not for a time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dinoscope_tests::desktop::{At, Display, Ended, Region, Window, bounds, colours, differing, mean};
use dinoscope_tests::program;
use image::RgbImage;
use tempfile::TempDir;

/// The whole window as it is at first.
const ALL: Region = Region::new(0, 0, 1280, 800);
/// Where a square picture lies.
const PICTURE: Region = Region::new(256, 80, 690, 660);
/// Its upper part, where a picture is, and on the first screen nothing.
const TOP: Region = Region::new(300, 84, 600, 50);
/// The first two rows of thumbnails, and how many pictures there are.
const STRIP: Region = Region::new(8, 122, 190, 220);
/// The button for the other theme.
const THEME: At = (1145, 22);
/// The accent of the dark theme, which is on the one loud button, and around what has the keyboard.
const ACCENT: [u8; 3] = [0x5b, 0xb5, 0xc5];
/// What the start of a run becomes: its foot below the recipe.
const FOOT: Region = Region::new(0, 750, 300, 50);
/// A row above it: what holds and ends a run.
const HOLDS: Region = Region::new(0, 704, 300, 46);

/// A window on a display of its own, with a folder to work in. Nothing where there is no X server.
fn studio(work: impl FnOnce(&Display, &Path)) {
    let Some(display) = Display::start(1320, 840) else { return };
    let folder = TempDir::new().unwrap();
    work(&display, folder.path());
}

/// Opens the window, and waits until the model is there and nothing moves any more.
fn open<'d>(display: &'d Display, name: &str, command: Command) -> Window<'d> {
    let window = display.open(name, command);
    assert_eq!((window.title().as_str(), window.size()), ("Dinoscope", (1280, 800)));
    window.wait_until_still(ALL);
    window
}

/// Waits until what is to be seen is so, and returns it.
#[track_caller]
fn until(window: &Window<'_>, what: &str, so: impl Fn(&RgbImage) -> bool) -> RgbImage {
    let mut now = window.screenshot();
    window.wait_until(what, || {
        now = window.screenshot();
        so(&now)
    });
    now
}

/// Whether something lies over a photograph: the colours are others than its own.
fn covered(now: &RgbImage, photo: [f64; 3]) -> bool {
    colours(now, TOP) > 20 && apart(mean(now, PICTURE), photo) > 15.0
}

/// Whether two views show the same, but for what is beside the point.
fn alike(a: &RgbImage, b: &RgbImage, region: Region) -> bool {
    differing(a, b, region, 24) < 0.05
}

/// How far apart the mean colours of two views are.
fn apart(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn well(ended: &Ended) {
    assert!(ended.status.success() && !ended.said.contains("panicked"), "{}\n{}", ended.status, ended.said);
}

/// A sample picture under a name with everything that names may have; and the mean of its colours.
fn picture(folder: &Path, sample: &str, name: &str) -> (PathBuf, [f64; 3]) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/samples").join(sample);
    let to = folder.join(name);
    std::fs::copy(&from, &to).unwrap();
    let pixels = image::open(&from).unwrap().into_rgb8();
    let colour = mean(&pixels, Region::of(&pixels));
    (to, colour)
}

/// Drops a picture, and waits for its colours by principal components: many, and not those of the photograph.
#[track_caller]
fn drop_in(window: &Window<'_>, file: &Path, photo: [f64; 3]) -> RgbImage {
    window.drop_files(&[file], PICTURE.centre());
    window.move_away();
    until(window, "the colours of a picture", |now| covered(now, photo));
    window.wait_until_still(ALL)
}

/// What one does with pictures; `arguments` say what draws.
fn looked_at(name: &str, arguments: &[&str]) {
    studio(|display, folder| {
        let window = open(display, name, program::command(folder, arguments));
        let empty = window.picture(&format!("{name}-empty"));

        // One picture, then another.
        let (fish, fish_colour) = picture(folder, "scene-20-fish.jpg", "Grüße aus Köln & 100% Fisch.jpg");
        assert!(!covered(&empty, fish_colour), "more than an invitation and a small sample");
        let (rocket, rocket_colour) = picture(folder, "scene-26-rocket.jpg", "rocket.jpg");
        let first = drop_in(&window, &fish, fish_colour);
        let place = Region::new(14, 152, 80, 80);
        assert!(colours(&first, place) > 300, "a thumbnail");
        window.drop_files(&[&rocket], PICTURE.centre());
        window.move_away();
        until(&window, "a second thumbnail", |now| colours(now, Region::new(110, 152, 80, 80)) > 300);
        window.press("Left");
        until(&window, "the first picture", |now| alike(&first, now, PICTURE));
        window.press("Right");
        until(&window, "the second picture", |now| {
            covered(now, rocket_colour) && !alike(&first, now, PICTURE)
        });
        window.picture(&format!("{name}-pca"));
        window.press("Left");
        until(&window, "the first picture again", |now| alike(&first, now, PICTURE));

        // Attention, then similarity, which shows the photograph until something is pointed at.
        window.press("2");
        until(&window, "attention", |now| covered(now, fish_colour) && !alike(&first, now, PICTURE));
        window.picture(&format!("{name}-attention"));
        window.press("3");
        until(&window, "the photograph", |now| apart(mean(now, PICTURE), fish_colour) < 6.0);
        let photo = window.wait_until_still(ALL);
        window.move_to((520, 400));
        let lit = |now: &RgbImage| !alike(&photo, now, PICTURE);
        let body = until(&window, "what is similar to the fish", lit);
        window.move_to((300, 120));
        until(&window, "what is similar to the water", |now| lit(now) && !alike(&body, now, PICTURE));
        window.picture(&format!("{name}-similar"));

        // Closer, and back.
        window.move_away();
        until(&window, "the photograph again", |now| alike(&photo, now, PICTURE));
        window.move_to((600, 400));
        until(&window, "what is similar there", |now| differing(&photo, now, PICTURE, 24) > 0.05);
        let pointed = window.wait_until_still(PICTURE);
        window.scroll((600, 400), -4);
        // The wheel turns what the pointer is over: it stays until a frame has seen that.
        until(&window, "a change", |now| differing(&pointed, now, PICTURE, 24) > 0.05);
        window.move_away();
        until(&window, "a closer look", |now| differing(&photo, now, PICTURE, 24) > 0.25);
        window.wait_until_still(PICTURE);
        window.press("0");
        until(&window, "the whole picture", |now| alike(&photo, now, PICTURE));

        // What is no picture is said, and changes nothing.
        let strip = window.wait_until_still(ALL);
        let notes = folder.join("notes.txt");
        std::fs::write(&notes, "not a picture").unwrap();
        window.drop_files(&[&notes], PICTURE.centre());
        window.move_away();
        // In the bar at the top; the picture lights up under the file that is dropped.
        let toast = Region::new(600, 4, 360, 40);
        until(&window, "a message", |now| differing(&strip, now, toast, 8) > 0.02);
        window.picture(&format!("{name}-toast"));
        until(&window, "the pictures as they were", |now| differing(&strip, now, STRIP, 8) == 0.0);
        well(&window.close());
    });
}

#[test]
fn pictures_are_looked_at_with_vulkan() {
    looked_at("explore-vulkan", &["explore", "--device", "cpu", "--draw", "gpu"]);
}

#[test]
fn pictures_are_looked_at_without_a_gpu() {
    looked_at("explore-software", &["explore", "--device", "cpu", "--draw", "processor"]);
}

#[test]
fn without_any_adapter_there_is_a_window() {
    studio(|display, folder| {
        let mut command = program::command(folder, &[]);
        // Neither name may find a driver: old and new loaders read different ones.
        command.env("VK_DRIVER_FILES", "/nonexistent").env("VK_ICD_FILENAMES", "/nonexistent");
        let window = open(display, "explore-no-adapter", command);
        let (fish, colour) = picture(folder, "scene-20-fish.jpg", "fish.jpg");
        drop_in(&window, &fish, colour);
        well(&window.close());
    });
}

#[test]
fn what_the_gpu_computed_is_drawn_from_its_own_memory() {
    studio(|display, folder| {
        let window =
            open(display, "explore-shared", program::command(folder, &["explore", "--device", "gpu:0"]));
        let (file, colour) = picture(folder, "scene-20-fish.jpg", "fish.jpg");
        let small = folder.join("small.png");
        image::open(&file).unwrap().thumbnail(64, 64).save(&small).unwrap();
        drop_in(&window, &small, colour);
        window.picture("explore-shared");
        well(&window.close());
    });
}

/// The only run below a folder, once it has one.
fn run_in(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries.into_iter().find_map(|path| match path.is_dir() {
        true if path.join("recipe.toml").is_file() => Some(path),
        true => run_in(&path),
        false => None,
    })
}

/// How many steps a run has written down.
fn steps(folder: &Path) -> usize {
    let lines = run_in(folder).and_then(|run| std::fs::read_to_string(run.join("metrics.jsonl")).ok());
    lines.map_or(0, |lines| lines.lines().filter(|line| line.contains("\"loss\"")).count())
}

/// Goes to the training side and presses Start; waits until steps have been done. Where Start was is returned.
fn start_training(window: &Window<'_>, folder: &Path) -> At {
    window.press("Ctrl+2");
    let shown = until(window, "the button that starts", |now| loud(now, FOOT).is_some());
    let start = loud(&shown, FOOT).unwrap().centre();
    window.click(start);
    window.move_away();
    window.wait_until("three steps", || steps(folder) >= 3);
    start
}

/// Where the loud button is in a region.
fn loud(picture: &RgbImage, region: Region) -> Option<Region> {
    bounds(picture, region, ACCENT, 3).filter(|found| found.width > 60 && found.height > 24)
}

/// Whether the newest checkpoint of a run can be read: its state, and its weights.
fn whole(folder: &Path) {
    let run = run_in(folder).unwrap();
    let checkpoints = std::fs::read_dir(run.join("checkpoints")).unwrap().flatten().map(|entry| entry.path());
    let newest = checkpoints.max().unwrap();
    let state = std::fs::read(newest.join("state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    assert!(state.is_object() && newest.join("teacher.safetensors").is_file(), "{}", newest.display());
    program::ok(folder, &["weights", "inspect", run.to_str().unwrap()]);
}

#[test]
fn a_run_is_started_paused_resumed_and_stopped() {
    studio(|display, folder| {
        // Runs are kept in the documents, wherever the program was started.
        let home = &display.home().join("Documents/Dinoscope");
        let window = open(display, "train", program::command(folder, &["explore", "--device", "cpu"]));
        let button = start_training(&window, home);
        window.picture("train-running");

        // Above where Start was there is Pause now, and after it Resume, which is loud again.
        let pause = (button.0, HOLDS.centre().1);
        window.click(pause);
        window.move_away();
        until(&window, "a paused run", |now| loud(now, HOLDS).is_some());
        let paused = steps(home);
        window.picture("train-paused");
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(steps(home), paused, "steps while it is paused");
        window.click(pause);
        window.move_away();
        window.wait_until("steps after the pause", || steps(home) >= paused + 2);

        // Stop is right of Pause.
        window.click((pause.0 + 90, pause.1));
        window.move_away();
        until(&window, "the button that starts", |now| loud(now, FOOT).is_some());
        window.picture("train-stopped");
        well(&window.close());
        whole(home);
    });
}

#[test]
fn closing_while_a_run_goes_on_asks_and_saves() {
    studio(|display, folder| {
        let home = &display.home().join("Documents/Dinoscope");
        let window = open(display, "closing", program::command(folder, &["explore", "--device", "cpu"]));
        start_training(&window, home);
        let question = Region::new(400, 250, 480, 300);

        // Kept open, the run goes on.
        window.ask_to_close();
        until(&window, "the question", |now| loud(now, question).is_some());
        window.picture("closing-question");
        window.press("Escape");
        until(&window, "no question", |now| loud(now, question).is_none());
        let then = steps(home);
        window.wait_until("steps", || steps(home) > then);

        window.ask_to_close();
        let asked = until(&window, "the question", |now| loud(now, question).is_some());
        window.click(loud(&asked, question).unwrap().centre());
        well(&window.end());
        whole(home);
    });
}

#[test]
fn the_keyboard_alone_reaches_everything() {
    studio(|display, folder| {
        let command = program::command(folder, &["explore", "--device", "cpu", "--draw", "processor"]);
        let window = open(display, "keyboard", command);
        until(&window, "the sample", |now| colours(now, PICTURE) > 3000);
        let explore = window.wait_until_still(ALL);
        window.press("Ctrl+2");
        until(&window, "the training side", |now| loud(now, FOOT).is_some());
        window.press("Ctrl+1");
        until(&window, "the exploring side", |now| differing(&explore, now, ALL, 8) == 0.0);
        window.press("Ctrl+L");
        let log = Region::new(0, 640, 1280, 160);
        until(&window, "the log", |now| differing(&explore, now, log, 8) > 0.01);
        window.press("Ctrl+L");
        until(&window, "no log", |now| differing(&explore, now, ALL, 8) == 0.0);

        // The button that draws scenes, found by the ring around what has the keyboard.
        let scenes = Region::new(712, 579, 140, 38);
        let reached = (0..40).any(|_| {
            let before = window.screenshot();
            window.press("Tab");
            let now = window.wait_for_change(&before, ALL);
            bounds(&now, scenes, ACCENT, 8).is_some()
        });
        assert!(reached, "no ring around the button for scenes");
        window.picture("keyboard-focus");
        window.press("Enter");
        until(&window, "scenes", |now| colours(now, PICTURE) > 3000 && colours(now, STRIP) > 1000);
        well(&window.close());
    });
}

#[test]
fn a_window_comes_back_as_it_was_left() {
    studio(|display, folder| {
        let command = || program::command(folder, &["explore", "--device", "cpu", "--draw", "processor"]);
        let window = open(display, "remembered", command());
        let dark = window.screenshot();
        window.click(THEME);
        window.move_away();
        until(&window, "the light theme", |now| mean(now, ALL)[1] > 200.0);
        window.drag(&[(204, 400), (320, 400)]);
        window.move_away();
        until(&window, "a wider strip", |now| differing(&dark, now, Region::new(205, 300, 8, 200), 8) > 0.0);
        let left = window.wait_until_still(ALL);
        well(&window.close());

        let window = open(display, "remembered", command());
        until(&window, "the same window", |now| differing(&left, now, ALL, 8) < 0.001);
        window.picture("remembered");
        assert!(mean(&dark, ALL)[1] < 60.0);
        well(&window.close());
    });
}

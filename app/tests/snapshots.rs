//! Pictures of every panel, compared with those in `snapshots/`. `UPDATE_SNAPSHOTS=1` makes them anew.
//!
//! Drawn by the processor, so that they are the same everywhere. What depends on the machine (its name, times) is
//! covered; what a model sees is compared as a whole, because the last digits of features differ between processors.

use std::path::Path;

use crate::common::moving::{animation, truth};
use crate::common::window::*;
use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope::studio::StartupOptions;
use dinoscope::studio::explore::ExplorePanel;
use dinoscope::studio::panels::Workspace;
use dinoscope_core::explore::ModelSource;
use egui::accesskit::Role;
use egui::{Rect, Theme, vec2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use egui_kittest::{SnapshotOptions, image_snapshot_options};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{Rgba, RgbaImage};

/// Mean difference that pictures of features may have, in levels of 255.
const SOFT: f64 = 3.0;
/// What a square of them may have: a patch of another colour, or a line that is missing, has more.
const SOFT_SQUARE: f64 = 12.0;
/// Side of such a square, in pixels.
const SQUARE: u32 = 12;

const FISH: &str = "scene-20-fish.jpg";
const ROCKET: &str = "scene-26-rocket.jpg";

/// What is covered: text that is another one on another machine or with another run.
fn covered(window: &Window) -> Vec<Rect> {
    // How far each may ever reach, whatever it says; the device's name grows to the left.
    let changing = [
        (" patches  ", 180.0),
        ("Device: ", -230.0),
        ("of what varies", 257.0),
        ("CPU (", 150.0),
        (" of 8   seen, ", 140.0),
        (" of 8   lost, ", 140.0),
        ("% of the frame", 160.0),
        ("Computed by", 256.0),
        ("MB of memory", 180.0),
        ("CKA", 257.0),
        (" % shared", 140.0),
    ];
    let field = window.query_by_role_and_label(Role::TextInput, "Keep runs in");
    let mut covered: Vec<Rect> = field.iter().map(|node| node.rect()).collect();
    for (text, reach) in changing {
        for node in window.query_all_by_label_contains(text) {
            let rect = node.rect();
            if text == "CPU (" && node.accesskit_node().role() == Role::Button {
                continue; // the device's button, which has a reach of its own
            }
            covered.push(match reach < 0.0 {
                true => rect.with_min_x(rect.right() + reach),
                false => rect.with_max_x(rect.left() + reach),
            });
        }
    }
    covered.iter_mut().for_each(|rect| *rect = rect.expand(1.0));
    covered
}

fn rows(picture: &RgbaImage, rect: Rect, scale: f32) -> [u32; 4] {
    let clamp = |at: f32, most: u32| ((at * scale).round().max(0.0) as u32).min(most);
    let (width, height) = picture.dimensions();
    [clamp(rect.min.x, width), clamp(rect.min.y, height), clamp(rect.max.x, width), clamp(rect.max.y, height)]
}

/// Means of blocks: a fraction of the bytes, and nothing that is compared is lost.
fn coarsen(picture: &mut RgbaImage, [left, top, right, bottom]: [u32; 4]) {
    const SIDE: u32 = 4;
    for (y, x) in (top..bottom)
        .step_by(SIDE as usize)
        .flat_map(|y| (left..right).step_by(SIDE as usize).map(move |x| (y, x)))
    {
        let block: Vec<(u32, u32)> =
            (y..bottom.min(y + SIDE)).flat_map(|y| (x..right.min(x + SIDE)).map(move |x| (x, y))).collect();
        let mut sum = [0u32; 4];
        for (x, y) in &block {
            sum.iter_mut().zip(picture.get_pixel(*x, *y).0).for_each(|(sum, level)| *sum += u32::from(level));
        }
        let mean = Rgba(sum.map(|sum| (sum / block.len() as u32) as u8));
        block.iter().for_each(|(x, y)| picture.put_pixel(*x, *y, mean));
    }
}

/// Compares the window with its picture; inside `soft` only as a whole.
#[track_caller]
fn compare(window: &mut Window, name: &str, soft: &[Rect]) {
    let scale = window.ctx.pixels_per_point();
    let covers = covered(window);
    let mut picture = window.render().unwrap();
    let grey = Rgba([128, 128, 128, 255]);
    for rect in covers {
        let [left, top, right, bottom] = rows(&picture, rect, scale);
        for y in top..bottom {
            for x in left..right {
                picture.put_pixel(x, y, grey);
            }
        }
    }
    soft.iter().for_each(|rect| {
        let part = rows(&picture, *rect, scale);
        coarsen(&mut picture, part);
    });
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    if let Ok(kept) = image::open(folder.join(format!("{name}.png"))) {
        accept(&mut picture, &kept.to_rgba8(), soft, scale);
    }
    image_snapshot_options(&picture, name, &SnapshotOptions::new().output_path(&folder));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        write_small(&picture, &folder.join(format!("{name}.png")));
    }
}

/// Writes a picture once more, as small as it gets: it is kept in the repository for good.
fn write_small(picture: &RgbaImage, to: &Path) {
    let file = std::fs::File::create(to).unwrap();
    let encoder = PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive);
    image::DynamicImage::ImageRgba8(picture.clone()).to_rgb8().write_with_encoder(encoder).unwrap();
}

/// Takes over what was kept where it differs by so little that nobody would see it.
fn accept(picture: &mut RgbaImage, kept: &RgbaImage, soft: &[Rect], scale: f32) {
    if picture.dimensions() != kept.dimensions() {
        return;
    }
    for rect in soft {
        let [left, top, right, bottom] = rows(picture, *rect, scale);
        let crop = |of: &RgbaImage| {
            image::imageops::crop_imm(of, left, top, right.saturating_sub(left), bottom.saturating_sub(top))
                .to_image()
        };
        let (new, old) = (crop(picture), crop(kept));
        if difference(&new, &old) < SOFT && largest_of_squares(&new, &old) < SOFT_SQUARE {
            image::imageops::replace(picture, &old, i64::from(left), i64::from(top));
        }
    }
}

/// The largest mean difference of a square of two pictures, in levels of 255.
fn largest_of_squares(a: &RgbaImage, b: &RgbaImage) -> f64 {
    let (width, height) = a.dimensions();
    let square =
        |of: &RgbaImage, x: u32, y: u32| image::imageops::crop_imm(of, x, y, SQUARE, SQUARE).to_image();
    let places = (0..height)
        .step_by(SQUARE as usize)
        .flat_map(|y| (0..width).step_by(SQUARE as usize).map(move |x| (x, y)));
    places.map(|(x, y)| difference(&square(a, x, y), &square(b, x, y))).fold(0.0, f64::max)
}

#[test]
fn an_error_in_one_place_is_no_noise() {
    let kept = RgbaImage::from_pixel(200, 150, Rgba([90, 120, 60, 255]));
    let noisy = RgbaImage::from_fn(200, 150, |x, y| {
        let more = ((x * 7 + y * 13) % 5) as u8;
        Rgba([90 + more, 120, 60, 255])
    });
    let mut patch = kept.clone();
    image::imageops::replace(&mut patch, &RgbaImage::from_pixel(16, 16, Rgba([200, 60, 60, 255])), 40, 50);
    assert!(difference(&noisy, &kept) < SOFT && largest_of_squares(&noisy, &kept) < SOFT_SQUARE);
    assert!(difference(&patch, &kept) < SOFT, "hardly anything of the whole");
    assert!(largest_of_squares(&patch, &kept) > SOFT_SQUARE);
}

/// Everything that shows what a model saw: the large pictures, the strip, the heads.
fn features(window: &Window) -> Vec<Rect> {
    let mut soft: Vec<Rect> = window
        .query_all_by_label_contains(" picture: ")
        .chain(window.query_all_by_label_contains("as model B sees it"))
        .chain(window.query_all_by_role_and_label(Role::Button, FISH))
        .chain(window.query_all_by_role_and_label(Role::Button, ROCKET))
        .map(|node| node.rect())
        .collect();
    for name in ["Mean", "Head 1", "Head 2", "Head 3"] {
        soft.extend(window.query_by_role_and_label(Role::RadioButton, name).map(|node| node.rect()));
    }
    soft
}

fn explore(size: egui::Vec2, scale: f32, theme: Theme, panel: ExplorePanel) -> Window {
    let startup = StartupOptions {
        pictures: vec![sample(FISH), sample(ROCKET)],
        weights: Some(ModelSource::Path(official())),
        panel: Some(panel),
        ..fresh()
    };
    let mut window = window_of(size, scale, theme, startup);
    settle(&mut window);
    window
}

const USUAL: egui::Vec2 = vec2(1280.0, 720.0);
const THEMES: [(Theme, &str); 2] = [(Theme::Dark, "dark"), (Theme::Light, "light")];

#[test]
fn nothing_open() {
    for (theme, name) in THEMES {
        let startup = StartupOptions { weights: Some(ModelSource::Path(official())), ..fresh() };
        let mut window = window_of(USUAL, 1.0, theme, startup);
        settle(&mut window);
        compare(&mut window, &format!("empty-{name}"), &[]);
    }
}

#[test]
fn components() {
    for (theme, name) in THEMES {
        let mut window = explore(USUAL, 1.0, theme, ExplorePanel::Pca);
        let soft = features(&window);
        compare(&mut window, &format!("pca-{name}"), &soft);
        for (label, how) in [("Swipe", "swipe"), ("Beside", "beside")] {
            choose(&mut window, label);
            let soft = features(&window);
            compare(&mut window, &format!("{how}-{name}"), &soft);
        }
    }
}

#[test]
fn attention() {
    for (theme, name) in THEMES {
        let mut window = explore(USUAL, 1.0, theme, ExplorePanel::Attention);
        let soft = features(&window);
        compare(&mut window, &format!("attention-{name}"), &soft);
    }
}

#[test]
fn similar_to_a_pinned_patch() {
    for (theme, name) in THEMES {
        let mut window = explore(USUAL, 1.0, theme, ExplorePanel::Similarity);
        let soft = features(&window);
        compare(&mut window, &format!("similar-{name}"), &soft);
    }
}

#[test]
fn matches() {
    for (theme, name) in THEMES {
        let mut window = explore(USUAL, 1.0, theme, ExplorePanel::Match);
        let soft = features(&window);
        // Lines go over the gap between the pictures.
        let whole = soft.iter().take(2).copied().reduce(Rect::union).unwrap();
        compare(&mut window, &format!("match-{name}"), &[soft, vec![whole]].concat());
    }
}

#[test]
fn two_models() {
    let usual = [
        (Theme::Dark, "compare-dark", ExplorePanel::Pca),
        (Theme::Light, "compare-light", ExplorePanel::Pca),
    ];
    let narrow = (Theme::Dark, "compare-narrow-dark", ExplorePanel::Similarity);
    for (theme, name, panel) in usual.into_iter().chain([narrow]) {
        let startup = StartupOptions {
            pictures: vec![sample(FISH), sample(ROCKET)],
            weights: Some(ModelSource::Starter),
            against: Some(ModelSource::Path(official())),
            panel: Some(panel),
            ..fresh()
        };
        let size = if name.contains("narrow") { vec2(720.0, 900.0) } else { USUAL };
        let mut window = window_of(size, 1.0, theme, startup);
        settle(&mut window);
        let soft = features(&window);
        compare(&mut window, name, &soft);
    }
}

#[test]
fn other_sizes() {
    for (size, scale, theme, name) in [
        (vec2(1920.0, 1080.0), 1.0, Theme::Dark, "large-dark"),
        (vec2(720.0, 480.0), 2.0, Theme::Light, "200-percent-light"),
    ] {
        let mut window = explore(size, scale, theme, ExplorePanel::Pca);
        let soft = features(&window);
        compare(&mut window, name, &soft);
    }
}

#[test]
fn about_log_and_toasts() {
    for (theme, name) in THEMES {
        about_log_and_toasts_in(theme, name);
    }
}

fn about_log_and_toasts_in(theme: Theme, name: &str) {
    let startup = StartupOptions { weights: Some(ModelSource::Path(official())), ..fresh() };
    let mut window = window_of(USUAL, 1.0, theme, startup);
    settle(&mut window);
    press(&mut window, Role::Button, "About Dinoscope");
    steps(&mut window, 2);
    compare(&mut window, &format!("about-{name}"), &[]);
    press(&mut window, Role::Button, "Close");
    press(&mut window, Role::Button, "Log");
    give(&mut window, DialogPurpose::OpenWeights, &[Path::new("/nowhere/weights.pth")]);
    settle(&mut window);
    give(&mut window, DialogPurpose::OpenPictures, &[Path::new("/nowhere/picture.jpg")]);
    until(&mut window, "two toasts", says("picture.jpg"));
    steps(&mut window, 3);
    compare(&mut window, &format!("log-and-toasts-{name}"), &[]);
}

#[test]
fn before_judging() {
    for (theme, name) in [(Theme::Dark, "evaluate-dark"), (Theme::Light, "evaluate-light")] {
        let startup = StartupOptions {
            weights: Some(ModelSource::Path(official())),
            workspace: Workspace::Evaluate,
            ..fresh()
        };
        let mut window = window_of(USUAL, 1.0, theme, startup);
        settle(&mut window);
        compare(&mut window, name, &[]);
    }
}

#[test]
fn before_training() {
    for (theme, name) in [(Theme::Dark, "train-dark"), (Theme::Light, "train-light")] {
        let startup = StartupOptions {
            weights: Some(ModelSource::Path(official())),
            workspace: Workspace::Train,
            ..fresh()
        };
        let mut window = window_of(USUAL, 1.0, theme, startup);
        let runs = std::env::temp_dir().join("runs");
        let field = node(&window, Role::TextInput, "Keep runs in");
        field.set_text_value_accesskit(&runs.to_string_lossy());
        until(&mut window, "the pictures", says("drawn as needed"));
        settle(&mut window);
        compare(&mut window, name, &[]);
    }
}

/// A place, what is lost, and a mask, in the last frame of a small animation.
#[test]
fn following() {
    let folder = tempfile::tempdir().unwrap();
    let film = animation(folder.path(), 8);
    for (size, theme, name) in [
        (USUAL, Theme::Dark, "follow-dark"),
        (USUAL, Theme::Light, "follow-light"),
        (vec2(720.0, 560.0), Theme::Dark, "follow-narrow-dark"),
    ] {
        let mut window = window_of(size, 1.0, theme, fresh());
        settle(&mut window);
        press(&mut window, Role::Tab, "Follow");
        if name == "follow-light" {
            compare(&mut window, "follow-empty-light", &[]);
        }
        give(&mut window, DialogPurpose::FollowFrames, &[&film]);
        settle(&mut window);
        let frame = |window: &Window| window.get_by_label_contains("large frame").rect();
        let place = frame(&window);
        let side = place.width().min(place.height());
        let share = truth()[0];
        let at =
            Rect::from_center_size(place.center(), vec2(side, side)).lerp_inside(egui::Vec2::from(share));
        click(&mut window, at);
        slide(&mut window, "Frame", 8.0);
        leave(&mut window);
        let soft = [frame(&window)];
        compare(&mut window, name, &soft);
        if name == "follow-light" {
            continue;
        }
        slide(&mut window, "Threshold", 1.0);
        if name == "follow-dark" {
            compare(&mut window, "follow-lost-dark", &soft);
        }
        slide(&mut window, "Threshold", 0.5);
        slide(&mut window, "Frame", 1.0);
        choose(&mut window, "Mask");
        click(&mut window, at);
        slide(&mut window, "Frame", 8.0);
        choose(&mut window, "Paint");
        leave(&mut window);
        compare(&mut window, &name.replace("follow", "follow-mask"), &soft);
    }
}

//! A model beside a run: its features of the watched pictures, in the run's colours.

use std::path::Path;

use dinoscope::platform::dialogs::DialogPurpose;
use egui::accesskit::Role;
use egui::{Theme, vec2};
use egui_kittest::kittest::Queryable as _;

use super::window::*;

fn beside(window: &Window) -> Option<String> {
    window.state().as_ref()?.train().snapshot().and_then(|run| run.beside)
}

/// A window that shows a run which has ended.
fn trained(folder: &Path, size: egui::Vec2, theme: Theme) -> Window {
    tiny(folder, &["train.iterations=12", "optim.warmup=2"]);
    let mut window = window_of(size, 1.0, theme, folder);
    open_recipe(&mut window, folder);
    click(&mut window, "Start");
    let report = folder.join("runs/nano-001/report.html");
    until(&mut window, "the end", |window| report.is_file() && has_button(window, "Start"));
    until(&mut window, "pictures", says("Watched pictures after 12"));
    window
}

#[test]
fn a_model_shows_beside_the_run_and_in_its_film() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = trained(folder.path(), vec2(1280.0, 720.0), Theme::Dark);
    window.get_by_role_and_label(Role::ComboBox, "Show another model beside the run").click_accesskit();
    steps(&mut window, 3);
    assert!(said(&window).contains("A run or a folder of weights…"), "{}", said(&window));
    click(&mut window, "Starter weights");
    until(&mut window, "the model", |window| beside(window).as_deref() == Some("starter weights"));
    let order = "Left to right: picture, run, starter weights, attention";
    assert!(said(&window).contains(order), "{}", said(&window));
    quiet(&mut window);
    shot(&mut window, "beside-all");

    // The past is the run's: the model stays beside it.
    click(&mut window, "First pictures");
    until(&mut window, "the first pictures", says("Watched pictures after 0"));
    window.get_by_role_and_label(Role::RadioButton, "PCA").click_accesskit();
    until(&mut window, "both", says("Left to right: run, starter weights"));
    quiet(&mut window);
    shot(&mut window, "beside-pca");

    let (film, frames) = (folder.path().join("film.gif"), folder.path().join("frames"));
    give(&mut window, DialogPurpose::SaveFilm, vec![film.clone()]);
    until(&mut window, "the film", says("Film saved as"));
    give(&mut window, DialogPurpose::SaveFrames, vec![frames.clone()]);
    until(&mut window, "the pictures", says("pictures saved in"));
    let of_run =
        image::image_dimensions(folder.path().join("runs/nano-001/pictures/000012-pca.png")).unwrap();
    let joined = image::image_dimensions(frames.join("000012-pca.png")).unwrap();
    assert_eq!(joined, (2 * of_run.0 + 8, of_run.1), "the model at the right of the run");
    assert_eq!(image::image_dimensions(&film).unwrap(), joined);

    click(&mut window, "Show the run alone");
    steps(&mut window, 3);
    assert!(beside(&window).is_none() && !said(&window).contains("Left to right"));
}

#[test]
fn what_is_no_model_is_said_and_the_run_stays_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = trained(folder.path(), vec2(960.0, 640.0), Theme::Light);
    let file = folder.path().join("broken.safetensors");
    std::fs::write(&file, b"no weights").unwrap();
    give(&mut window, DialogPurpose::BesideWeights, vec![file]);
    until(&mut window, "the reason", says("broken.safetensors"));
    until(&mut window, "the run alone", |window| {
        !said(window).contains("Model beside the run: broken.safetensors")
    });
    // A checkpoint of the run itself shows what the run shows.
    let own = folder.path().join("runs/nano-001");
    give(&mut window, DialogPurpose::BesideRun, vec![own]);
    until(&mut window, "the run beside itself", |window| beside(window).as_deref() == Some("nano-001"));
    window.get_by_role_and_label(Role::RadioButton, "PCA").click_accesskit();
    steps(&mut window, 10);
    shot(&mut window, "beside-itself");
    let frames = folder.path().join("frames");
    give(&mut window, DialogPurpose::SaveFrames, vec![frames.clone()]);
    until(&mut window, "the pictures", says("pictures saved in"));
    let joined = image::open(frames.join("000012-pca.png")).unwrap().to_rgb8();
    let half = (joined.width() - 8) / 2;
    let apart = |x: u32, y: u32| {
        let (a, b) = (joined.get_pixel(x, y), joined.get_pixel(x + half + 8, y));
        (0..3).map(|c| f64::from(a[c].abs_diff(b[c]))).sum::<f64>() / 3.0
    };
    let places = (0..joined.height()).flat_map(|y| (0..half).map(move |x| (x, y)));
    let sum: f64 = places.map(|(x, y)| apart(x, y)).sum();
    let mean = sum / f64::from(half * joined.height());
    assert!(mean < 6.0, "the same features in the same colours differ by {mean} of 255");
}

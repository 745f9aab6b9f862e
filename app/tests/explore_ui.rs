//! The exploring side, used by the names of its parts and with the pointer, as a person would.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::window::*;
use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope::studio::StartupOptions;
use dinoscope::studio::explore::ExplorePanel;
use dinoscope_core::explore::ModelSource;
use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, Pos2, Rect, vec2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use image::RgbaImage;

const FISH: &str = "scene-20-fish.jpg";
const ROCKET: &str = "scene-26-rocket.jpg";
const MUSHROOM: &str = "scene-33-mushroom.jpg";

/// A window with the official format's small model, two pictures and this panel.
fn looking(panel: ExplorePanel) -> Window {
    let mut window = window(StartupOptions {
        pictures: vec![sample(FISH), sample(ROCKET)],
        weights: Some(ModelSource::Path(official())),
        panel: Some(panel),
        ..fresh()
    });
    settle(&mut window);
    assert_eq!(snapshot(&window).pictures, 2);
    assert!(says("Model: official_vit.pth")(&window));
    window
}

/// What the large picture looks like, its status line not included.
fn large(window: &mut Window) -> RgbaImage {
    let place = place(window, "large");
    look(window, place)
}

/// The middle of a patch of the large picture, which fills its place's height.
fn patch_at(window: &Window, across: f32, down: f32) -> Pos2 {
    let place = place(window, "large");
    let side = place.width().min(place.height());
    Rect::from_center_size(place.center(), vec2(side, side)).lerp_inside(vec2(across, down))
}

/// Patches of the view, as the status line says.
fn grid(window: &Window) -> (usize, usize) {
    let label = window.get_by_label_contains(" patches  ").accesskit_node().value().unwrap();
    let numbers: Vec<usize> = label.split(' ').filter_map(|word| word.parse().ok()).collect();
    (numbers[0], numbers[1])
}

fn drop_on(window: &mut Window, paths: &[PathBuf]) {
    for path in paths {
        window.input_mut().dropped_files.push(Arc::new(Dropped(path.clone())));
    }
    window.step();
}

#[test]
fn pictures_come_in_by_every_way() {
    let mut window = window(StartupOptions { weights: Some(ModelSource::Path(official())), ..fresh() });
    assert!(says("Drop pictures here")(&window) && says("nothing open")(&window));

    // The path field, with the keyboard.
    let path = sample(FISH);
    node(&window, Role::TextInput, "Path to open").focus();
    window.step();
    node(&window, Role::TextInput, "Path to open").type_text(&path.to_string_lossy());
    window.key_press(Key::Enter);
    until(&mut window, "the typed picture", |window| has(window, Role::Button, FISH));
    assert!(says("1 picture")(&window) && !says("Drop pictures here")(&window));

    give(&mut window, DialogPurpose::OpenPictures, &[&sample(ROCKET), &sample(MUSHROOM)]);
    until(&mut window, "the dialog's pictures", says("3 pictures"));
    // What is open already is not opened again.
    drop_on(&mut window, &[sample(ROCKET), sample("scene-19-teapot.jpg")]);
    until(&mut window, "the dropped picture", says("4 pictures"));
    assert!(is_on(&window, Role::Button, FISH));
    drop_on(&mut window, &[sample(ROCKET)]);
    until(&mut window, "the one that came alone", |window| is_on(window, Role::Button, ROCKET));
    assert!(says("4 pictures")(&window));

    let pasted = Arc::new(egui::ColorImage::filled([40, 30], egui::Color32::RED));
    window.event(Event::PasteImage(pasted));
    window.step();
    settle(&mut window);
    assert!(is_on(&window, Role::Button, "pasted 1"), "what arrives alone is chosen");
    assert!(says("pasted 1  40 × 30")(&window));
    button(&mut window, "Close all pictures");
    window.event(Event::Paste(format!("{}\n\"{}\"\n", path.display(), sample(ROCKET).display())));
    until(&mut window, "the pasted paths", says("2 pictures"));
    window.event(Event::Paste("no path at all".to_owned()));
    until(&mut window, "why nothing was opened", says("The clipboard holds no picture"));

    button(&mut window, "Add built-in scenes");
    assert!(says("14 pictures")(&window) && has(&window, Role::Button, "scene 0"));
    button(&mut window, "Close all pictures");
    assert!(says("nothing open")(&window));
    press(&mut window, Role::Button, "Built-in scenes");
    settle(&mut window);
    assert_eq!((snapshot(&window).pictures, snapshot(&window).chosen.is_some()), (12, true));
    let folder = sample(FISH).parent().unwrap().to_owned();
    give(&mut window, DialogPurpose::OpenFolder, &[&folder]);
    until(&mut window, "the folder", |window| snapshot(window).pictures == 16);
    // An archive of pictures is a folder; one that holds a run is not.
    let packed = tempfile::tempdir().unwrap();
    let packed = packed.path().join("two.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&packed).unwrap());
    for name in [FISH, ROCKET] {
        zip.start_file(format!("in/{name}"), zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, &std::fs::read(sample(name)).unwrap()).unwrap();
    }
    zip.finish().unwrap();
    drop_on(&mut window, std::slice::from_ref(&packed));
    until(&mut window, "the archive", |window| snapshot(window).pictures == 18);
    settle(&mut window);
    assert!(!says("can't")(&window));
    // A cancelled dialog changes nothing.
    give(&mut window, DialogPurpose::OpenPictures, &[]);
    settle(&mut window);
    assert_eq!(snapshot(&window).pictures, 18);
}

#[test]
fn each_panel_and_arrangement_shows_something_else() {
    let mut window = looking(ExplorePanel::Pca);
    let mut looks = vec![("the components", large(&mut window))];
    for (name, label) in [("Swipe", "swiped"), ("Beside", "beside")] {
        choose(&mut window, name);
        looks.push((label, large(&mut window)));
    }
    choose(&mut window, "Over");
    assert!(difference(&looks[0].1, &large(&mut window)) < 0.01, "back as it was");
    slide(&mut window, "Opacity", 0.0);
    looks.push(("the picture alone", large(&mut window)));
    slide(&mut window, "Opacity", 100.0);
    looks.push(("the components alone", large(&mut window)));
    choose(&mut window, "Attention");
    looks.push(("attention", large(&mut window)));
    choose(&mut window, "Match");
    assert!(snapshot(&window).second.is_some(), "matches need a second picture");
    looks.push(("matches", large_of(&mut window, looks[0].1.dimensions())));
    for (i, (name, a)) in looks.iter().enumerate() {
        for (other, b) in &looks[i + 1..] {
            assert!(difference(a, b) > 1.0, "{name} and {other} look the same");
        }
    }
    button(&mut window, "Show one picture");
    assert_eq!(snapshot(&window).second, Some(1), "the panel chooses a second picture again");
}

/// A part of the window as large as another look, around the large picture.
fn large_of(window: &mut Window, (width, height): (u32, u32)) -> RgbaImage {
    let place = place(window, "large");
    look(window, Rect::from_min_size(place.min, vec2(width as f32, height as f32)))
}

#[test]
fn colours_are_shared_locked_and_split() {
    let mut window = looking(ExplorePanel::Pca);
    let first = snapshot(&window);
    key(&mut window, Key::ArrowRight);
    let second = snapshot(&window);
    assert_ne!((first.chosen, first.colours), (second.chosen, second.colours));
    let own = large(&mut window);

    switch(&mut window, "Lock colours", true);
    key(&mut window, Key::ArrowLeft);
    assert_eq!((snapshot(&window).chosen, snapshot(&window).colours), (first.chosen, second.colours));
    key(&mut window, Key::ArrowRight);
    assert!(difference(&own, &large(&mut window)) < 0.01, "locked colours are the same colours");
    // The key says the same as the switch.
    key(&mut window, Key::L);
    assert!(!is_on(&window, Role::Switch, "Lock colours"));

    choose(&mut window, "All");
    let all = snapshot(&window).colours;
    assert!(all > second.colours, "all pictures together have colours of their own");
    assert!(difference(&own, &large(&mut window)) > 1.0);
    key(&mut window, Key::ArrowLeft);
    choose(&mut window, "Selection");
    choose(&mut window, "This one");

    let smooth = large(&mut window);
    switch(&mut window, "Patches as blocks", true);
    let blocks = large(&mut window);
    assert!(difference(&smooth, &blocks) > 0.5);
    key(&mut window, Key::B);
    assert!(difference(&smooth, &large(&mut window)) < 0.01);

    let before = snapshot(&window).colours;
    switch(&mut window, "Objects only", true);
    assert!(snapshot(&window).colours > before);
    let told = says("everything is shown")(&window);
    assert!(told || difference(&smooth, &large(&mut window)) > 1.0, "split, or it says why not");
    assert!(says("of what varies")(&window));
}

#[test]
fn attention_of_each_head_block_and_patch() {
    let mut window = looking(ExplorePanel::Attention);
    assert!(is_on(&window, Role::RadioButton, "Mean") && is_on(&window, Role::RadioButton, "Whole picture"));
    let mean = large(&mut window);
    choose(&mut window, "Head 2");
    assert!(!is_on(&window, Role::RadioButton, "Mean"));
    let head = large(&mut window);
    assert!(difference(&mean, &head) > 0.5, "a head is not the mean of all");
    slide(&mut window, "Block", 1.0);
    let block = large(&mut window);
    assert!(difference(&head, &block) > 0.5, "the first block is not the last");

    choose(&mut window, "Pinned patch");
    assert!(says("Click a patch of the picture to pin it")(&window));
    assert!(difference(&block, &large(&mut window)) < 0.01, "nothing is pinned yet");
    let at = patch_at(&window, 0.2, 0.2);
    click(&mut window, at);
    leave(&mut window);
    let here = large(&mut window);
    let at = patch_at(&window, 0.8, 0.7);
    click(&mut window, at);
    leave(&mut window);
    assert!(difference(&here, &large(&mut window)) > 0.5, "another patch looks elsewhere");
    choose(&mut window, "Whole picture");
    slide(&mut window, "Block", 99.0);
    key(&mut window, Key::Escape);
    assert!(difference(&head, &large(&mut window)) < 0.01, "back as it was");
}

#[test]
fn resolution_changes_the_patches() {
    let mut window = looking(ExplorePanel::Pca);
    let own = grid(&window);
    let back = format!("Back to {}", 14 * own.0.min(own.1));
    assert!(!has(&window, Role::Button, &back));
    slide(&mut window, "Shorter side", 112.0);
    assert_eq!(grid(&window).0.min(grid(&window).1), 8);
    slide(&mut window, "Shorter side", 233.0);
    assert_eq!(grid(&window).0.min(grid(&window).1), 17, "to the next patch");
    button(&mut window, &back);
    assert_eq!(grid(&window), own);
}

#[test]
fn similar_patches_light_up_here_and_in_the_other_pictures() {
    let mut window = looking(ExplorePanel::Pca);
    choose(&mut window, "Similar");
    let other = node(&window, Role::Button, ROCKET).rect().shrink(4.0);
    let both = |window: &mut Window| (large(window), look(window, other));
    let plain = both(&mut window);
    let at = patch_at(&window, 0.25, 0.3);
    point(&mut window, at);
    let first = both(&mut window);
    let lit = (difference(&plain.0, &first.0), difference(&plain.1, &first.1));
    assert!(lit.0 > 2.0 && lit.1 > 2.0, "{lit:?}");
    let at = patch_at(&window, 0.7, 0.8);
    point(&mut window, at);
    let second = both(&mut window);
    assert!(difference(&first.0, &second.0) > 1.0, "another patch, other similarities");
    assert!(difference(&first.1, &second.1) > 1.0, "in the other picture too");

    click(&mut window, at);
    let pinned = snapshot(&window).pinned.unwrap();
    assert!(says("pinned")(&window));
    leave(&mut window);
    assert!(difference(&second.1, &look(&mut window, other)) < 0.01, "it stays while the pointer goes");
    let (rows, cols) = grid(&window);
    for (pressed, by) in [(Key::W, -(cols as isize)), (Key::A, -1), (Key::S, cols as isize), (Key::D, 1)] {
        let before = snapshot(&window).pinned.unwrap().patch;
        key(&mut window, pressed);
        assert_eq!(snapshot(&window).pinned.unwrap().patch, before.strict_add_signed(by), "{pressed:?}");
    }
    assert_eq!(snapshot(&window).pinned, Some(pinned));
    for _ in 0..2 * rows {
        window.key_press(Key::W);
    }
    window.step();
    assert_eq!(snapshot(&window).pinned.unwrap().patch, pinned.patch % cols, "the first row is the last one");
    key(&mut window, Key::Escape);
    assert_eq!(snapshot(&window).pinned, None);
    assert!(difference(&plain.0, &large(&mut window)) < 0.01, "nothing lights up any more");
    key(&mut window, Key::D);
    assert_eq!(snapshot(&window).pinned.unwrap().patch, rows / 2 * cols + cols / 2 + 1, "from the middle");
    // A click on it lets go as well.
    key(&mut window, Key::Escape);
    click(&mut window, at);
    click(&mut window, at);
    assert_eq!(snapshot(&window).pinned, None);
}

#[test]
fn keys_choose_panels_and_pictures() {
    let mut window = looking(ExplorePanel::Pca);
    for (digit, name) in [
        (Key::Num2, "Attention"),
        (Key::Num3, "Similar"),
        (Key::Num1, "PCA"),
        (Key::Num4, "Match"),
        (Key::Num1, "PCA"),
    ] {
        key(&mut window, digit);
        assert!(is_on(&window, Role::RadioButton, name), "{name}");
    }
    let chosen = |window: &Window| snapshot(window).chosen.unwrap();
    assert_eq!(chosen(&window), 0);
    for (pressed, at) in [
        (Key::ArrowRight, 1),
        (Key::ArrowRight, 1),
        (Key::ArrowLeft, 0),
        (Key::ArrowUp, 0),
        (Key::ArrowDown, 1),
        (Key::PageUp, 0),
        (Key::PageDown, 1),
    ] {
        key(&mut window, pressed);
        assert_eq!(chosen(&window), at, "{pressed:?}");
    }
    keys(&mut window, Modifiers::COMMAND, Key::Num2);
    assert!(is_on(&window, Role::RadioButton, "Train"));
    // Digits belong to the exploring side.
    key(&mut window, Key::Num3);
    keys(&mut window, Modifiers::COMMAND, Key::Num1);
    assert!(is_on(&window, Role::RadioButton, "Explore") && is_on(&window, Role::RadioButton, "PCA"));
}

#[test]
fn a_second_picture_stands_beside_and_is_matched() {
    let mut window = looking(ExplorePanel::Match);
    button(&mut window, "Close all pictures");
    drop_on(&mut window, &[sample(FISH), sample(ROCKET), sample(MUSHROOM)]);
    until(&mut window, "three pictures", says("3 pictures"));
    settle(&mut window);
    let names = |window: &Window| said(window);
    assert!(names(&window).contains(&format!("second picture: {ROCKET}, matches")), "the neighbour");
    node(&window, Role::Button, MUSHROOM).click_modifiers(Modifiers::SHIFT);
    window.step();
    settle(&mut window);
    assert!(names(&window).contains(&format!("second picture: {MUSHROOM}, matches")));
    assert!(snapshot(&window).matches.unwrap() > 0);
    leave(&mut window);

    // Lines cross the gap between the two.
    let (left, right) = (place(&window, "large"), place(&window, "second"));
    assert!(left.right() < right.left());
    let gap = Rect::from_x_y_ranges(left.right()..=right.left(), left.y_range());
    let crossed = look(&mut window, gap);
    choose(&mut window, "Similar");
    let empty = look(&mut window, gap);
    assert!(difference(&crossed, &empty) > 1.0, "no line from one to the other");
    button(&mut window, "Show one picture");
    assert!(!says("second picture")(&window));

    // The menu of a thumbnail: beside, and closed.
    for (entry, count) in [("Show beside the chosen picture", 3), ("Close this picture", 2)] {
        node(&window, Role::Button, MUSHROOM).click_secondary();
        steps(&mut window, 2);
        press(&mut window, Role::Button, entry);
        settle(&mut window);
        assert_eq!(snapshot(&window).pictures, count, "{entry}");
        assert_eq!(snapshot(&window).second.is_some(), count == 3);
    }
    assert!(!has(&window, Role::Button, MUSHROOM));
}

#[test]
fn pictures_zoom_pan_and_fit() {
    let mut window = looking(ExplorePanel::Pca);
    let whole = large(&mut window);
    let at = patch_at(&window, 0.5, 0.5);
    point(&mut window, at);
    wheel(&mut window, 300.0);
    steps(&mut window, 12);
    assert!(!says("fitted")(&window), "{}", said(&window));
    leave(&mut window);
    let close = large(&mut window);
    assert!(difference(&whole, &close) > 1.0);
    window.hover_at(at);
    window.drag_at(at);
    window.hover_at(at + vec2(60.0, 40.0));
    window.drop_at(at + vec2(60.0, 40.0));
    window.step();
    settle(&mut window);
    assert!(difference(&close, &large(&mut window)) > 1.0, "dragging moves it");
    assert_eq!(snapshot(&window).pinned, None, "dragging pins nothing");
    key(&mut window, Key::Num0);
    assert!(says("fitted")(&window) && difference(&whole, &large(&mut window)) < 0.01);

    choose(&mut window, "Swipe");
    let half = large(&mut window);
    let middle = place(&window, "large").center();
    window.hover_at(middle);
    window.drag_at(middle);
    for step in 1..6 {
        window.hover_at(middle + vec2(25.0 * step as f32, 0.0));
    }
    window.drop_at(middle + vec2(150.0, 0.0));
    window.step();
    settle(&mut window);
    assert!(says("fitted")(&window), "the handle moved, not the picture");
    assert!(difference(&half, &large(&mut window)) > 1.0, "the handle did not move");
}

/// Shape and numbers of a `.npy` file.
fn numbers(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert!(header.contains("'descr': '<f4'") && header.contains("'fortran_order': False"), "{header}");
    let shape = header.split_once("'shape': (").unwrap().1.split_once(')').unwrap().0;
    let shape = shape.split(',').filter_map(|side| side.trim().parse().ok()).collect();
    let values = bytes[10 + length..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
    (shape, values.collect())
}

#[test]
fn what_is_seen_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = looking(ExplorePanel::Pca);
    press(&mut window, Role::DisclosureTriangle, "Export");
    let (rows, cols) = grid(&window);
    let save = |window: &mut Window, name: &str, purpose, file: &str| {
        let path = folder.path().join(file);
        press(window, Role::Button, name);
        give(window, purpose, &[&path]);
        let saved = format!("Saved {}", path.display());
        until(window, "the file", says(&saved));
        settle(window);
        path
    };
    let features = save(&mut window, "Patch features (.npy)", DialogPurpose::SaveNumbers, "a.npy");
    let (shape, values) = numbers(&features);
    assert_eq!(shape[..2], [rows, cols]);
    assert_eq!(values.len(), shape.iter().product::<usize>());
    assert!(shape[2] > 1 && values.iter().all(|v| v.is_finite()));
    let maps = save(&mut window, "Attention maps (.npy)", DialogPurpose::SaveNumbers, "b.npy");
    let (shape, values) = numbers(&maps);
    let heads = window.query_all_by_label_contains("Head ").count();
    assert_eq!((shape.len(), &shape[1..], values.len()), (3, &[rows, cols][..], shape[0] * rows * cols));
    assert_eq!(heads, 0, "heads are the attention panel's");

    let original = image::open(sample(FISH)).unwrap().to_rgb8();
    let mut kept = vec![original.clone()];
    for (panel, file) in [("PCA", "pca.png"), ("Attention", "attention.png"), ("Similar", "similar.png")] {
        choose(&mut window, panel);
        if panel == "Similar" {
            press(&mut window, Role::Button, "Picture as shown (PNG)");
            give(&mut window, DialogPurpose::SavePicture, &[&folder.path().join("nothing.png")]);
            until(&mut window, "what is missing", says("no patch is pinned"));
            key(&mut window, Key::D);
        }
        let path = save(&mut window, "Picture as shown (PNG)", DialogPurpose::SavePicture, file);
        let picture = image::open(path).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), original.dimensions());
        assert!(kept.iter().all(|other| *other != picture), "{panel} looks like another panel");
        kept.push(picture);
    }
    // A folder that is not there.
    press(&mut window, Role::Button, "Picture as shown (PNG)");
    give(&mut window, DialogPurpose::SavePicture, &[&folder.path().join("no/such/folder.png")]);
    until(&mut window, "the reason", says("folder.png"));
    assert!(!folder.path().join("no").exists());
}

#[test]
fn a_wrong_model_is_refused_and_a_right_one_looks() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("notes.pth");
    std::fs::write(&wrong, "not weights at all").unwrap();
    let mut window = window(StartupOptions { pictures: vec![sample(FISH)], ..fresh() });
    settle(&mut window);
    assert!(has(&window, Role::ComboBox, "Model: starter weights"), "{}", said(&window));
    let starter = large(&mut window);
    press(&mut window, Role::ComboBox, "Model: starter weights");
    for entry in ["Starter weights", "A file of weights…", "A run or a folder of weights…"] {
        assert!(has(&window, Role::Button, entry), "{entry}");
    }
    press(&mut window, Role::Button, "A file of weights…");
    give(&mut window, DialogPurpose::OpenWeights, &[&wrong]);
    until(&mut window, "why it is no model", |window| {
        window.root().children_recursive().any(|node| {
            let node = node.accesskit_node();
            node.role() == Role::Alert && node.label().is_some_and(|label| label.contains("notes.pth"))
        })
    });
    settle(&mut window);
    assert!(has(&window, Role::ComboBox, "Model: starter weights"), "the old one stays");
    button(&mut window, "Dismiss");
    assert!(difference(&starter, &large(&mut window)) < 0.01);

    give(&mut window, DialogPurpose::OpenWeights, &[&official()]);
    settle(&mut window);
    assert!(has(&window, Role::ComboBox, "Model: official_vit.pth"));
    assert!(difference(&starter, &large(&mut window)) > 1.0, "it sees something else");
    press(&mut window, Role::ComboBox, "Model: official_vit.pth");
    button(&mut window, "Starter weights");
    assert!(has(&window, Role::ComboBox, "Model: starter weights"));
    // Weights that are dropped are a model and no picture.
    drop_on(&mut window, &[official()]);
    settle(&mut window);
    assert!(has(&window, Role::ComboBox, "Model: official_vit.pth") && snapshot(&window).pictures == 1);
}

#[test]
fn a_pasted_path_of_weights_is_looked_with() {
    let mut window = window(fresh());
    let folder = tempfile::tempdir().unwrap();
    let spaced = folder.path().join("my weights.pth");
    std::fs::copy(official(), &spaced).unwrap();
    let address = format!("file://{}", spaced.display().to_string().replace(' ', "%20"));
    for (text, name) in [
        (official().display().to_string(), "Model: official_vit.pth"),
        (format!("\"{}\"\n", spaced.display()), "Model: my weights.pth"),
        (official().display().to_string(), "Model: official_vit.pth"),
        (address, "Model: my weights.pth"),
    ] {
        window.event(Event::Paste(text.clone()));
        until(&mut window, "the pasted weights", |window| has(window, Role::ComboBox, name));
        settle(&mut window);
        assert!(!says("not a usable picture")(&window) && snapshot(&window).pictures == 0, "{text}");
    }
}

#[test]
fn the_bar_at_the_top_works() {
    dinoscope::log_ring::listen();
    let mut window = looking(ExplorePanel::Pca);
    let device = window.get_by_label_contains("Device: CPU");
    device.click_accesskit();
    steps(&mut window, 2);
    assert!(has(&window, Role::Button, "Processor") && has(&window, Role::Button, "Automatic"));
    button(&mut window, "Processor");
    assert!(!has(&window, Role::Button, "Processor"), "the menu is closed");
    assert!(says("Model: official_vit.pth")(&window), "the device has the same model");

    assert_eq!(window.ctx.theme(), egui::Theme::Dark);
    button(&mut window, "Light theme");
    assert_eq!(window.ctx.theme(), egui::Theme::Light);
    button(&mut window, "Dark theme");

    assert!(!has(&window, Role::Button, "Copy the log"));
    button(&mut window, "Log");
    assert!(says("looking with official_vit.pth")(&window));
    press(&mut window, Role::Button, "Copy the log");
    button(&mut window, "Panels as they were at first");
    assert!(!has(&window, Role::Button, "Copy the log"));
    keys(&mut window, Modifiers::COMMAND, Key::L);
    assert!(has(&window, Role::Button, "Copy the log"));
    assert!(!is_on(&window, Role::Switch, "Lock colours"), "a chord is not its letter");
    keys(&mut window, Modifiers::COMMAND, Key::L);
    assert!(!has(&window, Role::Button, "Copy the log"));

    button(&mut window, "About Dinoscope");
    assert!(says("Drawn by")(&window) && says(env!("CARGO_PKG_VERSION"))(&window));
    button(&mut window, "Close");
    assert!(!says("Drawn by")(&window));
    key(&mut window, Key::D);
    button(&mut window, "About Dinoscope");
    key(&mut window, Key::Escape);
    assert!(snapshot(&window).pinned.is_some(), "and nothing but it");
    assert!(!says("Drawn by")(&window), "Escape closes it");
}

#[test]
fn files_that_are_no_pictures_say_why_and_leave() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("notes.txt"), "no picture").unwrap();
    std::fs::write(at("empty.png"), "").unwrap();
    let whole = std::fs::read(sample(FISH)).unwrap();
    std::fs::write(at("half.jpg"), &whole[..whole.len() / 2]).unwrap();
    std::fs::create_dir(at("bare")).unwrap();
    let mut window = looking(ExplorePanel::Pca);
    let before = large(&mut window);
    for (name, reason) in [
        ("notes.txt", "notes.txt"),
        ("empty.png", "the file is empty"),
        ("half.jpg", "breaks off before its end"),
        ("bare", "there are no pictures in this folder"),
        ("not there", "not there"),
    ] {
        drop_on(&mut window, &[at(name)]);
        until(&mut window, name, says(reason));
        settle(&mut window);
        assert_eq!(snapshot(&window).pictures, 2, "{name}");
        steps(&mut window, 40);
    }
    assert!(difference(&before, &large(&mut window)) < 0.01, "what was chosen shows as before");
    // Many at once are one message.
    drop_on(&mut window, &[at("notes.txt"), at("empty.png"), at("half.jpg"), sample(MUSHROOM)]);
    until(&mut window, "one message", says("3 files could not be read"));
    settle(&mut window);
    assert_eq!(snapshot(&window).pictures, 3);
}

#[cfg(unix)]
#[test]
fn a_folder_that_holds_itself_is_walked_once() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::copy(sample(FISH), deep.join("fish.jpg")).unwrap();
    std::os::unix::fs::symlink(folder.path(), deep.join("again")).unwrap();
    let mut window = window(StartupOptions { weights: Some(ModelSource::Path(official())), ..fresh() });
    drop_on(&mut window, &[folder.path().to_owned()]);
    until(&mut window, "the picture", says("1 picture"));
    settle(&mut window);
    assert_eq!(snapshot(&window).pictures, 1);
}

#[test]
fn thousands_of_pictures_are_a_strip() {
    let folder = tempfile::tempdir().unwrap();
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(24, 24, image::Rgb([9, 99, 199]))
        .write_to(&mut png, image::ImageFormat::Png)
        .unwrap();
    for i in 0..5000 {
        std::fs::write(folder.path().join(format!("{i:04}.png")), png.get_ref()).unwrap();
    }
    let mut window = window(StartupOptions { weights: Some(ModelSource::Path(official())), ..fresh() });
    give(&mut window, DialogPurpose::OpenFolder, &[folder.path()]);
    until(&mut window, "all of them", says("5000 pictures"));
    settle(&mut window);
    let shown = snapshot(&window).thumbnails;
    assert!((8..200).contains(&shown), "{shown} thumbnails: those in view and no more");
    assert!(!has(&window, Role::Button, "2500.png"));
    // Through the strip: what comes into view is made.
    let strip = node(&window, Role::Button, "0000.png").rect().center();
    point(&mut window, strip);
    wheel(&mut window, -100_000.0);
    steps(&mut window, 30);
    settle(&mut window);
    assert!(!has(&window, Role::Button, "0000.png"));
    assert!((shown..400).contains(&snapshot(&window).thumbnails));
    // The same folder once more adds nothing.
    give(&mut window, DialogPurpose::OpenFolder, &[folder.path()]);
    settle(&mut window);
    assert_eq!(snapshot(&window).pictures, 5000);
}

/// Most memory that this process has had, in MiB.
#[cfg(target_os = "linux")]
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() >> 10
}

#[cfg(target_os = "linux")]
#[test]
fn a_hundred_megapixels_are_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.png");
    let huge =
        image::RgbImage::from_fn(12_000, 8_400, |x, y| image::Rgb([40, (x / 47) as u8, (y / 33) as u8]));
    huge.save(&path).unwrap();
    drop(huge);
    let mut window = window(StartupOptions { weights: Some(ModelSource::Path(official())), ..fresh() });
    drop_on(&mut window, &[path]);
    until(&mut window, "the picture", says("12000 × 8400"));
    settle(&mut window);
    assert!(peak() < 2500, "{} MiB", peak());
    assert_eq!(grid(&window).0, 32);
}

#[test]
fn every_control_fits_at_every_size() {
    for (size, scale) in [(vec2(1280.0, 720.0), 1.0), (vec2(1920.0, 1080.0), 1.0), (vec2(720.0, 480.0), 2.0)]
    {
        let startup = StartupOptions {
            pictures: vec![sample(FISH)],
            weights: Some(ModelSource::Path(official())),
            ..fresh()
        };
        let mut window = window_of(size, scale, egui::Theme::Light, startup);
        settle(&mut window);
        for panel in ["PCA", "Attention", "Similar", "Match"] {
            choose(&mut window, panel);
            for node in window.root().children_recursive() {
                let of = node.accesskit_node();
                let roles = [Role::Button, Role::RadioButton, Role::Switch, Role::Slider, Role::ComboBox];
                if roles.contains(&of.role()) {
                    let (name, rect) = (of.label().unwrap_or_default(), node.rect());
                    assert!(
                        rect.left() >= 0.0 && rect.right() <= size.x + 0.5,
                        "{panel}: {name} at {rect:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_hovering_file_is_invited() {
    let mut window = window(StartupOptions { weights: Some(ModelSource::Path(official())), ..fresh() });
    settle(&mut window);
    let all = Rect::from_min_size(Pos2::ZERO, vec2(1280.0, 720.0));
    let before = look(&mut window, all);
    window.input_mut().hovered_files.push(egui::HoveredFile::default());
    window.step();
    assert!(difference(&before, &look(&mut window, all)) > 5.0, "nothing says that files may be dropped");
}

//! The first screen: a sample of what one will see, until there is something of one's own.

use crate::common::window::*;
use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope::studio::StartupOptions;
use dinoscope_core::explore::ModelSource;
use egui::accesskit::Role;
use egui_kittest::kittest::Queryable as _;

const NAME: &str = "A sample";

#[test]
fn the_first_screen_shows_a_sample_until_a_picture_is_there() {
    let mut window = window(fresh());
    settle(&mut window);
    assert!(snapshot(&window).sample && says(NAME)(&window));
    assert_eq!(
        (snapshot(&window).pictures, snapshot(&window).chosen),
        (0, None),
        "it is none of the pictures"
    );
    // What is drawn: a picture at the left, its colours at the right.
    let place =
        window.query_all_by_label_contains("principal components of its patches").next().unwrap().rect();
    let seen = look(&mut window, place);
    let halves: Vec<usize> = [0, seen.width() / 2 + 4]
        .into_iter()
        .map(|left| {
            let pixels =
                (0..seen.height()).flat_map(|y| (left..left + seen.width() / 2 - 4).map(move |x| (x, y)));
            pixels.map(|(x, y)| seen.get_pixel(x, y).0).collect::<std::collections::HashSet<_>>().len()
        })
        .collect();
    assert!(halves.iter().all(|colours| *colours > 200), "{halves:?} colours");

    give(&mut window, DialogPurpose::OpenPictures, &[&sample("scene-20-fish.jpg")]);
    settle(&mut window);
    assert!(!snapshot(&window).sample && !says(NAME)(&window));
    assert_eq!(snapshot(&window).pictures, 1);
    button(&mut window, "Close all pictures");
    assert!(!snapshot(&window).sample, "it does not come back");
}

#[test]
fn the_sample_stays_away_where_something_else_was_asked_for() {
    let pictures = vec![sample("scene-20-fish.jpg")];
    let mut begun = window(StartupOptions { pictures, ..fresh() });
    settle(&mut begun);
    assert!(!snapshot(&begun).sample && snapshot(&begun).grid.is_some());
    // It is about the starter weights.
    let mut other = window(StartupOptions { weights: Some(ModelSource::Path(official())), ..fresh() });
    settle(&mut other);
    steps(&mut other, 20);
    assert!(!snapshot(&other).sample && !has(&other, Role::Image, NAME));
}

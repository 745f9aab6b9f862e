//! Two models beside each other in Explore, used as a person would.

use std::path::{Path, PathBuf};

use crate::common::window::*;
use dinoscope::platform::dialogs::DialogPurpose;
use dinoscope::studio::StartupOptions;
use dinoscope::studio::explore::{ComparisonSnapshot, ExplorePanel};
use dinoscope_core::explore::ModelSource;
use egui::accesskit::Role;
use egui::{Key, Rect, Theme, vec2};
use egui_kittest::kittest::Queryable as _;

const FISH: &str = "scene-20-fish.jpg";
const ROCKET: &str = "scene-26-rocket.jpg";

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/weights");
    folder.join(name).canonicalize().unwrap()
}

fn startup(panel: ExplorePanel, against: Option<ModelSource>) -> StartupOptions {
    StartupOptions {
        pictures: vec![sample(FISH), sample(ROCKET)],
        weights: Some(ModelSource::Path(official())),
        against,
        panel: Some(panel),
        ..fresh()
    }
}

fn comparing(panel: ExplorePanel, against: ModelSource) -> Window {
    let mut window = window(startup(panel, Some(against)));
    settle(&mut window);
    window
}

fn compared(window: &Window) -> ComparisonSnapshot {
    snapshot(window).compared.unwrap()
}

/// Where the second model's large picture lies.
fn other(window: &Window) -> Rect {
    window.get_by_label_contains("large picture as model B sees it").rect()
}

#[test]
fn a_second_model_comes_by_its_button_and_goes_by_a_click() {
    let mut window = window(startup(ExplorePanel::Pca, None));
    settle(&mut window);
    assert_eq!(snapshot(&window).compared, None);
    let alone = place(&window, "large");
    let before = look(&mut window, alone);

    press(&mut window, Role::Button, "Compare with…");
    assert!(says("A run or a folder of weights…")(&window), "{}", said(&window));
    press(&mut window, Role::Button, "Starter weights");
    // Both places are there before the model is: nothing jumps when it comes.
    let (left, right) = (place(&window, "large"), other(&window));
    assert!(left.right() < right.left() && (left.width() - right.width()).abs() < 1.0, "{left:?} {right:?}");
    settle(&mut window);
    assert_eq!((place(&window, "large"), other(&window)), (left, right));
    assert!(has(&window, Role::ComboBox, "Model A: official_vit.pth"), "{}", said(&window));
    assert!(has(&window, Role::ComboBox, "Model B: starter weights"), "{}", said(&window));
    let now = compared(&window);
    assert!(now.layers == 1 && now.colours.is_some() && now.pictures == 1, "{now:?}");
    assert!(
        now.cka.is_some_and(|cka| cka < 0.99) && now.neighbours.is_some_and(|share| share < 0.99),
        "{now:?}"
    );
    assert!(says("How far both agree about this picture.")(&window));

    // The next picture is another one for both, and the figures go over both.
    key(&mut window, Key::PageDown);
    assert_eq!(compared(&window).pictures, 2);
    assert!(says("Over 2 pictures: ")(&window), "{}", said(&window));
    key(&mut window, Key::PageUp);

    button(&mut window, "Stop comparing");
    assert_eq!(snapshot(&window).compared, None);
    assert!(has(&window, Role::ComboBox, "Model: official_vit.pth"));
    assert_eq!(place(&window, "large"), alone);
    let after = look(&mut window, alone);
    assert!(difference(&before, &after) < 3.0, "as it was");
}

#[test]
fn the_same_model_twice_shows_the_same_twice() {
    let mut window = comparing(ExplorePanel::Pca, ModelSource::Path(official()));
    let now = compared(&window);
    assert!((now.cka.unwrap() - 1.0).abs() < 1e-6 && now.neighbours == Some(1.0), "{now:?}");
    for panel in ["PCA", "Attention", "Similar"] {
        choose(&mut window, panel);
        if panel == "Similar" {
            let at = place(&window, "large").center();
            point(&mut window, at);
        }
        let (a, b) = (place(&window, "large"), other(&window));
        // Without the names in the corners.
        let below = |rect: Rect| rect.with_min_y(rect.top() + 48.0);
        let (a, b) = (look(&mut window, below(a)), look(&mut window, below(b)));
        let off = difference(&a, &b);
        assert!(off < 1.5, "{panel}: {off}");
    }
    choose(&mut window, "PCA");
    choose(&mut window, "All");
    assert_eq!(compared(&window).pictures, 2, "pictures that share their colours are seen by both");
}

#[test]
fn both_maps_follow_the_pointer_over_either() {
    // The second one has another grid.
    let startup = StartupOptions {
        weights: Some(ModelSource::Starter),
        ..startup(ExplorePanel::Pca, Some(ModelSource::Path(official())))
    };
    let mut window = window(startup);
    settle(&mut window);
    choose(&mut window, "Similar");
    let at = place(&window, "large").center();
    point(&mut window, at);
    let (first, second) = (snapshot(&window).hover.unwrap(), compared(&window).hover.unwrap());
    let value = |window: &Window| said(window).contains("cosine 1.000, B 1.000");
    assert!(value(&window), "{}", said(&window));

    let same = other(&window).center();
    point(&mut window, same);
    assert_eq!((snapshot(&window).hover, compared(&window).hover), (Some(first), Some(second)));
    let far = same + vec2(110.0, 90.0);
    let before = look(&mut window, Rect::from_center_size(at, vec2(160.0, 160.0)));
    point(&mut window, far);
    let moved = (snapshot(&window).hover.unwrap(), compared(&window).hover.unwrap());
    assert!(moved.0 != first && moved.1 != second, "{moved:?}");
    let after = look(&mut window, Rect::from_center_size(at, vec2(160.0, 160.0)));
    assert!(difference(&before, &after) > 1.0, "the first model's map follows the pointer over the second's");

    // A click in the second pins in both; what is pinned stays as the pointer moves.
    click(&mut window, far);
    assert_eq!((snapshot(&window).pinned, compared(&window).pinned), (Some(moved.0), Some(moved.1)));
    point(&mut window, at);
    assert_eq!(compared(&window).pinned, Some(moved.1));
    assert!(says("cosine ")(&window) && says(", B ")(&window), "{}", said(&window));
    key(&mut window, Key::Escape);
    assert_eq!((snapshot(&window).pinned, compared(&window).pinned), (None, None));
}

#[test]
fn each_model_has_its_heads_and_its_matches() {
    let mut window = comparing(ExplorePanel::Attention, ModelSource::Starter);
    let right = other(&window);
    let mean = look(&mut window, right);
    press(&mut window, Role::RadioButton, "Head 2 of B");
    settle(&mut window);
    assert!(is_on(&window, Role::RadioButton, "Mean") && is_on(&window, Role::RadioButton, "Head 2 of B"));
    let head = look(&mut window, right);
    assert!(difference(&mean, &head) > 1.0, "another head");

    choose(&mut window, "Match");
    assert!(snapshot(&window).matches.is_some_and(|count| count > 0));
    assert!(compared(&window).matches.is_some_and(|count| count > 0), "{:?}", compared(&window));
    assert!(says("second picture as model B sees it")(&window));
}

#[test]
fn models_stand_above_each_other_where_it_is_narrow() {
    let startup = startup(ExplorePanel::Pca, Some(ModelSource::Starter));
    let mut window = window_of(vec2(720.0, 1000.0), 1.0, Theme::Light, startup);
    settle(&mut window);
    let (above, below) = (place(&window, "large"), other(&window));
    assert!(above.bottom() < below.top() && above.width() == below.width(), "{above:?} {below:?}");
    choose(&mut window, "Similar");
    point(&mut window, below.center());
    let said = window.get_by_label_contains("A 1.000, B 1.000").rect();
    assert!(said.left() > above.left(), "cut at the left: {said:?}");
}

#[test]
fn a_second_model_that_can_not_be_had_leaves_the_first_alone() {
    let mut window = window(startup(ExplorePanel::Pca, None));
    settle(&mut window);
    press(&mut window, Role::Button, "Compare with…");
    press(&mut window, Role::Button, "A file of weights…");
    give(&mut window, DialogPurpose::SecondWeights, &[Path::new("/nowhere/weights.pth")]);
    settle(&mut window);
    assert_eq!(snapshot(&window).compared, None);
    assert!(says("/nowhere/weights.pth")(&window), "{}", said(&window));
    assert!(has(&window, Role::ComboBox, "Model: official_vit.pth"));

    // A file that can be had is the second model's; the next that is asked for the first is the first's.
    press(&mut window, Role::Button, "Compare with…");
    press(&mut window, Role::Button, "A file of weights…");
    give(&mut window, DialogPurpose::SecondWeights, &[&fixture("official_vit_reg4.pth")]);
    settle(&mut window);
    assert!(has(&window, Role::ComboBox, "Model B: official_vit_reg4.pth"), "{}", said(&window));
    press(&mut window, Role::ComboBox, "Model A: official_vit.pth");
    press(&mut window, Role::Button, "Starter weights");
    settle(&mut window);
    assert!(has(&window, Role::ComboBox, "Model A: starter weights"), "{}", said(&window));
    let now = compared(&window);
    assert!(now.layers == 1 && now.cka.is_some(), "{now:?}");
}

//! How long it takes from moving the pointer to what is similar on the screen, with one model and with two. A measurement, run
//! by name: `cargo test --release --package dinoscope --test all -- hover_speed --ignored --nocapture`

use std::time::Instant;

use crate::common::window::*;
use dinoscope::studio::explore::ExplorePanel;
use dinoscope::studio::{AppFrontend, StartupOptions};
use dinoscope_core::explore::ModelSource;
use egui::{Theme, vec2};

/// Places that the pointer goes to in a round.
const PLACES: usize = 40;
const ROUNDS: usize = 7;

/// A window that shows what is similar, at 32 × 32 patches of the starter weights.
fn similar(against: Option<ModelSource>) -> Window {
    let startup = StartupOptions {
        pictures: vec![sample("scene-20-fish.jpg")],
        weights: Some(ModelSource::Starter),
        against,
        panel: Some(ExplorePanel::Similarity),
        ..fresh()
    };
    let mut window = window_of(vec2(1280.0, 720.0), 1.0, Theme::Dark, startup);
    settle(&mut window);
    slide(&mut window, "Shorter side", 256.0);
    assert_eq!(snapshot(&window).grid, Some([32, 32]), "{:?}", snapshot(&window));
    window
}

/// Milliseconds from each of many places to the frame that shows what is similar there.
fn round(window: &mut Window) -> f64 {
    let place = place(window, "large");
    let mut sum = 0.0;
    for i in 0..PLACES {
        let along = |step: usize| 0.1 + 0.8 * ((i * step) % PLACES) as f32 / PLACES as f32;
        let at = place.min + vec2(along(7), along(11)) * place.size();
        let start = Instant::now();
        window.hover_at(at);
        // What one frame shows, the next one asks for.
        let mut still = 0;
        while still < 3 {
            window.step();
            still = if studio(window).busy() { 0 } else { still + 1 };
        }
        window.render().unwrap();
        sum += 1000.0 * start.elapsed().as_secs_f64();
    }
    sum / PLACES as f64
}

#[test]
#[ignore = "a measurement"]
fn from_the_pointer_to_the_screen() {
    let mut one = similar(None);
    let mut two = similar(Some(ModelSource::Starter));
    let mut pairs: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (round(&mut one), round(&mut two))).collect();
    for (one, two) in &pairs {
        println!("one model {one:.2} ms, two {two:.2} ms, {:.2} times", two / one);
    }
    pairs.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
    println!("median: {:.2} times", pairs[ROUNDS / 2].1 / pairs[ROUNDS / 2].0);
}

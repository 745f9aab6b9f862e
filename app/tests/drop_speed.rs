//! How long photographs take from the drop to the screen. A measurement, run by name:
//! `DINOSCOPE_PHOTOS=FOLDER cargo test --release --package dinoscope --test all -- drop_speed --ignored --nocapture`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::window::*;
use dinoscope::studio::AppFrontend;
use egui::{Theme, vec2};

/// Highest resident memory of this process, in MiB; 0 where the system does not say.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()).map_or(0, |kib| kib.parse::<u64>().unwrap() >> 10)
}

#[test]
#[ignore = "a measurement, of photographs that DINOSCOPE_PHOTOS names"]
fn from_the_drop_to_the_screen() {
    let folder = PathBuf::from(std::env::var_os("DINOSCOPE_PHOTOS").expect("DINOSCOPE_PHOTOS"));
    let photos = std::fs::read_dir(&folder).unwrap().count();
    // So high that a hundred are in view: what is not is not decoded.
    let mut window = window_of(vec2(1600.0, 8000.0), 1.0, Theme::Dark, fresh());
    settle(&mut window);
    let before = peak();
    let start = Instant::now();
    window.input_mut().dropped_files.push(Arc::new(Dropped(folder)));
    let (mut listed, mut seen, mut first, mut thumbs) = (None, None, None, None);
    while first.is_none() || thumbs.is_none() {
        window.step();
        let snapshot = snapshot(&window);
        if listed.is_none() && snapshot.pictures > 0 {
            listed = Some(start.elapsed());
        }
        if seen.is_none() && snapshot.grid.is_some() {
            seen = Some(start.elapsed());
        }
        if first.is_none() && snapshot.colours.is_some() {
            first = Some(start.elapsed());
        }
        if thumbs.is_none() && snapshot.thumbnails >= photos {
            thumbs = Some(start.elapsed());
        }
        assert!(start.elapsed() < Duration::from_secs(600), "{snapshot:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    settle(&mut window);
    let seconds = |time: Option<Duration>| time.unwrap().as_secs_f64();
    println!(
        "{photos} photographs: listed {:.3} s, looked at {:.3} s, first PCA {:.3} s, all thumbnails {:.3} s, at rest {:.3} s, memory {before} -> {} MiB",
        seconds(listed),
        seconds(seen),
        seconds(first),
        seconds(thumbs),
        start.elapsed().as_secs_f64(),
        peak()
    );
    assert!(!studio(&window).busy());
}

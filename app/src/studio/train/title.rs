//! How our run stands, for the title of the window or of the browser's tab: for who looks at something else meanwhile.

use super::state::{RunPhase, RunView};

/// How a run stands: `45 % · nano-001`. What counts comes first, since tabs are narrow. `held` is a run that waits because
/// nobody can see it.
pub fn title(view: &RunView, held: bool) -> String {
    let percent = if view.total > 0 { (100.0 * view.done as f64 / view.total as f64).floor() } else { 0.0 };
    let state = match &view.phase {
        RunPhase::Preparing => "Preparing".to_owned(),
        RunPhase::Running if held => format!("Held at {percent} %"),
        RunPhase::Running | RunPhase::Followed => format!("{percent} %"),
        RunPhase::Pausing | RunPhase::Paused if held => format!("Held at {percent} %"),
        RunPhase::Pausing => "Pausing".to_owned(),
        RunPhase::Paused => format!("Paused at {percent} %"),
        RunPhase::Stopping => "Stopping".to_owned(),
        RunPhase::Finished { stopped: true } => format!("Stopped at {percent} %"),
        RunPhase::Finished { stopped: false } => "Finished".to_owned(),
        RunPhase::Failed(_) => format!("Failed at {percent} %"),
    };
    format!("{state} · {}", view.name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_counts_comes_first() {
        let mut view = RunView::new(Path::new("/runs/nano-001"), RunPhase::Preparing);
        assert_eq!(title(&view, false), "Preparing · nano-001");
        (view.done, view.total) = (9, 20);
        for (phase, told) in [
            (RunPhase::Running, "45 % · nano-001"),
            (RunPhase::Paused, "Paused at 45 % · nano-001"),
            (RunPhase::Finished { stopped: true }, "Stopped at 45 % · nano-001"),
            (RunPhase::Finished { stopped: false }, "Finished · nano-001"),
        ] {
            view.phase = phase;
            assert_eq!(title(&view, false), told);
        }
        view.phase = RunPhase::Running;
        assert_eq!(title(&view, true), "Held at 45 % · nano-001");
        (view.done, view.total) = (1999, 2000);
        assert_eq!(title(&view, false), "99 % · nano-001", "not before it is done");
    }
}

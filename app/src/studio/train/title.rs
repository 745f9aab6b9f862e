//! How far our run is, in the few words that fit into a title.

use super::Train;
use super::state::{Phase, RunView};

impl Train {
    /// Our run in a title; nothing while there is none.
    pub fn progress_in_words(&self) -> Option<String> {
        words(&self.own.as_ref()?.view)
    }
}

fn words(view: &RunView) -> Option<String> {
    // Rounded down: 100 % is a run that is done.
    let percent = 100 * view.done.min(view.total) / view.total.max(1);
    let state = match &view.phase {
        Phase::Preparing => "Preparing".to_owned(),
        Phase::Running => format!("{percent} %"),
        Phase::Paused => format!("{percent} %, paused"),
        Phase::Stopping => format!("{percent} %, stopping"),
        Phase::Finished { stopped: true } => format!("Stopped at {percent} %"),
        Phase::Finished { stopped: false } => "Finished".to_owned(),
        Phase::Failed(_) => "Failed".to_owned(),
        Phase::Followed => return None,
    };
    Some(format!("{state} · {}", view.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_says_how_far_a_run_is() {
        let mut view = RunView::new(std::path::Path::new("/runs/nano-001"), Phase::Preparing);
        (view.done, view.total) = (199, 200);
        let cases = [
            (Phase::Preparing, Some("Preparing · nano-001")),
            (Phase::Running, Some("99 % · nano-001")),
            (Phase::Paused, Some("99 %, paused · nano-001")),
            (Phase::Finished { stopped: true }, Some("Stopped at 99 % · nano-001")),
            (Phase::Finished { stopped: false }, Some("Finished · nano-001")),
            (Phase::Failed("why".to_owned()), Some("Failed · nano-001")),
            (Phase::Followed, None),
        ];
        for (phase, wanted) in cases {
            view.phase = phase;
            assert_eq!(words(&view).as_deref(), wanted);
        }
        view.phase = Phase::Running;
        (view.done, view.total) = (0, 0);
        assert_eq!(words(&view).as_deref(), Some("0 % · nano-001"), "before the recipe is known");
    }
}

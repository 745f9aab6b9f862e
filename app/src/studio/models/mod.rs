//! Models that a person chooses: the menu, what is known about one, and one on its way.

pub mod second_model;

use dinoscope_core::explore::{ModelInfo, ModelSource};

use crate::platform::dialogs::DialogPurpose;
use crate::platform::{HAS_DISK, models};
use crate::studio::app_context::AppContext;
use crate::studio::widgets;

/// Bytes of a download so far, and in all where known.
pub type DownloadedBytes = (u64, Option<u64>);

/// A menu below a button with all that can look; `dialogs` ask for a file, and for a run or a folder.
pub fn source_menu(
    button: &egui::Response,
    app: &AppContext,
    dialogs: [DialogPurpose; 2],
) -> Option<ModelSource> {
    let mut chosen = None;
    widgets::menu(button).show(|ui| {
        ui.set_min_width(260.0);
        // A key closes no menu by itself.
        let entry = |ui: &mut egui::Ui, text: &str| {
            let clicked = ui.button(text).clicked();
            if clicked {
                ui.close();
            }
            clicked
        };
        if entry(ui, "Starter weights") {
            chosen = Some(ModelSource::Starter);
        }
        if entry(ui, "A file of weights…") {
            app.dialogs.ask(dialogs[0], "");
        }
        if HAS_DISK && entry(ui, "A run or a folder of weights…") {
            app.dialogs.ask(dialogs[1], "");
        }
        ui.separator();
        widgets::hint(ui, "Released by Meta AI, under its own licence");
        for (name, state) in models::released() {
            if entry(ui, &format!("{name}   {state}")) {
                chosen = Some(ModelSource::Released(name));
            }
        }
    });
    chosen
}

/// A model's sizes in words.
pub fn config_words(model: &ModelInfo) -> String {
    let c = &model.config;
    let registers = if c.registers > 0 { format!(", {} registers", c.registers) } else { String::new() };
    let positions = if c.rope.is_some() { ", rotary positions" } else { "" };
    format!(
        "{:.1} M parameters, {} blocks, {} wide, {} heads, patch {}{registers}{positions}",
        model.parameters as f64 / 1e6,
        c.depth,
        c.dim,
        c.heads,
        c.patch
    )
}

/// How far a download is, and what there is to say about it.
pub fn so_far(bytes: Option<DownloadedBytes>, word: &str) -> (Option<f32>, String) {
    let (share, text) = match bytes {
        None => (None, "opening…".to_owned()),
        Some((done, total)) => {
            (total.map(|total| done as f32 / total.max(1) as f32), dinoscope_core::bytes::part(done, total))
        }
    };
    match (bytes, word) {
        (_, "") => (share, text),
        (None, word) => (None, word.to_owned()),
        (Some(_), word) => (share, format!("{text}, {word}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_and_what_is_wrong_stand_on_one_line() {
        assert_eq!(so_far(None, ""), (None, "opening…".to_owned()));
        let half = so_far(Some((44_000_000, Some(88_000_000))), "no answer for 8 s");
        assert_eq!(half, (Some(0.5), "44 MB of 88 MB, no answer for 8 s".to_owned()));
        assert_eq!(so_far(Some((44_000_000, None)), "").1, "44 MB");
        assert_eq!(so_far(None, "no answer for 8 s").1, "no answer for 8 s");
    }
}

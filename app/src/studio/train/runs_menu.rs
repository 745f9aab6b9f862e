//! Which runs' curves are shown beside each other.

use egui::Ui;

use super::actions::TrainAction;
use super::curves::CurvesPaneContext;
use crate::platform::dialogs::DialogPurpose;
use crate::studio::theme::{icons, space};
use crate::studio::widgets;

/// Most runs that the list shows.
const LISTED: usize = 40;

/// A button that opens the list.
pub fn ui(ui: &mut Ui, shown: &CurvesPaneContext<'_>, actions: &mut Vec<TrainAction>) {
    let button = widgets::icon_button(ui, icons::COMPARE_RUNS, "Compare with other runs");
    if button.clicked() {
        actions.push(TrainAction::LookForRuns);
    }
    let popup = widgets::menu(&button).close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside);
    popup.show(|ui| {
        ui.set_width(280.0);
        widgets::hint(ui, "Curves of these runs are drawn beside each other.");
        let first = shown.runs.first().map(|run| run.folder.as_path());
        egui::ScrollArea::vertical().max_height(280.0).show(ui, |ui| {
            let mut count = 0;
            for run in shown.shelf.runs.iter().take(LISTED) {
                if first == Some(run.path.as_path()) {
                    continue;
                }
                count += 1;
                tick(ui, &run.name, &run.path, shown, actions);
            }
            // Those from elsewhere.
            for path in
                shown.beside.iter().filter(|path| !shown.shelf.runs.iter().any(|run| run.path == **path))
            {
                count += 1;
                let name =
                    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                tick(ui, &name, path, shown, actions);
            }
            if count == 0 {
                widgets::hint(ui, "There are no other runs in this folder.");
            }
        });
        ui.add_space(space::XS);
        if widgets::button(ui, icons::FOLDER_OPEN, "Open a run …").clicked() {
            actions.push(TrainAction::Ask(DialogPurpose::FollowRun, String::new()));
            ui.close();
        }
    });
}

fn tick(
    ui: &mut Ui,
    name: &str,
    path: &std::path::Path,
    shown: &CurvesPaneContext<'_>,
    actions: &mut Vec<TrainAction>,
) {
    let mut on = shown.beside.contains(&path);
    if ui.checkbox(&mut on, name).on_hover_text(crate::platform::names::shown(path)).changed() {
        actions.push(match on {
            true => TrainAction::Follow(path.to_owned(), false),
            false => TrainAction::Unfollow(path.to_owned()),
        });
    }
}

//! The question pane: whose features are evaluated, on which pictures, by which evaluations, and how.

use std::collections::BTreeMap;

use dinoscope_core::data::source::dense::DepthUnit;
use dinoscope_core::data::source::scenes::SceneKind;
use dinoscope_core::eval::catalogue::{EVALUATIONS, EvaluationKind, LabelRequirement};
use dinoscope_core::eval::depth::DepthEvalRange;
use dinoscope_core::explore::ModelSource;
use egui::Ui;

use super::config::{EvaluationConfig, EvaluationDataOrigin, EvaluationWeights, FEWEST, MOST, short};
use super::pictures::{describe, nothing_named};
use super::{AvailableWeights, EvaluateWorkspace};
use crate::platform::dialogs::DialogPurpose;
use crate::platform::tasks::Wake;
use crate::platform::typed;
use crate::platform::{HAS_DISK, models};
use crate::studio::app_context::AppContext;
use crate::studio::background::task::{BackgroundTask, TaskFailedError};
use crate::studio::theme::{self, icons, space};
use crate::studio::widgets::{self, SliderScale};

/// Sides of pictures that are offered, in pixels.
const SIDES: [usize; 7] = [56, 98, 112, 168, 224, 336, 448];
/// Pictures of each class that are offered.
const SHOTS: [usize; 4] = [1, 2, 5, 10];

/// What is known of the pictures that are named, by what has to be known about them.
type Known = BTreeMap<LabelRequirement, Result<String, String>>;

/// Looks in the background whether the pictures that are named are there.
#[derive(Default)]
pub struct EvaluationDataLookup {
    /// What was looked for.
    asked: Option<EvaluationConfig>,
    known: Known,
    work: Option<BackgroundTask<Known>>,
}

impl EvaluationDataLookup {
    /// Looks for the pictures of a wish, unless that was done, and takes in what was found.
    pub fn logic(&mut self, setup: &EvaluationConfig, wake: &Wake) {
        let same = |asked: &EvaluationConfig| {
            (asked.place, &asked.path, asked.needs(), asked.limits(), asked.reading())
                == (setup.place, &setup.path, setup.needs(), setup.limits(), setup.reading())
        };
        if !self.asked.as_ref().is_some_and(same) {
            // What was found of these pictures stands until more is known: nothing below it moves for a glance.
            let here = self
                .asked
                .as_ref()
                .is_some_and(|asked| (asked.place, &asked.path) == (setup.place, &setup.path));
            let needs = setup.needs();
            self.known.retain(|need, _| here && needs.contains(need));
            self.asked = Some(setup.clone());
            let setup = setup.clone();
            let look = move || setup.needs().into_iter().map(|need| (need, describe(need, &setup))).collect();
            self.work = Some(BackgroundTask::ask_async("pictures", wake, async move || look()));
        }
        match self.work.as_mut().and_then(BackgroundTask::answer) {
            None => {}
            Some(Ok(known)) => (self.known, self.work) = (known, None),
            Some(Err(TaskFailedError)) => {
                let lost = || Err("the pictures can't be looked up".to_owned());
                self.known = setup.needs().into_iter().map(|need| (need, lost())).collect();
                self.work = None;
            }
        }
    }

    /// Looks once more: the folder may have changed.
    pub fn again(&mut self) {
        self.asked = None;
    }

    /// Whether it still looks.
    pub fn busy(&self) -> bool {
        self.work.is_some()
    }

    /// Why nothing at all can be evaluated.
    pub fn trouble(&self) -> Option<&str> {
        let reasons: Vec<&str> =
            self.known.values().filter_map(|known| known.as_ref().err().map(String::as_str)).collect();
        (!reasons.is_empty() && reasons.len() == self.known.len()).then(|| reasons[0])
    }
}

impl EvaluateWorkspace {
    /// Everything above the foot.
    pub(super) fn sections_ui(&mut self, ui: &mut Ui, app: &AppContext, offer: &AvailableWeights) {
        widgets::scroll(ui, "question", |ui| {
            widgets::section(ui, "Weights", true, |ui| self.weights_ui(ui, app, offer));
            widgets::section(ui, "Pictures", true, |ui| self.pictures_ui(ui, app, offer));
            widgets::section(ui, "Evaluations", true, |ui| self.kinds_ui(ui));
            widgets::section(ui, "How", true, |ui| self.how_ui(ui));
            // Below everything, so that nothing moves away from the pointer that turned a switch.
            for (need, known) in self.lookup.known.iter().skip(1) {
                found_ui(ui, &format!("{}: ", need.name()), known);
            }
        });
    }

    fn weights_ui(&mut self, ui: &mut Ui, app: &AppContext, offer: &AvailableWeights) {
        let mut chosen = None;
        let name = match &self.setup.weights {
            EvaluationWeights::Explored => format!("Explore's: {}", offer.explored_name()),
            EvaluationWeights::Trained => format!("Train's: {}", offer.trained_name()),
            EvaluationWeights::These(source) => source.to_string(),
        };
        let button = egui::Button::new(format!("{}  {name}", icons::MODEL))
            .truncate()
            .min_size(egui::vec2(ui.available_width(), theme::button(ui)));
        let response = ui.add(button);
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::ComboBox, true, format!("Weights: {name}"))
        });
        widgets::menu(&response).show(|ui| {
            ui.set_min_width(280.0);
            // A key closes no menu by itself.
            let entry = |ui: &mut Ui, text: &str| {
                let clicked = ui.button(text).clicked();
                if clicked {
                    ui.close();
                }
                clicked
            };
            if entry(ui, &format!("What Explore looks with: {}", offer.explored_name())) {
                chosen = Some(EvaluationWeights::Explored);
            }
            let trained = format!("The run that Train shows: {}", offer.trained_name());
            if ui.add_enabled_ui(offer.trained.is_some(), |ui| entry(ui, &trained)).inner {
                chosen = Some(EvaluationWeights::Trained);
            }
            if entry(ui, "Starter weights") {
                chosen = Some(EvaluationWeights::These(ModelSource::Starter));
            }
            if entry(ui, "A file of weights…") {
                app.dialogs.ask(DialogPurpose::EvaluatedWeights, "");
            }
            if HAS_DISK && entry(ui, "A run or a folder of weights…") {
                app.dialogs.ask(DialogPurpose::EvaluatedRun, "");
            }
            let here = models::downloaded();
            if !here.is_empty() {
                ui.separator();
                widgets::hint(ui, "Released models that are here");
            }
            for name in here {
                if entry(ui, &name) {
                    chosen = Some(EvaluationWeights::These(ModelSource::Released(name)));
                }
            }
        });
        if let Some(weights) = chosen {
            self.setup.weights = weights;
        }
    }

    fn kinds_ui(&mut self, ui: &mut Ui) {
        for entry in EVALUATIONS {
            let kind = entry.kind;
            let mut on = self.setup.kinds.contains(&kind);
            let toggled = ui
                .scope(|ui| {
                    ui.spacing_mut().item_spacing.y = 0.0;
                    let toggled = widgets::switch(ui, entry.title, &mut on).changed();
                    let trouble = self.lookup.known.iter().skip(1).find(|(need, _)| **need == kind.needs());
                    match trouble.and_then(|(_, known)| known.as_ref().err()).filter(|_| on) {
                        // In the place of what it does: the line below it would be out of sight.
                        Some(reason) => {
                            let text = theme::small(reason).color(theme::tokens(ui).bad);
                            ui.add(egui::Label::new(text).truncate());
                        }
                        None => _ = widgets::hint(ui, entry.hint),
                    }
                    ui.add_space(space::XS);
                    toggled
                })
                .inner;
            match (toggled, on) {
                (true, true) => _ = self.setup.kinds.insert(kind),
                (true, false) => _ = self.setup.kinds.remove(&kind),
                (false, _) => {}
            }
        }
    }

    fn pictures_ui(&mut self, ui: &mut Ui, app: &AppContext, offer: &AvailableWeights) {
        let places =
            [(EvaluationDataOrigin::Scenes, "Built-in scenes"), (EvaluationDataOrigin::Disk, "Yours")];
        widgets::segmented(ui, "Pictures to evaluate on", &mut self.setup.place, &places);
        if self.setup.is_scenes() {
            let kinds = SceneKind::ALL.map(|(kind, word)| (kind, word.to_owned()));
            widgets::choice_row(ui, "Scenes", &mut self.setup.scenes, &kinds)
                .on_hover_text(SceneKind::MEANING);
        }
        if self.setup.place == EvaluationDataOrigin::Disk {
            if widgets::path_row(ui, "Folder or file", &mut self.setup.path, "").lost_focus() {
                typed::tidy(&mut self.setup.path);
            }
            ui.horizontal_wrapped(|ui| {
                if widgets::button(ui, icons::FOLDER_OPEN, "Folder …").clicked() {
                    app.dialogs.ask(DialogPurpose::EvaluatedFolder, "");
                }
                if widgets::button(ui, icons::FILE, "IDX file …").clicked() {
                    app.dialogs.ask(DialogPurpose::EvaluatedFile, "");
                }
                if widgets::icon_button(ui, icons::REFRESH, "Look again").clicked() {
                    self.lookup.again();
                }
                if let Some(folder) = &offer.gallery {
                    let label = format!("The gallery's: {}", short(folder));
                    if widgets::button(ui, icons::GALLERY, &label).clicked() {
                        self.setup.path = folder.display().to_string();
                        self.lookup.again();
                    }
                }
            });
        }
        let scale = SliderScale::new(FEWEST..=MOST).log();
        widgets::slider_row(ui, "At most", &mut self.setup.most, &scale)
            .on_hover_text("Pictures to learn from; half as many are judged.");
        self.known_ui(ui);
    }

    /// What the pictures turned out to be, by the first of the needs.
    fn known_ui(&self, ui: &mut Ui) {
        if self.setup.place == EvaluationDataOrigin::Disk && self.setup.path().is_none() {
            widgets::hint(ui, nothing_named());
            if self
                .setup
                .kinds
                .iter()
                .any(|kind| matches!(kind.needs(), LabelRequirement::Classes | LabelRequirement::Depth))
            {
                widgets::hint(
                    ui,
                    "For single pixels a folder with images/ and labels/ (PNG of class indexes) or depth/ (16-bit PNG or \
                     .npy).",
                );
            }
            return;
        }
        match self.lookup.known.values().next() {
            Some(known) => found_ui(ui, "", known),
            None if self.lookup.busy() => _ = widgets::hint(ui, "Looking …"),
            None => {}
        }
    }

    fn how_ui(&mut self, ui: &mut Ui) {
        let usual = std::iter::once((None, "as trained".to_owned()));
        let sides = SIDES.map(|side| (Some(side), format!("{side} pixels")));
        let sides: Vec<_> = usual.chain(sides).collect();
        widgets::choice_row(ui, "Size", &mut self.setup.size, &sides)
            .on_hover_text("Side of the pictures; the nearest multiple of the model's patch is taken.");
        if self.setup.kinds.contains(&EvaluationKind::Knn) {
            let all = std::iter::once((None, "all pictures".to_owned()));
            let few = SHOTS.map(|n| (Some(n), format!("{n} of each class")));
            let shots: Vec<_> = all.chain(few).collect();
            widgets::choice_row(ui, "Neighbours", &mut self.setup.shots, &shots).on_hover_text(
                "Nearest neighbours among all pictures, or among a few of each class, drawn several times.",
            );
        }
        self.pixels_ui(ui);
        widgets::switch(ui, "Beside what has not learned", &mut self.setup.compare).on_hover_text(
            "What a model without training would reach, and the pixels themselves; for whole pictures also colour \
             histograms and histograms of oriented gradients (HOG). Takes longer.",
        );
    }
}

impl EvaluateWorkspace {
    /// What files of labels and of depth do not say themselves.
    fn pixels_ui(&mut self, ui: &mut Ui) {
        if self.setup.is_scenes() {
            return;
        }
        if [EvaluationKind::Segment, EvaluationKind::Masks].iter().any(|kind| self.setup.kinds.contains(kind))
        {
            widgets::switch(ui, "255 is the object", &mut self.setup.binary).on_hover_text(
                "Labels are masks: 0 is the background and every other value the object. Otherwise 255 means that a \
                 pixel does not count.",
            );
        }
        if self.setup.kinds.contains(&EvaluationKind::Depth) {
            let ranges = [
                (None, "those of the pictures".to_owned()),
                (Some(DepthEvalRange::Nyu), "to 10 m (NYU)".to_owned()),
                (Some(DepthEvalRange::Kitti), "to 80 m (KITTI)".to_owned()),
            ];
            widgets::choice_row(ui, "Depths", &mut self.setup.range, &ranges)
                .on_hover_text("Depths that count; pixels outside are left out.");
            let usual = self.setup.range.map(DepthEvalRange::unit).unwrap_or_default();
            let units = [DepthUnit::Millimetres, DepthUnit::Centimetres, DepthUnit::Kitti];
            let units: Vec<_> = std::iter::once((None, format!("{usual}, as usual")))
                .chain(units.map(|unit| (Some(unit), unit.to_string())))
                .collect();
            widgets::choice_row(ui, "Step of a PNG", &mut self.setup.unit, &units)
                .on_hover_text("What a step of a 16-bit depth PNG is worth; .npy files are in metres.");
        }
    }
}

/// What was found for a need, or why nothing was.
fn found_ui(ui: &mut Ui, before: &str, known: &Result<String, String>) {
    let t = theme::tokens(ui);
    let (text, colour) = match known {
        Ok(found) => (format!("{before}{found}."), t.muted),
        Err(reason) => (format!("{before}{reason}"), t.bad),
    };
    ui.add(egui::Label::new(theme::small(text).color(colour)).wrap());
}

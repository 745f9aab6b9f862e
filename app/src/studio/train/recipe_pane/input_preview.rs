//! What the model will be given: the crops and masks of a step, made in the background.

use std::sync::Arc;

use dinoscope_core::data::Picture;
use dinoscope_core::data::source::PictureSource;
use dinoscope_core::train::Recipe;
use dinoscope_core::train::preview::PreviewItem;
use egui::{ColorImage, Sense, TextureHandle, TextureOptions, Ui, vec2};

use crate::platform::runs;
use crate::platform::tasks::Wake;
use crate::studio::background::task::BackgroundTask;
use crate::studio::theme::{self, icons, space};
use crate::studio::train::contact_sheets::image;
use crate::studio::widgets;

/// Pictures that are shown of a batch.
const SHOWN: usize = 4;

struct InputPreviewCrop {
    texture: TextureHandle,
    name: String,
}

struct InputPreviewItem {
    name: String,
    globals: Vec<InputPreviewCrop>,
    locals: Vec<InputPreviewCrop>,
}

type Made = Result<Vec<PreviewItem>, String>;

/// The crops and masks of a step.
#[derive(Default)]
pub struct InputPreviewState {
    /// The step that they are for.
    iteration: u64,
    /// Version of the recipe and step that the newest are made from.
    made_of: Option<(u64, u64)>,
    asked_for: (u64, u64),
    items: Vec<InputPreviewItem>,
    trouble: Option<String>,
    work: Option<BackgroundTask<Made>>,
    /// Whether anybody looks; nothing is made in vain.
    open: bool,
}

impl InputPreviewState {
    /// Takes in what was made, and makes anew what is out of date.
    pub fn logic(
        &mut self,
        ctx: &egui::Context,
        wake: &Wake,
        recipe: Option<(&Arc<Recipe>, u64)>,
        source: Option<&Arc<dyn PictureSource>>,
    ) {
        if let Some(work) = &mut self.work {
            let answer = work.receive();
            if answer.is_some() || work.over() {
                self.work = None;
                self.made_of = Some(self.asked_for);
            }
            match answer {
                Some(Ok(items)) => {
                    self.items = items.iter().map(|item| upload(ctx, item)).collect();
                    self.trouble = None;
                }
                Some(Err(reason)) => self.trouble = Some(reason),
                None => {}
            }
        }
        let (Some((recipe, version)), Some(source), true) = (recipe, source, self.open) else { return };
        self.open = false;
        let wanted = (version, self.iteration);
        if self.work.is_none() && self.made_of != Some(wanted) {
            self.asked_for = wanted;
            let (recipe, source, iteration) = (recipe.clone(), source.clone(), self.iteration);
            self.work = Some(BackgroundTask::start_async("preview", wake, async move |events, _| {
                events.say(runs::preview(&recipe, &source, iteration, SHOWN).await);
            }));
        }
    }

    /// Whether crops are being made.
    pub fn busy(&self) -> bool {
        self.work.is_some()
    }

    /// Draws them.
    pub fn ui(&mut self, ui: &mut Ui) {
        self.open = true;
        ui.horizontal(|ui| {
            let text = format!("Step {}: the first {SHOWN} pictures", self.iteration + 1);
            widgets::hint(ui, &text);
            if self.work.is_some() {
                ui.add(egui::Spinner::new().size(16.0));
            }
            let later = self.iteration > 0;
            widgets::icons_at_end(ui, 1 + usize::from(later));
            if later && widgets::icon_button(ui, icons::FIRST, "The first batch").clicked() {
                self.iteration = 0;
                ui.ctx().request_repaint();
            }
            if widgets::icon_button(ui, icons::REFRESH, "Another batch").clicked() {
                self.iteration += 1;
                ui.ctx().request_repaint();
            }
        });
        if let Some(trouble) = &self.trouble {
            let t = theme::tokens(ui);
            ui.add(egui::Label::new(theme::small(trouble).color(t.bad)).wrap());
        }
        if self.items.is_empty() && self.trouble.is_none() {
            widgets::hint(ui, "Being made …");
        }
        for item in &self.items {
            show(ui, item);
        }
        if !self.items.is_empty() {
            widgets::hint(
                ui,
                "Dark patches are hidden from the student, which must guess what the teacher sees there.",
            );
        }
    }
}

/// The two global crops large, the local ones beside them in two rows.
fn show(ui: &mut Ui, item: &InputPreviewItem) {
    let gap = space::XS;
    let columns = item.locals.len().div_ceil(2);
    // A column of local crops is half as wide as a global crop.
    let halves = 4 + columns;
    let large =
        (2.0 * (ui.available_width() - gap * halves as f32 / 2.0) / halves as f32).floor().clamp(24.0, 128.0);
    let small = ((large - gap) / 2.0).floor();
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing = vec2(gap, gap);
        item.globals.iter().for_each(|crop| thumbnail(ui, crop, large, &item.name));
        ui.vertical(|ui| {
            for row in item.locals.chunks(columns.max(1)) {
                ui.horizontal(|ui| row.iter().for_each(|crop| thumbnail(ui, crop, small, &item.name)));
            }
        });
    });
    ui.add_space(space::XS);
}

fn thumbnail(ui: &mut Ui, crop: &InputPreviewCrop, side: f32, of: &str) {
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::hover());
    let label = format!("{} of {of}", crop.name);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::accesskit::Role::Image, true, &label));
    let uv = egui::Rect::from_min_max(egui::pos2(0.0, 0.0), egui::pos2(1.0, 1.0));
    ui.painter().image(crop.texture.id(), rect, uv, egui::Color32::WHITE);
    response.on_hover_ui(|ui| {
        let size = vec2(192.0, 192.0);
        ui.add(egui::Image::new((crop.texture.id(), size)));
        ui.label(label);
    });
}

fn upload(ctx: &egui::Context, item: &PreviewItem) -> InputPreviewItem {
    let crop = |picture: ColorImage, name: String| InputPreviewCrop {
        texture: ctx.load_texture("crop", picture, TextureOptions::LINEAR),
        name,
    };
    let globals = item.globals.iter().enumerate().map(|(i, picture)| {
        let mask = item.masks.get(i).map_or(&[][..], Vec::as_slice);
        let hidden = mask.iter().filter(|hidden| **hidden).count();
        let name = match hidden {
            0 => format!("Global crop {}", i + 1),
            _ => format!("Global crop {}, {hidden} of {} patches hidden", i + 1, mask.len()),
        };
        crop(masked(picture, mask, item.grid), name)
    });
    let locals = item
        .locals
        .iter()
        .enumerate()
        .map(|(i, picture)| crop(image(picture), format!("Local crop {}", i + 1)));
    InputPreviewItem { name: item.name.clone(), globals: globals.collect(), locals: locals.collect() }
}

/// A crop with what is hidden from the student dark.
fn masked(picture: &Picture, mask: &[bool], grid: usize) -> ColorImage {
    let mut shown = image(picture);
    if mask.len() != grid * grid || grid == 0 {
        return shown;
    }
    let (width, height) = (picture.width, picture.height);
    for (i, pixel) in shown.pixels.iter_mut().enumerate() {
        let (x, y) = (i % width, i / width);
        if mask.get(y * grid / height * grid + x * grid / width) == Some(&true) {
            *pixel = pixel.lerp_to_gamma(egui::Color32::from_rgb(20, 22, 30), 0.82);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_dark_and_the_rest_is_as_it_was() {
        let picture = Picture::of_rgb(4, 4, vec![200; 48]);
        let shown = masked(&picture, &[true, false, false, false], 2);
        let value = |x: usize, y: usize| shown.pixels[y * 4 + x].r();
        assert!(value(0, 0) < 80 && value(1, 1) < 80);
        assert!(value(2, 0) == 200 && value(0, 2) == 200 && value(3, 3) == 200);
        assert_eq!(masked(&picture, &[true], 2), image(&picture), "a mask of another size says nothing");
    }
}

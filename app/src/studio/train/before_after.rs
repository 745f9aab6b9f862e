//! What a run has changed, in a window over the panels: whether its features became better, what they show in the watched
//! pictures, and the neighbours of a few pictures, at its first moment and at its newest.

use std::path::{Path, PathBuf};

use dinoscope_core::data::decode::decode_file;
use dinoscope_core::train::run::RunFolder;
use dinoscope_core::train::summary;
use egui::{ColorImage, TextureHandle, TextureOptions, Ui, vec2};

use super::contact_sheets::image;
use super::state::RunView;
use crate::platform::tasks::Wake;
use crate::studio::background::task::BackgroundTask;
use crate::studio::theme::{self, space};
use crate::studio::widgets;

/// Pictures beside each other, each with what it shows.
struct PictureRow<T> {
    title: String,
    pictures: Vec<(String, T)>,
}

/// The window.
#[derive(Default)]
pub struct BeforeAfterWindow {
    run: Option<PathBuf>,
    work: Option<BackgroundTask<Vec<PictureRow<ColorImage>>>>,
    rows: Vec<PictureRow<TextureHandle>>,
}

/// Widest that the window gets, in points.
const WIDEST: f32 = 980.0;
/// What stands around the pictures: the window's margin, its heading, sentence and button.
const AROUND: f32 = 240.0;

impl BeforeAfterWindow {
    /// Shows what a run has changed.
    pub fn open(&mut self, folder: &Path, wake: &Wake) {
        let folder = folder.to_owned();
        self.run = Some(folder.clone());
        self.rows.clear();
        self.work = Some(BackgroundTask::ask("before and after", wake, move |_| load(&folder)));
    }

    /// The run of which it shows something.
    pub fn run(&self) -> Option<&Path> {
        self.run.as_deref()
    }

    /// Whether pictures are on their way.
    pub fn busy(&self) -> bool {
        self.work.is_some()
    }

    /// Takes in pictures that were loaded.
    pub fn logic(&mut self, ctx: &egui::Context) {
        let Some(answer) = self.work.as_mut().and_then(BackgroundTask::answer) else { return };
        self.work = None;
        let texture = |(caption, image): (String, ColorImage)| {
            let texture = ctx.load_texture("before and after", image, TextureOptions::LINEAR);
            (caption, texture)
        };
        let rows = answer.unwrap_or_default().into_iter();
        self.rows = rows
            .map(|row| PictureRow {
                title: row.title,
                pictures: row.pictures.into_iter().map(texture).collect(),
            })
            .collect();
    }

    /// Draws it, while it is open.
    pub fn ui(&mut self, ctx: &egui::Context, view: Option<&RunView>) {
        let Some(view) = self.run.is_some().then_some(view).flatten() else {
            self.run = None;
            return;
        };
        let frame = egui::Frame::window(&ctx.global_style());
        let window = egui::Modal::new(egui::Id::unique("before and after")).frame(frame).show(ctx, |ui| {
            let room = ctx.content_rect().size();
            ui.set_width(WIDEST.min(room.x - 64.0));
            widgets::heading(ui, "Before and after");
            if let Some(said) = view.improvement() {
                ui.add(egui::Label::new(said).selectable(true).wrap());
            }
            for (name, label) in [("crops", "Crops found again"), ("knn", "k-NN")] {
                if let Some(change) = view.change(name) {
                    widgets::property(ui, label, &change.text());
                }
            }
            ui.add_space(space::S);
            let height = (room.y - AROUND).max(120.0);
            let scroll = egui::ScrollArea::vertical().id_salt("before and after").max_height(height);
            scroll.show(ui, |ui| match (self.busy(), self.rows.is_empty()) {
                (true, _) => _ = ui.spinner(),
                (false, true) => _ = widgets::hint(ui, "This run has written no pictures."),
                (false, false) => self.rows.iter().for_each(|row| pictures(ui, row)),
            });
            ui.add_space(space::S);
            if widgets::primary_button(ui, "", "Close").clicked() {
                ui.close();
            }
        });
        if window.should_close() {
            *self = Self::default();
        }
    }
}

/// A row of pictures under its title, as large as there is room and no larger than they are.
fn pictures(ui: &mut Ui, row: &PictureRow<TextureHandle>) {
    widgets::subheading(ui, &row.title);
    let count = row.pictures.len().max(1) as f32;
    let each = (ui.available_width() - theme::GUTTER - space::M * (count - 1.0)) / count;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = space::M;
        for (caption, texture) in &row.pictures {
            let size = texture.size_vec2();
            let size = size * (each / size.x).min(1.0);
            ui.vertical(|ui| {
                ui.set_width(size.x);
                let (rect, response) = ui.allocate_exact_size(size, egui::Sense::hover());
                response.widget_info(|| {
                    let label = format!("{}, {caption}", row.title);
                    egui::WidgetInfo::labeled(egui::accesskit::Role::Image, true, label)
                });
                let whole = egui::Rect::from_min_size(egui::Pos2::ZERO, vec2(1.0, 1.0));
                ui.painter().image(texture.id(), rect, whole, egui::Color32::WHITE);
                widgets::hint(ui, caption);
            });
        }
    });
    ui.add_space(space::M);
}

/// The pictures of a run's folder. Those that can't be read are left out.
fn load(folder: &Path) -> Vec<PictureRow<ColorImage>> {
    let Ok(run) = RunFolder::open(folder) else { return Vec::new() };
    let Ok(recipe) = run.recipe() else { return Vec::new() };
    let decoded = |(caption, path): (String, PathBuf)| Some((caption, image(&decode_file(&path).ok()?)));
    let row = |row: summary::BeforeAfterPictures| PictureRow {
        title: row.title,
        pictures: row.pictures.into_iter().filter_map(decoded).collect(),
    };
    summary::before_and_after_pictures(&run, &recipe).into_iter().map(row).collect()
}

//! Pictures of what was found: which classes are taken for which, what a head saw. A click shows one large.

use egui::accesskit::Role;
use egui::{Label, Rect, Sense, Stroke, Ui, Vec2, WidgetInfo, vec2};

use super::history::Id;
use super::{EvaluateWorkspace, projection_chart};
use crate::platform::tasks::Wake;
use crate::studio::theme::{self, icons, space};
use crate::studio::widgets::{self, SliderScale};

/// A picture that is shown large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnlargedImage {
    id: Id,
    index: usize,
    /// 1 to fit the window.
    zoom: f32,
}

impl EvaluateWorkspace {
    /// Draws them.
    pub(super) fn draw_samples(&mut self, ui: &mut Ui, wake: &Wake) {
        let Some((id, finding)) = self.results.chosen() else {
            ui.add_space(ui.available_height() * 0.25);
            let hint = "Maps, what is mistaken for what, and what heads see in pixels show here.";
            widgets::empty_state(ui, icons::IMAGES, "No pictures yet", hint);
            return;
        };
        let finding = finding.clone();
        let captions: Vec<String> =
            finding.outcome.pictures.iter().map(|shown| shown.caption.clone()).collect();
        let sizes: Vec<Vec2> = finding.shown.iter().map(|sizes| size(sizes.first())).collect();
        if captions.is_empty() {
            ui.add_space(ui.available_height() * 0.25);
            widgets::empty_state(
                ui,
                icons::IMAGES,
                "No pictures of this",
                "The figures say everything here. The linear probe shows what is mistaken for what.",
            );
            return;
        }
        widgets::scroll(ui, "evidence", |ui| {
            if let Some(charted) = &finding.chart {
                self.chart.ui(ui, id, charted, wake);
                ui.add_space(space::S);
            }
            // The first picture of a map is the map itself.
            let first = usize::from(finding.chart.is_some());
            for (index, (caption, size)) in captions.iter().zip(sizes).enumerate().skip(first) {
                let beside =
                    finding.chart.as_ref().and_then(|chart| Some((chart, chart.beside.get(index - 1)?)));
                match beside {
                    Some((charted, map)) => {
                        let rect = self.enlargeable(ui, id, index, caption, projection_chart::size(ui));
                        self.chart.beside_ui(ui, rect, charted, map);
                    }
                    None => self.picture(ui, id, index, caption, size),
                }
                ui.add(Label::new(theme::small(caption).color(theme::tokens(ui).muted)).wrap());
                ui.add_space(space::S);
            }
        });
    }

    fn picture(&mut self, ui: &mut Ui, id: Id, index: usize, caption: &str, size: Vec2) {
        let width = ui.available_width().min(size.x);
        let place = vec2(width, (width * size.y / size.x.max(1.0)).floor().max(1.0));
        let rect = self.enlargeable(ui, id, index, caption, place);
        if ui.is_rect_visible(rect) {
            let pixels = width * ui.pixels_per_point();
            if let Some(texture) = self.results.texture(ui.ctx(), id, index, pixels) {
                ui.painter().image(texture.id(), rect, whole(), egui::Color32::WHITE);
            }
        }
    }

    /// A place for a picture that a click shows large.
    fn enlargeable(&mut self, ui: &mut Ui, id: Id, index: usize, caption: &str, place: Vec2) -> Rect {
        let (rect, response) = ui.allocate_exact_size(place, Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Show large: {caption}")));
        if response.clicked() {
            self.large = Some(EnlargedImage { id, index, zoom: 1.0 });
        }
        if response.has_focus() {
            // Around it: what is drawn there comes later.
            let ring = Stroke::new(theme::RING, theme::tokens(ui).accent);
            ui.painter().rect_stroke(rect, 0, ring, egui::StrokeKind::Outside);
        }
        response.on_hover_cursor(egui::CursorIcon::ZoomIn);
        rect
    }

    /// The picture that is shown large, over everything.
    pub(super) fn large_ui(&mut self, ctx: &egui::Context) {
        let Some(mut large) = self.large else { return };
        let Some((_, finding)) = self.results.chosen().filter(|(id, _)| *id == large.id) else {
            self.large = None;
            return;
        };
        let Some(shown) = finding.outcome.pictures.get(large.index) else { return };
        let caption = shown.caption.clone();
        let size = size(finding.shown.get(large.index).and_then(|sizes| sizes.first()));
        let room = ctx.content_rect().size() - vec2(96.0, 200.0);
        let fit = (room.x / size.x.max(1.0)).min(room.y / size.y.max(1.0)).clamp(0.01, 1.0);
        let frame = egui::Frame::window(&ctx.global_style());
        let response = egui::Modal::new(egui::Id::unique("large picture")).frame(frame).show(ctx, |ui| {
            // Wide enough for the slider, whatever the picture.
            ui.set_width((size.x * fit).max(320.0).min(room.x));
            let place = size * fit * large.zoom;
            let high = place.y.min(room.y);
            let area = egui::ScrollArea::both().max_width(room.x).max_height(high).min_scrolled_height(high);
            area.show(ui, |ui| {
                let (rect, response) = ui.allocate_exact_size(place, Sense::hover());
                response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &caption));
                let pixels = place.x * ui.pixels_per_point();
                if let Some(texture) = self.results.texture(ui.ctx(), large.id, large.index, pixels) {
                    ui.painter().image(texture.id(), rect, whole(), egui::Color32::WHITE);
                }
            });
            ui.add(Label::new(theme::small(&caption).color(theme::tokens(ui).muted)).wrap());
            ui.horizontal(|ui| {
                if widgets::button(ui, "", "Close").clicked() {
                    ui.close();
                }
                let scale = SliderScale::new(1.0..=(2.0 / fit).max(2.0)).unit("×");
                widgets::slider_row(ui, "Size", &mut large.zoom, &scale);
            });
        });
        self.large = (!response.should_close()).then_some(large);
    }
}

fn size(image: Option<&std::sync::Arc<egui::ColorImage>>) -> Vec2 {
    image.map_or(vec2(1.0, 1.0), |image| vec2(image.size[0] as f32, image.size[1] as f32))
}

fn whole() -> Rect {
    Rect::from_min_max(egui::pos2(0.0, 0.0), egui::pos2(1.0, 1.0))
}

//! The feature map: pictures as points, near to each other where the model finds them alike. What a point is shows under the
//! pointer; a click opens it in Explore.

pub(super) mod dark_theme;
pub(super) mod projection_data;

use std::collections::HashMap;
use std::path::PathBuf;

use dinoscope_core::eval::embedding::{ClassMarker, MarkerShape, ProjectionMap, mark};
use egui::accesskit::Role;
use egui::{
    Color32, ColorImage, EventFilter, Key, Label, Painter, PointerButton, Pos2, Rect, Sense, Stroke,
    TextureHandle, TextureOptions, Ui, Vec2, WidgetInfo, pos2, vec2,
};

use super::history::Id;
use super::images::image;
use crate::platform::tasks::Wake;
use crate::studio::background::task::{BackgroundTask, TaskFailedError};
use crate::studio::theme::{self, ThemeTokens, fonts, icons, space};
use crate::studio::{touch, widgets};
use projection_data::ProjectionChartData;

/// Longest side of the picture beside a point, in pixels.
const THUMB: usize = 160;
/// Such pictures that are kept.
const THUMBS: usize = 256;
/// Points from the pointer within which a point is meant.
const NEAR: f32 = 14.0;
/// Nearest and furthest look.
const ZOOM: (f32, f32) = (1.0, 40.0);

/// A picture of a map that is to be looked at.
pub enum ProjectionPointImage {
    /// It is a file.
    File(PathBuf),
    /// It is in memory, under this name.
    Picture(String, ColorImage),
}

/// A picture that is being read.
type Reading = BackgroundTask<Result<ColorImage, String>>;

/// How a map is looked at.
pub struct ProjectionChart {
    /// Which finding's.
    of: Option<Id>,
    /// In the middle of the view.
    middle: Vec2,
    zoom: f32,
    /// The point under the pointer, or the one that the keyboard has come to.
    pointed: Option<usize>,
    /// The only class that is seen.
    only: Option<u32>,
    /// The class under the pointer in the legend.
    hinted: Option<u32>,
    thumbs: HashMap<(Id, usize), TextureHandle>,
    thumb: Option<((Id, usize), Reading)>,
    opening: Option<(String, Reading)>,
    opened: Option<ProjectionPointImage>,
}

impl Default for ProjectionChart {
    fn default() -> Self {
        Self {
            of: None,
            middle: Vec2::ZERO,
            zoom: 1.0,
            pointed: None,
            only: None,
            hinted: None,
            thumbs: HashMap::new(),
            thumb: None,
            opening: None,
            opened: None,
        }
    }
}

impl ProjectionChart {
    /// Takes in pictures that were loaded.
    pub fn logic(&mut self, ctx: &egui::Context) {
        if let Some((key, answer)) =
            self.thumb.as_mut().and_then(|(key, work)| work.answer().map(|answer| (*key, answer)))
        {
            self.thumb = None;
            let image = match answer {
                Ok(Ok(image)) => image,
                // Its name is shown without a picture.
                Ok(Err(_)) | Err(TaskFailedError) => ColorImage::filled([1, 1], Color32::TRANSPARENT),
            };
            if self.thumbs.len() >= THUMBS {
                self.thumbs.clear();
            }
            let texture = ctx.load_texture(format!("point {key:?}"), image, TextureOptions::LINEAR);
            self.thumbs.insert(key, texture);
        }
        let answer = self.opening.as_mut().and_then(|(_, work)| work.answer());
        if let Some((answer, (name, _))) = answer.and_then(|answer| Some((answer, self.opening.take()?)))
            && let Ok(Ok(image)) = answer
        {
            self.opened = Some(ProjectionPointImage::Picture(name, image));
        }
    }

    /// A picture that a person wants to look at in Explore.
    pub fn wants_opened(&mut self) -> Option<ProjectionPointImage> {
        self.opened.take()
    }

    /// Whether a picture is on its way.
    pub fn busy(&self) -> bool {
        self.thumb.is_some() || self.opening.is_some()
    }

    /// Draws a map and its legend.
    pub fn ui(&mut self, ui: &mut Ui, id: Id, charted: &ProjectionChartData, wake: &Wake) {
        if self.of != Some(id) {
            // Thumbnails stay: one goes to and fro between weights.
            self.of = Some(id);
            (self.middle, self.zoom, self.pointed) = (Vec2::ZERO, 1.0, None);
            self.only = self.only.filter(|class| (*class as usize) < charted.map.classes.len());
        }
        let (rect, response) = ui.allocate_exact_size(size(ui), Sense::click_and_drag());
        let label = format!("Map of {} pictures", charted.map.points.len());
        response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, &label));
        self.move_view(ui, rect, &response);
        self.walk(ui, &response, charted);
        let view = self.view(rect);
        let pointer = response.hover_pos();
        if let Some(pointer) = pointer {
            self.pointed = self.nearest(&view, charted, pointer);
        } else if !response.has_focus() {
            self.pointed = None;
        }
        let t = theme::tokens(ui);
        self.draw(&ui.painter_at(rect), &view, &charted.map, self.pointed, &t);
        if response.has_focus() {
            let ring = Stroke::new(theme::RING, t.accent);
            ui.painter().rect_stroke(rect, theme::RADIUS, ring, egui::StrokeKind::Inside);
        }
        if let Some(point) = self.pointed {
            let at = view.place(charted.map.points[point]);
            let told = ProjectionHoverPoint { id, charted, point, at: pointer.unwrap_or(at) };
            self.tell(ui, &response, &told, wake);
            if response.clicked() || (response.has_focus() && ui.input(|input| input.key_pressed(Key::Enter)))
            {
                self.open(charted, point, wake);
            }
        }
        ui.horizontal(|ui| {
            if widgets::icon_button(ui, icons::ZOOM_FIT, "The whole map").clicked() {
                (self.middle, self.zoom) = (Vec2::ZERO, 1.0);
            }
            widgets::hint(
                ui,
                touch::words(ui, "A tap opens a picture in Explore.", "A click opens a picture in Explore."),
            );
        });
        widgets::hint(ui, &charted.map.way);
        self.legend(ui, charted, &t);
    }

    /// Draws the same pictures as something else sees them, as large as the map itself. The point that is pointed at there
    /// stands out here as well.
    pub fn beside_ui(&self, ui: &Ui, rect: Rect, charted: &ProjectionChartData, map: &ProjectionMap) {
        let view = ProjectionViewport { rect, middle: Vec2::ZERO, zoom: 1.0 };
        // Who could not be seen by all of them is in none of the others' places.
        let pointed = self.pointed.and_then(|point| charted.map.pictures.get(point));
        let pointed = pointed.and_then(|picture| map.pictures.iter().position(|other| other == picture));
        self.draw(&ui.painter_at(rect), &view, map, pointed, &theme::tokens(ui));
    }

    /// Drags, turns of the wheel and double clicks.
    fn move_view(&mut self, ui: &Ui, rect: Rect, response: &egui::Response) {
        let scale = self.view(rect).scale();
        if response.dragged_by(PointerButton::Primary) {
            self.middle -= response.drag_delta() / scale;
        }
        if let Some(pointer) = response.hover_pos() {
            let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta.y, input.zoom_delta()));
            let factor = pinch * (scroll * 0.005).exp();
            let zoom = (self.zoom * factor).clamp(ZOOM.0, ZOOM.1);
            if zoom != self.zoom {
                // What is under the pointer stays there.
                let from = (pointer - rect.center()) / scale;
                self.middle += from * (1.0 - self.zoom / zoom);
                self.zoom = zoom;
                ui.input_mut(|input| input.smooth_scroll_delta.y = 0.0);
            }
        }
        if response.double_clicked() {
            (self.middle, self.zoom) = (Vec2::ZERO, 1.0);
        }
        let most = 1.0 - 1.0 / self.zoom;
        self.middle = self.middle.clamp(Vec2::splat(-most), Vec2::splat(most));
    }

    /// Arrow keys go from point to point.
    fn walk(&mut self, ui: &Ui, response: &egui::Response, charted: &ProjectionChartData) {
        if !response.has_focus() {
            return;
        }
        let filter = EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
        let step = ui.input(|input| {
            let forth = input.num_presses(Key::ArrowRight) + input.num_presses(Key::ArrowDown);
            let back = input.num_presses(Key::ArrowLeft) + input.num_presses(Key::ArrowUp);
            forth as i64 - back as i64
        });
        let shown: Vec<usize> = (0..charted.map.points.len()).filter(|p| self.is_seen(charted, *p)).collect();
        if step == 0 || shown.is_empty() {
            return;
        }
        let at = self.pointed.and_then(|point| shown.iter().position(|shown| *shown == point));
        let next = at.map_or(0, |at| (at as i64 + step).rem_euclid(shown.len() as i64) as usize);
        self.pointed = Some(shown[next]);
    }

    fn is_seen(&self, charted: &ProjectionChartData, point: usize) -> bool {
        self.only.is_none_or(|only| charted.class(point) == Some(only))
    }

    fn nearest(&self, view: &ProjectionViewport, charted: &ProjectionChartData, to: Pos2) -> Option<usize> {
        let points = charted.map.points.iter().enumerate();
        let seen = points.filter(|(point, _)| self.is_seen(charted, *point));
        let apart = seen.map(|(point, at)| (point, view.place(*at).distance(to)));
        let (point, apart) = apart.min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        (apart <= NEAR).then_some(point)
    }

    fn draw(
        &self,
        painter: &Painter,
        view: &ProjectionViewport,
        map: &ProjectionMap,
        pointed: Option<usize>,
        t: &ThemeTokens,
    ) {
        painter.rect_filled(view.rect, theme::RADIUS, t.field);
        let points = &map.points;
        let class = |point: usize| map.labels.get(point).copied().flatten();
        let seen = |point: usize| self.only.is_none_or(|only| class(point) == Some(only));
        let radius = (80.0 / (points.len().max(1) as f32).sqrt()).clamp(2.5, 6.0) * view.zoom.sqrt().min(2.0);
        // In an order that puts no class over the others. The step is a prime above every map's length, so that each
        // point has its turn.
        const STEP: usize = 7919;
        let order = (0..points.len()).map(|i| i * STEP % points.len());
        let bright = self.hinted.or(self.only);
        for point in order {
            let at = view.place(points[point]);
            if !view.rect.expand(radius).contains(at) || !seen(point) {
                continue;
            }
            let class = class(point);
            let faded = bright.is_some_and(|bright| class != Some(bright));
            draw_mark(painter, mark(class), at, radius, faded, t);
        }
        if let Some(point) = pointed {
            let at = view.place(points[point]);
            draw_mark(painter, mark(class(point)), at, radius + 1.5, false, t);
            painter.circle_stroke(at, radius + 4.0, Stroke::new(2.0, t.text));
        }
    }

    fn view(&self, rect: Rect) -> ProjectionViewport {
        ProjectionViewport { rect, middle: self.middle, zoom: self.zoom }
    }

    /// The picture of a point with its name and class, beside it.
    fn tell(&mut self, ui: &Ui, response: &egui::Response, told: &ProjectionHoverPoint<'_>, wake: &Wake) {
        let ProjectionHoverPoint { id, charted, point, at } = *told;
        let picture = charted.map.pictures.get(point).copied().unwrap_or(point);
        let key = (id, picture);
        if !self.thumbs.contains_key(&key) && self.thumb.is_none() {
            let source = charted.source.clone();
            let load = move || source.load(picture).map(|p| image(&p, THUMB)).map_err(|e| e.to_string());
            self.thumb = Some((key, BackgroundTask::ask_async("point", wake, async move || load())));
        }
        let (name, class) = charted.words(point);
        let tooltip =
            egui::Tooltip::always_open(ui.ctx().clone(), ui.layer_id(), response.id.with("point"), at);
        tooltip.gap(16.0).show(|ui| {
            if let Some(texture) = self.thumbs.get(&key) {
                let size = texture.size_vec2();
                let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
                let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
                ui.painter().image(texture.id(), rect, whole, Color32::WHITE);
            } else {
                ui.allocate_exact_size(Vec2::splat(96.0), Sense::hover());
            }
            ui.label(name);
            if !class.is_empty() {
                widgets::hint(ui, class);
            }
        });
    }

    fn open(&mut self, charted: &ProjectionChartData, point: usize, wake: &Wake) {
        let picture = charted.map.pictures.get(point).copied().unwrap_or(point);
        match &charted.folder {
            Some(folder) => {
                self.opened = Some(ProjectionPointImage::File(folder.join(charted.words(point).0)))
            }
            None => {
                let source = charted.source.clone();
                let load = move || source.load(picture).map_err(|error| error.to_string());
                let work = BackgroundTask::ask_async("point", wake, async move || {
                    load().map(|p| ColorImage::from_rgb([p.width, p.height], &p.rgb))
                });
                self.opening = Some((charted.words(point).0.to_owned(), work));
            }
        }
    }

    /// Classes with their marks. Under the pointer a class stands out; clicked it is the only one that is seen.
    fn legend(&mut self, ui: &mut Ui, charted: &ProjectionChartData, t: &ThemeTokens) {
        self.hinted = None;
        let counts = charted.map.counts();
        egui::ScrollArea::vertical().id_salt("legend").max_height(160.0).show(ui, |ui| {
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing = vec2(space::XS, space::XS);
                for (class, (name, count)) in charted.map.classes.iter().zip(counts).enumerate() {
                    let class = class as u32;
                    if count == 0 {
                        continue;
                    }
                    let on = self.only == Some(class);
                    let response = chip(ui, mark(Some(class)), name, count, on, t);
                    if response.clicked() {
                        self.only = (!on).then_some(class);
                    }
                    if response.hovered() {
                        self.hinted = Some(class);
                        ui.ctx().request_repaint();
                    }
                }
            });
        });
        if charted.map.labels.iter().all(Option::is_none) {
            ui.add(Label::new(theme::small("These pictures have no classes.").color(t.muted)));
        }
    }
}

/// What a map takes of a panel.
pub fn size(ui: &Ui) -> Vec2 {
    let width = ui.available_width();
    vec2(width, width.min(0.75 * ui.clip_rect().height()).max(120.0))
}

/// A point that is spoken of.
struct ProjectionHoverPoint<'a> {
    id: Id,
    charted: &'a ProjectionChartData,
    point: usize,
    at: Pos2,
}

/// Where the points of a map lie on the screen.
struct ProjectionViewport {
    rect: Rect,
    middle: Vec2,
    zoom: f32,
}

impl ProjectionViewport {
    /// Points on the screen for 1 on the map. Marks at the edge are seen whole.
    fn scale(&self) -> f32 {
        (0.5 * self.rect.width().min(self.rect.height()) - 12.0).max(1.0) * self.zoom
    }

    /// Upwards on the map is upwards on the screen.
    fn place(&self, [x, y]: [f32; 2]) -> Pos2 {
        self.rect.center() + (vec2(x, -y) - self.middle) * self.scale()
    }
}

fn draw_mark(painter: &Painter, mark: ClassMarker, at: Pos2, radius: f32, faded: bool, t: &ThemeTokens) {
    let [r, g, b] = mark.colour;
    let colour = Color32::from_rgb(r, g, b);
    let colour = if faded { colour.lerp_to_gamma(t.field, 0.8) } else { colour };
    let edge = Stroke::new(1.0, t.field);
    match mark.shape {
        MarkerShape::Disc => painter.circle(at, radius, colour, edge),
        shape => {
            let corners = shape.corners().iter().map(|[x, y]| at + radius * vec2(*x, *y)).collect();
            painter.add(egui::Shape::convex_polygon(corners, colour, edge))
        }
    };
}

/// A class of the legend.
fn chip(
    ui: &mut Ui,
    mark: ClassMarker,
    name: &str,
    count: usize,
    on: bool,
    t: &ThemeTokens,
) -> egui::Response {
    let font = egui::FontId::new(fonts::SMALL, egui::FontFamily::Proportional);
    let text = format!("{name}  {count}");
    let galley = ui.painter().layout_no_wrap(text, font, if on { t.accent } else { t.text });
    let size = vec2(galley.size().x.ceil() + 26.0, if touch::is(ui) { theme::TOUCH } else { 22.0 });
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, format!("Only {name}")));
    let ground = match (on, response.hovered()) {
        (true, _) => t.accent_soft,
        (false, true) => t.hovered,
        (false, false) => Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, 4.0, ground);
    draw_mark(ui.painter(), mark, pos2(rect.left() + 11.0, rect.center().y), 4.5, false, t);
    let top = rect.center().y - 0.5 * galley.size().y;
    ui.painter().galley(pos2(rect.left() + 20.0, top), galley, t.text);
    if response.has_focus() {
        ui.painter().rect_stroke(rect, 4.0, Stroke::new(theme::RING, t.accent), egui::StrokeKind::Inside);
    }
    response
}

//! The map pane: every picture of the heap as a point, near to those that the model finds alike. Dragged around, points are selected;
//! what is selected is kept, left out, or looked for again.

use dinoscope_curate::heap::{HandChoice, RowFate};
use egui::{Color32, Key, Pos2, Rect, Sense, Stroke, TextureHandle, TextureOptions, Ui, Vec2, pos2, vec2};

use super::map_raster::{MapPoint, MapViewport, is_inside, raster};
use super::pictures_pane::PicturesShown;
use super::{CurateWorkspace, file_name};
use crate::platform::dialogs::DialogPurpose;
use crate::studio::app_context::AppContext;
use crate::studio::theme::{self, ThemeTokens, icons, space};
use crate::studio::train::words;
use crate::studio::widgets;

/// Points from the pointer within which a point is meant.
const NEAR: f32 = 12.0;
/// Nearest and furthest look.
const ZOOM: (f32, f32) = (1.0, 60.0);
/// Longest side of the picture beside a point.
const THUMB: f32 = 128.0;

/// What a drag does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MapTool {
    /// Draws a loop around what is selected.
    #[default]
    Lasso,
    /// Moves the map.
    Move,
}

/// What the drawn map depends on.
type MapKey = (MapViewport, u64, usize, u64, bool, u32);

/// How the map is looked at.
#[derive(Default)]
pub struct HeapMap {
    tool: MapTool,
    middle: Vec2,
    /// 0 until it is drawn: 1 then.
    zoom: f32,
    /// The loop that is being drawn.
    lasso: Vec<Pos2>,
    texture: Option<(MapKey, TextureHandle)>,
}

/// Every fate with its name and colour.
pub fn fates(t: &ThemeTokens) -> [(RowFate, &'static str, Color32); 4] {
    [
        (RowFate::Kept, "Stays", t.accent),
        (RowFate::Copy, "Copy", t.watch),
        (RowFate::Poor, "Poor", t.muted),
        (RowFate::Dropped, "Left out", t.bad),
    ]
}

impl CurateWorkspace {
    /// Draws the pane.
    pub fn map_ui(&mut self, ui: &mut Ui, app: &mut AppContext) {
        let Some(heap) = self.heap.clone() else {
            ui.add_space(ui.available_height() * 0.2);
            let hint = "Choose a folder and look at all of it: every picture becomes a point here, near to those that are like it. \
                        Copies, what is blurred or dark, and what you leave out are told apart, and the rest is trained on.";
            widgets::empty_state(ui, icons::SCATTER, "A heap of pictures becomes a data set", hint);
            return;
        };
        self.map.zoom = self.map.zoom.max(1.0);
        ui.horizontal(|ui| {
            let tools = [(MapTool::Lasso, "Select"), (MapTool::Move, "Move")];
            widgets::segmented(ui, "What a drag does", &mut self.map.tool, &tools);
            if widgets::icon_button(ui, icons::ZOOM_FIT, "The whole map").clicked() {
                (self.map.middle, self.map.zoom) = (Vec2::ZERO, 1.0);
            }
            if widgets::icon_button(ui, icons::SEARCH, "Look for pictures like one…").clicked() {
                app.dialogs.ask(DialogPurpose::CuratedQuery, "");
            }
            self.legend_ui(ui);
        });
        ui.add_space(space::XS);
        let below = theme::button(ui) + ui.spacing().item_spacing.y;
        let size = vec2(ui.available_width(), (ui.available_height() - below).max(80.0));
        let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
        response.widget_info(|| {
            let label = format!("Map of {} pictures", heap.table.rows.len());
            egui::WidgetInfo::labeled(egui::Role::Figure, true, label)
        });
        self.move_map(ui, rect, &response);
        let view = MapViewport { rect, middle: self.map.middle, zoom: self.map.zoom };
        self.draw_map(ui, &view);
        self.draw_lasso(ui, &view, &response);
        let pointed = response.hover_pos().and_then(|pointer| self.point_near(&view, pointer));
        if let Some(row) = pointed {
            self.tell(ui, &view, &response, row);
        }
        if response.clicked() {
            let more = ui.input(|input| input.modifiers.shift || input.modifiers.command);
            let before = if more { self.selected.clone() } else { Default::default() };
            self.select(before.into_iter().chain(pointed).collect());
        }
        if response.has_focus() {
            let t = theme::tokens(ui);
            let ring = Stroke::new(theme::RING, t.accent);
            ui.painter().rect_stroke(rect, theme::RADIUS, ring, egui::StrokeKind::Inside);
        }
        self.selection_ui(ui, app);
    }

    /// Fates with their numbers; a click shows their pictures.
    fn legend_ui(&mut self, ui: &mut Ui) {
        let t = theme::tokens(ui);
        for (fate, name, colour) in fates(&t) {
            let count = self.outcome.count(fate);
            let text = format!("{name} {}", words::count(count as u64));
            let response = ui
                .horizontal(|ui| {
                    ui.spacing_mut().item_spacing.x = 4.0;
                    let (dot, _) = ui.allocate_exact_size(vec2(10.0, theme::row(ui)), Sense::hover());
                    ui.painter().circle_filled(dot.center(), 4.0, colour);
                    ui.add(egui::Button::new(theme::small(text)).frame(false))
                })
                .inner;
            response.widget_info(|| {
                egui::WidgetInfo::labeled(
                    egui::Role::Button,
                    true,
                    format!("Show {}: {count}", name.to_lowercase()),
                )
            });
            if response.clicked() {
                self.shown = PicturesShown::Fate(fate);
            }
        }
    }

    /// Drags, turns of the wheel and double clicks.
    fn move_map(&mut self, ui: &Ui, rect: Rect, response: &egui::Response) {
        let scale = MapViewport { rect, middle: self.map.middle, zoom: self.map.zoom }.scale();
        let middle_button = response.dragged_by(egui::PointerButton::Middle);
        if middle_button
            || (self.map.tool == MapTool::Move && response.dragged_by(egui::PointerButton::Primary))
        {
            self.map.middle -= response.drag_delta() / scale;
        }
        if let Some(pointer) = response.hover_pos() {
            let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta.y, input.zoom_delta()));
            let zoom = (self.map.zoom * pinch * (scroll * 0.005).exp()).clamp(ZOOM.0, ZOOM.1);
            if zoom != self.map.zoom {
                // What is under the pointer stays there.
                let from = (pointer - rect.center()) / scale;
                self.map.middle += from * (1.0 - self.map.zoom / zoom);
                self.map.zoom = zoom;
                ui.input_mut(|input| input.smooth_scroll_delta.y = 0.0);
            }
        }
        if response.double_clicked() {
            (self.map.middle, self.map.zoom) = (Vec2::ZERO, 1.0);
        }
        let wide = rect.size() / rect.size().min_elem().max(1.0);
        let most = (wide - Vec2::splat(1.0 / self.map.zoom)).max(Vec2::ZERO);
        self.map.middle = self.map.middle.clamp(-most, most);
    }

    fn draw_map(&mut self, ui: &Ui, view: &MapViewport) {
        let Some(heap) = self.heap.clone() else { return };
        let t = theme::tokens(ui);
        let pixels = ui.ctx().pixels_per_point();
        let chosen = self
            .selected
            .iter()
            .fold(0u64, |sum, row| sum.rotate_left(5) ^ u64::from(*row).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let key: MapKey = (*view, self.version, self.selected.len(), chosen, t.dark, pixels.to_bits());
        if self.map.texture.as_ref().is_none_or(|(known, _)| *known != key) {
            let colours = fates(&t);
            let colour = |fate: RowFate| {
                colours
                    .iter()
                    .find(|(known, ..)| *known == fate)
                    .map_or(Color32::TRANSPARENT, |(.., colour)| *colour)
            };
            let faded = !self.selected.is_empty();
            let points: Vec<MapPoint> = heap
                .places
                .iter()
                .zip(&self.outcome.fates)
                .enumerate()
                .map(|(row, (at, fate))| {
                    let above = self.selected.contains(&(row as u32));
                    let colour = if at.is_none() { Color32::TRANSPARENT } else { colour(*fate) };
                    let seen = colour.a() > 0 && faded && !above;
                    let colour = if seen { colour.lerp_to_gamma(t.field, 0.55) } else { colour };
                    MapPoint { at: at.unwrap_or_default(), colour, above }
                })
                .collect();
            let image = raster(view, &points, pixels, (t.field, t.text));
            match &mut self.map.texture {
                Some((known, texture)) => {
                    texture.set(image, TextureOptions::LINEAR);
                    *known = key;
                }
                none => *none = Some((key, ui.ctx().load_texture("heap map", image, TextureOptions::LINEAR))),
            }
        }
        if let Some((_, texture)) = &self.map.texture {
            let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            ui.painter().image(texture.id(), view.rect, whole, Color32::WHITE);
        }
    }

    /// The loop, and what it holds once the button is let go.
    fn draw_lasso(&mut self, ui: &Ui, view: &MapViewport, response: &egui::Response) {
        let drawing = self.map.tool == MapTool::Lasso && response.dragged_by(egui::PointerButton::Primary);
        if let Some(pointer) = response.interact_pointer_pos().filter(|_| drawing) {
            if response.drag_started() {
                self.map.lasso.clear();
                self.map.lasso.extend(ui.input(|input| input.pointer.press_origin()));
            }
            if self.map.lasso.last().is_none_or(|last| last.distance(pointer) > 2.0) {
                self.map.lasso.push(pointer);
            }
        }
        if self.map.lasso.len() > 1 {
            let t = theme::tokens(ui);
            let painter = ui.painter_at(view.rect);
            painter.add(egui::Shape::closed_line(self.map.lasso.clone(), Stroke::new(1.5, t.text)));
        }
        if response.drag_stopped() && !self.map.lasso.is_empty() {
            let around = std::mem::take(&mut self.map.lasso);
            let Some(heap) = self.heap.clone() else { return };
            let more = ui.input(|input| input.modifiers.shift || input.modifiers.command);
            let before = if more { self.selected.clone() } else { Default::default() };
            let held = heap
                .places
                .iter()
                .enumerate()
                .filter_map(|(row, at)| is_inside(&around, view.place((*at)?)).then_some(row as u32));
            self.select(before.into_iter().chain(held).collect());
        }
        if ui.input(|input| input.key_pressed(Key::Escape)) && !ui.ctx().text_edit_focused() {
            self.map.lasso.clear();
            self.select(Default::default());
        }
    }

    fn point_near(&self, view: &MapViewport, to: Pos2) -> Option<u32> {
        let heap = self.heap.as_ref()?;
        let apart = heap.places.iter().enumerate().filter_map(|(row, at)| {
            let apart = view.place((*at)?).distance(to);
            (apart <= NEAR).then_some((row as u32, apart))
        });
        apart.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(row, _)| row)
    }

    /// The picture of a point beside it.
    fn tell(&mut self, ui: &Ui, view: &MapViewport, response: &egui::Response, row: u32) {
        let Some(heap) = self.heap.clone() else { return };
        let about = &heap.table.rows[row as usize];
        let texture = self.thumbnails.get(row, &about.key).flatten();
        let texture = texture.map(|texture| (texture.id(), texture.size_vec2()));
        let at = heap.places[row as usize].map_or(view.rect.center(), |at| view.place(at));
        ui.painter_at(view.rect).circle_stroke(at, 7.0, Stroke::new(2.0, theme::tokens(ui).text));
        let tooltip =
            egui::Tooltip::always_open(ui.ctx().clone(), ui.layer_id(), response.id.with("point"), at);
        let nearest = heap.nearest[row as usize];
        tooltip.gap(14.0).show(|ui| {
            let (rect, _) = ui.allocate_exact_size(Vec2::splat(THUMB), Sense::hover());
            super::copies_pane::picture(ui, rect, texture, &theme::tokens(ui));
            ui.label(file_name(&about.key));
            if let Some(nearest) = nearest {
                widgets::hint(ui, &format!("Its nearest: {nearest:.3}"));
            }
        });
    }

    /// What can be done with what is selected.
    fn selection_ui(&mut self, ui: &mut Ui, app: &mut AppContext) {
        let count = self.selected.len();
        ui.add_enabled_ui(count > 0, |ui| {
            ui.horizontal(|ui| {
                if widgets::button(ui, icons::TRASH, "Leave out").clicked() {
                    self.decide_by_hand(app, Some(HandChoice::Drop));
                }
                if widgets::button(ui, icons::CHECK, "Keep").clicked() {
                    self.decide_by_hand(app, Some(HandChoice::Keep));
                }
                if widgets::button(ui, icons::RESUME, "As the others")
                    .on_hover_text("Takes back what was said of them.")
                    .clicked()
                {
                    self.decide_by_hand(app, None);
                }
                let one = self.selected.first().copied().filter(|_| count == 1);
                let similar = |ui: &mut Ui| widgets::button(ui, icons::SIMILARITY, "Similar");
                if let (true, Some(row)) = (ui.add_enabled_ui(one.is_some(), similar).inner.clicked(), one) {
                    self.list_similar(row);
                }
                let text = match count {
                    0 => "Drag around points, or click one.".to_owned(),
                    _ => format!("{} selected", words::some(count, "picture", "pictures")),
                };
                ui.add(egui::Label::new(theme::small(text)).truncate());
            });
        });
    }
}

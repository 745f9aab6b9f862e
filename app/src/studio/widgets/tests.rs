//! Tests of the widgets: what the mouse, the keyboard and a screen reader can do with them.
//!
//! With `DINOSCOPE_SPECIMEN` naming a folder, the pictures of the page are left there to look at.

use egui::accesskit::{Role, Toggled};
use egui::{Key, Modifiers, Theme, vec2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use egui_kittest::{Harness, HarnessBuilder};

use super::specimen::WidgetGallery;
use super::*;
use crate::studio::theme::{self, icons};
use dinoscope_raster::Raster;

struct Painter(Raster);

impl egui_kittest::TestRenderer for Painter {
    fn handle_delta(&mut self, delta: &mut egui::TexturesDelta) {
        self.0.update(delta);
        delta.clear();
    }

    fn render(&mut self, ctx: &egui::Context, output: &egui::FullOutput) -> Result<image::RgbaImage, String> {
        let scale = output.pixels_per_point;
        let size = (ctx.content_rect().size() * scale).round();
        let primitives = ctx.tessellate(output.shapes.clone(), scale);
        Ok(self.0.paint([size.x as usize, size.y as usize], scale, &primitives, egui::Color32::BLACK))
    }
}

fn builder<S>() -> HarnessBuilder<S> {
    Harness::builder().with_context_setup(theme::install).with_step_dt(0.05).with_size(vec2(1040.0, 860.0))
}

fn page(theme: Theme, scale: f32) -> Harness<'static, WidgetGallery> {
    let builder = builder().with_theme(theme).with_pixels_per_point(scale).with_accessibility_check(true);
    let mut harness = builder
        .renderer(Painter(Raster::new()))
        .build_ui_state(|ui, specimen: &mut WidgetGallery| specimen.ui(ui), WidgetGallery::default());
    harness.run_steps(8);
    harness
}

/// Leaves a picture where it was asked for.
fn keep(harness: &mut Harness<'_, WidgetGallery>, name: &str) -> image::RgbaImage {
    let picture = harness.render().unwrap();
    if let Some(folder) = std::env::var_os("DINOSCOPE_SPECIMEN") {
        picture.save(std::path::Path::new(&folder).join(format!("{name}.png"))).unwrap();
    }
    picture
}

#[test]
fn the_page_is_drawn_in_both_themes_and_sizes() {
    for (theme, name) in [(Theme::Dark, "dark"), (Theme::Light, "light")] {
        for scale in [1.0, 2.0] {
            let mut harness = page(theme, scale);
            let picture = keep(&mut harness, &format!("{name}-{scale}"));
            assert_eq!(picture.width(), (1040.0 * scale) as u32);
            let t = theme::ThemeTokens::of(theme);
            let has = |colour: egui::Color32| picture.pixels().any(|pixel| pixel.0 == colour.to_array());
            for colour in [t.window, t.panel, t.raised, t.accent, t.accent_soft, t.bad_soft] {
                assert!(has(colour), "{colour:?} is nowhere (dark: {})", t.dark);
            }
        }
    }
}

#[test]
fn a_list_lies_over_the_page() {
    for (theme, name) in [(Theme::Dark, "list-dark"), (Theme::Light, "list-light")] {
        let mut harness = page(theme, 1.0);
        harness.get_by_role(Role::ComboBox).click();
        harness.run_steps(8);
        harness.get_by_label("ViT-B/14").hover();
        harness.run_steps(8);
        let picture = keep(&mut harness, name);
        let item = harness.get_by_label("ViT-B/14").rect().center();
        let ground =
            picture.get_pixel(item.x as u32, harness.get_by_label("ViT-B/14").rect().top() as u32 + 3);
        assert_eq!(ground.0, theme::ThemeTokens::of(theme).hovered.to_array(), "the one under the pointer");
    }
}

#[test]
fn the_keyboard_sees_where_it_is() {
    const STOPS: usize = 30;
    for theme in [Theme::Dark, Theme::Light] {
        let mut harness = page(theme, 1.0);
        let t = theme::ThemeTokens::of(theme);
        let mut seen = Vec::new();
        for step in 0..STOPS {
            harness.key_press(Key::Tab);
            harness.run_steps(6);
            let id = harness.ctx.memory(|memory| memory.focused()).expect("Tab leads somewhere");
            seen.push(id);
            let rect = harness.ctx.read_response(id).unwrap().rect.expand(6.0);
            let with =
                keep(&mut harness, &format!("focus-{}-{step:02}", if t.dark { "dark" } else { "light" }));
            harness.ctx.memory_mut(|memory| memory.surrender_focus(id));
            harness.run_steps(6);
            let without = harness.render().unwrap();
            harness.ctx.memory_mut(|memory| memory.request_focus(id));
            harness.run_steps(2);
            // Pixels that turned into the colour of a ring, where the widget is.
            let rings = [t.accent.to_array(), t.on_accent.to_array()];
            let turned = with.enumerate_pixels().filter(|(x, y, pixel)| {
                rect.contains(egui::pos2(*x as f32, *y as f32))
                    && rings.contains(&pixel.0)
                    && without.get_pixel(*x, *y) != *pixel
            });
            let turned = turned.count();
            assert!(turned > 40, "stop {step} at {rect:?}: {turned} pixels of a ring (dark: {})", t.dark);
        }
        let all = seen.len();
        seen.sort_by_key(|id| id.value());
        seen.dedup();
        assert_eq!(seen.len(), all, "no stop comes twice");
    }
}

/// A small page for one widget.
fn small<S: 'static>(state: S, add: impl FnMut(&mut egui::Ui, &mut S) + 'static) -> Harness<'static, S> {
    let mut harness = builder().with_size(vec2(320.0, 240.0)).build_ui_state(add, state);
    harness.run_steps(3);
    harness
}

fn press<S>(harness: &mut Harness<'_, S>, key: Key, modifiers: Modifiers) {
    harness.key_press_modifiers(modifiers, key);
    harness.run_steps(3);
}

#[test]
fn buttons_are_named_and_pressed_by_mouse_and_keyboard() {
    let mut harness = small(Vec::new(), |ui, pressed: &mut Vec<&str>| {
        type Add = fn(&mut egui::Ui, &'static str) -> egui::Response;
        let add: [(&str, Add); 4] = [
            ("Fit", |ui, name| icon_button(ui, icons::CLOSE, name)),
            ("Open", |ui, name| button(ui, icons::CLOSE, name)),
            ("Start", |ui, name| primary_button(ui, "", name)),
            ("Delete", |ui, name| danger_button(ui, icons::CLOSE, name)),
        ];
        for (name, add) in add {
            if add(ui, name).clicked() {
                pressed.push(name);
            }
        }
    });
    for name in ["Fit", "Open", "Start", "Delete"] {
        harness.get_by_role_and_label(Role::Button, name).click();
        harness.run_steps(3);
    }
    for _ in 0..2 {
        press(&mut harness, Key::Tab, Modifiers::NONE);
    }
    press(&mut harness, Key::Enter, Modifiers::NONE);
    press(&mut harness, Key::Tab, Modifiers::NONE);
    press(&mut harness, Key::Space, Modifiers::NONE);
    assert_eq!(harness.state().as_slice(), ["Fit", "Open", "Start", "Delete", "Open", "Start"]);
}

#[test]
fn a_shortcut_is_told() {
    let keys = egui::KeyboardShortcut::new(Modifiers::COMMAND, Key::S);
    let mut harness = small((), move |ui, ()| {
        icon_button(ui, icons::CLOSE, ("Save", keys));
    });
    let told = harness.get_by_label("Save").accesskit_node().data().keyboard_shortcut().map(str::to_owned);
    assert_eq!(told, Some(harness.ctx.format_shortcut(&keys)));
    harness.get_by_label("Save").hover();
    harness.run_steps(30);
    let text = harness.ctx.format_shortcut(&keys);
    assert!(harness.query_by_value(&text).is_some() || harness.query_by_label(&text).is_some());
}

#[test]
fn toggles_say_how_they_stand() {
    let mut harness = small((false, true), |ui, (pin, mirror): &mut (bool, bool)| {
        toggle_icon(ui, icons::CLOSE, "Pin", pin);
        switch(ui, "Mirror", mirror);
    });
    let stands =
        |harness: &Harness<'_, (bool, bool)>, name| harness.get_by_label(name).accesskit_node().toggled();
    assert_eq!(stands(&harness, "Pin"), Some(Toggled::False));
    assert_eq!(stands(&harness, "Mirror"), Some(Toggled::True));
    harness.get_by_label("Pin").click();
    harness.get_by_role(Role::Switch).click();
    harness.run_steps(3);
    assert_eq!(*harness.state(), (true, false));
    press(&mut harness, Key::Tab, Modifiers::NONE);
    press(&mut harness, Key::Tab, Modifiers::NONE);
    press(&mut harness, Key::Space, Modifiers::NONE);
    assert_eq!(*harness.state(), (true, true));
    assert_eq!(stands(&harness, "Mirror"), Some(Toggled::True));
}

#[test]
fn arrows_move_the_choice_and_tab_leaves_the_group() {
    let items = [(1, "One"), (2, "Two"), (3, "Three")];
    let mut harness = small((2, 0), move |ui, (value, changes): &mut (i32, i32)| {
        *changes += i32::from(segmented(ui, "Number", value, &items).changed());
        button(ui, "", "After");
    });
    assert_eq!(harness.get_by_role(Role::RadioGroup).accesskit_node().label().as_deref(), Some("Number"));
    press(&mut harness, Key::Tab, Modifiers::NONE);
    assert!(harness.get_by_label("Two").is_focused(), "the chosen one is the stop");
    press(&mut harness, Key::ArrowRight, Modifiers::NONE);
    assert_eq!(*harness.state(), (3, 1));
    assert!(harness.get_by_label("Three").is_focused(), "the keyboard goes with it");
    press(&mut harness, Key::ArrowRight, Modifiers::NONE);
    assert_eq!(*harness.state(), (1, 2), "round the end");
    press(&mut harness, Key::ArrowLeft, Modifiers::NONE);
    assert_eq!(*harness.state(), (3, 3));
    press(&mut harness, Key::Tab, Modifiers::NONE);
    assert!(harness.get_by_label("After").is_focused());
    harness.get_by_label("Two").click();
    harness.run_steps(3);
    assert_eq!(*harness.state(), (2, 4));
}

#[test]
fn a_slider_moves_by_keyboard_mouse_and_number() {
    let scale = SliderScale::new(112..=672).step(14.0).unit("px");
    let mut harness = small(224_u32, move |ui, size: &mut u32| {
        slider_row(ui, "Resolution", size, &scale);
    });
    press(&mut harness, Key::Tab, Modifiers::NONE);
    assert!(harness.get_by_role(Role::Slider).is_focused());
    press(&mut harness, Key::ArrowRight, Modifiers::NONE);
    assert_eq!(*harness.state(), 238);
    press(&mut harness, Key::ArrowLeft, Modifiers::SHIFT);
    assert_eq!(*harness.state(), 112, "ten steps back, as far as it goes");
    press(&mut harness, Key::End, Modifiers::NONE);
    assert_eq!(*harness.state(), 672);
    press(&mut harness, Key::Home, Modifiers::NONE);
    assert_eq!(*harness.state(), 112);
    harness.get_by_role(Role::Slider).click();
    harness.run_steps(3);
    assert_eq!(*harness.state(), 392, "the middle of the rail");
    // The number beside it.
    press(&mut harness, Key::Tab, Modifiers::NONE);
    press(&mut harness, Key::A, Modifiers::COMMAND);
    harness.event(egui::Event::Text("230 px".to_owned()));
    harness.run_steps(2);
    press(&mut harness, Key::Enter, Modifiers::NONE);
    assert_eq!(*harness.state(), 224, "the nearest whole step");
}

#[test]
fn a_list_opens_and_is_named() {
    let items: Vec<(u8, String)> = vec![(0, "First".to_owned()), (1, "Second".to_owned())];
    let mut harness = small((0_u8, 0), move |ui, (value, changes): &mut (u8, i32)| {
        *changes += i32::from(choice_row(ui, "Model", value, &items).changed());
    });
    let list = harness.get_by_role(Role::ComboBox);
    assert_eq!(list.accesskit_node().label().as_deref(), Some("Model"));
    list.click();
    harness.run_steps(3);
    harness.get_by_label("Second").click();
    harness.run_steps(3);
    assert_eq!(*harness.state(), (1, 1));
}

#[test]
fn a_section_remembers_whether_it_is_open() {
    let mut harness = small(true, |ui, there: &mut bool| {
        if *there {
            section(ui, "More", false, |ui| {
                ui.label("Inside");
            });
        }
    });
    assert!(harness.query_by_label("Inside").is_none());
    let header = harness.get_by_role(Role::DisclosureTriangle);
    assert_eq!(header.accesskit_node().data().is_expanded(), Some(false));
    header.click();
    harness.run_steps(10);
    assert!(harness.query_by_label("Inside").is_some());
    *harness.state_mut() = false;
    harness.run_steps(3);
    *harness.state_mut() = true;
    harness.run_steps(3);
    assert!(harness.query_by_label("Inside").is_some());
}

#[test]
fn looking_ends_with_escape_or_the_cross() {
    let mut harness = small("rocket".to_owned(), |ui, text: &mut String| {
        search_field(ui, text, "Look for");
    });
    harness.get_by_label("Empty the field").click();
    harness.run_steps(3);
    assert_eq!(harness.state(), "");
    assert!(harness.query_by_label("Empty the field").is_none());
    harness.get_by_role(Role::SearchInput).click();
    harness.run_steps(3);
    harness.event(egui::Event::Text("fish".to_owned()));
    harness.run_steps(3);
    assert_eq!(harness.state(), "fish");
    press(&mut harness, Key::Escape, Modifiers::NONE);
    assert_eq!(harness.state(), "");
}

#[test]
fn progress_is_told_and_can_be_cancelled() {
    let mut harness = small(false, |ui, cancelled: &mut bool| {
        progress(ui, 0.42, "Epoch");
        progress(ui, f32::NAN, "Nobody knows");
        *cancelled |= progress_with_cancel(ui, 1.5, "Weights");
    });
    let value = |harness: &Harness<'_, bool>, name| {
        harness.get_by_label(name).accesskit_node().data().numeric_value()
    };
    assert_eq!(value(&harness, "Epoch").map(f64::round), Some(42.0));
    assert_eq!(value(&harness, "Nobody knows"), None);
    assert_eq!(value(&harness, "Weights"), Some(100.0));
    harness.get_by_label("Cancel").click();
    harness.run_steps(2);
    assert!(*harness.state());
}

#[test]
fn names_too_long_are_cut_and_told_in_full() {
    let long = "A folder with a name that no panel of this width can hold in one line";
    let mut harness = small((), move |ui, ()| {
        ui.set_max_width(160.0);
        button(ui, icons::CLOSE, long);
        badge(ui, long, StatusTone::Watch);
        property(ui, long, long);
        row(ui, long, |ui, _| ui.label("value"));
    });
    assert!(harness.get_by_role_and_label(Role::Button, long).rect().width() <= 160.0);
    harness.get_by_role_and_label(Role::Button, long).hover();
    harness.run_steps(30);
    assert!(harness.query_all_by_value(long).count() + harness.query_all_by_label(long).count() > 4);
}

//! Every widget on one page, to look at and to test.

use egui::{Key, KeyboardShortcut, Modifiers, Ui, vec2};

use super::*;
use crate::studio::theme::{self, icons, space};
use crate::studio::toasts::{ActionId, Toast, ToastQueue};

/// What the page's widgets change.
pub struct WidgetGallery {
    pub toasts: ToastQueue,
    pub view: usize,
    pub layer: u32,
    pub blend: f32,
    pub rate: f64,
    pub size: u32,
    pub model: usize,
    pub mirrored: bool,
    pub wakes: bool,
    pub pinned: bool,
    pub loose: bool,
    pub looked_for: String,
    pub name: String,
    pub cancelled: bool,
    pub pressed: Vec<&'static str>,
}

impl Default for WidgetGallery {
    fn default() -> Self {
        let mut toasts = ToastQueue::default();
        for n in 0..3 {
            toasts.bad(format!("Picture {n} could not be read."));
        }
        toasts
            .add(Toast::new(StatusTone::Good, "12 pictures exported.").action("Show in folder", ActionId(1)));
        toasts.watch("The graphics card is full; crops are made smaller until there is room.");
        toasts.watch("The graphics card is full; crops are made smaller until there is room.");
        toasts.info("Pasted.");
        Self {
            toasts,
            view: 0,
            layer: 11,
            blend: 0.6,
            rate: 5e-4,
            size: 518,
            model: 1,
            mirrored: true,
            wakes: false,
            pinned: true,
            loose: false,
            looked_for: "teapot".to_owned(),
            name: String::new(),
            cancelled: false,
            pressed: Vec::new(),
        }
    }
}

impl WidgetGallery {
    /// The page: three columns as the panels are, and the toasts over them.
    pub fn ui(&mut self, ui: &mut Ui) {
        let t = theme::tokens(ui);
        ui.painter().rect_filled(ui.ctx().content_rect(), 0.0, t.window);
        egui::Frame::new().inner_margin(16).show(ui, |ui| {
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = space::M;
                let column = |ui: &mut Ui, width: f32, add: &mut dyn FnMut(&mut Ui)| {
                    ui.allocate_ui(vec2(width, 0.0), |ui| {
                        theme::card_frame(ui).show(ui, |ui| {
                            ui.spacing_mut().item_spacing = vec2(space::S, space::S);
                            ui.set_width(width - 32.0);
                            ui.vertical(|ui| add(ui));
                        });
                    });
                };
                column(ui, 344.0, &mut |ui| self.controls(ui));
                column(ui, 400.0, &mut |ui| self.sayings(ui));
                column(ui, 200.0, &mut |ui| self.narrow(ui));
            });
        });
        self.toasts.show(&ui.ctx().clone());
    }

    fn controls(&mut self, ui: &mut Ui) {
        ui.label(theme::heading("Explore"));
        let views = [(0, "PCA"), (1, "Attention"), (2, "Similarity")];
        segmented(ui, "Overlay", &mut self.view, &views);
        section(ui, "What is shown", true, |ui| {
            slider_row(ui, "Blend", &mut self.blend, &SliderScale::new(0.0..=1.0).percent());
            slider_row(ui, "Layer", &mut self.layer, &SliderScale::new(0..=11));
            slider_row(ui, "Resolution", &mut self.size, &SliderScale::new(112..=1036).step(14.0).unit("px"));
            slider_row(ui, "Learning rate", &mut self.rate, &SliderScale::new(1e-6..=1e-1).log());
            let models = ["ViT-S/14 distilled", "ViT-S/14 with registers", "ViT-B/14"];
            let models: Vec<_> = models.iter().map(|name| (*name).to_owned()).enumerate().collect();
            choice_row(ui, "Model", &mut self.model, &models);
            text_row(ui, "Name", &mut self.name, "as the folder");
            switch(ui, "Mirror every second picture", &mut self.mirrored);
            switch(ui, "Follow the pointer", &mut self.wakes);
        });
        section(ui, "Export", false, |_| {});
        ui.separator();
        let keys = KeyboardShortcut::new(Modifiers::COMMAND, Key::Enter);
        ui.horizontal(|ui| {
            if primary_button(ui, icons::PLAY, ("Start", keys)).clicked() {
                self.pressed.push("Start");
            }
            if button(ui, icons::EXPORT, "Export").clicked() {
                self.pressed.push("Export");
            }
            if danger_button(ui, icons::TRASH, "Delete").clicked() {
                self.pressed.push("Delete");
            }
        });
        ui.add_enabled_ui(false, |ui| {
            ui.horizontal(|ui| {
                primary_button(ui, icons::PLAY, "Start later");
                button(ui, "", "Without an icon");
            });
        });
        ui.horizontal(|ui| {
            if icon_button(ui, icons::ZOOM_FIT, "Fit into the window").clicked() {
                self.pressed.push("Fit");
            }
            icon_button(ui, icons::SIDE_BY_SIDE, "Beside each other");
            toggle_icon(ui, icons::PIN, "Pin", &mut self.pinned);
            toggle_icon(ui, icons::LOCK, "Lock colours", &mut self.loose);
        });
    }

    fn sayings(&mut self, ui: &mut Ui) {
        search_field(ui, &mut self.looked_for, "Look for a picture");
        ui.horizontal_wrapped(|ui| {
            badge(ui, "k-NN 71.4 %", StatusTone::Neutral);
            badge(ui, "teacher", StatusTone::Accent);
            badge(ui, "healthy", StatusTone::Good);
            badge(ui, "rank falls", StatusTone::Watch);
            badge(ui, "collapsed", StatusTone::Bad);
        });
        ui.label(theme::strong("Emphasised, 15"));
        ui.label("Body, 13: 0123456789 → × ± ≤ ≥ … – — ° µ αβγ äöüß");
        ui.label(theme::mono("Mono, 12: step 1200  loss 5.3127  0.41 s/step"));
        hint(ui, "A note, 12: it says why, in one or two calm sentences, and wraps where the panel ends.");
        ui.add_space(space::S);
        property(ui, "Computes on", "llvmpipe (LLVM 15.0.6, 256 bits)");
        property(ui, "Parameters", "22 056 576");
        property(ui, "Driver", "a text that is longer than the column is wide and has to wrap");
        ui.add_space(space::S);
        progress(ui, 0.42, "Epoch 42 of 100");
        self.cancelled |= progress_with_cancel(ui, None, "Fetching weights");
        ui.add_space(space::M);
        empty_state(
            ui,
            icons::IMAGES,
            "Drop pictures here",
            "See what a model sees in them. Files, folders, or Ctrl+V; nothing leaves this computer.",
        );
        ui.add_space(space::M);
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(2.0, 2.0);
            for (_, icon) in icons::ALL {
                let (rect, _) = ui.allocate_exact_size(vec2(20.0, 20.0), egui::Sense::hover());
                paint::icon(ui, icon, rect, 16.0, theme::tokens(ui).muted);
            }
        });
    }

    fn narrow(&mut self, ui: &mut Ui) {
        hint(ui, "Narrow");
        let views = [(0, "PCA"), (1, "Attention"), (2, "Similarity")];
        segmented(ui, "Overlay", &mut self.view, &views);
        slider_row(ui, "Blend of the overlay", &mut self.blend, &SliderScale::new(0.0..=1.0).percent());
        switch(ui, "Mirror every second picture", &mut self.mirrored);
        property(ui, "Computes on", "llvmpipe");
        button(ui, icons::FOLDER_OPEN, "Open a folder of pictures");
        ui.separator();
        for colour in theme::tokens(ui).series {
            let (rect, _) = ui.allocate_exact_size(vec2(168.0, 3.0), egui::Sense::hover());
            ui.painter().rect_filled(rect, 1.5, colour);
        }
        // egui's own, in the same style.
        ui.separator();
        ui.checkbox(&mut self.mirrored, "A check box");
        ui.radio_value(&mut self.view, 1, "A radio button");
        ui.hyperlink_to("A link", "https://github.com/dinoscope/dinoscope");
    }
}

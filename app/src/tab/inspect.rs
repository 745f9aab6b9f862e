//! What is on the canvas, for those who can't see it: tests, and whoever asks in the browser's console.
//!
//! egui describes its widgets for screen readers; browsers have no way to pass that on to them from a canvas.

use std::cell::{Cell, RefCell};

use egui::accesskit::{Node, NodeId, TreeUpdate};
use serde::Serialize;

/// A widget as it was drawn last.
#[derive(Clone, Debug, Serialize)]
pub struct Widget {
    /// What it is: `Button`, `Slider`.
    pub role: String,
    /// What it is called.
    pub label: String,
    /// What stands in it.
    pub value: String,
    /// Left, top, right, bottom, in the page's own pixels.
    pub place: [f64; 4],
    /// Whether it can't be used now.
    pub disabled: bool,
}

thread_local! {
    static WANTED: Cell<bool> = const { Cell::new(false) };
    static WIDGETS: RefCell<Vec<Widget>> = const { RefCell::new(Vec::new()) };
}

struct Reader;

impl egui::Plugin for Reader {
    fn debug_name(&self) -> &'static str {
        "inspect"
    }

    fn output_hook(&mut self, ctx: &egui::Context, output: &mut egui::FullOutput) {
        if !WANTED.get() {
            return;
        }
        if let Some(update) = output.platform_output.accesskit_update.take() {
            let scale = f64::from(ctx.zoom_factor());
            WIDGETS.set(widgets(&update, scale));
        }
    }
}

/// Lets what is drawn be asked for.
pub fn install(ctx: &egui::Context) {
    ctx.add_plugin(Reader);
}

/// What was drawn last; nothing before the frame after the first question.
pub fn drawn(ctx: &egui::Context) -> Vec<Widget> {
    WANTED.set(true);
    ctx.enable_accesskit();
    ctx.request_repaint();
    WIDGETS.with_borrow(Clone::clone)
}

fn widgets(update: &TreeUpdate, scale: f64) -> Vec<Widget> {
    let named = |(_, node): &(NodeId, Node)| {
        let label = node.label().map(str::to_owned);
        let value = node.value().map(str::to_owned);
        let number = node.numeric_value().map(|number| number.to_string());
        let bounds = node.bounds()?;
        if label.is_none() && value.is_none() && number.is_none() {
            return None;
        }
        Some(Widget {
            role: format!("{:?}", node.role()),
            label: label.unwrap_or_default(),
            value: value.or(number).unwrap_or_default(),
            place: [bounds.x0, bounds.y0, bounds.x1, bounds.y1].map(|side| side * scale),
            disabled: node.is_disabled(),
        })
    };
    update.nodes.iter().filter_map(named).collect()
}

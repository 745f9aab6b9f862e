//! What is on the canvas, for those who can't see it: screen readers, tests, and whoever asks in the browser's console.
//!
//! egui describes its widgets; the page makes elements of that (`web/page/mirror.js`), whose use comes back as requests.

use std::cell::{Cell, RefCell};

use egui::accesskit::{Action, ActionData, ActionRequest, NodeId, Role, TreeId, TreeUpdate};
use serde::Serialize;

use crate::platform::web::host;
use crate::studio::aria_tree::{self, AriaTree};

/// Between two looks at what has changed, in seconds: nobody reads faster.
const PAUSE: f64 = 0.1;

/// A widget as it was drawn last.
#[derive(Clone, Debug, Serialize)]
pub struct WidgetSnapshot {
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
    /// What was drawn last, and pixels for each point.
    static DRAWN: RefCell<Option<(TreeUpdate, f64)>> = const { RefCell::new(None) };
    static SPOKEN: RefCell<AriaTree> = RefCell::default();
    /// When the page was told last.
    static TOLD: Cell<f64> = const { Cell::new(f64::NEG_INFINITY) };
    /// What the page asks egui to do in the next frame.
    static ASKED: RefCell<Vec<egui::Event>> = const { RefCell::new(Vec::new()) };
}

struct InspectPlugin;

impl egui::Plugin for InspectPlugin {
    fn debug_name(&self) -> &'static str {
        "inspect"
    }

    fn output_hook(&mut self, ctx: &egui::Context, output: &mut egui::FullOutput) {
        let Some(update) = output.platform_output.accesskit_update.take() else { return };
        let scale = f64::from(ctx.zoom_factor());
        let now = ctx.input(|input| input.time);
        let wait = TOLD.get() + PAUSE - now;
        if wait > 0.0 {
            // The last frame of a movement has to be told, too.
            ctx.request_repaint_after(std::time::Duration::from_secs_f64(wait));
        } else {
            tell(&update, scale, now);
        }
        DRAWN.set(Some((update, scale)));
    }
}

/// Tells the page what has changed.
fn tell(update: &TreeUpdate, scale: f64, now: f64) {
    let Some(changes) = SPOKEN.with_borrow_mut(|spoken| spoken.changes(update, scale)) else { return };
    TOLD.set(now);
    if let (Some(host), Ok(text)) = (host::get(), serde_json::to_string(&changes)) {
        host.describe(&text);
    }
}

/// Lets what is drawn be described.
pub fn install(ctx: &egui::Context) {
    // Another canvas begins with nothing.
    SPOKEN.take();
    TOLD.set(f64::NEG_INFINITY);
    ctx.add_plugin(InspectPlugin);
    ctx.enable_accesskit();
}

/// Asks egui to do something with a widget, as assistive technology does: `click`, `focus`, `more`, `less`, or `set`,
/// with a text or a number.
pub fn ask(ctx: &egui::Context, id: &str, act: &str, value: Option<&str>) {
    let Ok(id) = id.parse() else { return };
    let (action, data) = match (act, value) {
        ("click", _) => (Action::Click, None),
        ("focus", _) => (Action::Focus, None),
        ("more", _) => (Action::Increment, None),
        ("less", _) => (Action::Decrement, None),
        ("set", Some(text)) => {
            let numeric = DRAWN.with_borrow(|drawn| {
                let nodes = drawn.as_ref().map(|(update, _)| &update.nodes)?;
                let (_, node) = nodes.iter().find(|(node, _)| *node == NodeId(id))?;
                Some(matches!(node.role(), Role::Slider | Role::SpinButton | Role::Splitter))
            });
            match text.parse() {
                Ok(number) if numeric == Some(true) => {
                    (Action::SetValue, Some(ActionData::NumericValue(number)))
                }
                _ => (Action::SetValue, Some(ActionData::Value(text.into()))),
            }
        }
        _ => return,
    };
    let request = ActionRequest { action, target_tree: TreeId::ROOT, target_node: NodeId(id), data };
    put(ctx, egui::Event::AccessKitActionRequest(request));
}

/// Gives the keyboard to the last control that was drawn.
pub fn focus_last(ctx: &egui::Context) {
    let last =
        DRAWN.with_borrow(|drawn| drawn.as_ref().and_then(|(update, _)| aria_tree::last_control(update)));
    if let Some(target_node) = last {
        let request =
            ActionRequest { action: Action::Focus, target_tree: TreeId::ROOT, target_node, data: None };
        put(ctx, egui::Event::AccessKitActionRequest(request));
    }
}

/// Puts something before egui, in the next frame.
pub fn put(ctx: &egui::Context, event: egui::Event) {
    ASKED.with_borrow_mut(|asked| asked.push(event));
    ctx.request_repaint();
}

/// What was put before egui since the last frame.
pub fn asked() -> Vec<egui::Event> {
    ASKED.take()
}

/// What was drawn last: controls first, in reading order, then texts.
pub fn drawn(ctx: &egui::Context) -> Vec<WidgetSnapshot> {
    ctx.request_repaint();
    DRAWN.with_borrow(|drawn| {
        drawn.as_ref().map(|(update, scale)| widgets(update, *scale)).unwrap_or_default()
    })
}

fn widgets(update: &TreeUpdate, scale: f64) -> Vec<WidgetSnapshot> {
    let nodes = aria_tree::index(update);
    let named = |(_, node): &(NodeId, egui::accesskit::Node)| {
        let label = aria_tree::name(node, &nodes);
        let value = node.value().map(str::to_owned);
        let number = node.numeric_value().map(|number| number.to_string());
        let bounds = node.bounds()?;
        if node.role() == Role::TextRun || (label.is_empty() && value.is_none() && number.is_none()) {
            return None;
        }
        Some(WidgetSnapshot {
            role: format!("{:?}", node.role()),
            label,
            value: value.or(number).unwrap_or_default(),
            place: [bounds.x0, bounds.y0, bounds.x1, bounds.y1].map(|side| side * scale),
            disabled: node.is_disabled(),
        })
    };
    let mut found: Vec<WidgetSnapshot> = update.nodes.iter().filter_map(named).collect();
    let order =
        |widget: &WidgetSnapshot| (widget.role == "Label", widget.place[1] as i64, widget.place[0] as i64);
    found.sort_by_key(order);
    found
}

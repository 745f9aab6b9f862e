//! What is drawn, for those who can't see it: egui's description of its widgets as parts of a document, and what of it
//! has changed since somebody was told last.
//!
//! A window hands egui's description to the system; a page has to make elements of it (`web/page/mirror.js`).

use std::collections::{HashMap, HashSet};

use egui::accesskit::{Action, Node, NodeId, Role, Toggled, TreeUpdate};
use serde::Serialize;

/// Numbers that something can have.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AriaValueRange {
    /// The one it has.
    pub now: Option<f64>,
    /// The least.
    pub min: Option<f64>,
    /// The most.
    pub max: Option<f64>,
    /// From one to the next.
    pub step: Option<f64>,
}

/// Something that is drawn, in a document's terms.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AriaNode {
    /// Its number, as text: JavaScript's numbers have too few digits.
    pub id: String,
    /// Its role in ARIA; `text` is nothing but text.
    pub role: &'static str,
    /// What it is called.
    pub name: String,
    /// What stands in it.
    pub value: String,
    /// Left, top, right, bottom, in whole pixels of the page.
    pub place: [i32; 4],
    /// On or off, chosen or not, where it can be.
    pub on: Option<bool>,
    /// Unfolded or not, where it can be.
    pub open: Option<bool>,
    /// Can't be used now.
    pub disabled: bool,
    /// The numbers it can have, where it has one.
    pub range: Option<AriaValueRange>,
}

/// What has changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AriaTreeUpdate {
    /// Parts that are new, or are not what they were.
    pub parts: Vec<AriaNode>,
    /// All parts in reading order, each with the one it lies in, where that is another order than before.
    pub order: Option<Vec<(String, Option<String>)>>,
    /// What has the keyboard.
    pub focus: Option<String>,
}

/// What somebody was told last.
#[derive(Debug, Default)]
pub struct AriaTree {
    parts: HashMap<String, AriaNode>,
    order: Vec<(String, Option<String>)>,
    focus: Option<String>,
}

impl AriaTree {
    /// What to tell now; nothing where all is as it was. `scale` is pixels of the page for each of egui's points.
    pub fn changes(&mut self, update: &TreeUpdate, scale: f64) -> Option<AriaTreeUpdate> {
        let (parts, order) = parts(update, scale);
        let here: HashSet<&String> = order.iter().map(|(id, _)| id).collect();
        let focus = Some(update.focus.0.to_string()).filter(|id| here.contains(id));
        self.parts.retain(|id, _| here.contains(id));
        let mut changes = AriaTreeUpdate { focus, ..AriaTreeUpdate::default() };
        for part in parts {
            if self.parts.get(&part.id) != Some(&part) {
                self.parts.insert(part.id.clone(), part.clone());
                changes.parts.push(part);
            }
        }
        let same = changes.parts.is_empty() && self.focus == changes.focus;
        if same && self.order == order {
            return None;
        }
        if self.order != order {
            self.order.clone_from(&order);
            changes.order = Some(order);
        }
        self.focus.clone_from(&changes.focus);
        Some(changes)
    }
}

/// The name of a node: its own, or what labels it.
pub fn name(node: &Node, nodes: &HashMap<NodeId, &Node>) -> String {
    if let Some(label) = node.label() {
        return label.to_owned();
    }
    if node.role() == Role::Label {
        return node.value().unwrap_or_default().to_owned();
    }
    let labels = node.labelled_by().iter().filter_map(|id| nodes.get(id));
    let texts: Vec<&str> = labels.filter_map(|label| label.label().or_else(|| label.value())).collect();
    texts.join(" ")
}

/// All nodes by their number.
pub fn index(update: &TreeUpdate) -> HashMap<NodeId, &Node> {
    update.nodes.iter().map(|(id, node)| (*id, node)).collect()
}

/// What a node is in a document; nothing for what only holds others, and for what has nothing to tell.
fn role(node: &Node, named: bool) -> Option<&'static str> {
    Some(match node.role() {
        Role::Label => "text",
        Role::Heading => "heading",
        Role::Button | Role::DefaultButton | Role::DisclosureTriangle | Role::Tab => "button",
        Role::RadioButton => "radio",
        Role::RadioGroup if named => "radiogroup",
        Role::Switch => "switch",
        Role::CheckBox => "checkbox",
        Role::Slider => "slider",
        Role::SpinButton => "spinbutton",
        Role::TextInput | Role::PasswordInput => "textbox",
        Role::MultilineTextInput => "textarea",
        Role::SearchInput => "searchbox",
        Role::ComboBox => "combobox",
        Role::ListBox => "listbox",
        Role::ListBoxOption => "option",
        Role::Link => "link",
        Role::Image | Role::Figure | Role::Canvas => "img",
        Role::ProgressIndicator => "progressbar",
        Role::Splitter if named => "separator",
        Role::Alert => "alert",
        Role::Status => "status",
        Role::Dialog | Role::AlertDialog => "dialog",
        Role::Window if named => "dialog",
        Role::TextRun | Role::ScrollBar | Role::Window => return None,
        _ if named && node.supports_action(Action::Click) => "button",
        _ if named => "group",
        _ => return None,
    })
}

/// The last part in reading order that can have the keyboard. What egui can give it to beside those has no name and
/// nothing to show for it: handles between panels.
pub fn last_control(update: &TreeUpdate) -> Option<NodeId> {
    let held = |role| {
        !matches!(role, "text" | "heading" | "radiogroup" | "img" | "progressbar" | "group" | "dialog")
    };
    let (parts, _) = parts(update, 1.0);
    let nodes = index(update);
    let able = |id: &NodeId| nodes.get(id).is_some_and(|node| node.supports_action(Action::Focus));
    let controls = parts.iter().rev().filter(|part| held(part.role) && !part.disabled);
    controls.filter_map(|part| part.id.parse().ok().map(NodeId)).find(able)
}

type Order = Vec<(String, Option<String>)>;

/// All parts, and how they lie in each other.
fn parts(update: &TreeUpdate, scale: f64) -> (Vec<AriaNode>, Order) {
    let nodes = index(update);
    let Some(root) = update.tree.as_ref().map(|tree| tree.root) else { return Default::default() };
    // What labels something is read with it, and not a second time.
    let labels: HashSet<NodeId> =
        update.nodes.iter().flat_map(|(_, node)| node.labelled_by()).copied().collect();
    let (mut parts, mut order) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    let mut todo: Vec<(NodeId, Option<String>)> = vec![(root, None)];
    while let Some((id, above)) = todo.pop() {
        let Some(node) = nodes.get(&id).filter(|_| seen.insert(id)) else { continue };
        let name = name(node, &nodes);
        let kind = role(node, !name.trim().is_empty()).filter(|_| id != root && !labels.contains(&id));
        let mut inside = above.clone();
        if let Some(role) = kind.filter(|role| *role != "text" || !name.trim().is_empty()) {
            let part = part(id, node, role, name, scale);
            // Elements that are written into, and text, hold no others.
            let leaf = matches!(role, "text" | "slider" | "textbox" | "textarea" | "searchbox" | "combobox");
            if !leaf {
                inside = Some(part.id.clone());
            }
            order.push((part.id.clone(), above));
            parts.push(part);
        }
        todo.extend(node.children().iter().rev().map(|child| (*child, inside.clone())));
    }
    (parts, order)
}

fn part(id: NodeId, node: &Node, role: &'static str, name: String, scale: f64) -> AriaNode {
    let place = node.bounds().map_or([0; 4], |bounds| {
        [bounds.x0, bounds.y0, bounds.x1, bounds.y1].map(|side| (side * scale).round() as i32)
    });
    let range = node.numeric_value().is_some() || node.max_numeric_value().is_some();
    let finite = |number: Option<f64>| number.filter(|number| number.is_finite());
    let range = range.then(|| AriaValueRange {
        now: finite(node.numeric_value()),
        min: finite(node.min_numeric_value()),
        max: finite(node.max_numeric_value()),
        step: finite(node.numeric_value_step()),
    });
    let value = if role == "text" { String::new() } else { node.value().unwrap_or_default().to_owned() };
    AriaNode {
        id: id.0.to_string(),
        role,
        name,
        value,
        place,
        on: node.toggled().map(|toggled| toggled == Toggled::True).or(node.is_selected()),
        open: node.is_expanded(),
        disabled: node.is_disabled(),
        range,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use egui::accesskit::TreeId;
    use egui::accesskit::TreeInfo;

    use super::*;
    use crate::studio::widgets;

    /// What egui says of a panel with one of each.
    fn described(on: bool, fraction: f64) -> TreeUpdate {
        let ctx = egui::Context::default();
        crate::studio::theme::install(&ctx);
        ctx.enable_accesskit();
        let (mut on, mut fraction) = (on, fraction);
        let mut output = None;
        for _ in 0..2 {
            output = Some(ctx.run_ui(egui::RawInput::default(), |ui| {
                ui.label("A hint");
                widgets::segmented(ui, "Which", &mut 1, &[(0, "First"), (1, "Second")]);
                widgets::switch(ui, "Lock colours", &mut on);
                widgets::slider_row(
                    ui,
                    "Opacity",
                    &mut fraction,
                    &widgets::SliderScale::new(0.0..=1.0).percent(),
                );
            }));
        }
        output.unwrap().platform_output.accesskit_update.unwrap()
    }

    #[test]
    fn widgets_are_told_as_a_document_has_them() {
        let (parts, order) = parts(&described(true, 0.25), 2.0);
        let told: Vec<(&str, &str)> = parts.iter().map(|part| (part.role, part.name.as_str())).collect();
        let wanted = [
            ("text", "A hint"),
            ("radiogroup", "Which"),
            ("radio", "First"),
            ("radio", "Second"),
            ("switch", "Lock colours"),
            ("slider", "Opacity"),
            ("spinbutton", "Opacity"),
        ];
        assert_eq!(told, wanted, "in reading order, and no label twice");
        let found = |role: &str| parts.iter().filter(|part| part.role == role).collect::<Vec<_>>();
        assert_eq!(found("radio").iter().map(|part| part.on).collect::<Vec<_>>(), [Some(false), Some(true)]);
        assert_eq!(found("switch")[0].on, Some(true));
        let range = found("slider")[0].range.clone().unwrap();
        assert_eq!((range.now, range.min, range.max), (Some(0.25), Some(0.0), Some(1.0)));
        let group = found("radiogroup")[0].id.clone();
        let above = order.iter().find(|(id, _)| *id == found("radio")[0].id).unwrap();
        assert_eq!(above.1, Some(group), "the choices lie in their group");
        let [left, top, right, bottom] = found("switch")[0].place;
        assert!(right > left && bottom - top == 56, "twice a row's height: {:?}", found("switch")[0].place);
    }

    #[test]
    fn the_last_control_is_one_with_a_name() {
        let ctx = egui::Context::default();
        ctx.enable_accesskit();
        let mut output = None;
        for _ in 0..2 {
            output = Some(ctx.run_ui(egui::RawInput::default(), |ui| {
                let _ = (ui.button("First"), ui.button("Last"));
                ui.add_enabled(false, egui::Button::new("Not now"));
                ui.label("A hint");
                // As what moves the border between two panels.
                let handle = egui::Rect::from_min_size(egui::pos2(5.0, 90.0), egui::vec2(8.0, 8.0));
                ui.interact(handle, ui.scope_id().with("handle"), egui::Sense::drag());
            }));
        }
        let update = output.unwrap().platform_output.accesskit_update.unwrap();
        let last = last_control(&update).unwrap();
        assert_eq!(name(index(&update)[&last], &index(&update)), "Last");
    }

    #[test]
    fn only_what_has_changed_is_told() {
        let mut spoken = AriaTree::default();
        let first = spoken.changes(&described(false, 0.5), 1.0).unwrap();
        assert!(first.parts.len() == 7 && first.order.is_some());
        assert_eq!(spoken.changes(&described(false, 0.5), 1.0), None);
        let second = spoken.changes(&described(true, 0.5), 1.0).unwrap();
        assert_eq!(second.parts.iter().map(|part| part.role).collect::<Vec<_>>(), ["switch"]);
        assert_eq!(second.order, None);
    }

    #[test]
    fn what_is_gone_is_told_and_circles_end() {
        let button = |name: &str| {
            let mut node = Node::new(Role::Button);
            node.set_label(name);
            node
        };
        let update = |names: &[&str]| {
            let mut root = Node::new(Role::Window);
            let ids: Vec<NodeId> = (0..names.len() as u64).map(|id| NodeId(10 + id)).collect();
            root.set_children(ids.clone());
            let mut nodes: Vec<(NodeId, Node)> =
                ids.into_iter().zip(names).map(|(id, name)| (id, button(name))).collect();
            // Who lies in himself is told once.
            nodes[0].1.push_child(NodeId(10));
            nodes.push((NodeId(1), root));
            let tree = Some(TreeInfo::new(NodeId(1)));
            TreeUpdate { nodes, tree, tree_id: TreeId::ROOT, focus: NodeId(11) }
        };
        let mut spoken = AriaTree::default();
        let first = spoken.changes(&update(&["Start", "Stop"]), 1.0).unwrap();
        assert_eq!((first.parts.len(), first.focus.as_deref()), (2, Some("11")));
        let second = spoken.changes(&update(&["Start"]), 1.0).unwrap();
        assert_eq!(second.order.unwrap(), [("10".to_owned(), None)]);
        assert_eq!((second.parts.len(), second.focus), (0, None));
    }
}

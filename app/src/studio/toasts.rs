//! What happened, said in the bar at the top, where nothing is covered that one looks at: it waits for nobody and moves
//! nothing. A narrow window says it in a corner.
//!
//! Newest at the bottom, at most four; what is said again only counts up. Errors stay until they are put away: the newest
//! whole, those before it as one line each until they are clicked. The rest leaves by itself once it can have been read, but
//! not from under the pointer.

use egui::accesskit::{Live, Role};
use egui::{
    Align2, Area, Frame, Id, Key, Label, Layout, Margin, Order, Rect, RichText, Shadow, Stroke, Ui,
    UiBuilder, vec2,
};

use super::theme::{self, ThemeTokens, fonts, icons, space};
use super::widgets::{self, StatusTone};
use crate::platform::names;

/// How long mere news stays, in seconds.
const NEWS: f64 = 4.0;
/// How long what can be answered stays, in seconds.
const STAYS: f64 = 6.0;
/// How much longer a warning stays, in seconds.
const HEEDED: f64 = 4.0;
/// Letters a second that a person reads.
const READ: f64 = 20.0;
/// How long coming and going take, in seconds.
const FADE: f64 = 0.15;
/// How many show.
const SHOWN: usize = 4;
const WIDTH: f32 = 400.0;
/// Narrower, and the bar at the top has no room for it.
const NARROWEST: f32 = 300.0;
/// From the lower edge of a narrow window: read-outs and axes stand below.
const LIFT: f32 = 44.0;

/// Which action was chosen: whoever offered it knows what the number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ActionId(pub u64);

/// Something to say.
#[derive(Clone, Debug)]
pub struct Toast {
    tone: StatusTone,
    text: String,
    action: Option<(String, ActionId)>,
}

impl Toast {
    /// `text` in this tone.
    pub fn new(tone: StatusTone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into(), action: None }
    }

    /// With something to click; [`ToastQueue::show`] returns `id` when it was.
    pub fn action(mut self, label: impl Into<String>, id: ActionId) -> Self {
        self.action = Some((label.into(), id));
        self
    }
}

#[derive(Debug)]
struct ActiveToast {
    id: u64,
    toast: Toast,
    /// How often it was said.
    count: u32,
    /// Seconds it has been there, without those under the pointer.
    age: f64,
    /// Seconds since it began to leave.
    leaving: Option<f64>,
    /// Whether a person wants to see all of it.
    whole: bool,
}

impl ActiveToast {
    /// Seconds that it stays.
    fn stays(&self) -> f64 {
        let letters = self.toast.text.chars().count() as f64;
        let heeded = if self.toast.tone == StatusTone::Watch { HEEDED } else { 0.0 };
        let news = self.toast.tone != StatusTone::Watch && self.toast.action.is_none();
        let least = if news { NEWS } else { STAYS };
        least.max(letters / READ) + heeded
    }

    fn opacity(&self) -> f32 {
        let come = (self.age / FADE).min(1.0);
        let gone = self.leaving.map_or(0.0, |since| (since / FADE).min(1.0));
        (come * (1.0 - gone)) as f32
    }
}

/// Everything that is being said.
#[derive(Debug, Default)]
pub struct ToastQueue {
    standing: Vec<ActiveToast>,
    next: u64,
    /// When it was last drawn, in egui's time.
    drawn: Option<f64>,
    /// The pointer or the keyboard is on one of them.
    held: bool,
    /// Where the bar at the top has room.
    bar: Option<Rect>,
}

impl ToastQueue {
    /// Says what happened.
    pub fn info(&mut self, text: impl Into<String>) {
        self.add(Toast::new(StatusTone::Neutral, text));
    }

    /// Says that something worked.
    pub fn good(&mut self, text: impl Into<String>) {
        self.add(Toast::new(StatusTone::Good, text));
    }

    /// Says what is worth a look.
    pub fn watch(&mut self, text: impl Into<String>) {
        self.add(Toast::new(StatusTone::Watch, text));
    }

    /// Says what went wrong. It stays until it is put away.
    pub fn bad(&mut self, text: impl Into<String>) {
        self.add(Toast::new(StatusTone::Bad, text));
    }

    /// Says it; again, if it stands there already.
    pub fn add(&mut self, mut toast: Toast) {
        toast.text = names::known(&toast.text).into_owned();
        // Each action is about something else, whatever it is called.
        let same = |standing: &&mut ActiveToast| {
            standing.leaving.is_none()
                && toast.action.is_none()
                && standing.toast.text == toast.text
                && standing.toast.tone == toast.tone
        };
        if let Some(standing) = self.standing.iter_mut().find(same) {
            standing.count += 1;
            // It is news again, but it does not blink.
            standing.age = standing.age.min(FADE);
            standing.toast.action = None;
            return;
        }
        self.standing.push(ActiveToast {
            id: self.next,
            toast,
            count: 1,
            age: 0.0,
            leaving: None,
            whole: false,
        });
        self.next += 1;
    }

    /// Puts all away.
    pub fn dismiss_all(&mut self) {
        for standing in &mut self.standing {
            standing.leaving.get_or_insert(0.0);
        }
    }

    /// Puts the one away that offers this action.
    pub fn put_away(&mut self, id: ActionId) {
        let offers =
            |standing: &&mut ActiveToast| standing.toast.action.as_ref().is_some_and(|(_, i)| *i == id);
        for standing in self.standing.iter_mut().filter(offers) {
            standing.leaving.get_or_insert(0.0);
        }
    }

    /// What is being said.
    pub fn texts(&self) -> Vec<&str> {
        self.standing.iter().map(|standing| standing.toast.text.as_str()).collect()
    }

    /// Whether nothing is being said.
    pub fn is_empty(&self) -> bool {
        self.standing.is_empty()
    }

    /// From now on they stand in this part of the bar at the top, where it is wide enough.
    pub fn stand_in(&mut self, bar: Rect) {
        self.bar = Some(bar).filter(|bar| bar.width() >= NARROWEST);
    }

    /// Draws them over everything else. The action that was chosen, if one was.
    pub fn show(&mut self, ctx: &egui::Context) -> Option<ActionId> {
        self.pass_time(ctx);
        if self.standing.is_empty() {
            self.held = false;
            return None;
        }
        let area = Area::new(Id::unique("toasts")).order(Order::Foreground).fade_in(false);
        let (area, room) = match self.bar {
            // As high as one of them in a line.
            Some(bar) => {
                (area.pivot(Align2::RIGHT_TOP).fixed_pos(bar.right_top() - vec2(space::S, 6.0)), bar.width())
            }
            None => (area.anchor(Align2::RIGHT_BOTTOM, vec2(-space::M, -LIFT)), ctx.content_rect().width()),
        };
        let area = area.show(ctx, |ui| {
            ui.set_width(WIDTH.min(room - 2.0 * space::M));
            ui.spacing_mut().item_spacing.y = space::S;
            self.stack(ui)
        });
        let (chosen, focused) = area.inner;
        self.held = focused || ctx.pointer_hover_pos().is_some_and(|at| area.response.rect.contains(at));
        chosen
    }

    /// What is old goes; egui draws again when the next one is due.
    fn pass_time(&mut self, ctx: &egui::Context) {
        let now = ctx.input(|input| input.time);
        let passed = self.drawn.map_or(0.0, |drawn| (now - drawn).max(0.0));
        self.drawn = (!self.standing.is_empty()).then_some(now);
        let mut soon = f64::INFINITY;
        for standing in &mut self.standing {
            if !self.held || standing.age < FADE {
                standing.age += passed;
            }
            if let Some(since) = &mut standing.leaving {
                *since += passed;
                soon = 0.0;
            } else if standing.age < FADE {
                soon = 0.0;
            } else if standing.toast.tone != StatusTone::Bad && !self.held {
                soon = soon.min(standing.stays() - standing.age);
                if standing.age >= standing.stays() {
                    standing.leaving = Some(0.0);
                    soon = 0.0;
                }
            }
        }
        self.standing.retain(|standing| standing.leaving.is_none_or(|since| since < FADE));
        if soon.is_finite() && !self.standing.is_empty() {
            ctx.request_repaint_after_secs(soon.max(0.0) as f32);
        }
    }

    fn stack(&mut self, ui: &mut Ui) -> (Option<ActionId>, bool) {
        let hidden = self.standing.len().saturating_sub(SHOWN);
        let (mut chosen, mut focused) = (None, false);
        if hidden > 0 {
            let size = vec2(ui.available_width(), theme::button(ui));
            let all = ui.allocate_ui_with_layout(size, Layout::right_to_left(egui::Align::Center), |ui| {
                let clear = widgets::button(ui, "", "Dismiss all");
                widgets::badge(ui, &format!("+{hidden} more"), StatusTone::Neutral);
                clear
            });
            focused |= all.inner.has_focus();
            if all.inner.clicked() {
                self.dismiss_all();
            }
        }
        let newest =
            self.standing.iter().rev().find(|one| one.toast.tone == StatusTone::Bad).map(|one| one.id);
        for standing in self.standing.iter_mut().skip(hidden) {
            let brief =
                standing.toast.tone == StatusTone::Bad && Some(standing.id) != newest && !standing.whole;
            let said = one(ui, standing, brief);
            standing.whole |= said.opened;
            chosen = chosen.or(said.chosen);
            focused |= said.focused;
            if said.put_away {
                standing.leaving.get_or_insert(0.0);
                ui.request_repaint();
            }
        }
        (chosen, focused)
    }
}

/// What a person did with one.
struct ToastResponse {
    chosen: Option<ActionId>,
    put_away: bool,
    focused: bool,
    /// All of it is to be seen.
    opened: bool,
}

/// Draws one; a `brief` one as a single line.
fn one(ui: &mut Ui, standing: &ActiveToast, brief: bool) -> ToastResponse {
    let t = theme::tokens(ui);
    let toast = &standing.toast;
    let bad = toast.tone == StatusTone::Bad;
    let builder = UiBuilder::new()
        .id_salt(("toast", standing.id))
        .accessibility_role(if bad { Role::Alert } else { Role::Status })
        .accessibility_label(toast.text.as_str());
    let shown = ui.scope_builder(builder, |ui| {
        ui.set_opacity(standing.opacity());
        (ui.unique_id(), frame(&t).show(ui, |ui| contents(ui, standing, brief, &t)).inner)
    });
    let (id, answered) = shown.inner;
    let rect = shown.response.rect;
    ui.accesskit_node_builder(id, |node| {
        node.set_live(if bad { Live::Assertive } else { Live::Polite });
        node.set_bounds(egui::accesskit::Rect {
            x0: rect.min.x.into(),
            y0: rect.min.y.into(),
            x1: rect.max.x.into(),
            y1: rect.max.y.into(),
        });
    });
    answered
}

fn frame(t: &ThemeTokens) -> Frame {
    Frame::new()
        .fill(t.panel)
        .stroke(Stroke::new(1.0, t.outline))
        .corner_radius(theme::RADIUS)
        .shadow(Shadow { offset: [0, 4], blur: 16, spread: 0, color: t.shadow })
        .inner_margin(Margin { left: 12, right: 8, top: 8, bottom: 8 })
}

fn contents(ui: &mut Ui, standing: &ActiveToast, brief: bool, t: &ThemeTokens) -> ToastResponse {
    let toast = &standing.toast;
    let icon = match toast.tone {
        StatusTone::Good => icons::CHECK_CIRCLE,
        StatusTone::Watch => icons::WARNING,
        StatusTone::Bad => icons::ERROR,
        StatusTone::Neutral | StatusTone::Accent => icons::INFO,
    };
    let width = ui.available_width();
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing = vec2(space::S, 0.0);
        let (place, _) = ui.allocate_exact_size(vec2(20.0, theme::row(ui)), egui::Sense::hover());
        ui.painter().text(
            place.center(),
            Align2::CENTER_CENTER,
            icon,
            fonts::icon(18.0),
            toast.tone.colour(t),
        );
        let mut chosen = None;
        let (mut focused, mut opened) = (false, false);
        let count = if standing.count > 1 { format!("×{}", standing.count) } else { String::new() };
        let counted = if count.is_empty() { 0.0 } else { 48.0 };
        // Beside the text, so that a line or two of it stay as high as the bar at the top and the titles below it.
        let action = toast.action.as_ref().filter(|_| !brief);
        let offered = action.map_or(0.0, |(label, _)| widgets::button_width(ui, "", label) + space::S);
        let middle = width - 20.0 - offered - counted - theme::row(ui) - 2.0 * space::S;
        ui.allocate_ui_with_layout(vec2(middle, theme::row(ui)), Layout::top_down(egui::Align::Min), |ui| {
            ui.set_width(middle);
            ui.add_space(4.0);
            let text = RichText::new(&toast.text).line_height(Some(fonts::LINE));
            if brief {
                let line = ui.add(Label::new(text).selectable(false).truncate().sense(egui::Sense::click()));
                opened = line.clicked();
                focused |= line.has_focus();
            } else {
                ui.add(Label::new(text).selectable(true).wrap());
            }
            ui.add_space(4.0);
        });
        if let Some((label, id)) = action {
            let offered = widgets::button(ui, "", label);
            focused |= offered.has_focus();
            chosen = offered.clicked().then_some(*id);
        }
        if !count.is_empty() {
            let size = vec2(counted - space::S, theme::row(ui));
            ui.allocate_ui_with_layout(size, Layout::right_to_left(egui::Align::Center), |ui| {
                ui.set_min_size(size);
                widgets::badge(ui, &count, StatusTone::Neutral);
            });
        }
        let close = widgets::icon_button(ui, icons::CLOSE, "Dismiss");
        focused |= close.has_focus();
        let escape = focused && ui.input(|input| input.key_pressed(Key::Escape));
        ToastResponse { chosen, put_away: close.clicked() || escape || chosen.is_some(), focused, opened }
    })
    .inner
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable as _;

    use super::*;

    type State = (ToastQueue, Vec<ActionId>);

    fn stage() -> Harness<'static, State> {
        let builder = Harness::builder().with_context_setup(theme::install);
        builder.with_size(vec2(640.0, 720.0)).with_step_dt(0.05).build_ui_state(
            |ui, (toasts, chosen): &mut State| chosen.extend(toasts.show(&ui.ctx().clone())),
            State::default(),
        )
    }

    fn wait(harness: &mut Harness<'_, State>, seconds: f64) {
        for _ in 0..(seconds / 0.05).round() as usize {
            harness.step();
        }
    }

    #[test]
    fn news_leaves_and_errors_stay() {
        let mut harness = stage();
        harness.state_mut().0.info("Saved");
        harness.state_mut().0.bad("The disk is full");
        wait(&mut harness, 3.5);
        assert!(harness.query_by_role_and_label(Role::Status, "Saved").is_some());
        wait(&mut harness, 1.0);
        assert!(harness.query_by_role_and_label(Role::Status, "Saved").is_none());
        wait(&mut harness, 60.0);
        assert!(harness.query_by_role_and_label(Role::Alert, "The disk is full").is_some());
        harness.get_by_label("Dismiss").click();
        wait(&mut harness, 0.5);
        assert!(harness.state().0.is_empty());
    }

    #[test]
    fn what_is_said_again_counts_up() {
        let mut harness = stage();
        for _ in 0..3 {
            harness.state_mut().0.watch("Slow");
        }
        harness.state_mut().0.bad("Slow");
        wait(&mut harness, 0.5);
        assert!(harness.query_by_label("×3").is_some());
        assert_eq!(harness.state().0.standing.len(), 2, "another tone is another toast");
    }

    #[test]
    fn older_errors_take_one_line_until_they_are_clicked() {
        let text = |n: usize| format!("Error {n}: {}", "the file can't be read. ".repeat(12));
        let mut harness = stage();
        let heights = |count: usize, harness: &mut Harness<'_, State>| {
            harness.state_mut().0.bad(text(count));
            wait(harness, 0.5);
            let height = |n| harness.get_by_role_and_label(Role::Label, &text(n)).rect().height();
            (0..=count).map(height).collect::<Vec<f32>>()
        };
        let alone = heights(0, &mut harness)[0];
        let two = heights(1, &mut harness);
        assert!(two[0] < 0.5 * alone && two[1] == alone, "{alone}, {two:?}");
        harness.get_by_role_and_label(Role::Label, &text(0)).click();
        wait(&mut harness, 0.5);
        assert_eq!(harness.get_by_role_and_label(Role::Label, &text(0)).rect().height(), alone);
    }

    #[test]
    fn what_is_long_stays_until_it_can_have_been_read() {
        let mut harness = stage();
        harness.state_mut().0.watch("Slow");
        harness.state_mut().0.info("word ".repeat(60));
        wait(&mut harness, 9.0);
        assert_eq!(harness.state().0.texts().len(), 2);
        wait(&mut harness, 3.0);
        assert_eq!(harness.state().0.texts().len(), 1, "a warning stays ten seconds");
        wait(&mut harness, 4.0);
        assert!(harness.state().0.is_empty());
    }

    #[test]
    fn more_than_four_are_counted() {
        let mut harness = stage();
        for n in 0..7 {
            harness.state_mut().0.bad(format!("Error {n}"));
        }
        wait(&mut harness, 0.5);
        assert!(harness.query_by_label("+3 more").is_some());
        assert!(harness.query_by_role_and_label(Role::Alert, "Error 2").is_none());
        assert!(harness.query_by_role_and_label(Role::Alert, "Error 3").is_some());
        harness.get_by_label("Dismiss all").click();
        wait(&mut harness, 0.5);
        assert!(harness.state().0.is_empty());
    }

    #[test]
    fn an_action_is_told_and_ends_the_toast() {
        let mut harness = stage();
        harness.state_mut().0.add(Toast::new(StatusTone::Good, "Exported").action("Show", ActionId(7)));
        wait(&mut harness, 0.5);
        harness.get_by_label("Show").click();
        wait(&mut harness, 0.5);
        assert_eq!(harness.state().1, [ActionId(7)]);
        assert!(harness.state().0.is_empty());
    }

    #[test]
    fn under_the_pointer_it_stays() {
        let mut harness = stage();
        harness.state_mut().0.info("Saved");
        wait(&mut harness, 0.5);
        harness.get_by_label("Dismiss").hover();
        wait(&mut harness, 20.0);
        assert!(!harness.state().0.is_empty());
        harness.hover_at(egui::pos2(10.0, 10.0));
        wait(&mut harness, 2.0);
        assert!(!harness.state().0.is_empty(), "the time under the pointer does not count");
        wait(&mut harness, 3.0);
        assert!(harness.state().0.is_empty());
    }

    #[test]
    fn the_keyboard_puts_it_away() {
        let mut harness = stage();
        harness.state_mut().0.bad("Wrong");
        wait(&mut harness, 0.5);
        harness.key_press(Key::Tab);
        wait(&mut harness, 0.2);
        harness.key_press(Key::Enter);
        wait(&mut harness, 0.5);
        assert!(harness.state().0.is_empty());
    }
}

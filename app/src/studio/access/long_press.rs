//! What is a click, however long a frame takes.
//!
//! egui measures a press from frame to frame and takes none for a click that lasted 0.8 s. Where the page's thread or
//! the GPU is busy a frame can take as long, and a short click would be lost. A button of the system doesn't ask how
//! long it was held; only a finger's long press is something else: it opens the context menu.

use egui::{Context, Event, InputOptions, RawInput, TouchPhase};

/// Every press that doesn't move is a click, but a finger's long one.
pub struct LongPressPlugin {
    /// How long a finger presses for the context menu, in seconds.
    long: f64,
}

impl Default for LongPressPlugin {
    fn default() -> Self {
        Self { long: InputOptions::default().max_click_duration }
    }
}

impl egui::Plugin for LongPressPlugin {
    fn debug_name(&self) -> &'static str {
        "press"
    }

    fn input_hook(&mut self, ctx: &Context, input: &mut RawInput) {
        // As of the last frame: a finger that was let go by the next one has not been held for longer than that shows.
        let (fingers, held) = ctx.input(|last| {
            let pressed = last.pointer.press_start_time();
            (last.any_touches(), pressed.map_or(0.0, |start| last.time - start))
        });
        let comes = |event: &Event| matches!(event, Event::Touch { phase: TouchPhase::Start, .. });
        let leaves = |event: &Event| matches!(event, Event::PointerButton { pressed: false, .. });
        let may_be_long = fingers || input.events.iter().any(comes);
        let short = held <= self.long && input.events.iter().any(leaves);
        let most = if may_be_long && !short { self.long } else { f64::INFINITY };
        ctx.options_mut(|options| options.input_options.max_click_duration = most);
    }
}

#[cfg(test)]
mod tests {
    use egui::{Button, PointerButton, Pos2, TouchDeviceId, TouchId, pos2};

    use super::*;

    const AT: Pos2 = pos2(20.0, 12.0);

    fn pointer(pressed: bool) -> Event {
        Event::PointerButton {
            pos: AT,
            button: PointerButton::Primary,
            pressed,
            modifiers: egui::Modifiers::NONE,
        }
    }

    fn finger(phase: TouchPhase) -> Vec<Event> {
        let touch = Event::Touch { device_id: TouchDeviceId(0), id: TouchId(1), phase, pos: AT, force: None };
        vec![touch, Event::PointerMoved(AT), pointer(phase == TouchPhase::Start)]
    }

    /// Clicks and long presses of a button, while frames with these events are drawn at these seconds.
    fn counted(frames: Vec<(f64, Vec<Event>)>) -> (u32, u32) {
        let ctx = Context::default();
        ctx.add_plugin(LongPressPlugin::default());
        let (mut clicks, mut long) = (0, 0);
        // The first frames only show where the button is.
        let before = [(0.0, vec![]), (0.1, vec![Event::PointerMoved(AT)])];
        for (time, events) in before.into_iter().chain(frames) {
            let input = RawInput { time: Some(time), events, ..RawInput::default() };
            let _ = ctx.run_ui(input, |ui| {
                let button = ui.add_sized([200.0, 100.0], Button::new("Start"));
                clicks += u32::from(button.clicked());
                long += u32::from(button.long_touched());
            });
        }
        (clicks, long)
    }

    #[test]
    fn a_click_during_a_slow_frame_counts() {
        assert_eq!(counted(vec![(1.0, vec![pointer(true)]), (4.0, vec![pointer(false)])]), (1, 0));
        assert_eq!(counted(vec![(1.0, finger(TouchPhase::Start)), (4.0, finger(TouchPhase::End))]), (1, 0));
    }

    #[test]
    fn a_pointer_may_take_its_time() {
        assert_eq!(
            counted(vec![(1.0, vec![pointer(true)]), (3.0, vec![]), (4.0, vec![pointer(false)])]),
            (1, 0)
        );
    }

    #[test]
    fn a_finger_that_stays_opens_the_menu_and_clicks_nothing() {
        let frames = vec![(1.0, finger(TouchPhase::Start)), (3.0, vec![]), (4.0, finger(TouchPhase::End))];
        assert_eq!(counted(frames), (0, 1));
    }

    #[test]
    fn what_moves_is_no_click() {
        let moved = Event::PointerMoved(pos2(90.0, 60.0));
        assert_eq!(
            counted(vec![(1.0, vec![pointer(true)]), (1.5, vec![moved]), (2.0, vec![pointer(false)])]),
            (0, 0)
        );
    }
}

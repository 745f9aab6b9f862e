//! Fingers or a finer pointer: what fingers work is larger, and no word speaks of keys that are not there.

use egui::{Context, Id, Theme, vec2};

use crate::studio::theme::{self, TOUCH, space};

fn key() -> Id {
    Id::unique("fingers")
}

/// Whether fingers work the window.
pub fn is(ctx: &Context) -> bool {
    ctx.data(|data| data.get_temp(key())).unwrap_or(false)
}

/// Fingers work the window from now on, or no longer.
pub fn set(ctx: &Context, fingers: bool) {
    if is(ctx) == fingers {
        return;
    }
    ctx.data_mut(|data| data.insert_temp(key(), fingers));
    for theme in [Theme::Dark, Theme::Light] {
        let mut style = theme::style(theme);
        if fingers {
            style.spacing.interact_size = vec2(TOUCH, TOUCH);
            style.spacing.button_padding = vec2(space::M, space::S);
            style.spacing.icon_width = space::L;
        }
        ctx.set_style_of(theme, style);
    }
    ctx.request_repaint();
}

/// Notices the first finger on a screen.
pub fn notice(ctx: &Context) {
    let touched = |event: &egui::Event| matches!(event, egui::Event::Touch { .. });
    if ctx.input(|input| input.events.iter().any(touched)) {
        set(ctx, true);
    }
}

/// `fingers` where fingers work the window, else `pointer`.
pub fn words<'a>(ctx: &Context, fingers: &'a str, pointer: &'a str) -> &'a str {
    if is(ctx) { fingers } else { pointer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finger_makes_everything_larger() {
        let ctx = Context::default();
        theme::install(&ctx);
        let height = |ctx: &Context| ctx.global_style().spacing.interact_size.y;
        assert_eq!((height(&ctx), words(&ctx, "tap", "click")), (theme::ROW, "click"));
        let touch = egui::Event::Touch {
            device_id: egui::TouchDeviceId(0),
            id: egui::TouchId(1),
            phase: egui::TouchPhase::Start,
            pos: egui::pos2(10.0, 10.0),
            force: None,
        };
        let input = egui::RawInput { events: vec![touch], ..egui::RawInput::default() };
        let _ = ctx.run_ui(input, |ui| notice(ui.ctx()));
        assert_eq!((height(&ctx), words(&ctx, "tap", "click")), (TOUCH, "tap"));
        set(&ctx, false);
        assert_eq!(height(&ctx), theme::ROW);
    }
}

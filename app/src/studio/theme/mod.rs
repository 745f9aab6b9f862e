//! The look of the window: colours, fonts, sizes and egui's own style made of them.
//!
//! Calm and neutral, one accent; the pictures carry the colour. Distances are multiples of four, mostly of eight.

pub mod fonts;
pub mod icons;
mod tokens;

pub use fonts::{heading, mono, small, strong};
pub use tokens::ThemeTokens;

use egui::style::{HandleShape, ScrollStyle, Selection, TextCursorStyle, WidgetVisuals, Widgets};
use egui::{Color32, CornerRadius, Margin, Shadow, Stroke, Style, Theme, Visuals, vec2};

/// Distances; there are no others.
pub mod space {
    /// Between things that belong together.
    pub const XS: f32 = 4.0;
    /// Between things.
    pub const S: f32 = 8.0;
    /// Around a panel's content, between groups.
    pub const M: f32 = 16.0;
    /// Between sections.
    pub const L: f32 = 24.0;
    /// Around an invitation.
    pub const XL: f32 = 32.0;
}

/// Height of a row and of all that can be clicked in it; [`row`] knows whether fingers need more.
pub const ROW: f32 = 28.0;
/// Side of what a finger finds.
pub const TOUCH: f32 = 44.0;
/// Height of a main button; see [`button`].
pub const BUTTON: f32 = 32.0;
/// What a scroll bar takes beside what it scrolls.
pub const GUTTER: f32 = 12.0;
/// Rounding of corners.
pub const RADIUS: u8 = 6;
/// Width of the ring around what has the keyboard.
pub const RING: f32 = 2.0;

/// Gives `ctx` the fonts and both styles. Which of them shows is `Context::set_theme`'s to say.
pub fn install(ctx: &egui::Context) {
    ctx.set_fonts(fonts::definitions());
    for theme in [Theme::Dark, Theme::Light] {
        ctx.set_style_of(theme, style(theme));
    }
}

/// The colours of the theme that shows. A `Ui` will do as well as a context.
pub fn tokens(ctx: &egui::Context) -> ThemeTokens {
    *ThemeTokens::of(ctx.theme())
}

/// Height of a row: [`ROW`], where fingers work it [`TOUCH`].
pub fn row(ui: &egui::Ui) -> f32 {
    ui.ctx().global_style().spacing.interact_size.y
}

/// Height of a main button: [`BUTTON`], or [`TOUCH`].
pub fn button(ui: &egui::Ui) -> f32 {
    row(ui).max(BUTTON)
}

/// egui's style for `theme`.
pub fn style(theme: Theme) -> Style {
    let mut style = Style {
        text_styles: fonts::text_styles(),
        visuals: visuals(theme, ThemeTokens::of(theme)),
        animation_time: 0.12,
        ..theme.default_style()
    };
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(space::S, space::S);
    spacing.window_margin = Margin::same(16);
    spacing.menu_margin = Margin::same(6);
    spacing.button_padding = vec2(10.0, 4.0);
    spacing.indent = 20.0;
    spacing.interact_size = vec2(ROW, ROW);
    spacing.slider_width = 160.0;
    spacing.slider_rail_height = 4.0;
    spacing.combo_width = 96.0;
    spacing.combo_height = 320.0;
    spacing.text_edit_width = 240.0;
    spacing.icon_width = 16.0;
    spacing.icon_width_inner = 10.0;
    spacing.icon_spacing = 6.0;
    spacing.tooltip_width = 320.0;
    spacing.menu_spacing = 4.0;
    spacing.scroll = ScrollStyle { bar_width: 8.0, floating_width: 4.0, ..ScrollStyle::floating() };
    // Beside what is scrolled, not over it.
    spacing.scroll.floating_allocated_width = GUTTER;
    style.interaction.tooltip_delay = 0.4;
    // Text to copy is marked as such (`widgets::property`); elsewhere a drag is not a selection.
    style.interaction.selectable_labels = false;
    style
}

/// egui's colours, from ours.
fn visuals(theme: Theme, t: &ThemeTokens) -> Visuals {
    let shadow = Shadow { offset: [0, 2], blur: 8, spread: 0, color: t.shadow };
    Visuals {
        weak_text_color: Some(t.muted),
        widgets: Widgets {
            noninteractive: widget(t.panel, t.panel, t.outline, t.text),
            inactive: widget(t.pressed, t.raised, Color32::TRANSPARENT, t.text),
            hovered: widget(t.pressed, t.hovered, Color32::TRANSPARENT, t.text),
            active: WidgetVisuals {
                bg_stroke: Stroke::new(RING, t.accent),
                ..widget(t.pressed, t.hovered, t.accent, t.text)
            },
            open: widget(t.pressed, t.hovered, Color32::TRANSPARENT, t.text),
        },
        // egui draws the frame of a focused text field and the text of a chosen item with this stroke.
        selection: Selection { bg_fill: t.accent_soft, stroke: Stroke::new(RING, t.accent) },
        hyperlink_color: t.accent,
        faint_bg_color: t.window,
        extreme_bg_color: t.field,
        text_edit_bg_color: Some(t.field),
        code_bg_color: t.raised,
        warn_fg_color: t.watch,
        error_fg_color: t.bad,
        window_corner_radius: CornerRadius::same(RADIUS),
        window_shadow: shadow,
        window_fill: t.panel,
        window_stroke: Stroke::new(1.0, t.outline),
        window_highlight_topmost: false,
        menu_corner_radius: CornerRadius::same(RADIUS),
        panel_fill: t.panel,
        popup_shadow: shadow,
        text_cursor: TextCursorStyle { stroke: Stroke::new(2.0, t.accent), ..TextCursorStyle::default() },
        indent_has_left_vline: false,
        slider_trailing_fill: true,
        handle_shape: HandleShape::Circle,
        disabled_alpha: 0.45,
        ..theme.default_visuals()
    }
}

fn widget(fill: Color32, weak: Color32, border: Color32, text: Color32) -> WidgetVisuals {
    WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: weak,
        bg_stroke: Stroke::new(1.0, border),
        corner_radius: CornerRadius::same(RADIUS),
        fg_stroke: Stroke::new(1.5, text),
        expansion: 0.0,
    }
}

/// The frame of a panel: its fill and the usual distance to the edge.
pub fn panel_frame(ctx: &egui::Context) -> egui::Frame {
    egui::Frame::new().fill(tokens(ctx).panel).inner_margin(Margin::same(16))
}

/// The frame of a card on a panel: thin border, rounded corners.
pub fn card_frame(ctx: &egui::Context) -> egui::Frame {
    let t = tokens(ctx);
    egui::Frame::new()
        .fill(t.panel)
        .stroke(Stroke::new(1.0, t.outline))
        .corner_radius(RADIUS)
        .inner_margin(Margin::same(16))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_theme_that_shows_gives_the_tokens() {
        let ctx = egui::Context::default();
        install(&ctx);
        ctx.set_theme(Theme::Light);
        assert_eq!(tokens(&ctx), *ThemeTokens::of(Theme::Light));
        ctx.set_theme(Theme::Dark);
        assert_eq!(tokens(&ctx), *ThemeTokens::of(Theme::Dark));
        assert_eq!(ctx.style_of(Theme::Light).visuals.panel_fill, ThemeTokens::of(Theme::Light).panel);
        assert_eq!(ctx.style_of(Theme::Dark).visuals.panel_fill, ThemeTokens::of(Theme::Dark).panel);
    }
}

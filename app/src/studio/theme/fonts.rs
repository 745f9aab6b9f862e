//! The fonts and the one scale of text sizes.
//!
//! Inter for text, its digits all of one width; Phosphor for icons, as a family of its own and behind Inter, so that an
//! icon may stand in any text; egui's Hack for numbers in columns and logs. egui's other fonts come last, for scripts
//! that Inter has been cut to do without. A page begins with Inter alone, and gets Hack when it has time: see [`add`].

use std::collections::BTreeMap;
use std::sync::Arc;

use egui::{FontData, FontDefinitions, FontFamily, FontId, FontTweak, RichText, TextStyle};

use crate::platform::names;

/// Size of notes and captions.
pub const SMALL: f32 = 12.0;
/// Size of most text.
pub const BODY: f32 = 13.0;
/// Size of what stands out.
pub const STRONG: f32 = 15.0;
/// Size of headings.
pub const HEADING: f32 = 20.0;
/// Size of an icon beside text of size [`BODY`].
pub const ICON: f32 = 16.0;
/// Height of a line of running text.
pub const LINE: f32 = 20.0;

const REGULAR: &str = "Inter";
const SEMIBOLD: &str = "Inter SemiBold";
const ICONS: &str = "Phosphor";

/// The family of the heavier weight.
pub fn semibold() -> FontFamily {
    FontFamily::Name(SEMIBOLD.into())
}

/// The family of icons alone.
pub fn icon_family() -> FontFamily {
    FontFamily::Name(ICONS.into())
}

/// An icon's font at `size`.
pub fn icon(size: f32) -> FontId {
    FontId::new(size, icon_family())
}

/// `text` as a heading.
pub fn heading(text: impl Into<String>) -> RichText {
    RichText::new(text).font(FontId::new(HEADING, semibold())).line_height(Some(28.0))
}

/// `text` emphasised: heavier, a step larger.
pub fn strong(text: impl Into<String>) -> RichText {
    RichText::new(text).font(FontId::new(STRONG, semibold())).line_height(Some(24.0))
}

/// `text` as a note.
pub fn small(text: impl Into<String>) -> RichText {
    let text: String = text.into();
    RichText::new(names::known(&text))
        .font(FontId::new(SMALL, FontFamily::Proportional))
        .line_height(Some(16.0))
}

/// `text` in the font of logs.
pub fn mono(text: impl Into<String>) -> RichText {
    RichText::new(text).font(FontId::new(SMALL, FontFamily::Monospace)).line_height(Some(16.0))
}

/// The sizes behind egui's names for them.
pub(super) fn text_styles() -> BTreeMap<TextStyle, FontId> {
    let text = FontFamily::Proportional;
    [
        (TextStyle::Small, FontId::new(SMALL, text.clone())),
        (TextStyle::Body, FontId::new(BODY, text.clone())),
        (TextStyle::Button, FontId::new(BODY, text)),
        (TextStyle::Heading, FontId::new(HEADING, semibold())),
        (TextStyle::Monospace, FontId::new(SMALL, FontFamily::Monospace)),
    ]
    .into()
}

/// egui's fonts with ours in front.
pub(super) fn definitions() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let files: [(&str, &'static [u8], FontTweak); 3] = [
        (REGULAR, dinoscope_assets::INTER_REGULAR, FontTweak::default()),
        (SEMIBOLD, dinoscope_assets::INTER_SEMIBOLD, FontTweak::default()),
        (ICONS, dinoscope_assets::PHOSPHOR, FontTweak::default()),
    ];
    for (name, bytes, tweak) in files {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes).tweak(tweak)));
    }
    let behind = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let family = |first: &str| {
        [first.to_owned(), ICONS.to_owned()].into_iter().chain(behind.iter().cloned()).collect::<Vec<_>>()
    };
    fonts.families.insert(FontFamily::Proportional, family(REGULAR));
    fonts.families.insert(semibold(), family(SEMIBOLD));
    fonts.families.insert(icon_family(), vec![ICONS.to_owned()]);
    let mono = fonts.families.entry(FontFamily::Monospace).or_default();
    if mono.is_empty() {
        mono.push(REGULAR.to_owned());
    }
    mono.insert(1, ICONS.to_owned());
    fonts
}

/// A font that came later: first for columns and logs, last for everything else.
pub fn add(ctx: &egui::Context, name: &str, bytes: Vec<u8>) {
    use egui::epaint::text::{FontInsert, FontPriority, InsertFontFamily};
    let behind = [FontFamily::Proportional, semibold()]
        .map(|family| InsertFontFamily { family, priority: FontPriority::Lowest });
    let mut families =
        vec![InsertFontFamily { family: FontFamily::Monospace, priority: FontPriority::Highest }];
    families.extend(behind);
    ctx.add_font(FontInsert { name: name.to_owned(), data: FontData::from_owned(bytes), families });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use egui::epaint::text::{Fonts, TextOptions};

    use super::super::icons;
    use super::*;

    /// Only our own font in each family: what egui would borrow elsewhere does not count.
    fn ours() -> Fonts {
        let mut fonts = definitions();
        fonts.families.insert(FontFamily::Proportional, vec![REGULAR.to_owned()]);
        fonts.families.insert(semibold(), vec![SEMIBOLD.to_owned()]);
        Fonts::new(TextOptions::default(), fonts)
    }

    #[test]
    fn every_icon_has_a_glyph() {
        let mut fonts = ours();
        assert!(!fonts.has_glyph(&icon(ICON), 'A'), "a font that has everything would prove nothing");
        for (name, icon_text) in icons::ALL {
            let mut chars = icon_text.chars();
            let glyph = chars.next().unwrap();
            assert!(chars.next().is_none(), "{name} is one character");
            assert!(fonts.has_glyph(&icon(ICON), glyph), "{name} has no glyph");
        }
    }

    #[test]
    fn no_two_icons_share_a_glyph_name() {
        let mut seen = BTreeMap::new();
        for (name, glyph) in icons::ALL {
            assert_eq!(seen.insert(glyph, name), None, "{name} is there under another name");
        }
    }

    #[test]
    fn text_has_the_signs_the_studio_writes() {
        let mut fonts = ours();
        for family in [FontFamily::Proportional, semibold()] {
            for glyph in "AZaz09 äöüßÉñÅøŁőžşĆ ΑΩαωλμπσ →←↑↓ ×±≤≥≈≠−·…–—°µ√∞ “”„‘’ ⌘⌥⇧⌃ ₁² €".chars()
            {
                assert!(
                    fonts.has_glyph(&FontId::new(BODY, family.clone()), glyph),
                    "{family:?} lacks {glyph:?}"
                );
            }
        }
    }

    #[test]
    fn digits_have_one_width() {
        let mut fonts = ours();
        let mut view = fonts.with_pixels_per_point(1.0);
        for family in [FontFamily::Proportional, semibold()] {
            let font = FontId::new(BODY, family);
            let widths: Vec<f32> = ('0'..='9').map(|digit| view.glyph_width(&font, digit)).collect();
            assert!(widths.iter().all(|width| *width == widths[0] && *width > 0.0), "{widths:?}");
        }
    }
}

//! Text as outlines: the studio's own font, so that names in pictures look the same on every machine.
//!
//! Letters stand side by side without kerning. Whatever the font does not hold is left out; nothing here can fail.

use std::sync::LazyLock;

use skrifa::instance::{LocationRef, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use skrifa::{FontRef, GlyphId, MetadataProvider as _};

/// Inter, cut to the letters of European languages, digits and signs, in the weight of running text.
pub static INTER: &[u8] = dinoscope_assets::INTER_REGULAR;

/// Height of capital letters, in ems.
pub const CAPITALS: f32 = 0.727;

/// A closed polygon, `x` to the right and `y` down, in pixels.
pub type Contour = Vec<[f32; 2]>;

static FONT: LazyLock<Option<FontRef<'static>>> = LazyLock::new(|| FontRef::new(INTER).ok());

/// The outlines of `text` from the pen at `(0, 0)` on the baseline, and how far the pen moves. `size` is an em in pixels.
pub fn outlines(text: &str, size: f32) -> (Vec<Contour>, f32) {
    let mut pen = ContourPen { contours: Vec::new(), right: 0.0 };
    if let Some(font) = FONT.as_ref() {
        let letters = font.outline_glyphs();
        for (glyph, advance) in placed(font, text, size) {
            if let Some(outline) = letters.get(glyph) {
                // Half a glyph is better than none.
                let _ =
                    outline.draw(DrawSettings::unhinted(Size::new(size), LocationRef::default()), &mut pen);
            }
            pen.right += advance;
        }
    }
    (pen.contours, pen.right)
}

/// How wide `text` is, in pixels.
pub fn width(text: &str, size: f32) -> f32 {
    FONT.as_ref().map_or(0.0, |font| placed(font, text, size).map(|(_, advance)| advance).sum())
}

/// The glyphs of `text`, a box where the font has none, and how far each moves the pen.
fn placed(font: &FontRef<'_>, text: &str, size: f32) -> impl Iterator<Item = (GlyphId, f32)> {
    let (map, metrics) = (font.charmap(), font.glyph_metrics(Size::new(size), LocationRef::default()));
    text.chars().map(move |letter| {
        let glyph = map.map(letter).unwrap_or(GlyphId::NOTDEF);
        (glyph, metrics.advance_width(glyph).unwrap_or(0.0))
    })
}

/// `text` cut short with an ellipsis where it is wider than `room` pixels.
pub fn shortened(text: &str, size: f32, room: f32) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut letters: Vec<char> = text.chars().collect();
    while letters.pop().is_some() {
        let cut: String = letters.iter().collect::<String>().trim_end().to_owned() + "…";
        if width(&cut, size) <= room {
            return cut;
        }
    }
    String::new()
}

/// Takes the outline of a glyph as closed polygons: curves become short lines.
struct ContourPen {
    contours: Vec<Contour>,
    /// Where the glyph begins, in pixels.
    right: f32,
}

/// Lines for a curve: enough for headings.
const LINES: usize = 6;

impl ContourPen {
    fn add(&mut self, x: f32, y: f32) {
        // Fonts count upwards.
        let point = [self.right + x, -y];
        if let Some(contour) = self.contours.last_mut() {
            contour.push(point);
        }
    }

    /// Where the last line ended, as the font counts.
    fn last(&self) -> [f32; 2] {
        let [x, y] = self.contours.last().and_then(|contour| contour.last()).copied().unwrap_or_default();
        [x - self.right, -y]
    }

    /// Points of a curve, given by the weights of its control points.
    fn curve<const N: usize>(&mut self, points: [[f32; 2]; N], weights: impl Fn(f32) -> [f32; N]) {
        for step in 1..=LINES {
            let weights = weights(step as f32 / LINES as f32);
            let at =
                |axis: usize| points.iter().zip(weights).map(|(point, weight)| weight * point[axis]).sum();
            self.add(at(0), at(1));
        }
    }
}

impl OutlinePen for ContourPen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.contours.push(Contour::new());
        self.add(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.add(x, y);
    }

    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        self.curve([self.last(), [cx, cy], [x, y]], |t| [(1.0 - t).powi(2), 2.0 * t * (1.0 - t), t * t]);
    }

    fn curve_to(&mut self, cx: f32, cy: f32, dx: f32, dy: f32, x: f32, y: f32) {
        self.curve([self.last(), [cx, cy], [dx, dy], [x, y]], |t| {
            let rest = 1.0 - t;
            [rest.powi(3), 3.0 * t * rest * rest, 3.0 * t * t * rest, t.powi(3)]
        });
    }

    fn close(&mut self) {}
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Twice the area within contours, by the shoelace formula.
    fn area(contours: &[Contour]) -> f32 {
        let twice = |c: &Contour| -> f32 {
            (0..c.len()).map(|i| (c[i], c[(i + 1) % c.len()])).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum()
        };
        contours.iter().map(twice).sum::<f32>().abs() / 2.0
    }

    fn bounds(contours: &[Contour]) -> [f32; 4] {
        contours.iter().flatten().fold([f32::MAX, f32::MAX, f32::MIN, f32::MIN], |b, [x, y]| {
            [b[0].min(*x), b[1].min(*y), b[2].max(*x), b[3].max(*y)]
        })
    }

    #[test]
    fn every_letter_has_a_shape_and_a_width() {
        for letter in ('!'..='~').chain("äéßñøŁΩ→·–…".chars()) {
            let (contours, advance) = outlines(&letter.to_string(), 100.0);
            assert!(area(&contours) > 50.0, "{letter}");
            let [left, _, right, _] = bounds(&contours);
            assert!(left > -10.0 && right < advance + 10.0 && advance > 10.0, "{letter}");
        }
        let (space, advance) = outlines(" ", 100.0);
        assert!(space.is_empty() && advance > 10.0);
    }

    #[test]
    fn shapes_are_those_of_the_letters() {
        // A capital stands on the baseline; an accent adds to its letter, above it; i has two parts and o a hole.
        let [_, top, _, bottom] = bounds(&outlines("H", 100.0).0);
        assert!((top + 100.0 * CAPITALS).abs() < 1.0 && bottom.abs() < 0.01, "{top} {bottom}");
        let (plain, accented) = (outlines("a", 100.0).0, outlines("ä", 100.0).0);
        assert_eq!(accented.len(), plain.len() + 2);
        assert!(bounds(&accented)[1] < bounds(&plain)[1] && area(&accented) > area(&plain));
        assert_eq!((outlines("i", 9.0).0.len(), outlines("o", 9.0).0.len()), (2, 2));
        // A round letter fills less than its box and more than the rhombus in it.
        let full = [outlines("O", 100.0).0.swap_remove(0)];
        let [left, top, right, bottom] = bounds(&full);
        let share = area(&full) / ((right - left) * (bottom - top));
        assert!((0.72..0.9).contains(&share), "{share}");
    }

    #[test]
    fn text_is_measured_and_cut() {
        let (_, advance) = outlines("Mushroom", 20.0);
        assert_eq!(width("Mushroom", 20.0), advance);
        assert!((width("Mushroom", 40.0) - 2.0 * advance).abs() < 0.01);
        assert_eq!(shortened("Mushroom", 20.0, advance), "Mushroom");
        let cut = shortened("Mushroom soup", 20.0, advance);
        assert!(cut.starts_with("Mush") && cut.ends_with('…') && width(&cut, 20.0) <= advance, "{cut}");
        assert_eq!(shortened("Mushroom", 20.0, 3.0), "");
        // A character that the font lacks is a box, not a hole in the line.
        assert!(!outlines("字", 20.0).0.is_empty());
    }
}

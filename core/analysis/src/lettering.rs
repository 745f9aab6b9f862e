//! Text as outlines: the studio's own font, so that names in pictures look the same on every machine.
//!
//! Reads the few tables of a TrueType file that shapes and widths need. Letters stand side by side without kerning.
//! Whatever the file does not hold is left out; nothing here can fail.

use std::sync::LazyLock;

/// Inter, cut to the letters of European languages, digits and signs, in the weight of running text.
pub static INTER: &[u8] = include_bytes!("../../../assets/fonts/Inter-Regular.ttf");

/// Height of capital letters, in ems.
pub const CAPITALS: f32 = 0.727;

/// A closed polygon, `x` to the right and `y` down, in pixels.
pub type Contour = Vec<[f32; 2]>;

static FONT: LazyLock<Option<TrueTypeFont>> = LazyLock::new(|| TrueTypeFont::open(INTER));

/// The outlines of `text` from the pen at `(0, 0)` on the baseline, and how far the pen moves. `size` is an em in pixels.
pub fn outlines(text: &str, size: f32) -> (Vec<Contour>, f32) {
    let mut contours = Vec::new();
    let mut pen = 0.0;
    if let Some(font) = FONT.as_ref() {
        let scale = size / font.units;
        for letter in text.chars() {
            let glyph = font.glyph(letter).unwrap_or(0);
            // Half a glyph is better than none.
            let _ = font.outline(glyph, &[scale, 0.0, 0.0, -scale, pen, 0.0], 0, &mut contours);
            pen += font.advance(glyph).unwrap_or(0.0) * scale;
        }
    }
    (contours, pen)
}

/// How wide `text` is, in pixels.
pub fn width(text: &str, size: f32) -> f32 {
    let Some(font) = FONT.as_ref() else { return 0.0 };
    let advance = |letter| font.glyph(letter).and_then(|glyph| font.advance(glyph)).unwrap_or(0.0);
    text.chars().map(advance).sum::<f32>() * size / font.units
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

/// The tables of a TrueType file, as offsets into it.
struct TrueTypeFont {
    data: &'static [u8],
    units: f32,
    /// A character map of format 4.
    map: usize,
    glyphs: usize,
    places: usize,
    /// Whether places take four bytes.
    wide: bool,
    widths: usize,
    /// Glyphs with a width of their own; those after them have the last one's.
    measured: usize,
}

/// Glyphs made of glyphs made of glyphs: deeper than this is a broken file.
const DEPTH: usize = 4;

impl TrueTypeFont {
    fn open(data: &'static [u8]) -> Option<Self> {
        let mut font =
            Self { data, units: 1.0, map: 0, glyphs: 0, places: 0, wide: false, widths: 0, measured: 0 };
        let (head, hhea, cmap) = (font.table(b"head")?, font.table(b"hhea")?, font.table(b"cmap")?);
        font.units = f32::from(font.u16(head + 18)?).max(1.0);
        font.wide = font.u16(head + 50)? != 0;
        font.measured = usize::from(font.u16(hhea + 34)?).max(1);
        (font.glyphs, font.places) = (font.table(b"glyf")?, font.table(b"loca")?);
        font.widths = font.table(b"hmtx")?;
        let maps = usize::from(font.u16(cmap + 2)?);
        font.map = (0..maps)
            .filter_map(|i| Some(cmap + font.u32(cmap + 4 + 8 * i + 4)?))
            .find(|at| font.u16(*at) == Some(4))?;
        Some(font)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes(self.data.get(at..at + 2)?.try_into().ok()?))
    }

    fn i16(&self, at: usize) -> Option<f32> {
        self.u16(at).map(|v| f32::from(v as i16))
    }

    fn u32(&self, at: usize) -> Option<usize> {
        Some(u32::from_be_bytes(self.data.get(at..at + 4)?.try_into().ok()?) as usize)
    }

    fn table(&self, name: &[u8; 4]) -> Option<usize> {
        let count = usize::from(self.u16(4)?);
        let entry = (0..count).map(|i| 12 + 16 * i).find(|at| self.data.get(*at..*at + 4) == Some(name))?;
        self.u32(entry + 8)
    }

    /// The glyph of a character; `None` where the font has none.
    fn glyph(&self, letter: char) -> Option<u16> {
        let code = u16::try_from(letter as u32).ok()?;
        let twice = usize::from(self.u16(self.map + 6)?);
        let (ends, starts) = (self.map + 14, self.map + 16 + twice);
        let (deltas, offsets) = (starts + twice, starts + 2 * twice);
        let at = (0..twice).step_by(2).find(|at| self.u16(ends + at).is_some_and(|end| end >= code))?;
        let (start, delta) = (self.u16(starts + at)?, self.u16(deltas + at)?);
        let offset = usize::from(self.u16(offsets + at)?);
        let first = code.checked_sub(start)?;
        let glyph = match offset {
            0 => code.wrapping_add(delta),
            _ => match self.u16(offsets + at + offset + 2 * usize::from(first))? {
                0 => 0,
                glyph => glyph.wrapping_add(delta),
            },
        };
        (glyph != 0).then_some(glyph)
    }

    fn advance(&self, glyph: u16) -> Option<f32> {
        self.u16(self.widths + 4 * usize::from(glyph).min(self.measured - 1)).map(f32::from)
    }

    fn place(&self, glyph: usize) -> Option<usize> {
        if self.wide {
            self.u32(self.places + 4 * glyph)
        } else {
            self.u16(self.places + 2 * glyph).map(|half| 2 * usize::from(half))
        }
    }

    /// Adds the outline of a glyph, its points sent through `[a, b, c, d, e, f]`: `x' = ax + cy + e`, `y' = bx + dy + f`.
    fn outline(&self, glyph: u16, place: &[f32; 6], depth: usize, out: &mut Vec<Contour>) -> Option<()> {
        let glyph = usize::from(glyph);
        let (start, end) = (self.place(glyph)?, self.place(glyph + 1)?);
        if start == end || depth > DEPTH {
            return Some(());
        }
        let at = self.glyphs + start;
        match self.u16(at)? as i16 {
            count if count >= 0 => self.simple(at + 10, count as usize, place, out),
            _ => self.composite(at + 10, place, depth, out),
        }
    }

    fn simple(&self, ends: usize, count: usize, place: &[f32; 6], out: &mut Vec<Contour>) -> Option<()> {
        let last = |i: usize| self.u16(ends + 2 * i).map(usize::from);
        let points = if count == 0 { 0 } else { last(count - 1)? + 1 };
        let mut at = ends + 2 * count;
        at += 2 + usize::from(self.u16(at)?);
        let mut flags = Vec::with_capacity(points);
        while flags.len() < points {
            let flag = *self.data.get(at)?;
            at += 1;
            let repeats = if flag & 8 != 0 { usize::from(*self.data.get(at)?) } else { 0 };
            at += usize::from(flag & 8 != 0);
            flags.extend(std::iter::repeat_n(flag, repeats + 1));
        }
        let xs = self.coordinates(&mut at, &flags[..points], 2, 16)?;
        let ys = self.coordinates(&mut at, &flags[..points], 4, 32)?;
        let mut first = 0;
        for i in 0..count {
            let end = last(i)? + 1;
            let contour: Vec<([f32; 2], bool)> =
                (first..end).map(|p| (sent(place, [xs[p], ys[p]]), flags[p] & 1 != 0)).collect();
            out.push(flattened(&contour));
            first = end;
        }
        Some(())
    }

    /// Coordinates stored as steps of one byte with a sign, of two bytes, or none.
    fn coordinates(&self, at: &mut usize, flags: &[u8], short: u8, same: u8) -> Option<Vec<f32>> {
        let mut value = 0.0;
        flags
            .iter()
            .map(|flag| {
                if flag & short != 0 {
                    let step = f32::from(*self.data.get(*at)?);
                    *at += 1;
                    value += if flag & same != 0 { step } else { -step };
                } else if flag & same == 0 {
                    value += self.i16(*at)?;
                    *at += 2;
                }
                Some(value)
            })
            .collect()
    }

    /// A glyph made of others: letters with accents.
    fn composite(&self, mut at: usize, place: &[f32; 6], depth: usize, out: &mut Vec<Contour>) -> Option<()> {
        loop {
            let (flags, glyph) = (self.u16(at)?, self.u16(at + 2)?);
            at += 4;
            let offset = if flags & 1 != 0 {
                at += 4;
                [self.i16(at - 4)?, self.i16(at - 2)?]
            } else {
                at += 2;
                let byte = |at: usize| self.data.get(at).map(|v| f32::from(*v as i8));
                [byte(at - 2)?, byte(at - 1)?]
            };
            let mut turn = [1.0, 0.0, 0.0, 1.0];
            let numbers: &[usize] = match flags & 0b1100_1000 {
                0b1000 => &[0],
                0b100_0000 => &[0, 3],
                0b1000_0000 => &[0, 1, 2, 3],
                _ => &[],
            };
            for i in numbers {
                turn[*i] = self.i16(at)? / 16384.0;
                at += 2;
            }
            if numbers.len() == 1 {
                turn[3] = turn[0];
            }
            let shift = sent(place, offset);
            let [a, b, c, d] = turn;
            let of = |x: f32, y: f32| [place[0] * x + place[2] * y, place[1] * x + place[3] * y];
            let (across, up) = (of(a, b), of(c, d));
            let inner = [across[0], across[1], up[0], up[1], shift[0], shift[1]];
            self.outline(glyph, &inner, depth + 1, out)?;
            if flags & 32 == 0 {
                return Some(());
            }
        }
    }
}

fn sent(place: &[f32; 6], [x, y]: [f32; 2]) -> [f32; 2] {
    [place[0] * x + place[2] * y + place[4], place[1] * x + place[3] * y + place[5]]
}

/// Quadratic curves as short lines. Points that are not on the curve pull at it; between two of them lies one that is.
fn flattened(points: &[([f32; 2], bool)]) -> Contour {
    /// Lines for a curve: enough for headings.
    const LINES: usize = 6;
    let middle = |a: [f32; 2], b: [f32; 2]| [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
    let n = points.len();
    let mut out = Contour::new();
    if n == 0 {
        return out;
    }
    // Begin at a point on the curve, or between two that are not.
    let first = points.iter().position(|p| p.1);
    let start = first.map_or_else(|| middle(points[n - 1].0, points[0].0), |i| points[i].0);
    let begin = first.map_or(0, |i| i + 1);
    let mut pen = start;
    let mut pull: Option<[f32; 2]> = None;
    let curve = |from: [f32; 2], by: [f32; 2], to: [f32; 2], out: &mut Contour| {
        out.extend((1..=LINES).map(|i| {
            let t = i as f32 / LINES as f32;
            let mix = |k: usize| (1.0 - t) * ((1.0 - t) * from[k] + 2.0 * t * by[k]) + t * t * to[k];
            [mix(0), mix(1)]
        }));
    };
    out.push(start);
    for i in 0..n {
        let (point, on) = points[(begin + i) % n];
        match (pull, on) {
            (None, true) => out.push(point),
            (Some(by), true) => curve(pen, by, point, &mut out),
            (None, false) => {}
            (Some(by), false) => {
                let between = middle(by, point);
                curve(pen, by, between, &mut out);
                pen = between;
            }
        }
        if on {
            pen = point;
        }
        pull = (!on).then_some(point);
    }
    if let Some(by) = pull {
        curve(pen, by, start, &mut out);
    }
    out
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

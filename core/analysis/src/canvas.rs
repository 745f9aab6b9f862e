//! Drawing into pictures: areas, discs, lines and text with smooth edges, in the colours of the project's pages.
//!
//! Every shape is a set of polygons that one rasteriser fills: it sums the signed area that each edge covers in each
//! pixel, so that edges are as smooth as eight bits allow.

use super::lettering::{self, CAPITALS, Contour};
use dinoscope_data::Picture;

/// Red, green and blue.
pub type Colour = [u8; 3];

/// What everything lies on.
pub const PAPER: Colour = [0xff, 0xff, 0xff];
/// Text.
pub const INK: Colour = [0x18, 0x18, 0x1b];
/// Text of less weight.
pub const SOFT: Colour = [0x71, 0x71, 0x7a];
/// Lines and empty areas.
pub const GRID: Colour = [0xec, 0xec, 0xef];
/// What is right, or the thing that is looked at.
pub const ACCENT: Colour = [0x0f, 0x76, 0x6e];
/// What is wrong.
pub const ALARM: Colour = [0xc2, 0x41, 0x0c];

/// Which end of a text lies at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextAnchor {
    /// The text begins there.
    Start,
    /// The text is centred there.
    Middle,
    /// The text ends there.
    End,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CanvasTextStyle {
    /// An em in pixels.
    pub size: f32,
    /// Its colour.
    pub colour: Colour,
    /// Which end lies at its place.
    pub anchor: TextAnchor,
    /// Degrees that it is turned to the left: 90 reads upwards.
    pub turn: f32,
}

impl CanvasTextStyle {
    /// Running text, from its place to the right.
    pub fn new(size: f32, colour: Colour) -> Self {
        Self { size, colour, anchor: TextAnchor::Start, turn: 0.0 }
    }

    /// The same with another end at its place.
    pub fn anchored(self, anchor: TextAnchor) -> Self {
        Self { anchor, ..self }
    }

    /// The same, turned to the left by some degrees.
    pub fn turned(self, turn: f32) -> Self {
        Self { turn, ..self }
    }
}

/// Left, top, width and height of a part, in pixels.
pub type Place = [usize; 4];

/// A picture while it is drawn.
#[derive(Clone, Debug)]
pub struct PictureCanvas {
    picture: Picture,
    kept: Vec<Place>,
}

impl PictureCanvas {
    /// An area of one colour.
    pub fn new(width: usize, height: usize, background: Colour) -> Self {
        Self { picture: Picture::of_rgb(width, height, background.repeat(width * height)), kept: Vec::new() }
    }

    /// What was drawn.
    pub fn picture(self) -> Picture {
        self.picture
    }

    /// What was drawn, and the parts of it that keep their colours on whatever it lies: photographs and keys of colours.
    pub fn parts(self) -> (Picture, Vec<Place>) {
        (self.picture, self.kept)
    }

    /// A part keeps its colours.
    pub fn keep(&mut self, left: usize, top: usize, width: usize, height: usize) {
        self.kept.push([left, top, width, height]);
    }

    /// A rectangle; the part outside the picture is left out.
    pub fn area(&mut self, left: usize, top: usize, width: usize, height: usize, colour: Colour) {
        let right = (left + width).min(self.picture.width);
        let stride = self.picture.width * 3;
        for row in top..(top + height).min(self.picture.height) {
            if left < right {
                let line = &mut self.picture.rgb[row * stride + left * 3..row * stride + right * 3];
                line.as_chunks_mut::<3>().0.fill(colour);
            }
        }
    }

    /// A picture at its own size, which keeps its colours; the part outside is left out.
    pub fn paste(&mut self, picture: &Picture, left: usize, top: usize) {
        self.keep(left, top, picture.width, picture.height);
        let fits = self.picture.width.saturating_sub(left).min(picture.width) * 3;
        let stride = self.picture.width * 3;
        let rows = picture.rgb.chunks_exact((picture.width * 3).max(1));
        for (row, line) in rows.enumerate().take(self.picture.height.saturating_sub(top)) {
            let start = (top + row) * stride + left * 3;
            self.picture.rgb[start..start + fits].copy_from_slice(&line[..fits]);
        }
    }

    /// Writes `text` at `(x, y)`, where `y` is the middle of its capital letters, not the baseline.
    pub fn text(&mut self, text: &str, x: f32, y: f32, style: CanvasTextStyle) {
        let (mut contours, advance) = lettering::outlines(text, style.size);
        let back = match style.anchor {
            TextAnchor::Start => 0.0,
            TextAnchor::Middle => advance / 2.0,
            TextAnchor::End => advance,
        };
        let (sin, cos) = style.turn.to_radians().sin_cos();
        for [px, py] in contours.iter_mut().flatten() {
            let (along, down) = (*px - back, *py + CAPITALS / 2.0 * style.size);
            (*px, *py) = (x + along * cos + down * sin, y + down * cos - along * sin);
        }
        self.fill(&contours, style.colour, 1.0);
    }

    /// A disc, or a ring where `hole` is not 0.
    pub fn disc(&mut self, x: f32, y: f32, radius: f32, hole: f32, colour: Colour, opacity: f32) {
        const CORNERS: usize = 40;
        let circle = |radius: f32, way: f32| -> Contour {
            let angle = |i: usize| way * i as f32 * std::f32::consts::TAU / CORNERS as f32;
            (0..CORNERS).map(|i| [x + radius * angle(i).cos(), y + radius * angle(i).sin()]).collect()
        };
        let mut contours = vec![circle(radius, 1.0)];
        if hole > 0.0 {
            contours.push(circle(hole, -1.0));
        }
        self.fill(&contours, colour, opacity);
    }

    /// A straight line.
    pub fn line(&mut self, from: [f32; 2], to: [f32; 2], width: f32, colour: Colour) {
        let along = [to[0] - from[0], to[1] - from[1]];
        let length = along[0].hypot(along[1]);
        if length > 0.0 {
            let [x, y] = [-along[1] / length * width / 2.0, along[0] / length * width / 2.0];
            let corners = vec![
                [from[0] + x, from[1] + y],
                [to[0] + x, to[1] + y],
                [to[0] - x, to[1] - y],
                [from[0] - x, from[1] - y],
            ];
            self.fill(&[corners], colour, 1.0);
        }
    }

    /// Fills polygons; where two of them run round the same way they add up, the other way they cut a hole.
    pub fn fill(&mut self, contours: &[Contour], colour: Colour, opacity: f32) {
        let (width, height) = (self.picture.width, self.picture.height);
        let points = || contours.iter().flatten().filter(|p| p[0].is_finite() && p[1].is_finite());
        let span = |k: usize, most: usize| {
            let low = points().map(|p| p[k]).fold(f32::INFINITY, f32::min).floor().max(0.0);
            let high = points().map(|p| p[k]).fold(f32::NEG_INFINITY, f32::max).ceil().min(most as f32);
            (low < high).then_some((low as usize, high as usize))
        };
        let (Some((left, right)), Some((top, bottom))) = (span(0, width), span(1, height)) else { return };
        let mut sums = CoverageAccumulator::new(right - left, bottom - top);
        for contour in contours {
            for (i, from) in contour.iter().enumerate() {
                let to = contour[(i + 1) % contour.len()];
                let moved = |p: [f32; 2]| [p[0] - left as f32, p[1] - top as f32];
                sums.edge(moved(*from), moved(to));
            }
        }
        for row in 0..bottom - top {
            let mut sum = 0.0;
            for column in 0..right - left {
                sum += sums.values[row * sums.stride + column];
                let share = sum.abs().min(1.0) * opacity;
                if share > 0.001 {
                    let at = ((top + row) * width + left + column) * 3;
                    for (old, new) in self.picture.rgb[at..at + 3].iter_mut().zip(colour) {
                        let mixed = f32::from(*old) + share * (f32::from(new) - f32::from(*old));
                        *old = mixed.round() as u8;
                    }
                }
            }
        }
    }
}

/// A colour between two, `share` 0 to 1.
pub fn mixed(from: Colour, to: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    std::array::from_fn(|i| {
        (f32::from(from[i]) + share * (f32::from(to[i]) - f32::from(from[i]))).round() as u8
    })
}

/// Signed area per pixel: the running sum along a row is how much of each pixel lies inside.
struct CoverageAccumulator {
    width: usize,
    height: usize,
    stride: usize,
    values: Vec<f32>,
}

impl CoverageAccumulator {
    fn new(width: usize, height: usize) -> Self {
        let stride = width + 2;
        Self { width, height, stride, values: vec![0.0; stride * height] }
    }

    /// Adds one edge. What lies left of the window counts at its left side, what lies right of it nowhere.
    fn edge(&mut self, from: [f32; 2], to: [f32; 2]) {
        let (way, upper, lower) = if from[1] < to[1] { (1.0, from, to) } else { (-1.0, to, from) };
        let fall = lower[1] - upper[1];
        // Also false for numbers that are none.
        if !(fall > 0.0 && lower[1] > 0.0) {
            return;
        }
        let slope = (lower[0] - upper[0]) / fall;
        let x_at = |y: f32| upper[0] + slope * (y - upper[1]);
        let last = (lower[1].ceil() as usize).min(self.height);
        for row in upper[1].max(0.0) as usize..last {
            let (y0, y1) = (upper[1].max(row as f32), lower[1].min(row as f32 + 1.0));
            let limit = |x: f32| x.clamp(0.0, self.width as f32);
            let (a, b) = (limit(x_at(y0)), limit(x_at(y1)));
            let values = &mut self.values[row * self.stride..][..self.stride];
            spread(values, a.min(b), a.max(b), way * (y1 - y0));
        }
    }
}

/// Adds an edge of one row that runs from `x0` to `x1` over a signed height: each pixel gets the height that the edge
/// has crossed in it, weighted by how much of the pixel lies right of the crossing; the rest goes to the next pixel.
fn spread(values: &mut [f32], x0: f32, x1: f32, height: f32) {
    let (first, last) = (x0 as usize, (x1.ceil() as usize).max(x0 as usize + 1));
    let per_pixel = if x1 > x0 { height / (x1 - x0) } else { height };
    for pixel in first..last {
        let (left, right) = (x0.max(pixel as f32), x1.min(pixel as f32 + 1.0));
        let crossed = if x1 > x0 { per_pixel * (right - left) } else { height };
        let inside = pixel as f32 + 1.0 - (left + right) / 2.0;
        values[pixel] += crossed * inside;
        values[pixel + 1] += crossed * (1.0 - inside);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Darkness of each pixel of a black drawing on white, 0 to 1.
    fn coverage(draw: impl FnOnce(&mut PictureCanvas)) -> (usize, Vec<f32>) {
        let mut canvas = PictureCanvas::new(40, 30, [255; 3]);
        draw(&mut canvas);
        let picture = canvas.picture();
        (picture.width, picture.rgb.chunks_exact(3).map(|p| 1.0 - f32::from(p[0]) / 255.0).collect())
    }

    #[test]
    fn shapes_cover_their_area() {
        // A rectangle between pixels: 3.5 × 2.25 of them.
        let corners = vec![[2.25, 3.5], [5.75, 3.5], [5.75, 5.75], [2.25, 5.75]];
        let (width, found) = coverage(|c| c.fill(&[corners], [0; 3], 1.0));
        assert!((found.iter().sum::<f32>() - 3.5 * 2.25).abs() < 0.02);
        let at = |x: usize, y: usize| found[y * width + x];
        assert!((at(2, 3) - 0.375).abs() < 0.01 && (at(3, 4) - 1.0).abs() < 0.01 && at(6, 4) == 0.0);
        // A disc and a ring, a slanted line, and shapes that reach over every side.
        let disc = coverage(|c| c.disc(14.3, 12.8, 8.0, 0.0, [0; 3], 1.0)).1.iter().sum::<f32>();
        assert!((disc - 201.06).abs() < 2.0, "{disc}");
        let ring = coverage(|c| c.disc(14.3, 12.8, 8.0, 6.0, [0; 3], 0.5)).1.iter().sum::<f32>();
        assert!((ring - (201.06 - 113.1) / 2.0).abs() < 1.0, "{ring}");
        let line = coverage(|c| c.line([3.0, 4.0], [33.0, 24.0], 2.0, [0; 3])).1.iter().sum::<f32>();
        assert!((line - 2.0 * 1300f32.sqrt()).abs() < 0.5, "{line}");
        for (x, y) in [(0.0, 15.0), (40.0, 15.0), (20.0, 0.0), (20.0, 30.0)] {
            let half = coverage(|c| c.disc(x, y, 8.0, 0.0, [0; 3], 1.0)).1.iter().sum::<f32>();
            assert!((half - 100.5).abs() < 1.5, "{x} {y}: {half}");
        }
        let all = vec![[-50.0, -50.0], [90.0, -50.0], [90.0, 90.0], [-50.0, 90.0]];
        assert!(coverage(|c| c.fill(&[all], [0; 3], 1.0)).1.iter().all(|v| *v == 1.0));
        let nowhere = vec![[f32::NAN, 0.0], [50.0, 90.0], [60.0, -2.0]];
        assert!(coverage(|c| c.fill(&[nowhere], [0; 3], 1.0)).1.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn text_lies_where_it_is_put() {
        let centre = |style: CanvasTextStyle| {
            let (width, found) = coverage(|c| c.text("HH", 20.0, 15.0, style));
            let total: f32 = found.iter().sum();
            let mean = |of: &dyn Fn(usize) -> usize| {
                found.iter().enumerate().map(|(i, v)| v * (of(i) as f32 + 0.5)).sum::<f32>() / total
            };
            (mean(&|i| i % width), mean(&|i| i / width))
        };
        let half = lettering::width("HH", 10.0) / 2.0;
        let style = CanvasTextStyle::new(10.0, [0; 3]);
        for (style, x, y) in [
            (style, 20.0 + half, 15.0),
            (style.anchored(TextAnchor::Middle), 20.0, 15.0),
            (style.anchored(TextAnchor::End), 20.0 - half, 15.0),
            (style.turned(90.0), 20.0, 15.0 - half),
            (style.turned(90.0).anchored(TextAnchor::End), 20.0, 15.0 + half),
        ] {
            let found = centre(style);
            assert!((found.0 - x).abs() < 0.2 && (found.1 - y).abs() < 0.2, "{style:?}: {found:?}");
        }
    }

    #[test]
    fn areas_and_pictures_are_cut_at_the_edge() {
        let (_, found) = coverage(|c| c.area(38, 29, 10, 10, [0; 3]));
        assert_eq!(found.iter().sum::<f32>(), 2.0);
        let stamp = Picture::of_rgb(3, 2, vec![0; 18]);
        let pasted = |left, top| coverage(|c| c.paste(&stamp, left, top)).1.iter().sum::<f32>();
        assert_eq!((pasted(4, 5), pasted(39, 5), pasted(4, 29), pasted(80, 90)), (6.0, 2.0, 3.0, 0.0));
    }
}

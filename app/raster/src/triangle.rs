//! Which pixels a triangle covers: those whose middle lies inside, and of edges the left and the top one.
//!
//! Corners are on a grid of 1/256 pixel and all sums are exact, so that of two triangles that share an edge every
//! pixel along it belongs to one and only one.

use std::ops::Range;

use super::shade::RasterVertex;

/// Grid lines for each pixel.
const GRID: i64 = 256;

/// How far from the window's corner a corner may lie, in pixels, for sums to stay exact in 64 bits.
const REACH: f64 = (1 << 20) as f64;

/// The pixels that may be painted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScissorRect {
    /// Columns.
    pub x: Range<usize>,
    /// Rows.
    pub y: Range<usize>,
}

impl ScissorRect {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty() || self.y.is_empty()
    }

    /// Whether a triangle with these corners lies above or below. What is no number lies outside.
    pub fn misses(&self, ys: [f64; 3]) -> bool {
        let (top, bottom) = (self.y.start as f64, self.y.end as f64);
        !(ys.iter().any(|y| *y >= top) && ys.iter().any(|y| *y <= bottom))
    }

    /// The part of a range of columns that is inside.
    fn columns(&self, first: i64, end: i64) -> Range<usize> {
        let hold = |x: i64| x.clamp(self.x.start as i64, self.x.end as i64) as usize;
        hold(first)..hold(end)
    }

    /// The rows inside whose middle is at or below `top` and above `bottom`, on the grid.
    fn rows(&self, top: i64, bottom: i64) -> Range<usize> {
        let hold = |y: i64| y.clamp(self.y.start as i64, self.y.end as i64) as usize;
        hold(first_pixel(top))..hold(first_pixel(bottom))
    }
}

/// The first pixel whose middle is at or behind a line of the grid.
fn first_pixel(line: i64) -> i64 {
    (line + GRID / 2 - 1).div_euclid(GRID)
}

/// The nearest line of the grid.
fn snap(place: f64) -> i64 {
    // Not `round`, which is a call on older processors.
    let scaled = place * GRID as f64;
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i64
}

/// Puts corners on the grid, unless one is too far out.
pub fn on_grid<const N: usize>(corners: &mut [RasterVertex; N]) -> bool {
    for corner in corners {
        for place in &mut corner.at {
            if place.abs() > REACH {
                return false;
            }
            *place = snap(*place) as f64 / GRID as f64;
        }
    }
    true
}

/// One edge: `slack - slope * x` is at least 0 for the pixels on the inner side.
struct TriangleEdge {
    slack: i64,
    slope: i64,
    down: i64,
}

impl TriangleEdge {
    /// From one corner to the next, the inside at the right; `slack` is that of row `y`.
    fn new(from: [i64; 2], to: [i64; 2], y: usize) -> Self {
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        // Pixels exactly on the line belong to this triangle if it is its left or top edge.
        let shared = i64::from(!(dy < 0 || (dy == 0 && dx > 0)));
        let middle = y as i64 * GRID + GRID / 2;
        let slack = dx * (middle - from[1]) - dy * (GRID / 2 - from[0]) - shared;
        Self { slack, slope: dy * GRID, down: dx * GRID }
    }

    /// Narrows a range of columns to those inside.
    fn narrow(&self, columns: &mut (i64, i64)) {
        if self.slope > 0 {
            columns.1 = columns.1.min(self.slack.div_euclid(self.slope) + 1);
        } else if self.slope < 0 {
            columns.0 = columns.0.max(-self.slack.div_euclid(-self.slope));
        } else if self.slack < 0 {
            columns.1 = columns.0;
        }
    }
}

/// Calls `span` with each row of a triangle whose corners are on the grid, and the columns it covers there.
pub fn cover(corners: &[RasterVertex; 3], area: &ScissorRect, mut span: impl FnMut(usize, Range<usize>)) {
    let [a, mut b, mut c] = corners.map(|corner| corner.at.map(snap));
    let turn = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
    if turn == 0 {
        return;
    }
    if turn < 0 {
        std::mem::swap(&mut b, &mut c);
    }
    let top = a[1].min(b[1]).min(c[1]);
    let bottom = a[1].max(b[1]).max(c[1]);
    let rows = area.rows(top, bottom);
    if rows.is_empty() {
        return;
    }
    let mut edges = [(a, b), (b, c), (c, a)].map(|(from, to)| TriangleEdge::new(from, to, rows.start));
    let bounds = (first_pixel(a[0].min(b[0]).min(c[0])), first_pixel(a[0].max(b[0]).max(c[0])));
    for y in rows {
        let mut columns = bounds;
        for edge in &mut edges {
            edge.narrow(&mut columns);
            edge.slack += edge.down;
        }
        let columns = area.columns(columns.0, columns.1);
        if !columns.is_empty() {
            span(y, columns);
        }
    }
}

/// Calls `span` with each row of the rectangle between two opposite corners on the grid: what [`cover`] gives for
/// the two triangles it is made of.
pub fn cover_rectangle(
    a: [f64; 2],
    b: [f64; 2],
    area: &ScissorRect,
    mut span: impl FnMut(usize, Range<usize>),
) {
    let (a, b) = (a.map(snap), b.map(snap));
    let columns = area.columns(first_pixel(a[0].min(b[0])), first_pixel(a[0].max(b[0])));
    if columns.is_empty() {
        return;
    }
    for y in area.rows(a[1].min(b[1]), a[1].max(b[1])) {
        span(y, columns.clone());
    }
}

/// Whether two triangles `a b c` and `c b d` make an upright rectangle of one colour, with the texture not turned.
pub fn is_rectangle([a, b, c, d]: &[RasterVertex; 4]) -> bool {
    // `b` and `c` are opposite; `a` is beside one of them and above or below the other.
    let upright = |[a, b, c, d]: [[f64; 2]; 4], x: usize| {
        let y = 1 - x;
        a[x] == c[x] && a[y] == b[y] && d[x] == b[x] && d[y] == c[y]
    };
    let at = [a.at, b.at, c.at, d.at];
    let uv = [a.uv, b.uv, c.uv, d.uv];
    let one_color = [b, c, d].iter().all(|corner| corner.color == a.color);
    one_color && (0..2).any(|axis| upright(at, axis) && upright(uv, axis))
}

/// Cuts a triangle that reaches too far and calls `part` with triangles that do not, on the grid.
pub fn cut(corners: &[RasterVertex; 3], mut part: impl FnMut(&[RasterVertex; 3])) {
    // Three corners, and at most one more for each of the four sides cut.
    let mut polygon = [corners[0]; 7];
    polygon[..3].copy_from_slice(corners);
    let mut count = 3;
    for (axis, side) in [(0, -1.0), (0, 1.0), (1, -1.0), (1, 1.0)] {
        let whole = polygon;
        let inside = |corner: &RasterVertex| REACH - side * corner.at[axis];
        let mut kept = 0;
        for i in 0..count {
            let (here, next) = (whole[i], whole[(i + 1) % count]);
            let (near, far) = (inside(&here), inside(&next));
            if near >= 0.0 && kept < polygon.len() {
                polygon[kept] = here;
                kept += 1;
            }
            if (near < 0.0) != (far < 0.0) && kept < polygon.len() {
                // From the inside out, so that two triangles that share an edge cut it at the same place.
                let mut corner = if near >= 0.0 {
                    here.toward(&next, near / (near - far))
                } else {
                    next.toward(&here, far / (far - near))
                };
                corner.at[axis] = side * REACH;
                polygon[kept] = corner;
                kept += 1;
            }
        }
        count = kept;
        if count < 3 {
            return;
        }
    }
    for i in 1..count - 1 {
        let mut triangle = [polygon[0], polygon[i], polygon[i + 1]];
        if on_grid(&mut triangle) {
            part(&triangle);
        }
    }
}

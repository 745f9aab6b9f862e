//! Strokes of a brush: bent bands with bristles, in the colours of a ramp.

use super::canvas::{ProceduralCanvas, about};
use super::noise::gradient;
use super::palette::{ColourRamp, PictureHues};
use crate::source::scenes::materials::between;
use crate::source::scenes::math::sin_cos;
use dinoscope_base::rng::{RngExt, Stream};

/// Straight pieces that a stroke is made of.
const PIECES: usize = 7;

/// A layer of strokes.
#[derive(Clone, Debug)]
pub struct StrokeLayer {
    ramp: ColourRamp,
    count: u32,
    /// Half width of the broadest.
    broad: f32,
    /// Length, and how far the ends turn off, in turns.
    long: f32,
    bend: f32,
    /// A common direction, and how far strokes stray from it, in turns.
    turn: (f32, f32),
    bristles: f32,
    opaque: f32,
}

impl StrokeLayer {
    /// Any layer.
    pub fn draw(rng: &mut Stream, hues: &PictureHues) -> Self {
        let broad = between(rng, 0.006, 0.06);
        // Broad strokes are fewer.
        let count = (between(rng, 0.25, 1.6) / (broad + 0.02)) as u32 + 3;
        Self {
            ramp: ColourRamp::draw(rng, hues),
            count,
            broad,
            long: between(rng, 0.1, 0.75),
            bend: between(rng, 0.0, 0.45),
            turn: (rng.random(), if rng.random() { 0.5 } else { between(rng, 0.02, 0.2) }),
            bristles: if rng.random() { between(rng, 0.2, 0.9) } else { 0.0 },
            opaque: between(rng, 0.55, 1.0),
        }
    }

    /// Paints the strokes, the lowest first.
    pub fn paint(&self, rng: &mut Stream, canvas: &mut ProceduralCanvas) {
        for _ in 0..self.count {
            self.stroke(rng, canvas);
        }
    }

    fn stroke(&self, rng: &mut Stream, canvas: &mut ProceduralCanvas) {
        let mut turn = self.turn.0 + self.turn.1 * between(rng, -1.0, 1.0);
        let piece = self.long * between(rng, 0.5, 1.3) / PIECES as f32;
        let bend = self.bend * between(rng, -1.0, 1.0) / PIECES as f32;
        let (mut x, mut y) = (between(rng, -0.2, 1.1), between(rng, -0.2, 1.1));
        let mut points = [(x, y); PIECES + 1];
        for point in &mut points[1..] {
            let (s, c) = sin_cos(turn);
            (x, y, turn) = (x + c * piece, y + s * piece, turn + bend);
            *point = (x, y);
        }
        let thin = rng.random::<f32>();
        let half = (self.broad * (0.3 + 0.7 * thin)).max(0.7 * canvas.pixel);
        let (low, seed) = (rng.random::<f32>(), rng.random::<u32>());
        let (lo, hi) =
            points.iter().fold(((9.0, 9.0), (-9.0, -9.0)), |(lo, hi): ((f32, f32), (f32, f32)), p| {
                ((lo.0.min(p.0), lo.1.min(p.1)), (hi.0.max(p.0), hi.1.max(p.1)))
            });
        let middle = (0.5 * (lo.0 + hi.0), 0.5 * (lo.1 + hi.1));
        let reach = (0.5 * (hi.0 - lo.0)).max(0.5 * (hi.1 - lo.1)) + half + canvas.pixel;
        let pixel = canvas.pixel;
        about(canvas.size, middle, reach, |i, px, py| {
            // The nearest piece, how far along, and on which side.
            let (mut near, mut along, mut side) = (f32::INFINITY, 0.0, 0.0);
            for (i, ends) in points.windows(2).enumerate() {
                let ((ax, ay), (bx, by)) = (ends[0], ends[1]);
                let (ex, ey, qx, qy) = (bx - ax, by - ay, px - ax, py - ay);
                let t = ((qx * ex + qy * ey) / (ex * ex + ey * ey).max(1e-9)).clamp(0.0, 1.0);
                let (dx, dy) = (qx - t * ex, qy - t * ey);
                let d = dx * dx + dy * dy;
                if d < near {
                    (near, along, side) = (d, i as f32 + t, (ex * dy - ey * dx).signum());
                }
            }
            let d = near.sqrt();
            if d > half + pixel {
                return;
            }
            // Pressure falls off at both ends.
            let t = along / PIECES as f32;
            let width = half * (4.0 * t * (1.0 - t)).clamp(0.15, 1.0).sqrt();
            let bristle = gradient(side * d / half * 4.0, along * 1.3, seed);
            let alpha = (0.5 - (d - width) / pixel).clamp(0.0, 1.0) * self.opaque;
            let alpha = alpha * (1.0 - self.bristles * (0.5 + bristle).clamp(0.0, 1.0));
            let colour = self.ramp.at(0.7 * low + 0.15 * t + 0.2 * bristle + 0.1) * (1.0 - 0.25 * d / half);
            canvas.light[i] = canvas.light[i].mix(colour, alpha);
        });
    }
}

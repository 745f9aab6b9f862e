//! Points of a map as pixels: a hundred thousand of them are one texture, which is made anew when something has changed.

use egui::{Color32, ColorImage, Pos2, Rect, Vec2, vec2};

/// Where a map lies on the screen, and how near one looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapViewport {
    /// In points.
    pub rect: Rect,
    /// In the middle of the view, on the map.
    pub middle: Vec2,
    /// 1 for the whole map.
    pub zoom: f32,
}

impl MapViewport {
    /// Points on the screen for 1 on the map. What lies at the edge is seen whole.
    pub fn scale(&self) -> f32 {
        (0.5 * self.rect.width().min(self.rect.height()) - 8.0).max(1.0) * self.zoom
    }

    /// Upwards on the map is upwards on the screen.
    pub fn place(&self, [x, y]: [f32; 2]) -> Pos2 {
        self.rect.center() + (vec2(x, -y) - self.middle) * self.scale()
    }
}

/// A point that is drawn.
#[derive(Clone, Copy)]
pub struct MapPoint {
    /// On the map.
    pub at: [f32; 2],
    /// Its colour; a see-through one is not drawn.
    pub colour: Color32,
    /// Whether it is drawn over the others, with a ring.
    pub above: bool,
}

/// Radius of a point for so many of them, in points of the screen.
pub fn radius(count: usize, zoom: f32) -> f32 {
    (60.0 / (count.max(1) as f32).sqrt()).clamp(1.0, 4.0) * zoom.sqrt().min(2.5)
}

/// Draws points on `ground`, `pixels_per_point` pixels for each point of the screen; those that are chosen get a ring of `ring`.
pub fn raster(
    view: &MapViewport,
    points: &[MapPoint],
    pixels_per_point: f32,
    (ground, ring): (Color32, Color32),
) -> ColorImage {
    let size = view.rect.size() * pixels_per_point;
    let [width, height] = [size.x, size.y].map(|side| (side.round() as usize).clamp(1, 8192));
    let mut image = ColorImage::filled([width, height], ground);
    let radius = radius(points.len(), view.zoom) * pixels_per_point;
    let mut disc = |at: [f32; 2], radius: f32, colour: Color32| {
        let place = (view.place(at) - view.rect.min) * pixels_per_point;
        let reach = radius.ceil() + 1.0;
        if place.x < -reach
            || place.y < -reach
            || place.x > width as f32 + reach
            || place.y > height as f32 + reach
        {
            return;
        }
        let from = |v: f32| (v - reach).floor().max(0.0) as usize;
        let to = |v: f32, most: usize| ((v + reach).ceil().max(0.0) as usize).min(most);
        for y in from(place.y)..to(place.y, height) {
            for x in from(place.x)..to(place.x, width) {
                let apart = vec2(x as f32 + 0.5 - place.x, y as f32 + 0.5 - place.y).length();
                let cover = (radius + 0.5 - apart).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let pixel = &mut image.pixels[y * width + x];
                    *pixel = pixel.lerp_to_gamma(colour, cover);
                }
            }
        }
    };
    // In an order that puts no part of the heap over the others; the step is a prime above every heap's length.
    const STEP: usize = 200_003;
    let order = (0..points.len()).map(|i| (i * STEP) % points.len());
    let (mut above, seen) = (Vec::new(), |point: &MapPoint| point.colour.a() > 0);
    for point in order.map(|i| points[i]).filter(|point| seen(point)) {
        if point.above {
            above.push(point);
        } else {
            disc(point.at, radius, point.colour);
        }
    }
    for point in above {
        disc(point.at, radius + 1.5 * pixels_per_point, ring);
        disc(point.at, radius, point.colour);
    }
    image
}

/// Whether a place lies inside a loop (even-odd rule).
pub fn is_inside(loop_of: &[Pos2], at: Pos2) -> bool {
    let mut inside = false;
    for (i, a) in loop_of.iter().enumerate() {
        let b = loop_of[(i + 1) % loop_of.len()];
        if (a.y > at.y) != (b.y > at.y) && at.x < (b.x - a.x) * (at.y - a.y) / (b.y - a.y) + a.x {
            inside = !inside;
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::pos2;

    #[test]
    fn points_lie_where_they_are_and_the_chosen_above() {
        let view = MapViewport {
            rect: Rect::from_min_size(pos2(10.0, 20.0), vec2(100.0, 100.0)),
            middle: Vec2::ZERO,
            zoom: 1.0,
        };
        let point = |x, y, colour, above| MapPoint { at: [x, y], colour, above };
        let points = [
            point(0.0, 0.0, Color32::RED, true),
            point(0.0, 0.0, Color32::BLUE, false),
            point(1.0, 1.0, Color32::GREEN, false),
            point(-1.0, -1.0, Color32::TRANSPARENT, false),
        ];
        let image = raster(&view, &points, 2.0, (Color32::BLACK, Color32::WHITE));
        assert_eq!(image.size, [200, 200]);
        let pixel = |x: usize, y: usize| image.pixels[y * 200 + x];
        assert_eq!(pixel(100, 100), Color32::RED, "what is chosen lies above");
        let place = (view.place([1.0, 1.0]) - view.rect.min) * 2.0;
        assert_eq!(pixel(place.x as usize, place.y as usize), Color32::GREEN);
        assert!(place.x > 150.0 && place.y < 50.0, "up and to the right: {place:?}");
        assert!(image.pixels.contains(&Color32::WHITE), "the ring");
        let place = (view.place([-1.0, -1.0]) - view.rect.min) * 2.0;
        assert_eq!(pixel(place.x as usize, place.y as usize), Color32::BLACK);
        assert_eq!(raster(&view, &[], 1.0, (Color32::BLACK, Color32::WHITE)).size, [100, 100]);
    }

    #[test]
    fn a_loop_holds_what_lies_inside_it() {
        // A hook: what it goes around is outside.
        let hook = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (7.0, 10.0), (7.0, 3.0), (0.0, 3.0)];
        let hook: Vec<Pos2> = hook.iter().map(|(x, y)| pos2(*x, *y)).collect();
        assert!(is_inside(&hook, pos2(1.0, 1.0)) && is_inside(&hook, pos2(8.0, 9.0)));
        assert!(!is_inside(&hook, pos2(2.0, 8.0)) && !is_inside(&hook, pos2(11.0, 1.0)));
        assert!(!is_inside(&[], pos2(0.0, 0.0)));
    }
}

//! Depth in colours: what is near is bright, and the same colour is the same distance everywhere.

use crate::dense::sheet::{self, LegendRect, RenderedExample};
use dinoscope_analysis::canvas::{CanvasTextStyle, Colour, GRID, INK, PictureCanvas, Place, SOFT};
use dinoscope_analysis::colour_map::ColourMap;
use dinoscope_data::Picture;

/// Distances from near to far, spread over the colours by their logarithm: a step of colour is a ratio of distances,
/// which is what the loss compares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DepthColourScale {
    near: f32,
    far: f32,
}

impl DepthColourScale {
    /// From the nearest to the farthest of some depths, without the outermost hundredth at either side; those that are
    /// not above 0 are not known.
    pub fn of(depths: impl IntoIterator<Item = f32>) -> Self {
        let mut known: Vec<f32> = depths.into_iter().filter(|depth| *depth > 0.0).collect();
        known.sort_by(f32::total_cmp);
        let at =
            |share: usize| known.get(share * known.len().saturating_sub(1) / 100).copied().unwrap_or(1.0);
        Self { near: at(1), far: at(99).max(1.001 * at(1)) }
    }

    fn colour(self, depth: f32) -> Colour {
        if depth > 0.0 { self.share_colour(self.share(depth)) } else { GRID }
    }

    /// How far on the way from near to far.
    fn share(self, depth: f32) -> f32 {
        (depth / self.near).ln() / (self.far / self.near).ln()
    }

    /// The colour of a share of the way from near to far.
    fn share_colour(self, share: f32) -> Colour {
        ColourMap::Viridis.colour(1.0 - share)
    }

    /// Depth of pixels as a picture; unknown ones are as pale as paper.
    pub fn picture(self, depths: &[f32], width: usize, height: usize) -> Picture {
        Picture::of_rgb(width, height, depths.iter().flat_map(|depth| self.colour(*depth)).collect())
    }
}

const WIDTH: usize = 120;
const BAR: usize = 18;
const LONGEST: usize = 360;
/// Numbers beside the bar, at most.
const TICKS: usize = 7;
const SIZE: f32 = 14.0;
/// Room for the heading, and for the line on what is unknown.
const HEAD: usize = 48;
const FOOT: usize = 40;

/// Examples with a legend of distances.
pub(super) fn draw(
    examples: &[RenderedExample],
    scale: DepthColourScale,
    unit: &str,
) -> (Picture, Vec<Place>) {
    sheet::draw(examples, (WIDTH, 200), |canvas, space| legend(canvas, space, scale, unit))
}

fn legend(canvas: &mut PictureCanvas, space: LegendRect, scale: DepthColourScale, unit: &str) {
    let left = space.left as f32;
    canvas.text("Depth", left, (space.top + 6) as f32, CanvasTextStyle::new(SIZE, INK));
    canvas.text(unit, left, (space.top + 28) as f32, CanvasTextStyle::new(SIZE - 1.0, SOFT));
    let top = space.top + HEAD;
    let height = space.height.saturating_sub(HEAD + FOOT).clamp(2, LONGEST);
    for y in 0..height {
        canvas.area(space.left, top + y, BAR, 1, scale.share_colour(y as f32 / (height - 1) as f32));
    }
    canvas.keep(space.left, top, BAR, height);
    let x = (space.left + BAR) as f32;
    for depth in round(scale.near, scale.far) {
        let y = top as f32 + scale.share(depth) * (height - 1) as f32;
        canvas.line([x, y], [x + 4.0, y], 1.0, SOFT);
        canvas.text(&depth.to_string(), x + 9.0, y, CanvasTextStyle::new(SIZE, SOFT));
    }
    let y = top + height + 16;
    canvas.area(space.left, y, BAR, 14, GRID);
    canvas.keep(space.left, y, BAR, 14);
    canvas.text("unknown", x + 9.0, (y + 7) as f32, CanvasTextStyle::new(SIZE, SOFT));
}

/// Round numbers from `near` to `far`, as many as are easily read.
fn round(near: f32, far: f32) -> Vec<f32> {
    let steps: [&[u32]; 4] = [&[10, 15, 20, 30, 40, 50, 70], &[10, 20, 30, 50, 70], &[10, 20, 50], &[10]];
    let of = |steps: &[u32]| -> Vec<f32> {
        let all =
            (-4..5).flat_map(|power| steps.iter().map(move |step| (*step as f64 * 10f64.powi(power)) as f32));
        all.filter(|depth| (near..=far).contains(depth)).collect()
    };
    let found = steps.iter().map(|steps| of(steps)).find(|found| found.len() <= TICKS);
    match found.filter(|found| found.len() > 1) {
        Some(found) => found,
        None => vec![near, far],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beside_the_bar_are_round() {
        assert_eq!(round(4.94, 22.0), [5.0, 7.0, 10.0, 15.0, 20.0]);
        assert_eq!(round(0.4, 9.0), [0.5, 0.7, 1.0, 2.0, 3.0, 5.0, 7.0]);
        assert_eq!(round(0.9, 80.0), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(round(1.1, 1.3), [1.1, 1.3]);
        assert!(round(1e-3, 1e4).len() <= TICKS + 1);
    }

    #[test]
    fn near_is_bright_and_colours_go_by_ratios() {
        let depths: Vec<f32> =
            (0..1000).map(|i| if i % 3 == 0 { 0.0 } else { 1.0 + i as f32 / 10.0 }).collect();
        let scale = DepthColourScale::of(depths);
        assert!((scale.near - 2.0).abs() < 0.2 && (scale.far - 100.0).abs() < 0.3, "{scale:?}");
        let scale = DepthColourScale { near: 1.0, far: 100.0 };
        let picture = scale.picture(&[0.5, 1.0, 10.0, 100.0, 900.0, 0.0], 6, 1);
        let [close, near, middle, far, away, unknown] = picture.rgb.as_chunks::<3>().0 else {
            panic!("six pixels")
        };
        assert_eq!((close, away, *unknown), (near, far, GRID));
        assert_eq!(*middle, ColourMap::Viridis.colour(0.5));
        let sum = |c: &Colour| c.iter().map(|v| u32::from(*v)).sum::<u32>();
        assert!(sum(near) > sum(middle) && sum(middle) > sum(far));
        // Nothing known at all is still a scale.
        let empty = DepthColourScale::of([0.0]);
        assert!(empty.far > empty.near);
    }
}

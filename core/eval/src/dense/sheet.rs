//! Examples side by side: a picture, its truth, what was found, with a legend.

use dinoscope_analysis::canvas::{CanvasTextStyle, INK, PAPER, PictureCanvas, Place, SOFT, TextAnchor};
use dinoscope_analysis::lettering;
use dinoscope_data::Picture;
use dinoscope_data::augment::resize_to;

use super::frame::nearest;

/// Sides that a picture is fitted into.
const CELL: usize = 176;
const MARGIN: usize = 32;
/// Between the pictures of an example.
const GAP: usize = 8;
/// Between examples, and before the legend.
const WIDE: usize = 32;
/// Room for the names over the columns.
const HEAD: usize = 26;
/// Room for the line under an example.
const LINE: usize = 30;
const SIZE: f32 = 14.0;

/// One example.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RenderedExample {
    /// What it is called.
    pub name: String,
    /// How well it went.
    pub figure: String,
    /// The picture.
    pub picture: Picture,
    /// Its truth in colours, of the picture's size.
    pub truth: Picture,
    /// What was found, in the same colours.
    pub found: Picture,
}

/// Space for a legend: it begins at `(left, top)` and is so wide and high.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LegendRect {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

/// How many examples stand side by side.
fn across(examples: usize) -> usize {
    if examples > 1 { 2 } else { 1 }
}

/// Draws examples in two columns, with a legend `legend_width` wide and at least `legend_height` high.
pub(crate) fn draw(
    examples: &[RenderedExample],
    (legend_width, legend_height): (usize, usize),
    legend: impl FnOnce(&mut PictureCanvas, LegendRect),
) -> (Picture, Vec<Place>) {
    let across = across(examples.len());
    let block = 3 * CELL + 2 * GAP;
    let heights: Vec<usize> = examples
        .chunks(across)
        .map(|row| row.iter().map(|example| fit(&example.picture).1).max().unwrap_or(0))
        .collect();
    let body: usize = heights.iter().map(|height| height + LINE).sum();
    let width = 2 * MARGIN + across * (block + WIDE) + legend_width;
    let height = 2 * MARGIN + HEAD + body.max(legend_height);
    let mut canvas = PictureCanvas::new(width, height, PAPER);
    let left = |column: usize| MARGIN + column * (block + WIDE);
    for column in 0..across {
        for (i, name) in ["Picture", "Truth", "Found"].into_iter().enumerate() {
            let x = left(column) + i * (CELL + GAP);
            canvas.text(name, x as f32, (MARGIN + 6) as f32, CanvasTextStyle::new(SIZE, INK));
        }
    }
    let mut top = MARGIN + HEAD;
    for (row, height) in examples.chunks(across).zip(&heights) {
        for (column, example) in row.iter().enumerate() {
            place(&mut canvas, example, left(column), top, *height);
        }
        top += height + LINE;
    }
    let space =
        LegendRect { left: left(across), top: MARGIN, width: legend_width, height: height - 2 * MARGIN };
    legend(&mut canvas, space);
    canvas.parts()
}

fn place(canvas: &mut PictureCanvas, example: &RenderedExample, left: usize, top: usize, height: usize) {
    let (width, own) = fit(&example.picture);
    for (i, picture) in [&example.picture, &example.truth, &example.found].into_iter().enumerate() {
        let picture = match i {
            0 => resize_to(picture, width, own),
            _ => blocks(picture, width, own),
        };
        canvas.paste(&picture, left + i * (CELL + GAP) + (CELL - width) / 2, top + (height - own) / 2);
    }
    let y = (top + height) as f32 + 13.0;
    let right = (left + 3 * CELL + 2 * GAP) as f32;
    let soft = CanvasTextStyle::new(SIZE - 1.0, SOFT);
    canvas.text(&example.figure, right, y, soft.anchored(TextAnchor::End));
    let room = right - left as f32 - lettering::width(&example.figure, SIZE - 1.0) - 12.0;
    canvas.text(&lettering::shortened(&example.name, SIZE - 1.0, room), left as f32, y, soft);
}

/// Sides of a picture in a cell.
fn fit(picture: &Picture) -> (usize, usize) {
    let longest = picture.width.max(picture.height).max(1);
    let side = |length: usize| (length * CELL / longest).max(1);
    (side(picture.width), side(picture.height))
}

/// Another size with edges between pixels that stay sharp: whole blocks first, of which only the rims are mixed.
fn blocks(picture: &Picture, width: usize, height: usize) -> Picture {
    let times = width.div_ceil(picture.width.max(1)).max(height.div_ceil(picture.height.max(1)));
    let large = (picture.width * times, picture.height * times);
    let pixels = picture.rgb.as_chunks::<3>().0;
    let rgb = nearest(pixels, (picture.width, picture.height), large).into_flattened();
    resize_to(&Picture::of_rgb(large.0, large.1, rgb), width, height)
}

/// `count` pictures of `total`, spread evenly.
pub(crate) fn spread(total: usize, count: usize) -> Vec<usize> {
    let count = count.min(total);
    (0..count).map(|i| (2 * i + 1) * total / (2 * count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(width: usize, height: usize, colour: [u8; 3]) -> Picture {
        Picture::of_rgb(width, height, colour.repeat(width * height))
    }

    #[test]
    fn examples_stand_side_by_side_and_nothing_overlaps() {
        let example = |width, height| RenderedExample {
            name:
                "a name that is much too long to stand beside the figure under three small pictures, really"
                    .into(),
            figure: "92 % right".into(),
            picture: flat(width, height, [10, 0, 0]),
            truth: flat(width, height, [20, 0, 0]),
            found: flat(width, height, [30, 0, 0]),
        };
        let examples = [example(40, 20), example(20, 40), example(30, 30)];
        let mut space = None;
        let (sheet, kept) = draw(&examples, (100, 50), |canvas, at| {
            canvas.area(at.left, at.top, at.width, at.height, [40, 0, 0]);
            space = Some(at);
        });
        assert_eq!(kept.len(), 9, "pictures keep their colours");
        let count = |red: u8| sheet.rgb.as_chunks::<3>().0.iter().filter(|p| **p == [red, 0, 0]).count();
        let area = CELL * CELL / 2 * 2 + CELL * CELL;
        assert_eq!([10, 20, 30].map(count), [area; 3]);
        let space = space.unwrap_or(LegendRect { left: 0, top: 0, width: 0, height: 0 });
        assert_eq!(count(40), space.width * space.height);
        assert_eq!(space.left + space.width + MARGIN, sheet.width);
        assert!(draw(&[], (100, 900), |_, _| {}).0.height > 900);
    }

    #[test]
    fn chosen_pictures_are_spread() {
        assert_eq!(spread(10, 2), [2, 7]);
        assert_eq!(spread(3, 9), [0, 1, 2]);
        assert!(spread(0, 4).is_empty());
    }
}

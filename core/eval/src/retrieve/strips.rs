//! Queries with what was found for them: right and wrong pictures in frames of different colours.

use super::RetrievalHit;
use dinoscope_analysis::canvas::{
    ACCENT, ALARM, CanvasTextStyle, INK, PAPER, PictureCanvas, Place, SOFT, TextAnchor,
};
use dinoscope_analysis::lettering;
use dinoscope_data::Picture;
use dinoscope_data::augment::eval_view;

/// Nearest pictures in a strip.
pub(super) const NEAREST: usize = 9;
/// Strips of each kind: of queries that were answered well and of those that were not.
pub(super) const STRIPS: usize = 4;

const SIDE: usize = 112;
const FRAME: usize = 5;
const GAP: usize = 12;
const MARGIN: usize = 32;
/// Between the query and what was found.
const APART: usize = 28;
/// Of "Answered best" and its like.
const HEADING: usize = 44;
/// Below pictures, for two lines and some air.
const CAPTION: usize = 60;

/// A query and its nearest pictures, ready to be drawn.
#[derive(Clone, Debug)]
pub(super) struct RetrievalResultRow {
    pub query: Picture,
    /// What the query shows, where it is known.
    pub class: String,
    /// Its average precision.
    pub average: f64,
    pub found: Vec<RetrievedPicture>,
}

/// A picture that was found.
#[derive(Clone, Debug)]
pub(super) struct RetrievedPicture {
    pub picture: Picture,
    pub near: RetrievalHit,
    pub class: String,
}

/// Which queries are shown, by a rule that leaves no choice: the best and the worst average precisions, ties in the
/// order of the queries, and of each class (where there are classes) only one on either side.
pub(super) fn chosen(
    averages: &[Option<f64>],
    class: impl Fn(usize) -> Option<u32>,
) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<(usize, f64)> =
        averages.iter().enumerate().filter_map(|(i, average)| Some((i, (*average)?))).collect();
    let first = |order: &[(usize, f64)], taken: &[usize]| {
        let mut seen = Vec::new();
        let mut out = Vec::new();
        for (query, _) in order.iter().filter(|(query, _)| !taken.contains(query)) {
            let class = class(*query);
            if out.len() < STRIPS && (class.is_none() || !seen.contains(&class)) {
                out.push(*query);
                seen.push(class);
            }
        }
        out
    };
    // At most half of the queries each, so that a short list has no query in both.
    order.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let mut worst = first(&order, &[]);
    worst.truncate(order.len() / 2);
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    (first(&order, &worst), worst)
}

/// All strips in one picture, the good ones first.
pub(super) fn draw(good: &[RetrievalResultRow], bad: &[RetrievalResultRow]) -> (Picture, Vec<Place>) {
    let columns = good.iter().chain(bad).map(|strip| strip.found.len()).max().unwrap_or(0);
    let width = MARGIN + SIDE + APART + columns * (SIDE + GAP) - GAP.min(columns * GAP) + MARGIN;
    let row = SIDE + CAPTION;
    let groups = [("Answered best", good), ("Answered worst", bad)];
    let shown = || groups.into_iter().filter(|(_, strips)| !strips.is_empty());
    let height = MARGIN / 2 + shown().count() * HEADING + (good.len() + bad.len()) * row + MARGIN / 2;
    let mut canvas = PictureCanvas::new(width, height, PAPER);
    legend(&mut canvas, (width - MARGIN) as f32, (MARGIN + HEADING) as f32 / 2.0 - 4.0);
    let mut top = MARGIN / 2;
    for (title, strips) in shown() {
        let middle = top as f32 + HEADING as f32 / 2.0 - 4.0;
        canvas.text(title, MARGIN as f32, middle, CanvasTextStyle::new(17.0, INK));
        top += HEADING;
        for strip in strips {
            draw_strip(&mut canvas, strip, top);
            top += row;
        }
    }
    canvas.parts()
}

/// What frames and numbers mean, ending at `right`.
fn legend(canvas: &mut PictureCanvas, right: f32, middle: f32) {
    let soft = CanvasTextStyle::new(13.0, SOFT);
    let mut x = right;
    for (text, colour) in [("cosine similarity", None), ("wrong", Some(ALARM)), ("right", Some(ACCENT))] {
        canvas.text(text, x, middle, soft.anchored(TextAnchor::End));
        x -= lettering::width(text, 13.0) + 20.0;
        match colour {
            Some(colour) => canvas.area(x as usize, middle as usize - 6, 12, 12, colour),
            None => canvas.text(
                "0.87",
                x + 14.0,
                middle,
                CanvasTextStyle::new(13.0, INK).anchored(TextAnchor::End),
            ),
        }
        x -= if colour.is_some() { 24.0 } else { 36.0 };
    }
}

fn draw_strip(canvas: &mut PictureCanvas, strip: &RetrievalResultRow, top: usize) {
    canvas.paste(&eval_view(&strip.query, SIDE), MARGIN, top);
    let (below, line) = ((top + SIDE) as f32 + 13.0, 17.0);
    let left = MARGIN as f32;
    let average = format!("AP {:.1} %", 100.0 * strip.average);
    if strip.class.is_empty() {
        canvas.text(&average, left, below, CanvasTextStyle::new(13.0, INK));
    } else {
        let class = lettering::shortened(&strip.class, 13.0, SIDE as f32);
        canvas.text(&class, left, below, CanvasTextStyle::new(13.0, INK));
        canvas.text(&average, left, below + line, CanvasTextStyle::new(13.0, SOFT));
    }
    for (i, shown) in strip.found.iter().enumerate() {
        let x = MARGIN + SIDE + APART + i * (SIDE + GAP);
        let colour = if shown.near.right { ACCENT } else { ALARM };
        canvas.area(x, top, SIDE, SIDE, colour);
        canvas.paste(&eval_view(&shown.picture, SIDE - 2 * FRAME), x + FRAME, top + FRAME);
        let sign = if shown.near.right { "✓" } else { "✗" };
        canvas.text(sign, x as f32, below, CanvasTextStyle::new(14.0, colour));
        let similarity = format!("{:.2}", shown.near.similarity);
        canvas.text(&similarity, x as f32 + 18.0, below, CanvasTextStyle::new(13.0, INK));
        let class = lettering::shortened(&shown.class, 13.0, SIDE as f32);
        canvas.text(
            &class,
            x as f32,
            below + line,
            CanvasTextStyle::new(13.0, SOFT).anchored(TextAnchor::Start),
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_best_and_the_worst_are_chosen() {
        let averages = [Some(0.5), None, Some(1.0), Some(0.9), Some(0.1), Some(1.0), Some(0.2), Some(0.9)];
        // Without classes the four best and, among the rest, the four worst; none twice.
        assert_eq!(chosen(&averages, |_| None), (vec![2, 5, 3, 7], vec![4, 6, 0]));
        // One of each class on either side.
        let class = |i: usize| Some([0, 0, 1, 1, 2, 1, 2, 0][i]);
        assert_eq!(chosen(&averages, class), (vec![2, 7, 6], vec![4, 0, 3]));
        assert_eq!(chosen(&[Some(0.3)], |_| None), (vec![0], vec![]));
        assert_eq!(chosen(&[], |_| None), (vec![], vec![]));
    }

    #[test]
    fn frames_tell_right_from_wrong() {
        let picture = Picture::of_rgb(40, 30, vec![200; 3600]);
        let found = |right| RetrievedPicture {
            picture: picture.clone(),
            near: RetrievalHit { picture: 0, similarity: 0.5, right },
            class: "mug".to_owned(),
        };
        let strip = |rights: &[bool]| RetrievalResultRow {
            query: picture.clone(),
            class: "mug".to_owned(),
            average: 0.5,
            found: rights.iter().map(|r| found(*r)).collect(),
        };
        let frames = |picture: &Picture, colour: [u8; 3]| {
            picture.rgb.chunks_exact(3).filter(|p| *p == colour).count()
                / (SIDE * FRAME * 4 - FRAME * FRAME * 4)
        };
        let (both, kept) = draw(&[strip(&[true, true, false])], &[strip(&[false, false, true])]);
        assert_eq!(kept.len(), 8, "photographs keep their colours");
        assert_eq!((frames(&both, ACCENT), frames(&both, ALARM)), (3, 3));
        let (good, _) = draw(&[strip(&[true, true])], &[]);
        assert_eq!((frames(&good, ACCENT), frames(&good, ALARM)), (2, 0));
        assert!(good.height < both.height && good.width < both.width);
    }
}

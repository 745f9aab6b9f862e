//! Draws a confusion matrix, from two classes to a few hundred: names stay readable at every size.

use super::ConfusionMatrix;
use dinoscope_analysis::canvas::{
    ACCENT, ALARM, CanvasTextStyle, Colour, GRID, INK, PAPER, PictureCanvas, SOFT, TextAnchor, mixed,
};
use dinoscope_analysis::lettering;
use dinoscope_data::Picture;

/// Side of all cells together that is aimed at, in pixels.
const SIDE: usize = 840;
/// A cell is never smaller, so that its row's name can be read.
const SMALLEST: usize = 13;
const LARGEST: usize = 84;
/// From this size on cells hold numbers.
const NUMBERED: usize = 30;
/// Names longer than this are cut.
const LONGEST_NAME: f32 = 190.0;
const MARGIN: usize = 32;
/// Between names and cells.
const GAP: usize = 10;
/// In the corner: what the rows and the columns are.
const TRUTH: &str = "True class ↓";
const PREDICTED: &str = "Predicted →";
const TITLES: f32 = 15.0;
/// Everything is drawn at least this wide, so that the legend fits.
const NARROWEST: usize = 560;

/// The places of everything.
struct ConfusionPlotLayout<'a> {
    confusion: &'a ConfusionMatrix,
    /// The classes that are shown.
    classes: &'a [u32],
    cell: usize,
    /// Size of names.
    text: f32,
    left: usize,
    top: usize,
    /// Whether the names of columns read upwards.
    upwards: bool,
}

/// Draws `classes` of the matrix, with a last column for predictions of all others where there are others.
pub(super) fn draw(confusion: &ConfusionMatrix, classes: &[u32]) -> Picture {
    let columns = classes.len() + usize::from(classes.len() < confusion.classes().len());
    let cell = (SIDE / columns.max(1)).clamp(SMALLEST, LARGEST);
    let text = (cell as f32 * 0.85).clamp(11.0, 17.0);
    let widest = classes
        .iter()
        .map(|c| lettering::width(&confusion.classes()[*c as usize], text))
        .fold(lettering::width("other", text), f32::max)
        .min(LONGEST_NAME);
    let upwards = widest > cell as f32 - 6.0;
    let names = widest.max(lettering::width(TRUTH, TITLES)).ceil() as usize;
    let above = if upwards { widest.ceil() as usize } else { 0 };
    let plan = ConfusionPlotLayout {
        confusion,
        classes,
        cell,
        text,
        left: MARGIN + names + GAP,
        // At least the two lines in the corner.
        top: MARGIN + GAP + above.max(40),
        upwards,
    };
    let side = cell * columns;
    // Right of the cells how many pictures of the class were recognised, below them what the shades mean.
    let width = (plan.left + side + GAP + 64 + MARGIN).max(NARROWEST);
    let height = plan.top + cell * classes.len() + 84 + MARGIN / 2;
    let mut canvas = PictureCanvas::new(width, height, PAPER);
    plan.names(&mut canvas, columns);
    plan.cells(&mut canvas, columns);
    plan.legend(&mut canvas, plan.top + cell * classes.len() + 36);
    canvas.picture()
}

/// The shade of a share of a row. Small shares get more of the range than their due: one mistake in fifty is seen.
fn shade(share: f64, right: bool) -> Colour {
    let strength = share.sqrt() as f32;
    mixed([0xf7, 0xf7, 0xf8], if right { ACCENT } else { ALARM }, strength)
}

impl ConfusionPlotLayout<'_> {
    fn names(&self, canvas: &mut PictureCanvas, columns: usize) {
        let middle = |i: usize| (i * self.cell) as f32 + self.cell as f32 / 2.0;
        let all = self.confusion.classes();
        let names = self.classes.iter().map(|c| all[*c as usize].as_str());
        let ink = CanvasTextStyle::new(self.text, INK);
        for (i, name) in names.clone().enumerate() {
            let name = lettering::shortened(name, self.text, LONGEST_NAME);
            let y = self.top as f32 + middle(i);
            canvas.text(&name, (self.left - GAP) as f32, y, ink.anchored(TextAnchor::End));
        }
        for (i, name) in names.chain(std::iter::once("other").take(columns - self.classes.len())).enumerate()
        {
            let name = lettering::shortened(name, self.text, LONGEST_NAME);
            let x = self.left as f32 + middle(i);
            if self.upwards {
                canvas.text(&name, x, (self.top - GAP) as f32, ink.turned(90.0));
            } else {
                let y = (self.top - GAP) as f32 - self.text / 2.0;
                canvas.text(&name, x, y, ink.anchored(TextAnchor::Middle));
            }
        }
        let soft = CanvasTextStyle::new(TITLES, SOFT);
        let (x, y) = ((self.left - GAP) as f32, (self.top - GAP) as f32 - TITLES / 2.0);
        canvas.text(PREDICTED, x, y - 22.0, soft.anchored(TextAnchor::End));
        canvas.text(TRUTH, x, y, soft.anchored(TextAnchor::End));
        canvas.text("found", (self.left + self.cell * columns + GAP) as f32, y, soft);
    }

    fn cells(&self, canvas: &mut PictureCanvas, columns: usize) {
        let line = usize::from(self.cell >= 8);
        let side = self.cell - line;
        for (row, truth) in self.classes.iter().enumerate() {
            let recall = self.confusion.recall(*truth);
            let y = self.top + row * self.cell;
            let mut rest = recall.total;
            for column in 0..columns {
                let predicted = self.classes.get(column);
                let count = predicted.map_or(rest, |p| self.confusion.count(*truth, *p));
                rest -= count;
                let share = count as f64 / recall.total.max(1) as f64;
                let x = self.left + column * self.cell;
                let colour = if count == 0 { GRID } else { shade(share, predicted == Some(truth)) };
                canvas.area(x, y, side, side, colour);
                if count > 0 && self.cell >= NUMBERED {
                    let text = count.to_string();
                    let size = (self.cell as f32 * 0.36).min(19.0);
                    let fits = size.min(size * (side as f32 - 4.0) / lettering::width(&text, size));
                    let ink = if share > 0.3 { PAPER } else { INK };
                    let (x, y) = (x as f32 + side as f32 / 2.0, y as f32 + side as f32 / 2.0);
                    canvas.text(&text, x, y, CanvasTextStyle::new(fits, ink).anchored(TextAnchor::Middle));
                }
            }
            let found =
                if recall.total == 0 { "–".to_owned() } else { format!("{:.0} %", 100.0 * recall.value()) };
            let (x, y) = (self.left + self.cell * columns + GAP, y as f32 + side as f32 / 2.0);
            canvas.text(&found, x as f32, y, CanvasTextStyle::new(self.text, SOFT));
        }
    }

    /// Two scales, for what is right and what is wrong.
    fn legend(&self, canvas: &mut PictureCanvas, top: usize) {
        const STEPS: usize = 150;
        let mut x = MARGIN;
        for (name, right) in [("right", true), ("wrong", false)] {
            for step in 0..STEPS {
                canvas.area(x + step, top, 1, 14, shade(step as f64 / (STEPS - 1) as f64, right));
            }
            let soft = CanvasTextStyle::new(13.0, SOFT);
            let (left, y) = (x as f32, (top + 30) as f32);
            canvas.text("0 %", left, y, soft);
            canvas.text(
                name,
                left + STEPS as f32 / 2.0,
                y,
                CanvasTextStyle::new(13.0, INK).anchored(TextAnchor::Middle),
            );
            canvas.text("100 %", left + STEPS as f32, y, soft.anchored(TextAnchor::End));
            x += STEPS + MARGIN;
        }
        let soft = CanvasTextStyle::new(13.0, SOFT);
        canvas.text("share of the row", x as f32 - 8.0, (top + 7) as f32, soft);
    }
}

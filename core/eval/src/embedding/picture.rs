//! A map as a picture: points by class, with a legend beside them.

use super::{ClassMarker, MarkerShape, ProjectionMap, mark};
use dinoscope_analysis::canvas::{CanvasTextStyle, GRID, INK, PAPER, PictureCanvas, SOFT, TextAnchor};
use dinoscope_analysis::lettering;
use dinoscope_base::rng::{self, RngExt};
use dinoscope_data::Picture;

const SIDE: usize = 900;
const MARGIN: usize = 32;
const TOP: usize = 72;
/// Height of a line of the legend.
const LINE: usize = 25;
/// Lines of the legend, and columns of them.
const LINES: usize = SIDE / LINE;
const COLUMNS: usize = 3;
const LONGEST_NAME: f32 = 190.0;
const TEXT: f32 = 15.0;

/// Draws a map under a title, on white.
pub fn picture(map: &ProjectionMap, title: &str) -> Picture {
    let counts = map.counts();
    let entries = entries(map, &counts);
    let columns = entries.len().div_ceil(LINES);
    let widest = entries.iter().map(|entry| lettering::width(&entry.name, TEXT)).fold(0.0, f32::max);
    let column = 26 + widest.min(LONGEST_NAME).ceil() as usize + 62;
    let width = MARGIN + SIDE + MARGIN + columns * column + if columns > 0 { MARGIN / 2 } else { 0 };
    let mut canvas = PictureCanvas::new(width, TOP + SIDE + MARGIN, PAPER);
    let room = (width - 2 * MARGIN) as f32;
    canvas.text(
        &lettering::shortened(title, 20.0, room),
        MARGIN as f32,
        30.0,
        CanvasTextStyle::new(20.0, INK),
    );
    let facts = format!("{} pictures · {}", map.points.len(), map.way);
    canvas.text(&facts, MARGIN as f32, 55.0, CanvasTextStyle::new(14.0, SOFT));
    frame(&mut canvas);

    let radius = (150.0 / (map.points.len().max(1) as f32).sqrt()).clamp(3.5, 9.0);
    let inner = SIDE as f32 / 2.0 - 24.0;
    let middle = [MARGIN as f32 + SIDE as f32 / 2.0, TOP as f32 + SIDE as f32 / 2.0];
    for i in shuffled(map.points.len()) {
        let [x, y] = map.points[i];
        let mark = mark(map.labels.get(i).copied().flatten());
        draw_mark(&mut canvas, mark, [middle[0] + x * inner, middle[1] - y * inner], radius);
    }
    for (i, entry) in entries.iter().enumerate() {
        let left = (2 * MARGIN + SIDE + i / LINES * column) as f32;
        let y = (TOP + i % LINES * LINE) as f32 + LINE as f32 / 2.0;
        if let Some(mark) = entry.mark {
            draw_mark(&mut canvas, mark, [left + 8.0, y], 6.5);
        }
        let name = lettering::shortened(&entry.name, TEXT, LONGEST_NAME);
        canvas.text(&name, left + 26.0, y, CanvasTextStyle::new(TEXT, INK));
        let right = left + column as f32 - 20.0;
        canvas.text(&entry.count, right, y, CanvasTextStyle::new(TEXT, SOFT).anchored(TextAnchor::End));
    }
    canvas.picture()
}

/// A line of the legend.
struct ProjectionLegendEntry {
    mark: Option<ClassMarker>,
    name: String,
    count: String,
}

/// Classes that have points; what does not fit is counted in a last line.
fn entries(map: &ProjectionMap, counts: &[usize]) -> Vec<ProjectionLegendEntry> {
    let mut entries: Vec<ProjectionLegendEntry> = (0u32..)
        .zip(map.classes.iter().zip(counts))
        .filter(|(_, (_, count))| **count > 0)
        .map(|(class, (name, count))| ProjectionLegendEntry {
            mark: Some(mark(Some(class))),
            name: name.clone(),
            count: count.to_string(),
        })
        .collect();
    let without = map.labels.iter().filter(|label| label.is_none()).count();
    if without > 0 && !entries.is_empty() {
        let name = "without a class".to_owned();
        entries.push(ProjectionLegendEntry { mark: Some(mark(None)), name, count: without.to_string() });
    }
    if entries.len() > LINES * COLUMNS {
        let more = entries.len() - (LINES * COLUMNS - 1);
        entries.truncate(LINES * COLUMNS - 1);
        entries.push(ProjectionLegendEntry {
            mark: None,
            name: format!("and {more} more classes"),
            count: String::new(),
        });
    }
    entries
}

/// A thin line around the map: its place, not its axes, which mean nothing.
fn frame(canvas: &mut PictureCanvas) {
    let (left, top) = (MARGIN, TOP);
    for (x, y, width, height) in [
        (left, top, SIDE, 1),
        (left, top + SIDE - 1, SIDE, 1),
        (left, top, 1, SIDE),
        (left + SIDE - 1, top, 1, SIDE),
    ] {
        canvas.area(x, y, width, height, GRID);
    }
}

/// A mark with a thin edge of paper, so that neighbours stay apart.
fn draw_mark(canvas: &mut PictureCanvas, mark: ClassMarker, at: [f32; 2], radius: f32) {
    for (radius, colour) in [(radius + 1.0, PAPER), (radius, mark.colour)] {
        match mark.shape {
            MarkerShape::Disc => canvas.disc(at[0], at[1], radius, 0.0, colour, 1.0),
            shape => {
                let corners = shape.corners().iter();
                let outline = corners.map(|[x, y]| [at[0] + x * radius, at[1] + y * radius]).collect();
                canvas.fill(&[outline], colour, 1.0);
            }
        }
    }
}

/// All points in an order that puts no class over the others; always the same.
fn shuffled(points: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points).collect();
    let mut stream = rng::stream(0, "order of points", points as u64, 0);
    for i in (1..points).rev() {
        order.swap(i, stream.random_range(0..=i as u64) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(classes: usize, points: usize) -> ProjectionMap {
        ProjectionMap {
            way: "t-SNE, perplexity 30".to_owned(),
            points: (0..points).map(|i| [i as f32 / points as f32 * 2.0 - 1.0, 0.0]).collect(),
            labels: (0..points).map(|i| (classes > 0).then(|| (i % classes.max(1)) as u32)).collect(),
            classes: (0..classes).map(|i| format!("class {i}")).collect(),
            names: vec![String::new(); points],
            pictures: (0..points).collect(),
        }
    }

    #[test]
    fn points_have_the_colours_of_their_classes() {
        let drawn = picture(&map(3, 30), "features");
        for class in 0..3 {
            let colour = mark(Some(class)).colour;
            let found = drawn.rgb.chunks_exact(3).filter(|p| *p == colour).count();
            // Ten points and one in the legend.
            assert!((10 * 150..13 * 260).contains(&found), "{class}: {found}");
        }
        let plain = picture(&map(0, 30), "features");
        assert!(plain.width < drawn.width);
        assert!(plain.rgb.chunks_exact(3).filter(|p| **p == SOFT).count() > 30 * 150);
    }

    #[test]
    fn the_legend_never_runs_out_of_the_picture() {
        for classes in [1, LINES, LINES + 1, LINES * COLUMNS, LINES * COLUMNS + 1, 900] {
            let map = map(classes, classes);
            let entries = entries(&map, &map.counts());
            assert!(entries.len() <= LINES * COLUMNS && !entries.is_empty());
            if classes > LINES * COLUMNS {
                let more = classes - (LINES * COLUMNS - 1);
                assert_eq!(entries.last().map(|e| e.name.clone()), Some(format!("and {more} more classes")));
            }
            assert_eq!(picture(&map, "features").height, TOP + SIDE + MARGIN);
        }
        let order = shuffled(100);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted != order && sorted == (0..100).collect::<Vec<_>>());
    }
}

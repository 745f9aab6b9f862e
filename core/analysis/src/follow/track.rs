//! A track as a table: a line for each frame.

use std::fmt::Write as _;

use super::TrackedPlace;

/// Where the place is in one frame.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TrackRow {
    /// The frame, counted from 1.
    pub frame: usize,
    /// The file that it is of.
    pub file: String,
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the upper edge.
    pub y: f32,
    /// Cosine of the best patch with what is looked for.
    pub similarity: f32,
    /// Whether that was enough; where not, the place is where it was seen last.
    pub seen: bool,
}

impl TrackRow {
    /// What was found in a frame of `[width, height]` pixels and so many patches.
    pub fn new(
        (frame, file): (usize, &str),
        found: TrackedPlace,
        [width, height]: [usize; 2],
        (rows, cols): (usize, usize),
    ) -> Self {
        let [x, y] = found.share(rows, cols);
        let (x, y) = (x * width as f32, y * height as f32);
        Self { frame, file: file.to_owned(), x, y, similarity: found.similarity, seen: found.seen }
    }
}

/// A table with a line for each frame: `frame,file,x,y,similarity,seen`.
pub fn csv(rows: &[TrackRow]) -> String {
    let mut text = "frame,file,x,y,similarity,seen\n".to_owned();
    for TrackRow { frame, file, x, y, similarity, seen } in rows {
        let quoted = file.replace('"', "\"\"");
        // Nothing can be amiss with a string.
        let _ = writeln!(text, "{frame},\"{quoted}\",{x:.2},{y:.2},{similarity:.4},{seen}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_frame_in_pixels() {
        let place = TrackedPlace { row: 1.0, col: 0.5, similarity: 0.75, seen: true };
        let lost = TrackedPlace { similarity: 0.2, seen: false, ..place };
        let rows = [
            TrackRow::new((1, "a \"b\".png"), place, [200, 100], (4, 10)),
            TrackRow::new((2, "c.png"), lost, [200, 100], (4, 10)),
        ];
        let want = "frame,file,x,y,similarity,seen\n1,\"a \"\"b\"\".png\",20.00,37.50,0.7500,true\n\
                    2,\"c.png\",20.00,37.50,0.2000,false\n";
        assert_eq!(csv(&rows), want);
    }
}

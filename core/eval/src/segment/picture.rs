//! Classes in colours.

use crate::dense::sheet::{self, LegendRect, RenderedExample};
use dinoscope_analysis::canvas::{
    CanvasTextStyle, Colour, GRID, INK, PictureCanvas, Place, SOFT, TextAnchor,
};
use dinoscope_analysis::lettering;
use dinoscope_data::Picture;
use dinoscope_data::source::dense::IGNORED;

use super::score::SegmentationScore;

/// Colours that are told apart at a glance (after S. Trubetskoy's list). The first is quiet: in most collections it is
/// what lies around everything else.
const PALETTE: [Colour; 22] = [
    [0xd4, 0xd4, 0xd8],
    [0x52, 0x52, 0x5b],
    [0xe6, 0x19, 0x4b],
    [0x3c, 0xb4, 0x4b],
    [0xff, 0xe1, 0x19],
    [0x43, 0x63, 0xd8],
    [0xf5, 0x82, 0x31],
    [0x91, 0x1e, 0xb4],
    [0x42, 0xd4, 0xf4],
    [0xf0, 0x32, 0xe6],
    [0xbf, 0xef, 0x45],
    [0xfa, 0xbe, 0xd4],
    [0x46, 0x99, 0x90],
    [0x9a, 0x63, 0x24],
    [0xdc, 0xbe, 0xff],
    [0x80, 0x00, 0x00],
    [0xaa, 0xff, 0xc3],
    [0x80, 0x80, 0x00],
    [0xff, 0xd8, 0xb1],
    [0x00, 0x00, 0x75],
    [0x70, 0x8d, 0xff],
    [0x1a, 0x6b, 0x2e],
];

/// The colour of a class; pixels whose class is not known are as pale as paper.
pub(super) fn colour(class: u8) -> Colour {
    match PALETTE.get(usize::from(class)) {
        _ if class == IGNORED => GRID,
        Some(colour) => *colour,
        // Steps of the golden angle never come back, in three degrees of brightness.
        None => {
            let i = usize::from(class);
            let hue = (i as f32 * 0.618_034).fract() * 6.0;
            let (top, low) = [(240.0, 60.0), (190.0, 0.0), (130.0, 20.0)][i % 3];
            let share = |shift: f32| ((hue + shift) % 6.0 - 3.0).abs().clamp(1.0, 2.0) - 1.0;
            [0.0, 4.0, 2.0].map(|shift| (low + (top - low) * share(shift)) as u8)
        }
    }
}

/// Classes of pixels as a picture.
pub(super) fn coloured(classes: &[u8], width: usize, height: usize) -> Picture {
    Picture::of_rgb(width, height, classes.iter().flat_map(|class| colour(*class)).collect())
}

/// Lines of the legend.
const STEP: usize = 23;
const MOST: usize = 40;
const WIDTH: usize = 190;
const SIZE: f32 = 14.0;

/// A test picture that may be shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SegmentationExample {
    pub name: String,
    pub figure: String,
    pub picture: Picture,
    /// Class of every pixel.
    pub truth: Vec<u8>,
    /// What was found there.
    pub found: Vec<u8>,
}

/// At most `count` of some pictures, in their order: first those that show a class that no other one before them does.
pub(super) fn varied(shots: Vec<SegmentationExample>, count: usize) -> Vec<SegmentationExample> {
    let mut seen = [false; 256];
    seen[usize::from(IGNORED)] = true;
    let mut new = Vec::new();
    for (i, shot) in shots.iter().enumerate() {
        let fresh = shot.truth.iter().any(|class| !seen[usize::from(*class)]);
        shot.truth.iter().for_each(|class| seen[usize::from(*class)] = true);
        new.push((!fresh, i));
    }
    new.sort_unstable();
    new.truncate(count);
    let kept: Vec<usize> = new.into_iter().map(|(_, i)| i).collect();
    shots.into_iter().enumerate().filter(|(i, _)| kept.contains(i)).map(|(_, shot)| shot).collect()
}

/// Examples with a legend of the classes that occur in them.
pub(super) fn draw(
    shots: &[SegmentationExample],
    names: &[String],
    score: &SegmentationScore,
) -> (Picture, Vec<Place>) {
    let mut occurs = [false; 256];
    shots
        .iter()
        .flat_map(|shot| shot.truth.iter().chain(&shot.found))
        .for_each(|c| occurs[usize::from(*c)] = true);
    let mut shown: Vec<u8> =
        (0..=255).filter(|class| occurs[usize::from(*class)] && *class != IGNORED).collect();
    let more = shown.len().saturating_sub(MOST);
    shown.truncate(MOST);
    let lines = shown.len() + 1 + usize::from(more > 0);
    let example = |shot: &SegmentationExample| {
        let Picture { width, height, .. } = shot.picture;
        RenderedExample {
            name: shot.name.clone(),
            figure: shot.figure.clone(),
            picture: shot.picture.clone(),
            truth: coloured(&shot.truth, width, height),
            found: coloured(&shot.found, width, height),
        }
    };
    let examples: Vec<RenderedExample> = shots.iter().map(example).collect();
    sheet::draw(&examples, (WIDTH, STEP * lines), |canvas, space| {
        legend(canvas, space, &shown, names, score);
        if more > 0 {
            let y = (space.top + 6 + STEP * (shown.len() + 1)) as f32;
            canvas.text(&format!("and {more} more"), space.left as f32, y, CanvasTextStyle::new(SIZE, SOFT));
        }
    })
}

fn legend(
    canvas: &mut PictureCanvas,
    space: LegendRect,
    shown: &[u8],
    names: &[String],
    score: &SegmentationScore,
) {
    let right = (space.left + space.width) as f32;
    let y = |line: usize| (space.top + 6 + STEP * line) as f32;
    canvas.text("Class", space.left as f32, y(0), CanvasTextStyle::new(SIZE, INK));
    canvas.text("IoU, %", right, y(0), CanvasTextStyle::new(SIZE, INK).anchored(TextAnchor::End));
    for (line, &class) in shown.iter().enumerate() {
        let (index, y) = (usize::from(class), y(line + 1) + 3.0);
        canvas.area(space.left, y as usize - 7, 14, 14, colour(class));
        canvas.keep(space.left, y as usize - 7, 14, 14);
        let iou = match score.iou.get(index).filter(|iou| iou.is_finite()) {
            Some(iou) => format!("{:.0}", 100.0 * iou),
            None => "–".to_owned(),
        };
        canvas.text(&iou, right, y, CanvasTextStyle::new(SIZE, SOFT).anchored(TextAnchor::End));
        let name = names.get(index).map_or("", String::as_str);
        let name = lettering::shortened(name, SIZE, space.width as f32 - 70.0);
        canvas.text(&name, (space.left + 24) as f32, y, CanvasTextStyle::new(SIZE, INK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shot(truth: &[u8]) -> SegmentationExample {
        let picture = Picture::of_rgb(truth.len(), 1, vec![0; 3 * truth.len()]);
        SegmentationExample {
            name: String::new(),
            figure: String::new(),
            picture,
            truth: truth.to_vec(),
            found: truth.to_vec(),
        }
    }

    #[test]
    fn pictures_with_other_classes_are_shown_first() {
        let all = [&[0, 1][..], &[0, 1, IGNORED], &[1], &[0, 2], &[3, 0]].map(shot).to_vec();
        let of = |count| -> Vec<SegmentationExample> { varied(all.clone(), count) };
        assert_eq!(of(3), [0, 3, 4].map(|i: usize| all[i].clone()));
        assert_eq!(of(4), [0, 1, 3, 4].map(|i: usize| all[i].clone()));
        assert_eq!((of(9).len(), of(0).len()), (5, 0));
    }

    #[test]
    fn every_class_has_a_colour_of_its_own() {
        let all: Vec<Colour> = (0..=255).map(colour).collect();
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate().skip(i + 1) {
                let far: i32 = a.iter().zip(b).map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs()).sum();
                // The fixed ones are far apart; later ones differ.
                let least = if j < PALETTE.len() { 60 } else { 1 };
                assert!(far >= least, "{i} and {j}: {a:?}, {b:?}");
            }
        }
        let picture = coloured(&[0, 2, IGNORED, 0], 2, 2);
        assert_eq!(picture.rgb, [PALETTE[0], PALETTE[2], GRID, PALETTE[0]].concat());
    }
}

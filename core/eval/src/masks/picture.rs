//! Masks over pictures: what lies outside is dimmed.

use super::found::MaskMethod;
use super::score::MaskOverlap;
use crate::dense::sheet::{self, RenderedExample};
use dinoscope_analysis::canvas::{Colour, Place, mixed};
use dinoscope_data::Picture;
use dinoscope_data::source::dense::IGNORED;

/// What lies outside a mask goes this far towards white.
const DIMMED: f32 = 0.8;
const PAPER: Colour = [255, 255, 255];
/// Pixels whose truth is not known.
const UNKNOWN: Colour = [0xd4, 0xd4, 0xd8];

/// A test picture that is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MaskExample {
    pub name: String,
    pub picture: Picture,
    /// 1 for the object, 0 for the rest, `[height * width]`.
    pub truth: Vec<u8>,
    /// What was found, by [`MaskMethod::ALL`].
    pub masks: [Vec<bool>; MaskMethod::ALL.len()],
    /// How well they fit.
    pub overlaps: [MaskOverlap; MaskMethod::ALL.len()],
}

/// A picture with what is outside a mask dimmed; where it says nothing, grey.
fn masked(picture: &Picture, inside: impl Fn(usize) -> Option<bool>) -> Picture {
    let pixels = picture.rgb.as_chunks::<3>().0.iter().enumerate();
    let rgb = pixels.flat_map(|(i, pixel)| match inside(i) {
        Some(true) => *pixel,
        Some(false) => mixed(*pixel, PAPER, DIMMED),
        None => UNKNOWN,
    });
    Picture::of_rgb(picture.width, picture.height, rgb.collect())
}

/// Examples with the masks of one way to find them.
pub(super) fn draw(examples: &[MaskExample], method: usize) -> (Picture, Vec<Place>) {
    let rendered = |example: &MaskExample| {
        let MaskExample { name, picture, truth, masks, overlaps } = example;
        let known = |i: usize| truth.get(i).filter(|truth| **truth != IGNORED).map(|truth| *truth == 1);
        RenderedExample {
            name: name.clone(),
            figure: format!("IoU {:.0} %", 100.0 * overlaps[method].iou()),
            picture: picture.clone(),
            truth: masked(picture, known),
            found: masked(picture, |i| masks[method].get(i).copied()),
        }
    };
    let rendered: Vec<RenderedExample> = examples.iter().map(rendered).collect();
    sheet::draw(&rendered, (0, 0), |_, _| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_is_dimmed_and_what_is_unknown_is_grey() {
        let picture = Picture::of_rgb(3, 1, [[10, 20, 30]; 3].concat());
        let shown = masked(&picture, |i| [Some(true), Some(false), None][i]);
        let outside = mixed([10, 20, 30], PAPER, DIMMED);
        assert!(outside.iter().all(|level| *level > 200));
        assert_eq!(shown.rgb, [[10, 20, 30], outside, UNKNOWN].concat());
        let example = MaskExample {
            name: "one".to_owned(),
            picture,
            truth: vec![1, 0, IGNORED],
            masks: [vec![true, false, true], vec![false; 3]],
            overlaps: [MaskOverlap::default(); 2],
        };
        let (sheet, kept) = draw(std::slice::from_ref(&example), 0);
        assert_eq!(kept.len(), 3);
        assert_ne!(sheet, draw(&[example], 1).0, "each way to find masks has a sheet of its own");
    }
}

//! Scenes that were followed: where it began, where it should have ended, and where it did.

use super::frames::{DrawnFrames, largest};
use super::score::FollowTally;
use crate::dense::sheet::{self, RenderedExample};
use crate::run::EvaluationError;
use dinoscope_analysis::canvas::Place;
use dinoscope_analysis::follow::drawing::draw_frame;
use dinoscope_data::source::scenes::OBJECT;

/// A scene that is shown.
pub(super) struct FollowExample(RenderedExample);

impl FollowExample {
    /// A scene with what was found in it; `labels` are those of the last frame's patches.
    pub fn new(
        name: String,
        drawn: &DrawnFrames,
        tally: &FollowTally,
        labels: Vec<f32>,
    ) -> Result<Self, EvaluationError> {
        let (first, end) = (&drawn.scenes[0], drawn.scenes.len() - 1);
        let last = &drawn.scenes[end];
        let way: Vec<[f32; 2]> = drawn.places.iter().map(|place| [place.x, place.y]).collect();
        let classes = drawn.objects().len() + 1;
        let side = (labels.len() as f64 / classes as f64).sqrt().round() as usize;
        let found = largest(&labels, classes, (side, side), last)?;
        // The main object is the first of those that are followed.
        let share = |inside: bool| f32::from(u8::from(inside));
        let found: Vec<f32> = found.iter().map(|class| share(*class == 1)).collect();
        let truth: Vec<f32> = last.instances.iter().map(|body| share(*body == OBJECT)).collect();
        Ok(Self(RenderedExample {
            name,
            figure: format!("{:.0} % near, J {:.0} %", 100.0 * tally.found(), 100.0 * tally.j()),
            picture: draw_frame(&first.picture, None, &way[..1], true),
            truth: draw_frame(&last.picture, Some(&truth), &way, drawn.places[end].visible),
            found: draw_frame(&last.picture, Some(&found), &tally.way, true),
        }))
    }
}

/// All that are shown.
pub(super) fn draw(examples: &[FollowExample]) -> (dinoscope_data::Picture, Vec<Place>) {
    let rendered: Vec<RenderedExample> = examples.iter().map(|example| example.0.clone()).collect();
    sheet::draw(&rendered, (0, 0), |_, _| ())
}

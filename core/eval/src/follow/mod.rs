//! Following: whether a place of an object is found again as the object and the viewer move, and how well the masks of the
//! first frame are carried on.
//!
//! Scenes that move tell where the place is in every frame. Places are followed as `dinoscope follow` does
//! ([`PatchFollower`]), masks by DINO's protocol on DAVIS (Caron et al. 2021, section 4.2.1; Jabri et al. 2020):
//! [`MaskPropagator`](dinoscope_analysis::follow::propagation::MaskPropagator).

mod frames;
mod picture;
mod score;
mod subject;
#[cfg(test)]
mod tests;

use dinoscope_analysis::follow::{FollowOptions, PatchFollower};
use dinoscope_data::source::scenes::MovingScenes;

use super::EvalProtocolError;
use super::dense::{check, sheet};
use super::outcome::{CaptionedPicture, EvalReport};
use super::run::EvaluationError;
use super::suite::{EvalContext, EvalProgress};
use frames::{DrawnFrames, MaskTrial};
use picture::FollowExample;
use score::{FollowScore, FollowTally};
use subject::{FollowSubject, FrameViewer};

/// A place counts as found this near, in patches.
pub const NEAR: f32 = 1.5;

/// What is asked of following.
#[derive(Clone, Debug, PartialEq)]
pub struct FollowTask {
    /// The scenes.
    pub scenes: MovingScenes,
    /// Side of the frames in pixels; the nearest multiple of the patch is taken. `None` takes that of
    /// [`VitConfig::view_side`](dinoscope_model::VitConfig::view_side).
    pub resolution: Option<usize>,
    /// The block whose patch tokens are compared, counted from 0; `None` takes the last.
    pub block: Option<usize>,
    /// How far a place may go from one frame to the next, in patches; `None` takes that of [`FollowOptions::usual`].
    pub radius: Option<f32>,
    /// Scenes that are shown.
    pub shown: usize,
}

impl FollowTask {
    /// So many scenes, everything else as it is without a wish.
    pub fn new(scenes: MovingScenes) -> Self {
        Self { scenes, resolution: None, block: None, radius: None, shown: 6 }
    }
}

pub(crate) async fn evaluate(
    context: &EvalContext<'_>,
    task: &FollowTask,
    progress: &mut impl AsyncFnMut(EvalProgress) -> bool,
) -> Result<EvalReport, EvaluationError> {
    let config = &context.backbone.config;
    let (scenes, patch) = (task.scenes, config.patch);
    let side = task.resolution.unwrap_or(config.view_side());
    check("resolution", side as f64, side >= patch, "at least a patch")?;
    let block = task.block.unwrap_or(config.depth.saturating_sub(1));
    check("block", block as f64, block < config.depth, "one of the backbone's blocks")?;
    let radius = task.radius.unwrap_or(0.0);
    check("radius", f64::from(radius), radius >= 0.0, "0 or more")?;
    let patches = (side + patch / 2) / patch;
    let subjects = FollowSubject::all(context.options.alone);
    let viewers: Vec<FrameViewer<'_>> =
        subjects.iter().map(|subject| FrameViewer::new(context, *subject, block)).collect();
    let shown = sheet::spread(scenes.count, task.shown);
    let mut tallies = vec![Vec::new(); subjects.len()];
    let mut examples = Vec::new();
    let mut unseen = 0;
    for index in 0..scenes.count {
        let drawn = DrawnFrames::new(&scenes.scene(index), patches * patch);
        unseen += drawn.places.iter().skip(1).filter(|place| !place.visible).count();
        for (viewer, tallies) in viewers.iter().zip(&mut tallies) {
            let subject = viewer.subject.name();
            let trial = SceneTrial { drawn: &drawn, viewer, radius: task.radius, patch };
            let mut heard = async |done| {
                progress(EvalProgress {
                    subject,
                    doing: "frames",
                    done: index * scenes.frames + done,
                    total: scenes.count * scenes.frames,
                })
                .await
            };
            let (tally, last) = trial.follow(&mut heard).await?;
            if viewer.subject == FollowSubject::Weights && shown.contains(&index) {
                examples.push(FollowExample::new(scenes.name(index), &drawn, &tally, last)?);
            }
            tallies.push(tally);
        }
    }
    let mut out = EvalReport::of("Following");
    out.data = format!("{} moving scenes of {} frames", scenes.count, scenes.frames);
    for (subject, tallies) in subjects.iter().zip(&tallies) {
        out.rows.push(FollowScore::new(tallies, context.options.seed).row(subject.name()));
    }
    out.notes.push(format!(
        "frames of {0} × {0} patches, tokens of block {1} of {2}; a place is sought by the first frame's feature within {3} \
         patches of where it was; {unseen} frames in which it is hidden or has left the picture do not count",
        patches,
        block + 1,
        config.depth,
        task.radius.unwrap_or(FollowOptions::usual(patches, patches).radius),
    ));
    out.notes.push(
        "J: mean IoU over the objects of the first frame and all later frames, masks by DINO's protocol on DAVIS (7 frames, \
         5 patches, within 12 patches); intervals: the scenes drawn again 1000 times"
            .to_owned(),
    );
    if !examples.is_empty() {
        let (picture, kept) = picture::draw(&examples);
        out.pictures.push(CaptionedPicture {
            name: "followed".to_owned(),
            caption: "The first frame with the place that is followed, the last with the true place and mask of the object, \
                      and with those that were found."
                .to_owned(),
            picture,
            kept,
        });
    }
    Ok(out)
}

/// One subject follows through one scene.
struct SceneTrial<'a> {
    drawn: &'a DrawnFrames,
    viewer: &'a FrameViewer<'a>,
    radius: Option<f32>,
    patch: usize,
}

impl SceneTrial<'_> {
    /// What it found in all frames, and the labels of the last one's patches. `heard` is told how many frames are done and
    /// answers whether to go on.
    async fn follow(
        &self,
        heard: &mut impl AsyncFnMut(usize) -> bool,
    ) -> Result<(FollowTally, Vec<f32>), EvaluationError> {
        let drawn = self.drawn;
        let start = [drawn.places[0].x, drawn.places[0].y];
        let first = self.viewer.look(&drawn.scenes[0].picture, self.patch).await?;
        let (rows, cols) = (first.rows, first.cols);
        let options = FollowOptions {
            // A place always is somewhere: whether it counts as seen is a threshold of the person's.
            threshold: f32::NEG_INFINITY,
            radius: self.radius.unwrap_or(FollowOptions::usual(rows, cols).radius),
        };
        let (mut follower, place) = PatchFollower::from_share(&first, start, options)?;
        let mut masks = MaskTrial::new(drawn, &first)?;
        let mut tally = FollowTally::new(place.share(rows, cols));
        for (frame, truth) in drawn.places.iter().enumerate().skip(1) {
            let still = self.viewer.subject == FollowSubject::Still;
            let (found, labels) = if still {
                (place, masks.first().to_vec())
            } else {
                let features = self.viewer.look(&drawn.scenes[frame].picture, self.patch).await?;
                (follower.next(&features)?, masks.next(&features)?)
            };
            tally.place(truth, found, (rows, cols));
            tally.overlaps(&masks.overlaps(&labels, frame)?);
            if frame + 1 == drawn.places.len() {
                return Ok((tally, labels));
            }
            if !heard(frame).await {
                return Err(EvalProtocolError::Stopped.into());
            }
        }
        Ok((tally, masks.first().to_vec()))
    }
}

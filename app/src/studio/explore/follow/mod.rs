//! Following: a place, or what was painted, through frames or the camera's pictures. The panel beside the picture.
//!
//! Frames are looked at by the explorer as all pictures are, one after another, as soon as they are there; their patch
//! features are kept, so that following anew is a matter of moments.

mod canvas;
mod export;
mod frames;
mod live;
mod masks;
mod pane;
mod strip;
mod track;

use std::path::PathBuf;
use std::sync::Arc;

use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::analysis::follow::{FollowOptions, drawing};
use dinoscope_core::explore::{
    InspectionRequest, LocalFuture, PatchTokens, PictureId, PictureInspection, QueryToken, ViewQuery,
};
use egui::Color32;

use super::ExploreWorkspace;
use super::gallery::pixel_store::ImageOrigin;
use crate::platform::HAS_DISK;
use crate::platform::camera;
use crate::platform::dialogs::DialogPurpose;
use crate::studio::app_context::AppContext;
use canvas::FollowCanvas;
use export::FollowExporter;
use frames::{FrameLoader, FrameSource};
use live::LiveFollow;
use masks::MaskTrack;
use strip::StripThumbnails;
use track::PlaceTrack;

/// Numbers of frames begin here: no picture of the gallery comes so far.
const FIRST_ID: PictureId = 1 << 62;
/// Frames of one set have numbers of their own.
const SET: PictureId = 1 << 20;
/// Longest side of frames as they are kept, unless they are looked at more finely.
const SIDE: usize = 720;
/// Bytes of features that are kept: frames that come after are not looked at.
const FEATURES: usize = if HAS_DISK { 1 << 30 } else { 256 << 20 };
/// Frames that the explorer is asked for at a time.
const ASKED: usize = 3;
/// Frames through which a place is followed in one frame of the window.
const TRACKED: usize = 24;
/// Frames a second, as the film has them.
const PER_SECOND: f32 = 10.0;

/// What is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum FollowMode {
    /// A place.
    #[default]
    Place,
    /// What was painted.
    Mask,
}

/// What the pointer does to a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MaskTool {
    /// Takes the object that is clicked.
    #[default]
    Object,
    /// Adds to it.
    Paint,
    /// Takes away from it.
    Erase,
}

/// Everything about following.
pub struct FollowPanel {
    loader: FrameLoader,
    /// Of each frame, once it was looked at.
    features: Vec<Option<Arc<PatchFeatures>>>,
    /// Bytes of them.
    bytes: usize,
    /// Why a frame can't be looked at.
    failed: Option<String>,
    /// With which model and how they were looked at.
    way: Option<(u64, ViewQuery)>,
    /// A person has stopped looking.
    stopped: bool,
    track: PlaceTrack,
    masks: MaskTrack,
    live: LiveFollow,
    mode: FollowMode,
    tool: MaskTool,
    /// Radius of the brush, in patches.
    brush: f32,
    /// A best match that is less similar is none; what belongs to an object is at least so similar.
    threshold: f32,
    /// The frame that shows.
    at: usize,
    /// Seconds since the last frame was shown, while it plays.
    playing: Option<f32>,
    canvas: FollowCanvas,
    strip: StripThumbnails,
    export: FollowExporter,
    /// Whether the panel was drawn in the last frame of the window.
    drawn: bool,
}

impl Default for FollowPanel {
    fn default() -> Self {
        Self {
            loader: FrameLoader::default(),
            features: Vec::new(),
            bytes: 0,
            failed: None,
            way: None,
            stopped: false,
            track: PlaceTrack::default(),
            masks: MaskTrack::default(),
            live: LiveFollow::default(),
            mode: FollowMode::default(),
            tool: MaskTool::default(),
            brush: 1.0,
            threshold: FollowOptions::default().threshold,
            at: 0,
            playing: None,
            canvas: FollowCanvas::default(),
            strip: StripThumbnails::default(),
            export: FollowExporter::default(),
            drawn: false,
        }
    }
}

/// How following stands, for tests.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct FollowSnapshot {
    /// Frames that are there.
    pub frames: usize,
    /// Frames that were looked at.
    pub looked_at: usize,
    /// The frame that shows, counted from 0.
    pub at: usize,
    /// In each frame in which the place was looked for: shares of width and height, and whether it is seen.
    pub places: Vec<(usize, [f32; 2], bool)>,
    /// In each frame that has a mask: how many patches are in it.
    pub masks: Vec<(usize, usize)>,
}

/// The colour of what is followed.
fn followed() -> Color32 {
    let [r, g, b] = drawing::FOLLOWED;
    Color32::from_rgb(r, g, b)
}

/// The colour of what is out of sight.
fn lost() -> Color32 {
    let [r, g, b] = drawing::LOST;
    Color32::from_rgb(r, g, b)
}

impl FollowPanel {
    /// Whether there are no frames, and none on their way.
    fn is_empty(&self) -> bool {
        self.loader.frames.is_empty() && !self.loader.busy()
    }

    /// Shows a frame.
    fn go(&mut self, frame: usize) {
        self.at = frame.min(self.loader.frames.len().saturating_sub(1));
        self.playing = None;
    }

    /// Whether a frame was looked at.
    fn looked_at(&self, frame: usize) -> bool {
        self.features.get(frame).is_some_and(Option::is_some)
    }

    /// How many were.
    fn looked(&self) -> usize {
        self.features.iter().filter(|seen| seen.is_some()).count()
    }

    /// Rows and columns of patches of a frame.
    fn grid(&self, frame: usize) -> Option<(usize, usize)> {
        self.features.get(frame)?.as_ref().map(|seen| (seen.rows, seen.cols))
    }

    /// Whether no more features are kept.
    fn is_full(&self) -> bool {
        self.bytes >= FEATURES
    }

    /// Frames that are still to be looked at, the one that shows first.
    fn missing(&self) -> impl Iterator<Item = usize> + '_ {
        let count = self.loader.frames.len();
        let open = !self.stopped && self.failed.is_none() && !self.is_full();
        let shown = std::iter::once(self.at).chain((0..count).filter(|frame| *frame != self.at));
        shown.filter(move |frame| open && *frame < count && !self.looked_at(*frame))
    }

    /// Forgets everything but how one follows.
    fn reset(&mut self) {
        self.features.clear();
        self.track.clear();
        self.masks.clear();
        self.strip.clear();
        self.canvas = FollowCanvas::default();
        (self.bytes, self.failed, self.stopped, self.at, self.playing) = (0, None, false, 0, None);
    }

    /// Another model looks, or more finely: what was clicked stays.
    fn look_anew(&mut self) {
        self.features.clear();
        (self.bytes, self.failed, self.stopped) = (0, None, false);
        self.track.again();
        self.masks.again();
        self.live.clear();
    }

    fn id(&self, frame: usize) -> PictureId {
        FIRST_ID + (self.loader.set % SET) * SET + frame as PictureId
    }

    /// The frame of a number, where it is one of those that are there.
    fn frame_of(&self, id: PictureId) -> Option<usize> {
        let frame = usize::try_from(id.checked_sub(self.id(0))?).ok()?;
        (frame < self.loader.frames.len()).then_some(frame)
    }

    /// Whether a number is that of a frame, of these or of others before.
    pub(super) fn is_frame(id: PictureId) -> bool {
        (FIRST_ID..FIRST_ID << 1).contains(&id)
    }

    /// A frame was looked at.
    pub(super) fn seen(&mut self, id: PictureId, way: ViewQuery, seen: &PictureInspection) {
        let now = self.way.map(|(_, way)| way);
        let (Some(frame), PatchTokens::Host(patches)) = (self.frame_of(id), &seen.patches) else { return };
        if now != Some(way) || self.is_full() {
            return;
        }
        self.features.resize(self.features.len().max(frame + 1), None);
        if self.features[frame].is_none() {
            self.bytes += 4 * patches.data.len();
        }
        self.features[frame] = Some(patches.clone());
    }

    /// A frame can't be looked at.
    pub(super) fn refused(&mut self, id: PictureId, reason: &str) {
        if let Some(frame) = self.frame_of(id) {
            self.failed = Some(format!("Frame {}: {reason}", frame + 1));
        }
    }

    /// Whether something is on its way that will be drawn.
    pub(super) fn busy(&self, looks: bool) -> bool {
        let looking = looks && self.missing().next().is_some();
        let masks = self.masks.busy(&self.features);
        self.loader.busy() || looking || masks || self.export.busy()
    }

    /// How it stands.
    pub(super) fn snapshot(&self) -> FollowSnapshot {
        let inside = |shares: &[f32]| shares.iter().filter(|share| **share > drawing::INSIDE).count();
        FollowSnapshot {
            frames: self.loader.frames.len(),
            looked_at: self.looked(),
            at: self.at,
            places: self.track.all().map(|(at, found)| (at, found.share(), found.place.seen)).collect(),
            masks: self.masks.all().map(|(at, shares)| (at, inside(shares))).collect(),
        }
    }

    /// Time goes on while it plays.
    fn play(&mut self, ctx: &egui::Context) {
        let Some(passed) = &mut self.playing else { return };
        *passed += ctx.input(|input| input.stable_dt).min(0.25);
        let steps = (*passed * PER_SECOND) as usize;
        *passed -= steps as f32 / PER_SECOND;
        let last = self.loader.frames.len().saturating_sub(1);
        self.at = (self.at + steps).min(last);
        if self.at == last && !self.loader.busy() {
            self.playing = None;
        }
        ctx.request_repaint();
    }
}

impl ExploreWorkspace {
    /// How frames are looked at.
    fn follow_way(&self) -> Option<(u64, ViewQuery)> {
        let model = self.model.as_ref()?;
        // Whose attention Explore shows makes no difference to features.
        let block = self.settings.depth.saturating_sub(1);
        Some((model.generation, ViewQuery { block, ..self.settings.way(QueryToken::Cls) }))
    }

    /// Opens frames in place of those before.
    fn follow_open(&mut self, source: FrameSource, app: &AppContext) {
        if self.follow.live.on {
            self.follow_camera(false, app);
        }
        self.follow.reset();
        let side = SIDE.max(self.settings.resolution() * 3 / 2);
        self.follow.loader.open(source, side, self.intake.pixels.clone(), &app.wake);
    }

    /// The pictures of the gallery as frames: those that are selected, or all of them.
    fn follow_gallery(&mut self, app: &AppContext) {
        let source = FrameSource::Pictures(self.gallery_frames());
        self.follow_open(source, app);
    }

    fn gallery_frames(&self) -> Vec<(PictureId, String, ImageOrigin)> {
        let selected = self.gallery.selection();
        let all = || self.gallery.items.iter().map(|item| item.id).collect();
        let ids: Vec<PictureId> = if selected.len() > 1 { selected } else { all() };
        let frame = |id| {
            let item = self.gallery.item(id)?;
            Some((id, item.called(), item.origin.clone()))
        };
        ids.into_iter().filter_map(frame).collect()
    }

    /// Shows the camera's pictures in place of frames, or no longer.
    fn follow_camera(&mut self, on: bool, app: &AppContext) {
        if on != self.is_live() {
            self.toggle_camera(app);
        }
        self.follow.live = LiveFollow::new(on);
    }

    /// Takes in what has come, and goes on.
    pub(super) fn follow_logic(&mut self, ctx: &egui::Context, app: &mut AppContext) {
        let dialogs = app.dialogs.clone();
        for purpose in [DialogPurpose::FollowFrames, DialogPurpose::FollowFolder] {
            if let Some(paths) = dialogs.answer(purpose).filter(|paths| !paths.is_empty()) {
                self.follow_open(FrameSource::Paths(paths), app);
            }
        }
        let refused = self.follow.loader.listen();
        match refused.as_slice() {
            [] => {}
            [one] => app.toasts.bad(one.clone()),
            [.., last] => {
                app.toasts.bad(format!("{} frames can't be opened. The last: {last}", refused.len()))
            }
        }
        let way = self.follow_way();
        if way.is_some() && way != self.follow.way {
            self.follow.look_anew();
            self.follow.way = way;
        }
        if self.follow.live.on && !self.is_live() {
            self.follow.live = LiveFollow::default();
        }
        let follow = &mut self.follow;
        if follow.track.advance(&follow.features, follow.threshold, TRACKED) {
            ctx.request_repaint();
        }
        follow.masks.logic(&follow.features, &app.wake);
        follow.play(ctx);
        follow.export_logic(&dialogs, &app.wake);
        follow.export.listen(&mut app.toasts);
    }

    /// Looks at frames that are wanted now.
    pub(super) fn follow_wanted(&self) -> Vec<InspectionRequest> {
        let (Some((_, way)), true) = (self.follow.way, self.model.is_some()) else { return Vec::new() };
        let request = |frame: usize| {
            let picture = self.follow.loader.frames[frame].picture.clone();
            let load = move |_, _| -> LocalFuture<_> {
                let picture = picture.clone();
                Box::pin(async move { Ok(picture) })
            };
            InspectionRequest { picture: self.follow.id(frame), way, load: Arc::new(load), in_memory: true }
        };
        self.follow.missing().take(ASKED).map(request).collect()
    }

    /// Whether the features of the camera's pictures are needed in memory.
    pub(super) fn follows_live(&self, id: PictureId) -> bool {
        self.follow.live.on && self.live.as_ref().is_some_and(|live| live.is(id))
    }

    /// The camera's picture was looked at.
    pub(super) fn follow_live_seen(&mut self, id: PictureId, seen: &PictureInspection) {
        if let (true, PatchTokens::Host(patches)) = (self.follows_live(id), &seen.patches) {
            let threshold = self.follow.threshold;
            self.follow.live.frame(patches, threshold);
        }
    }

    /// Frames to follow something through, as a person opens them.
    pub fn open_frames(&mut self, app: &AppContext, paths: Vec<PathBuf>) {
        self.follow_open(FrameSource::Paths(paths), app);
    }

    /// How following stands.
    pub fn follow_snapshot(&self) -> FollowSnapshot {
        self.follow.snapshot()
    }

    /// Whether there is a camera to follow something in.
    fn has_camera() -> bool {
        camera::available()
    }
}

//! The first screen: a picture that the program draws itself, and what the starter weights see in it, computed now.
//!
//! It is looked at only while nothing is open and nothing else is to be done, and it is gone with the first picture.

use std::sync::Arc;

use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::analysis::image_out::{UpsampleFilter, upsample};
use dinoscope_core::analysis::pca::{Pca, PcaOptions};
use dinoscope_core::data::Picture;
use dinoscope_core::explore::{
    InspectionRequest, LocalFuture, ModelSource, PatchTokens, PictureId, QueryToken, ViewQuery,
};
use egui::{Color32, Rect, Sense, TextureHandle, TextureOptions, pos2, vec2};
use web_time::Instant;

use super::ExploreWorkspace;
use super::gallery_loader::reduced;
use super::pixel_store::{ImageOrigin, ModelViewShape};
use crate::platform::pictures::SAMPLE_IDLE;
use crate::platform::tasks::Wake;
use crate::studio::background::task::{BackgroundTask, TaskFailedError};
use crate::studio::theme::{self, space};

/// A number that no picture of the gallery has.
pub const SAMPLE: PictureId = PictureId::MAX;
/// The scene that is shown: a thing on a ground, far from the seeds of training.
const SCENE: usize = 3;
/// Shorter side of the view on a processor, which takes a fifth of the time of the model's own.
const SIDE: usize = 128;
/// Longest side of what is drawn.
const DRAWN: usize = 256;

/// Picture and colours.
type Drawn = [egui::ColorImage; 2];

/// How far the sample is.
#[derive(Default)]
enum WelcomeSampleState {
    /// Nothing was done yet.
    #[default]
    Waiting,
    /// It is being looked at.
    Asked(ViewQuery),
    /// It is being coloured.
    Colouring(BackgroundTask<Result<Drawn, String>>),
    /// It can be shown.
    Here([TextureHandle; 2]),
    /// It could not be made, which nobody has to know.
    Not,
}

/// The sample of the first screen.
#[derive(Default)]
pub struct WelcomeSample {
    state: WelcomeSampleState,
    /// Since when nothing is to be done.
    idle: Option<Instant>,
    /// Whether the first screen has been seen.
    invited: bool,
    /// Nothing computes that would be quick enough.
    slow: bool,
    /// Another thing has been opened: it does not come back.
    over: bool,
}

impl WelcomeSample {
    /// Whether it can be seen.
    pub fn shows(&self) -> bool {
        !self.over && matches!(self.state, WelcomeSampleState::Here(_))
    }

    /// Whether it is on its way.
    pub fn busy(&self) -> bool {
        !self.over && matches!(self.state, WelcomeSampleState::Asked(_) | WelcomeSampleState::Colouring(_))
    }
}

/// Colours of a picture's patches, beside the picture.
fn colour(picture: &Picture, patches: &PatchFeatures) -> Result<Drawn, String> {
    let words = |error: dinoscope_core::analysis::AnalysisError| error.to_string();
    let options = PcaOptions { foreground: false, ..PcaOptions::default() };
    let basis = Pca::fit(&[patches], None, &options).map_err(words)?;
    let seen = basis.colour(patches).map_err(words)?;
    let image = reduced(picture, DRAWN);
    let [width, height] = image.size;
    let colours =
        upsample(&seen.rgb, seen.rows, seen.cols, width, height, UpsampleFilter::Bicubic).map_err(words)?;
    Ok([image, egui::ColorImage::from_rgb([width, height], &colours.rgb)])
}

/// Colours it beside the frames.
fn begin(
    picture: Arc<Picture>,
    patches: Arc<PatchFeatures>,
    wake: &Wake,
) -> BackgroundTask<Result<Drawn, String>> {
    BackgroundTask::ask("sample", wake, move |_| colour(&picture, &patches))
}

impl ExploreWorkspace {
    /// Whether the sample is worth anything now: nothing is open or on its way, and the starter weights look.
    fn sample_fits(&self) -> bool {
        let starter = self.model.as_ref().is_some_and(|model| model.source == ModelSource::Starter);
        self.gallery.is_empty() && self.gallery.walking == 0 && starter && !self.opens() && !self.is_live()
    }

    /// The look at the sample that is wanted, if it is.
    pub(super) fn sample_wanted(&self) -> Option<InspectionRequest> {
        let WelcomeSampleState::Asked(way) = self.sample.state else { return None };
        let pixels = self.intake.pixels.clone();
        let load = move |patch, channels| -> LocalFuture<_> {
            let pixels = pixels.clone();
            let shape = ModelViewShape { resolution: way.resolution, patch, channels };
            Box::pin(async move { pixels.view(SAMPLE, &ImageOrigin::Scene(SCENE), shape).await })
        };
        let wanted = !self.sample.over && !self.results.kept.contains_key(&(SAMPLE, way));
        let load = Arc::new(load);
        wanted.then(|| InspectionRequest { picture: SAMPLE, way, load, in_memory: false })
    }

    /// Makes the sample where it `may` be made, a step at a time, and gives it up as soon as anything else is there.
    pub(super) fn sample_logic(&mut self, ctx: &egui::Context, may: bool, gpu: bool) {
        if self.sample.over || matches!(self.sample.state, WelcomeSampleState::Not) {
            return;
        }
        if !self.gallery.is_empty() || self.gallery.walking > 0 {
            self.sample = WelcomeSample { over: true, ..WelcomeSample::default() };
            return;
        }
        self.sample.slow = !may;
        let state = std::mem::take(&mut self.sample.state);
        self.sample.state = match state {
            WelcomeSampleState::Waiting => self.sample_begin(ctx, gpu),
            WelcomeSampleState::Asked(way) => self.sample_seen(way),
            WelcomeSampleState::Colouring(mut made) => match made.answer() {
                Some(Ok(Ok(images))) => WelcomeSampleState::Here(
                    images.map(|image| ctx.load_texture("sample", image, TextureOptions::LINEAR)),
                ),
                Some(Ok(Err(reason))) => {
                    ::log::warn!("the sample can't be coloured: {reason}");
                    WelcomeSampleState::Not
                }
                None => WelcomeSampleState::Colouring(made),
                Some(Err(TaskFailedError)) => WelcomeSampleState::Not,
            },
            there => there,
        };
    }

    /// Asks for the look once nothing else is to be done.
    fn sample_begin(&mut self, ctx: &egui::Context, gpu: bool) -> WelcomeSampleState {
        let hands_full =
            |input: &egui::InputState| !input.raw.hovered_files.is_empty() || input.pointer.any_down();
        let wanted = self.sample.invited && !self.sample.slow;
        if !wanted || !self.sample_fits() || ctx.input(hands_full) {
            self.sample.idle = None;
            return WelcomeSampleState::Waiting;
        }
        let since = self.sample.idle.get_or_insert_with(Instant::now).elapsed().as_secs_f64();
        if since < SAMPLE_IDLE {
            ctx.request_repaint_after(std::time::Duration::from_secs_f64(SAMPLE_IDLE - since));
            return WelcomeSampleState::Waiting;
        }
        let patch = self.settings.patch.max(1);
        let own = self.settings.own_resolution;
        // A GPU compiles its programs for the size that comes next anyway.
        let side = if gpu { own } else { own.min(SIDE / patch * patch).max(patch) };
        WelcomeSampleState::Asked(ViewQuery {
            resolution: side,
            block: self.settings.depth.saturating_sub(1),
            query: QueryToken::Cls,
        })
    }

    /// Colours what was seen, once it was.
    fn sample_seen(&mut self, way: ViewQuery) -> WelcomeSampleState {
        let key = (SAMPLE, way);
        if self.failures.contains_key(&key) {
            return WelcomeSampleState::Not;
        }
        let Some(seen) = self.results.get(SAMPLE, way) else {
            // Another model has come in between.
            return if self.sample_fits() {
                WelcomeSampleState::Asked(way)
            } else {
                WelcomeSampleState::Waiting
            };
        };
        let patches = match &seen.patches {
            PatchTokens::Host(patches) => patches.clone(),
            PatchTokens::Device(_) => match self.fetched.get(&key) {
                Some(patches) => patches.clone(),
                None => {
                    if self.canvas.fetching.insert(key) {
                        self.explorer.fetch(SAMPLE, way, seen);
                    }
                    return WelcomeSampleState::Asked(way);
                }
            },
        };
        WelcomeSampleState::Colouring(begin(seen.view.clone(), patches, &self.export.wake()))
    }

    /// Whether it will show: then its place is kept free, and nothing jumps.
    pub(super) fn sample_expected(&mut self) -> bool {
        self.sample.invited = true;
        let starter = self.model.as_ref().is_none_or(|model| model.source == ModelSource::Starter);
        starter
            && !self.sample.over
            && !self.sample.slow
            && !matches!(self.sample.state, WelcomeSampleState::Not)
    }

    /// Draws it, no higher than `room`.
    pub(super) fn sample_ui(&self, ui: &mut egui::Ui, room: f32) {
        let WelcomeSampleState::Here(textures) = &self.sample.state else { return };
        if self.sample.over || room < 96.0 {
            return;
        }
        let t = theme::tokens(ui.ctx());
        let gap = space::S;
        let side = (0.5 * (ui.available_width() - 2.0 * space::M - gap)).min(room - 24.0).min(200.0);
        if side < 64.0 {
            return;
        }
        let (place, response) = ui.allocate_exact_size(vec2(2.0 * side + gap, side), Sense::hover());
        let name = "A sample: a scene, and the three principal components of its patches as colours";
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, name));
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        for (texture, left) in textures.iter().zip([place.left(), place.left() + side + gap]) {
            let place = Rect::from_min_size(pos2(left, place.top()), vec2(side, side));
            let shape = egui::epaint::RectShape::filled(place, theme::RADIUS, Color32::WHITE);
            ui.painter().add(shape.with_texture(texture.id(), whole));
        }
        let text = "A sample, and what the starter weights see in it";
        ui.label(theme::small(text).color(t.muted));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_as_large_as_the_picture() {
        let picture = Picture::of_rgb(64, 32, vec![90; 64 * 32 * 3]);
        let data = (0..4 * 8 * 6).map(|i| ((i * 7919) % 97) as f32).collect();
        let patches = PatchFeatures { rows: 4, cols: 8, dim: 6, data };
        let [image, colours] = colour(&picture, &patches).unwrap();
        assert_eq!((image.size, colours.size), ([64, 32], [64, 32]));
        assert!(colours.pixels.iter().any(|pixel| *pixel != colours.pixels[0]), "patches differ");
        let broken = PatchFeatures { rows: 4, cols: 8, dim: 6, data: vec![f32::NAN; 4 * 8 * 6] };
        assert!(colour(&picture, &broken).is_err());
    }
}

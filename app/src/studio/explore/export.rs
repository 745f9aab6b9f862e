//! What was seen, as files: pictures and numbers, written beside the frames.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dinoscope_core::analysis::attention_map::{overlay, stretch};
use dinoscope_core::analysis::colour_map::ColourMap;
use dinoscope_core::analysis::image_out::{UpsampleFilter, upsample, write_png};
use dinoscope_core::analysis::pca::{Pca, PcaOptions};
use dinoscope_core::analysis::{AnalysisError, PatchFeatures, npy, similarity};
use dinoscope_core::data::{DataError, Picture};
use dinoscope_core::explore::{PictureId, PictureInspection};

use super::paint::ATTENTION_PERCENTILE;
use super::pixel_store::{ImageOrigin, PixelStore};
use super::{ExplorePanel, ExploreWorkspace};
use crate::platform::dialogs::DialogPurpose;
use crate::platform::names;
use crate::platform::tasks::Wake;
use crate::studio::app_context::AppContext;
use crate::studio::background::task::{BackgroundTask, TaskFailedError};
use crate::studio::theme::icons;
use crate::studio::widgets;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExploreExportKind {
    /// What the large picture shows, at the picture's own size.
    Picture,
    /// Patch features, `[rows, cols, dim]`.
    Features,
    /// Attention, `[heads, rows, cols]`.
    Attention,
}

/// Everything that is needed to write a file.
struct ExploreExportRequest {
    what: ExploreExportKind,
    to: PathBuf,
    pixels: Arc<PixelStore>,
    picture: (PictureId, ImageOrigin),
    seen: Arc<PictureInspection>,
    patches: Arc<PatchFeatures>,
    panel: ExplorePanel,
    basis: Option<Arc<Pca>>,
    foreground: bool,
    head: Option<usize>,
    query: Option<Vec<f32>>,
    opacity: f32,
    blocks: bool,
}

#[derive(Debug, thiserror::Error)]
enum ExploreExportError {
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("{0}")]
    Nothing(&'static str),
}

/// The file, or why there is none.
type Written = Result<PathBuf, String>;

/// Exports that are on their way.
pub struct ExploreExporter {
    pending: Option<ExploreExportKind>,
    to: Option<(ExploreExportKind, PathBuf)>,
    running: Vec<BackgroundTask<Written>>,
    wake: Wake,
}

impl ExploreExporter {
    /// None yet.
    pub fn new(wake: Wake) -> Self {
        Self { pending: None, to: None, running: Vec::new(), wake }
    }

    /// Draws the window again; from any thread.
    pub(super) fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Whether something is being written.
    pub fn busy(&self) -> bool {
        !self.running.is_empty() || self.to.is_some()
    }

    /// Says what was written.
    pub fn logic(&mut self, app: &mut AppContext) {
        self.running.retain_mut(|task| match task.answer() {
            None => true,
            Some(said) => {
                match said {
                    Ok(Ok(path)) => app.toasts.good(format!("Saved {}", names::saved(&path))),
                    Ok(Err(error)) => app.toasts.bad(error),
                    Err(TaskFailedError) => {
                        let reason = task.refused().unwrap_or("the work has ended too early");
                        app.toasts.bad(format!("nothing could be saved, {reason}"));
                    }
                }
                false
            }
        });
    }
}

impl ExploreWorkspace {
    /// The buttons.
    pub(super) fn export_ui(&mut self, ui: &mut egui::Ui, app: &mut AppContext) {
        let chosen = self.gallery.chosen();
        let ready = chosen.is_some_and(|id| self.seen(id).is_some());
        let stem = chosen.and_then(|id| self.gallery.item(id)).map_or("picture".to_owned(), |item| {
            Path::new(&item.name)
                .file_stem()
                .map_or(item.name.clone(), |stem| stem.to_string_lossy().into_owned())
        });
        ui.add_enabled_ui(ready, |ui| {
            for (what, icon, label, purpose, name) in [
                (
                    ExploreExportKind::Picture,
                    icons::IMAGE,
                    "Picture as shown (PNG)",
                    DialogPurpose::SavePicture,
                    format!("{stem}.seen.png"),
                ),
                (
                    ExploreExportKind::Features,
                    icons::NUMBER,
                    "Patch features (.npy)",
                    DialogPurpose::SaveNumbers,
                    format!("{stem}.npy"),
                ),
                (
                    ExploreExportKind::Attention,
                    icons::LOOK,
                    "Attention maps (.npy)",
                    DialogPurpose::SaveNumbers,
                    format!("{stem}.attention.npy"),
                ),
            ] {
                if widgets::button(ui, icon, label).clicked() {
                    self.export.pending = Some(what);
                    app.dialogs.ask(purpose, &name);
                }
            }
        });
    }

    /// Takes up the answers of the dialogs, and starts writing once the features are in memory.
    pub(super) fn export_logic(&mut self, app: &mut AppContext) {
        for purpose in [DialogPurpose::SavePicture, DialogPurpose::SaveNumbers] {
            if let Some(answer) = app.dialogs.answer(purpose)
                && let (Some(path), Some(what)) = (answer.into_iter().next(), self.export.pending.take())
            {
                self.export.to = Some((what, path));
            }
        }
        let Some((what, to)) = self.export.to.clone() else { return };
        let Some(id) = self.gallery.chosen() else { return };
        let (Some(seen), Some(origin)) = (self.seen(id), self.gallery.origin(id)) else { return };
        let Some(patches) = self.in_memory(id) else { return };
        let query = match (self.settings.panel, self.spot()) {
            (ExplorePanel::Similarity, Some(spot)) => {
                let Some(from) = self.in_memory(spot.picture) else { return };
                from.patch(spot.patch).map(<[f32]>::to_vec)
            }
            _ => None,
        };
        self.export.to = None;
        let settings = &self.settings;
        let order = ExploreExportRequest {
            what,
            to,
            pixels: self.intake.pixels.clone(),
            picture: (id, origin),
            seen,
            patches,
            panel: settings.panel,
            basis: self.painter.basis().and_then(|basis| basis.host().cloned()),
            foreground: settings.foreground,
            head: settings.head,
            query,
            opacity: if settings.arrangement == super::settings::OverlayArrangement::Overlay {
                settings.opacity
            } else {
                1.0
            },
            blocks: settings.blocks,
        };
        let work = async move || {
            let written = write(&order).await;
            written.map(|()| order.to.clone()).map_err(|error| format!("{}: {error}", order.to.display()))
        };
        self.export.running.push(BackgroundTask::ask_async("export", &self.export.wake, work));
    }
}

async fn write(order: &ExploreExportRequest) -> Result<(), ExploreExportError> {
    let (rows, cols, dim) = (order.seen.rows, order.seen.cols, order.seen.dim);
    match order.what {
        ExploreExportKind::Features => Ok(npy::write(&order.to, &[rows, cols, dim], &order.patches.data)?),
        ExploreExportKind::Attention => {
            let heads = &order.seen.attention.heads;
            Ok(npy::write(&order.to, &[heads.len(), rows, cols], &heads.concat())?)
        }
        ExploreExportKind::Picture => {
            let (id, origin) = &order.picture;
            let picture = order.pixels.load(*id, origin).await?;
            Ok(write_png(&order.to, &drawn(order, &picture)?)?)
        }
    }
}

/// What the large picture shows, at the picture's own size.
fn drawn(order: &ExploreExportRequest, picture: &Picture) -> Result<Picture, ExploreExportError> {
    let (rows, cols) = (order.seen.rows, order.seen.cols);
    let filter = if order.blocks { UpsampleFilter::Nearest } else { UpsampleFilter::Bicubic };
    let over = |values: &[f32], map| overlay(picture, values, rows, cols, map, order.opacity, filter);
    match order.panel {
        ExplorePanel::Pca => {
            let fitted;
            let basis = match &order.basis {
                Some(basis) => basis.as_ref(),
                // The colours are on the device: fitted once more, in memory.
                None => {
                    let options = PcaOptions { foreground: order.foreground, ..PcaOptions::default() };
                    fitted = Pca::fit(&[&order.patches], None, &options)?;
                    &fitted
                }
            };
            let coloured = basis.colour(&order.patches)?;
            let mut layer = upsample(&coloured.rgb, rows, cols, picture.width, picture.height, filter)?;
            for (over, under) in layer.rgb.iter_mut().zip(&picture.rgb) {
                let mixed = f32::from(*over) * order.opacity + f32::from(*under) * (1.0 - order.opacity);
                *over = mixed.round() as u8;
            }
            Ok(layer)
        }
        ExplorePanel::Attention => {
            let maps = &order.seen.attention;
            let map = order.head.and_then(|head| maps.heads.get(head)).unwrap_or(&maps.mean);
            Ok(over(&stretch(map, ATTENTION_PERCENTILE), ColourMap::Inferno)?)
        }
        ExplorePanel::Similarity => {
            let query = order.query.as_ref();
            let query = query
                .ok_or(ExploreExportError::Nothing("no patch is pinned: choose one in the picture first"))?;
            let values = similarity::to_all(query, &order.patches)?;
            let values: Vec<f32> = values.into_iter().map(|v| v.max(0.0)).collect();
            Ok(over(&values, ColourMap::Viridis)?)
        }
        ExplorePanel::Match => Ok(picture.clone()),
    }
}

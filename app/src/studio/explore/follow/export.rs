//! What was followed, as files: a film, the masks, the track as a table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dinoscope_core::analysis::follow::drawing::{draw_frame, mask_picture, of_pixels};
use dinoscope_core::analysis::follow::track::{TrackRow, csv};
use dinoscope_core::analysis::image_out::write_png;
use dinoscope_core::analysis::{AnalysisError, write_atomic};
use dinoscope_core::data::Picture;
use dinoscope_core::files;
use dinoscope_core::train::film::{TimelapseError, export_drawn_gif};

use super::FollowPanel;
use super::frames::FollowFrame;
use super::track::FoundPlace;
use crate::platform::HAS_DISK;
use crate::platform::dialogs::{DialogPurpose, FileDialogs};
use crate::platform::names;
use crate::platform::tasks::Wake;
use crate::studio::background::task::{BackgroundTask, CancelFlag, TaskEventSender};
use crate::studio::theme::icons;
use crate::studio::toasts::ToastQueue;
use crate::studio::widgets;

/// Longest side of a film, and how long it shows a frame, as on the command line.
const FILM_SIDE: u32 = 720;
const FRAME_MS: u32 = 100;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowExportKind {
    /// A GIF of the frames with what was followed.
    Film,
    /// A table.
    Csv,
    /// The same as JSON.
    Json,
    /// White on black, a picture for each frame.
    Masks,
}

/// Shares of patches, with their rows and columns.
type FollowedMask = (Arc<Vec<f32>>, (usize, usize));

/// A frame with what was found in it.
struct FollowedFrame {
    number: usize,
    frame: FollowFrame,
    place: Option<FoundPlace>,
    mask: Option<FollowedMask>,
}

enum FollowExportEvent {
    Done(usize, usize),
    Over(Result<String, String>),
}

/// Files on their way to disk.
#[derive(Default)]
pub struct FollowExporter {
    pending: Option<FollowExportKind>,
    work: Option<BackgroundTask<FollowExportEvent>>,
    /// How far it is.
    pub progress: Option<(usize, usize)>,
}

impl FollowExporter {
    /// Whether something is being written.
    pub fn busy(&self) -> bool {
        self.work.is_some()
    }

    /// Gives it up.
    pub fn stop(&self) {
        if let Some(work) = &self.work {
            work.stop();
        }
    }

    /// Says what was written.
    pub fn listen(&mut self, toasts: &mut ToastQueue) {
        let Some(work) = &mut self.work else { return };
        while let Some(event) = work.receive() {
            match event {
                FollowExportEvent::Done(done, total) => self.progress = Some((done, total)),
                FollowExportEvent::Over(Ok(said)) => toasts.good(said),
                FollowExportEvent::Over(Err(reason)) => toasts.bad(reason),
            }
        }
        if work.over() {
            (self.work, self.progress) = (None, None);
        }
    }

    /// The menu below the button.
    pub fn menu_ui(&mut self, ui: &mut egui::Ui, place: bool, mask: bool, dialogs: &FileDialogs) {
        let any = (place || mask) && !self.busy();
        let button = |ui: &mut egui::Ui| widgets::icon_button(ui, icons::EXPORT, "Save what was followed");
        let response = ui.add_enabled_ui(any, button).inner;
        widgets::menu(&response).show(|ui| {
            ui.set_min_width(220.0);
            for (kind, there, label, name) in [
                (FollowExportKind::Film, true, "Film (GIF) …", "followed.gif"),
                (FollowExportKind::Csv, place, "Track as a table (CSV) …", "track.csv"),
                (FollowExportKind::Json, place, "Track as JSON …", "track.json"),
                (FollowExportKind::Masks, mask, "Masks …", "masks.gif"),
            ] {
                if ui.add_enabled_ui(there, |ui| ui.button(label)).inner.clicked() {
                    self.ask(kind, name, dialogs);
                    ui.close();
                }
            }
        });
    }

    /// Asks where it goes.
    fn ask(&mut self, kind: FollowExportKind, name: &str, dialogs: &FileDialogs) {
        self.pending = Some(kind);
        // A page is given no folder to put pictures into: there masks are a film.
        match kind == FollowExportKind::Masks && HAS_DISK {
            true => dialogs.ask(DialogPurpose::SaveMasks, ""),
            false => dialogs.ask(DialogPurpose::SaveFollowed, name),
        }
    }
}

impl FollowPanel {
    /// Begins to write once it is known where to.
    pub(super) fn export_logic(&mut self, dialogs: &FileDialogs, wake: &Wake) {
        for purpose in [DialogPurpose::SaveFollowed, DialogPurpose::SaveMasks] {
            let Some(answer) = dialogs.answer(purpose) else { continue };
            let (to, kind) = (answer.into_iter().next(), self.export.pending.take());
            if let (Some(to), false) = (to, self.export.busy()) {
                // Whoever answers without being asked, as a test, says it by the name.
                let kind = kind.unwrap_or_else(|| of_name(&to, purpose));
                let frames = self.followed();
                self.export.progress = None;
                self.export.work = Some(BackgroundTask::start("followed", wake, move |events, stop| {
                    let written = write(kind, &frames, &to, events, stop);
                    let said = if stop.asked() { Ok("Saving was given up.".to_owned()) } else { written };
                    events.say(FollowExportEvent::Over(said));
                }));
            }
        }
    }

    /// All frames in which something was followed.
    fn followed(&self) -> Vec<FollowedFrame> {
        let frame = |(at, frame): (usize, &FollowFrame)| {
            let grid = self.features.get(at).and_then(Option::as_ref).map(|seen| (seen.rows, seen.cols));
            let followed = FollowedFrame {
                number: at + 1,
                frame: frame.clone(),
                place: self.track.at(at),
                mask: self.masks.at(at).cloned().zip(grid),
            };
            (followed.place.is_some() || followed.mask.is_some()).then_some(followed)
        };
        self.loader.frames.iter().enumerate().filter_map(frame).collect()
    }
}

fn of_name(to: &Path, purpose: DialogPurpose) -> FollowExportKind {
    match to.extension().and_then(|kind| kind.to_str()) {
        _ if purpose == DialogPurpose::SaveMasks => FollowExportKind::Masks,
        Some("csv") => FollowExportKind::Csv,
        Some("json") => FollowExportKind::Json,
        _ => FollowExportKind::Film,
    }
}

fn write(
    kind: FollowExportKind,
    frames: &[FollowedFrame],
    to: &Path,
    events: &TaskEventSender<FollowExportEvent>,
    stop: &CancelFlag,
) -> Result<String, String> {
    let total = frames.len();
    let mut progress = |done| {
        events.say(FollowExportEvent::Done(done, total));
        !stop.asked()
    };
    match kind {
        FollowExportKind::Film => film(frames, to, &mut progress, &drawn).map_err(|e| e.to_string())?,
        FollowExportKind::Csv => {
            write_atomic(to, csv(&rows(frames)).as_bytes()).map_err(|e| e.to_string())?;
        }
        FollowExportKind::Json => {
            let text = serde_json::to_string_pretty(&rows(frames)).map_err(|e| e.to_string())?;
            write_atomic(to, text.as_bytes()).map_err(|e| e.to_string())?;
        }
        FollowExportKind::Masks if HAS_DISK => {
            let made = masks(frames, to, &mut progress).map_err(|e| e.to_string())?;
            return Ok(format!("{made} masks saved in {}", to.display()));
        }
        FollowExportKind::Masks => film(frames, to, &mut progress, &mask).map_err(|e| e.to_string())?,
    }
    Ok(format!("Saved {}", names::saved(to)))
}

fn rows(frames: &[FollowedFrame]) -> Vec<TrackRow> {
    let row = |frame: &FollowedFrame| {
        let FoundPlace { place, grid } = frame.place?;
        Some(TrackRow::new((frame.number, &frame.frame.file), place, frame.frame.size, grid))
    };
    frames.iter().filter_map(row).collect()
}

/// Shares of the pixels of a frame as it is drawn.
fn shares(frame: &FollowedFrame) -> Result<Option<Vec<f32>>, AnalysisError> {
    let size = [frame.frame.picture.width, frame.frame.picture.height];
    frame.mask.as_ref().map(|(shares, grid)| of_pixels(shares, *grid, size)).transpose()
}

fn drawn(frames: &[FollowedFrame], at: usize) -> Result<Picture, AnalysisError> {
    let frame = &frames[at];
    let way: Vec<[f32; 2]> =
        frames[..=at].iter().filter_map(|frame| frame.place.map(|found| found.share())).collect();
    let way = if frame.place.is_some() { way } else { Vec::new() };
    let seen = frame.place.is_none_or(|found| found.place.seen);
    Ok(draw_frame(&frame.frame.picture, shares(frame)?.as_deref(), &way, seen))
}

fn mask(frames: &[FollowedFrame], at: usize) -> Result<Picture, AnalysisError> {
    let picture = &frames[at].frame.picture;
    let size = [picture.width, picture.height];
    let shares = shares(&frames[at])?.unwrap_or_else(|| vec![0.0; size[0] * size[1]]);
    Ok(mask_picture(&shares, size))
}

/// Draws the frame at a place.
type DrawFollowed = dyn Fn(&[FollowedFrame], usize) -> Result<Picture, AnalysisError>;

fn film(
    frames: &[FollowedFrame],
    to: &Path,
    progress: &mut dyn FnMut(usize) -> bool,
    draw: &DrawFollowed,
) -> Result<(), TimelapseError> {
    let most = |side: fn(&Picture) -> usize| {
        frames.iter().map(|frame| side(&frame.frame.picture)).max().unwrap_or(0)
    };
    let size = (most(|picture| picture.width), most(|picture| picture.height));
    let mut each = |at: usize| Ok(draw(frames, at)?);
    export_drawn_gif((frames.len(), &mut each), size, to, FRAME_MS, FILM_SIDE, progress)
}

/// A picture for each frame that has a mask, as large as the frame is in its file; how many there are.
fn masks(
    frames: &[FollowedFrame],
    folder: &Path,
    progress: &mut dyn FnMut(usize) -> bool,
) -> Result<usize, AnalysisError> {
    let making = |source| AnalysisError::Write { path: folder.display().to_string(), source };
    files::create_dir_all(folder).map_err(making)?;
    let mut made = 0;
    for (done, frame) in frames.iter().enumerate() {
        if let Some((shares, grid)) = &frame.mask {
            let shares = of_pixels(shares, *grid, frame.frame.size)?;
            let file: PathBuf = folder.join(format!("{:06}.png", frame.number));
            write_png(&file, &mask_picture(&shares, frame.frame.size))?;
            made += 1;
        }
        if !progress(done + 1) {
            break;
        }
    }
    Ok(made)
}

//! `dinoscope follow`: a place, or a mask, of the first frame through all frames behind it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dinoscope_core::analysis::follow::drawing::{draw_frame, mask_picture, of_pixels};
use dinoscope_core::analysis::follow::propagation::{MaskPropagator, PropagationOptions};
use dinoscope_core::analysis::follow::track::{self, TrackRow};
use dinoscope_core::analysis::follow::{FollowOptions, PatchFollower, TrackedPlace};
use dinoscope_core::analysis::image_out::write_png;
use dinoscope_core::analysis::{PatchFeatures, write_atomic};
use dinoscope_core::burn::tensor::Device;
use dinoscope_core::data::augment::resize_to;
use dinoscope_core::data::decode::animation::each_frame;
use dinoscope_core::data::decode::decode_file;
use dinoscope_core::data::source::listing::list;
use dinoscope_core::data::source::pattern::{self, is_pattern};
use dinoscope_core::data::{DataError, Picture};
use dinoscope_core::device::block_on;
use dinoscope_core::features::{view_features, whole_view};
use dinoscope_core::fused::MatmulPrecision;
use dinoscope_core::model::Vit;
use dinoscope_core::train::film::export_gif;

use super::progress::CliProgress;
use super::status::CliExitStatus;
use super::terminal::{note, out};
use super::{UsageError, load};

/// Longest side of the film.
const FILM_SIDE: u32 = 720;

/// Follow a place, or a mask, through frames.
#[derive(clap::Args)]
pub struct FollowArgs {
    /// Frames in their order: pictures, a folder (in the order of names), patterns ('shots/*.jpg'), or one animated GIF, WebP
    /// or PNG.
    #[arg(required = true)]
    frames: Vec<PathBuf>,
    /// The place to follow, in pixels of the first frame from its left upper corner.
    #[arg(long, value_name = "X,Y", value_parser = place, required_unless_present = "mask")]
    at: Option<(f32, f32)>,
    /// A picture as large as the first frame in which all that is not black is to be followed: each frame's mask is written to
    /// masks/.
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
    /// A weights file, a Hugging Face folder, a run (its folder or .zip), a checkpoint, the name of a pulled model, or
    /// `starter`.
    #[arg(long)]
    weights: PathBuf,
    /// Of several backbones in a file, the one with this prefix or word in it, such as teacher, student or ema
    /// [default: a teacher or another average]. `FILE#NAME` means the same.
    #[arg(long, value_name = "NAME")]
    part: Option<String>,
    /// Attention heads of weights that do not say how many they have. `FILE#heads=N` means the same.
    #[arg(long, value_name = "N", value_parser = load::heads)]
    heads: Option<usize>,
    /// Where track.csv, follow.gif and its frames go; made if it is not there.
    #[arg(long)]
    out: PathBuf,
    /// Shorter side that frames are resized to [default: that of the stored position grid, at least 32 patches].
    #[arg(long)]
    resolution: Option<usize>,
    /// A best match less similar than this is none: the place is out of sight. From -1 to 1.
    #[arg(long, default_value_t = 0.5)]
    threshold: f32,
    /// How far the place may go from one frame to the next, in patches; 0 for anywhere [default: a quarter of the frame's
    /// shorter side].
    #[arg(long, value_name = "PATCHES")]
    radius: Option<f32>,
    /// What factors of matrix products are rounded to on the CPU: f32, or bf16, which processors with VDPBF16PS multiply up
    /// to twice as fast.
    #[arg(long, default_value = "f32", value_name = "PRECISION", value_parser = load::products)]
    matmul_precision: MatmulPrecision,
    /// Milliseconds that the film shows a frame.
    #[arg(long, default_value_t = 100, value_name = "MS", value_parser = clap::value_parser!(u32).range(20..=10_000))]
    frame_ms: u32,
    /// auto, cpu, gpu or gpu:N [default: as `dinoscope config` shows; auto at first].
    #[arg(long)]
    device: Option<String>,
    /// One JSON object per frame.
    #[arg(long)]
    json: bool,
}

fn place(text: &str) -> Result<(f32, f32), String> {
    let number = |text: &str| text.trim().parse::<f32>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let parsed = text.split_once(',').and_then(|(x, y)| Some((number(x)?, number(y)?)));
    parsed.ok_or_else(|| "expected X,Y in pixels, for instance 120,85".to_owned())
}

/// Follows, and writes what was found.
pub fn run(arguments: &FollowArgs) -> Result<CliExitStatus> {
    let wrong = |radius: f32| radius.is_nan() || radius < 0.0;
    if !(-1.0..=1.0).contains(&arguments.threshold) || arguments.radius.is_some_and(wrong) {
        bail!(UsageError("--threshold is from -1 to 1, and --radius not negative".to_owned()));
    }
    let files = frame_files(&arguments.frames)?;
    let chosen = load::device(arguments.device.as_deref(), arguments.json)?;
    let _products = load::products_on(arguments.matmul_precision, &chosen).scope();
    let weights = load::with_part(&arguments.weights, arguments.part.as_deref(), arguments.heads);
    let backbone = load::backbone(&weights, &chosen.device, arguments.json)?;
    load::colours_alone(backbone.config.channels(), "follow", "name a model of colours")?;
    let frames = arguments.out.join("frames");
    std::fs::create_dir_all(&frames)
        .map_err(|e| UsageError(format!("can't make the folder {}: {e}", frames.display())))?;
    let mut job = FollowJob {
        arguments,
        backbone: &backbone,
        device: &chosen.device,
        resolution: arguments.resolution.unwrap_or(backbone.config.view_side()),
        state: None,
        track: Vec::new(),
        trail: Vec::new(),
        drawn: Vec::new(),
        seen: 0,
    };
    let mut progress = CliProgress::new(files.len() as u64, "files", arguments.json);
    for (i, file) in files.iter().enumerate() {
        each_frame(file, &mut |picture| -> Result<bool> {
            job.frame(file, picture)?;
            Ok(true)
        })?;
        progress.set(i as u64 + 1, file.display().to_string());
    }
    progress.finish();
    job.complete()
}

/// The files that are named, in the order that they are named; those of folders and patterns in the order of their names.
fn frame_files(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        let text = path.to_string_lossy();
        if path.is_dir() {
            files.extend(list(path)?.0);
        } else if is_pattern(&text) && !path.exists() {
            files.extend(pattern::matches(&text).map_err(UsageError)?);
        } else {
            files.push(path.clone());
        }
    }
    if files.is_empty() {
        bail!(UsageError("there are no pictures in what was named".to_owned()));
    }
    Ok(files)
}

/// What goes from frame to frame.
struct FollowState {
    follower: Option<PatchFollower>,
    propagator: Option<MaskPropagator>,
}

struct FollowJob<'a> {
    arguments: &'a FollowArgs,
    backbone: &'a Vit,
    device: &'a Device,
    resolution: usize,
    /// From the first frame on.
    state: Option<FollowState>,
    /// The table so far.
    track: Vec<TrackRow>,
    /// Places in shares of the frame.
    trail: Vec<[f32; 2]>,
    drawn: Vec<(u64, PathBuf)>,
    seen: usize,
}

impl FollowJob<'_> {
    fn frame(&mut self, file: &Path, picture: Picture) -> Result<()> {
        let view = whole_view(&picture, self.resolution, self.backbone.config.patch);
        let features = block_on(view_features(self.backbone, &view, self.device))?.patches;
        let (found, labels) = match &mut self.state {
            Some(state) => {
                let found = state.follower.as_mut().map(|follower| follower.next(&features)).transpose();
                let of_frame = || format!("{}: frame {}", file.display(), self.drawn.len() + 1);
                let labels = state.propagator.as_mut().map(|propagator| propagator.next(&features));
                (found.with_context(of_frame)?, labels.transpose().with_context(of_frame)?)
            }
            None => self.begin(&picture, &features)?,
        };
        let number = self.drawn.len() as u64 + 1;
        let mask = labels.map(|labels| self.mask(number, &labels, &features, &picture)).transpose()?;
        let mut seen = true;
        if let Some(found) = found {
            self.note(number, file, found, &features, &picture);
            seen = found.seen;
        }
        let drawn = draw_frame(&picture, mask.as_deref(), &self.trail, seen);
        let path = self.arguments.out.join("frames").join(format!("{number:06}.png"));
        write_png(&path, &drawn)?;
        self.drawn.push((number, path));
        Ok(())
    }

    /// Takes up what is to be followed.
    fn begin(
        &mut self,
        picture: &Picture,
        features: &PatchFeatures,
    ) -> Result<(Option<TrackedPlace>, Option<Vec<f32>>)> {
        let (width, height) = (picture.width as f32, picture.height as f32);
        let mut found = None;
        let follower = match self.arguments.at {
            None => None,
            Some((x, y)) if x >= width || y >= height => bail!(UsageError(format!(
                "--at {x},{y} is outside of the first frame, which has {} × {} pixels",
                picture.width, picture.height
            ))),
            Some((x, y)) => {
                let usual = FollowOptions::usual(features.rows, features.cols);
                let radius = match self.arguments.radius {
                    Some(0.0) => f32::INFINITY,
                    Some(radius) => radius,
                    None => usual.radius,
                };
                let options = FollowOptions { threshold: self.arguments.threshold, radius };
                let (follower, place) =
                    PatchFollower::from_share(features, [x / width, y / height], options)?;
                found = Some(place);
                Some(follower)
            }
        };
        let labels = match &self.arguments.mask {
            None => None,
            Some(file) => Some(mask_labels(file, picture, features)?),
        };
        let propagator = labels
            .clone()
            .map(|labels| MaskPropagator::new(features, labels, 1, PropagationOptions::default()));
        self.state = Some(FollowState { follower, propagator: propagator.transpose()? });
        Ok((found, labels))
    }

    /// A line of the table, and one of the output.
    fn note(
        &mut self,
        number: u64,
        file: &Path,
        found: TrackedPlace,
        features: &PatchFeatures,
        picture: &Picture,
    ) {
        let (size, grid) = ([picture.width, picture.height], (features.rows, features.cols));
        let row = TrackRow::new((number as usize, &file.display().to_string()), found, size, grid);
        if self.arguments.json {
            out!("{}", serde_json::json!(row));
        }
        self.seen += usize::from(found.seen);
        self.trail.push(found.share(features.rows, features.cols));
        self.track.push(row);
    }

    /// Writes the mask of a frame; shares between 0 and 1 for each pixel.
    fn mask(
        &self,
        number: u64,
        labels: &[f32],
        features: &PatchFeatures,
        picture: &Picture,
    ) -> Result<Vec<f32>> {
        let size = [picture.width, picture.height];
        let shares = of_pixels(labels, (features.rows, features.cols), size)?;
        let folder = self.arguments.out.join("masks");
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        write_png(&folder.join(format!("{number:06}.png")), &mask_picture(&shares, size))?;
        Ok(shares)
    }

    /// The table and the film.
    fn complete(self) -> Result<CliExitStatus> {
        let (folder, frames) = (&self.arguments.out, self.drawn.len());
        if self.arguments.at.is_some() {
            write_atomic(&folder.join("track.csv"), track::csv(&self.track).as_bytes())?;
        }
        let film = folder.join("follow.gif");
        let mut encoding = CliProgress::new(frames as u64, "frames of the film", self.arguments.json);
        export_gif(&self.drawn, &film, self.arguments.frame_ms, FILM_SIDE, &mut |done| {
            encoding.set(done as u64, film.display().to_string());
            true
        })?;
        encoding.finish();
        if self.arguments.json {
            let summary = serde_json::json!({ "event": "done", "frames": frames, "seen": self.seen });
            out!("{summary}");
            return Ok(CliExitStatus::Done);
        }
        if self.arguments.at.is_some() {
            out!("seen in {} of {frames} frames: {}", self.seen, folder.join("track.csv").display());
        }
        out!("{}", film.display());
        if frames == 1 {
            note!("there is one frame alone: name more pictures, a folder or an animation");
        }
        Ok(CliExitStatus::Done)
    }
}

/// How much of each patch a mask covers, `[patches]`.
fn mask_labels(file: &Path, picture: &Picture, features: &PatchFeatures) -> Result<Vec<f32>> {
    let mask = decode_file(file)?;
    if (mask.width, mask.height) != (picture.width, picture.height) {
        bail!(UsageError(format!(
            "the mask {} has {} × {} pixels, and the first frame {} × {}",
            file.display(),
            mask.width,
            mask.height,
            picture.width,
            picture.height
        )));
    }
    let white = |pixel: &[u8; 3]| [if pixel.iter().any(|value| *value > 0) { 255 } else { 0 }; 3];
    let rgb: Vec<u8> = mask.rgb.as_chunks::<3>().0.iter().flat_map(white).collect();
    if rgb.iter().all(|value| *value == 0) {
        let reason = "is black everywhere: there is nothing to follow".to_owned();
        return Err(DataError::Decode { name: file.display().to_string(), reason }.into());
    }
    let small = resize_to(&Picture { rgb, ..mask }, features.cols, features.rows);
    Ok(small.rgb.as_chunks::<3>().0.iter().map(|pixel| f32::from(pixel[0]) / 255.0).collect())
}

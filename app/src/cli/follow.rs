//! `dinoscope follow`: a place, or a mask, of the first frame through all frames behind it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dinoscope_core::analysis::canvas::{Colour, PictureCanvas, mixed};
use dinoscope_core::analysis::follow::{FollowOptions, PatchFollower, TrackedPlace};
use dinoscope_core::analysis::image_out::{UpsampleFilter, upsample_values, write_png};
use dinoscope_core::analysis::propagation::{MaskPropagator, PropagationOptions};
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
/// Colour of what is followed, and of what is out of sight.
const ACCENT: Colour = [255, 138, 31];
const LOST: Colour = [150, 150, 150];

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
    let frames = arguments.out.join("frames");
    std::fs::create_dir_all(&frames)
        .map_err(|e| UsageError(format!("can't make the folder {}: {e}", frames.display())))?;
    let mut job = FollowJob {
        arguments,
        backbone: &backbone,
        device: &chosen.device,
        resolution: arguments.resolution.unwrap_or(backbone.config.view_side()),
        state: None,
        track: "frame,file,x,y,similarity,seen\n".to_owned(),
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
    track: String,
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
        let mut canvas = PictureCanvas::new(picture.width, picture.height, [0, 0, 0]);
        match &labels {
            Some(labels) => {
                let mask = self.mask(number, labels, &features, &picture)?;
                canvas.paste(&tinted(&picture, &mask), 0, 0);
            }
            None => canvas.paste(&picture, 0, 0),
        }
        if let Some(found) = found {
            self.note(number, file, found, &features, &picture)?;
            self.draw(&mut canvas, found, &picture);
        }
        let path = self.arguments.out.join("frames").join(format!("{number:06}.png"));
        write_png(&path, &canvas.picture())?;
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
                let row = y / height * features.rows as f32 - 0.5;
                let col = x / width * features.cols as f32 - 0.5;
                // Within the outermost half patch there is none further out.
                let inside = |at: f32, count: usize| at.clamp(0.0, count as f32 - 1.0);
                let (row, col) = (inside(row, features.rows), inside(col, features.cols));
                found = Some(TrackedPlace { row, col, similarity: 1.0, seen: true });
                let radius = match self.arguments.radius {
                    Some(0.0) => f32::INFINITY,
                    Some(radius) => radius,
                    None => features.rows.min(features.cols) as f32 / 4.0,
                };
                let options = FollowOptions { threshold: self.arguments.threshold, radius };
                Some(PatchFollower::new(features, (row, col), options)?)
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
    ) -> Result<()> {
        let share = [(found.col + 0.5) / features.cols as f32, (found.row + 0.5) / features.rows as f32];
        let (x, y) = (share[0] * picture.width as f32, share[1] * picture.height as f32);
        let TrackedPlace { similarity, seen, .. } = found;
        let name = file.display().to_string();
        let quoted = name.replace('"', "\"\"");
        writeln!(self.track, "{number},\"{quoted}\",{x:.2},{y:.2},{similarity:.4},{seen}")?;
        if self.arguments.json {
            out!(
                "{}",
                serde_json::json!({
                    "frame": number, "file": name, "x": x, "y": y, "similarity": similarity, "seen": seen,
                })
            );
        }
        self.seen += usize::from(seen);
        self.trail.push(share);
        Ok(())
    }

    /// The place as a ring, with the way that it came.
    fn draw(&self, canvas: &mut PictureCanvas, found: TrackedPlace, picture: &Picture) {
        let (width, height) = (picture.width as f32, picture.height as f32);
        let size = (width.min(height) / 40.0).max(4.0);
        let colour = if found.seen { ACCENT } else { LOST };
        let at = |share: &[f32; 2]| [share[0] * width, share[1] * height];
        for pair in self.trail.windows(2) {
            canvas.line(at(&pair[0]), at(&pair[1]), (size / 6.0).max(1.0), mixed(colour, [255; 3], 0.4));
        }
        if let Some([x, y]) = self.trail.last().map(at) {
            canvas.disc(x, y, size * 1.25, size * 0.65, [0, 0, 0], 0.5);
            canvas.disc(x, y, size * 1.15, size * 0.75, colour, 1.0);
        }
    }

    /// Writes the mask of a frame; shares between 0 and 1 for each pixel.
    fn mask(
        &self,
        number: u64,
        labels: &[f32],
        features: &PatchFeatures,
        picture: &Picture,
    ) -> Result<Vec<f32>> {
        let (rows, cols) = (features.rows, features.cols);
        let (width, height) = (picture.width, picture.height);
        let shares = upsample_values(labels, rows, cols, width, height, UpsampleFilter::Bilinear)?;
        let folder = self.arguments.out.join("masks");
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let rgb = shares.iter().flat_map(|share| [if *share > 0.5 { 255 } else { 0 }; 3]).collect();
        write_png(&folder.join(format!("{number:06}.png")), &Picture { width, height, rgb })?;
        Ok(shares)
    }

    /// The table and the film.
    fn complete(self) -> Result<CliExitStatus> {
        let (folder, frames) = (&self.arguments.out, self.drawn.len());
        if self.arguments.at.is_some() {
            write_atomic(&folder.join("track.csv"), self.track.as_bytes())?;
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

/// The picture with a mask laid over it.
fn tinted(picture: &Picture, mask: &[f32]) -> Picture {
    let pixels = picture.rgb.as_chunks::<3>().0.iter().zip(mask);
    let rgb =
        pixels.flat_map(|(pixel, share)| if *share > 0.5 { mixed(*pixel, ACCENT, 0.55) } else { *pixel });
    Picture { rgb: rgb.collect(), ..*picture }
}

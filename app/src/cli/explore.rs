//! `dinoscope explore`: the window, or a picture of it without a display.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;
use dinoscope_core::analysis::write_atomic;
use dinoscope_core::explore::ModelSource;
use dinoscope_core::train::archive;
use dinoscope_core::train::follow::RunFolderReader;
use dinoscope_core::weights::download;

use super::status::{CliExitStatus, FailedInputs};
use super::terminal::warning;
use super::{UsageError, load, settings};
use crate::desktop::{self, RendererChoice, headless::HeadlessWindow};
use crate::studio::app_context::RenderBackend;
use crate::studio::evaluate::{EvaluationConfig, EvaluationKind};
use crate::studio::explore::ExplorePanel;
use crate::studio::panels::Workspace;
use crate::studio::{StartupOptions, StudioApp};

/// Open the studio: drop pictures in, see what a model sees.
#[derive(clap::Args, Default)]
pub struct ExploreArgs {
    /// Pictures and folders to open.
    images: Vec<PathBuf>,
    /// A weights file, a Hugging Face folder, a run (its folder or .zip), a checkpoint, the name of a released model, or
    /// `starter` [default: the starter weights].
    #[arg(long)]
    weights: Option<PathBuf>,
    /// Of several backbones in a file, the one with this prefix or word in it, such as teacher, student or ema
    /// [default: a teacher or another average]. `FILE#NAME` means the same.
    #[arg(long, value_name = "NAME", requires = "weights")]
    part: Option<String>,
    /// Attention heads of weights that do not say how many they have. `FILE#heads=N` means the same.
    #[arg(long, value_name = "N", value_parser = load::heads, requires = "weights")]
    heads: Option<usize>,
    /// A second model to compare with, named as with --weights; `FILE#NAME` chooses among several backbones of a file.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// What to show.
    #[arg(long, value_enum)]
    panel: Option<PanelName>,
    /// auto, cpu, gpu or gpu:N [default: as `dinoscope config` shows, else what was chosen last].
    #[arg(long)]
    device: Option<String>,
    /// Show this run in the Train workspace, and follow it while another program goes on with it.
    #[arg(long)]
    run: Option<PathBuf>,
    /// Show this folder of curation, which `dinoscope curate embed` has filled, in the Curate workspace.
    #[arg(long, value_name = "DIR")]
    curate: Option<PathBuf>,
    /// Which workspace shows [default: explore; train with --run; evaluate with --evaluate; curate with --curate].
    #[arg(long, value_enum)]
    workspace: Option<WorkspaceName>,
    /// Evaluate the weights on the built-in scenes at once: knn, linear, … as under `dinoscope eval`.
    #[arg(long, alias = "judge", value_name = "NAME,NAME", value_delimiter = ',', value_parser = kind)]
    evaluate: Vec<EvaluationKind>,
    /// What the window says first.
    #[arg(long, hide = true)]
    note: Option<String>,
    /// What draws the window: a GPU where there is one and else the processor, or the one that is named.
    #[arg(long, value_enum, default_value_t)]
    draw: RendererChoice,
    /// Draw the window into this PNG, without a display, and end.
    #[arg(long, value_name = "OUT.png", value_parser = png)]
    screenshot: Option<PathBuf>,
    #[command(flatten)]
    shot: ScreenshotArgs,
}

/// How a picture of the window is taken.
#[derive(clap::Args, Clone, Default)]
pub struct ScreenshotArgs {
    /// Size of the window in a screenshot, in points.
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1280x800", value_parser = size)]
    window_size: WindowSize,
    /// Pixels per point in a screenshot: 0.25 to 4.
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    scale: f32,
    /// The light theme in a screenshot.
    #[arg(long)]
    light: bool,
}

/// Width and height in points.
#[derive(Clone, Copy)]
struct WindowSize(f32, f32);

impl Default for WindowSize {
    fn default() -> Self {
        Self(1280.0, 800.0)
    }
}

fn size(text: &str) -> Result<WindowSize, String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match parsed {
        Some((w, h)) if (320.0..=8192.0).contains(&w) && (240.0..=8192.0).contains(&h) => {
            Ok(WindowSize(w, h))
        }
        _ => Err("expected WIDTHxHEIGHT in points, for instance 1280x800".to_owned()),
    }
}

fn scale(text: &str) -> Result<f32, String> {
    let parsed = text.parse().ok().filter(|scale| (0.25..=4.0).contains(scale));
    parsed.ok_or_else(|| "expected a number from 0.25 to 4".to_owned())
}

/// A name for a screenshot.
pub fn png(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(kind) if kind.eq_ignore_ascii_case("png") => Ok(path),
        _ => Err("a screenshot is a PNG: give it a name that ends in .png".to_owned()),
    }
}

/// Whether a screenshot can go there, before any work is done for it.
pub fn check_target(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!(UsageError(format!("{}: there is no folder {}", path.display(), folder.display())));
    }
    if path.is_dir() {
        bail!(UsageError(format!("{} is a folder", path.display())));
    }
    Ok(())
}

/// Whether a run can be shown.
fn check_run(run: &Path) -> Result<()> {
    if !run.exists() {
        bail!(UsageError(format!("{}: no such folder", run.display())));
    }
    if archive::is_archive(run) {
        bail!(UsageError(format!(
            "{0} holds a run in one file: drop it on the window, or unpack it and go on by `dinoscope train --resume {0}`",
            run.display()
        )));
    }
    RunFolderReader::open(run)?;
    Ok(())
}

#[derive(Clone, Copy, ValueEnum)]
enum WorkspaceName {
    Explore,
    Train,
    Evaluate,
    Curate,
}

impl From<WorkspaceName> for Workspace {
    fn from(name: WorkspaceName) -> Self {
        match name {
            WorkspaceName::Explore => Self::Explore,
            WorkspaceName::Train => Self::Train,
            WorkspaceName::Evaluate => Self::Evaluate,
            WorkspaceName::Curate => Self::Curate,
        }
    }
}

fn kind(text: &str) -> Result<EvaluationKind, String> {
    let ids = || EvaluationKind::all().map(EvaluationKind::id).collect::<Vec<_>>().join(", ");
    EvaluationKind::with_id(text).ok_or_else(|| format!("expected one of {}", ids()))
}

#[derive(Clone, Copy, ValueEnum)]
enum PanelName {
    Pca,
    Attention,
    Similarity,
    Match,
}

impl From<PanelName> for ExplorePanel {
    fn from(name: PanelName) -> Self {
        match name {
            PanelName::Pca => Self::Pca,
            PanelName::Attention => Self::Attention,
            PanelName::Similarity => Self::Similarity,
            PanelName::Match => Self::Match,
        }
    }
}

/// Longest that a screenshot waits for what it shows without any of it coming.
const PATIENCE: Duration = Duration::from_secs(600);

/// Opens the window, or takes the picture.
pub fn run(arguments: ExploreArgs) -> Result<CliExitStatus> {
    if let Some(to) = &arguments.screenshot {
        check_target(to)?;
    }
    if let Some(run) = &arguments.run {
        check_run(run)?;
    }
    let named = |path: &Path, part: Option<&str>, heads: Option<usize>| match path.to_str() {
        Some(name) if !path.exists() && download::find(name).is_some() => {
            ModelSource::Released(name.to_owned())
        }
        _ => load::source(&load::with_part(path, part, heads)),
    };
    let weights = arguments.weights.map(|path| named(&path, arguments.part.as_deref(), arguments.heads));
    let against = arguments.against.map(|path| named(&path, None, None));
    for source in weights.iter().chain(&against) {
        if let ModelSource::Path(path) = source {
            dinoscope_core::explore::weights_file(path)?;
        }
    }
    for path in &arguments.images {
        if !path.exists() {
            bail!(UsageError(format!("{} does not exist", path.display())));
        }
    }
    let settled = settings::get();
    let device = match &arguments.device {
        Some(flag) => Some(load::choice(Some(flag))?),
        None => settled.device.said(),
    };
    let workspace = match (arguments.workspace, &arguments.run) {
        (Some(name), _) => name.into(),
        (None, _) if !arguments.evaluate.is_empty() => Workspace::Evaluate,
        (None, Some(_)) => Workspace::Train,
        (None, None) if arguments.curate.is_some() => Workspace::Curate,
        (None, None) => Workspace::Explore,
    };
    let evaluate = (!arguments.evaluate.is_empty()).then(|| EvaluationConfig {
        kinds: arguments.evaluate.iter().copied().collect(),
        ..EvaluationConfig::default()
    });
    let startup = StartupOptions {
        device,
        pictures: arguments.images,
        weights,
        against,
        panel: arguments.panel.map(ExplorePanel::from),
        workspace,
        evaluate,
        curate: arguments.curate,
        run: arguments.run,
        note: arguments.note,
        runs: settled.runs.said(),
        theme: settled.theme.said(),
        fresh: arguments.screenshot.is_some(),
        ..StartupOptions::default()
    };
    match arguments.screenshot {
        Some(to) => screenshot(startup, &arguments.shot, &to),
        None => Ok(desktop::run(startup, arguments.draw)?.into()),
    }
}

/// Draws the window once everything it shows is there, and says what of it could not be had.
pub fn screenshot(startup: StartupOptions, how: &ScreenshotArgs, to: &Path) -> Result<CliExitStatus> {
    let theme = if how.light { egui::Theme::Light } else { egui::Theme::Dark };
    let WindowSize(width, height) = how.window_size;
    let build = |ctx: &egui::Context| -> Box<dyn crate::studio::AppFrontend> {
        Box::new(StudioApp::new(ctx, RenderBackend::default(), startup))
    };
    let mut window = HeadlessWindow::new([width, height], how.scale, theme, build);
    let settled = window.settle(PATIENCE);
    let picture = window.screenshot();
    let (failures, shows) = (window.stage().failures().to_vec(), window.stage().shows());
    // A run that was started for the picture is saved, as when a window is closed.
    window.close();
    if !settled {
        bail!("the window was not done: nothing new came for {} s", PATIENCE.as_secs());
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png)?;
    write_atomic(to, bytes.get_ref())?;
    let mut left_out = FailedInputs::new(false);
    for failure in &failures {
        match failure.input {
            true => left_out.add(&failure.what, &failure.reason),
            false => warning!("{}: {}", failure.what, failure.reason),
        }
    }
    Ok(match (failures.is_empty(), shows) {
        (true, _) => CliExitStatus::Done,
        (false, true) => CliExitStatus::Partly,
        (false, false) if left_out.count() > 0 => CliExitStatus::Mistake,
        (false, false) => CliExitStatus::Fault,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_picture_can_be_made_of_is_refused_by_its_range() {
        for text in ["0", "NaN", "inf", "-1", "4.1", "x"] {
            assert!(scale(text).is_err_and(|reason| reason.contains("0.25 to 4")), "{text}");
        }
        assert_eq!((scale("0.25"), scale("2")), (Ok(0.25), Ok(2.0)));
        assert!(["x.jpg", "x", ".png", "png"].iter().all(|name| png(name).is_err()));
        assert_eq!(png("a/b.PNG"), Ok(PathBuf::from("a/b.PNG")));
    }
}

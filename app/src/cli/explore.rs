//! `dinoscope explore`: the window, or a picture of it without a display.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use dinoscope_core::device::DeviceChoice;
use dinoscope_core::explore::ModelSource;
use dinoscope_core::weights::download;

use super::Mistake;
use crate::desktop::{self, Draw, headless::Headless};
use crate::studio::explore::Panel;
use crate::studio::house::Drawing;
use crate::studio::judge::{Kind, Wish};
use crate::studio::layout::Workspace;
use crate::studio::{Beginning, Studio};

/// Open the studio: drop pictures in, see what a model sees.
#[derive(clap::Args, Default)]
pub struct Arguments {
    /// Pictures and folders to open.
    images: Vec<PathBuf>,
    /// A weights file, a Hugging Face folder, a run (its folder or .zip), a checkpoint, or the name of a released model
    /// [default: the starter weights].
    #[arg(long)]
    weights: Option<PathBuf>,
    /// What to show.
    #[arg(long, value_enum)]
    panel: Option<PanelName>,
    /// auto, cpu, gpu or gpu:N [default: what was chosen last].
    #[arg(long)]
    device: Option<String>,
    /// Show this run in the Train workspace, and follow it while another program goes on with it.
    #[arg(long)]
    run: Option<PathBuf>,
    /// Which workspace shows [default: explore; train with --run; evaluate with --judge].
    #[arg(long, value_enum)]
    workspace: Option<WorkspaceName>,
    /// Judge the weights on the built-in scenes at once: knn, linear, … as under `dinoscope eval`.
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', value_parser = kind)]
    judge: Vec<Kind>,
    /// What the window says first.
    #[arg(long, hide = true)]
    note: Option<String>,
    /// What draws the window: a GPU where there is one and else the processor, or the one that is named.
    #[arg(long, value_enum, default_value_t)]
    draw: Draw,
    /// Draw the window into this PNG, without a display, and end.
    #[arg(long, value_name = "OUT.png")]
    screenshot: Option<PathBuf>,
    #[command(flatten)]
    shot: ShotArguments,
}

/// How a picture of the window is taken.
#[derive(clap::Args, Clone, Default)]
pub struct ShotArguments {
    /// Size of the window in a screenshot, in points.
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1280x800", value_parser = size)]
    window_size: Size,
    /// Pixels per point in a screenshot.
    #[arg(long, default_value_t = 1.0)]
    scale: f32,
    /// The light theme in a screenshot.
    #[arg(long)]
    light: bool,
}

/// Width and height in points.
#[derive(Clone, Copy)]
struct Size(f32, f32);

impl Default for Size {
    fn default() -> Self {
        Self(1280.0, 800.0)
    }
}

fn size(text: &str) -> Result<Size, String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match parsed {
        Some((w, h)) if (320.0..=8192.0).contains(&w) && (240.0..=8192.0).contains(&h) => Ok(Size(w, h)),
        _ => Err("expected WIDTHxHEIGHT in points, for instance 1280x800".to_owned()),
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum WorkspaceName {
    Explore,
    Train,
    Evaluate,
}

impl From<WorkspaceName> for Workspace {
    fn from(name: WorkspaceName) -> Self {
        match name {
            WorkspaceName::Explore => Self::Explore,
            WorkspaceName::Train => Self::Train,
            WorkspaceName::Evaluate => Self::Evaluate,
        }
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    let names = || Kind::ALL.map(Kind::word).join(", ");
    let named = Kind::ALL.into_iter().find(|kind| kind.word() == text);
    named.ok_or_else(|| format!("expected one of {}", names()))
}

#[derive(Clone, Copy, ValueEnum)]
enum PanelName {
    Pca,
    Attention,
    Similarity,
    Match,
}

impl From<PanelName> for Panel {
    fn from(name: PanelName) -> Self {
        match name {
            PanelName::Pca => Self::Pca,
            PanelName::Attention => Self::Attention,
            PanelName::Similarity => Self::Similarity,
            PanelName::Match => Self::Match,
        }
    }
}

/// Longest that a screenshot waits for what it shows.
const PATIENCE: Duration = Duration::from_secs(600);

/// Opens the window, or takes the picture.
pub fn run(arguments: Arguments) -> Result<()> {
    let weights = arguments.weights.map(|path| match path.to_str() {
        Some(name) if !path.exists() && download::find(name).is_some() => {
            ModelSource::Released(name.to_owned())
        }
        _ => ModelSource::Path(path),
    });
    if let Some(ModelSource::Path(path)) = &weights {
        dinoscope_core::explore::weights_file(path)?;
    }
    for path in &arguments.images {
        if !path.exists() {
            bail!(Mistake(format!("{} does not exist", path.display())));
        }
    }
    let device = arguments.device.map(|name| name.parse::<DeviceChoice>()).transpose()?;
    let workspace = match (arguments.workspace, &arguments.run) {
        (Some(name), _) => name.into(),
        (None, _) if !arguments.judge.is_empty() => Workspace::Evaluate,
        (None, Some(_)) => Workspace::Train,
        (None, None) => Workspace::Explore,
    };
    let judge = (!arguments.judge.is_empty())
        .then(|| Wish { kinds: arguments.judge.iter().copied().collect(), ..Wish::default() });
    let beginning = Beginning {
        device,
        pictures: arguments.images,
        weights,
        panel: arguments.panel.map(Panel::from),
        workspace,
        judge,
        run: arguments.run,
        note: arguments.note,
        fresh: arguments.screenshot.is_some(),
        ..Beginning::default()
    };
    match arguments.screenshot {
        Some(to) => screenshot(beginning, &arguments.shot, &to),
        None => Ok(desktop::run(beginning, arguments.draw)?),
    }
}

/// Draws the window once everything it shows is there.
pub fn screenshot(beginning: Beginning, how: &ShotArguments, to: &std::path::Path) -> Result<()> {
    let theme = if how.light { egui::Theme::Light } else { egui::Theme::Dark };
    let Size(width, height) = how.window_size;
    let build = |ctx: &egui::Context| -> Box<dyn crate::studio::Stage> {
        Box::new(Studio::new(ctx, Drawing::default(), beginning))
    };
    let mut window = Headless::new([width, height], how.scale, theme, build);
    if !window.settle(PATIENCE) {
        bail!("the window was not done within {} s", PATIENCE.as_secs());
    }
    let picture = window.screenshot();
    // A run that was started for the picture is saved, as when a window is closed.
    window.close();
    picture.save(to).with_context(|| format!("writing {}", to.display()))?;
    Ok(())
}

//! `dinoscope train`: a run on a person's pictures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dinoscope_core::data::source::builtin::SharedPlace;
use dinoscope_core::data::source::places::SourcePaths;
use dinoscope_core::engine::{RunEvent, RunRanks, TrainJob};
use dinoscope_core::ssl::RankGroup;
use dinoscope_core::train::run::RunFolder;
use dinoscope_core::train::{Recipe, adapt, archive, own, paths, presets, resume, sources, start};

use super::status::CliExitStatus;
use super::terminal::{self, note, out};
use super::{UsageError, explore, json, load, ranks, run};
use crate::studio::StartupOptions;
use crate::studio::panels::Workspace;
use crate::studio::train::AutoStartRequest;

/// Train a model on your pictures.
#[derive(clap::Args)]
pub struct TrainArgs {
    /// A recipe file, or the name of a preset: own (the starter weights, or those of --start, go on learning on your pictures,
    /// in minutes), nano, tiny, small, vits14, vitb14, vitl14, vitg14, vitl16-short.
    recipe: Option<PathBuf>,
    /// A folder of pictures (nested), a list of pictures (FILE.txt, a path a line; FILE.csv or FILE.parquet with the columns path
    /// and label), a pattern, an IDX images file, or built-in pictures: scenes, scenes:easy, scenes:varied, procedural. Given again,
    /// all of them together; PLACE*SHARE says in which shares: --data 'photos*0.7' --data 'procedural*0.3'.
    #[arg(long, value_name = "PLACE")]
    data: Vec<PathBuf>,
    /// Take the names of subfolders, or the column `label` of a table, as labels, to measure k-NN accuracy during training.
    #[arg(long)]
    labels: bool,
    /// Start from weights, for instance a released model: a file, a Hugging Face folder, a run, a pulled model, `starter`.
    /// Their sizes replace the recipe's.
    #[arg(long, value_name = "WEIGHTS", conflicts_with = "adapt")]
    start: Option<PathBuf>,
    /// Of several backbones in the file of --start, the one with this prefix or word in it, such as teacher, student or ema
    /// [default: a teacher or another average]. `FILE#NAME` means the same.
    #[arg(long, value_name = "NAME", requires = "start")]
    part: Option<String>,
    /// Attention heads of weights that do not say how many they have. `FILE#heads=N` means the same.
    #[arg(long, value_name = "N", value_parser = load::heads, requires = "start")]
    heads: Option<usize>,
    /// Train only the heads for so many steps and hold the backbone that --start brings.
    #[arg(long, value_name = "STEPS", requires = "start")]
    hold_backbone: Option<u64>,
    /// Adapt a run to larger pictures: goes on from its student, teacher and heads, with all schedules compressed.
    #[arg(long, value_name = "RUN", requires = "resolution", conflicts_with = "recipe")]
    adapt: Option<PathBuf>,
    /// Side of the global crops of --adapt, fitted to the patch.
    #[arg(long, value_name = "PIXELS", requires = "adapt")]
    resolution: Option<usize>,
    /// Length of --adapt [default: an eighth of the run's].
    #[arg(long, value_name = "STEPS", requires = "adapt")]
    iterations: Option<u64>,
    /// Change a field of the recipe: --set train.batch=32
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Where the run is kept [default: runs/PRESET-NNN].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on from the newest checkpoint in --out, or with a run in one file, which is unpacked into a folder of its
    /// name beside it, or into --out. With --data, --start or --set distill.teacher=… where what it learns from has
    /// moved; with --set train.iterations=N for another length.
    #[arg(long, value_name = "RUN.zip", num_args = 0..=1)]
    resume: Option<Option<PathBuf>>,
    /// Write into --out though files lie there that a run would overwrite. A run is never overwritten.
    #[arg(long, conflicts_with = "resume")]
    force: bool,
    /// auto, cpu, gpu or gpu:N [default: as `dinoscope config` shows; auto at first].
    #[arg(long)]
    device: Option<String>,
    /// One JSON object per line instead of a progress bar.
    #[arg(long)]
    json: bool,
    /// Train in the studio's window, without a display, up to a step; draw the window into a PNG and end.
    #[arg(long, num_args = 2, value_names = ["STEP", "OUT.png"])]
    screenshot_at: Option<Vec<String>>,
    #[command(flatten)]
    shot: explore::ScreenshotArgs,
}

/// Where a run is kept, and what may be there.
pub struct RunOutputOptions<'a> {
    /// The folder.
    pub out: &'a Path,
    /// It goes on with the run that lies there.
    pub resume: bool,
    /// Files that are no run's may be overwritten.
    pub force: bool,
}

impl RunOutputOptions<'_> {
    /// Makes or reopens the folder.
    pub fn open(&self, recipe: &Recipe) -> Result<RunFolder> {
        Ok(match (self.resume, self.force) {
            (true, _) => RunFolder::reopen(self.out, recipe)?,
            (false, true) => RunFolder::create_over(self.out, recipe)?,
            (false, false) => RunFolder::create(self.out, recipe)?,
        })
    }
}

/// Resolves the recipe, opens the pictures, trains.
pub fn run(mut arguments: TrainArgs) -> Result<CliExitStatus> {
    if let Some([step, to]) = arguments.screenshot_at.as_deref() {
        let said = |reason: String| UsageError(format!("--screenshot-at {step} {to}: {reason}"));
        explore::check_target(&explore::png(to).map_err(said)?)?;
    }
    let group = ranks::join()?;
    let resume = goes_on(&mut arguments, &group);
    let resume = ranks::together(&group, resume)?;
    let recipe = ranks::together(&group, recipe(&arguments))?;
    let out = arguments.out.clone().unwrap_or_else(|| load::fresh_run(&recipe.preset));
    if let Some([step, to]) = arguments.screenshot_at.as_deref() {
        return screenshot(recipe, out, resume, (step, Path::new(to)), &arguments);
    }
    let place = RunOutputOptions { out: &out, resume, force: arguments.force };
    carry_out(&recipe, &place, arguments.device.as_deref(), arguments.json, group)
}

/// Trains a recipe from its beginning, or from where its folder stands, with all ranks of `group`, and says how it ended.
pub fn carry_out(
    recipe: &Recipe,
    place: &RunOutputOptions<'_>,
    device: Option<&str>,
    json: bool,
    group: RankGroup,
) -> Result<CliExitStatus> {
    terminal::ignore_output_errors();
    let recipe = paths::with_absolute_paths(recipe)?;
    if place.resume && ranks::first_says(&group, || says_finished(&recipe, place.out, json))? {
        return Ok(CliExitStatus::Done);
    }
    let mut ranks = RunRanks { group: group.clone(), checkpoints: None };
    let opened = || -> Result<_> {
        // Before there is a folder of a run that can't begin.
        ranks.fits(&recipe)?;
        let sources = sources::open(&recipe).map_err(|error| match place.resume {
            true => anyhow::Error::from(resume::moved_data(place.out, &error)),
            false => error.into(),
        })?;
        Ok((sources, load::device(device, json)?))
    };
    let (sources, device) = ranks::together(&group, opened())?;
    // One rank has the folder, and writes there; the others only read what the run goes on from.
    let folder = ranks::first(&group, || place.open(&recipe))?;
    ranks.checkpoints = (place.resume && folder.is_none()).then(|| RunFolder::checkpoints_of(place.out));
    let watch = sources.to_watch(&recipe);
    let job =
        TrainJob { recipe: recipe.clone(), device, sources, watch, folder, resume: place.resume, ranks };
    if !group.is_first() {
        return run::compute_job(job);
    }
    let summary = run::run_job(job, json)?;
    if !json {
        run::say_measured(&summary, &recipe);
        run::say_finished(&summary);
    }
    Ok(summary.status())
}

/// Says so when the run has all its steps: then nothing is done, and nothing is written.
fn says_finished(recipe: &Recipe, out: &Path, json: bool) -> Result<bool> {
    let Some(finished) = resume::finished(out, recipe)? else { return Ok(false) };
    if json {
        out!("{}", json::event(&RunEvent::Finished(Box::new(finished))));
        return Ok(true);
    }
    let done = finished.iteration;
    out!("{} is finished at step {done}: nothing is left to do", out.display());
    out!("--resume --set train.iterations=N, with N above {done}, makes it longer");
    if let Some(path) = &finished.checkpoint {
        out!("checkpoint  {}", path.display());
    }
    if let Some(path) = &finished.report {
        out!("report      {}", path.display());
    }
    Ok(true)
}

/// Whether a run goes on, which then lies in `--out`: one that comes in an archive is unpacked.
fn goes_on(arguments: &mut TrainArgs, group: &RankGroup) -> Result<bool> {
    let Some(named) = &mut arguments.resume else { return Ok(false) };
    let zip = |path: &PathBuf| path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("zip"));
    match named.take() {
        Some(file) if zip(&file) => unpack_once(&file, &mut arguments.out, group)?,
        // What follows the flag may as well be the recipe.
        Some(other) if arguments.recipe.is_none() => arguments.recipe = Some(other),
        Some(other) => {
            bail!(UsageError(format!("--resume {}: expected a run in a .zip file", other.display())))
        }
        None => {}
    }
    if arguments.out.is_none() {
        bail!(UsageError("--resume needs the run: --resume --out RUN, or --resume RUN.zip".to_owned()));
    }
    Ok(true)
}

/// [`unpack`] by the first rank, while the others wait.
pub fn unpack_once(file: &Path, out: &mut Option<PathBuf>, group: &RankGroup) -> Result<()> {
    let mut to = out.clone();
    ranks::first(group, || unpack(file, &mut to))?;
    out.get_or_insert_with(|| file.with_extension(""));
    Ok(())
}

/// Unpacks a run in one file into `--out`, or into a folder of its name beside it.
pub fn unpack(file: &Path, out: &mut Option<PathBuf>) -> Result<()> {
    let to = out.get_or_insert_with(|| file.with_extension(""));
    if to.exists() {
        let folder = to.display();
        bail!(UsageError(format!(
            "{folder} is there already: go on with it by --resume --out {folder}, or choose another --out"
        )));
    }
    let bytes =
        std::fs::read(file).map_err(|e| UsageError(format!("can't read the run {}: {e}", file.display())))?;
    archive::unpack(&bytes, to).with_context(|| file.display().to_string())?;
    Ok(())
}

/// The studio's window at a step of the run.
fn screenshot(
    recipe: Recipe,
    out: PathBuf,
    resume: bool,
    (step, to): (&str, &Path),
    arguments: &TrainArgs,
) -> Result<CliExitStatus> {
    let until = step
        .parse()
        .map_err(|_| UsageError(format!("--screenshot-at {step}: expected a number of steps")))?;
    let until = std::cmp::min(until, recipe.train.iterations);
    let startup = StartupOptions {
        device: Some(load::choice(arguments.device.as_deref())?),
        workspace: Workspace::Train,
        train: Some(AutoStartRequest { recipe, folder: out, resume, until: Some(until) }),
        fresh: true,
        ..StartupOptions::default()
    };
    explore::screenshot(startup, &arguments.shot, to)
}

/// The recipe of the file, preset or run, with the flags on top.
fn recipe(arguments: &TrainArgs) -> Result<Recipe> {
    let mut overrides = of_data(&arguments.data, arguments.labels)?;
    if let Some(run) = &arguments.adapt {
        let of = RunFolder::open(run)?.recipe()?.with_overrides(&overrides)?;
        let resolution = arguments.resolution.unwrap_or(of.crops.global_size);
        let adapted = adapt::recipe(&of, &std::path::absolute(run)?, resolution, arguments.iterations)?;
        return Ok(adapted.with_overrides(&arguments.overrides)?);
    }
    if let Some(hold) = arguments.hold_backbone {
        overrides.push(format!("start.hold_backbone={hold}"));
    }
    overrides.extend(arguments.overrides.iter().cloned());
    if arguments.recipe.as_deref() == Some(Path::new(own::NAME)) && arguments.resume.is_none() {
        return own_pictures(arguments, &overrides);
    }
    let recipe = named(arguments, &overrides)?;
    let Some(weights) = &arguments.start else { return Ok(recipe) };
    let weights = load::lasting_name(&load::with_part(weights, arguments.part.as_deref(), arguments.heads))?;
    if arguments.resume.is_some() && arguments.recipe.is_none() {
        // The run is what it is: only where its weights lie may be new.
        return Ok(recipe.with_overrides(&[format!("start.weights={weights:?}")])?);
    }
    let opened = start::open("--start", &weights)?;
    for note in &opened.notes {
        note!("{}: {note}", opened.file);
    }
    let recipe = start::recipe_for(&recipe, &opened.config)?;
    Ok(recipe.with_overrides(&[format!("start.weights={weights:?}")])?)
}

/// The recipe that goes on from weights on a person's own pictures, which have to be named.
fn own_pictures(arguments: &TrainArgs, overrides: &[String]) -> Result<Recipe> {
    let is_data = |pair: &String| pair.split('=').next().is_some_and(|key| key.trim() == "data.path");
    if !overrides.iter().any(is_data) {
        bail!(UsageError(
            "train own goes on from trained weights on pictures of yours: --data FOLDER names them; train nano \
             begins with nothing, also on built-in pictures"
                .to_owned()
        ));
    }
    let weights = match &arguments.start {
        Some(weights) => {
            load::lasting_name(&load::with_part(weights, arguments.part.as_deref(), arguments.heads))?
        }
        None => Recipe::preset(own::NAME)?.start.weights,
    };
    load::say_notes(&weights)?;
    Ok(load::noted(own::recipe(&weights)?.resolve(overrides)?))
}

/// Fields for where pictures come from. Paths are kept absolute, so that a run goes on from any folder.
pub fn of_data(data: &[PathBuf], labels: bool) -> Result<Vec<String>> {
    let mut overrides = Vec::new();
    let place = |data: &PathBuf| {
        let text = data.to_string_lossy();
        let place = SharedPlace::read(&text).map_err(|said| UsageError(format!("--data {text}: {said}")))?;
        let path = if place.is_word() { data.to_owned() } else { std::path::absolute(data)? };
        Ok(path.to_string_lossy().into_owned())
    };
    if let Some(places) = SourcePaths::new(data.iter().map(place).collect::<Result<Vec<_>>>()?) {
        let written = toml::Value::try_from(&places)?;
        overrides.push(format!("data.path={written}"));
    }
    if labels {
        overrides.push("data.labels=true".to_owned());
    }
    Ok(overrides)
}

/// The recipe of the file, preset or run, with fields changed.
fn named(arguments: &TrainArgs, overrides: &[String]) -> Result<Recipe> {
    let recipe = match (&arguments.recipe, &arguments.out) {
        (None, Some(out)) if arguments.resume.is_some() => {
            RunFolder::open(out)?.recipe()?.exactly(overrides)?
        }
        (None, _) => load::noted(Recipe::preset("nano")?.resolve(overrides)?),
        (Some(named), out) => match named.to_str().filter(|name| presets::NAMES.contains(name)) {
            Some(preset) => match out {
                Some(out) if arguments.resume.is_some() => again(preset, out, overrides)?,
                _ => load::noted(Recipe::preset(preset)?.resolve(overrides)?),
            },
            None if !named.exists() && named.extension().is_none() => {
                Recipe::preset(&named.to_string_lossy())?
            }
            None => {
                let text = std::fs::read_to_string(named)
                    .map_err(|e| UsageError(format!("can't read the recipe {}: {e}", named.display())))?;
                let mut overrides = overrides.to_vec();
                if let Some(out) = out.as_ref().filter(|_| arguments.resume.is_some()) {
                    overrides.splice(0..0, RunFolder::open(out)?.recipe()?.later_pairs(&text));
                }
                load::noted(
                    Recipe::resolve_toml(&text, &overrides).with_context(|| named.display().to_string())?,
                )
            }
        },
    };
    Ok(recipe)
}

/// The recipe of a run that goes on and is described once more by its preset. The preset's length is no wish for another
/// one than the run has, and warm-ups that followed the run's length follow it again.
fn again(preset: &str, out: &Path, overrides: &[String]) -> Result<Recipe> {
    const LENGTH: &str = "train.iterations";
    let is_length = |pair: &&String| pair.split('=').next().is_some_and(|key| key.trim() == LENGTH);
    let (length, mut rest): (Vec<_>, Vec<_>) = overrides.iter().cloned().partition(|pair| is_length(&pair));
    let run = RunFolder::open(out)?.recipe()?;
    rest.push(format!("{LENGTH}={}", run.train.iterations));
    // Nor is what the preset has in fields that earlier versions did not write.
    rest.splice(0..0, run.later_pairs(""));
    Ok(Recipe::preset(preset)?.resolve(&rest)?.recipe.exactly(&length)?)
}

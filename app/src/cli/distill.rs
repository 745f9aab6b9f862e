//! `dinoscope distill`: a small model learns what a large one has learned.

use std::path::PathBuf;

use anyhow::{Context, Result};
use dinoscope_core::train::recipe::DistillMethod;
use dinoscope_core::train::run::RunFolder;
use dinoscope_core::train::{Recipe, distill_recipe, presets};

use super::status::CliExitStatus;
use super::train::{self, RunOutputOptions};
use super::{UsageError, load, ranks};

/// Teach a small model what a large one has learned.
///
/// A run of ours is distilled through its heads, as in the paper; a released model, whose heads nobody published, through
/// its features. The result is the moving average of the student, in the run's checkpoints as `teacher`.
#[derive(clap::Args)]
pub struct DistillArgs {
    /// The teacher: a run, a checkpoint, a weights file, a Hugging Face folder, a pulled model, or `starter`.
    #[arg(long, value_name = "WEIGHTS", required_unless_present = "resume")]
    teacher: Option<PathBuf>,
    /// Of several backbones in the teacher's file, the one with this prefix or word in it, such as teacher, student or ema
    /// [default: a teacher or another average]. `FILE#NAME` means the same.
    #[arg(long, value_name = "NAME", requires = "teacher")]
    part: Option<String>,
    /// Attention heads of weights that do not say how many they have. `FILE#heads=N` means the same.
    #[arg(long, value_name = "N", value_parser = load::heads, requires = "teacher")]
    heads: Option<usize>,
    /// The student: a preset (nano, tiny, small, vits14, …) or a recipe file. Of another width, depth or patch as you
    /// like; what heads say needs the same patch.
    #[arg(long, default_value = "nano")]
    student: PathBuf,
    /// heads, similarity or regression [default: heads where the teacher has some, else similarity].
    #[arg(long)]
    method: Option<DistillMethodArg>,
    /// A folder of pictures (nested), a list of pictures (FILE.txt, a path a line; FILE.csv or FILE.parquet with the columns path
    /// and label), a pattern, an IDX images file, or built-in pictures: scenes, scenes:easy, scenes:varied, procedural. Given again,
    /// all of them together; PLACE*SHARE says in which shares: --data 'photos*0.7' --data 'procedural*0.3'.
    #[arg(long, value_name = "PLACE")]
    data: Vec<PathBuf>,
    /// Take the names of subfolders, or the column `label` of a table, as labels, to measure k-NN accuracy and agreement during training.
    #[arg(long)]
    labels: bool,
    /// Change a field of the recipe: --set train.batch=32
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Where the run is kept [default: runs/PRESET-NNN].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on from the newest checkpoint in --out, or with a run in one file, which is unpacked into a folder of its
    /// name beside it, or into --out. The student is the run's; with --teacher or --data where those have moved.
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
}

/// What is learned of the teacher.
#[derive(Clone, Copy, clap::ValueEnum)]
enum DistillMethodArg {
    /// What its heads say of pictures and patches.
    Heads,
    /// How similar it finds pictures, and patches within one.
    Similarity,
    /// Its features themselves.
    Regression,
}

impl From<DistillMethodArg> for DistillMethod {
    fn from(method: DistillMethodArg) -> Self {
        match method {
            DistillMethodArg::Heads => Self::Heads,
            DistillMethodArg::Similarity => Self::Similarity,
            DistillMethodArg::Regression => Self::Regression,
        }
    }
}

/// Resolves the recipe, opens teacher and pictures, trains.
pub fn run(mut arguments: DistillArgs) -> Result<CliExitStatus> {
    let group = ranks::join()?;
    if let Some(Some(file)) = &arguments.resume {
        train::unpack_once(file, &mut arguments.out, &group)?;
    }
    let resume = arguments.resume.is_some();
    if resume && arguments.out.is_none() {
        return Err(
            UsageError("--resume needs the run: --resume --out RUN, or --resume RUN.zip".to_owned()).into()
        );
    }
    let recipe = ranks::together(&group, recipe(&arguments))?;
    let out =
        arguments.out.clone().unwrap_or_else(|| load::fresh_run(&format!("{}-distilled", recipe.preset)));
    let place = RunOutputOptions { out: &out, resume, force: arguments.force };
    train::carry_out(&recipe, &place, arguments.device.as_deref(), arguments.json, group)
}

fn recipe(arguments: &DistillArgs) -> Result<Recipe> {
    let data = train::of_data(&arguments.data, arguments.labels)?;
    let method = arguments.method.map(DistillMethod::from);
    let own = match (&arguments.teacher, &arguments.out) {
        (teacher, Some(out)) if arguments.resume.is_some() => {
            let mut run = RunFolder::open(out)?.recipe()?.with_overrides(&data)?;
            if let Some(teacher) = teacher {
                run.distill.teacher = load::lasting_name(&load::with_part(
                    teacher,
                    arguments.part.as_deref(),
                    arguments.heads,
                ))?;
            }
            run.distill.method = method.unwrap_or(run.distill.method);
            return Ok(run.exactly(&arguments.overrides)?);
        }
        (Some(teacher), _) => {
            let student = student(arguments)?.with_overrides(&data)?;
            let teacher =
                load::lasting_name(&load::with_part(teacher, arguments.part.as_deref(), arguments.heads))?;
            load::say_notes(&teacher)?;
            distill_recipe::recipe(&student, &teacher, method)?
        }
        (None, _) => return Err(UsageError("--teacher names the weights to learn from".to_owned()).into()),
    };
    Ok(load::noted(own.resolve(&arguments.overrides)?))
}

/// The student's recipe, before anything is distilled.
fn student(arguments: &DistillArgs) -> Result<Recipe> {
    let named = &arguments.student;
    if let Some(preset) = named.to_str().filter(|name| presets::NAMES.contains(name)) {
        return Ok(Recipe::preset(preset)?);
    }
    if !named.exists() && named.extension().is_none() {
        return Ok(Recipe::preset(&named.to_string_lossy())?);
    }
    let text = std::fs::read_to_string(named)
        .map_err(|e| UsageError(format!("can't read the recipe {}: {e}", named.display())))?;
    Ok(load::noted(Recipe::resolve_toml(&text, &[]).with_context(|| named.display().to_string())?))
}

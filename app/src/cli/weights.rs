//! `dinoscope weights`: look into, verify, convert and download weights.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use dinoscope_core::bytes;
use dinoscope_core::data::RGB;
use dinoscope_core::explore;
use dinoscope_core::export::{ModelCard, ModelCardRun, ModelExportFormat, card, save_card};
use dinoscope_core::model::{NORM_EPS, PatchGrid, ROPE_NORM_EPS, VitConfig};
use dinoscope_core::weights::{
    self, KeyLayout, LoadedWeights, WeightsDtype, WeightsLoadOptions, download, onnx,
};

use super::progress::CliProgress;
use super::status::CliExitStatus;
use super::terminal::{note, out, warning};
use super::{UsageError, load, verify};

/// Look into, verify, convert and download weights.
#[derive(clap::Subcommand)]
pub enum WeightsCommand {
    /// What a file holds: layout, sizes, heads, every tensor.
    Inspect {
        /// A weights file, a Hugging Face folder, a distributed checkpoint, a run (its folder or .zip), a checkpoint, the
        /// name of a pulled model, or `starter`.
        file: PathBuf,
        /// Of several backbones in a file, the one with this prefix or word in it, such as teacher, student or ema
        /// [default: a teacher or another average]. `FILE#NAME` means the same.
        #[arg(long, value_name = "NAME")]
        part: Option<String>,
        /// Attention heads of weights that do not say how many they have. `FILE#heads=N` means the same.
        #[arg(long, value_name = "N", value_parser = load::heads)]
        heads: Option<usize>,
        /// List every tensor.
        #[arg(long)]
        tensors: bool,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Whether files are what was written: a line of each; status 1 when one is damaged.
    ///
    /// Checkpoints carry the SHA-256 of each of their files, pulled weights have theirs beside them. Of other files, and of
    /// checkpoints of older versions, it can only be said whether they can be read.
    Verify {
        /// A checkpoint's folder, a run with all its checkpoints (its folder or .zip), a weights file, or the name of a
        /// pulled model.
        path: PathBuf,
        /// One JSON object for each file.
        #[arg(long)]
        json: bool,
    },
    /// Write weights under other names, and a card that says what they are.
    Convert {
        /// A weights file, a Hugging Face folder, a run (its folder or .zip), a checkpoint, the name of a pulled model, or
        /// `starter`.
        input: PathBuf,
        /// A .safetensors file; a folder for hugging-face; for onnx an .onnx file, or a folder for transformers.js. What is
        /// there is kept, unless --force.
        output: PathBuf,
        /// Of several backbones in a file, the one with this prefix or word in it, such as teacher, student or ema
        /// [default: a teacher or another average]. `FILE#NAME` means the same.
        #[arg(long, value_name = "NAME")]
        part: Option<String>,
        /// Attention heads of weights that do not say how many they have. `FILE#heads=N` means the same.
        #[arg(long, value_name = "N", value_parser = load::heads)]
        heads: Option<usize>,
        /// Whose names to write.
        #[arg(long, value_enum)]
        to: WeightsFormatArg,
        /// How numbers are kept: f32, or f16 for half the size; not for onnx.
        #[arg(long, value_enum, default_value_t = WeightsDtypeArg::F32)]
        dtype: WeightsDtypeArg,
        /// onnx: the pictures that the model takes: free, a side in pixels such as 224, or height and width as in
        /// 224x448 [default: free].
        #[arg(long)]
        size: Option<onnx::OnnxInputSize>,
        /// Rows and columns of the input's positions, for a file that does not say them: 14x16 for pictures of 196 by 224
        /// pixels and patches of 14.
        #[arg(long, value_name = "ROWSxCOLS")]
        grid: Option<PatchGrid>,
        /// Write the card, README.md, beside a file too. It always comes with a folder and with what is converted from a run; one that you have written yourself is left as it is.
        #[arg(long, conflicts_with = "no_card")]
        card: bool,
        /// Write no card.
        #[arg(long)]
        no_card: bool,
        /// Write over what is there.
        #[arg(long)]
        force: bool,
    },
    /// Download released weights into the cache; goes on where a broken download ended.
    Pull {
        /// A released model such as dinov2_vits14 or dinov2_vitb14_reg, or an address.
        name: Option<String>,
        /// Refuse a file with another SHA-256; those of the released models are known.
        #[arg(long)]
        sha256: Option<String>,
        /// Take released models from another server.
        #[arg(long)]
        base_url: Option<String>,
        /// Folder to download into [default: the user's cache].
        #[arg(long)]
        cache: Option<PathBuf>,
        /// Also take http addresses, where anybody on the way can put another file in place of the one asked for.
        #[arg(long)]
        allow_http: bool,
    },
}

/// How numbers are kept.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum WeightsDtypeArg {
    /// Four bytes each.
    F32,
    /// Two bytes each.
    F16,
}

impl From<WeightsDtypeArg> for WeightsDtype {
    fn from(dtype: WeightsDtypeArg) -> Self {
        match dtype {
            WeightsDtypeArg::F32 => Self::F32,
            WeightsDtypeArg::F16 => Self::F16,
        }
    }
}

/// Whose names to write.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum WeightsFormatArg {
    /// The official repository's.
    Official,
    /// transformers'.
    #[value(alias = "huggingface", alias = "hf", alias = "transformers")]
    HuggingFace,
    /// timm's.
    Timm,
    /// A graph that onnxruntime, transformers.js and others run, with the names of Hugging Face's exports.
    Onnx,
}

/// Carries out one of the words.
pub fn run(command: WeightsCommand) -> Result<CliExitStatus> {
    match command {
        WeightsCommand::Inspect { file, part, heads, tensors, json } => {
            inspect(&load::with_part(&file, part.as_deref(), heads), tensors, json)?;
        }
        WeightsCommand::Verify { path, json } => return verify::run(&path, json),
        WeightsCommand::Convert {
            input,
            output,
            part,
            heads,
            to,
            dtype,
            size,
            grid,
            card,
            no_card,
            force,
        } => {
            let asked = if no_card { Some(false) } else { card.then_some(true) };
            if !force {
                nothing_in_the_way(&output)?;
            }
            let reading = WeightsLoadOptions { grid, ..WeightsLoadOptions::default() };
            let input = load::with_part(&input, part.as_deref(), heads);
            convert(&input, &output, (to, dtype.into()), size, reading, asked)?;
        }
        WeightsCommand::Pull { name: Some(name), sha256, base_url, cache, allow_http } => {
            let cache = cache.unwrap_or_else(download::default_cache);
            let (sha256, base_url) = (sha256.as_deref(), base_url.as_deref());
            pull(&download::WeightsDownloadRequest {
                name_or_url: &name,
                cache: &cache,
                base_url,
                sha256,
                allow_http,
            })?;
        }
        WeightsCommand::Pull { name: None, .. } => {
            out!("Released models:");
            for model in download::names() {
                out!("  {:<20} about {}", model.name, bytes::shown(model.approximate_bytes()));
            }
            bail!(UsageError("name one of them, or an address".to_owned()))
        }
    }
    Ok(CliExitStatus::Done)
}

/// Fails when something that would be written is there already.
fn nothing_in_the_way(output: &Path) -> Result<()> {
    let inside = [
        "model.safetensors",
        "model.safetensors.index.json",
        "config.json",
        "preprocessor_config.json",
        "onnx/model.onnx",
    ];
    let there = match output.is_dir() {
        true => inside.iter().map(|name| output.join(name)).find(|path| path.exists()),
        false => output.exists().then(|| output.to_owned()),
    };
    match there {
        Some(path) => {
            bail!(UsageError(format!("{} is there already: --force writes over it", path.display())))
        }
        None => Ok(()),
    }
}

/// Writes weights in another form, and their card unless `card` says otherwise.
fn convert(
    input: &Path,
    output: &Path,
    (to, dtype): (WeightsFormatArg, WeightsDtype),
    size: Option<onnx::OnnxInputSize>,
    reading: WeightsLoadOptions,
    card: Option<bool>,
) -> Result<()> {
    if size.is_some() && !matches!(to, WeightsFormatArg::Onnx) {
        bail!(UsageError("--size is for --to onnx: weights under other names fit every size".to_owned()));
    }
    if dtype != WeightsDtype::F32 && matches!(to, WeightsFormatArg::Onnx) {
        bail!(UsageError("--dtype is not for --to onnx, which is written as f32".to_owned()));
    }
    let (of, _) = explore::split_part(input);
    let run = ModelCardRun::of(&named(&of)).map_err(|error| UsageError(error.to_string()))?;
    let checkpoint = explore::checkpoint_as(&load::source(input), reading)?;
    for note in &checkpoint.notes {
        note!("{}: {note}", checkpoint.file);
    }
    let written = match to {
        WeightsFormatArg::Official => ModelExportFormat::Weights(KeyLayout::Official),
        WeightsFormatArg::HuggingFace => ModelExportFormat::Weights(KeyLayout::HuggingFace),
        WeightsFormatArg::Timm => ModelExportFormat::Weights(KeyLayout::Timm),
        WeightsFormatArg::Onnx
            if output.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx")) && !output.is_dir() =>
        {
            ModelExportFormat::Onnx(size.unwrap_or(onnx::OnnxInputSize::Free))
        }
        WeightsFormatArg::Onnx => ModelExportFormat::OnnxFolder(size.unwrap_or(onnx::OnnxInputSize::Free)),
    };
    match written {
        ModelExportFormat::Weights(layout) => {
            weights::save_as(output, &checkpoint.backbone, &checkpoint.config, layout, dtype)?;
        }
        ModelExportFormat::Onnx(size) => onnx::save(output, &checkpoint.backbone, &checkpoint.config, size)?,
        ModelExportFormat::OnnxFolder(size) => {
            onnx::save_folder(output, &checkpoint.backbone, &checkpoint.config, size)?;
        }
    }
    out!("{} written", output.display());
    for note in elsewhere(&checkpoint.config, written) {
        note!("{note}");
    }
    if card.unwrap_or(is_folder(written) || run.is_some()) {
        write_card(&checkpoint, output, written, run.as_ref())?;
    }
    Ok(())
}

/// Whether something is written as a folder.
fn is_folder(written: ModelExportFormat) -> bool {
    match written {
        ModelExportFormat::Weights(layout) => layout.entry().is_folder,
        ModelExportFormat::OnnxFolder(_) => true,
        ModelExportFormat::Onnx(_) => false,
    }
}

/// What the program that weights were written for does not know of them.
fn elsewhere(config: &VitConfig, written: ModelExportFormat) -> Vec<String> {
    let VitConfig { grid, norm_eps: eps, .. } = *config;
    let ModelExportFormat::Weights(layout) = written else { return Vec::new() };
    let entry = layout.entry();
    let (who, square, built_in) = (entry.read_by, entry.square_grids_alone, entry.eps_is_built_in);
    let own_eps = if config.rope.is_some() { ROPE_NORM_EPS } else { NORM_EPS };
    let grid = (square && !grid.is_square() && config.rope.is_none()).then(|| {
        format!("{who} has no place for a grid of {grid}: Dinoscope reads what was written; for others --to timm or onnx")
    });
    let eps = (built_in && eps != own_eps).then(|| {
        format!("{who} computes norms with {own_eps:e} unless it is told {eps:e}: --card writes the lines that tell it")
    });
    grid.into_iter().chain(eps).collect()
}

/// Writes the card into the folder of a file, or into the folder that was written.
fn write_card(
    checkpoint: &LoadedWeights,
    output: &Path,
    written: ModelExportFormat,
    run: Option<&ModelCardRun>,
) -> Result<()> {
    let output = named(output);
    let last = |part: Option<&std::ffi::OsStr>| {
        part.map_or_else(|| "model".to_owned(), |part| part.to_string_lossy().into_owned())
    };
    let is_folder = is_folder(written);
    let folder = if is_folder { output.as_path() } else { output.parent().unwrap_or(Path::new(".")) };
    let own = if is_folder { last(output.file_name()) } else { last(output.file_stem()) };
    let text = card(&ModelCard {
        name: run.map_or(&own, |run| &run.name),
        config: &checkpoint.config,
        written,
        file: &last(output.file_name()),
        run,
    });
    match save_card(folder, &text)? {
        Some(path) => out!("{} written", path.display()),
        None => out!(
            "{} was left as it is: it is not one that was written here",
            folder.join("README.md").display()
        ),
    }
    Ok(())
}

/// A path whose last part is a name: `.` is the folder that it means.
fn named(path: &Path) -> PathBuf {
    match path.file_name() {
        Some(_) => path.to_owned(),
        None => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
    }
}

fn inspect(file: &Path, tensors: bool, json: bool) -> Result<()> {
    let found = explore::inspect(&load::source(file))?;
    if json {
        out!("{}", serde_json::to_string(&found)?);
        return Ok(());
    }
    out!("{}", found.file);
    if let Some(layout) = found.layout {
        out!("layout      {layout:?}");
    }
    if let Some(c) = &found.config {
        out!(
            "backbone    {} blocks, {} wide, {} heads, patch {}, {:?} of {}, {} registers, {} {} ({} pixels){}{}",
            c.depth,
            c.dim,
            c.heads,
            c.patch,
            c.ffn,
            c.hidden,
            c.registers,
            if c.rope.is_some() { "rotary positions, for" } else { "grid" },
            c.grid,
            if c.grid.is_square() {
                c.side().to_string()
            } else {
                format!("{} x {}", c.image().0, c.image().1)
            },
            if c.norm_eps == NORM_EPS { String::new() } else { format!(", norms with {:e}", c.norm_eps) },
            match c.channels() {
                RGB => String::new(),
                1 => ", of grey pictures".to_owned(),
                channels => format!(", of {channels} channels"),
            }
        );
    }
    out!("parameters  {}", found.parameters);
    for (head, parameters) in &found.heads {
        out!("head        {head}, {parameters} parameters");
    }
    let dtypes: Vec<String> = found.dtypes.iter().map(|(name, count)| format!("{count} {name}")).collect();
    out!("tensors     {}", dtypes.join(", "));
    if found.non_finite > 0 {
        let broken = found.tensors.iter().filter(|t| t.values.is_some_and(|v| v.non_finite > 0));
        let names: Vec<&str> = broken.map(|t| t.name.as_str()).collect();
        let more = if names.len() > 3 { format!(" and {} more", names.len() - 3) } else { String::new() };
        let first = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
        out!("not finite  {} values, in {first}{more}", found.non_finite);
    }
    if let Some(problem) = &found.problem {
        out!("problem     {problem}");
    }
    for note in &found.notes {
        out!("note        {note}");
    }
    if tensors {
        for t in &found.tensors {
            let values = t.values.as_ref().map_or(String::new(), |v| {
                format!("  {:.4} to {:.4}, mean {:.4}, norm {:.3}", v.min, v.max, v.mean, v.norm)
            });
            out!("  {:<48} {:<22} {}{values}", t.name, format!("{:?}", t.shape), t.dtype);
        }
    }
    Ok(())
}

fn pull(wanted: &download::WeightsDownloadRequest<'_>) -> Result<()> {
    let mut bar: Option<CliProgress> = None;
    let mut show = |done: u64, total: Option<u64>| {
        let bar = bar.get_or_insert_with(|| {
            let mut bar = CliProgress::new(total.unwrap_or(0), "bytes", false);
            bar.start_at(done);
            bar
        });
        bar.set(done, bytes::part(done, total));
        ControlFlow::Continue(())
    };
    let pulled = wanted.pull(&mut show)?;
    if let Some(bar) = bar {
        bar.finish();
    }
    for note in &pulled.notes {
        warning!("{note}");
    }
    let known =
        download::find(wanted.name_or_url).is_some_and(|released| released.sha256 == Some(&pulled.sha256));
    match known || wanted.sha256.is_some() {
        true => note!("SHA-256 {}, as it should be", pulled.sha256),
        false => note!("SHA-256 {0}: `--sha256 {0}` takes no other file the next time", pulled.sha256),
    }
    if let Some(licence) = download::find(wanted.name_or_url).and_then(download::ReleasedModel::licence_note)
    {
        note!("{licence}");
    }
    out!("{}", pulled.path.display());
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use dinoscope_core::explore::ModelSource;
    use dinoscope_core::train::run::RunFolder;
    use dinoscope_core::train::{Recipe, archive};

    use clap::ValueEnum as _;
    use dinoscope_core::weights::KEY_LAYOUTS;

    use super::*;
    use dinoscope_core::weights;

    fn starter() -> LoadedWeights {
        explore::checkpoint(&ModelSource::Starter).unwrap()
    }

    /// A run whose newest teacher has the starter weights.
    fn run(path: &Path) -> RunFolder {
        let run = RunFolder::create(path, &Recipe::preset("nano").unwrap()).unwrap();
        let LoadedWeights { backbone, heads, config, .. } = starter();
        for step in ["000002", "000004"] {
            let checkpoint = run.checkpoints().join(step);
            for name in ["student", "teacher"] {
                let file = checkpoint.join(format!("{name}.safetensors"));
                weights::save_with_heads(&file, &backbone, &heads, &config).unwrap();
            }
            std::fs::write(checkpoint.join("optimizer.safetensors"), "moments").unwrap();
            std::fs::write(checkpoint.join("state.json"), "{}").unwrap();
        }
        run
    }

    #[test]
    fn every_layout_can_be_written() {
        let values: Vec<String> = WeightsFormatArg::value_variants()
            .iter()
            .filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned()))
            .collect();
        for entry in KEY_LAYOUTS {
            assert!(values.iter().any(|value| value == entry.id), "--to has no {}", entry.id);
        }
    }

    #[test]
    fn whatever_a_run_is_named_by_it_is_converted_with_its_card() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(&folder.path().join("nano-001"));
        let packed = folder.path().join("nano-001.zip");
        std::fs::write(&packed, archive::pack(run.path()).unwrap()).unwrap();
        let checkpoint = run.checkpoints().join("000002");
        for (named, steps) in [(run.path(), "4 of 240"), (&packed, "4 of 240"), (&checkpoint, "2 of 240")] {
            let found = explore::inspect(&load::source(named)).unwrap();
            assert_eq!(found.config, Some(starter().config), "{}", named.display());
            for (to, file) in [
                (WeightsFormatArg::HuggingFace, None),
                (WeightsFormatArg::Timm, Some("a.safetensors")),
                (WeightsFormatArg::Onnx, Some("a.onnx")),
            ] {
                let place = tempfile::tempdir().unwrap();
                let out = file.map_or_else(|| place.path().join("hf"), |file| place.path().join(file));
                convert(named, &out, (to, WeightsDtype::F32), None, WeightsLoadOptions::default(), None)
                    .unwrap();
                let beside = if file.is_some() { place.path() } else { &out };
                let card = std::fs::read_to_string(beside.join("README.md")).unwrap();
                assert!(card.contains("# nano-001\n") && card.contains(steps), "{card}");
                if !matches!(to, WeightsFormatArg::Onnx) {
                    // timm's names have no place for the mask token.
                    let (mut there, mut here) = (weights::load(&out).unwrap().backbone, starter().backbone);
                    assert!(there.remove("mask_token").is_some() && here.remove("mask_token").is_some());
                    assert_eq!(there, here);
                }
            }
        }
    }

    #[test]
    fn a_card_comes_where_it_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let readme = folder.path().join("README.md");
        let out = folder.path().join("model.safetensors");
        let source = Path::new("starter");
        convert(
            source,
            &out,
            (WeightsFormatArg::Timm, WeightsDtype::F32),
            None,
            WeightsLoadOptions::default(),
            None,
        )
        .unwrap();
        assert!(!readme.exists(), "a file alone gets none");
        convert(
            source,
            &out,
            (WeightsFormatArg::Timm, WeightsDtype::F32),
            None,
            WeightsLoadOptions::default(),
            Some(true),
        )
        .unwrap();
        assert!(std::fs::read_to_string(&readme).unwrap().contains("# model\n"));
        let hub = folder.path().join("hub");
        convert(
            source,
            &hub,
            (WeightsFormatArg::HuggingFace, WeightsDtype::F32),
            None,
            WeightsLoadOptions::default(),
            Some(false),
        )
        .unwrap();
        assert!(hub.join("model.safetensors").is_file() && !hub.join("README.md").exists());
        std::fs::write(&readme, "mine").unwrap();
        convert(
            source,
            &out,
            (WeightsFormatArg::Official, WeightsDtype::F32),
            None,
            WeightsLoadOptions::default(),
            Some(true),
        )
        .unwrap();
        assert_eq!(std::fs::read_to_string(&readme).unwrap(), "mine");
    }
}

//! `dinoscope weights`: look into, convert and download weights.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::{Result, bail};
use dinoscope_core::explore;
use dinoscope_core::weights::{self, Layout, download, onnx};

use super::Mistake;
use super::progress::Progress;

/// Look into, convert and download weights.
#[derive(clap::Subcommand)]
pub enum Command {
    /// What a file holds: layout, sizes, heads, every tensor.
    Inspect {
        /// A weights file, a Hugging Face folder, or a run or checkpoint folder.
        file: PathBuf,
        /// List every tensor.
        #[arg(long)]
        tensors: bool,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Write weights under other names.
    Convert {
        /// A weights file, a Hugging Face folder, or a run or checkpoint folder.
        input: PathBuf,
        /// A .safetensors file; a folder for hugging-face; an .onnx file for onnx.
        output: PathBuf,
        /// Whose names to write.
        #[arg(long, value_enum)]
        to: To,
        /// onnx: the pictures that the model takes: free, a side in pixels such as 224, or height and width as in
        /// 224x448 [default: free].
        #[arg(long)]
        size: Option<onnx::Size>,
    },
    /// Download released weights into the cache; goes on where a broken download ended.
    Pull {
        /// A released model such as dinov2_vits14 or dinov2_vitb14_reg, or an address.
        name: Option<String>,
        /// Refuse a file with another SHA-256.
        #[arg(long)]
        sha256: Option<String>,
        /// Take released models from another server.
        #[arg(long)]
        base_url: Option<String>,
        /// Folder to download into [default: the user's cache].
        #[arg(long)]
        cache: Option<PathBuf>,
    },
}

/// Whose names to write.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum To {
    /// The official repository's.
    Official,
    /// transformers'.
    HuggingFace,
    /// timm's.
    Timm,
    /// A graph that onnxruntime, transformers.js and others run, with the names of Hugging Face's exports.
    Onnx,
}

/// Carries out one of the words.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Inspect { file, tensors, json } => inspect(&file, tensors, json),
        Command::Convert { input, output, to, size } => {
            if size.is_some() && !matches!(to, To::Onnx) {
                bail!(Mistake(
                    "--size is for --to onnx: weights under other names fit every size".to_owned()
                ));
            }
            let checkpoint = weights::load(&explore::weights_file(&input)?)?;
            match to {
                To::Official => checkpoint.save(&output, Layout::Official)?,
                To::HuggingFace => checkpoint.save(&output, Layout::HuggingFace)?,
                To::Timm => checkpoint.save(&output, Layout::Timm)?,
                To::Onnx => {
                    let size = size.unwrap_or(onnx::Size::Free);
                    onnx::save(&output, &checkpoint.backbone, &checkpoint.config, size)?;
                }
            }
            println!("{} written", output.display());
            Ok(())
        }
        Command::Pull { name, sha256, base_url, cache } => match name {
            Some(name) => pull(&name, sha256.as_deref(), base_url.as_deref(), cache),
            None => {
                println!("Released models:");
                for model in download::names() {
                    println!("  {:<20} about {} MB", model.name, model.approximate_bytes() / 1_000_000);
                }
                bail!(Mistake("name one of them, or an address".to_owned()))
            }
        },
    }
}

fn inspect(file: &std::path::Path, tensors: bool, json: bool) -> Result<()> {
    let found = weights::inspect(&explore::weights_file(file)?)?;
    if json {
        println!("{}", serde_json::to_string(&found)?);
        return Ok(());
    }
    println!("{}", found.file);
    if let Some(layout) = found.layout {
        println!("layout      {layout:?}");
    }
    if let Some(c) = &found.config {
        println!(
            "backbone    {} blocks, {} wide, {} heads, patch {}, {:?} of {}, {} registers, grid {} x {} ({} pixels)",
            c.depth,
            c.dim,
            c.heads,
            c.patch,
            c.ffn,
            c.hidden,
            c.registers,
            c.grid,
            c.grid,
            c.image()
        );
    }
    println!("parameters  {}", found.parameters);
    for (head, parameters) in &found.heads {
        println!("head        {head}, {parameters} parameters");
    }
    let dtypes: Vec<String> = found.dtypes.iter().map(|(name, count)| format!("{count} {name}")).collect();
    println!("tensors     {}", dtypes.join(", "));
    if found.non_finite > 0 {
        println!("not finite  {} values", found.non_finite);
    }
    if let Some(problem) = &found.problem {
        println!("problem     {problem}");
    }
    for note in &found.notes {
        println!("note        {note}");
    }
    if tensors {
        for t in &found.tensors {
            let values = t.values.as_ref().map_or(String::new(), |v| {
                format!("  {:.4} to {:.4}, mean {:.4}, norm {:.3}", v.min, v.max, v.mean, v.norm)
            });
            println!("  {:<48} {:<22} {}{values}", t.name, format!("{:?}", t.shape), t.dtype);
        }
    }
    Ok(())
}

fn pull(name: &str, sha256: Option<&str>, base_url: Option<&str>, cache: Option<PathBuf>) -> Result<()> {
    let cache = cache.unwrap_or_else(download::default_cache);
    let mut bar: Option<Progress> = None;
    let mut show = |done: u64, total: Option<u64>| {
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / (1 << 20) as f64);
        let bar = bar.get_or_insert_with(|| {
            let mut bar = Progress::new(total.unwrap_or(0), "bytes", false);
            bar.start_at(done);
            bar
        });
        bar.set(done, total.map_or_else(|| mib(done), |total| format!("{} of {}", mib(done), mib(total))));
        ControlFlow::Continue(())
    };
    let path = download::pull(name, &cache, base_url, &mut show, sha256)?;
    if let Some(bar) = bar {
        bar.finish();
    }
    println!("{}", path.display());
    Ok(())
}

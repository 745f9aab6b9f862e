//! `dinoscope features`: what a model sees in pictures, as pictures, as raw numbers and as a table.

mod ahead;
mod colours;
pub(in crate::cli) mod inputs;
mod journal;
mod table;
mod work;

use std::path::PathBuf;

use anyhow::{Result, bail};
use dinoscope_core::data::decode::depth::IntensityRange;
use dinoscope_core::data::decode::survey::depth_note;
use dinoscope_core::device::block_on;
use dinoscope_core::eval::cache::digest;
use dinoscope_core::fused::MatmulPrecision;

use super::status::{CliExitStatus, FailedInputs};
use super::terminal::{self, note};
use super::{UsageError, load};
use inputs::FeatureInputScanner;
use journal::{FeatureJournal, JournalProvenance};
use table::FeatureTableFile;
use work::FeatureJob;

/// PCA pictures, attention maps, raw features and tables of pictures.
#[derive(clap::Args)]
pub struct FeaturesArgs {
    /// Pictures, folders with all their subfolders, and patterns ('photos/**/*.jpg').
    #[arg(required_unless_present = "list")]
    images: Vec<PathBuf>,
    /// A file that names pictures, folders or patterns, one a line, or a table (FILE.csv, FILE.parquet) with a column `path` or
    /// `key`; relative ones are looked for from the current folder, then from the list's. `-` reads lines from standard input.
    #[arg(long, value_name = "FILE")]
    list: Vec<PathBuf>,
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
    /// Where the results go; made if it is not there. A file's results are called by its NAME (NAME-2 where that is taken);
    /// those of a folder keep their path below it.
    #[arg(long, required_unless_present = "table")]
    out: Option<PathBuf>,
    /// A table of all pictures, with their names, CLS tokens and mean patch tokens: FILE.parquet, FILE.csv, or FILE.npy
    /// [pictures, 2 dim] with FILE.names.json beside it. Alone, nothing else is written.
    #[arg(long, value_name = "FILE")]
    table: Option<FeatureTableFile>,
    /// NAME.pca.png: three principal components of the patch features of all pictures together, as colours. They are
    /// fitted after all pictures have passed; features wait in files in --out. Of more than 65,536 patches (or 128 MiB)
    /// the fit looks at a part that is spread evenly over the pictures.
    #[arg(long)]
    pca: bool,
    /// NAME.attention.png and NAME.attention-HEAD.png: where a token of the last block looks.
    #[arg(long)]
    attention: bool,
    /// NAME.npy [rows, cols, dim] and NAME.cls.npy [dim]: features after the final norm. With --attention also
    /// NAME.attention.npy [heads, rows, cols].
    #[arg(long)]
    npy: bool,
    /// NAME.similarity.png: how similar every patch of every picture is to the patch ROW,COL of the first.
    #[arg(long, value_name = "ROW,COL", value_parser = place)]
    similarity: Option<(usize, usize)>,
    /// Attention of the patch ROW,COL instead of the CLS token.
    #[arg(long, value_name = "ROW,COL", value_parser = place)]
    query: Option<(usize, usize)>,
    /// Attention of this block, counted from 0 [default: the last].
    #[arg(long)]
    block: Option<usize>,
    /// Shorter side that pictures are resized to [default: that of the stored position grid, at least 32 patches].
    #[arg(long)]
    resolution: Option<usize>,
    /// Black and white of files of more than 8 bits: fixed (0 and 65535 of 16 bits), file (the lowest and highest number
    /// of each), or two numbers, such as 0..4095.
    #[arg(long, value_name = "RANGE", default_value_t)]
    depth_range: IntensityRange,
    /// What factors of matrix products are rounded to on the CPU: f32, or bf16, which processors with VDPBF16PS multiply up
    /// to twice as fast. Features differ in the third digit.
    #[arg(long, default_value = "f32", value_name = "PRECISION", value_parser = load::products)]
    matmul_precision: MatmulPrecision,
    /// Split objects from background with the first component; the background becomes black. Which side is which is told
    /// from the middle of pictures and from where the model looks.
    #[arg(long)]
    foreground: bool,
    /// Take the other side for the objects.
    #[arg(long, requires = "foreground")]
    invert: bool,
    /// Draw patches as blocks of one colour: exactly what was computed.
    #[arg(long)]
    blocks: bool,
    /// Makes results again that are there already.
    #[arg(long)]
    again: bool,
    /// auto, cpu, gpu or gpu:N [default: as `dinoscope config` shows; auto at first].
    #[arg(long)]
    device: Option<String>,
    /// One JSON object per picture.
    #[arg(long)]
    json: bool,
}

fn place(text: &str) -> Result<(usize, usize), String> {
    let parsed =
        text.split_once(',').and_then(|(r, c)| Some((r.trim().parse().ok()?, c.trim().parse().ok()?)));
    parsed.ok_or_else(|| "expected ROW,COL, for instance 12,8".to_owned())
}

impl FeaturesArgs {
    /// Whether files of their own are written for each picture.
    fn of_each(&self) -> bool {
        self.pca || self.attention || self.npy || self.similarity.is_some()
    }
}

/// Writes what was asked for; everything of each picture, when nothing was.
pub fn run(mut arguments: FeaturesArgs) -> Result<CliExitStatus> {
    terminal::ignore_output_errors();
    if !arguments.of_each() && arguments.table.is_none() {
        (arguments.pca, arguments.attention, arguments.npy) = (true, true, true);
    }
    let of_each = arguments.of_each();
    let folder = arguments.out.as_ref().filter(|_| of_each).cloned();
    if of_each && folder.is_none() {
        bail!(UsageError(
            "--pca, --attention, --npy and --similarity need --out, the folder they go to".to_owned()
        ));
    }
    let chosen = load::device(arguments.device.as_deref(), arguments.json)?;
    let products = load::products_on(arguments.matmul_precision, &chosen);
    let _products = products.scope();
    let weights = load::with_part(&arguments.weights, arguments.part.as_deref(), arguments.heads);
    let backbone = load::backbone(&weights, &chosen.device, arguments.json)?;
    let depth = backbone.config.depth;
    if let Some(block) = arguments.block.filter(|block| *block >= depth) {
        bail!(UsageError(format!("--block {block}: the model has blocks 0 to {}", depth - 1)));
    }

    let mut failed = FailedInputs::new(arguments.json);
    let mut named = FeatureInputScanner::default();
    arguments.images.iter().for_each(|path| named.add(path, &mut failed));
    arguments.list.iter().try_for_each(|list| named.add_list(list, &mut failed))?;
    let left_out = named.left_out.note();
    let inputs = named.named();
    let paths: Vec<&PathBuf> = inputs.iter().map(|input| &input.path).collect();
    for said in left_out.into_iter().chain(depth_note(&paths, arguments.depth_range)) {
        note!("{said}");
    }

    if let Some(folder) = &folder {
        std::fs::create_dir_all(folder)
            .map_err(|e| UsageError(format!("can't make the folder {}: {e}", folder.display())))?;
    }
    let resolution = arguments.resolution.unwrap_or(backbone.config.view_side());
    let weights = block_on(digest(&backbone))?;
    let made_with = JournalProvenance {
        dinoscope: env!("CARGO_PKG_VERSION").to_owned(),
        weights: weights.iter().map(|byte| format!("{byte:02x}")).collect(),
        resolution,
        depth_range: arguments.depth_range.to_string(),
        matmul_precision: if products == MatmulPrecision::F32 { String::new() } else { "bf16".to_owned() },
    };
    let book = match (&folder, &arguments.table) {
        (Some(folder), _) => folder.join("features.jsonl"),
        (None, Some(table)) => table.beside(),
        (None, None) => bail!(UsageError("there is nothing to write".to_owned())),
    };
    let journal = FeatureJournal::open(&book, &made_with, arguments.again)?;
    FeatureJob {
        arguments: &arguments,
        backbone: &backbone,
        chosen: &chosen,
        inputs: &inputs,
        resolution,
        folder,
    }
    .carry_out(journal, failed)
}

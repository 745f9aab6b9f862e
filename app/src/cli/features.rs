//! `dinoscope features`: what a model sees in pictures, as pictures and as raw numbers.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use dinoscope_core::analysis::attention_map::{AttentionMaps, overlay, stretch};
use dinoscope_core::analysis::colour_map::ColourMap;
use dinoscope_core::analysis::image_out::{Filter, upsample, write_png};
use dinoscope_core::analysis::pca::{Background, Pca, PcaOptions};
use dinoscope_core::analysis::{PatchFeatures, npy, similarity};
use dinoscope_core::data::{Picture, decode};
use dinoscope_core::device::{Chosen, block_on};
use dinoscope_core::features::{ViewFeatures, view_attention, view_features, whole_view};
use dinoscope_core::model::Vit;

use super::progress::Progress;
use super::status::{FailedInputs, Status};
use super::terminal::{self, out};
use super::{Mistake, load};

/// PCA pictures, attention maps and raw features of pictures.
#[derive(clap::Args)]
pub struct Arguments {
    /// Pictures.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// A weights file, a Hugging Face folder, a run (its folder or .zip), a checkpoint, the name of a pulled model, or
    /// `starter`.
    #[arg(long)]
    weights: PathBuf,
    /// Of several backbones in a file, the one with this prefix or word in it, such as teacher, student or ema
    /// [default: a teacher or another average]. `FILE#NAME` means the same.
    #[arg(long, value_name = "NAME")]
    part: Option<String>,
    /// Where the results go; made if it is not there.
    #[arg(long)]
    out: PathBuf,
    /// NAME.pca.png: three principal components of the patch features of all pictures together, as colours.
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
    /// Split objects from background with the first component; the background becomes black.
    #[arg(long)]
    foreground: bool,
    /// Draw patches as blocks of one colour: exactly what was computed.
    #[arg(long)]
    blocks: bool,
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

/// A picture that could be read, and where its results go.
struct Subject {
    path: PathBuf,
    stem: PathBuf,
    picture: Picture,
    view: Picture,
    features: ViewFeatures,
}

/// Writes what was asked for; everything, when nothing was.
pub fn run(mut arguments: Arguments) -> Result<Status> {
    terminal::outlive_output();
    if !(arguments.pca || arguments.attention || arguments.npy || arguments.similarity.is_some()) {
        (arguments.pca, arguments.attention, arguments.npy) = (true, true, true);
    }
    let chosen = load::device(arguments.device.as_deref(), arguments.json)?;
    let backbone = {
        let weights = load::with_part(&arguments.weights, arguments.part.as_deref());
        load::backbone(&weights, &chosen.device, arguments.json)?
    };
    std::fs::create_dir_all(&arguments.out)
        .map_err(|e| Mistake(format!("can't make the folder {}: {e}", arguments.out.display())))?;
    let mut failed = FailedInputs::new(arguments.json);
    let subjects = read_subjects(&arguments, &backbone, &chosen, &mut failed)?;

    let filter = if arguments.blocks { Filter::Nearest } else { Filter::Bicubic };
    if arguments.pca {
        let all: Vec<&PatchFeatures> = subjects.iter().map(|s| &s.features.patches).collect();
        let options = PcaOptions {
            foreground: arguments.foreground,
            background: Background::Black,
            ..PcaOptions::default()
        };
        let pca = Pca::fit(&all, None, &options)?;
        for subject in &subjects {
            let coloured = pca.colour(&subject.features.patches)?;
            let (w, h) = (subject.picture.width, subject.picture.height);
            let picture = upsample(&coloured.rgb, coloured.rows, coloured.cols, w, h, filter)?;
            write_png(&subject.file("pca.png"), &picture)?;
        }
    }
    if arguments.attention {
        for subject in &subjects {
            write_attention(subject, &arguments, &backbone, &chosen, filter)?;
        }
    }
    if let Some(at) = arguments.similarity {
        write_similarity(&subjects, at, filter)?;
    }
    for subject in &subjects {
        let PatchFeatures { rows, cols, dim, data } = &subject.features.patches;
        if arguments.npy {
            npy::write(&subject.file("npy"), &[*rows, *cols, *dim], data)?;
            npy::write(&subject.file("cls.npy"), &[*dim], &subject.features.cls)?;
        }
        if arguments.json {
            out!(
                "{}",
                serde_json::json!({
                    "image": subject.path, "rows": rows, "cols": cols, "dim": dim, "stem": subject.stem,
                })
            );
        }
    }
    if !arguments.json {
        out!("{} pictures, results in {}", subjects.len(), arguments.out.display());
    }
    Ok(failed.status())
}

impl Subject {
    fn file(&self, ending: &str) -> PathBuf {
        let mut name = self.stem.clone().into_os_string();
        name.push(format!(".{ending}"));
        name.into()
    }
}

/// Reads and embeds all pictures. Those that can't be read are named and left out; none left is an error.
fn read_subjects(
    arguments: &Arguments,
    backbone: &Vit,
    chosen: &Chosen,
    failed: &mut FailedInputs,
) -> Result<Vec<Subject>> {
    let config = &backbone.config;
    let resolution = arguments.resolution.unwrap_or(config.grid.short().max(32) * config.patch);
    let mut progress = Progress::new(arguments.images.len() as u64, "pictures", arguments.json);
    let mut subjects: Vec<Subject> = Vec::new();
    let mut failures = Vec::new();
    for (i, path) in arguments.images.iter().enumerate() {
        match decode::decode_file(path) {
            Err(error) => {
                progress.aside(|| failed.add(&path.display().to_string(), &error.to_string()));
                failures.push(error.to_string());
            }
            Ok(picture) => {
                let view = whole_view(&picture, resolution, config.patch);
                let features = block_on(view_features(backbone, &view, &chosen.device))?;
                let stem = unused_stem(&arguments.out, path, &subjects);
                subjects.push(Subject { path: path.clone(), stem, picture, view, features });
            }
        }
        progress.set(i as u64 + 1, path.display().to_string());
    }
    progress.finish();
    if subjects.is_empty() {
        bail!(Mistake(format!("no picture could be used: {}", failures.join("; "))));
    }
    Ok(subjects)
}

/// `OUT/NAME`, or `OUT/NAME-2` where two pictures have one name.
fn unused_stem(out: &Path, path: &Path, taken: &[Subject]) -> PathBuf {
    let name =
        path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_else(|| "picture".to_owned());
    let candidates = std::iter::once(name.clone()).chain((2..).map(|i| format!("{name}-{i}")));
    let free = |stem: &PathBuf| taken.iter().all(|t| t.stem != *stem);
    candidates.map(|n| out.join(n)).find(free).unwrap_or_else(|| out.join(&name))
}

fn write_attention(
    subject: &Subject,
    arguments: &Arguments,
    backbone: &Vit,
    chosen: &Chosen,
    filter: Filter,
) -> Result<()> {
    let config = &backbone.config;
    let PatchFeatures { rows, cols, .. } = subject.features.patches;
    let block = arguments.block.unwrap_or(config.depth - 1);
    if block >= config.depth {
        bail!(Mistake(format!("--block {block}: the model has blocks 0 to {}", config.depth - 1)));
    }
    let query = match arguments.query {
        None => 0,
        Some(at) => config.prefix() + patch_index(at, rows, cols)?,
    };
    let probabilities = block_on(view_attention(backbone, &subject.view, block, query, &chosen.device))?;
    let maps = AttentionMaps::new(&probabilities, config.heads, config.prefix(), rows, cols)?;
    let draw = |map: &[f32], ending: &str| -> Result<()> {
        let values = stretch(map, 99.0);
        let picture = overlay(&subject.picture, &values, rows, cols, ColourMap::Inferno, 0.7, filter)?;
        Ok(write_png(&subject.file(ending), &picture)?)
    };
    draw(&maps.mean, "attention.png")?;
    if arguments.npy {
        npy::write(&subject.file("attention.npy"), &[maps.heads.len(), rows, cols], &maps.heads.concat())?;
    }
    for (head, map) in maps.heads.iter().enumerate() {
        draw(map, &format!("attention-{head}.png"))?;
    }
    Ok(())
}

fn write_similarity(subjects: &[Subject], at: (usize, usize), filter: Filter) -> Result<()> {
    let first = &subjects[0].features.patches;
    let index = patch_index(at, first.rows, first.cols)?;
    for subject in subjects {
        let patches = &subject.features.patches;
        let values = similarity::of_patch(first, index, patches)?;
        let values: Vec<f32> = values.iter().map(|v| v.max(0.0)).collect();
        let picture =
            overlay(&subject.picture, &values, patches.rows, patches.cols, ColourMap::Viridis, 0.7, filter)?;
        write_png(&subject.file("similarity.png"), &picture)?;
    }
    Ok(())
}

fn patch_index((row, col): (usize, usize), rows: usize, cols: usize) -> Result<usize> {
    if row < rows && col < cols {
        return Ok(row * cols + col);
    }
    bail!(Mistake(format!(
        "patch {row},{col} is outside the picture's grid of {rows} rows and {cols} columns"
    )))
}

//! `dinoscope compare`: two models on the same pictures, in figures and side by side.

mod sheet;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::analysis::agreement::{PATCH_NEIGHBOURS, PatchAgreement, agreement};
use dinoscope_core::burn::tensor::Device;
use dinoscope_core::data::Picture;
use dinoscope_core::data::decode::decode_file;
use dinoscope_core::device::block_on;
use dinoscope_core::features::{view_features, whole_view};
use dinoscope_core::fused::MatmulPrecision;
use dinoscope_core::model::Vit;
use serde_json::{Value, json};

use super::features::inputs::{FeatureInput, FeatureInputScanner};
use super::progress::CliProgress;
use super::status::{CliExitStatus, FailedInputs};
use super::terminal::{self, note, out};
use super::{UsageError, load};
use sheet::ComparisonSheet;

/// Most letters of a picture's name in the table.
const NAME: usize = 40;

/// Two models on the same pictures: how far they agree, and their colours side by side.
#[derive(clap::Args)]
pub struct CompareArgs {
    /// Pictures, folders with all their subfolders, and patterns ('photos/**/*.jpg').
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Model A: a weights file, a Hugging Face folder, a run (its folder or .zip), a checkpoint, the name of a pulled model,
    /// or `starter`. `FILE#NAME` chooses among several backbones of a file, `FILE#heads=N` says how many heads it has.
    #[arg(long)]
    weights: PathBuf,
    /// Model B, named in the same way.
    #[arg(long)]
    against: PathBuf,
    /// Where NAME.compare.png goes for each picture: the picture, and the three principal components of A and of B as
    /// colours, B's turned onto A's. Made if it is not there.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Shorter side that pictures are resized to, for both models [default: each model's own, that of its stored position grid,
    /// at least 32 patches].
    #[arg(long)]
    resolution: Option<usize>,
    /// Split objects from background with the first component of A; the background becomes black.
    #[arg(long, requires = "out")]
    foreground: bool,
    /// Draw patches as blocks of one colour: exactly what was computed.
    #[arg(long, requires = "out")]
    blocks: bool,
    /// What factors of matrix products are rounded to on the CPU: f32, or bf16, which processors with VDPBF16PS multiply up
    /// to twice as fast.
    #[arg(long, default_value = "f32", value_name = "PRECISION", value_parser = load::products)]
    matmul_precision: MatmulPrecision,
    /// auto, cpu, gpu or gpu:N [default: as `dinoscope config` shows; auto at first].
    #[arg(long)]
    device: Option<String>,
    /// One JSON object per picture.
    #[arg(long)]
    json: bool,
}

/// A model that looks.
struct ComparedBackbone {
    name: String,
    backbone: Vit,
    resolution: usize,
}

impl ComparedBackbone {
    fn open(named: &Path, arguments: &CompareArgs, device: &Device) -> Result<Self> {
        let backbone = load::backbone(named, device, arguments.json)?;
        load::colours_alone(backbone.config.channels(), "compare", "name models of colours")?;
        let resolution = arguments.resolution.unwrap_or(backbone.config.view_side());
        Ok(Self { name: load::source(named).to_string(), backbone, resolution })
    }

    fn look(&self, picture: &Picture, device: &Device) -> Result<PatchFeatures> {
        let view = whole_view(picture, self.resolution, self.backbone.config.patch);
        Ok(block_on(view_features(&self.backbone, &view, device))?.patches)
    }
}

/// Compares, and says how far both agree.
pub fn run(arguments: &CompareArgs) -> Result<CliExitStatus> {
    terminal::ignore_output_errors();
    let mut failed = FailedInputs::new(arguments.json);
    let mut named = FeatureInputScanner::default();
    arguments.images.iter().for_each(|path| named.add(path, &mut failed));
    if let Some(said) = named.left_out.note() {
        note!("{said}");
    }
    let inputs = named.named();
    let chosen = load::device(arguments.device.as_deref(), arguments.json)?;
    let _products = load::products_on(arguments.matmul_precision, &chosen).scope();
    let open = |named: &Path| ComparedBackbone::open(named, arguments, &chosen.device);
    let models = [open(&arguments.weights)?, open(&arguments.against)?];
    let mut sheet = match &arguments.out {
        None => None,
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .map_err(|e| UsageError(format!("can't make the folder {}: {e}", folder.display())))?;
            let names = [models[0].name.clone(), models[1].name.clone()];
            Some(ComparisonSheet::new(folder.clone(), names, arguments.foreground, arguments.blocks))
        }
    };
    let mut found: Vec<(String, PatchAgreement)> = Vec::new();
    let mut progress = CliProgress::new(inputs.len() as u64, "pictures", arguments.json);
    for (i, input) in inputs.iter().enumerate() {
        let name = input.path.display().to_string();
        match decode_file(&input.path) {
            Err(error) => failed.add(&name, &error.to_string()),
            Ok(picture) => {
                let agreed = one(input, &picture, &models, sheet.as_mut(), &chosen.device)
                    .with_context(|| name.clone())?;
                if arguments.json {
                    out!("{}", with_figures(json!({ "picture": name, "patches": agreed.1 }), &agreed.0));
                }
                found.push((name, agreed.0));
            }
        }
        progress.set(i as u64 + 1, input.path.display().to_string());
    }
    progress.finish();
    if found.is_empty() {
        bail!(UsageError("no picture could be used".to_owned()));
    }
    say(arguments, &models, &found);
    Ok(failed.status())
}

/// Figures of one picture, and the patches of both models' grids.
fn one(
    input: &FeatureInput,
    picture: &Picture,
    models: &[ComparedBackbone; 2],
    sheet: Option<&mut ComparisonSheet>,
    device: &Device,
) -> Result<(PatchAgreement, [[usize; 2]; 2])> {
    let (a, b) = (models[0].look(picture, device)?, models[1].look(picture, device)?);
    let agreed = agreement(&a, &b)?;
    if let Some(sheet) = sheet {
        sheet.write(&input.stem, picture, [&a, &b])?;
    }
    Ok((agreed, [[a.rows, a.cols], [b.rows, b.cols]]))
}

fn with_figures(mut object: Value, agreed: &PatchAgreement) -> Value {
    object["cka"] = json!(agreed.cka());
    object["neighbours"] = json!(agreed.neighbours());
    object
}

/// The table, or the last JSON object.
fn say(arguments: &CompareArgs, models: &[ComparedBackbone; 2], found: &[(String, PatchAgreement)]) {
    let all: PatchAgreement = found.iter().map(|(_, agreed)| *agreed).sum();
    let [a, b] = [&models[0].name, &models[1].name];
    if arguments.json {
        let done = json!({ "event": "done", "weights": a, "against": b, "pictures": all.pictures });
        out!("{}", with_figures(done, &all));
        return;
    }
    let short = |name: &str| -> String {
        // What tells files apart stands at the end.
        let letters: Vec<char> = name.chars().collect();
        match letters.len() > NAME {
            true => format!("…{}", letters[letters.len() - NAME + 1..].iter().collect::<String>()),
            false => name.to_owned(),
        }
    };
    let last = match found.len() {
        1 => None,
        count => Some((format!("all {count} pictures"), all)),
    };
    let rows: Vec<(String, PatchAgreement)> =
        found.iter().map(|(name, agreed)| (short(name), *agreed)).chain(last).collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    out!("A: {a}");
    out!("B: {b}");
    out!("{:width$}    CKA  shared neighbours (of {PATCH_NEIGHBOURS})", "");
    for (name, agreed) in rows {
        let cka = agreed.cka().map_or("–".to_owned(), |cka| format!("{cka:.3}"));
        let neighbours =
            agreed.neighbours().map_or("–".to_owned(), |share| format!("{:.1} %", 100.0 * share));
        out!("{name:width$} {cka:>6}  {neighbours:>8}");
    }
    if let Some(folder) = &arguments.out {
        out!("pictures in {}", folder.display());
    }
}

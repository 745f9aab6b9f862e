//! `dinoscope curate embed`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dinoscope_core::data::decode::depth::IntensityRange;
use dinoscope_core::device::{SelectedDevice, block_on};
use dinoscope_core::eval::cache::digest;
use dinoscope_core::model::Vit;
use dinoscope_curate::{EmbedOptions, EmbedSummary, FeatureOrigin, FeatureStore, embed, names};

use super::step::follow;
use crate::cli::load;
use crate::cli::status::{CliExitStatus, FailedInputs};
use crate::cli::terminal::{note, out};

/// Pictures between two savings.
pub const SAVE_EVERY: usize = 512;

/// Features, hashes and quality of every picture, once.
#[derive(clap::Args)]
pub struct EmbedArgs {
    /// Folders with all their subfolders, lists (FILE.txt, FILE.csv, FILE.parquet), archives and patterns.
    #[arg(required = true, value_name = "PICTURES")]
    places: Vec<PathBuf>,
    /// The folder of curation, where features and tables are kept; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    how: EmbedModelArgs,
    /// Features are the mean of those of a picture and of the mirrored one: twice the work, and both are the same to them. A
    /// folder that has features already goes on with what it has.
    #[arg(long)]
    mirrored: bool,
    /// Features are saved after so many pictures: what is lost at most where the program is killed.
    #[arg(long, value_name = "N", default_value_t = SAVE_EVERY)]
    save_every: usize,
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
}

/// The model that features come from.
#[derive(Clone, clap::Args)]
pub struct EmbedModelArgs {
    /// A weights file, a Hugging Face folder, a run (its folder or .zip), a checkpoint, the name of a pulled model, or
    /// `starter`. Thresholds belong to weights: those of one say nothing of another.
    #[arg(long, default_value = "starter")]
    pub weights: PathBuf,
    /// Of several backbones in a file, the one with this prefix or word in it. `FILE#NAME` means the same.
    #[arg(long, value_name = "NAME")]
    pub part: Option<String>,
    /// Attention heads of weights that do not say how many they have. `FILE#heads=N` means the same.
    #[arg(long, value_name = "N", value_parser = load::heads)]
    pub heads: Option<usize>,
    /// Side of the centre crop; a multiple of the patch [default: that of the stored position grid, at most 224].
    #[arg(long)]
    pub size: Option<usize>,
    /// Pictures that pass through the model at once.
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
    /// Black and white of files of more than 8 bits: fixed, file, or two numbers such as 0..4095.
    #[arg(long, value_name = "RANGE", default_value_t)]
    pub depth_range: IntensityRange,
    /// auto, cpu, gpu or gpu:N [default: as `dinoscope config` shows; auto at first].
    #[arg(long)]
    pub device: Option<String>,
}

/// A model that is ready, and what its features are known by.
pub struct EmbedModel {
    backbone: Vit,
    chosen: SelectedDevice,
    origin: FeatureOrigin,
    batch: usize,
    range: IntensityRange,
}

impl EmbedModelArgs {
    /// Opens the model; features are of two views where they are `mirrored`; `quiet` beside JSON.
    pub fn open(&self, mirrored: bool, quiet: bool) -> Result<EmbedModel> {
        let chosen = load::device(self.device.as_deref(), quiet)?;
        let named = load::with_part(&self.weights, self.part.as_deref(), self.heads);
        let backbone = load::backbone(&named, &chosen.device, false)?;
        let config = &backbone.config;
        load::colours_alone(config.channels(), "curate", "name a model of colours")?;
        let size = load::crop_side(self.size, config)?;
        let digest = block_on(digest(&backbone))?;
        let origin = FeatureOrigin {
            weights: load::lasting_name(&named)?,
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            dim: config.dim,
            size,
            depth_range: self.depth_range.to_string(),
            mirrored,
        };
        Ok(EmbedModel { backbone, chosen, origin, batch: self.batch, range: self.depth_range })
    }
}

impl EmbedModel {
    /// Embeds pictures into a folder of curation; those that can't be used are said.
    pub fn embed(
        &self,
        places: &[PathBuf],
        (out, table): (&Path, &str),
        part: usize,
        json: bool,
    ) -> Result<(EmbedSummary, FailedInputs)> {
        let options = EmbedOptions {
            places: places.to_vec(),
            out: out.to_owned(),
            table: table.to_owned(),
            batch: self.batch,
            part,
            range: self.range,
        };
        let summary = follow("pictures", json, |heard| {
            embed(&self.backbone, &self.chosen.device, &self.origin, &options, heard)
        })?;
        let mut failed = FailedInputs::new(json);
        summary.unreadable.iter().for_each(|(key, why)| failed.add(key, why));
        Ok((summary, failed))
    }
}

/// Features of other pictures beside those of a heap, with the same weights: into the folder, with a table of their own.
pub fn embed_beside(
    places: &[PathBuf],
    (folder, table): (&Path, &str),
    device: Option<&str>,
    json: bool,
) -> Result<FailedInputs> {
    let origin = FeatureStore::open(folder)?.origin;
    let how = EmbedModelArgs {
        weights: PathBuf::from(&origin.weights),
        part: None,
        heads: None,
        size: Some(origin.size),
        batch: 64,
        depth_range: origin.depth_range.parse().map_err(anyhow::Error::msg)?,
        device: device.map(str::to_owned),
    };
    let model =
        how.open(origin.mirrored, json).context("the weights of the features are needed once more")?;
    let (summary, failed) = model.embed(places, (folder, table), SAVE_EVERY, json)?;
    note!("{} pictures beside the heap, {} of them embedded now", summary.pictures, summary.embedded);
    Ok(failed)
}

/// Embeds, and says what was done.
pub fn run(arguments: &EmbedArgs) -> Result<CliExitStatus> {
    let before = FeatureStore::origin(&arguments.out)?;
    let mirrored = arguments.mirrored || before.is_some_and(|origin| origin.mirrored);
    let model = arguments.how.open(mirrored, arguments.json)?;
    let where_to = (arguments.out.as_path(), names::EMBED);
    let (summary, failed) = model.embed(&arguments.places, where_to, arguments.save_every, arguments.json)?;
    let table = arguments.out.join(names::EMBED);
    if arguments.json {
        out!(
            "{}",
            serde_json::json!({
                "event": "embedded", "table": table.display().to_string(), "pictures": summary.pictures,
                "embedded": summary.embedded, "unreadable": summary.unreadable.len(),
            })
        );
    } else {
        out!(
            "{} pictures, {} of them embedded now, {} can't be read; table in {}",
            summary.pictures,
            summary.embedded,
            summary.unreadable.len(),
            table.display()
        );
    }
    Ok(failed.status())
}
